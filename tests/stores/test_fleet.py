"""Many processes with one store: how many requests they make, who waits, and what a fault costs.

Nothing depends on how fast the machine is: the processes tell what a test waits for.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domo_oauth import ClientCredentials, FileStore, TokenProvider, timing
from tests.adapters.server import JSON, Server, answer
from tests.stores.processes import fleet
from tests.stores.redis_server import RedisServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def endpoint(monkeypatch) -> Iterator[Server]:
    """A token endpoint that takes its time."""
    numbers = itertools.count(1)

    def grant(request: bytes) -> bytes:
        time.sleep(endpoint.delay)
        token = {"access_token": f"canary-token-{next(numbers)}", "token_type": "bearer", "expires_in": 3599}
        return answer(200, token | {"customer": "acmecompany"}, JSON)

    with Server(grant) as endpoint:
        endpoint.delay = 0.2
        monkeypatch.setenv("DOMO_API_URL", endpoint.url)
        monkeypatch.setenv("DOMO_CLIENT_ID", "canary-client")
        monkeypatch.setenv("DOMO_CLIENT_SECRET", "canary-secret")
        yield endpoint


def patient(url: str) -> str:
    """A URL for counts that must not depend on how busy this machine is."""
    return f"{url}?socket_connect_timeout=30&socket_timeout=30"


@pytest.fixture(params=["file", pytest.param("redis", marks=pytest.mark.slow)])
def where(request, tmp_path) -> str:
    """Where the processes share a token, for `open_store`."""
    if request.param == "file":
        return str(tmp_path / "store")
    return patient(request.getfixturevalue("server").url)


@pytest.fixture
def pause(tmp_path) -> Path:
    (tmp_path / "pause").touch()
    return tmp_path / "pause"


def tokens(done: list[dict[str, Any]], which: str = "renewed") -> set[str]:
    return {each[which] for each in done}


NUMBERS = [4, pytest.param(32, marks=pytest.mark.slow)]


@pytest.mark.parametrize("number", NUMBERS)
def test_processes_that_start_at_once_make_one_request(number, where, endpoint):
    with fleet(number, where) as processes:
        processes.start()
        done = processes.done()
    assert len(endpoint.requests) == len(tokens(done)) == 1
    assert max(each["waited"] for each in done) < timing.LOCK_WAIT
    assert not [each["warnings"] for each in done if each["warnings"]]


@pytest.mark.slow
@pytest.mark.parametrize("number", [4, 32])
def test_processes_that_renew_at_once_make_one_request_and_nobody_waits(number, where, endpoint):
    with fleet(number, where, "stale") as processes:
        assert len(endpoint.requests) == 1
        processes.start()
        done = processes.done()
    assert len(endpoint.requests) == 2
    assert tokens(done, "token") == tokens(processes.ready, "token") != tokens(done)
    assert len(tokens(done)) == 1
    assert {each["waits"] for each in done} == {0}


@pytest.mark.slow
def test_processes_that_start_at_once_share_a_refusal(where, endpoint):
    endpoint.grant = lambda request: answer(429, "", "Retry-After: 60")
    with fleet(32, where) as processes:
        processes.start()
        told = {processes.until("refused")["error"] for _ in range(32)}
    assert len(endpoint.requests) == len(told) == 1
    assert "RateLimitedError" in told.pop()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["cold", "stale"])
def test_when_the_process_that_asks_is_killed_another_asks(mode, where, endpoint, pause):
    with fleet(16, where, mode, pause) as processes:
        before = len(endpoint.requests)
        processes.start()
        killed = processes.until("answered")["pid"]
        pause.unlink()
        os.kill(killed, signal.SIGKILL)  # it has the answer, and the lock
        done = processes.done(15)
    assert len(endpoint.requests) in {before + 1, before + 2}
    assert len(tokens(done)) == 1
    assert max(each["took"] for each in done) < timing.LOCK_WAIT
    if mode == "stale":
        assert {each["waits"] for each in done} == {0}


@pytest.mark.slow
def test_waiting_processes_that_are_killed_change_nothing(where, endpoint, pause):
    with fleet(16, where, pause=pause) as processes:
        processes.start()
        holder = processes.until("answered")["pid"]
        for each in [ready["pid"] for ready in processes.ready if ready["pid"] != holder][:8]:
            os.kill(each, signal.SIGKILL)
        pause.unlink()
        done = processes.done(8)
    assert len(endpoint.requests) == len(tokens(done)) == 1


@pytest.mark.slow
def test_a_process_that_was_stopped_is_waited_for_once(endpoint, tmp_path, pause):
    """Ctrl-Z, a debugger, docker pause, a laptop's lid: it holds the lock, and does not die."""
    with fleet(3, str(tmp_path / "store"), pause=pause) as processes:
        processes.start()
        stopped = processes.until("answered")["pid"]
        os.kill(stopped, signal.SIGSTOP)
        pause.unlink()
        waited = sorted(each["waited"] for each in processes.done(2))
        assert timing.LOCK_WAIT <= waited[0] <= waited[1] < timing.LOCK_WAIT + 5
        later = TokenProvider(ClientCredentials.from_env(), store=FileStore(tmp_path / "store"))
        assert later.get_token(timeout=5)
        assert later.stats().stored == 1
        os.kill(stopped, signal.SIGCONT)
        assert processes.until("done")["pid"] == stopped
    assert len(endpoint.requests) <= 3


# Faults of a Redis server.


def change_password(server: RedisServer) -> None:
    server.run("CONFIG", "SET", "requirepass", "another")
    with server.client(password="another") as client:
        client.client_kill_filter(_type="normal", skipme=True)


def become_a_replica(server: RedisServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    server.run("REPLICAOF", "127.0.0.1", port)


def fill_up(server: RedisServer) -> None:
    server.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.run("CONFIG", "SET", "maxmemory", 1)


FAULTS: dict[str, tuple[Callable[[RedisServer], object], str]] = {
    "stopped": (RedisServer.stop, "cannot be reached"),
    "restarted": (RedisServer.restart, ""),
    "flushed": (lambda server: server.run("FLUSHALL"), ""),
    "hangs": (RedisServer.pause, "did not answer in time"),
    "full": (fill_up, "is full"),
    "password": (change_password, "refused the user or password"),
    "replica": (become_a_replica, "is a replica"),
}
"""What happens, and what the warnings say; nothing where the server is as good as new."""
FEW = 4


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "within a fetch", "before a renewal"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_a_request_and_a_warning(fault, when, own_server, endpoint, pause):
    cause, told = FAULTS[fault]
    within, renewal = when == "within a fetch", when == "before a renewal"
    with fleet(FEW, own_server.url, "stale" if renewal else "cold", pause if within else "") as processes:
        before = len(endpoint.requests)
        if within:
            processes.start()
            processes.until("answered")
        cause(own_server)
        pause.unlink()
        if not within:
            processes.start()
        done = processes.done()
    with contextlib.suppress(AttributeError):  # it was stopped
        own_server.resume()
    requests = len(endpoint.requests) - before
    assert requests == sum(each["requests"] for each in done)
    assert max(each["took"] for each in done) < timing.LOCK_WAIT
    warnings = [each["warnings"] for each in done]
    if within:  # who waits while the connections are cut sees only that
        assert 1 <= requests <= FEW
        assert all(len(each) <= 1 for each in warnings)
        assert all(told in each[0] or "cannot be reached" in each[0] for each in warnings if each)
    else:
        assert requests == (FEW if told else 1)
        assert all(len(each) == 1 and told in each[0] for each in warnings) if told else not any(warnings)
    if renewal:
        assert tokens(done, "token") == tokens(processes.ready, "token"), "the old one meanwhile"
        assert not tokens(processes.ready, "token") & tokens(done)
