"""Simulate, and write results.json, results.md and fleet.svg: ``python -m benchmarks.fleet``."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

from . import peers, report, shortcut
from .parts import DAY, Fleet, Interval, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable

_HOUR = 3600.0
_SIZES = (Fleet(1, 1), Fleet(100, 10), Fleet(10_000, 1_000), Fleet(100_000, 10_000))
_QUICK_SIZES = (Fleet(1, 1), Fleet(100, 10), Fleet(1_000, 100))
_OURS = ("none", "file", "redis")
_PEERS = ("pydomo", "plain")
_SAMPLE, _QUICK_SAMPLE = Fleet(100, 10), Fleet(10, 1)
"""The largest fleet of ours that goes through an outage of the endpoint; the figures of larger ones are multiples.

In an outage nearly each call is one that matters, and nothing can be passed over.
"""
_OF_ALL = {"redis": ("requests", "worst_second")}
"""What does not grow with the fleet: where one of all asks, there are as many requests for 10 workers as for 100."""
_CHECKED = Fleet(100, 10), 3
"""A fleet and days that are run twice: with the shortcut, and on the real code from the first second to the last."""
_AGES, _QUICK_AGES = 4, 1
"""Outages of the endpoint that a row is the mean of, each in a run of its own.

It matters how old the tokens are when one begins, and most of all where there is one token for all.
"""


class _Case(NamedTuple):
    """One fleet in one scenario."""

    fleet: Fleet
    scenario: Scenario
    subject: str
    seed: int
    shortcut: bool = True

    def run(self) -> dict[str, int]:
        """Run it, and count."""
        if self.subject in _PEERS:
            return peers.run(self.fleet, self.scenario, self.subject, self.seed)
        return shortcut.run(self.fleet, self.scenario, self.subject, self.seed, shortcut=self.shortcut)


def scenarios(days: int) -> tuple[Scenario, ...]:
    """What may happen within so many days; each by itself."""
    length = days * DAY
    return (
        Scenario("steady", length),
        Scenario("restarts", length, restarts=(0.27 * length, 0.73 * length)),
        Scenario("outage", length, outages=(Interval(0.2 * length, 0.2 * length + _HOUR),)),
        Scenario("redis_outage", length, redis_outage=Interval(length / 2, length / 2 + _HOUR)),
    )


def main() -> None:
    """Run all cases and write what came of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small fleets and few days, to look at; writes nothing")
    parser.add_argument("--seed", type=int, default=1, help="what all chance comes from (1)")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes to use (1); the figures are the same")
    parser.add_argument("--update-readme", action="store_true", help="put table and plot between README.md's markers")
    options = parser.parse_args()
    quick = (_QUICK_SIZES, 2, _QUICK_SAMPLE, _QUICK_AGES)
    sizes, days, sample, ages = quick if options.quick else (_SIZES, 30, _SAMPLE, _AGES)
    asked = _asked(sizes, scenarios(days), options.seed)
    sources = {case: _sources(case, sample, ages) for case in asked}
    checked = []
    if not options.quick:
        fleet, of_days = _CHECKED
        checked = [case for case in _asked([fleet], scenarios(of_days), options.seed) if case.subject in _OURS]
        checked += [_Case(Fleet(10_000, 1_000), Scenario("steady", DAY / 4), each, options.seed) for each in _OURS]
    full = {case: case._replace(shortcut=False) for case in checked}
    done = _run({*chain(*sources.values(), full, full.values())}, options.jobs)
    for case in checked:
        if done[case] != done[full[case]]:
            raise AssertionError(f"The shortcut counts otherwise than the code: {case}: {done[full[case]]}")
    rows = [_told(case, of, [done[source] for source in of]) for case, of in sources.items()]
    results = {"seed": options.seed, "days": days, "rows": rows}
    print(f"\n{report.table(results)}")
    if not options.quick:
        report.write(results)
        if options.update_readme:
            report.update_readme(results)


def _asked(sizes: Iterable[Fleet], happening: Iterable[Scenario], seed: int) -> list[_Case]:
    """The rows of the table. Where there is no Redis, nobody notices that it is away."""
    return [
        _Case(fleet, scenario, subject, seed)
        for scenario in happening
        for fleet in sizes
        for subject in ((*_PEERS, *_OURS) if scenario.name != "redis_outage" else ("redis",))
    ]


def _sources(case: _Case, sample: Fleet, ages: int) -> list[_Case]:
    """The cases that a row is told from."""
    if not case.scenario.outages:
        return [case]
    if case.fleet.workers > sample.workers and case.subject in _OURS:
        case = case._replace(fleet=sample)
    starts = [case.scenario.outages[0].start + age * _HOUR / ages for age in range(ages)]
    outages = [(Interval(start, start + _HOUR),) for start in starts]
    return [case._replace(scenario=case.scenario._replace(outages=each)) for each in outages]


def _told(case: _Case, sources: list[_Case], counted: list[dict[str, int]]) -> dict[str, object]:
    """A row as it is written."""
    times = case.fleet.workers // sources[0].fleet.workers
    row: dict[str, object] = {"scenario": case.scenario.name, "subject": case.subject, **case.fleet._asdict()}
    for name in counted[0]:
        of_each = [figures[name] for figures in counted]
        figure = max(of_each) if name == "worst_second" else round(mean(of_each))
        row[name] = figure if name in _OF_ALL.get(case.subject, ()) else figure * times
    return row if times == 1 else row | {"scaled_from": sources[0].fleet.workers}


def _run(cases: set[_Case], jobs: int) -> dict[_Case, dict[str, int]]:
    """Run each once; the longest first."""
    ordered = sorted(cases, key=lambda case: (-case.fleet.workers, case))
    done = {}
    with ProcessPoolExecutor(jobs) as pool:
        for case, figures in zip(ordered, pool.map(_Case.run, ordered), strict=True):
            done[case] = figures
            how = "" if case.shortcut else ", the real code alone"
            print(f"{case.scenario.name}, {case.fleet.workers:,} workers, {case.subject}{how}: {figures}", flush=True)
    return done


if __name__ == "__main__":
    main()
