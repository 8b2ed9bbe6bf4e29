"""What surrounds the real code: the token endpoint, the shelf that a store keeps its entry on, and who counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from domo_oauth import ServerError, Token
from domo_oauth.stores import StoreError
from domo_oauth.stores.protocol import LEASE_SECONDS

from .world import Waiter

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
_POLL = 0.05
"""Between two looks of one who waits for a lock, in ``FileStore``."""
_TIME_OUT, _PASSED_OVER = 1.0, 5.0
"""``RedisStore`` waits so long for a connection, and leaves a server that gave none alone for so long."""


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
    """The token endpoint, in the place of ``domo_oauth.exchange.TokenEndpoint``."""

    def __init__(self, world: World, tally: Tally, outages: tuple[Interval, ...]) -> None:
        self._world, self._tally, self._outages = world, tally, outages
        self._granted = 0

    def request(self) -> Token:
        """Grant a token, or answer 503."""
        sent = self._world.now
        self._tally.request(sent)
        self._world.sleep(LATENCY)
        if any(outage.start <= sent < outage.end for outage in self._outages):
            raise ServerError("503", status=503, retryable=True)
        self._granted += 1
        return token(str(self._granted), sent)

    def close(self) -> None:
        """Nothing is open."""


def token(text: str, sent: float) -> Token:
    """A token for an hour."""
    return Token(text, expires_in=LIFETIME, expires_at=datetime.fromtimestamp(sent + LIFETIME, UTC))


class Shelf:
    """The entry and the lease of the fleet's one name: on a host's disk, or in Redis."""

    def __init__(self) -> None:
        self.entry: tuple[bytes, float] | None = None
        self.number = 0
        """Of the last lease."""
        self.holder: int | None = None
        self.held_until = 0.0
        self.waiters: list[Waiter] = []

    def is_held(self, now: float) -> bool:
        """Whether somebody has the lease."""
        return self.holder is not None and now < self.held_until


class FileStore:
    """Behaves as ``domo_oauth.FileStore`` does for one process of a host: a lock that its holder's death frees."""

    lease_seconds = float("inf")

    def __init__(self, world: World, shelf: Shelf) -> None:
        self._world, self._shelf = world, shelf

    def load(self, name: str) -> tuple[bytes | None, float]:  # noqa: ARG002 -- there is one name
        """See ``Store``, as for the others."""
        self._ask()
        entry, now = self._shelf.entry, self._world.now
        return (entry[0] if entry is not None and now < entry[1] else None), now

    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:  # noqa: ARG002
        self._ask()
        shelf = self._shelf
        if shelf.is_held(self._world.now) if lease is None else lease != shelf.number:
            return
        shelf.entry = (sealed, expires_at)

    def delete(self, name: str) -> None:  # noqa: ARG002
        self._shelf.entry = None

    def lease(self, name: str) -> object | None:  # noqa: ARG002
        self._ask()
        shelf, now = self._shelf, self._world.now
        if shelf.is_held(now):
            return None
        shelf.number += 1
        shelf.holder, shelf.held_until = shelf.number, now + self.lease_seconds
        return shelf.number

    def release(self, name: str, lease: object) -> None:  # noqa: ARG002
        self._ask()
        shelf = self._shelf
        if shelf.holder == lease:
            shelf.holder = None
            waiters, shelf.waiters = shelf.waiters, []
            for waiter in waiters:
                self._world.wake(waiter, self._noticed(waiter))

    def wait(self, name: str, seconds: float) -> None:  # noqa: ARG002
        """Looks at which nothing has changed are passed over: a waiter is woken when it would see something new."""
        self._ask()
        now = self._world.now
        if self._shelf.is_held(now):
            waiter = Waiter(now)
            self._shelf.waiters.append(waiter)
            self._world.wait(waiter, max(0.0, min(seconds, self._shelf.held_until - now)))

    def _noticed(self, waiter: Waiter) -> float:
        """When a waiter takes its next look."""
        looks = (self._world.now - waiter.since) // _POLL + 1
        return waiter.since + looks * _POLL

    def _ask(self) -> None:
        """A disk is always there."""


class RedisStore(FileStore):
    """Behaves as ``domo_oauth.RedisStore`` does for one process: a lease that ends by itself, and a server that may go.

    The server that is away takes no connection and refuses none, which is the slowest way to be away.
    """

    lease_seconds = LEASE_SECONDS

    def __init__(self, world: World, shelf: Shelf, outage: Interval) -> None:
        super().__init__(world, shelf)
        self._outage, self._passed_over_until, self.killed = outage, 0.0, False

    def release(self, name: str, lease: object) -> None:
        if not self.killed:  # whoever is killed gives nothing back
            super().release(name, lease)

    def _noticed(self, waiter: Waiter) -> float:  # noqa: ARG002 -- the server tells all at once
        return self._world.now

    def _ask(self) -> None:
        if self._world.now < self._passed_over_until:
            raise StoreError("It is passed over.")
        if self._outage.start <= self._world.now < self._outage.end:
            self._world.sleep(_TIME_OUT)
            self._passed_over_until = self._world.now + _PASSED_OVER
            raise StoreError("It did not answer in time.")
