"""Days on which nothing happens, worked out for all workers at once: the same draws, the same requests.

Between a settled fleet and the next event, each group of workers goes through the same round again and again: the
tokens get stale, the first call of the first worker after that asks for another, and each of the others takes it at its
own first call. That is all that is in here, and the tests hold it to the real code, count by count. What is not so
simple (starts, restarts, outages, and until all is settled again) is left to the real code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import draws
from .parts import LATENCY, LIFETIME, THINK
from .real import SPENT, Running, simulated

if TYPE_CHECKING:
    from .parts import Fleet, Scenario
    from .real import Group

__all__ = ["run"]

_SETTLING = 120.0
"""Seconds between two looks whether a group has settled."""
_GUARD = 1.0
"""Seconds by which all of a round must be over before the real code takes it from there."""
_STALE_SPAN = 300.0


def run(fleet: Fleet, scenario: Scenario, store: str, seed: int, *, shortcut: bool = True) -> dict[str, int]:
    """Let a fleet of ours run, and count.

    Args:
        fleet: How many workers, on how many hosts.
        scenario: What happens.
        store: ``none``, ``file`` or ``redis``.
        seed: What all chance comes from.
        shortcut: Whether quiet days are worked out, and not run.
    """
    running = Running(fleet, scenario, store, seed)
    with simulated(running.world):
        running.begin()
        if shortcut:
            _run_events(running, store)
        else:
            for restart in scenario.restarts:
                running.world.run(restart)
                running.restart()
            running.world.run(scenario.length)
        running.end()
    return running.tally.told()


def _run_events(running: Running, store: str) -> None:
    """Run what happens, and work out the quiet days in between."""
    scenario = running.scenario
    busy_until = scenario.arrivals + 120.0
    for start, end in [*_events(scenario, store), (scenario.length, scenario.length)]:
        ends_all = start in scenario.restarts or start == scenario.length
        for batch in _settle(running, busy_until, start):
            batch.advance(start, running)
            batch.put_back(start, ends_all=ends_all)
        running.world.run(start)
        if start in scenario.restarts:
            running.restart()
        busy_until = end


def _events(scenario: Scenario, store: str) -> list[tuple[float, float]]:
    """From when to when the real code has to run, at least."""
    events = [(restart, restart + 60.0) for restart in scenario.restarts]
    events += [(outage.start, outage.end + 60.0) for outage in scenario.outages]
    if scenario.redis_outage.end and store == "redis":
        events.append((scenario.redis_outage.start, scenario.redis_outage.end + 60.0))
    return sorted(events)


def _settle(running: Running, busy_until: float, until: float) -> list[_Batch]:
    """Run until all groups have settled, and take each out as soon as it has."""
    unsettled, stored = running.groups, running.store != "none"
    batches: list[_Batch] = []
    now = min(busy_until, until)
    while True:
        running.world.run(now)
        if now >= until or not unsettled:
            return batches
        settled = [group for group in unsettled if group.is_settled(stored=stored)]
        if settled:
            taken = set(map(id, settled))
            unsettled = [group for group in unsettled if id(group) not in taken]
            batches.append(_Batch(settled))
        now = min(now + _SETTLING, until)


class _Batch:
    """Groups that have settled: a row each."""

    def __init__(self, groups: list[Group]) -> None:
        self._groups = groups
        rows = [group.workers for group in groups]
        self._keys = np.array([[worker.key for worker in row] for row in rows], np.uint64)
        self._drawn = np.array([[worker.drawn for worker in row] for row in rows], np.uint64)
        self._visits = np.array([[worker.process.visit_at for worker in row] for row in rows])
        held = [[worker.process.made()._shared.held for worker in row] for row in rows]
        self._stale = np.array([[each.stale_at if each else 0.0 for each in row] for row in held])
        self._sent = np.array([group.sent for group in groups])
        for group in groups:
            group.take_out()

    def advance(self, until: float, running: Running) -> None:
        """Go through all rounds that are over before that time."""
        while True:
            rows = np.nonzero(self._visits.max(axis=1) + _GUARD < until)[0]
            if not len(rows):
                return
            visits, keys, drawn = self._visits[rows], self._keys[rows], self._drawn[rows]
            first = visits.min(axis=1)
            running.tally.requests_at(first)
            # A call that comes later than the token is good for waits, if the request is not over yet.
            late = visits >= (self._sent[rows] + SPENT)[:, None]
            if late.any():
                running.tally.delayed += int((late & (visits < (first + LATENCY)[:, None])).sum())
            # The real code has drawn, by the end of a round: when to call next (in vain, as the refresh came before,
            # but for those who waited for it), the token's jitter, and when to call next.
            drawn += ~late
            jitter = draws.numbers(keys, drawn)
            stale = first[:, None] + (LIFETIME - _STALE_SPAN + _STALE_SPAN / 4 * jitter)
            drawn += np.uint64(1)
            self._visits[rows] = stale + draws.exponentials(draws.numbers(keys, drawn), THINK)
            self._stale[rows], self._sent[rows], self._drawn[rows] = stale, first, drawn + np.uint64(1)

    def put_back(self, until: float, *, ends_all: bool) -> None:
        """Let the real code take it from here; where all ends then, only those who have something to do before."""
        drawn, visits, stale = self._drawn.tolist(), self._visits.tolist(), self._stale.tolist()
        for row, group in enumerate(self._groups):
            for worker, count in zip(group.workers, drawn[row], strict=True):
                worker.drawn = count
            sent = float(self._sent[row])
            group.put_on_shelf(sent)
            if not ends_all or min(visits[row]) < until:
                group.put_back(sent, stale[row], visits[row])
