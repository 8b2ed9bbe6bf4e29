"""Single flight: one background thread does the work, and all who need its outcome wait for it.

There is no lock, so no interrupt can leave one locked. The outcome is set once, then every waiter is woken. A waiter
first registers and then looks for the outcome, so it cannot miss it. Cancellation, Ctrl-C and signal handlers reach the
waiters, never the work. Errors lose their frames, which hold secrets, before they reach a waiter.
"""

from __future__ import annotations

import copy
import queue
import sys
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import DomoOAuthError, TransportError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from .timing import Budget, Clock

_T = TypeVar("_T")
_current: ContextVar[object] = ContextVar("flight", default=None)  # not by thread: greenlets share one


class Flight(Generic[_T]):
    """Work that one thread does for all callers.

    Args:
        work: Called once, with this flight. It returns or raises an error.
        clock: Where threads and inboxes come from.
    """

    __slots__ = ("_clock", "_started", "_wakers", "_work", "began", "note", "outcome")

    def __init__(self, work: Callable[[Flight[_T]], _T | DomoOAuthError], clock: Clock) -> None:
        self.outcome: _T | DomoOAuthError | None = None
        self.began = clock.monotonic()
        self.note = "the request has not begun"  # why it takes so long, for the error of a caller whose time is up
        self._clock, self._work, self._started = clock, [work], False
        self._wakers: set[Callable[[object], object]] = set()

    @property
    def is_current(self) -> bool:
        """Whether the caller is itself part of the work, so that it would wait forever."""
        return _current.get() is self

    def start(self) -> None:
        """Start the thread, unless it has been started.

        Every waiter calls this, as the first one may be interrupted in here. A second thread finds the work taken.
        """
        if self._started:
            return
        try:
            self._clock.start(self._run)
        except RuntimeError:  # no thread, as in a subinterpreter or at shutdown: the caller does the work
            self._run()
        self._started = True

    def _run(self) -> None:
        try:
            work = self._work.pop()  # atomic
        except IndexError:
            return
        entered = _current.set(self)
        try:
            outcome = work(self)
        except BaseException as error:  # noqa: BLE001 -- third-party code runs in there, and callers wait
            outcome = as_ours(error)
        _current.reset(entered)
        self.outcome = outcome
        for wake in list(self._wakers):  # a copy, as waiters come and leave
            with suppress(RuntimeError):  # its event loop is closed
                wake(None)

    def wait(self, budget: Budget) -> _T | DomoOAuthError | None:
        """Wait on a thread. Return None if the outcome does not come within the budget."""
        inbox = self._clock.inbox()
        with self._waking(inbox.put):
            while self.outcome is None and (seconds := budget.slice()) > 0:
                with suppress(queue.Empty):
                    inbox.get(timeout=seconds)
        return self.outcome

    async def arrive(self, budget: Budget) -> _T | DomoOAuthError | None:
        """Wait in a task of asyncio or trio. See `wait`."""
        wake, wait = _event_of_this_loop()
        with self._waking(wake):
            while self.outcome is None and (seconds := budget.slice()) > 0:
                await wait(seconds)
        return self.outcome

    @contextmanager
    def _waking(self, wake: Callable[[object], object]) -> Generator[None]:
        self._wakers.add(wake)
        try:
            self.start()
            yield
        finally:
            self._wakers.discard(wake)

    def result(self, outcome: _T | DomoOAuthError | None, budget: Budget) -> _T:
        """Return the outcome of a wait.

        Raises:
            DomoOAuthError: A copy of the error of the work, as an error that is raised twice collects frames.
            TransportError: There was no outcome in time.
        """
        if outcome is None:
            raise TransportError(
                f"No token within {budget.seconds:g} s: {self.note}. The request goes on in the background: try again, "
                "or allow more time with timeout=seconds."
            )
        if isinstance(outcome, DomoOAuthError):
            raise copy.copy(outcome)
        return outcome


def as_ours(error: BaseException, what: str = "The token request") -> DomoOAuthError:
    """One of our errors, without frames, in place of any error of what failed.

    It names the type and place of a third-party error, not its text, which may hold a secret.
    """
    if isinstance(error, DomoOAuthError):
        return copy.copy(error)
    traceback, where = error.__traceback__, "unknown"
    while traceback is not None:
        where = f"{traceback.tb_frame.f_globals.get('__name__')}, line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return DomoOAuthError(
        f"{what} failed with {type(error).__qualname__}, raised in {where}. The fault is in that module, or in what it "
        "was given."
    )


def _event_of_this_loop() -> tuple[Callable[[object], object], Callable[[float], Awaitable[object]]]:
    """Two functions: one wakes this task from any thread, the other waits for that for at most ``seconds`` seconds."""
    lowlevel: Any = getattr(sys.modules.get("trio"), "lowlevel", None)  # another thread may be importing trio
    if lowlevel is not None and lowlevel.in_trio_task():
        import trio

        done, token = trio.Event(), trio.lowlevel.current_trio_token()

        async def wait_in_trio(seconds: float) -> None:
            with trio.move_on_after(seconds):
                await done.wait()

        return lambda _: token.run_sync_soon(done.set), wait_in_trio

    import asyncio

    loop = asyncio.get_running_loop()
    future = loop.create_future()

    async def wait_in_asyncio(seconds: float) -> None:
        await asyncio.wait([future], timeout=seconds)  # asyncio.timeout() works in tasks only, not in callbacks

    return lambda _: loop.call_soon_threadsafe(future.set_result, None), wait_in_asyncio
