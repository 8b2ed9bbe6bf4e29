"""What surrounds the real code: the token endpoint, the shelf that a store keeps its entry on, and the counts."""

from __future__ import annotations

import json
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import httpx
import numpy as np

from domo_oauth import timing
from domo_oauth.stores import StoreError

from .world import Waiter

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from domo_oauth import Clock

    from .draws import Floats
    from .world import World

__all__ = [
    "BOOT",
    "DAY",
    "LATENCY",
    "LIFETIME",
    "SPREAD",
    "THINK",
    "Endpoint",
    "FileStore",
    "Fleet",
    "Interval",
    "RedisStore",
    "Scenario",
    "Shelf",
    "Tally",
    "grant",
]

# Seconds.
DAY = 86400.0
LIFETIME = 3600
LATENCY = 0.2
"""How long the endpoint takes, whatever it answers."""
THINK = 10.0
"""Between two calls of a worker, on average; they come by chance."""
BOOT = 60.0
"""Within which the workers of a host are up."""
SPREAD = 10.0
"""Within which all processes are up again after a restart of all at once."""
_NOW = 1e-6
"""A time that is not so far away is now, as sums of times are rounded."""


class Interval(NamedTuple):
    """A time in which something is away, in seconds since the simulation began."""

    start: float = 0.0
    end: float = 0.0


class Fleet(NamedTuple):
    """How many workers on how many hosts; as many on each."""

    workers: int
    hosts: int


class Scenario(NamedTuple):
    """What happens, in seconds since the simulation began."""

    name: str
    length: float
    restarts: tuple[float, ...] = ()
    """When all workers are restarted at once."""
    outages: tuple[Interval, ...] = ()
    """When the token endpoint answers 503."""
    redis_outage: Interval = Interval()
    """When Redis does not answer."""
    arrivals: float = 3600.0
    """The time in which the hosts are started at first, each by chance; its workers within a minute of it."""


class Tally:
    """What came of it."""

    def __init__(self, length: float) -> None:
        self.delayed = self.failed = 0
        self._seconds: NDArray[np.int32] = np.zeros(int(length) + 1, np.int32)

    def request(self, now: float) -> None:
        """Count a request to the token endpoint."""
        self._seconds[int(now)] += 1

    def requests_at(self, when: Floats) -> None:
        """Count many."""
        np.add.at(self._seconds, when.astype(np.int64), 1)

    def told(self) -> dict[str, int]:
        """All figures."""
        requests, worst = int(self._seconds.sum(dtype=np.int64)), int(self._seconds.max())
        return {"requests": requests, "worst_second": worst, "delayed": self.delayed, "failed": self.failed}


class Endpoint:
    """The token endpoint, as an httpx transport has it."""

    def __init__(self, world: World, tally: Tally, outages: tuple[Interval, ...]) -> None:
        self._world, self._tally, self._outages = world, tally, outages
        self._granted = 0

    def answer(self) -> httpx.Response:
        """Grant a token, or answer 503."""
        sent = self._world.now
        self._tally.request(sent)
        self._world.sleep(LATENCY)
        if any(outage.start <= sent < outage.end for outage in self._outages):
            return httpx.Response(503)
        self._granted += 1
        return grant(str(self._granted))


def grant(text: str) -> httpx.Response:
    """A token for an hour."""
    token = {"access_token": text, "token_type": "bearer", "expires_in": LIFETIME, "scope": "data"}
    token |= {"customer": "fleet", "userId": 1, "role": "Admin", "jti": text}
    return httpx.Response(200, content=json.dumps(token), headers={"Content-Type": "application/json"})


class Shelf:
    """The entry and the lock of the fleet's one name: on a host's disk, or in Redis."""

    def __init__(self) -> None:
        self.entry: tuple[bytes, float] | None = None
        """What was saved, and when it goes."""
        self.saved_at = 0.0
        self.holder: object | None = None
        self.held_until = 0.0
        self.waiters = deque[Waiter]()

    def is_held(self, now: float) -> bool:
        """Whether somebody has the lock."""
        return self.holder is not None and now + _NOW < self.held_until


class FileStore:
    """Behaves as ``domo_oauth.FileStore`` does for one process of a host: a lock that its holder's death frees.

    A disk takes no time, and whoever waits for the lock notices at once that it is free.
    """

    lock_seconds = float("inf")

    def __init__(self, world: World, shelf: Shelf, clock: Clock) -> None:
        self._world, self._shelf, self._clock = world, shelf, clock

    def load(self, name: str) -> bytes | None:  # noqa: ARG002 -- there is one name
        """See ``Store``, as for the others."""
        self._ask()
        entry = self._shelf.entry
        return entry[0] if entry is not None and self._clock.wall() < entry[1] else None

    def save(self, name: str, sealed: bytes, ttl: float) -> None:  # noqa: ARG002
        self._ask()
        self._shelf.saved_at = self._clock.wall()
        self._shelf.entry = sealed, self._shelf.saved_at + ttl

    def delete(self, name: str) -> None:  # noqa: ARG002
        self._shelf.entry = None

    def clear(self) -> int:
        self._shelf.entry = None
        return 1

    @contextmanager
    def lock(self, name: str) -> Generator[bool]:  # noqa: ARG002
        self._ask()
        shelf, until = self._shelf, self._clock.wall() + timing.LOCK_TRY
        while (held := shelf.is_held(now := self._clock.wall())) and now + _NOW < until:
            waiter = Waiter()
            shelf.waiters.append(waiter)
            self._world.wait(waiter, min(until, shelf.held_until) - now)
        if not held:
            shelf.holder, shelf.held_until = self, now + self.lock_seconds
        try:
            yield not held
        finally:
            if shelf.holder is self:
                self._release()

    def _release(self) -> None:
        self._shelf.holder = None
        while self._shelf.waiters:
            waiter = self._shelf.waiters.popleft()
            if waiter.is_waiting:
                self._world.wake(waiter)
                break

    def _ask(self) -> None:
        """A disk is always there."""


class RedisStore(FileStore):
    """Behaves as ``domo_oauth.RedisStore`` does for one process: a lock that ends by itself, and a server that may go.

    The server that is away takes no connection and refuses none, which is the slowest way to be away.
    """

    lock_seconds = timing.REDIS_LEASE

    def __init__(self, world: World, shelf: Shelf, clock: Clock, outage: Interval) -> None:
        super().__init__(world, shelf, clock)
        self._outage, self._passed_over_until, self.killed = outage, 0.0, False

    def _release(self) -> None:
        if not self.killed:  # whoever is killed gives nothing back
            self._ask()
            super()._release()

    def _ask(self) -> None:
        now = self._clock.monotonic()
        if now < self._passed_over_until:
            raise StoreError("It is passed over.")
        if self._outage.start <= now < self._outage.end:
            self._clock.sleep(timing.REDIS_CONNECT_TIMEOUT)
            self._passed_over_until = self._clock.monotonic() + timing.REDIS_PASSED_OVER
            raise StoreError("It did not answer in time.")
