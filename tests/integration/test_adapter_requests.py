"""``DomoAuth`` in real sessions of requests, against the sandbox and a server that plays Domo's API."""

# ruff: noqa: F811 -- fixtures of another module
from __future__ import annotations

import importlib
import io
import logging
import os
import pickle
import sys
import tempfile

import pytest
import requests
from requests.auth import AuthBase

from domo_oauth import ConfigurationError, InvalidClientError
from domo_oauth.adapters._origins import Origins
from domo_oauth.adapters.requests import DomoAuth

from .test_adapter_httpx import Api, provider, serve_api  # noqa: F401


@pytest.fixture
def session():
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def api(serve_api):
    return serve_api()


@pytest.fixture
def auth(provider, api):
    """The provider's tokens come from the sandbox, and go to the server that plays the API."""
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    return auth


def test_the_first_call_fetches_and_the_others_reuse(session, provider, domo_sandbox):
    session.auth = DomoAuth(provider)
    assert isinstance(session.auth, AuthBase)
    assert [session.get(f"{domo_sandbox.url}/v1/datasets").status_code for _ in range(3)] == [200] * 3
    assert requests.get(f"{domo_sandbox.url}/v1/datasets", auth=DomoAuth(provider), timeout=10).status_code == 200
    assert domo_sandbox.stats().token_requests == 1


def test_from_env_shares_the_token_with_every_other(session, domo_sandbox):
    DomoAuth.from_env(scopes=["data"])._provider.reset()
    for scopes in (["data"], "data"):
        auth = DomoAuth.from_env(scopes=scopes)
        assert session.get(f"{domo_sandbox.url}/v1/datasets", auth=auth).status_code == 200
    assert domo_sandbox.stats().token_requests == 1


def test_a_token_that_domo_no_longer_takes_is_replaced(session, provider, domo_sandbox):
    before = provider.get_token()
    domo_sandbox.revoke_tokens()
    response = session.get(f"{domo_sandbox.url}/v1/datasets", auth=DomoAuth(provider))
    assert response.status_code == 200
    assert [earlier.status_code for earlier in response.history] == [401]
    assert provider.get_token() != before
    assert domo_sandbox.stats().token_requests == 2


SENT_AGAIN = {
    "nothing": dict,
    "bytes": lambda: {"data": b"some bytes"},
    "text": lambda: {"data": "some text"},
    "json": lambda: {"json": {"a": 1}},
    "form": lambda: {"data": {"a": "1"}},
    "upload": lambda: {"files": {"upload": ("name.txt", io.BytesIO(b"file content"))}},
    "file": lambda: {"data": io.BytesIO(b"file content")},
}


@pytest.mark.parametrize("name", SENT_AGAIN)
def test_a_body_that_can_be_is_sent_once_more(name, session, auth, api):
    api.refuse = 1
    assert session.post(f"{api.url}/x", auth=auth, **SENT_AGAIN[name]()).status_code == 200
    (first, sent), (second, again) = api.seen
    assert sent == again
    assert (sent == b"") == (name == "nothing")
    assert first != second
    assert first.startswith("Bearer ")


def test_an_api_that_refuses_every_token_does_not_get_one_after_the_other(session, auth, domo_sandbox, api):
    api.refuse = 9
    for _ in range(3):
        assert session.get(f"{api.url}/x", auth=auth).status_code == 401
    assert len(api.seen) == 4
    assert domo_sandbox.stats().token_requests == 2


def test_a_file_is_sent_once_more_from_where_it_stood(session, auth, api):
    api.refuse = 1
    with tempfile.TemporaryFile() as file:
        file.write(b"header, and content")
        file.seek(len(b"header, and "))
        assert session.put(f"{api.url}/x", data=file, auth=auth).status_code == 200
    assert [body for _, body in api.seen] == [b"content"] * 2


class Pipe(io.BytesIO):
    """A file that tells where it is, and cannot be set back."""

    def seek(self, *args: int) -> int:
        raise io.UnsupportedOperation("seek")

    def __len__(self) -> int:
        return len(self.getvalue())


USED_UP = {"generator": lambda: (chunk for chunk in (b"con", b"tent")), "pipe": lambda: Pipe(b"content")}


@pytest.mark.parametrize("name", USED_UP)
def test_a_body_that_is_used_up_is_not_sent_again(name, session, auth, api, provider, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    api.refuse = 1
    before = provider.get_token()
    assert session.post(f"{api.url}/x", data=USED_UP[name](), auth=auth).status_code == 401
    assert [body for _, body in api.seen] == [b"content"]
    assert provider.get_token() != before
    assert "its body cannot be sent again" in caplog.text


def test_a_second_401_goes_to_the_caller(session, auth, api):
    api.refuse = 2
    assert session.get(f"{api.url}/x", auth=auth).status_code == 401
    assert len(api.seen) == 2


def test_another_status_is_none_of_its_business(session, auth, api):
    api.location = "/x"
    assert session.get(f"{api.url}/x", auth=auth, allow_redirects=False).status_code == 307
    assert len(api.seen) == 1


def test_hooks_of_the_caller_see_only_what_comes_of_it(session, auth, api):
    api.refuse = 1
    session.hooks["response"].append(lambda response, **_: response.raise_for_status())
    assert session.get(f"{api.url}/x", auth=auth).status_code == 200


def test_a_request_that_was_prepared_once_can_be_sent_again(session, auth, api):
    prepared = session.prepare_request(requests.Request("GET", f"{api.url}/x", auth=auth))
    api.refuse = 1
    for _ in range(2):
        assert session.send(prepared).status_code == 200
    refused, taken, *others = [token for token, _ in api.seen]
    assert refused != taken
    assert others == [taken], "what replaced the refused one is good, and kept"


def test_a_redirect_after_a_replay_carries_the_token_that_was_good(session, auth, api, monkeypatch):
    def move(*args, another=auth.another, **more):
        api.location = "/y"
        return another(*args, **more)

    def arrive(response, **_):
        assert response.status_code == (307 if api.location else 200)
        api.location = ""

    monkeypatch.setattr(auth, "another", move)
    api.refuse = 1
    assert session.get(f"{api.url}/x", auth=auth, hooks={"response": arrive}).status_code == 200
    refused, *good = [token for token, _ in api.seen]
    assert good[0] != refused
    assert good == [good[0]] * 2


def test_another_origin_gets_no_token_and_the_log_says_so_once(session, provider, api, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    session.auth = DomoAuth(provider)
    for _ in range(2):
        api.refuse = 1
        assert session.get(f"{api.url}/x").status_code == 401
    assert [token for token, _ in api.seen] == [None, None]
    (record,) = [record for record in caplog.records if record.name == "domo_oauth"]
    assert f"not for {api.url}" in record.getMessage()


def test_a_redirect_away_carries_no_token(session, auth, api, serve_api, provider):
    elsewhere: Api = serve_api()
    api.location, elsewhere.refuse = f"{elsewhere.url}/x", 1
    token = provider.get_token()
    assert session.get(f"{api.url}/x", auth=auth).status_code == 401
    assert [token for token, _ in elsewhere.seen] == [None]
    assert provider.get_token() == token, "a stranger's 401 says nothing of the token"


def test_what_a_redirect_led_to_is_sent_once_more_and_not_what_led_to_it(session, auth, api):
    def arrive(response, **_):
        if response.status_code == 307:
            api.location, api.refuse = "", 1

    api.location = "/y"
    response = session.post(f"{api.url}/x", data=b"content", auth=auth, hooks={"response": arrive})
    assert [earlier.status_code for earlier in response.history] == [307]
    assert response.status_code == 200
    tokens = [token for token, _ in api.seen]
    assert tokens[0] == tokens[1] != tokens[2]
    assert [body for _, body in api.seen] == [b"content"] * 3


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_that_was_refused_gives_its_connection_back(stream, session, auth, api):
    api.refuse = 1
    with session.get(f"{api.url}/x", auth=auth, stream=stream) as response:
        assert response.status_code == 200
        assert response._content_consumed is not stream
        assert response.content == b"{}"
        (refused,) = response.history
        assert refused.content == b"{}"
        assert refused.raw.closed or refused.raw.connection is None
    pools = session.adapters["http://"].poolmanager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 -- no mapping


def test_a_refusal_that_breaks_off_is_replayed_all_the_same(session, provider, wire):
    cut_off = wire(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n{", then="close")
    auth = DomoAuth(provider)
    auth._origins = Origins(cut_off.url)
    with session.get(f"{cut_off.url}/x", auth=auth, stream=True) as response:
        assert response.status_code == 401
    assert len(cut_off.requests) == 2


def test_what_the_provider_raises_reaches_the_caller(session, domo_sandbox, monkeypatch):
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "wrong")
    with pytest.raises(InvalidClientError):
        session.get(f"{domo_sandbox.url}/v1/datasets", auth=DomoAuth.from_env())
    assert domo_sandbox.stats().resource_requests == 0


def test_it_shows_no_secret(session, provider, domo_sandbox, auth, api):
    api.refuse = 1
    response = session.get(f"{api.url}/x", auth=auth)
    hidden = [provider.get_token().access_token, domo_sandbox.client_secret]
    for shown in (auth, vars(auth), response, response.request, response.request.hooks):
        assert not [secret for secret in hidden if secret in repr(shown)]


def test_a_pickled_response_carries_no_credentials(session, auth, api, domo_sandbox):
    pickled = pickle.dumps(session.get(f"{api.url}/x", auth=auth))
    assert domo_sandbox.client_secret.encode() not in pickled
    again = pickle.loads(pickled)
    assert again.content == b"{}"
    api.refuse = 1
    assert session.send(again.request).status_code == 401


def test_without_requests_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    monkeypatch.delitem(sys.modules, "domo_oauth.adapters.requests")
    with pytest.raises(ConfigurationError, match=r"pip install 'domo-oauth\[requests\]'"):
        importlib.import_module("domo_oauth.adapters.requests")


def test_the_log_tells_who_refused_and_what_broke_off(session, provider, wire, caplog):
    caplog.set_level(logging.DEBUG, "domo_oauth")
    cut_off = wire(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n{", then="close")
    auth = DomoAuth(provider)
    auth._origins = Origins(cut_off.url)
    with session.get(f"{cut_off.url}/x", auth=auth, stream=True):
        pass
    told = [(record.name, record.getMessage()) for record in caplog.records]
    assert ("domo_oauth", "401 from 127.0.0.1: sent once more") in told
    assert ("domo_oauth", "The body of the 401 broke off: ChunkedEncodingError") in told


class Gone(io.BytesIO):
    """A file whose disk is gone once it was read."""

    def __init__(self) -> None:
        super().__init__(b"content")
        self.gone = False

    def read(self, size: int | None = -1) -> bytes:
        self.gone = True
        return super().read(size)

    def seek(self, *args: int) -> int:
        if self.gone:
            raise OSError("gone")
        return super().seek(*args)


class Closing(io.BytesIO):
    """A file that closes itself at its end."""

    def __init__(self) -> None:
        super().__init__(b"content")

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if not found:
            self.close()
        return found


class Forward:
    """What tells where it is, and goes in one direction only."""

    def __init__(self) -> None:
        self._file = io.BytesIO(b"content")

    def __len__(self) -> int:
        return 7

    def __iter__(self):
        return iter(self._file)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def tell(self) -> int:
        return self._file.tell()


def pipe():
    reads, writes = os.pipe()
    with os.fdopen(writes, "wb") as file:
        file.write(b"content")
    return os.fdopen(reads, "rb")


@pytest.mark.parametrize("body", [Gone, Closing, Forward, pipe])
def test_a_file_that_cannot_be_set_back_is_not_sent_again(body, session, auth, api):
    api.refuse = 1
    file = body()
    assert session.put(f"{api.url}/x", data=file, auth=auth, timeout=20).status_code == 401
    assert [sent for _, sent in api.seen] == [b"content"]
    if hasattr(file, "close"):
        file.close()
