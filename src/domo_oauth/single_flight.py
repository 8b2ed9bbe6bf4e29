"""One caller does the work; all who ask meanwhile, on threads, asyncio or trio, wait for what comes of it.

Nobody waits by holding a lock: a thread waits for an event, a task for an event of its own loop, which the one who
does the work sets from wherever it is. A waiter that is cancelled just leaves.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Flight"]

_T = TypeVar("_T")


class Flight(Generic[_T]):
    """Work under way. It lands once, with an outcome or, if whoever did it was interrupted, with none."""

    __slots__ = ("_landed", "_lock", "_pilot", "_wakers", "outcome")

    def __init__(self) -> None:
        self.outcome: _T | None = None
        self._lock = threading.Lock()
        self._landed = threading.Event()
        self._wakers: set[Callable[[], object]] = set()
        self._pilot: int | None = None

    @property
    def is_flown_here(self) -> bool:
        """Whether the work is being done further up on this very thread, so that to wait would be for ever."""
        return self._pilot == threading.get_ident()

    @property
    def landed(self) -> bool:
        """Whether it is over."""
        return self._landed.is_set()

    def run(self, work: Callable[[], _T]) -> None:
        """Do the work and land; whatever ends it early ends the flight, too, and the others see no outcome."""
        outcome: _T | None = None
        self._pilot = threading.get_ident()
        try:
            outcome = work()
        finally:
            self._land(outcome)

    def _land(self, outcome: _T | None) -> None:
        with self._lock:
            self.outcome = outcome
            self._landed.set()
            wakers, self._wakers = self._wakers, set()
        for wake in wakers:
            with suppress(RuntimeError):  # the loop of this waiter has ended meanwhile
                wake()

    def wait(self) -> _T | None:
        """Wait on a thread."""
        self._landed.wait()
        return self.outcome

    async def arrive(self) -> _T | None:
        """Wait in a task of asyncio or trio."""
        wake, woken = _event_of_this_loop()
        with self._lock:
            if self._landed.is_set():
                return self.outcome
            self._wakers.add(wake)
        try:
            await woken()
        finally:
            with self._lock:
                self._wakers.discard(wake)
        return self.outcome


def _event_of_this_loop() -> tuple[Callable[[], object], Callable[[], Awaitable[object]]]:
    """How to wake this task from any thread, and how it waits for that."""
    trio = sys.modules.get("trio")  # a task of trio's has loaded it; another thread may be in the middle of that
    lowlevel = getattr(trio, "lowlevel", None)
    if trio is not None and lowlevel is not None and lowlevel.in_trio_task():
        trio_event, token = trio.Event(), lowlevel.current_trio_token()
        return lambda: token.run_sync_soon(trio_event.set), trio_event.wait
    import asyncio

    event, loop = asyncio.Event(), asyncio.get_running_loop()
    return lambda: loop.call_soon_threadsafe(event.set), event.wait
