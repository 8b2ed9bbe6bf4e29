"""Child processes: forks at any moment, pickles and pools."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.to_thread
import pytest

from domo_oauth import ConfigurationError, FileStore, Scope, TokenProvider
from tests.adapters.server import JSON, answer
from tests.fakes import GRANTED, PATIENCE, Endpoint
from tests.stores import processes

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork(): Linux or macOS")


def in_child(call) -> bool:
    """Whether the call returns something true in a fork of this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork of a process with threads
        return processes.in_child(call) == 0


@needs_fork
def test_a_child_has_its_parents_token_and_fetches_its_own_next(provider, endpoint):
    def fetches_another() -> bool:
        provider.invalidate(provider.get_token())
        return provider.get_token().access_token == "canary-token-2" and endpoint.requests == 2

    token = provider.get_token()
    assert in_child(lambda: provider.get_token() is token)
    assert in_child(fetches_another)
    assert endpoint.requests == 1


class Gated(Endpoint):
    """Keeps the requests of this process waiting, and not those of a child."""

    def __init__(self) -> None:
        super().__init__()
        self._pid = os.getpid()
        self.open.clear()

    def handle_request(self, request):
        if os.getpid() != self._pid:
            self.open = threading.Event()
            self.open.set()
            self.requests = 100
        return super().handle_request(request)


@needs_fork
@pytest.mark.parametrize("backend", [None, "asyncio", "trio"])
def test_a_child_forked_during_a_fetch_fetches_for_itself(make, backend):
    endpoint = Gated()
    provider = make(httpx_args={"transport": endpoint})

    def fork() -> bool:
        endpoint.wait_until_asked()
        fetched = in_child(lambda: provider.get_token().access_token == "canary-token-101")
        endpoint.open.set()
        return fetched

    async def main() -> bool:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(provider.aget_token)
            return await anyio.to_thread.run_sync(fork)

    if backend:
        assert anyio.run(main, backend=backend)
    else:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(provider.get_token)
            assert fork()
            waiting.result(PATIENCE)
    assert provider.get_token().access_token == "canary-token-1"


WITHIN_AN_IMPORT = """
import os, signal, sys, threading
from contextlib import suppress
from domo_oauth import InvalidClientError, TokenProvider

reached, forking = threading.Event(), threading.Event()

class Gate:
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            reached.set()
            forking.wait(20)

sys.meta_path.insert(0, Gate())
os.register_at_fork(before=forking.set)  # the last to be registered runs first
provider = TokenProvider.from_env()

def ask():
    with suppress(InvalidClientError):
        provider.get_token()

thread = threading.Thread(target=ask)
thread.start()
assert reached.wait(20)
pid = os.fork()
if not pid:
    signal.alarm(20)
    provider.reset()
    ask()
    os._exit(0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
WITHIN_OPENSSL = """
import os, ssl, sys, threading
from domo_oauth import TokenProvider

reached, forking, forked, made = (threading.Event() for _ in range(4))
make = ssl.create_default_context

def make_slowly(**args):
    reached.set()
    forking.wait(20)
    forked.wait(1)  # by a fork that does not wait for this function
    context = make(**args)
    made.set()
    return context

ssl.create_default_context = make_slowly
os.register_at_fork(before=forking.set, after_in_parent=forked.set)
provider = TokenProvider.from_env(base_url="https://127.0.0.1:9")
threading.Thread(target=provider.get_token, daemon=True).start()
assert reached.wait(20)
pid = os.fork()
if not pid:
    os._exit(not made.is_set())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
IMPORTS_OF_A_FETCH = """
import sys
from contextlib import suppress
from domo_oauth import DomoOAuthError, TokenProvider, request_token

provider = TokenProvider.from_env()
before = set(sys.modules)
with suppress(DomoOAuthError):
    provider.get_token()
print(*(set(sys.modules) - before))
"""
REFUSED = answer(401, {"error": "invalid_client", "timestamp": "2026-01-01T00:00:00.000+0000"}, JSON)
WITHOUT_FORK = """
import os, random, threading, logging, concurrent.futures.thread
vars(os).pop("register_at_fork", None)
from domo_oauth import TokenProvider
print(TokenProvider.from_env().get_token() and "")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "response", "requests"),
    [
        pytest.param(WITHIN_AN_IMPORT, GRANTED, 2, marks=needs_fork, id="a fork while a thread imports httpx"),
        pytest.param(WITHIN_AN_IMPORT, REFUSED, 2, marks=needs_fork, id="a fork while a thread imports dateutil"),
        pytest.param(WITHIN_OPENSSL, GRANTED, 0, marks=needs_fork, id="a fork while OpenSSL loads certificates"),
        pytest.param(IMPORTS_OF_A_FETCH, GRANTED, 1, id="a fetch imports nothing that a child could wait for"),
        pytest.param(WITHOUT_FORK, GRANTED, 1, id="Windows has no fork"),
    ],
)
def test_programs(environment, wire, program, response, requests):
    server = wire(response)
    environment.setenv("DOMO_API_URL", server.url)
    imported = "httpx" if response == GRANTED else "dateutil"
    command = [sys.executable, "-W", "ignore", "-c", program, imported]
    assert subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout.strip() == ""
    assert len(server.requests) == requests


# Pickles


@pytest.fixture
def environment(monkeypatch, credentials):
    monkeypatch.setenv("DOMO_CLIENT_ID", credentials.client_id)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", credentials.client_secret)
    return monkeypatch


def test_a_pickle_carries_the_credentials_and_no_token(credentials, wire):
    server = wire(GRANTED)
    args = {"scopes": ["data", Scope.custom("new")], "base_url": server.url, "httpx_args": {"headers": {"X-Mine": "1"}}}
    provider = TokenProvider(credentials, **args)
    token = provider.get_token()
    pickled = pickle.dumps(provider)
    assert b"acmecompany" not in pickled
    assert credentials.client_secret.encode() in pickled
    assert repr(pickle.loads(pickled)) == repr(provider)
    assert pickle.loads(pickled).get_token() != token
    assert b"X-Mine: 1" in server.requests[-1]


def test_a_pickle_from_the_environment_carries_no_credentials(environment):
    provider = TokenProvider.from_env(scopes="data")
    for _ in range(2):
        pickled = pickle.dumps(provider)
        assert b"canary" not in pickled
        provider = pickle.loads(pickled)
    environment.setenv("DOMO_CLIENT_ID", "the-client-that-it-is-now")
    assert "client_id='the-" in repr(pickle.loads(pickled))
    environment.delenv("DOMO_CLIENT_SECRET")
    with pytest.raises(ConfigurationError, match="DOMO_CLIENT_SECRET"):
        pickle.loads(pickled)


@pytest.mark.usefixtures("environment")
def test_from_env_takes_the_same_arguments_as_the_constructor(endpoint, tmp_path, time):
    args = {"store": FileStore(tmp_path / "tokens"), "base_url": "https://api.elsewhere.test", "clock": time.clock}
    provider = TokenProvider.from_env(scopes="data", httpx_args={"transport": endpoint}, **args)
    assert provider.get_token().access_token == "canary-token-1"
    assert list((tmp_path / "tokens").iterdir())
    assert time.threads
    assert "scopes='data', base_url='https://api.elsewhere.test'" in repr(provider)
