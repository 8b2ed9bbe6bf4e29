"""Days on which nothing happens, worked out for all workers at once: the same draws, the same requests.

Between a settled fleet and the next event, each group of workers goes through the same round again and again: the
tokens get stale, the first call of the first worker after that asks for another, and each of the others takes it from
the store at its own first call. That is all that is in here, and the tests hold it to the real code, count by count.
What is not so simple (starts, restarts, outages, and until all is settled again) is left to the real code.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from domo_oauth.timing import spent_after, stale_after

from . import draws
from .parts import LATENCY, LIFETIME, THINK
from .real import Running

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .draws import Counts, Floats, Keys
    from .parts import Fleet, Scenario, Tally
    from .real import Group

__all__ = ["run"]

_SETTLING = 120.0
"""Seconds between two looks whether a group has settled."""


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
    disabled = logging.root.manager.disable
    logging.disable()  # it would tell of each worker's troubles
    running.begin()
    if shortcut:
        _run_events(running, store)
    else:
        for restart in scenario.restarts:
            running.world.run(restart)
            running.restart()
        running.world.run(scenario.length)
    running.end()
    logging.disable(disabled)
    return running.tally.told()


def _run_events(running: Running, store: str) -> None:
    """Run what happens, and work out the quiet days in between."""
    scenario = running.scenario
    busy_until = scenario.arrivals + 120.0
    for start, end in [*_events(scenario, store), (scenario.length, scenario.length)]:
        ends_all = start in scenario.restarts or start == scenario.length
        for batch in _settle(running, busy_until, start):
            batch.advance(start, running.tally)
            batch.put_back(start, ends_all=ends_all, stored=store != "none")
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
        settled = [group for group in unsettled if group.is_settled(now, stored=stored)]
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
        self._thought = np.array([[worker.thought for worker in row] for row in rows], np.uint64)
        self._chance = np.array([[worker.chance for worker in row] for row in rows], np.uint64)
        self._drawn = np.array([[worker.drawn for worker in row] for row in rows], np.uint64)
        self._visits = np.array([[worker.process.visit_at for worker in row] for row in rows])
        self._sent = np.array([row[0].process.sent for row in rows])
        for group in groups:
            for worker in group.workers:
                worker.process.take_out()

    def advance(self, until: float, tally: Tally) -> None:
        """Go through all rounds that are over before that time."""
        rows = np.arange(len(self._groups))
        while len(rows):
            rows = self._round(rows, until, tally)

    def _round(self, rows: NDArray[np.intp], until: float, tally: Tally) -> NDArray[np.intp]:
        """Go through one round of these groups; returns those for which it is over by then, as only they count."""
        sent = self._visits[rows].min(axis=1)  # by the first whose token is stale
        landed, spent_at = (sent + LATENCY)[:, None], (self._sent[rows] + spent_after(LIFETIME))[:, None]
        visit, thought = self._visits[rows], self._thought[rows]
        keys, chance, drawn = self._keys[rows], self._chance[rows], self._drawn[rows]
        # Who calls while its token is stale is given that one, and the next at a later call, once it has come. Who
        # calls when it is spent waits for the next.
        pending = visit < spent_at
        delayed = ~pending & (visit < landed)
        while pending.any():
            visit = visit + np.where(pending, self._think(keys, thought), 0.0)
            thought += pending
            early = pending & (visit < landed)
            delayed |= early & (visit >= spent_at)
            pending = early & (visit < spent_at)
        known = np.where(delayed, landed, visit)
        over = known.max(axis=1) < until
        done: NDArray[np.intp] = rows[over]
        tally.requests_at(sent[over])
        tally.delayed += int(delayed[over].sum())
        stale = sent[:, None] + stale_after(LIFETIME, draws.numbers(chance, drawn))  # type: ignore[arg-type]
        self._visits[done] = (np.maximum(known, stale) + self._think(keys, thought))[over]
        self._thought[done], self._drawn[done] = (thought + np.uint64(1))[over], (drawn + np.uint64(1))[over]
        self._sent[done] = sent[over]
        return done

    @staticmethod
    def _think(keys: Keys, thought: Counts) -> Floats:
        return draws.exponentials(draws.numbers(keys, thought), THINK)

    def put_back(self, until: float, *, ends_all: bool, stored: bool) -> None:
        """Let the real code take it from here; where all ends then, only those who have something to do before."""
        drawn, thought, visits = self._drawn.tolist(), self._thought.tolist(), self._visits.tolist()
        for row, group in enumerate(self._groups):
            for place, worker in enumerate(group.workers):
                worker.drawn, worker.thought = drawn[row][place], thought[row][place]
            is_wanted = not ends_all or min(visits[row]) < until
            workers = group.workers if is_wanted else group.workers[:stored]  # one leaves the token in the store
            group.put_back(workers, float(self._sent[row]))
            for worker, visit in zip(group.workers if is_wanted else (), visits[row], strict=False):
                worker.process.schedule(visit)
