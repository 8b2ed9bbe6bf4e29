"""What only the adapter for requests does. What all adapters do is in ``test_adapters.py``."""

from __future__ import annotations

import io
import os
import pickle

import pytest
import requests
from requests.auth import AuthBase

from domo_oauth.adapters.requests import DomoAuth

from .adapters import Grants, serving


@pytest.fixture
def session():
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def api():
    with serving() as server:
        yield server


@pytest.fixture
def auth(api):
    return DomoAuth(Grants().provider(api.url))


def test_it_is_an_auth_of_requests_for_one_request_too(auth, api):
    assert isinstance(auth, AuthBase)
    assert requests.get(f"{api.url}/x", auth=auth, timeout=10).status_code == 200


def test_nothing_of_the_first_request_shows_the_second_token(session, auth, api):
    kept = []

    class Recorder(requests.adapters.HTTPAdapter):
        """Keeps requests, as caches and recorders do."""

        def send(self, request, **args):
            kept.append(request)
            return super().send(request, **args)

    session.mount("http://", Recorder())
    prepared = session.prepare_request(requests.Request("POST", f"{api.url}/x", data=b"content", auth=auth))
    api.refuse = 1
    response = session.send(prepared)
    (refused,) = response.history
    assert (refused.status_code, response.status_code) == (401, 200)
    assert kept == [prepared, response.request]
    assert refused.request is prepared is not response.request
    assert prepared.headers["Authorization"] == "Bearer token-1"
    assert response.request.headers["Authorization"] == "Bearer token-2"


def test_hooks_of_the_caller_see_only_the_second_response(session, auth, api):
    api.refuse = 1
    session.hooks["response"].append(lambda response, **_: response.raise_for_status())
    assert session.get(f"{api.url}/x", auth=auth).status_code == 200


def test_a_prepared_request_can_be_sent_again(session, auth, api):
    prepared = session.prepare_request(requests.Request("GET", f"{api.url}/x", auth=auth))
    for refuse in (1, 0, 1):
        api.refuse = refuse
        assert session.send(prepared).status_code == 200
    assert api.tokens == ["token-1", "token-2", "token-1", "token-1", "token-2"]


def test_a_redirect_of_the_second_request_is_followed(session, auth, api):
    """It is made from the first request, so that it costs a 401 of its own."""

    class Moving(requests.adapters.HTTPAdapter):
        def send(self, request, **args):
            api.redirects = {"/x": "/y"} if request.headers["Authorization"] == "Bearer token-2" else {}
            api.refuse = request.headers["Authorization"] == "Bearer token-1"
            return super().send(request, **args)

    session.mount("http://", Moving())
    assert session.get(f"{api.url}/x", auth=auth).status_code == 200
    assert [seen[:2] for seen in api.seen] == [
        ("/x", "token-1"),
        ("/x", "token-2"),
        ("/y", "token-1"),
        ("/y", "token-2"),
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_the_refused_response_gives_its_connection_back(stream, session, auth, api):
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


def test_a_401_that_breaks_off_is_replaced_all_the_same(session, wire):
    cut_off = wire(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n{", then="close")
    auth = DomoAuth(Grants().provider(cut_off.url))
    with session.get(f"{cut_off.url}/x", auth=auth, stream=True) as response:
        assert response.status_code == 401
    assert len(cut_off.requests) == 2


def test_a_pickled_response_carries_no_credentials_and_no_adapter(session, auth, api):
    pickled = pickle.dumps(session.get(f"{api.url}/x", auth=auth))
    assert b"canary-secret" not in pickled
    again = pickle.loads(pickled)
    assert again.content == b"{}"
    api.refuse = 1
    assert session.send(again.request).status_code == 401


def test_a_response_shows_no_secret(session, auth, api):
    api.refuse = 1
    response = session.get(f"{api.url}/x", auth=auth)
    for shown in (response, response.request, response.request.hooks):
        assert not [secret for secret in ("token-1", "token-2", "canary-secret") if secret in repr(shown)]


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
    """It knows its position and has no way to change it."""

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
    assert [seen.body for seen in api.seen] == [b"content"]
    if hasattr(file, "close"):
        file.close()
