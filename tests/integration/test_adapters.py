"""What every adapter guarantees, with each library and event loop."""

from __future__ import annotations

import importlib
import io
import logging
import sys
import tempfile

import aiohttp
import pytest

from domo_oauth import ClientCredentials, ConfigurationError, FileStore, InvalidClientError, TokenProvider

from .adapters import ADAPTERS, WAYS, Grants, Way, serving


@pytest.fixture(params=WAYS, ids=str)
def way(request) -> Way:
    return request.param


@pytest.fixture
def api():
    with serving() as server:
        yield server


@pytest.fixture
def grants() -> Grants:
    return Grants()


@pytest.fixture
def auth(way, api, grants):
    return way.auth(grants.provider(api.url))


# --- Tokens ----------------------------------------------------------------------------------------------------------


def test_the_first_request_fetches_a_token_and_the_others_reuse_it(way, domo_sandbox):
    auth = way.auth(TokenProvider.from_env())
    for _ in range(2):
        assert way.send(auth, "GET", f"{domo_sandbox.url}/v1/datasets", times=3) == 200
    assert domo_sandbox.stats().token_requests == 1


def test_a_revoked_token_is_replaced(way, domo_sandbox):
    auth = way.auth(TokenProvider.from_env())
    before = auth.provider.get_token()
    domo_sandbox.revoke_tokens()
    assert way.send(auth, "GET", f"{domo_sandbox.url}/v1/datasets") == 200
    assert auth.provider.get_token() != before
    assert domo_sandbox.stats().token_requests == 2


def test_a_second_401_goes_to_the_caller(way, auth, api):
    api.refuse = 2
    assert way.send(auth, "GET", f"{api.url}/x") == 401
    assert api.tokens == ["token-1", "token-2"]


def test_an_api_that_refuses_every_token_does_not_cost_a_fetch_for_each_request(way, auth, api, grants):
    api.refuse = 9
    assert way.send(auth, "GET", f"{api.url}/x", times=3) == 401
    assert len(api.seen) == 4
    assert grants.granted == 2


def test_the_caller_gets_the_error_if_there_is_no_first_token(way, auth, api, grants):
    grants.most = 0
    with pytest.raises(InvalidClientError):
        way.send(auth, "GET", f"{api.url}/x")
    assert api.seen == []


def test_the_caller_gets_the_error_if_there_is_no_second_token(way, auth, api, grants):
    api.refuse, grants.most = 1, 1
    with pytest.raises(InvalidClientError):
        way.send(auth, "GET", f"{api.url}/x")
    assert api.tokens == ["token-1"]


def test_a_401_that_raises_is_noticed(way, auth, api):
    """The client of httpx raises before the adapter can send the request again; the next one gets a new token."""
    api.refuse = 1
    results = way.send(auth, "GET", f"{api.url}/x", times=2, raises=True)
    assert [getattr(result, "response", result) for result in results[1:]] == [200]
    assert (results[0] == 200) == (way.library in {"requests", "aiohttp"})
    assert list(dict.fromkeys(api.tokens)) == ["token-1", "token-2"]


def test_a_second_401_that_raises_reaches_the_caller(way, auth, api):
    api.refuse = 3
    results = way.send(auth, "GET", f"{api.url}/x", raises=True)
    assert [getattr(error, "status", None) or error.response.status_code for error in results] == [401]


# --- Bodies ----------------------------------------------------------------------------------------------------------

RAW = {"httpx": "content", "httpx2": "content", "requests": "data", "aiohttp": "data"}
"""The argument that takes bytes and files."""


def upload(library: str, file: object) -> dict[str, object]:
    if library != "aiohttp":
        return {"files": {"upload": ("name.txt", file)}, "data": {"a": "1"}}
    form = aiohttp.FormData({"a": "1"})
    form.add_field("upload", file, filename="name.txt")
    return {"data": form}


SENT_AGAIN = {
    "nothing": lambda library: {},
    "bytes": lambda library: {RAW[library]: b"some bytes"},
    "text": lambda library: {RAW[library]: "some text"},
    "json": lambda library: {"json": {"a": 1}},
    "form": lambda library: {"data": {"a": "1"}},
    "upload": lambda library: upload(library, io.BytesIO(b"file content")),
}


@pytest.mark.parametrize("kind", SENT_AGAIN)
def test_a_body_that_can_be_sent_twice_is(kind, way, auth, api):
    api.refuse = 1
    assert way.send(auth, "POST", f"{api.url}/x", lambda: SENT_AGAIN[kind](way.library)) == 200
    first, second = api.seen
    assert (first.token, second.token) == ("token-1", "token-2")
    assert first.body == second.body
    assert (first.body == b"") == (kind == "nothing")


@pytest.mark.parametrize("way", [Way("requests"), Way("aiohttp")], ids=str)
def test_a_file_is_sent_again_from_where_it_stood(way, auth, api):
    api.refuse = 1
    content = bytes(range(256)) * 4000
    with tempfile.TemporaryFile() as file:
        file.write(b"header" + content)
        file.seek(len(b"header"))
        assert way.send(auth, "PUT", f"{api.url}/x", lambda: {"data": file}) == 200
    assert [request.body == content for request in api.seen] == [True] * 2


class Pipe(io.BytesIO):
    """A file that knows its position and cannot change it."""

    def seek(self, *args: int) -> int:
        raise io.UnsupportedOperation("seek")

    def seekable(self) -> bool:
        return False

    def __len__(self) -> int:
        return len(self.getvalue())


class OnlyRead:
    """The least that httpx takes for a file."""

    def __init__(self) -> None:
        self.chunks = [b"", b"content"]

    def read(self, _size: int) -> bytes:
        return self.chunks.pop()


def generator(way: Way):
    def chunks():
        yield b"con"
        yield b"tent"

    async def async_chunks():
        for chunk in chunks():
            yield chunk

    return async_chunks() if way.loop or way.library == "aiohttp" else chunks()


def pipe(library: str) -> io.IOBase:
    return io.BufferedReader(Pipe(b"content")) if library == "aiohttp" else Pipe(b"content")


USED_UP = {
    "generator": lambda way: {RAW[way.library]: generator(way)},
    "pipe in a form": lambda way: upload(way.library, io.BufferedReader(Pipe(b"content"))),
    "pipe": lambda way: {
        "data": Pipe(b"content") if way.library == "requests" else io.BufferedReader(Pipe(b"content"))
    },
    "generator in a form": lambda way: upload(way.library, generator(way)),
    "reader in a form": lambda way: upload(way.library, OnlyRead()),
}
ONLY = {"pipe": {"requests", "aiohttp"}, "generator in a form": {"aiohttp"}, "reader in a form": {"httpx", "httpx2"}}
"""Kinds that other libraries read into memory or refuse."""
USED_UP_CASES = [
    pytest.param(way, kind, id=f"{kind}-{way}")
    for kind in USED_UP
    for way in WAYS
    if way.library in ONLY.get(kind, RAW) and (kind, way.library) != ("pipe in a form", "requests")
]


@pytest.mark.parametrize(("way", "kind"), USED_UP_CASES)
def test_a_body_that_is_used_up_is_not_sent_again(way, kind, auth, api, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    api.refuse = 1
    assert way.send(auth, "POST", f"{api.url}/x", lambda: USED_UP[kind](way)) == 401
    assert [(request.token, b"content" in request.body) for request in api.seen] == [("token-1", True)]
    assert "401 from 127.0.0.1; the body of the request cannot be sent again" in caplog.messages
    assert way.send(auth, "GET", f"{api.url}/x") == 200
    assert api.tokens[1:] == ["token-2"], "the next request does not use the refused token"


# --- Redirects, by real servers; tests/secrets/test_origins.py has every trick ---------------------------------------


def test_a_redirect_within_the_origin_keeps_the_token_and_is_what_is_sent_again(way, auth, api):
    api.redirects = {"/x": "/y"}
    assert way.send(auth, "POST", f"{api.url}/x", lambda: {RAW[way.library]: b"content"}) == 200
    assert [request[:2] for request in api.seen] == [("/x", "token-1"), ("/y", "token-1")]
    api.refuse = 1
    assert way.send(auth, "POST", f"{api.url}/x", lambda: {RAW[way.library]: b"content"}) == 200
    assert [request[:2] for request in api.seen[2:]] == [("/x", "token-1"), ("/y", "token-1"), ("/y", "token-2")]
    assert {request.body for request in api.seen} == {b"content"}


def test_the_401_of_another_origin_says_nothing_about_the_token(way, auth, api):
    with serving() as elsewhere:
        elsewhere.refuse = 2
        api.redirects = {"/x": f"{elsewhere.url}/y"}
        assert way.send(auth, "GET", f"{api.url}/x") == 401
        assert isinstance(way.send(auth, "GET", f"{api.url}/x", raises=True)[0], Exception)
        assert elsewhere.tokens == [None] * 2
    assert auth.provider.get_token().access_token == "token-1"


def test_a_request_to_another_origin_carries_no_token_and_is_logged_once(way, auth, caplog):
    with serving() as elsewhere:
        elsewhere.refuse = 1
        assert way.send(auth, "GET", f"{elsewhere.url}/x", times=2) == 200
        assert elsewhere.tokens == [None, None]
    (record,) = [record for record in caplog.records if record.name.startswith("domo_oauth")]
    assert f"to {elsewhere.url}:" in record.getMessage()
    assert record.levelname == "WARNING"


# --- Construction ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=ADAPTERS)
def adapter(request):
    return ADAPTERS[request.param].DomoAuth


def test_provider_and_base_url_can_be_read_only(adapter, credentials):
    provider = TokenProvider(credentials, base_url="https://api.example.test/")
    auth = adapter(provider)
    assert auth.provider is provider
    assert auth.base_url == "https://api.example.test"
    for name in ("provider", "base_url"):
        with pytest.raises(AttributeError):
            setattr(auth, name, None)


def test_from_env_and_from_client_take_what_a_provider_takes(adapter, monkeypatch, tmp_path):
    args = {"scopes": "data", "store": FileStore(tmp_path / "tokens"), "base_url": "https://api.example.test"}
    monkeypatch.setenv("DOMO_CLIENT_ID", "client")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "canary-secret")
    makers = [adapter.from_env, lambda **more: adapter.from_client("client", "canary-secret", **more)]
    for make in makers:
        auth = make(**args, httpx_args={"timeout": 5}, hosts=["example.domo.test"])
        assert auth.provider.base_url == "https://api.example.test"
        for shown in (repr(auth.provider), repr(TokenProvider(ClientCredentials("client", "canary-secret"), **args))):
            assert "scopes='data'" in shown
        with pytest.raises(ConfigurationError, match="in hosts must look like"):
            make(**args, hosts=["https://x.test"])


def test_from_env_shares_its_token(way, domo_sandbox):
    adapter = ADAPTERS[way.library].DomoAuth
    for scopes in (["data"], "data"):
        assert way.send(adapter.from_env(scopes=scopes), "GET", f"{domo_sandbox.url}/v1/datasets") == 200
    assert domo_sandbox.stats().token_requests == 1


def test_from_client_gets_a_token(way, domo_sandbox):
    auth = ADAPTERS[way.library].DomoAuth.from_client(domo_sandbox.client_id, domo_sandbox.client_secret)
    assert way.send(auth, "GET", f"{domo_sandbox.url}/v1/datasets") == 200


WRONG = {
    "a secret for a provider": lambda adapter, secret: adapter(secret),
    "a secret with a line end": lambda adapter, secret: adapter.from_client("client", f"{secret}\n"),
    "a secret for the id": lambda adapter, secret: adapter.from_client(f"{secret}:", "x"),
    "a URL": lambda adapter, secret: adapter.from_client("client", secret, base_url="ftp://x"),
    "a proxy's password": lambda adapter, secret: adapter.from_client(
        "a", "b", base_url=":", httpx_args={"proxy": secret}
    ),
    "a password, from_env": lambda adapter, secret: adapter.from_env(httpx_args={"proxy": secret}),
    "a host": lambda adapter, secret: adapter.from_client("client", secret, hosts=["a@b"]),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_error_keeps_no_secret_in_its_frames(what, adapter):
    with pytest.raises(ConfigurationError) as caught:
        WRONG[what](adapter, "canary-secret")
    assert "canary" not in str(caught.value)
    frames, trace = [], caught.tb
    while trace := trace.tb_next:
        if "domo_oauth" in trace.tb_frame.f_code.co_filename:
            frames.append(repr(trace.tb_frame.f_locals))
    assert frames
    assert not [frame for frame in frames if "canary" in frame]


def test_it_shows_no_secret(auth, way, api):
    api.refuse = 1
    way.send(auth, "GET", f"{api.url}/x")
    for shown in (repr(auth), repr(vars(auth))):
        assert not [secret for secret in ("token-1", "token-2", "canary-secret") if secret in shown]


@pytest.mark.parametrize("library", ["requests", "aiohttp", "httpx2"])
def test_without_the_library_the_error_says_what_to_install(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"domo_oauth.adapters.{library}")
    with pytest.raises(ConfigurationError, match=rf"pip install 'domo-oauth\[{library}\]'"):
        importlib.import_module(f"domo_oauth.adapters.{library}")
