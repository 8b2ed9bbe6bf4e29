"""Simulated time: a heap of what is due, and greenlets in the place of threads.

The real code blocks where it waits. Each call runs on a greenlet, which leaves the processor to the others whenever it
sleeps, asks the endpoint or waits for a lease, and is gone on with when that is over in simulated time.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Waiter", "World"]


class World:
    """The time, in seconds since the simulation began, and what is due."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[..., object], Any]] = []
        self._number = itertools.count()
        self._hub = getcurrent()

    def time(self) -> float:
        """The time, as a clock gives it."""
        return self.now

    def at(self, when: float, do: Callable[[Any], object], argument: object) -> None:
        """Do something then. What is due at the same time is done in the order in which it was said."""
        heapq.heappush(self._due, (when, next(self._number), do, argument))

    def run(self, until: float) -> None:
        """Do all that is due before that time."""
        self._hub = getcurrent()
        while self._due and self._due[0][0] < until:
            self.now, _, do, argument = heapq.heappop(self._due)
            do(argument)
        self.now = until

    def spawn(self, work: Callable[[], object], running: set[greenlet]) -> None:
        """Begin some work now, as a thread would. While it is under way, it is in the set."""
        thread = greenlet(work, self._hub)
        running.add(thread)
        thread.switch()
        if thread.dead:
            running.discard(thread)

    def sleep(self, seconds: float) -> None:
        """Sleep; to be called by what was spawned."""
        self.at(self.now + seconds, _go_on, getcurrent())
        self._hub.switch()

    def wait(self, waiter: Waiter, seconds: float) -> None:
        """Wait until somebody wakes the waiter, and no longer than that."""
        self.at(self.now + seconds, self._wake, waiter)
        self._hub.switch()

    def wake(self, waiter: Waiter, when: float) -> None:
        """Wake a waiter then."""
        self.at(when, self._wake, waiter)

    @staticmethod
    def _wake(waiter: Waiter) -> None:
        if not waiter.woken:
            waiter.woken = True
            _go_on(waiter.thread)


class Waiter:
    """One who waits for something, from now on."""

    __slots__ = ("since", "thread", "woken")

    def __init__(self, since: float) -> None:
        self.since = since
        self.thread = getcurrent()
        self.woken = False


def _go_on(thread: greenlet) -> None:
    if not thread.dead:  # its process may have been killed
        thread.switch()
