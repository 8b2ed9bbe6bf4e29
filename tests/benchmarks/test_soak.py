"""The soak's rules, each on a made-up history that keeps it and on one that breaks it; and a short run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest

from benchmarks.library import ROOT
from benchmarks.soak import Kind, rules
from benchmarks.soak.__main__ import REDIS
from benchmarks.soak.rules import Call, Fetch, Group, Seen, SpentCall
from benchmarks.soak.server import FAULTS, draw

SAMPLES = [{"at": float(at), "rss": 7e7, "descriptors": 20 + at % 3, "threads": 9, "calls": at} for at in range(200)]
END = {"before": {"descriptors": 5, "threads": 2}, "after": {"descriptors": 5, "threads": 2}, "left": [], "callers": {}}


def fetch(began, token=None, tries=1, *, who="a", took=0.1, retry_after=0.0):
    """A fetch that got this token, or none, at the last of its tries, each a second after the one before."""
    asked = began + tries - 1
    return Fetch(who, began, asked, asked + took, tries, token, retry_after)


# Tokens last 60 s and were requested when they became stale; the last is good until 210.
YEAR = [fetch(began, str(token)) for token, began in enumerate((0, 50, 100, 150))]
OUTAGE = fetch(200, tries=4)


def group(*fetches, processes=1, calls=(), outages=(), **seen):
    kind = Kind("year" if processes == 1 else "file", 60, 1.0, 5.0, processes)
    return Group(kind, sorted(fetches, key=lambda each: each.began), calls, Seen(**seen), outages)


def two(*fetches, **known):
    return group(*fetches, processes=2, **known)


def call(kind, began, ended=None, what="ServerError"):
    return Call(kind, "a", "httpx", began, began + 0.1 if ended is None else ended, what)


def spent(token, asked, expired=False):
    return [SpentCall("a", token, asked, asked + 0.01, expired)]


NEEDED = "requests are as many as lifetimes, refusals and faults"
PAUSES = "no fetch begins in a pause"
TOKENS = "no call with a spent token"
ERRORS = "no error that a retry could have saved"
ANSWERS = "no 401 that another token would have saved"
KEPT = [
    group(*YEAR, fetch(190, "4"), refused={"3": 189.0}),
    group(*YEAR, OUTAGE, fetch(209, tries=4), spent=spent("3", 205), calls=[call("error", 212.5)]),
    group(*YEAR, fetch(200, "4", took=70), spent=spent("4", 265, expired=True)),  # it waited for this token
    group(fetch(0, tries=4), fetch(4.2, tries=4), fetch(9.4, tries=4), fetch(16.6, "0")),
    group(fetch(0, took=70), fetch(60.5, "0"), calls=[call("error", 0.1, 60.1)]),
    group(fetch(30, tries=4)._replace(started=-40.0), fetch(34, "0")),  # its thread had to wait for the processor
    group(fetch(0, took=70), fetch(60.5, tries=4), fetch(65, "0")),  # one that was left behind lengthens no pause
    group(fetch(0), fetch(1.2, "0", took=70), fetch(72), fetch(73.2, "1")),  # but its token ends the row of failures
    group(fetch(0, "0", took=70), fetch(61), fetch(71), fetch(72.2, "1")),  # when it comes
    group(*YEAR, calls=[call("answer", 160, what="401")], refused={"2": 155.0, "3": 156.0}),
    group(*YEAR, fetch(159.9, tries=4), calls=[call("answer", 160, what="401")], refused={"3": 155.0}),
    group(*YEAR, calls=[call("broken", 10)], downs=[(9.0, 10.05)]),
    two(fetch(0, "0"), fetch(49, "1", who="b")),
    two(fetch(0, "0"), fetch(20, "1", who="b"), outages=[(5.0, 6.0)]),
    two(fetch(0, took=12), fetch(10.1, "0", who="b")),  # it waited for the lock in vain
    two(fetch(0, tries=4), fetch(3.3, "0", who="b"), fetch(3.5, "1"), refused={"0": 3.45}),  # a token ends the pause
]
BROKEN = [
    (NEEDED, group(*YEAR, fetch(190, "4"), refused={"2": 189.0})),
    (NEEDED, two(fetch(0, "0"), fetch(20, "1", who="b"))),
    (NEEDED, two(fetch(0, took=12), fetch(9, "0", who="b"))),
    (TOKENS, group(*YEAR, spent=spent("3", 205))),
    (TOKENS, group(*YEAR, OUTAGE, spent=spent("3", 211, expired=True))),
    (TOKENS, group(*YEAR, unknown=1)),
    (PAUSES, group(fetch(0, tries=4), fetch(4.2, tries=4), fetch(9.2, "0"))),
    (PAUSES, group(fetch(200, retry_after=65.0), fetch(264, "0"))),
    (PAUSES, two(fetch(0, tries=4), fetch(4.0, "0"))),
    (ERRORS, group(*YEAR, calls=[call("error", 20)])),
    (ERRORS, group(*YEAR, OUTAGE, calls=[call("error", 203.5)])),
    (ERRORS, group(fetch(0, took=70), calls=[call("error", 0.1, 55)])),
    (ANSWERS, group(*YEAR, calls=[call("answer", 160, what="401")], refused={"3": 155.0})),
    (ANSWERS, group(*YEAR, calls=[call("answer", 160, what="500")], refused={"2": 155.0, "3": 156.0})),
    (ANSWERS, group(*YEAR, calls=[call("broken", 10)])),
]


@pytest.mark.parametrize("history", KEPT)
def test_rules_hold(history):
    assert {name: rule(history) for name, rule in rules.RULES.items()} == {name: [] for name in rules.RULES}


@pytest.mark.parametrize(("rule", "history"), BROKEN)
def test_rule_is_broken(rule, history):
    assert rules.RULES[rule](history)


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
    first, again, other = ([draw(chance, 5.0) for _ in range(500)] for chance in map(random.Random, (1, 1, 2)))
    assert first == again != other
    assert {fault.kind for fault in first} == {*FAULTS}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory and descriptors are read from /proc, which Linux has")
@pytest.mark.skipif(REDIS is None, reason="no Redis server here: apt-get install redis-server")
def test_a_run_of_a_few_seconds_reports_every_group(tmp_path):
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.1", "--seed", "7", "--out", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    results = json.loads(tmp_path.joinpath("soak.json").read_text())
    # A machine that stops for a moment stops for seconds of the year's clock, which may break a rule, and is reported.
    assert ran.returncode == bool(results["breaches"]), ran.stdout + ran.stderr
    assert set(results["groups"]) == {"year", "file", "redis"}
    assert all(all(worker["calls"].values()) for worker in results["workers"].values())
    assert results["groups"]["year"]["tokens"] > 1
    assert "| year |" in tmp_path.joinpath("soak.md").read_text()
