"""One does the work, all the others wait for it, wherever they are."""

from __future__ import annotations

import asyncio
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.lowlevel
import pytest
import trio

from domo_oauth.single_flight import Flight, _event_of_this_loop


def test_threads_get_the_outcome():
    flight: Flight[str] = Flight()
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(flight.wait) for _ in range(4)]
        flight.run(lambda: "done")
        assert [each.result(10) for each in waiting] == ["done"] * 4


def test_who_comes_later_does_not_wait(anyio_backend):
    flight: Flight[str] = Flight()
    flight.run(lambda: "done")
    assert flight.wait() == "done"
    assert anyio.run(flight.arrive, backend=anyio_backend) == "done"


def test_tasks_get_the_outcome_of_another_thread(anyio_backend):
    flight: Flight[str] = Flight()
    outcomes = []

    async def arrive():
        outcomes.append(await flight.arrive())

    async def main():
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(arrive)
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(flight.run, lambda: "done")

    anyio.run(main, backend=anyio_backend)
    assert outcomes == ["done"] * 100


def test_whoever_is_interrupted_lands_without_an_outcome(anyio_backend):
    flight: Flight[str] = Flight()

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flight.run(interrupted)
    assert flight.wait() is None
    assert anyio.run(flight.arrive, backend=anyio_backend) is None


def test_a_waiter_that_is_cancelled_leaves_nothing_behind(anyio_backend):
    flight: Flight[str] = Flight()

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flight.arrive)
            await anyio.wait_all_tasks_blocked()
            assert len(flight._wakers) == 1
            tasks.cancel_scope.cancel()
        assert flight._wakers == set()

    anyio.run(main, backend=anyio_backend)


def test_a_loop_that_has_ended_holds_up_nobody():
    flight: Flight[str] = Flight()
    loop = asyncio.new_event_loop()
    task = loop.create_task(flight.arrive())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    async def waker():
        return _event_of_this_loop()[0]

    flight._wakers.add(trio.run(waker))
    assert len(flight._wakers) == 2
    flight.run(lambda: "done")
    assert flight.wait() == "done"
    task._log_destroy_pending = False  # it never will be done, and asyncio would say so
    task.get_coro().close()


def test_a_task_of_asyncio_arrives_while_another_thread_imports_trio(monkeypatch):
    """A module is in sys.modules before it has anything in it."""
    monkeypatch.setitem(sys.modules, "trio", types.ModuleType("trio"))
    flight = Flight()

    async def arrive():
        asyncio.get_running_loop().call_soon(flight.run, lambda: "outcome")
        return await flight.arrive()

    assert asyncio.run(arrive()) == "outcome"
