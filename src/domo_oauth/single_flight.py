"""One caller does the work; all who ask meanwhile, on threads, asyncio or trio, wait for what comes of it.

Nobody waits by holding a lock of others: a thread waits for a lock of its own, a task for an event of its own loop,
which the one who does the work opens from wherever it is. A waiter that is cancelled just leaves.

An interrupt (Ctrl-C, or an exception that a signal handler raises, as the time limits of task queues do) may come at
any moment, also just before or after the work. So whoever waits, or comes, looks whether the work is being done.
"""

from __future__ import annotations

import sys
import threading
import time
from _thread import allocate_lock
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Flight"]

_T = TypeVar("_T")


_UNATTENDED = 1.0
"""Seconds in which whoever made a flight has begun to fly it, or has been interrupted."""


class Flight(Generic[_T]):
    """Work that one does for all. It lands once, with an outcome or, if whoever did it was interrupted, with none."""

    __slots__ = ("_idle_since", "_lock", "_made_at", "_pilot", "_wakers", "_work", "is_tended", "landed", "outcome")

    def __init__(self, work: Callable[[], _T]) -> None:
        self.outcome: _T | None = None
        self.landed = False
        """Whether it is over."""
        self.is_tended = False
        """Whether a thread sees to it that no interrupt comes to. Tasks wait for as long as it takes, and need one."""
        self._work = work
        self._lock = threading.RLock()  # a signal handler may come while this very thread holds it
        self._wakers: set[Callable[[], object]] = set()
        self._pilot: int | None = None
        self._made_at = time.monotonic()
        self._idle_since: float | None = self._made_at

    @property
    def is_flown_here(self) -> bool:
        """Whether the work is being done further up on this very thread, so that to wait would be for ever."""
        return self._pilot == threading.get_ident() and not self.landed and not self.is_adrift

    @property
    def is_adrift(self) -> bool:
        """Whether nobody does the work, and nobody is about to: whoever sees that is to run it."""
        since = self._idle_since
        return since is not None and not self.landed and time.monotonic() > since + _UNATTENDED

    def run(self) -> None:
        """Do the work and land, unless another does it, or did.

        Whatever ends the work early ends the flight, too, and the others see no outcome.
        """
        mine = False
        try:
            with self._lock:
                if self._idle_since is not None and not self.landed:
                    self._pilot, self._idle_since, mine = threading.get_ident(), None, True
            if mine and self.outcome is None:  # else it was done, and an interrupt came before the landing
                self.outcome = self._work()
        finally:
            if mine:
                self._idle_since = self._made_at  # first, as an interrupt may come in the middle of what follows
                self._land()

    def tend(self) -> None:
        """Do the work, or see that it is done, on a thread that no interrupt comes to.

        Another may have begun it, and be interrupted in it, or while it wakes those who wait.
        """
        self.run()
        self.wait()
        self._land()

    def _land(self) -> None:
        """Wake all who wait. To do it twice is no harm, and none is forgotten where an interrupt comes in between."""
        self.landed = True
        for wake in self._wakers.copy():
            with suppress(RuntimeError):  # the loop of this waiter has ended meanwhile, or it is awake
                wake()

    def wait(self) -> _T | None:
        """Wait on a thread."""
        gate = allocate_lock()  # an Event has a lock that an interrupt leaves locked, and then nobody can set it
        gate.acquire()
        wake = gate.release
        self._wakers.add(wake)  # before the look: whoever lands meanwhile sees it
        try:
            while not self.landed:
                if not gate.acquire(timeout=_UNATTENDED) and self.is_adrift:
                    self.run()
        finally:
            self._wakers.discard(wake)
        return self.outcome

    async def arrive(self) -> _T | None:
        """Wait in a task of asyncio or trio."""
        wake, woken = _event_of_this_loop()
        self._wakers.add(wake)
        try:
            if not self.landed:
                await woken()
        finally:
            self._wakers.discard(wake)
        return self.outcome


def _event_of_this_loop() -> tuple[Callable[[], object], Callable[[], Awaitable[object]]]:
    """How to wake this task from any thread, and how it waits for that."""
    trio = sys.modules.get("trio")  # a task of trio's has loaded it; another thread may be in the middle of that
    lowlevel = getattr(trio, "lowlevel", None)
    if trio is not None and lowlevel is not None:
        with suppress(RuntimeError):  # it is none of trio's; in_trio_task() came with trio 0.23 only
            lowlevel.current_task()
            trio_event, token = trio.Event(), lowlevel.current_trio_token()
            return lambda: token.run_sync_soon(trio_event.set), trio_event.wait
    import asyncio

    event, loop = asyncio.Event(), asyncio.get_running_loop()
    return lambda: loop.call_soon_threadsafe(event.set), event.wait
