"""A year of renewals in an hour, while faults come and go: ``python -m benchmarks.soak`` (``make soak``).

Three groups of processes run at once, each with a server of its own that grants tokens, is the API, and causes faults
that its seed decides.

- **year**: one process that calls through every adapter, from threads, asyncio and trio, on a clock that runs 146 times
  faster. A token lasts 60 s of that clock, 0.411 s of ours, so the 8,760 lifetimes of a year of hourly tokens take one
  hour. It lasts 60 s rather than 3600 s because delays of network and machine do not run faster: this way the stale and
  spent windows are 82 ms and 41 ms, long beside a request. Pauses and retries keep their seconds, so faults hurt more
  than they would in reality.
- **file** and **redis**: two processes each that share a token by a `FileStore`, or by a `RedisStore` whose Redis is
  killed and restarted. Stores have clocks of their own, so this is in real time, with tokens that last 5 s.

`rules` says what must hold.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KINDS", "Kind"]


class Kind(NamedTuple):
    """How the processes of a group live."""

    name: str
    lifetime: int
    """Seconds of the group's clock that a token lasts."""
    speed: float
    timeout: float
    """Real seconds for each read of a token request."""
    processes: int

    @property
    def real_lifetime(self) -> float:
        return self.lifetime / self.speed


KINDS = (Kind("year", 60, 8760 * 60 / 3600, 0.08, 1), Kind("file", 5, 1.0, 1.0, 2), Kind("redis", 5, 1.0, 1.0, 2))
