"""`domo-oauth proxy`, the local gateway that adds the token: run on a thread, in front of a fake Domo."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from domo_oauth import ClientCredentials, TokenProvider, serving
from domo_oauth.proxy import Access, create_app
from tests.adapters.server import GRANTED, JSON, Api, answer
from tests.fakes import PATIENCE, until

SECRET = "canary-secret"
KEY = "canary-key-of-the-proxy"


class Grants:
    """Grants a new token for each request."""

    number = 0

    def __call__(self, _request: bytes) -> bytes:
        self.number += 1
        token = {"access_token": f"canary-token-{self.number}", **GRANTED}
        return answer(200, token, JSON)


@pytest.fixture
def api() -> Iterator[Api]:
    with Api(Grants()) as server:
        yield server


@contextmanager
def running(access: Access, base_url: str) -> Iterator[httpx.Client]:
    """Run the proxy on a thread. Yields a client of it, which sends the key and nothing that httpx adds."""
    provider = TokenProvider(ClientCredentials("canary-id", SECRET), base_url=base_url)
    server = serving.server(create_app(provider, access), grace=1, date_header=False)
    listener = serving.listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=[[listener]])
    thread.start()
    until(lambda: server.started)
    headers = {"Authorization": f"Bearer {access.key}"} if access.key else {}
    with httpx.Client(base_url=serving.url_of(listener), headers=headers, trust_env=False, timeout=PATIENCE) as client:
        yield client
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def proxy(api):
    """A running proxy: ``proxy(Access(...))``, by default with a key."""
    with ExitStack() as stack:
        yield lambda access=None, url=api.url: stack.enter_context(running(access or Access(KEY), url))
