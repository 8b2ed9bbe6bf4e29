"""The fleet simulation counts what can be counted by hand, and its shortcut counts what the real code does."""

from __future__ import annotations

import json
import logging
import math
import sys
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.fleet import draws, peers, report, shortcut
from benchmarks.fleet.parts import DAY, LATENCY, Fleet, Interval, Scenario

ROOT = Path(__file__).parents[2]
FLEET = Fleet(4, 2)
HOUR = 3600.0
STEADY = Scenario("steady", DAY)
RESTART = Scenario("restarts", DAY, restarts=(42_300.0,))
OUTAGE = Scenario("outage", DAY, outages=(Interval(DAY / 2, DAY / 2 + HOUR),))
REDIS_OUTAGE = Scenario("redis_outage", DAY, redis_outage=Interval(DAY / 2, DAY / 2 + HOUR))
THOUGHT = 10 * math.log(2)
"""How long each thinks where each number is a half."""


@pytest.fixture(autouse=True)
def _untraced():
    """Coverage follows threads, and would be led astray by greenlets."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)


def without_chance(monkeypatch, number):
    """Each draw is this number, so that all do the same at once."""
    monkeypatch.setattr(draws, "number", lambda of, drawn: number)
    monkeypatch.setattr(draws, "numbers", lambda of, drawn: np.full(of.shape, number))


# A token is asked for at 1,837 s, and then 3,337.5 s (when it gets stale) and 6.9 s after the last: 26 times.
@pytest.mark.parametrize("by_shortcut", [True, False])
@pytest.mark.parametrize(("store", "requests", "worst"), [("none", 4 * 26, 4), ("file", 2 * 26, 2), ("redis", 26, 1)])
def test_a_day_on_which_nothing_happens(monkeypatch, store, requests, worst, by_shortcut):
    without_chance(monkeypatch, 0.5)
    counted = shortcut.run(FLEET, STEADY, store, 1, shortcut=by_shortcut)
    # At the start all wait, for the first request or for the one who makes it; and then nobody ever does.
    assert counted == {"requests": requests, "worst_second": worst, "delayed": 4, "failed": 0}


# At 42,300 s, 5 minutes after the 13th token, all processes end: theirs is lost, that of a store is not.
@pytest.mark.parametrize("by_shortcut", [True, False])
@pytest.mark.parametrize(
    ("store", "requests", "worst", "delayed"), [("none", 4 * 27, 4, 8), ("file", 2 * 26, 2, 4), ("redis", 26, 1, 4)]
)
def test_a_restart_of_all_at_once(monkeypatch, store, requests, worst, delayed, by_shortcut):
    without_chance(monkeypatch, 0.5)
    counted = shortcut.run(FLEET, RESTART, store, 1, shortcut=by_shortcut)
    assert counted == {"requests": requests, "worst_second": worst, "delayed": delayed, "failed": 0}


@pytest.mark.parametrize("peer", ["pydomo", "plain"])
def test_peers_ask_for_themselves_each_hour_and_make_a_call_wait(monkeypatch, peer):
    without_chance(monkeypatch, 0.0)
    assert peers.run(FLEET, STEADY, peer, 1) == {"requests": 96, "worst_second": 4, "delayed": 96, "failed": 0}
    assert peers.run(FLEET, RESTART, peer, 1) == {"requests": 100, "worst_second": 4, "delayed": 100, "failed": 0}


def test_each_call_of_peers_asks_while_the_endpoint_is_away(monkeypatch):
    without_chance(monkeypatch, 0.5)
    # Up half an hour and half a minute after the beginning, and good for an hour from then on.
    expires = 0.5 * HOUR + 30 + HOUR
    outage = Interval(expires, expires + 60)
    asked = math.ceil((60 - THOUGHT) / (THOUGHT + LATENCY))
    counted = peers.run(Fleet(1, 1), Scenario("outage", 2 * HOUR, outages=(outage,)), "pydomo", 1)
    assert counted == {"requests": 2 + asked, "worst_second": 1, "delayed": 2, "failed": asked}


@pytest.mark.parametrize("store", ["none", "file", "redis"])
@pytest.mark.parametrize("scenario", [STEADY, RESTART, OUTAGE, REDIS_OUTAGE], ids=lambda scenario: scenario.name)
def test_the_shortcut_counts_what_the_real_code_does(scenario, store):
    fleet = Fleet(8, 2)
    counted = shortcut.run(fleet, scenario, store, 7)
    assert counted == shortcut.run(fleet, scenario, store, 7, shortcut=False)
    assert (counted["failed"] > 0) == (scenario is OUTAGE)


def test_who_is_alone_without_redis_asks_for_himself():
    alone = shortcut.run(FLEET, REDIS_OUTAGE, "redis", 1)["requests"]
    assert 2 <= alone - shortcut.run(FLEET, STEADY, "redis", 1)["requests"] <= FLEET.workers


def test_the_same_seed_gives_the_same_bytes():
    first, again, other = results(1), results(1), results(2)
    assert json.dumps(first) == json.dumps(again) != json.dumps(other)
    assert report.table(first) == report.table(again) != report.table(other)
    assert report.plot(first) == report.plot(again) != report.plot(other)


def results(seed):
    rows = []
    for scenario in (STEADY, RESTART):
        for fleet in (Fleet(1, 1), FLEET):
            for subject in ("pydomo", "plain", "none", "file", "redis"):
                runner = peers.run if subject in {"pydomo", "plain"} else shortcut.run
                counted = runner(fleet, scenario, subject, seed)
                rows.append({"scenario": scenario.name, "subject": subject, **fleet._asdict(), **counted})
    return {"seed": seed, "days": 1, "rows": rows}


def test_the_readme_shows_what_was_counted():
    counted = json.loads((ROOT / "benchmarks/fleet/results.json").read_text(encoding="utf-8"))
    assert report.table(counted, 100_000) in (ROOT / "README.md").read_text(encoding="utf-8")
    assert report.table(counted) == (ROOT / "benchmarks/fleet/results.md").read_text(encoding="utf-8")
    assert report.plot(counted) == (ROOT / "benchmarks/fleet/fleet.svg").read_text(encoding="utf-8")


def test_one_draw_is_that_of_many():
    keys = draws.keys(5, 3)
    many = draws.numbers(keys, np.array([0, 1, 2**40], np.uint64)).tolist()
    assert many == [draws.number(int(key), drawn) for key, drawn in zip(keys, (0, 1, 2**40), strict=True)]
    assert all(0 <= number < 1 for number in many)


def test_the_model_of_pydomo_is_what_its_code_does(monkeypatch):
    """The lines that ``benchmarks/fleet/peers.py`` names, run."""
    transport = pytest.importorskip("pydomo.Transport", reason="pip install pydomo, as make test does")
    endpoint = Endpoint()
    monkeypatch.setattr(transport.requests, "request", endpoint.request)
    monkeypatch.setattr(transport, "datetime", endpoint)
    monkeypatch.setattr(transport.DomoAPITransport, "dump_response", lambda self, response: "")  # for its log
    domo = transport.DomoAPITransport("id", "secret", "localhost", True, logging.getLogger("silent"), None, None)
    assert endpoint.asked == 1  # by the constructor
    endpoint.time = HOUR
    domo.get("/v1/datasets", {})
    assert endpoint.asked == 1  # no sooner than it expires
    endpoint.api_status = 401
    assert domo.get("/v1/datasets", {}).status_code == 401
    assert endpoint.asked == 1
    endpoint.time, endpoint.status = HOUR + 1, 503
    for asked in (2, 3):
        with pytest.raises(Exception, match="Error retrieving a Domo API Access Token"):
            domo.get("/v1/datasets", {})
        assert endpoint.asked == asked  # once for each call, and no pause
    endpoint.status = 200
    domo.get("/v1/datasets", {})
    assert endpoint.asked == 4


class Endpoint:
    """Domo, and the clock of pydomo."""

    def __init__(self):
        self.time, self.asked, self.status, self.api_status = 0.0, 0, 200, 200

    def request(self, method, url, **_):
        if not url.endswith("/oauth/token"):
            return SimpleNamespace(status_code=self.api_status)
        self.asked += 1
        payload = b64encode(json.dumps({"exp": self.time + HOUR}).encode()).decode().rstrip("=")
        answer = {"access_token": f"e.{payload}.s"}
        return SimpleNamespace(status_code=self.status, text="refused", json=lambda: answer)

    def now(self, zone):
        assert zone is UTC
        return datetime.fromtimestamp(self.time, UTC)
