"""Counts what a fleet does, with an array for all workers.

A worker calls the API at random. Only a call that finds no token, or a stale one, matters: its time is ``due``. The
first such call of the workers that share a token sends a request, and the others take that token from their store.

- ``none``, ``file`` and ``redis``: our provider without a store, with a `FileStore` for each host, and with a
  `RedisStore` for all.
- ``plain``: a token in a variable, fetched by the first call that finds none or an expired one.
- ``pydomo``: Domo's official SDK 0.3.0.16, as the source of its ``pydomo/Transport.py`` shows. The constructor fetches
  a token (line 25). A call after the token has expired fetches another and waits for it (lines 79 to 82). There is one
  attempt and no pause: the next call tries again (lines 100 to 106). Nothing is shared between processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from . import BOOT, LATENCY, LIFETIME, REDIS_TIMEOUT, SPREAD, THINK, Counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from . import Fleet, Scenario

    Floats: TypeAlias = "NDArray[np.float64]"

__all__ = ["at_random", "run"]

_STALE, _JITTER, _SPENT = LIFETIME - 300, 75.0, LIFETIME - 30
"""The age in seconds from which our provider renews a token, up to how much later at random, and from when callers
wait for the next."""


def run(fleet: Fleet, scenario: Scenario, subject: str, chance: Callable[[tuple[int, ...]], Floats]) -> Counts:
    """Simulate a fleet of ``none``, ``file``, ``redis``, ``plain`` or ``pydomo``.

    Args:
        fleet: How many workers, on how many hosts.
        scenario: What happens. An outage of the endpoint is simulated for ``plain`` and ``pydomo`` only.
        subject: What the workers use.
        chance: Makes an array of random numbers from 0 to 1, without 1.
    """
    return _Model(fleet, scenario, subject, chance).run()


class _Model:
    def __init__(
        self, fleet: Fleet, scenario: Scenario, subject: str, chance: Callable[[tuple[int, ...]], Floats]
    ) -> None:
        self._scenario, self._subject, self._chance = scenario, subject, chance
        ours = subject in {"none", "file", "redis"}
        self._stale, self._jitter, self._spent = (_STALE, _JITTER, _SPENT) if ours else (LIFETIME, 0.0, LIFETIME)
        sharing = fleet.sharing(subject)
        shape = fleet.workers // sharing, sharing
        hosts = np.repeat(scenario.arrivals * chance((fleet.hosts,)), fleet.workers // fleet.hosts).reshape(shape)
        self._stored = np.full((shape[0], 1), -np.inf)
        """When the newest token of those who share it was requested."""
        self._held = np.full(shape, -np.inf)
        """When the token of each worker was requested."""
        self._due = self._started(hosts, BOOT)
        self._delayed = self._failed = 0
        self._seconds = np.zeros(int(scenario.length) + 2, np.int64)

    def run(self) -> Counts:
        for restart in self._scenario.restarts:
            self._advance(restart)
            self._due = self._started(np.full(self._due.shape, restart), SPREAD)
            self._held[:] = -np.inf
            if self._subject not in {"file", "redis"}:
                self._stored[:] = -np.inf
        if self._subject == "redis" and (outage := self._scenario.redis_outage).end:
            self._advance(outage.start)
            shared, self._stored = self._stored, np.full((self._due.size, 1), -np.inf)
            due, held = self._due, self._held
            self._due, self._held = due.reshape(-1, 1), held.reshape(-1, 1)  # each on its own
            self._advance(outage.end, wait=REDIS_TIMEOUT)
            self._due, self._held, self._stored = due, held, shared
        self._advance(self._scenario.length)
        return Counts(int(self._seconds.sum()), int(self._seconds.max()), self._delayed, self._failed)

    def _started(self, since: Floats, within: float) -> Floats:
        up = since + within * self._chance(since.shape)
        return up if self._subject == "pydomo" else up + self._thought(since.shape)

    def _thought(self, shape: tuple[int, ...]) -> Floats:
        """The time to the next call. After any wait it is as long as ever, as calls come at random."""
        thought: Floats = np.log1p(-self._chance(shape)) * -THINK
        return thought

    def _advance(self, until: float, wait: float = 0.0) -> None:
        """Simulate all calls before a time. A request is sent ``wait`` seconds after its call."""
        while len(rows := np.nonzero(self._due.min(axis=1) < until)[0]):
            due, held, stored = self._due[rows], self._held[rows], self._stored[rows]
            # Some take the newest token from the store, until the first of all sends the next request.
            stale = stored + self._stale + self._jitter * self._chance(due.shape)
            later = np.maximum(due, stale) + self._thought(due.shape)
            taking = (held < stored) & (due < stored + self._spent) & (due < until)
            taking &= due <= np.where(taking, later, due).min(axis=1, keepdims=True)
            self._due[rows], self._held[rows] = np.where(taking, later, due), np.where(taking, stored, held)
            self._request(rows[~taking.any(axis=1)], wait)

    def _request(self, rows: NDArray[np.intp], wait: float) -> None:
        """The first worker of each row sends a request; those whose token is spent wait for its answer."""
        due, held = self._due[rows], self._held[rows]
        asked = due.min(axis=1, keepdims=True) + wait
        np.add.at(self._seconds, asked.astype(np.int64), 1)
        refused = (self._scenario.outage.start <= asked) & (asked < self._scenario.outage.end)
        called = due < asked + LATENCY
        delayed = called & (due >= held + self._spent) & ~refused
        stale = np.maximum(asked + LATENCY, asked + self._stale + self._jitter * self._chance(due.shape))
        since = np.where(refused, asked + LATENCY, np.where(delayed, stale, due))
        self._due[rows] = np.where(called, since + self._thought(due.shape), due)
        self._held[rows] = np.where(delayed, asked, held)
        self._stored[rows] = np.where(refused, self._stored[rows], asked)
        self._delayed += int(delayed.sum())
        self._failed += int(refused.sum())


def at_random(seed: int) -> Callable[[tuple[int, ...]], Floats]:
    """The same chance for the same seed."""
    return np.random.default_rng(seed).random
