"""A fleet over thirty days, in simulated time: ``python -m benchmarks.fleet`` (``make fleet``).

`model` counts requests for fleets of any size, with arrays. `real` runs the real provider in every worker, for outages
of the endpoint, where retries and pauses decide, and for the tests, which hold the model to it.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BOOT", "LATENCY", "LIFETIME", "SPREAD", "THINK", "Counts", "Fleet", "Interval", "Scenario"]

# Seconds.
LIFETIME = 3600.0
LATENCY = 0.2
"""How long the endpoint takes to answer."""
THINK = 10.0
"""Between two calls of a worker on average, at random."""
BOOT = 60.0
"""Within which the workers of a host are up."""
SPREAD = 10.0
"""Within which all workers are up again after a restart of all at once."""
REDIS_TIMEOUT = 1.0
"""How long a worker waits for a Redis that is down."""


class Interval(NamedTuple):
    """In seconds since the simulation began."""

    start: float = 0.0
    end: float = 0.0

    def holds(self, now: float) -> bool:
        return self.start <= now < self.end


class Fleet(NamedTuple):
    """How many workers on how many hosts; as many on each."""

    workers: int
    hosts: int

    def sharing(self, subject: str) -> int:
        """How many workers share a token."""
        return {"file": self.workers // self.hosts, "redis": self.workers}.get(subject, 1)


class Scenario(NamedTuple):
    """What happens, in seconds since the simulation began."""

    name: str
    length: float
    restarts: tuple[float, ...] = ()
    """When all workers restart at once."""
    outage: Interval = Interval()
    """When the token endpoint answers 503."""
    redis_outage: Interval = Interval()
    arrivals: float = 3600.0
    """Within which the hosts start."""


class Counts(NamedTuple):
    """What a simulation comes to."""

    requests: int
    worst_second: int
    delayed: int
    """Calls that waited for a token."""
    failed: int
    """Calls that got none."""
