"""What every adapter guarantees, with each library and event loop."""

from __future__ import annotations

import importlib
import io
import logging
import re
import sys
from types import SimpleNamespace

import aiohttp
import pytest

from domo_oauth import ConfigurationError, FileStore, InvalidClientError
from domo_oauth.adapters.pydomo import Domo
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
    assert api.tokens == [None, "token-1", "token-1"] * 2  # None: the request for the token


def test_an_api_that_refuses_every_token_causes_few_token_requests(way, auth, api, grants):
    api.refuse = 9
    assert way.send(auth, "GET", f"{api.url}/x", times=3) == 401
    assert api.tokens == ["token-1", *["token-2"] * 3]
    assert grants.granted == 2
    for shown in (repr(auth), repr(vars(auth))):
        assert not [secret for secret in ("token-1", "token-2", "canary-secret") if secret in shown]


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


# Bodies.

RAW = {"httpx": "content", "httpx2": "content", "requests": "data", "aiohttp": "data"}
"""The argument that takes bytes and files."""


def upload(library: str, file: object) -> dict[str, object]:
    if library != "aiohttp":
        return {"files": {"upload": ("name.txt", file)}, "data": {"a": "1"}}
    form = aiohttp.FormData({"a": "1"})
    form.add_field("upload", file, filename="name.txt")
    return {"data": form}


def read_from(position: int, content: bytes) -> object:
    file = io.BytesIO(content)
    file.seek(position)
    return file


ALL, H = set(RAW), {"httpx", "httpx2"}
SENT_AGAIN = {
    "nothing": (ALL, lambda library: {}),
    "bytes": (ALL, lambda library: {RAW[library]: b"some bytes"}),
    "text": (ALL, lambda library: {RAW[library]: "some text"}),
    "json": (ALL, lambda library: {"json": {"a": 1}}),
    "form": (ALL, lambda library: {"data": {"a": "1"}}),
    "upload": (ALL, lambda library: upload(library, io.BytesIO(b"file content"))),
    "file, from where it stood": (ALL - H, lambda library: {"data": read_from(6, b"header" + bytes(10**6))}),
}


class Pipe(io.BytesIO):
    """A file that knows its position and cannot change it."""

    def seek(self, *args: int) -> int:
        raise io.UnsupportedOperation("seek")

    def seekable(self) -> bool:
        return False

    def __len__(self) -> int:
        return len(self.getvalue())


class Closing(io.BytesIO):
    """A file that closes itself at its end."""

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if not found:
            self.close()
        return found


def reader(*chunks: bytes):
    left = iter(chunks)
    return lambda _size: next(left)


def generator(way: Way):
    def chunks():
        yield b"con"
        yield b"tent"

    async def async_chunks():
        for chunk in chunks():
            yield chunk

    return async_chunks() if way.loop else chunks()


USED_UP = {
    "generator": (ALL, lambda way: {RAW[way.library]: generator(way)}),
    "pipe in a form": (ALL - {"requests"}, lambda way: upload(way.library, io.BufferedReader(Pipe(b"content")))),
    "pipe": ({"aiohttp"}, lambda way: {"data": io.BufferedReader(Pipe(b"content"))}),
    "pipe with a length": ({"requests"}, lambda way: {"data": Pipe(b"content")}),
    "file that closes itself": ({"requests"}, lambda way: {"data": Closing(b"content")}),
    "generator in a form": ({"aiohttp"}, lambda way: upload(way.library, generator(way))),
    "reader in a form": (H, lambda way: upload(way.library, SimpleNamespace(read=reader(b"content", b"")))),
}
"""Kinds of bodies, and which libraries stream them; others read them into memory or refuse them."""


def cases(kinds: dict[str, tuple[set[str], object]]):
    found = [(way, kind) for kind, (libraries, _) in kinds.items() for way in WAYS if way.library in libraries]
    return pytest.mark.parametrize(("way", "kind"), found, ids=[f"{kind}-{way}" for way, kind in found])


@cases(SENT_AGAIN)
def test_a_replayable_body_is_sent_again(kind, way, auth, api):
    api.refuse = 1
    assert way.send(auth, "POST", f"{api.url}/x", lambda: SENT_AGAIN[kind][1](way.library)) == 200
    first, second = api.seen
    assert (first.token, second.token) == ("token-1", "token-2")
    assert first.body == second.body
    assert (first.body == b"") == (kind == "nothing")
    assert b"header" not in first.body


@cases(USED_UP)
def test_a_body_that_is_used_up_is_not_sent_again(way, kind, auth, api, caplog):
    caplog.set_level(logging.DEBUG, "domo_oauth")
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


def test_the_401_of_another_origin_says_nothing_about_the_token_and_it_is_logged_once(way, auth, api, caplog):
    with Api() as elsewhere:
        elsewhere.refuse = 9
        api.redirects = {"/x": f"{elsewhere.url}/y"}
        assert way.send(auth, "GET", f"{api.url}/x") == 401
        assert isinstance(way.send(auth, "GET", f"{api.url}/x", raises=True)[0], Exception)
        assert way.send(auth, "GET", f"{elsewhere.url}/x", times=2) == 401
        assert elsewhere.tokens == [None] * 4
    assert auth.provider.get_token().access_token == "token-1"
    (warning,) = [record for record in caplog.records if record.name.startswith("domo_oauth")]
    assert f"to {elsewhere.url}:" in warning.getMessage()


# Construction.


@pytest.fixture(params=ADAPTERS)
def adapter(request):
    return ADAPTERS[request.param].DomoAuth


@pytest.mark.parametrize("kind", [*(each.DomoAuth for each in ADAPTERS.values()), Domo], ids=[*ADAPTERS, "pydomo"])
def test_the_prefix_and_the_arguments_reach_the_provider(kind, monkeypatch):
    for name, value in ("CLIENT_ID", "acme-client"), ("CLIENT_SECRET", "canary-secret"):
        monkeypatch.setenv(f"ACME_{name}", value)
    for made in kind.from_env("ACME_", scopes="data"), kind.from_client("acme-client", "canary-secret", scopes="data"):
        assert re.search("client_id='acm.*scopes='data'", repr(made.provider))


def test_from_env_and_from_client_take_what_a_provider_takes(adapter, monkeypatch, tmp_path):
    store = FileStore(tmp_path / "tokens")
    args = {"scopes": "data", "store": store, "base_url": "https://api.example.test/", "httpx_args": {"timeout": 5}}
    monkeypatch.setenv("DOMO_CLIENT_ID", "client")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "canary-secret")
    for make in (adapter.from_env, lambda **more: adapter.from_client("client", "canary-secret", **more)):
        auth = make(**args, hosts=["example.domo.test"])
        assert auth.base_url == auth.provider.base_url == "https://api.example.test"
        assert "scopes='data'" in repr(auth.provider)
        assert (auth.provider._store, auth.provider._httpx_args) == (store, {"timeout": 5})
        with pytest.raises(ConfigurationError, match="in hosts must look like"):
            make(**args, hosts=["https://x.test"])


def test_what_is_not_a_provider_is_refused(adapter):
    with pytest.raises(ConfigurationError, match=r"^The first argument of DomoAuth must be of the type TokenProvider"):
        adapter("canary-id")


PROXY = {"proxy": "canary-secret"}
WRONG = {
    "a secret for a provider": lambda adapter, secret: adapter(secret),
    "a secret with a line end": lambda adapter, secret: adapter.from_client("client", f"{secret}\n"),
    "a secret for the id": lambda adapter, secret: adapter.from_client(f"{secret}:", "x"),
    "a URL beside a proxy": lambda adapter, _: adapter.from_client("a", "b", base_url=":", httpx_args=PROXY),
    "no variables beside a proxy": lambda adapter, _: adapter.from_env(httpx_args=PROXY),
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


@pytest.mark.parametrize("library", ["requests", "aiohttp", "httpx2", "pydomo"])
def test_without_the_library_the_error_says_what_to_install(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"domo_oauth.adapters.{library}", raising=False)
    with pytest.raises(ConfigurationError, match=rf"pip install 'domo-oauth\[{library}\]'"):
        importlib.import_module(f"domo_oauth.adapters.{library}")
