"""One thread works, everybody waits: threads, asyncio and trio tasks, greenlets.

There is no lock, so no interrupt can leave one locked. The outcome is set once, and then every inbox is woken; a waiter
first puts up its inbox and then looks for the outcome, so one of the two always sees the other. Cancellation, Ctrl-C
and signal handlers reach those who wait and never the work. This is also where errors lose their frames, before they
cross from the working thread to those who wait.
"""

from __future__ import annotations

import copy
import queue
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import DomoOAuthError, TransportError
from .timing import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .timing import Budget, Clock

__all__ = ["Flight", "as_ours"]

_T = TypeVar("_T")
_current: ContextVar[object] = ContextVar("flight", default=None)
"""The flight whose work runs here. Threads are the wrong thing to compare: greenlets share one."""


class Flight(Generic[_T]):
    """Work that one thread does for all who ask.

    Args:
        work: What to do; it is called once, with this flight. An error is returned or raised.
        clock: Where threads and inboxes come from.
    """

    __slots__ = ("_clock", "_inboxes", "_started", "_unclaimed", "_work", "began", "note", "outcome")

    def __init__(self, work: Callable[[Flight[_T]], _T | DomoOAuthError], clock: Clock) -> None:
        self.outcome: _T | DomoOAuthError | None = None
        """What came of it; None until then."""
        self.began = clock.monotonic()
        self.note = ""
        """What the work is waiting for, for the error of a caller whose time is up."""
        self._clock, self._work = clock, work
        self._started, self._unclaimed = False, [None]
        self._inboxes: dict[object, Callable[[object], object]] = {}

    @property
    def is_current(self) -> bool:
        """Whether the caller is itself part of the work, so that waiting would never end."""
        return _current.get() is self

    def start(self) -> None:
        """Start the thread, unless somebody has.

        Everybody who waits calls this: if the first one is interrupted in here, the next one starts a thread, and a
        second thread finds the work taken.
        """
        if self._started:
            return
        try:
            self._clock.start(self._run)
        except RuntimeError:  # no thread to be had, as in a subinterpreter or at shutdown: the caller does the work
            self._run()
        self._started = True

    def _run(self) -> None:
        try:
            self._unclaimed.pop()  # atomic: one thread gets it
        except IndexError:
            return
        entered = _current.set(self)
        try:
            outcome = self._work(self)
        except BaseException as error:  # noqa: BLE001 -- foreign code runs in there, and somebody waits
            outcome = as_ours(error)
        _current.reset(entered)
        self.outcome = outcome
        for wake in list(self._inboxes.values()):  # a copy in one step, as waiters come and leave
            try:
                wake(None)
            except RuntimeError:  # its event loop is closed
                continue

    def wait(self, budget: Budget) -> _T | DomoOAuthError | None:
        """Wait on a thread. Returns None if the outcome does not come within the budget."""
        inbox, key = self._clock.inbox(), object()
        self._inboxes[key] = inbox.put
        try:
            self.start()
            while self.outcome is None and (seconds := budget.slice()) > 0:
                try:
                    inbox.get(timeout=seconds)
                except queue.Empty:
                    continue
            return self.outcome
        finally:
            self._inboxes.pop(key, None)

    async def arrive(self, budget: Budget) -> _T | DomoOAuthError | None:
        """Wait in a task of asyncio or trio. Returns None if the outcome does not come within the budget."""
        (wake, wait), key = _event_of_this_loop(), object()
        self._inboxes[key] = wake
        try:
            self.start()
            while self.outcome is None and (seconds := budget.slice()) > 0:
                await wait(seconds)
            return self.outcome
        finally:
            self._inboxes.pop(key, None)

    def result(self, outcome: _T | DomoOAuthError | None, timeout: float | None) -> _T:
        """Return what came of it.

        Raises:
            DomoOAuthError: A copy of the error that came of it, as one that is raised twice collects frames.
            TransportError: Nothing came of it in time.
        """
        if outcome is None:
            seconds = DEFAULT_TIMEOUT if timeout is None else timeout
            raise TransportError(
                f"No token within {seconds:g} s: {self.note or 'the request has not begun'}. It goes on in the "
                "background: try again, or wait longer with timeout=seconds."
            )
        if isinstance(outcome, DomoOAuthError):
            raise copy.copy(outcome)
        return outcome


def as_ours(error: BaseException) -> DomoOAuthError:
    """An error as it may leave the working thread: one of ours, without frames, which hold secrets.

    The text of a foreign error may hold a secret, too. So only its type is told, and where it was raised.
    """
    if isinstance(error, DomoOAuthError):
        try:
            ours = copy.copy(error)  # as each caller gets a copy, it must be possible
        except Exception:  # noqa: BLE001 -- somebody's subclass with an __init__ of its own
            ours = DomoOAuthError(f"{type(error).__qualname__}, which cannot be copied.")
        ours.__cause__ = ours.__context__ = None
        return ours.with_traceback(None)
    traceback, where = error.__traceback__, "unknown"
    while traceback is not None:
        where = f"{traceback.tb_frame.f_globals.get('__name__')}, line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return DomoOAuthError(
        f"The token request failed with {type(error).__qualname__}, raised in {where}. This is a bug in that module, "
        "or in what it was given."
    )


def _event_of_this_loop() -> tuple[Callable[[object], object], Callable[[float], Awaitable[object]]]:
    """How any thread wakes this task, and how the task waits for that, at most so many seconds."""
    lowlevel: Any = getattr(sys.modules.get("trio"), "lowlevel", None)
    if lowlevel is not None and _in_trio_task(lowlevel):
        import trio

        done, token = trio.Event(), trio.lowlevel.current_trio_token()

        async def wait_in_trio(seconds: float) -> None:
            with trio.move_on_after(seconds):
                await done.wait()

        return lambda _: token.run_sync_soon(done.set), wait_in_trio

    import asyncio

    loop, event = asyncio.get_running_loop(), asyncio.Event()

    async def wait_in_asyncio(seconds: float) -> None:
        alarm = loop.call_later(seconds, event.set)  # asyncio.timeout() works in tasks only, and not in callbacks
        try:
            await event.wait()
        finally:
            alarm.cancel()
        event.clear()

    return lambda _: loop.call_soon_threadsafe(event.set), wait_in_asyncio


def _in_trio_task(lowlevel: Any) -> bool:
    try:
        lowlevel.current_task()  # in_trio_task() came with trio 0.23
    except RuntimeError:
        return False
    return True
