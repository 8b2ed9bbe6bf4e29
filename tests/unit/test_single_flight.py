"""One does the work, all the others wait for it, wherever they are."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from domo_oauth import single_flight
from domo_oauth.single_flight import Flight, _event_of_this_loop


def test_threads_get_the_outcome():
    flight = Flight(lambda: "done")
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(flight.wait) for _ in range(4)]
        flight.run()
        assert [each.result(10) for each in waiting] == ["done"] * 4


def test_who_comes_later_does_not_wait(anyio_backend):
    flight = Flight(lambda: "done")
    flight.run()
    assert flight.wait() == "done"
    assert anyio.run(flight.arrive, backend=anyio_backend) == "done"


def test_tasks_get_the_outcome_of_another_thread(anyio_backend):
    flight = Flight(lambda: "done")
    outcomes = []

    async def arrive():
        outcomes.append(await flight.arrive())

    async def main():
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(arrive)
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(flight.run)

    anyio.run(main, backend=anyio_backend)
    assert outcomes == ["done"] * 100


def test_whoever_is_interrupted_lands_without_an_outcome(anyio_backend):
    def interrupted():
        raise KeyboardInterrupt

    flight = Flight(interrupted)
    with pytest.raises(KeyboardInterrupt):
        flight.run()
    assert flight.wait() is None
    assert anyio.run(flight.arrive, backend=anyio_backend) is None


def test_a_waiter_that_is_cancelled_leaves_nothing_behind(anyio_backend):
    flight = Flight(lambda: "done")

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flight.arrive)
            await anyio.wait_all_tasks_blocked()
            assert len(flight._wakers) == 1
            tasks.cancel_scope.cancel()
        assert flight._wakers == set()

    anyio.run(main, backend=anyio_backend)


def test_a_loop_that_has_ended_holds_up_nobody():
    flight = Flight(lambda: "done")
    loop = asyncio.new_event_loop()
    task = loop.create_task(flight.arrive())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    async def waker():
        return _event_of_this_loop()[0]

    flight._wakers.add(trio.run(waker))
    assert len(flight._wakers) == 2
    flight.run()
    assert flight.wait() == "done"
    task._log_destroy_pending = False  # it never will be done, and asyncio would say so
    task.get_coro().close()


def test_a_task_of_asyncio_arrives_while_another_thread_imports_trio(monkeypatch):
    """A module is in sys.modules before it has anything in it."""
    monkeypatch.setitem(sys.modules, "trio", types.ModuleType("trio"))
    flight = Flight(lambda: "outcome")

    async def arrive():
        asyncio.get_running_loop().call_soon(flight.run)
        return await flight.arrive()

    assert asyncio.run(arrive()) == "outcome"


def test_the_work_is_done_once_whoever_runs_it():
    done = []
    flight = Flight(lambda: done.append(1))
    with ThreadPoolExecutor(4) as threads:
        for each in [threads.submit(flight.run) for _ in range(4)]:
            each.result(10)
    assert flight.landed
    assert done == [1]


def test_who_waits_does_what_nobody_does(monkeypatch):
    monkeypatch.setattr(single_flight, "_UNATTENDED", 0.01)
    done = []
    flight = Flight(lambda: done.append(1) or "done")
    with ThreadPoolExecutor(4) as threads:
        assert [each.result(10) for each in [threads.submit(flight.wait) for _ in range(4)]] == ["done"] * 4
    assert done == [1]


def test_who_waits_leaves_alone_what_somebody_does(monkeypatch):
    monkeypatch.setattr(single_flight, "_UNATTENDED", 0.001)
    begun, go_on, looked, done = threading.Event(), threading.Event(), threading.Semaphore(0), []

    def work():
        begun.set()
        assert go_on.wait(10)
        done.append(1)

    class Looked(Flight):
        @property
        def is_adrift(self):
            looked.release()
            return super().is_adrift

    flight = Looked(work)
    with ThreadPoolExecutor(2) as threads:
        flying = threads.submit(flight.run)
        assert begun.wait(10)
        waiting = threads.submit(flight.wait)
        assert all(looked.acquire(timeout=10) for _ in range(3))
        go_on.set()
        flying.result(10)
        waiting.result(10)
    assert done == [1]


def test_it_is_adrift_only_after_a_while_and_while_nobody_flies_it(monkeypatch):
    now = 0.0
    monkeypatch.setattr(single_flight, "time", types.SimpleNamespace(monotonic=lambda: now))
    seen = []
    flight = Flight(lambda: seen.append(flight.is_adrift))
    now = 1.0
    assert not flight.is_adrift
    now = 1.1
    assert flight.is_adrift
    flight.run()
    assert seen == [False]
    assert not flight.is_adrift


def interrupted_at(number, call):
    """Call with an interrupt at the so-manyeth moment at which Python lets one in; whether there were so many.

    It lets it in where a function begins, and where a call has returned.
    """
    moments = 0

    def profile(_frame, event, _arg):
        nonlocal moments
        moments += event != "c_call"
        if moments == number:
            sys.setprofile(None)
            raise KeyboardInterrupt

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(before)
    return False


def test_a_waiter_that_is_interrupted_anywhere_holds_nobody_up(monkeypatch, anyio_backend):
    monkeypatch.setattr(single_flight, "_UNATTENDED", 0.001)
    for number in itertools.count(1):
        go_on = threading.Event()
        flight = Flight(lambda go_on=go_on: go_on.wait(20) and "done")
        with ThreadPoolExecutor(2) as threads:
            flying = threads.submit(flight.run)
            while flight._idle_since is not None:
                time.sleep(0.0001)
            other = threads.submit(flight.wait)
            try:
                assert interrupted_at(number, flight.wait)  # while it flies, it waits for ever
            finally:
                go_on.set()
            flying.result(20)
            assert other.result(20) == "done"
            assert anyio.run(flight.arrive, backend=anyio_backend) == "done"
        if number > 30:  # it goes round in circles by now
            break


def test_an_interrupt_anywhere_in_a_flight_leaves_no_task_behind(monkeypatch, anyio_backend):
    """Where a thread sees to it that is not interrupted."""
    monkeypatch.setattr(single_flight, "_UNATTENDED", 0.001)
    again = True
    for number in itertools.count(1):
        done, outcomes = [], []
        flight = Flight(lambda done=done: done.append(1) or "done")

        async def arrive(flight=flight, outcomes=outcomes):
            outcomes.append(await flight.arrive())

        async def main(number=number, flight=flight, arrive=arrive):
            nonlocal again
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(arrive)
                await anyio.wait_all_tasks_blocked()
                again = await anyio.to_thread.run_sync(interrupted_at, number, flight.run)
                with anyio.fail_after(20):
                    await anyio.to_thread.run_sync(flight.tend)

        anyio.run(main, backend=anyio_backend)
        assert outcomes in (["done"] * 3, [None] * 3)  # none where the interrupt came in the work itself
        assert len(done) <= 1
        if not again:
            break
    assert number > 10


def test_the_work_is_done_once_where_an_interrupt_comes_before_the_landing(monkeypatch):
    monkeypatch.setattr(single_flight, "_UNATTENDED", 0.0)
    done = []
    flight = Flight(lambda: done.append(1) or "done")
    with monkeypatch.context() as patched:
        patched.setattr(Flight, "_land", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            flight.run()
    assert flight.is_adrift
    assert flight.wait() == "done"
    assert done == [1]
