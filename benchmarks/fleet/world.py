"""Simulated time: a heap of what is due, and greenlets in place of threads.

The real code blocks where it waits. Each call and each fetch runs on a greenlet, which lets the others run while it
sleeps or waits, and goes on when that is over in simulated time.
"""

from __future__ import annotations

import heapq
import itertools
import queue
from collections import deque
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Inbox", "Waiter", "World"]


class World:
    """The time, in seconds since the simulation began, and what is due."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[..., object], Any]] = []
        self._number = itertools.count()
        self._hub = getcurrent()

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

        def run() -> None:
            try:
                work()
            finally:
                running.discard(thread)

        thread = greenlet(run, self._hub)
        running.add(thread)
        thread.switch()

    def sleep(self, seconds: float) -> None:
        """Sleep; to be called by what was spawned."""
        self.wait(Waiter(), seconds)

    def wait(self, waiter: Waiter, seconds: float) -> None:
        """Wait until somebody wakes the waiter, and no longer than that."""
        self.at(self.now + seconds, self._go_on, waiter)
        self._hub.switch()

    def wake(self, waiter: Waiter) -> None:
        """Wake a waiter, next."""
        self.at(self.now, self._go_on, waiter)

    @staticmethod
    def _go_on(waiter: Waiter) -> None:
        if waiter.is_waiting:
            waiter.woken = True
            waiter.thread.switch()


class Waiter:
    """One who waits for something, once."""

    __slots__ = ("thread", "woken")

    def __init__(self) -> None:
        self.thread = getcurrent()
        self.woken = False

    @property
    def is_waiting(self) -> bool:
        """Whether it still does; its process may have been killed."""
        return not self.woken and not self.thread.dead


class Inbox:
    """Behaves as `queue.SimpleQueue` does, in simulated time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._items = deque[Any]()
        self._waiter: Waiter | None = None

    def put(self, item: Any, /) -> None:
        """See `queue.SimpleQueue`."""
        self._items.append(item)
        if self._waiter is not None:
            self._world.wake(self._waiter)

    def get(self, *, timeout: float) -> Any:
        """See `queue.SimpleQueue`."""
        if not self._items:
            self._waiter = Waiter()
            self._world.wait(self._waiter, timeout)
            self._waiter = None
        if not self._items:
            raise queue.Empty
        return self._items.popleft()
