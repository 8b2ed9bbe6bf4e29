"""Runs the real provider in every worker, in simulated time: a heap of what is due, and greenlets for threads."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import queue
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from benchmarks.http_server import grant
from domo_oauth import ClientCredentials, Clock, DomoOAuthError, StoreError, TokenProvider

from . import BOOT, LATENCY, LIFETIME, REDIS_TIMEOUT, SPREAD, THINK, Counts, Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from . import Fleet, Scenario

__all__ = ["run"]

_CREDENTIALS = ClientCredentials("fleet", "secret of the fleet")
_BASE_URL = "http://127.0.0.1:9"  # nothing listens there, so no request leaves if something goes wrong here
_LOCK_TRY, _LOCK_POLL, _LEASE = 1.0, 0.1, 6.0
"""Seconds that a store waits for its lock, between two attempts, after which Redis frees it, and without Redis after it
did not answer."""


def run(fleet: Fleet, scenario: Scenario, store: str, chance: Callable[[], float]) -> Counts:
    """Simulate a fleet with the store ``none``, ``file`` or ``redis``, and count.

    Args:
        fleet: How many workers, on how many hosts.
        scenario: What happens.
        store: Who shares a token: nobody, the workers of a host, or all.
        chance: Gives a random number from 0 to 1, without 1.
    """
    world = _World(scenario, chance)
    sharing = fleet.sharing(store)
    shelves = [_Shelf() for _ in range(fleet.workers // sharing)]
    hosts = [scenario.arrivals * chance() for _ in range(fleet.hosts)]
    disabled = logging.root.manager.disable
    logging.disable()  # each worker would log each failure
    begin, within = [hosts[index * fleet.hosts // fleet.workers] for index in range(fleet.workers)], BOOT
    for end in (*scenario.restarts, scenario.length):
        workers = [_Worker(world, shelves[index // sharing], store) for index in range(fleet.workers)]
        for worker, since in zip(workers, begin, strict=True):
            worker.call_at(since + within * chance() + world.thought())
        world.run(end)
        for worker in workers:
            worker.ended = True
        begin, within = [end] * fleet.workers, SPREAD
    counts = Counts(world.seconds.total(), max(world.seconds.values()), world.delayed, world.failed)
    world.run(math.inf)  # let all greenlets end
    logging.disable(disabled)
    return counts


class _World:
    """The time, what is due, the token endpoint, and the counts."""

    def __init__(self, scenario: Scenario, chance: Callable[[], float]) -> None:
        self.now, self.scenario, self.chance = 0.0, scenario, chance
        self.seconds, self.delayed, self.failed = Counter[int](), 0, 0
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._hub = getcurrent()

    def at(self, when: float, do: Callable[[], object]) -> None:
        heapq.heappush(self._due, (when, next(self._numbers), do))

    def run(self, until: float) -> None:
        while self._due and self._due[0][0] < until:
            self.now, _, do = heapq.heappop(self._due)
            do()
        self.now = until

    def start(self, work: Callable[[], object]) -> None:
        """Start a greenlet in place of a thread, after the one that is running now pauses."""
        self.at(self.now, lambda: greenlet(work, self._hub).switch())

    def wait(self, seconds: float, waiting: list[greenlet] | None = None) -> None:
        """Wait so long, or until this list is passed to ``wake``."""
        waiting = [] if waiting is None else waiting
        waiting.append(getcurrent())
        self.at(self.now + seconds, lambda: waiting.pop().switch() if waiting else None)
        self._hub.switch()

    def wake(self, waiting: list[greenlet]) -> None:
        self.at(self.now, lambda: waiting.pop().switch() if waiting else None)

    def thought(self) -> float:
        """The time to the next call of a worker."""
        return -THINK * math.log1p(-self.chance())

    def answer(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 -- there is only one
        """Grant a token, or answer 503."""
        sent = self.now
        self.seconds[int(sent)] += 1
        self.wait(LATENCY)
        if self.scenario.outage.holds(sent):
            return httpx.Response(503)
        return httpx.Response(200, json=grant(str(sent), int(LIFETIME), "1"))


class _Inbox:
    """A `queue.SimpleQueue` in simulated time, for one that waits."""

    def __init__(self, world: _World) -> None:
        self._world, self._items, self._waiting = world, deque[Any](), list[greenlet]()

    def put(self, item: Any, /) -> None:
        self._items.append(item)
        self._world.wake(self._waiting)

    def get(self, *, timeout: float) -> Any:
        if not self._items:
            self._waiting = []  # a timeout of an earlier wait has a list of its own
            self._world.wait(timeout, self._waiting)
        if not self._items:
            raise queue.Empty
        return self._items.popleft()


class _Shelf:
    """The entry and the lock of workers that share a token, on a disk or in Redis."""

    def __init__(self) -> None:
        self.entry: bytes | None = None
        self.good_until = self.locked_until = 0.0


class _Store:
    """Behaves as a `FileStore` or a `RedisStore` does; the latter may be down."""

    def __init__(self, world: _World, shelf: _Shelf, down: Interval) -> None:
        self._world, self._shelf, self._down = world, shelf, down

    def _reach(self) -> None:
        if self._down.holds(self._world.now):
            self._world.wait(REDIS_TIMEOUT)
            raise StoreError("no answer in time")

    def load(self, name: str) -> bytes | None:  # noqa: ARG002 -- there is only one
        self._reach()
        return self._shelf.entry if self._world.now < self._shelf.good_until else None

    def save(self, name: str, sealed: bytes, ttl: float) -> None:  # noqa: ARG002
        self._reach()
        self._shelf.entry, self._shelf.good_until = sealed, self._world.now + ttl

    @contextmanager
    def lock(self, name: str) -> Generator[bool]:  # noqa: ARG002
        self._reach()
        until = self._world.now + _LOCK_TRY
        while (held := self._world.now < self._shelf.locked_until) and self._world.now < until:
            self._world.wait(_LOCK_POLL)
        if not held:
            self._shelf.locked_until = mine = self._world.now + _LEASE
        yield not held
        if not held and self._shelf.locked_until == mine:
            self._shelf.locked_until = 0.0

    def delete(self, name: str) -> None:  # noqa: ARG002
        self._shelf.entry = None

    def clear(self) -> int:
        self._shelf.entry = None
        return 1


class _Worker:
    """A process that calls the API at random times; calls with a fresh token change nothing, and are left out."""

    def __init__(self, world: _World, shelf: _Shelf, store: str) -> None:
        self._world, self.ended = world, False
        down = world.scenario.redis_outage if store == "redis" else Interval()
        self._provider = TokenProvider(
            _CREDENTIALS,
            base_url=_BASE_URL,
            store=None if store == "none" else _Store(world, shelf, down),
            httpx_args={"transport": httpx.MockTransport(world.answer), "trust_env": False},
            clock=Clock(
                lambda: world.now, lambda: world.now, world.wait, world.chance, world.start, lambda: _Inbox(world)
            ),
        )

    def call_at(self, when: float) -> None:
        def call() -> None:
            if not self.ended:
                self._world.start(self._call)

        self._world.at(when, call)

    def _call(self) -> None:
        began = self._world.now
        try:
            self._provider.get_token()
        except DomoOAuthError:
            self._world.failed += 1
        else:
            self._world.delayed += self._world.now > began
        fresh = (self._provider.stats().expires_in or 0.0) - 300  # at least, in seconds
        self.call_at(self._world.now + max(fresh, 0.0) + self._world.thought())
