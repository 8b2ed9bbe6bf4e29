"""The soak's rules, each on a made-up history that keeps it and on one that breaks it; and a short run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from benchmarks.library import ROOT
from benchmarks.publish import Panel, plot
from benchmarks.soak import rules
from benchmarks.soak.__main__ import REDIS
from benchmarks.soak.rules import Call, Group, SpentCall, Try
from benchmarks.soak.server import FAULTS, draw

SAMPLES = [{"at": float(at), "rss": 7e7, "descriptors": 20 + at % 3, "threads": 9, "calls": at} for at in range(200)]
END = {"before": {"descriptors": 5, "threads": 2}, "after": {"descriptors": 5, "threads": 2}, "left": [], "callers": {}}


def fetch(sent, *outcomes, token=None, who="a", took=0.1, retry_after=0.0):
    """Tries with these outcomes, each a second after the one before, and then one that gets the token."""
    tries = [
        Try(who, sent, sent + after, sent + after + took, outcome, retry_after=retry_after, id=f"{sent}-{after}")
        for after, outcome in enumerate(outcomes)
    ]
    begin = sent + len(tries)
    return tries if token is None else [*tries, Try(who, sent, begin, begin + took, "200", token)]


# Tokens last 60 s and were requested when they became stale; the last is good until 210.
YEAR = [each for token, sent in enumerate((0, 50, 100, 150)) for each in fetch(sent, token=str(token))]
OUTAGE = fetch(200, *["503"] * 4)


def group(*tries, name="year", **known):
    faults = {each.id for each in tries if each.token is None}
    return Group(name, 1.0, 60.0, 5.0, list(tries), **{"faults": faults, **known})


def call(kind, began, ended=None, what="ServerError", who="a"):
    return Call(kind, who, "httpx", began, began + 0.1 if ended is None else ended, what)


def two(*tries, **known):
    return group(*tries, name="file", **known)


def spent(token, asked, expired=False):
    return [SpentCall("a", token, asked, asked + 0.01, expired)]


NEEDED = "requests are as many as lifetimes, refusals and faults"
PAUSES = "no fetch gives up early or begins in a pause"
TOKENS = "no call with a spent token"
ERRORS = "no error that a retry could have saved"
ANSWERS = "no 401 that another token would have saved"
KEPT = [
    group(*YEAR),
    group(*YEAR, *fetch(190, token="4"), refused={"3": 189.0}),
    group(*YEAR, *OUTAGE, spent=spent("3", 205)),
    group(*YEAR, *fetch(200, token="4", took=70), spent=spent("4", 265, expired=True)),  # it waited for this token
    group(*YEAR, *OUTAGE, *fetch(209, *["503"] * 4), calls=[call("error", 212.5)]),
    group(*fetch(0, *["503"] * 4), *fetch(4.2, *["503"] * 4), *fetch(9.4, *["503"] * 4), *fetch(16.6, token="0")),
    group(*fetch(0, "ConnectError", token="0"), faults=set(), downs=[(0.0, 0.5)]),
    group(*fetch(0, "ReadTimeout", took=6, token="0"), faults=set()),
    group(*fetch(200, "429", retry_after=65.0)),
    group(*fetch(200, "401")),
    group(*fetch(0, "ReadTimeout", took=70), calls=[call("error", 0.1, 60.1)]),
    group(*YEAR, calls=[call("answer", 160, what="401")], refused={"2": 155.0, "3": 156.0}),
    group(*YEAR, *fetch(159.9, *["503"] * 4), calls=[call("answer", 160, what="401")], refused={"3": 155.0}),
    group(*YEAR, calls=[call("broken", 10)], downs=[(9.0, 10.05)]),
    two(*fetch(0, token="0"), *fetch(49, token="1", who="b")),
    two(*fetch(0, token="0"), *fetch(20, token="1", who="b"), outages=[(5.0, 6.0)]),
    two(*fetch(0, "403", took=12), *fetch(10.1, token="0", who="b")),  # it waited for the lock in vain
    two(*fetch(0, *["503"] * 4), calls=[call("error", 3.5, who="b")]),
    two(*fetch(0, "403"), *fetch(0.5, token="0", who="b")),  # of that host alone
    two(*fetch(0, "401"), *fetch(1.2, token="0", who="b")),
]
BROKEN = [
    (NEEDED, group(*YEAR, *fetch(190, token="4"))),
    (NEEDED, group(*YEAR, *fetch(190, token="4"), refused={"2": 189.0})),
    (NEEDED, group(*fetch(0, "503", token="0"), faults=set())),
    (NEEDED, two(*fetch(0, token="0"), *fetch(20, token="1", who="b"))),
    (NEEDED, two(*fetch(0, token="0"), *fetch(0.05, token="1", who="b"))),
    (NEEDED, two(*fetch(0, "503", took=12), *fetch(9, token="0", who="b"))),
    (TOKENS, group(*YEAR, spent=spent("3", 205))),
    (TOKENS, group(*YEAR, *OUTAGE, spent=spent("3", 211, expired=True))),
    (TOKENS, group(*YEAR, *fetch(200, token="4", took=70), spent=spent("4", 271, expired=True))),
    (TOKENS, group(*YEAR, unknown=1)),
    (PAUSES, group(*fetch(200, "503", "503", "503"))),
    (PAUSES, group(*fetch(200, "429", retry_after=5.0))),
    (PAUSES, group(*fetch(0, *["503"] * 4), *fetch(4.0, token="0"))),
    (PAUSES, group(*fetch(0, *["503"] * 4), *fetch(4.2, *["503"] * 4), *fetch(9.2, token="0"))),
    (PAUSES, group(*fetch(200, "429", retry_after=65.0), *fetch(264, token="0"))),
    (PAUSES, two(*fetch(0, "401"), *fetch(0.5, token="0", who="b"))),
    (ERRORS, group(*YEAR, calls=[call("error", 20)])),
    (ERRORS, group(*YEAR, *OUTAGE, calls=[call("error", 203.5)])),
    (ERRORS, group(*YEAR, *OUTAGE, *fetch(220, token="4"), calls=[call("error", 221)])),
    (ERRORS, group(*fetch(0, "ReadTimeout", took=70), calls=[call("error", 0.1, 55)])),
    (ERRORS, two(*fetch(0, *["ConnectError"] * 4), calls=[call("error", 3.5, who="b")])),
    (ANSWERS, group(*YEAR, calls=[call("answer", 160, what="401")], refused={"3": 155.0})),
    (ANSWERS, group(*YEAR, calls=[call("answer", 160, what="500")], refused={"2": 155.0, "3": 156.0})),
    (ANSWERS, group(*YEAR, calls=[call("broken", 10)])),
]


@pytest.mark.parametrize("history", KEPT)
def test_kept(history):
    assert {name: rule(history) for name, rule in rules.RULES.items()} == {name: [] for name in rules.RULES}


@pytest.mark.parametrize(("rule", "history"), BROKEN)
def test_broken(rule, history):
    assert rules.RULES[rule](history)


def test_the_account():
    told = rules.account(group(*YEAR, *fetch(190, "503", token="4"), refused={"3": 189.0}))
    assert told == ({"cold": 1, "due": 3, "refused": 1}, {"fault": 1}, [])
    stored = two(*fetch(0, token="0", who="b"), calls=[call("error", 3), call("error", 70)])
    assert rules.late_errors(stored) == 1


@pytest.mark.parametrize(
    ("name", "by", "leaks"),
    [("rss", 50_000, True), ("descriptors", 0.1, True), ("threads", 0.02, True), ("rss", 0, False)],
)
def test_a_leak_is_seen(name, by, leaks):
    samples = [each | {name: each[name] + by * each["at"]} for each in SAMPLES]
    assert bool(rules.leaks("a", samples, END)) == leaks
    assert rules.leaks("a", [], END | {"after": END["after"] | {"threads": 3}}) == ["a: 1 threads were left over"]


def test_callers_that_hang_are_seen():
    assert not rules.stuck("a", SAMPLES, END)
    silent = [each | {"calls": 7} for each in SAMPLES]
    end = END | {"left": ["trio"], "callers": {"httpx": 0}}
    assert len(rules.stuck("a", silent, end)) == 3


def test_a_seed_decides_the_faults():
    def drawn(seed):
        chance = random.Random(seed)
        return [draw(chance, 5.0) for _ in range(500)]

    assert drawn("1-year") == drawn("1-year") != drawn("2-year")
    assert {fault.kind for fault in drawn("1-year")} == {*FAULTS}


@pytest.mark.parametrize("logarithmic", [False, True])
def test_the_plot_is_well_formed(logarithmic):
    series = {"a&b": [(1.0, 1.0), (10.0, 2000.0)]}
    drawn = plot([Panel("<Memory>", series, "min", logarithmic), Panel("Nothing", {"a&b": []}, "min", logarithmic)])
    assert ET.fromstring(drawn).tag.endswith("svg")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory and descriptors are read from /proc, which Linux has")
@pytest.mark.skipif(REDIS is None, reason="no Redis server here: apt-get install redis-server")
def test_a_run_of_a_few_seconds(tmp_path):
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.1", "--seed", "7", "--out", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    results = json.loads(tmp_path.joinpath("soak.json").read_text())
    # A machine that stops for a moment stops for seconds of the year's clock, which may break a rule, and is reported.
    assert ran.returncode == bool(results["breaches"]), ran.stdout + ran.stderr
    assert set(results["groups"]) == {"year", "file", "redis"}
    assert all(all(worker["calls"].values()) for worker in results["workers"].values())
    assert results["groups"]["year"]["tokens"] > 1
    ET.parse(tmp_path / "soak.svg")
    assert "| year |" in tmp_path.joinpath("soak.md").read_text()
