"""The fleet simulation counts what can be counted by hand, and its model counts what the real provider does."""

from __future__ import annotations

import json
import random
import sys

import numpy as np
import pytest

from benchmarks.fleet import Fleet, Interval, Scenario, model, real
from benchmarks.fleet.__main__ import rows, table
from benchmarks.library import ROOT

DAY, HOUR = 86400.0, 3600.0
STEADY = Scenario("steady", DAY)
RESTARTS = Scenario("restarts", DAY, restarts=(42_300.0,))
OUTAGE = Scenario("outage", 3 * HOUR, outage=Interval(1.5 * HOUR, 2.5 * HOUR))
REDIS_OUTAGE = Scenario("redis_outage", DAY, redis_outage=Interval(DAY / 2, DAY / 2 + HOUR))


@pytest.fixture(autouse=True)
def _untraced():
    """Coverage cannot trace greenlets."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)


def half(shape=None):
    """In place of chance, so that all workers do the same at once."""
    return 0.5 if shape is None else np.full(shape, 0.5)


# A token is requested at 1,837 s and then every 3,344 s: 26 times. A restart, 5 minutes after the 13th request, loses
# the tokens of all processes, but not those of a store. Callers wait only after a start.
COUNTS = [  # requests, worst second, calls delayed, calls failed
    (STEADY, "none", (4 * 26, 4, 4, 0)),
    (STEADY, "file", (2 * 26, 2, 4, 0)),
    (STEADY, "redis", (26, 1, 4, 0)),
    (RESTARTS, "none", (4 * 27, 4, 8, 0)),
    (RESTARTS, "file", (2 * 26, 2, 4, 0)),
    (RESTARTS, "redis", (26, 1, 4, 0)),
]
PEERS = [
    (STEADY, "plain", (4 * 24, 4, 4 * 24, 0)),
    (STEADY, "pydomo", (4 * 24, 4, 4 * 24, 0)),
    (RESTARTS, "pydomo", (4 * 25, 4, 4 * 25, 0)),
]


@pytest.mark.parametrize(("scenario", "subject", "counts"), [*COUNTS, *PEERS])
def test_model_counts_what_can_be_counted_by_hand(scenario, subject, counts):
    assert model.run(Fleet(4, 2), scenario, subject, half) == counts


@pytest.mark.parametrize(("scenario", "store", "counts"), COUNTS)
def test_real_provider_counts_the_same(scenario, store, counts):
    assert real.run(Fleet(4, 2), scenario, store, half) == counts


def test_pydomo_sends_a_request_on_every_call_during_an_outage():
    expires = 0.5 * HOUR + 30 + HOUR
    outage = Interval(expires, expires + 60)
    counts = model.run(Fleet(1, 1), Scenario("outage", 2 * HOUR, outage=outage), "pydomo", half)
    asked = 8  # at 6.93 s (ln 2 / 10) and each 7.13 s from then on
    assert counts == (2 + asked, 1, 2, asked)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["none", "file", "redis"])
@pytest.mark.parametrize("scenario", [STEADY, RESTARTS, REDIS_OUTAGE], ids=lambda scenario: scenario.name)
def test_model_agrees_with_the_real_provider(scenario, store):
    fleet = Fleet(20, 4)
    modelled = model.run(fleet, scenario, store, model.at_random(1))
    counted = real.run(fleet, scenario, store, random.Random(1).random)
    assert modelled.requests == pytest.approx(counted.requests, rel=0.03)
    assert modelled.delayed == pytest.approx(counted.delayed, rel=0.1)
    assert abs(modelled.worst_second - counted.worst_second) <= 2
    assert modelled.failed == counted.failed == 0


@pytest.mark.parametrize("store", ["none", "redis"])
def test_outage_costs_few_requests(store):
    counts = real.run(Fleet(2, 1), OUTAGE, store, random.Random(1).random)
    quiet = real.run(Fleet(2, 1), OUTAGE._replace(outage=Interval()), store, random.Random(1).random)
    assert quiet.failed == 0
    assert counts.failed > 0
    assert quiet.requests < counts.requests < quiet.requests + (2 if store == "none" else 1) * 4 * 120


@pytest.mark.slow
def test_same_seed_gives_the_same_figures():
    first, again = (rows((Fleet(1, 1), Fleet(4, 2)), Fleet(1, 1), 0.5, 1) for _ in range(2))
    assert first == again
    assert "| ≈ " in table({"seed": 1, "days": 0.5, "rows": first})


def test_published_table_has_the_figures_of_the_json():
    published = (ROOT / "benchmarks/fleet/results.md").read_text(encoding="utf-8")
    results = json.loads((ROOT / "benchmarks/fleet/results.json").read_text(encoding="utf-8"))
    assert [line for line in table(results).splitlines() if line[:1] == "|" and line not in published] == []
