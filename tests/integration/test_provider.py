"""The provider against a real server in a process of its own: threads, loops, processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from domo_oauth import ClientCredentials, Clock, InvalidClientError, TokenProvider
from domo_oauth.sandbox import Sandbox, running
from tests.fakes import HOUR, PATIENCE, Endpoint, Time, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

PATIENT = {"timeout": PATIENCE}
"""A machine that is busy with something else makes no request time out, and be sent again."""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(scope="module")
def slow_sandbox() -> Iterator[Sandbox]:
    with running(delay=0.1, quiet=True) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(slow_sandbox, monkeypatch) -> Sandbox:
    """One that takes a tenth of a second, so that all who ask at once ask while a request is under way."""
    slow_sandbox.reset()
    for name, value in slow_sandbox.env.items():
        monkeypatch.setenv(name, value)
    return slow_sandbox


@pytest.fixture
def clock() -> Clock:
    """With a clock, a provider shares its token with no other, so that no test meets another's."""
    return Clock(random=lambda: 0.0)


@pytest.fixture
def provider(sandbox, clock) -> Iterator[TokenProvider]:
    with TokenProvider(ClientCredentials.from_env(), clock=clock, httpx_args=PATIENT) as provider:
        yield provider


async def ask_in_tasks(provider: TokenProvider, number: int) -> set[str]:
    tokens = set()

    async def run() -> None:
        tokens.add((await provider.aget_token()).access_token)

    async with anyio.create_task_group() as tasks:
        for _ in range(number):
            tasks.start_soon(run)
    return tokens


def test_64_threads(provider, sandbox):
    assert len({token.access_token for token in in_threads(64, provider.get_token)}) == 1
    assert sandbox.stats().token_requests == 1


def test_1000_tasks(provider, sandbox, anyio_backend):
    assert len(anyio.run(ask_in_tasks, provider, 1000, backend=anyio_backend)) == 1
    assert sandbox.stats().token_requests == 1


def test_threads_and_loops_at_once(provider, sandbox):
    barrier = threading.Barrier(3)

    def loop(backend: str) -> set[str]:
        async def main() -> set[str]:
            barrier.wait(PATIENCE)
            return await ask_in_tasks(provider, 100)

        return anyio.run(main, backend=backend)

    def threads() -> set[str]:
        barrier.wait(PATIENCE)
        return {token.access_token for token in in_threads(8, provider.get_token)}

    with ThreadPoolExecutor(3) as drivers:
        asked = [drivers.submit(loop, "asyncio"), drivers.submit(loop, "trio"), drivers.submit(threads)]
        assert len(set().union(*(each.result(PATIENCE) for each in asked))) == 1
    assert sandbox.stats().token_requests == 1


def test_64_callers_are_refused_after_one_request(sandbox, clock, anyio_backend):
    provider = TokenProvider(ClientCredentials(sandbox.client_id, "wrong"), clock=clock, httpx_args=PATIENT)
    errors = in_threads(64, provider.get_token)

    async def ask() -> None:
        with pytest.raises(InvalidClientError) as caught:
            await provider.aget_token()
        errors.append(caught.value)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(64):
                tasks.start_soon(ask)

    anyio.run(main, backend=anyio_backend)
    assert {type(error) for error in errors} == {InvalidClientError}
    assert len({id(error) for error in errors}) == 128
    assert len({str(error) for error in errors}) == 1
    assert sandbox.stats().token_requests == 1


def test_a_loop_that_ends_while_the_request_is_under_way(provider, sandbox):
    async def give_up() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(provider.aget_token(), 0)

    async def leave() -> None:
        task = asyncio.create_task(provider.aget_token())
        await asyncio.sleep(0)
        assert not task.done()

    asyncio.run(leave())
    asyncio.run(give_up())
    assert provider.get_token() is anyio.run(provider.aget_token, backend="trio")
    assert sandbox.stats().token_requests == 1


@pytest.mark.parametrize("switch_interval", [1e-6, 1e-5, 0.005])
def test_waves_of_32_threads(credentials, switch_interval):
    """The threads change places up to a million times a second instead of two hundred times."""
    endpoint, time = Endpoint(), Time()
    provider = TokenProvider(credentials, httpx_args={"transport": endpoint}, clock=time.clock)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(switch_interval)
    try:
        for wave in range(1, 41):
            assert len({token.access_token for token in in_threads(32, provider.get_token)}) == 1
            assert endpoint.requests == wave
            time.advance(HOUR)
            if wave % 2:  # how the token at hand goes makes no difference
                provider.reset()
    finally:
        sys.setswitchinterval(interval)


def in_child(work: Callable[[], object]) -> object:
    """What this function gives in a child of this process, after a fork."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # From Python 3.12 on: fork in a process with threads warns of what is tried here.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        signal.alarm(int(PATIENCE))  # a child that waits for ever is a failure, not a hanging test
        try:
            outcome = json.dumps(work())
        except BaseException as error:
            outcome = json.dumps(f"{type(error).__name__}: {error}")
        os.write(writing, outcome.encode())
        os._exit(0)  # nothing of pytest's is the child's business
    os.close(writing)
    with os.fdopen(reading) as answer:
        outcome = answer.read()
    os.waitpid(pid, 0)
    assert outcome, "the child was stopped, for it waited for ever"
    return json.loads(outcome)


@needs_fork
def test_a_child_has_the_token_and_a_connection_of_its_own(provider, sandbox):
    token = provider.get_token()
    assert in_child(lambda: provider.get_token().access_token) == token.access_token
    assert sandbox.stats().token_requests == 1

    def another() -> str:
        provider.invalidate(provider.get_token())
        return provider.get_token().access_token

    childs = in_child(another)
    assert sandbox.stats().token_requests == 2
    parents = another()
    assert sandbox.stats().token_requests == 3
    assert len({token.access_token, childs, parents}) == 3


IN_A_FORK = """
import os, signal, sys, threading
from domo_oauth import TokenProvider

reached, forking = threading.Event(), threading.Event()

class Gate:
    def find_spec(self, name, path, target=None):
        if name == "httpx":
            reached.set()
            forking.wait(20)

sys.meta_path.insert(0, Gate())
os.register_at_fork(before=forking.set)  # the last to be registered is the first to run
provider = TokenProvider.from_env()
thread = threading.Thread(target=provider.get_token)
thread.start()
assert reached.wait(20)
pid = os.fork()
if not pid:
    signal.alarm(20)
    os._exit(0 if provider.get_token().customer == "sandbox" else 1)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@needs_fork
def test_a_child_of_a_fork_while_all_is_still_being_loaded(sandbox):
    """It has none of the locks of modules that a thread of its parent held."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", IN_A_FORK], check=True, timeout=3 * PATIENCE)
    assert sandbox.stats().tokens_issued == 2


LOADED = """
import sys
import domo_oauth.request
from domo_oauth import TokenProvider

provider = TokenProvider.from_env()
before = set(sys.modules)
provider.get_token()
print(*(set(sys.modules) - before))
"""


def test_a_request_loads_nothing_that_was_not_loaded_before(sandbox):
    """For what is loaded later, a child of a fork could wait for ever."""
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.split() == []


class Gate:
    """Holds this process's requests up until it is opened; those of a child go through."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, request: httpx.Request) -> None:
        if os.getpid() == self._pid:
            self.reached.set()
            assert self.opened.wait(PATIENCE)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def gated(sandbox, clock, gate) -> Iterator[TokenProvider]:
    args = {"event_hooks": {"request": [gate]}}
    with TokenProvider(ClientCredentials.from_env(), clock=clock, httpx_args=args) as provider:
        yield provider


@needs_fork
def test_a_child_of_a_fork_in_mid_flight(gated, gate, sandbox):
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(gated.get_token)
        assert gate.reached.wait(PATIENCE)
        childs = in_child(lambda: gated.get_token().access_token)
        assert sandbox.stats().tokens_issued == 1
        gate.opened.set()
        parents = waiting.result(PATIENCE).access_token
    assert childs.startswith("ey")
    assert parents != childs
    assert sandbox.stats().token_requests == 2


@needs_fork
def test_a_child_of_a_fork_in_mid_flight_with_tasks(gated, gate, sandbox, anyio_backend):
    async def main() -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gated.aget_token)
            assert await anyio.to_thread.run_sync(gate.reached.wait, PATIENCE)
            childs = in_child(lambda: gated.get_token().access_token)
            gate.opened.set()
        return childs

    childs = anyio.run(main, backend=anyio_backend)
    assert childs.startswith("ey")
    assert gated.get_token().access_token != childs
    assert sandbox.stats().token_requests == 2


@pytest.mark.parametrize("from_env", [True, False])
def test_a_pool_of_processes(sandbox, from_env):
    provider = TokenProvider.from_env() if from_env else TokenProvider(ClientCredentials.from_env())
    provider.reset()
    token = provider.get_token()
    pickled = pickle.dumps(provider)
    assert token.access_token.encode() not in pickled
    assert (sandbox.client_secret.encode() in pickled) is not from_env
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        first, second = pool.map(TokenProvider.get_token, [provider, provider])
    assert first == second
    assert first != token
    assert sandbox.stats().token_requests == 2
    provider.close()


@pytest.mark.parametrize("turn", [1, 2])
def test_the_fixture_of_a_test_gives_nothing_to_the_next(domo_sandbox, turn):
    with TokenProvider.from_env(scopes="user", httpx_args=PATIENT) as provider:
        provider.get_token()
    assert domo_sandbox.stats().token_requests == 1
