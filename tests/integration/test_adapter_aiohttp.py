"""``DomoAuth`` in real sessions of aiohttp, against the sandbox and a server that plays Domo's API."""

# ruff: noqa: F811 -- fixtures of another module
from __future__ import annotations

import asyncio
import importlib
import io
import logging
import sys
import tempfile
from contextlib import asynccontextmanager

import aiohttp
import pytest

from domo_oauth import ConfigurationError, InvalidClientError
from domo_oauth.adapters._origins import Origins
from domo_oauth.adapters.aiohttp import DomoAuth

from .test_adapter_httpx import Api, provider, serve_api  # noqa: F401

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # aiohttp knows no other


@pytest.fixture
def api(serve_api):
    return serve_api()


@pytest.fixture
def auth(provider, api):
    """The provider's tokens come from the sandbox, and go to the server that plays the API."""
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    return auth


@asynccontextmanager
async def opened(auth: DomoAuth, **session_args):
    # With one connection at most, an answer that is not given back holds the next request up.
    connector = aiohttp.TCPConnector(limit=1)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(
        middlewares=(auth,), connector=connector, timeout=timeout, **session_args
    ) as session:
        yield session


async def ask(auth: DomoAuth, method: str, url: str, **request_args) -> int:
    async with opened(auth) as session, session.request(method, url, **request_args) as response:
        await response.read()
        return response.status


async def test_the_first_call_fetches_and_the_others_reuse(provider, domo_sandbox):
    url = f"{domo_sandbox.url}/v1/datasets"
    async with opened(DomoAuth(provider)) as session:
        for _ in range(3):
            async with session.get(url) as response:
                assert response.status == 200
                assert len(await response.json()) == 3
    async with aiohttp.ClientSession() as session, session.get(url, middlewares=(DomoAuth(provider),)) as response:
        assert response.status == 200
    assert domo_sandbox.stats().token_requests == 1


async def test_many_tasks_make_one_token_request(provider, domo_sandbox):
    auth = DomoAuth(provider)
    url = f"{domo_sandbox.url}/v1/datasets"
    assert await asyncio.gather(*(ask(auth, "GET", url) for _ in range(10))) == [200] * 10
    assert domo_sandbox.stats().token_requests == 1


async def test_from_env_shares_the_token_with_every_other(domo_sandbox):
    DomoAuth.from_env(scopes=["data"])._provider.reset()
    for scopes in (["data"], "data"):
        assert await ask(DomoAuth.from_env(scopes=scopes), "GET", f"{domo_sandbox.url}/v1/datasets") == 200
    assert domo_sandbox.stats().token_requests == 1


async def test_a_token_that_domo_no_longer_takes_is_replaced(provider, domo_sandbox):
    before = provider.get_token()
    domo_sandbox.revoke_tokens()
    assert await ask(DomoAuth(provider), "GET", f"{domo_sandbox.url}/v1/datasets") == 200
    assert provider.get_token() != before
    assert domo_sandbox.stats().token_requests == 2


def form_with(file: object) -> aiohttp.FormData:
    form = aiohttp.FormData({"a": "1"})
    form.add_field("upload", file, filename="name.txt")
    return form


SENT_AGAIN = {
    "nothing": dict,
    "bytes": lambda: {"data": b"some bytes"},
    "text": lambda: {"data": "some text"},
    "json": lambda: {"json": {"a": 1}},
    "form": lambda: {"data": {"a": "1"}},
    "upload": lambda: {"data": form_with(io.BytesIO(b"file content"))},
    "file": lambda: {"data": io.BytesIO(b"file content")},
    "compressed": lambda: {"data": b"some bytes", "compress": "gzip"},
}


@pytest.mark.parametrize("name", SENT_AGAIN)
async def test_a_body_that_can_be_is_sent_once_more(name, auth, api):
    api.refuse = 1
    assert await ask(auth, "POST", f"{api.url}/x", **SENT_AGAIN[name]()) == 200
    (first, sent), (second, again) = api.seen
    assert sent == again
    assert (sent == b"") == (name == "nothing")
    assert first != second
    assert first.startswith("Bearer ")


async def test_an_api_that_refuses_every_token_does_not_get_one_after_the_other(auth, domo_sandbox, api):
    api.refuse = 9
    for _ in range(3):
        assert await ask(auth, "GET", f"{api.url}/x") == 401
    assert len(api.seen) == 4
    assert domo_sandbox.stats().token_requests == 2


class OnlyOne:
    """A provider that gets one token, and no other."""

    def __init__(self, provider) -> None:
        self.tokens = [provider.get_token()]

    async def aget_token(self):
        if not self.tokens:
            raise InvalidClientError("The client was deleted.")
        return self.tokens.pop()

    def invalidate(self, token) -> None:
        pass


async def test_where_there_is_no_other_token_the_error_is_the_callers(auth, api, provider):
    api.refuse = 1
    auth._provider = OnlyOne(provider)
    with pytest.raises(InvalidClientError, match="was deleted"):
        await ask(auth, "GET", f"{api.url}/x")
    assert len(api.seen) == 1


async def test_a_file_is_sent_once_more_from_where_it_stood(auth, api):
    api.refuse = 1
    content = bytes(range(256)) * 4000
    with tempfile.TemporaryFile() as file:
        file.write(b"header" + content)
        file.seek(len(b"header"))
        assert await ask(auth, "PUT", f"{api.url}/x", data=file) == 200
    assert [body == content for _, body in api.seen] == [True] * 2


class Pipe(io.BytesIO):
    """A file that tells where it is, and cannot be set back."""

    def seek(self, *args: int) -> int:
        raise io.UnsupportedOperation("seek")

    def seekable(self) -> bool:
        return False


async def chunks():
    yield b"con"
    yield b"tent"


USED_UP = {
    "generator": chunks,
    "generator in a form": lambda: form_with(chunks()),
    "pipe": lambda: io.BufferedReader(Pipe(b"content")),
    "pipe in a form": lambda: form_with(io.BufferedReader(Pipe(b"content"))),
}


@pytest.mark.parametrize("name", USED_UP)
async def test_a_body_that_is_used_up_is_not_sent_again(name, auth, api, provider, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    api.refuse = 1
    before = provider.get_token()
    assert await ask(auth, "POST", f"{api.url}/x", data=USED_UP[name]()) == 401
    ((_, body),) = api.seen
    assert b"content" in body
    assert provider.get_token() != before
    assert "its body cannot be sent again" in caplog.text


async def test_a_second_401_goes_to_the_caller(auth, api):
    api.refuse = 2
    assert await ask(auth, "GET", f"{api.url}/x") == 401
    assert len(api.seen) == 2


async def test_raise_for_status_raises_only_for_what_comes_of_it(auth, api):
    api.refuse = 1
    async with opened(auth, raise_for_status=True) as session:
        async with session.get(f"{api.url}/x") as response:
            assert response.status == 200
        api.refuse = 2
        with pytest.raises(aiohttp.ClientResponseError):
            await session.get(f"{api.url}/x")


async def test_another_origin_gets_no_token_and_the_log_says_so_once(provider, api, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    auth = DomoAuth(provider)
    for _ in range(2):
        api.refuse = 1
        assert await ask(auth, "GET", f"{api.url}/x") == 401
    assert [token for token, _ in api.seen] == [None, None]
    (record,) = [record for record in caplog.records if record.name == "domo_oauth"]
    assert f"not for {api.url}" in record.getMessage()


async def test_a_redirect_away_carries_no_token(auth, api, serve_api, provider):
    elsewhere: Api = serve_api()
    api.location, elsewhere.refuse = f"{elsewhere.url}/x", 1
    token = provider.get_token()
    assert await ask(auth, "GET", f"{api.url}/x") == 401
    assert [token for token, _ in elsewhere.seen] == [None]
    assert provider.get_token() == token, "a stranger's 401 says nothing of the token"


async def test_what_a_redirect_led_to_is_sent_once_more_and_not_what_led_to_it(auth, api):
    async def arrive(request, handler):
        response = await handler(request)
        if response.status == 307:
            api.location, api.refuse = "", 1
        return response

    api.location = "/y"
    async with opened(auth) as session:
        response = await session.post(f"{api.url}/x", data=b"content", middlewares=(auth, arrive))
        assert response.status == 200
        assert [earlier.status for earlier in response.history] == [307]
        response.release()
    tokens = [token for token, _ in api.seen]
    assert tokens[0] == tokens[1] != tokens[2]
    assert [body for _, body in api.seen] == [b"content"] * 3


async def test_the_answer_that_was_refused_gives_its_connection_back(auth, api):
    refused = []

    async def keep(request, handler):
        refused.append(await handler(request))
        return refused[-1]

    api.refuse = 1
    async with opened(auth) as session:
        async with session.get(f"{api.url}/x", middlewares=(auth, keep)) as response:
            assert response.status == 200
            assert await response.content.read() == b"{}"
        assert [answer.closed for answer in refused] == [True, True]
        assert refused[0].connection is None


async def test_what_the_provider_raises_reaches_the_caller(domo_sandbox, monkeypatch):
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "wrong")
    with pytest.raises(InvalidClientError):
        await ask(DomoAuth.from_env(), "GET", f"{domo_sandbox.url}/v1/datasets")
    assert domo_sandbox.stats().resource_requests == 0


def test_it_shows_no_secret(provider, domo_sandbox):
    auth = DomoAuth(provider)
    hidden = [provider.get_token().access_token, domo_sandbox.client_secret]
    for shown in (auth, vars(auth)):
        assert not [secret for secret in hidden if secret in repr(shown)]


def test_without_aiohttp_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.setitem(sys.modules, "aiohttp.payload", None)
    monkeypatch.delitem(sys.modules, "domo_oauth.adapters.aiohttp")
    with pytest.raises(ConfigurationError, match=r"pip install 'domo-oauth\[aiohttp\]'"):
        importlib.import_module("domo_oauth.adapters.aiohttp")


UNFINISHED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 10\r\n\r\n{}"
"""An answer whose rest does not come, so that nothing gives its connection back by itself."""


async def test_an_answer_that_was_refused_and_goes_on_for_ever_is_let_go(auth, wire):
    server = wire(UNFINISHED, "hang")
    auth._origins = Origins(server.url)
    async with opened(auth) as session, session.get(f"{server.url}/x") as response:
        assert response.status == 401
    assert len(server.requests) == 2


async def test_it_is_let_go_where_there_is_no_other_token_too(auth, api, provider, wire):
    server = wire(UNFINISHED, "hang")
    auth._origins = Origins(server.url)
    auth._provider = OnlyOne(provider)
    async with opened(auth) as session:
        with pytest.raises(InvalidClientError):
            await session.get(f"{server.url}/x")
        async with session.get(f"{api.url}/x", middlewares=()) as response:
            assert response.status == 200


async def test_the_log_tells_who_refused(auth, api, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    api.refuse = 1
    assert await ask(auth, "GET", f"{api.url}/x") == 200
    api.refuse = 1
    assert await ask(auth, "POST", f"{api.url}/x", data=chunks()) == 401
    assert "401 from 127.0.0.1: sent once more" in caplog.text
    assert "401 from 127.0.0.1: given back, as its body cannot be sent again" in caplog.text
