"""``DomoAuth`` in real httpx2 clients, against the sandbox and a server that plays Domo's API."""

# ruff: noqa: F811 -- fixtures of another module
from __future__ import annotations

import importlib
import io
import logging
import sys
import tempfile

import anyio
import httpx2
import pytest

from domo_oauth import ConfigurationError, InvalidClientError
from domo_oauth.adapters._origins import Origins
from domo_oauth.adapters.httpx2 import DomoAuth

from .test_adapter_httpx import Api, provider, serve_api  # noqa: F401


@pytest.fixture
def api(serve_api):
    return serve_api()


@pytest.fixture
def auth(provider, api):
    """The provider's tokens come from the sandbox, and go to the server that plays the API."""
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    return auth


class Caller:
    """One way to send requests."""

    def __init__(self, way: str) -> None:
        self.way = way

    def __call__(
        self, auth: httpx2.Auth, method: str, url: str, times: int = 1, hooks=(), follow_redirects=False, **body
    ) -> httpx2.Response:
        client_args = {"auth": auth, "trust_env": False, "follow_redirects": follow_redirects}
        if self.way == "sync":
            with httpx2.Client(event_hooks={"response": list(hooks)}, **client_args) as client:
                for _ in range(times):
                    response = client.request(method, url, **body)
                return response

        async def run() -> httpx2.Response:
            async_hooks = [as_coroutine(hook) for hook in hooks]
            async with httpx2.AsyncClient(event_hooks={"response": async_hooks}, **client_args) as client:
                for _ in range(times):
                    response = await client.request(method, url, **body)
                return response

        return anyio.run(run, backend=self.way)


def as_coroutine(hook):
    async def async_hook(response: httpx2.Response) -> None:
        hook(response)

    return async_hook


@pytest.fixture(params=["sync", "asyncio", "trio"])
def call(request):
    return Caller(request.param)


def test_the_first_call_fetches_and_the_others_reuse(call, provider, domo_sandbox):
    auth = DomoAuth(provider)
    for _ in range(2):
        assert call(auth, "GET", f"{domo_sandbox.url}/v1/datasets", times=3).status_code == 200
    assert domo_sandbox.stats().token_requests == 1


def test_from_env_shares_the_token_with_every_other(call, domo_sandbox):
    DomoAuth.from_env(scopes=["data"])._provider.reset()
    for scopes in (["data"], "data"):
        assert call(DomoAuth.from_env(scopes=scopes), "GET", f"{domo_sandbox.url}/v1/datasets").status_code == 200
    assert domo_sandbox.stats().token_requests == 1


def test_a_token_that_domo_no_longer_takes_is_replaced(call, provider, domo_sandbox):
    before = provider.get_token()
    domo_sandbox.revoke_tokens()
    assert call(DomoAuth(provider), "GET", f"{domo_sandbox.url}/v1/datasets").status_code == 200
    assert provider.get_token() != before
    assert domo_sandbox.stats().token_requests == 2


SENT_AGAIN = {
    "nothing": dict,
    "bytes": lambda: {"content": b"some bytes"},
    "json": lambda: {"json": {"a": 1}},
    "form": lambda: {"data": {"a": "1"}},
    "upload": lambda: {"files": {"upload": ("name.txt", io.BytesIO(b"file content"))}, "data": {"a": "1"}},
}


@pytest.mark.parametrize("name", SENT_AGAIN)
def test_a_body_that_can_be_is_sent_once_more(name, call, auth, api):
    api.refuse = 1
    assert call(auth, "POST", f"{api.url}/x", **SENT_AGAIN[name]()).status_code == 200
    (first, sent), (second, again) = api.seen
    assert sent == again
    assert (sent == b"") == (name == "nothing")
    assert first != second
    assert first.startswith("Bearer ")


class Pipe(io.BytesIO):
    """A file that cannot be set back."""

    def seek(self, *args: int) -> int:
        raise io.UnsupportedOperation("seek")

    def seekable(self) -> bool:
        return False


class OnlyRead:
    """As little of a file as a multipart body takes."""

    def __init__(self) -> None:
        self.chunks = [b"", b"content"]

    def read(self, _size: int) -> bytes:
        return self.chunks.pop()


def test_an_api_that_refuses_every_token_does_not_get_one_after_the_other(call, provider, domo_sandbox, serve_api):
    api = serve_api()
    api.refuse = 9
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    assert call(auth, "GET", f"{api.url}/x", times=3).status_code == 401
    assert len(api.seen) == 4
    assert domo_sandbox.stats().token_requests == 2


def one_shot(way: str):
    def chunks():
        yield b"con"
        yield b"tent"

    async def async_chunks():
        for chunk in chunks():
            yield chunk

    return chunks() if way == "sync" else async_chunks()


USED_UP = {
    "generator": lambda way: {"content": one_shot(way)},
    "pipe": lambda _: {"files": {"upload": Pipe(b"content")}},
    "read": lambda _: {"files": {"upload": OnlyRead()}},
}


@pytest.mark.parametrize("name", USED_UP)
def test_a_body_that_is_used_up_is_not_sent_again(name, call, auth, api, provider, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    api.refuse = 1
    before = provider.get_token()
    assert call(auth, "POST", f"{api.url}/x", **USED_UP[name](call.way)).status_code == 401
    ((_, body),) = api.seen
    assert b"content" in body
    assert provider.get_token() != before
    assert "its body cannot be sent again" in caplog.text


def test_an_open_file_as_content_is_not_sent_again(auth, api):
    api.refuse = 1
    with tempfile.TemporaryFile() as file:
        file.write(b"content")
        file.seek(0)
        assert Caller("sync")(auth, "PUT", f"{api.url}/x", content=file).status_code == 401
    assert [body for _, body in api.seen] == [b"content"]


def test_a_second_401_goes_to_the_caller(call, auth, api):
    api.refuse = 2
    assert call(auth, "GET", f"{api.url}/x").status_code == 401
    assert len(api.seen) == 2


def test_another_origin_gets_no_token_and_the_log_says_so_once(call, provider, api, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    api.refuse = 1
    assert call(DomoAuth(provider), "GET", f"{api.url}/x", times=2).status_code == 200
    assert [token for token, _ in api.seen] == [None, None]
    (record,) = [record for record in caplog.records if record.name == "domo_oauth"]
    assert f"not for {api.url}" in record.getMessage()


def test_a_redirect_away_carries_no_token(call, auth, api, serve_api, provider):
    elsewhere: Api = serve_api()
    api.location, elsewhere.refuse = f"{elsewhere.url}/x", 1
    token = provider.get_token()
    assert call(auth, "GET", f"{api.url}/x", follow_redirects=True).status_code == 401
    assert [token for token, _ in elsewhere.seen] == [None]
    assert provider.get_token() == token, "a stranger's 401 says nothing of the token"


def test_what_a_redirect_led_to_is_sent_once_more_and_not_what_led_to_it(call, auth, api):
    def arrive(response: httpx2.Response) -> None:
        if response.status_code == 307:
            api.location, api.refuse = "", 1

    api.location = "/y"
    response = call(auth, "POST", f"{api.url}/x", content=b"content", hooks=[arrive], follow_redirects=True)
    assert response.status_code == 200
    tokens = [token for token, _ in api.seen]
    assert tokens[0] == tokens[1] != tokens[2]
    assert [body for _, body in api.seen] == [b"content"] * 3


def test_a_streamed_answer_can_be_streamed_after_a_401(auth, api):
    api.refuse = 1
    limits = httpx2.Limits(max_connections=1)
    with (
        httpx2.Client(auth=auth, trust_env=False, limits=limits) as client,
        client.stream("GET", f"{api.url}/x") as response,
    ):
        assert response.status_code == 200
        assert not response.is_closed
        assert response.read() == b"{}"
        assert [(earlier.status_code, earlier.is_closed) for earlier in response.history] == [(401, True)]


def test_what_the_provider_raises_reaches_the_caller(call, domo_sandbox, monkeypatch):
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "wrong")
    with pytest.raises(InvalidClientError):
        call(DomoAuth.from_env(), "GET", f"{domo_sandbox.url}/v1/datasets")
    assert domo_sandbox.stats().resource_requests == 0


def test_it_shows_no_secret(provider, domo_sandbox):
    auth = DomoAuth(provider)
    hidden = [provider.get_token().access_token, domo_sandbox.client_secret]
    for shown in (auth, vars(auth)):
        assert not [secret for secret in hidden if secret in repr(shown)]


def test_without_httpx2_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    monkeypatch.delitem(sys.modules, "domo_oauth.adapters.httpx2")
    with pytest.raises(ConfigurationError, match=r"pip install 'domo-oauth\[httpx2\]'"):
        importlib.import_module("domo_oauth.adapters.httpx2")
