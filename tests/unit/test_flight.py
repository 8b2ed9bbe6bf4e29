"""One thread works, everybody waits: on threads, in tasks of asyncio and trio, in loops that end meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.to_thread
import pytest

from domo_oauth import Clock, DomoOAuthError, InvalidClientError, TransportError
from domo_oauth.flight import Flight, as_ours
from domo_oauth.timing import Budget
from tests.fakes import PATIENCE, Time, interrupted_at


class Work:
    """Work that waits until it may end."""

    def __init__(self) -> None:
        self.runs, self.begun, self.may_end = [], threading.Event(), threading.Event()

    def __call__(self, _flight):
        self.runs.append(threading.get_ident())
        self.begun.set()
        assert self.may_end.wait(PATIENCE)
        return "done"


@pytest.fixture(name="work")
def _work():
    work = Work()
    yield work
    work.may_end.set()


def budget(seconds=PATIENCE):
    return Budget(seconds, time.monotonic)


def wait(flight, seconds=PATIENCE):
    return flight.wait(budget(seconds))


def arrive(flight, backend, seconds=PATIENCE):
    async def main():
        return await flight.arrive(budget(seconds))

    return anyio.run(main, backend=backend)


def test_threads_and_tasks_get_one_outcome(work):
    flight = Flight(work, Clock())

    def tasks(backend):
        async def main():
            got = []

            async def one():
                got.append(await flight.arrive(budget()))

            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(one)
                await anyio.to_thread.run_sync(work.begun.wait)
                work.may_end.set()
            return got

        return anyio.run(main, backend=backend)

    with ThreadPoolExecutor(10) as threads:
        waiting = [threads.submit(wait, flight) for _ in range(8)]
        arriving = [threads.submit(tasks, backend) for backend in ("asyncio", "trio")]
        assert [each.result(PATIENCE) for each in waiting] == ["done"] * 8
        assert [each.result(PATIENCE) for each in arriving] == [["done"] * 50] * 2
    assert len(work.runs) == 1
    assert work.runs[0] != threading.get_ident()


def test_who_comes_later_does_not_wait(anyio_backend):
    flight = Flight(lambda _: "done", Clock())
    assert wait(flight) == "done"
    assert wait(flight, 0.0) == "done"
    assert arrive(flight, anyio_backend, 0.0) == "done"


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_waiting_ends_with_the_budget(work, anyio_backend, seconds):
    flight = Flight(work, Clock())
    began = time.monotonic()
    assert wait(flight, seconds) is None
    assert arrive(flight, anyio_backend, seconds) is None
    assert time.monotonic() - began >= 2 * seconds
    assert work.begun.wait(PATIENCE)  # also for those who would not wait at all


def test_the_error_of_a_caller_whose_time_is_up_says_what_the_work_waits_for(work):
    flight = Flight(work, Clock())
    for note, told in (("", "the request has not begun"), ("the moon is down", "the moon is down")):
        flight.note = note
        with pytest.raises(TransportError, match=rf"^No token within 2\.5 s: {told}\. ") as caught:
            flight.result(None, 2.5)
        assert caught.value.retryable
    with pytest.raises(TransportError, match="within 60 s"):
        flight.result(None, None)


@pytest.mark.parametrize("frozen", [3.0, 3600.0])
def test_time_in_which_the_process_stood_still_is_not_waiting_time(frozen):
    time = Time()
    may_end = threading.Event()
    flight = Flight(lambda _: may_end.wait(PATIENCE) and "done", time.clock)
    slices = []

    def freeze(seconds):
        slices.append(seconds)
        time.advance(frozen)
        if len(slices) == 2:
            may_end.set()
            time.settle()

    time.on_wait = freeze
    assert flight.wait(Budget(2.5, time.clock.monotonic)) == "done"
    assert slices == pytest.approx([1.0, 1.0])


def test_a_wait_in_one_piece_would_not_notice(work):
    """A caller who is not frozen gives up after as many seconds as were given, in slices of one second."""
    time = Time()
    flight, slices = Flight(work, time.clock), []
    time.on_wait = lambda seconds: (slices.append(seconds), time.advance(seconds))
    assert flight.wait(Budget(3.5, time.clock.monotonic)) is None
    assert slices == pytest.approx([1.0, 1.0, 1.0, 0.5])


def test_a_task_that_is_cancelled_just_leaves(work, anyio_backend):
    flight, got = Flight(work, Clock()), []

    async def one():
        got.append(await flight.arrive(budget()))

    async def main():
        async with anyio.create_task_group() as others:
            others.start_soon(one)
            async with anyio.create_task_group() as group:
                group.start_soon(one)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            work.may_end.set()

    anyio.run(main, backend=anyio_backend)
    assert got == ["done"]
    assert len(work.runs) == 1


def test_a_loop_that_has_ended_holds_nobody_up(work):
    flight = Flight(work, Clock())
    loop = asyncio.new_event_loop()
    task = loop.create_task(flight.arrive(budget()))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait, flight)
        work.may_end.set()
        assert waiting.result(PATIENCE) == "done"
    task._log_destroy_pending = False  # it never will be done, and asyncio would say so
    task.get_coro().close()


def test_a_task_of_asyncio_waits_while_another_thread_imports_trio(monkeypatch):
    """A module is in sys.modules before it has anything in it."""
    monkeypatch.setitem(sys.modules, "trio", types.ModuleType("trio"))
    assert arrive(Flight(lambda _: "done", Clock()), "asyncio") == "done"


def test_a_callback_of_asyncio_may_wait(work):
    """Where there is no task, asyncio.timeout() does not work; greenlets have none, either."""

    async def main():
        loop, arriving = asyncio.get_running_loop(), Flight(work, Clock()).arrive(budget(0.2))
        ended = loop.create_future()

        def step():
            try:
                future = arriving.send(None)
            except StopIteration as stopped:
                ended.set_result(stopped.value)
            else:
                future._asyncio_future_blocking = False
                future.add_done_callback(lambda _: step())

        loop.call_soon(step)
        return await ended

    assert asyncio.run(main()) is None


def no_thread(_):
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("backend", ["sync", "asyncio", "trio"])
def test_where_no_thread_can_be_had_the_caller_works(backend):
    flight = Flight(lambda _: threading.get_ident(), Clock(start=no_thread))
    got = wait(flight) if backend == "sync" else arrive(flight, backend)
    assert got == threading.get_ident()


@pytest.mark.parametrize("started", [True, False])
def test_if_the_first_caller_is_interrupted_while_it_starts_the_thread_the_next_one_starts_it(started):
    starts, runs, time = [], [], Time()

    def start(run):
        starts.append(1)
        if started or len(starts) > 1:
            time.start(run)
        if len(starts) == 1:
            raise KeyboardInterrupt

    flight = Flight(lambda _: runs.append(1) or "done", Clock(start=start))
    with pytest.raises(KeyboardInterrupt):
        wait(flight)
    assert wait(flight) == "done"
    time.settle()
    assert (len(starts), len(runs)) == (2, 1)


@pytest.mark.parametrize("backend", ["sync", "asyncio", "trio"])
def test_a_caller_that_is_interrupted_anywhere_holds_nobody_up(backend):
    for number in itertools.count(1):
        work = Work()
        flight = Flight(work, Clock())
        with ThreadPoolExecutor(1) as threads:
            # The first caller starts the thread, and is interrupted wherever it is; or it waits in vain.
            interrupted = interrupted_at(number, lambda flight=flight: wait(flight, 0.001))
            other = threads.submit(wait, flight) if backend == "sync" else threads.submit(arrive, flight, backend)
            assert work.begun.wait(PATIENCE)
            work.may_end.set()
            assert other.result(PATIENCE) == "done"
        assert len(work.runs) == 1
        if interrupted is None:
            break
    assert number > 10


def test_only_the_work_itself_is_current():
    seen = []
    flight = Flight(lambda flight: seen.append((flight.is_current, other.is_current)) or "done", Clock())
    other = Flight(lambda _: None, Clock())
    assert not flight.is_current
    wait(flight)
    wait(Flight(lambda _: seen.append((flight.is_current, other.is_current)) or "done", Clock(start=no_thread)))
    assert seen == [(True, False), (False, False)]
    assert not flight.is_current


class OddError(DomoOAuthError):
    def __init__(self) -> None:
        super().__init__("one argument too many for a copy")


SECRET = "canary-secret"
ODD = {
    "error": LookupError(SECRET),
    "interrupt": KeyboardInterrupt(SECRET),
    "exit": SystemExit(SECRET),
    "closed": GeneratorExit(SECRET),
    "cancelled": asyncio.CancelledError(SECRET),
    "group": ExceptionGroup(SECRET, [ValueError(SECRET)]),
    "base group": BaseExceptionGroup(SECRET, [KeyboardInterrupt(SECRET)]),
    "stop": StopIteration(SECRET),
    "no copy": OddError(),
}


@pytest.mark.parametrize("name", ODD)
def test_a_foreign_error_becomes_one_of_ours_that_names_its_type_and_place(name, anyio_backend):
    error = ODD[name]

    def work(_flight):
        secret = SECRET
        raise error from ValueError(secret)

    flight = Flight(work, Clock())
    outcomes = [wait(flight), arrive(flight, anyio_backend)]
    for outcome in outcomes:
        assert isinstance(outcome, DomoOAuthError)
        assert type(error).__name__ in str(outcome)
        assert name == "no copy" or __name__ in str(outcome)
        assert SECRET not in f"{outcome}{vars(outcome)}"
        assert (outcome.__traceback__, outcome.__cause__, outcome.__context__) == (None, None, None)
        assert str(pickle.loads(pickle.dumps(outcome))) == str(outcome)


def test_each_caller_gets_a_copy_of_the_error_with_all_it_says():
    def work(_flight):
        raise InvalidClientError("no", status=401, toe="A-1") from ValueError(SECRET)

    flight = Flight(work, Clock())
    errors = []
    for _ in range(3):
        with pytest.raises(InvalidClientError) as caught:
            flight.result(wait(flight), None)
        errors.append(caught.value)
    assert len({id(error) for error in errors}) == 3
    assert {(str(error), error.status, error.toe, error.__context__) for error in errors} == {("no", 401, "A-1", None)}


def test_an_error_that_was_never_raised_comes_from_nowhere():
    assert "raised in unknown" in str(as_ours(ValueError(SECRET)))
