"""Many processes with one store: how many requests they make, and what it costs if one of them dies or stops.

Nothing depends on how fast the machine is: the processes say what a test waits for.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from domo_oauth import FileStore, TokenProvider, timing
from tests.adapters.server import JSON, Server, answer
from tests.fakes import freeze
from tests.stores.processes import fleet

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def endpoint(monkeypatch) -> Iterator[Server]:
    """A token endpoint that takes its time."""
    numbers = itertools.count(1)

    def grant(request: bytes) -> bytes:
        time.sleep(0.2)
        token = {"access_token": f"canary-token-{next(numbers)}", "token_type": "bearer", "expires_in": 3599}
        return answer(200, token | {"customer": "acmecompany"}, JSON)

    with Server(grant) as endpoint:
        for name, value in {"API_URL": endpoint.url, "CLIENT_ID": "canary", "CLIENT_SECRET": "canary-secret"}.items():
            monkeypatch.setenv(f"DOMO_{name}", value)
        yield endpoint


@pytest.fixture(params=["file", pytest.param("redis", marks=pytest.mark.slow)])
def where(request, tmp_path) -> str:
    """Where the processes share a token, for `open_store`. Redis gets all the time that a busy machine needs."""
    if request.param == "file":
        return str(tmp_path / "store")
    return f"{request.getfixturevalue('server').url}?socket_connect_timeout=30&socket_timeout=30"


@pytest.fixture
def pause(tmp_path) -> Path:
    (tmp_path / "pause").touch()
    return tmp_path / "pause"


@pytest.mark.parametrize("number", [4, pytest.param(32, marks=pytest.mark.slow)])
def test_processes_that_start_at_once_make_one_request(number, where, endpoint):
    with fleet(number, where) as processes:
        processes.start()
        done = processes.done(number)
    assert len(endpoint.requests) == len({each["token"] for each in done}) == 1
    assert max(each["waited"] for each in done) < timing.LOCK_WAIT


@pytest.mark.slow
def test_if_the_process_that_asks_is_killed_another_asks(where, endpoint, pause):
    with fleet(16, where, pause) as processes:
        processes.start()
        killed = processes.until("answered")["pid"]
        os.kill(killed, signal.SIGKILL)  # it has the response, and the lock
        pause.unlink()
        done = processes.done(15)
    assert len(endpoint.requests) == 2
    assert len({each["token"] for each in done}) == 1
    assert max(each["waited"] for each in done) < timing.LOCK_WAIT


@pytest.mark.slow
def test_a_process_that_was_stopped_is_waited_for_once(endpoint, tmp_path, pause):
    """Ctrl-Z, a debugger, docker pause, a laptop's lid: it holds the lock, and does not die."""
    with fleet(3, str(tmp_path / "store"), pause) as processes:
        processes.start()
        stopped = processes.until("answered")["pid"]
        freeze(stopped)
        pause.unlink()
        waited = sorted(each["waited"] for each in processes.done(2))
        assert timing.LOCK_WAIT <= waited[0] <= waited[1] < timing.LOCK_WAIT + 5
        later = TokenProvider.from_env(store=FileStore(tmp_path / "store"))
        assert later.get_token(timeout=5)
        assert later.stats().stored == 1
        os.kill(stopped, signal.SIGCONT)
        assert processes.until("done")["pid"] == stopped
    assert len(endpoint.requests) <= 3
