"""What only the adapter for requests does."""

from __future__ import annotations

import pickle

import pytest
import requests
from requests.auth import AuthBase

from tests.adapters.ways import Way

pytestmark = pytest.mark.parametrize("way", [Way("requests")], ids=str)


@pytest.fixture
def session():
    with requests.Session() as session:
        session.trust_env = False
        yield session


class Recorder(requests.adapters.HTTPAdapter):
    """Keeps requests, as caches and recorders do."""

    def __init__(self) -> None:
        super().__init__()
        self.kept, self.args = [], []

    def send(self, request, **args):
        self.kept.append(request)
        self.args.append(args)
        return super().send(request, **args)


def test_nothing_of_the_first_request_shows_the_second_token(session, auth, api):
    assert isinstance(auth, AuthBase)
    recorder = Recorder()
    session.mount("http://", recorder)
    prepared = session.prepare_request(requests.Request("POST", f"{api.url}/x", data=b"content", auth=auth))
    api.refuse = 1
    response = session.send(prepared, timeout=45)
    (refused,) = response.history
    assert (refused.status_code, response.status_code) == (401, 200)
    assert recorder.kept == [prepared, response.request]
    assert recorder.args == [recorder.args[0]] * 2
    assert recorder.args[1]["timeout"] == 45
    assert "Authorization" not in refused.request.headers  # requests-cache writes the history to disk
    assert refused.request.headers.items() <= prepared.headers.items()
    assert refused.request is not prepared is not response.request
    assert prepared.headers["Authorization"] == "Bearer token-1"
    assert response.request.headers["Authorization"] == "Bearer token-2"
    for shown in (response, response.request, response.request.hooks):
        assert not [secret for secret in ("token-1", "token-2", "canary-secret") if secret in repr(shown)]


def test_a_prepared_request_can_be_sent_again(session, auth, api):
    prepared = session.prepare_request(requests.Request("GET", f"{api.url}/x", auth=auth))
    for refuse in (1, 0, 1):
        api.refuse = refuse
        assert session.send(prepared).status_code == 200
    assert api.tokens == ["token-1", "token-2", "token-1", "token-1", "token-2"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_refused_response_gives_its_connection_back(stream, session, auth, api):
    api.refuse = 1
    with session.get(f"{api.url}/x", auth=auth, stream=stream) as response:
        assert response._content_consumed is not stream
        assert response.content == b"{}"
        assert response.history[0].content == b"{}"
    pools = session.adapters["http://"].poolmanager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 -- no mapping


def test_a_401_that_breaks_off_is_replaced_all_the_same(session, wire, grants, way):
    cut_off = wire(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n{", then="close")
    with session.get(f"{cut_off.url}/x", auth=way.auth(grants.provider(cut_off.url)), stream=True) as response:
        assert response.status_code == 401
    assert len(cut_off.requests) == 2


def test_a_pickled_response_carries_no_credentials_and_no_adapter(session, auth, api):
    pickled = pickle.dumps(session.get(f"{api.url}/x", auth=auth))
    assert b"canary-secret" not in pickled
    again = pickle.loads(pickled)
    assert again.content == b"{}"
    api.refuse = 1
    assert session.send(again.request).status_code == 401
