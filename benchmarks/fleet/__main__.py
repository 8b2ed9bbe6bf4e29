"""Simulate fleets for 30 days, and write results.json, results.md and fleet.svg: ``python -m benchmarks.fleet``."""

from __future__ import annotations

import argparse
import json
import random
from statistics import mean
from typing import Any

from benchmarks.library import ROOT
from benchmarks.publish import Panel, plot

from . import Counts, Fleet, Interval, Scenario, model, real

__all__ = ["rows", "table"]

_DAY, _HOUR = 86400.0, 3600.0
_SIZES = (Fleet(1, 1), Fleet(100, 10), Fleet(10_000, 1_000), Fleet(100_000, 10_000))
_QUICK_SIZES = (Fleet(1, 1), Fleet(100, 10), Fleet(1_000, 100))
_SAMPLE, _QUICK_SAMPLE = Fleet(100, 10), Fleet(10, 1)
"""The largest fleet of real providers that goes through an outage of the endpoint, where each call counts."""
_AGES = 4
"""Outages that a row is the mean of, each at another age of the tokens, which matters."""
_SUBJECTS = {
    "pydomo": "pydomo",
    "plain": "plain cache",
    "none": "no store",
    "file": "`FileStore`",
    "redis": "`RedisStore`",
}
_PEERS = ("pydomo", "plain")
_SCENARIOS = {
    "steady": "nothing happens",
    "restarts": "two restarts of all at once",
    "outage": "the endpoint is away for an hour",
    "redis_outage": "Redis is away for an hour",
}
_FIGURES = {
    "requests": "requests",
    "worst_second": "worst second",
    "delayed": "calls delayed",
    "failed": "calls failed",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small fleets and two days, to look at; writes nothing")
    parser.add_argument("--seed", type=int, default=1, help="decides all chance (1)")
    options = parser.parse_args()
    sizes, sample, days = (_QUICK_SIZES, _QUICK_SAMPLE, 2) if options.quick else (_SIZES, _SAMPLE, 30)
    results = {"seed": options.seed, "days": days, "rows": rows(sizes, sample, days, options.seed)}
    print(f"\n{table(results)}")
    if options.quick:
        return
    folder = ROOT / "benchmarks/fleet"
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(table(results), encoding="utf-8")
    (folder / "fleet.svg").write_text(plot(panels(results)), encoding="utf-8")


def rows(sizes: tuple[Fleet, ...], sample: Fleet, days: float, seed: int) -> list[dict[str, Any]]:
    """The figures of each scenario, fleet and subject."""
    length = days * _DAY
    scenarios = (
        Scenario("steady", length),
        Scenario("restarts", length, restarts=(0.27 * length, 0.73 * length)),
        Scenario("outage", length, outage=Interval(0.2 * length, 0.2 * length + _HOUR)),
        Scenario("redis_outage", length, redis_outage=Interval(length / 2, length / 2 + _HOUR)),
    )
    asked = [
        (scenario, fleet, subject)
        for scenario in scenarios
        for fleet in sizes
        for subject in (_SUBJECTS if scenario.name != "redis_outage" else ("redis",))  # it affects no other
    ]
    costs = {
        (fleet, store): _outage_cost(fleet, store, seed)
        for fleet in sorted({min(fleet, sample) for fleet in sizes})
        for store in _SUBJECTS
        if store not in _PEERS
    }
    found = []
    for scenario, fleet, subject in asked:
        cost = costs.get((min(fleet, sample), subject))
        counts = _counts(scenario, fleet, subject, seed, cost, fleet.workers // min(fleet, sample).workers)
        row: dict[str, Any] = {"scenario": scenario.name, "subject": subject, **fleet._asdict(), **counts._asdict()}
        if scenario.outage.end and cost and fleet > sample:
            row["scaled_from"] = sample.workers
        print(row, flush=True)
        found.append(row)
    return found


def _counts(scenario: Scenario, fleet: Fleet, subject: str, seed: int, cost: Counts | None, times: int) -> Counts:
    """Count by the model, and add what an outage costs a fleet that is so many times smaller."""
    if not scenario.outage.end:
        return model.run(fleet, scenario, subject, model.at_random(seed))
    if not cost:
        return _mean([model.run(fleet, each, subject, model.at_random(seed)) for each in _outages(scenario)])
    quiet = model.run(fleet, scenario._replace(outage=Interval()), subject, model.at_random(seed))
    asking = 1 if subject == "redis" else times  # one of all asks, however many they are
    return Counts(
        quiet.requests + cost.requests * asking,
        max(quiet.worst_second, cost.worst_second * asking),
        quiet.delayed + cost.delayed * times,
        quiet.failed + cost.failed * times,
    )


def _outage_cost(fleet: Fleet, store: str, seed: int) -> Counts:
    """What an hour's outage of the endpoint adds to quiet hours, by the real provider."""
    scenario = Scenario("outage", 5 * _HOUR, outage=Interval(2 * _HOUR, 3 * _HOUR))
    outages = [scenario._replace(outage=Interval()), *_outages(scenario)]
    quiet, *runs = (real.run(fleet, each, store, random.Random(seed).random) for each in outages)  # noqa: S311
    mean_of = _mean(runs)
    return Counts(
        mean_of.requests - quiet.requests,
        mean_of.worst_second,
        mean_of.delayed - quiet.delayed,
        mean_of.failed - quiet.failed,
    )


def _outages(scenario: Scenario) -> list[Scenario]:
    starts = [scenario.outage.start + age * _HOUR / _AGES for age in range(_AGES)]
    return [scenario._replace(outage=Interval(start, start + _HOUR)) for start in starts]


def _mean(runs: list[Counts]) -> Counts:
    """The mean, but of the worst second the worst."""
    requests, seconds, delayed, failed = zip(*runs, strict=True)
    return Counts(round(mean(requests)), max(seconds), round(mean(delayed)), round(mean(failed)))


def table(results: dict[str, Any], workers: int | None = None) -> str:
    """All figures, or those of one fleet, and how they came about."""
    chosen = [row for row in results["rows"] if workers in {None, row["workers"]}]
    cells = {(row["scenario"], row["workers"], row["subject"]): row for row in chosen}
    names = "".join(f" {name} |" for name in _SUBJECTS.values())
    lines = [f"| {results['days']} days | |{names}", "|---|---|" + "---:|" * len(_SUBJECTS)]
    for scenario, size in dict.fromkeys((row["scenario"], row["workers"]) for row in chosen):
        there = [cells.get((scenario, size, subject)) for subject in _SUBJECTS]
        what = _SCENARIOS[scenario] + (f", {_workers(size)}" if workers is None else "")
        for figure, name in _FIGURES.items():
            if any(row and row[figure] for row in there):
                lines.append(f"| {what} | {name} |" + "".join(f" {_cell(row, figure)} |" for row in there))
                what = ""
    return "\n".join([*lines, "", _note(results, workers), ""])


def _cell(row: dict[str, Any] | None, figure: str) -> str:
    if row is None:
        return "–"  # an outage of Redis does not affect it
    number = f"{row[figure]:,}" if row[figure] < 1_000_000 else f"{row[figure] / 1e6:,.1f} M"
    return f"≈ {number}" if "scaled_from" in row and row[figure] else number


def _workers(size: int) -> str:
    return f"{size:,} worker{'s' if size != 1 else ''}"


def _note(results: dict[str, Any], workers: int | None) -> str:
    hosts = next((row["hosts"] for row in results["rows"] if row["workers"] == workers), None)
    fleet = f"{_workers(workers)} on {hosts:,} hosts" if workers else "Ten workers on a host"
    sample = next((row["scaled_from"] for row in results["rows"] if "scaled_from" in row), 0)
    note = (
        f"{fleet}, each with a process of its own that calls the API every 10 s on average, by chance; tokens last an "
        "hour, the endpoint answers after 0.2 s and knows no limit. *Requests* are those to the token endpoint; the "
        "*worst second* is the most of them within one; a call is *delayed* that waits for a token, and *failed* that "
        f"gets none. ≈ marks figures whose outage was simulated with {sample:,} workers and scaled up; one of all that "
        "share a Redis asks for a token, however many they are. "
    )
    if workers:
        return f"{note}[Smaller fleets, and how this is simulated](benchmarks/fleet/results.md)."
    return note + (
        "Simulated by `make fleet`, with time, network, disk and Redis replaced by their rules. Outages of the "
        "endpoint run the real provider in every worker; their figures are means (and the worst second the worst) of "
        "four that begin a quarter of an hour apart, as the age of the tokens matters. All else is counted by a model "
        "with the same rules, which the tests compare with the real provider. *pydomo* follows the source of "
        "`pydomo/Transport.py` of 0.3.0.16 (lines 25, 79–82 and 100–106); a *plain cache* keeps a token in a variable. "
        f"Seed {results['seed']} gives the same figures each time."
    )


def panels(results: dict[str, Any]) -> list[Panel]:
    """Requests in all, and in the worst second, by the number of workers."""
    of = {
        "requests": ("steady", f"requests in {results['days']} days, nothing happens"),
        "worst_second": ("restarts", "worst second, two restarts of all at once"),
    }
    return [
        Panel(
            title,
            {
                name.strip("`"): [
                    (row["workers"], row[figure])
                    for row in results["rows"]
                    if (row["scenario"], row["subject"]) == (scenario, subject)
                ]
                for subject, name in _SUBJECTS.items()
            },
            "workers",
            logarithmic=True,
        )
        for figure, (scenario, title) in of.items()
    ]


if __name__ == "__main__":
    main()
