"""Simulate fleets for 30 days, and write results.json and results.md: ``python -m benchmarks.fleet``."""

from __future__ import annotations

import json
import random
from functools import cache
from statistics import mean
from typing import Any

import click

from benchmarks.library import ROOT
from benchmarks.report import markdown, write_headlines

from . import Counts, Fleet, Interval, Scenario, model, real

__all__ = ["rows", "table"]

_DAY, _HOUR = 86400.0, 3600.0
_HEAD = """# Token requests of fleets of up to {largest:,} workers in {days} days

`make fleet` ran each fleet on a simulated clock, with pydomo, with a plain cache, and with our provider without a \
store and with each store: undisturbed, through restarts, and through outages of the token endpoint and Redis.
"""
_SIZES = (Fleet(1, 1), Fleet(100, 10), Fleet(10_000, 1_000), Fleet(100_000, 10_000))
_QUICK_SIZES = (Fleet(1, 1), Fleet(100, 10), Fleet(1_000, 100))
_SAMPLE, _QUICK_SAMPLE = Fleet(100, 10), Fleet(10, 1)
"""The largest fleet of real providers that goes through an outage of the endpoint, where each call counts."""
_SEED, _AGES = 1, 4
"""Each row averages this many outages, which start at different token ages."""
_PEERS = {"pydomo": "pydomo", "plain": "plain cache"}
_SUBJECTS = {**_PEERS, "none": "no store", "file": "`FileStore`", "redis": "`RedisStore`"}
_SCENARIOS = {
    "steady": "nothing happens",
    "restarts": "two restarts of all at once",
    "outage": "the endpoint is down for an hour",
    "redis_outage": "Redis is down for an hour",
}
_FIGURES = dict(zip(Counts._fields, ("requests", "worst second", "calls delayed", "calls failed"), strict=True))


@click.command()
@click.option("--quick", is_flag=True, help="Small fleets and two days; print only.")
def main(*, quick: bool) -> None:
    """Simulate fleets for 30 days, and write results.json and results.md."""
    sizes, sample, days = (_QUICK_SIZES, _QUICK_SAMPLE, 2) if quick else (_SIZES, _SAMPLE, 30)
    results = {"seed": _SEED, "days": days, "rows": rows(sizes, sample, days, _SEED)}
    click.echo(f"\n{table(results)}")
    if not quick:
        folder = ROOT / "benchmarks/fleet"
        (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (folder / "results.md").write_text(table(results), encoding="utf-8")
        write_headlines()


def rows(sizes: tuple[Fleet, ...], sample: Fleet, days: float, seed: int) -> list[dict[str, Any]]:
    """The figures of each scenario, fleet and subject."""
    length = days * _DAY
    scenarios = (
        Scenario("steady", length),
        Scenario("restarts", length, restarts=(0.27 * length, 0.73 * length)),
        Scenario("outage", length, outage=Interval(0.2 * length, 0.2 * length + _HOUR)),
        Scenario("redis_outage", length, redis_outage=Interval(length / 2, length / 2 + _HOUR)),
    )
    found = []
    for scenario in scenarios:
        for fleet in sizes:
            for subject in _SUBJECTS if scenario.name != "redis_outage" else ("redis",):  # it affects no other
                row: dict[str, Any] = {"scenario": scenario.name, "subject": subject, **fleet._asdict()}
                if scenario.outage.end and subject not in _PEERS:
                    row |= _outage(scenario, fleet, subject, min(fleet, sample), seed)._asdict()
                    row |= {"scaled_from": sample.workers} if fleet > sample else {}
                else:
                    outages = _outages(scenario) if scenario.outage.end else [scenario]
                    counts = [model.run(fleet, each, subject, model.at_random(seed)) for each in outages]
                    row |= _mean(counts)._asdict()
                click.echo(str(row))
                found.append(row)
    return found


def _outage(scenario: Scenario, fleet: Fleet, store: str, sample: Fleet, seed: int) -> Counts:
    """Count quiet days with the model; add what an outage costs a fleet n times smaller, times n."""
    quiet = model.run(fleet, scenario._replace(outage=Interval()), store, model.at_random(seed))
    cost, times = _outage_cost(sample, store, seed), fleet.workers // sample.workers
    asking = 1 if store == "redis" else times  # one of all asks, however many they are
    return Counts(
        quiet.requests + cost.requests * asking,
        max(quiet.worst_second, cost.worst_second * asking),
        quiet.delayed + cost.delayed * times,
        quiet.failed + cost.failed * times,
    )


@cache
def _outage_cost(fleet: Fleet, store: str, seed: int) -> Counts:
    """What an hour's outage of the endpoint adds to quiet hours, by the real provider."""
    scenario = Scenario("outage", 5 * _HOUR, outage=Interval(2 * _HOUR, 3 * _HOUR))
    outages = [scenario._replace(outage=Interval()), *_outages(scenario)]
    quiet, *runs = (real.run(fleet, each, store, random.Random(seed).random) for each in outages)  # noqa: S311
    counts = _mean(runs)
    more = Counts(*(number - before for number, before in zip(counts, quiet, strict=True)))
    return more._replace(worst_second=counts.worst_second)


def _outages(scenario: Scenario) -> list[Scenario]:
    starts = [scenario.outage.start + age * _HOUR / _AGES for age in range(_AGES)]
    return [scenario._replace(outage=Interval(start, start + _HOUR)) for start in starts]


def _mean(runs: list[Counts]) -> Counts:
    """The mean, but of the worst second the worst."""
    requests, seconds, delayed, failed = zip(*runs, strict=True)
    return Counts(round(mean(requests)), max(seconds), round(mean(delayed)), round(mean(failed)))


def table(results: dict[str, Any]) -> str:
    """All figures, and how they came about."""
    cells = {(row["scenario"], row["workers"], row["subject"]): row for row in results["rows"]}
    lines = []
    for scenario, size in dict.fromkeys((row["scenario"], row["workers"]) for row in results["rows"]):
        there = [cells.get((scenario, size, subject)) for subject in _SUBJECTS]
        what = f"{_SCENARIOS[scenario]}, {size:,} worker{'s' if size != 1 else ''}"
        for figure, name in _FIGURES.items():
            if any(row and row[figure] for row in there):
                lines.append([what, name, *(_cell(row, figure) for row in there)])
                what = ""
    header = f"{results['days']} days | counted | {' | '.join(_SUBJECTS.values())}"
    rule = "|---|---|" + "---:|" * len(_SUBJECTS)
    head = _HEAD.format(largest=max(row["workers"] for row in results["rows"]), days=results["days"])
    return "\n".join([head, *markdown(header, lines, rule), "", _note(results), ""])


def _cell(row: dict[str, Any] | None, figure: str) -> str:
    if row is None:
        return "–"  # an outage of Redis does not affect it
    number = f"{row[figure]:,}" if row[figure] < 1_000_000 else f"{row[figure] / 1e6:,.1f} M"
    return f"≈ {number}" if "scaled_from" in row and row[figure] else number


def _note(results: dict[str, Any]) -> str:
    sample = next((row["scaled_from"] for row in results["rows"] if "scaled_from" in row), 0)
    return (
        "Each host has ten workers, each a process of its own that calls the API every 10 s on average, at random. "
        "Tokens last an hour; the endpoint responds after 0.2 s and has no rate limit. *Requests* are those to the "
        "token endpoint, and the *worst second* is the most of them in any second. A call is *delayed* if it waits for "
        "a token, and *failed* if it gets none. "
        f"≈ marks figures whose outage was simulated with {sample:,} workers and scaled up. Requests of workers that "
        "share a Redis are not scaled, as only one of them requests the token. "
        "Simulated by `make fleet`, with time, network, disk and Redis replaced by their rules. Outages of the "
        "endpoint run the real provider in every worker; their figures are means (and the worst second the worst) of "
        "four that begin a quarter of an hour apart, as the age of the tokens matters. Everything else is counted by a "
        "model with the same rules, which the tests compare with the real provider. *pydomo* follows the source of "
        "`pydomo/Transport.py` of 0.3.0.16 (lines 25, 79–82 and 100–106); a *plain cache* keeps a token in a variable. "
        f"Seed {results['seed']} gives the same figures each time."
    )


if __name__ == "__main__":
    main()
