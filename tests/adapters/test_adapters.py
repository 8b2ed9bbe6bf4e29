"""What every adapter guarantees, with each library and event loop."""

from __future__ import annotations

import importlib
import io
import logging
import sys
import tempfile

import aiohttp
import pytest

from domo_oauth import ConfigurationError, FileStore, InvalidClientError, TokenProvider
from tests.adapters.server import GRANTED, JSON, Api, answer
from tests.adapters.ways import ADAPTERS, WAYS, Way

# Tokens.


def test_the_first_request_fetches_a_token_and_the_others_reuse_it(way, monkeypatch):
    granted = answer(200, {"access_token": "token-1", **GRANTED}, JSON)
    adapter = ADAPTERS[way.library].DomoAuth
    with Api(lambda request: granted) as api:
        for name, value in ("API_URL", api.url), ("CLIENT_ID", "client"), ("CLIENT_SECRET", "canary-secret"):
            monkeypatch.setenv(f"DOMO_{name}", value)
        for auth in (adapter.from_env(scopes="data"), adapter.from_client("client", "canary-secret", scopes=["data"])):
            assert way.send(auth, "GET", f"{api.url}/x", times=2) == 200
    assert len(api.requests) - len(api.api_requests) == 1
    assert api.tokens[1:] == ["token-1"] * 4


def test_a_second_401_goes_to_the_caller(way, auth, api):
    api.refuse = 2
    assert way.send(auth, "GET", f"{api.url}/x") == 401
    assert api.tokens == ["token-1", "token-2"]


def test_an_api_that_refuses_every_token_does_not_cost_a_fetch_for_each_request(way, auth, api, grants):
    api.refuse = 9
    assert way.send(auth, "GET", f"{api.url}/x", times=3) == 401
    assert len(api.seen) == 4
    assert grants.granted == 2


@pytest.mark.parametrize("most", [0, 1])
def test_without_a_token_the_caller_gets_the_error(most, way, auth, api, grants):
    api.refuse, grants.most = 1, most
    with pytest.raises(InvalidClientError):
        way.send(auth, "GET", f"{api.url}/x")
    assert api.tokens == ["token-1"][:most]


def test_a_401_that_raises_is_noticed(way, auth, api):
    """The client of httpx raises before the adapter can send the request again; the next request gets a new token."""
    api.refuse = 1
    first, second = way.send(auth, "GET", f"{api.url}/x", times=2, raises=True)
    assert (first == 200) == (way.library in {"requests", "aiohttp"})
    assert second == 200
    assert list(dict.fromkeys(api.tokens)) == ["token-1", "token-2"]


def test_a_second_401_that_raises_reaches_the_caller(way, auth, api):
    api.refuse = 3
    (error,) = way.send(auth, "GET", f"{api.url}/x", raises=True)
    assert (getattr(error, "status", None) or error.response.status_code) == 401


# Bodies.

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


@pytest.mark.parametrize("way", [Way("requests"), Way("aiohttp", "asyncio")], ids=str)
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


class Gone(io.BytesIO):
    """A file that cannot be read again: its disk is gone."""

    gone = False

    def read(self, size: int | None = -1) -> bytes:
        self.gone = True
        return super().read(size)

    def seek(self, *args: int) -> int:
        if self.gone:
            raise OSError("gone")
        return super().seek(*args)


class Closing(io.BytesIO):
    """A file that closes itself at its end."""

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if not found:
            self.close()
        return found


def generator(way: Way):
    def chunks():
        yield b"con"
        yield b"tent"

    async def async_chunks():
        for chunk in chunks():
            yield chunk

    return async_chunks() if way.loop else chunks()


ALL, H = set(RAW), {"httpx", "httpx2"}
USED_UP = {
    "generator": (ALL, lambda way: {RAW[way.library]: generator(way)}),
    "file": (H, lambda way: {"content": io.BytesIO(b"content")}),
    "pipe in a form": (ALL - {"requests"}, lambda way: upload(way.library, io.BufferedReader(Pipe(b"content")))),
    "pipe": ({"aiohttp"}, lambda way: {"data": io.BufferedReader(Pipe(b"content"))}),
    "pipe with a length": ({"requests"}, lambda way: {"data": Pipe(b"content")}),
    "file that is gone": ({"requests"}, lambda way: {"data": Gone(b"content")}),
    "file that closes itself": ({"requests"}, lambda way: {"data": Closing(b"content")}),
    "generator in a form": ({"aiohttp"}, lambda way: upload(way.library, generator(way))),
    "reader in a form": (H, lambda way: upload(way.library, OnlyRead())),
}
"""Kinds of bodies, and which libraries stream them; others read them into memory or refuse them."""
USED_UP_CASES = [
    pytest.param(way, kind, id=f"{kind}-{way}")
    for kind, (libraries, _) in USED_UP.items()
    for way in WAYS
    if way.library in libraries and not (kind == "file" and way.loop)
]


@pytest.mark.parametrize(("way", "kind"), USED_UP_CASES)
def test_a_body_that_is_used_up_is_not_sent_again(way, kind, auth, api, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    api.refuse = 1
    assert way.send(auth, "POST", f"{api.url}/x", lambda: USED_UP[kind][1](way)) == 401
    assert [(request.token, b"content" in request.body) for request in api.seen] == [("token-1", True)]
    assert "401 from 127.0.0.1; the body of the request cannot be sent again" in caplog.messages
    assert way.send(auth, "GET", f"{api.url}/x") == 200
    assert api.tokens[1:] == ["token-2"], "the next request does not use the refused token"


# Redirects; test_origins.py has more.


def test_a_redirect_within_the_origin_keeps_the_token_and_is_what_is_sent_again(way, auth, api):
    api.redirects = {"/x": "/y"}
    for refuse in (0, 1):
        api.refuse = refuse
        assert way.send(auth, "POST", f"{api.url}/x", lambda: {RAW[way.library]: b"content"}) == 200
    first = [("/x", "token-1"), ("/y", "token-1")]
    assert [request[:2] for request in api.seen] == [*first, *first, ("/y", "token-2")]
    assert {request.body for request in api.seen} == {b"content"}


def test_the_401_of_another_origin_says_nothing_about_the_token(way, auth, api):
    with Api() as elsewhere:
        elsewhere.refuse = 2
        api.redirects = {"/x": f"{elsewhere.url}/y"}
        assert way.send(auth, "GET", f"{api.url}/x") == 401
        assert isinstance(way.send(auth, "GET", f"{api.url}/x", raises=True)[0], Exception)
        assert elsewhere.tokens == [None] * 2
    assert auth.provider.get_token().access_token == "token-1"


def test_a_request_to_another_origin_carries_no_token_and_is_logged_once(way, auth, caplog):
    with Api() as elsewhere:
        elsewhere.refuse = 1
        assert way.send(auth, "GET", f"{elsewhere.url}/x", times=2) == 200
        assert elsewhere.tokens == [None, None]
    (record,) = [record for record in caplog.records if record.name.startswith("domo_oauth")]
    assert f"to {elsewhere.url}:" in record.getMessage()
    assert record.levelname == "WARNING"


# Construction.


@pytest.fixture(params=ADAPTERS)
def adapter(request):
    return ADAPTERS[request.param].DomoAuth


def test_provider_and_base_url_are_read_only(adapter, credentials):
    provider = TokenProvider(credentials, base_url="https://api.example.test/")
    auth = adapter(provider)
    assert (auth.provider, auth.base_url) == (provider, "https://api.example.test")
    for name in ("provider", "base_url"):
        with pytest.raises(AttributeError):
            setattr(auth, name, None)


def test_from_env_and_from_client_take_what_a_provider_takes(adapter, monkeypatch, tmp_path):
    store = FileStore(tmp_path / "tokens")
    args = {"scopes": "data", "store": store, "base_url": "https://api.example.test", "httpx_args": {"timeout": 5}}
    monkeypatch.setenv("DOMO_CLIENT_ID", "client")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "canary-secret")
    for make in (adapter.from_env, lambda **more: adapter.from_client("client", "canary-secret", **more)):
        provider = make(**args, hosts=["example.domo.test"]).provider
        assert provider.base_url == "https://api.example.test"
        assert "scopes='data'" in repr(provider)
        assert (provider._store, provider._httpx_args) == (store, {"timeout": 5})
        with pytest.raises(ConfigurationError, match="in hosts must look like"):
            make(**args, hosts=["https://x.test"])


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
    "port 80": lambda adapter, secret: adapter.from_client("client", secret, base_url="http://localhost"),
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
