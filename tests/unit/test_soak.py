"""The soak's judgement: each rule on a made-up history that keeps it, and on one that breaks it; and a short run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.soak import plan, plot, resources, rules
from benchmarks.soak.history import Group, Process, Round, Span, Try, group
from benchmarks.soak.redis import BINARY

ROOT = Path(__file__).parents[2]
LIFETIME, TIMEOUT = 60.0, 5.0
RENEWED = (0.0, 50.0, 100.0, 150.0)
"""When the tokens of a history without faults were asked for: each five sixths through the life of the last."""


def fetch(sent, token=None, *, outcomes=(), took=0.1, retry_after=0.0):
    """A round: tries that failed with these outcomes, each a second after the last, and then one that did not."""
    tries = [
        Try(f"{sent}-{number}", sent + number, sent + number + took, outcome, retry_after=retry_after)
        for number, outcome in enumerate(outcomes)
    ]
    if token is not None:
        begun = sent + len(tries)
        tries.append(Try(f"{sent}-{len(tries)}", begun, begun + took, "200", token=str(token)))
    return Round(tuple(tries))


def process(*rounds, who="year", seen=(), errors=(), broken=(), answers=()):
    return Process(who, tuple(rounds), tuple(seen), tuple(errors), tuple(broken), tuple(answers))


def a_group(*processes, **what):
    faults = {one.id for each in processes for fetched in each.rounds for one in fetched.tries if one.token is None}
    given = {"faults": frozenset(faults)} | what
    return Group("year", 1.0, LIFETIME, TIMEOUT, processes, **given)


def a_year(*more, **what):
    """A history without faults, and what is added to it."""
    rounds = [fetch(sent, number) for number, sent in enumerate(RENEWED, 1)]
    return a_group(process(*sorted([*rounds, *more], key=lambda each: each.sent)), **what)


def an_error(began, ended=None, error="ServerError"):
    return {"caller": "httpx", "began": began, "ended": ended or began + 0.1, "error": error}


def a_call(token, asked, *, expired=False):
    return {"of": "year", "token": str(token), "asked": asked, "at": asked + 0.01, "expired": expired}


OUTAGE = fetch(200, outcomes=["503"] * 4)
"""A fetch that failed, when the last token of a year was due; that token is good until 210."""


def test_a_history_without_faults_keeps_all_rules():
    assert {name: rule(a_year()) for name, rule in rules.RULES.items()} == {name: [] for name in rules.RULES}
    told = rules.account(a_year())
    assert told.reasons == {"cold": 1, "due": 3}
    assert (told.grants, told.tries) == (4, 4)


def test_one_request_more_is_one_too_many():
    told = rules.account(a_year(fetch(190, 5)))
    assert told.reasons["needless"] == 1
    assert told.breaches == ["year asked at 190.000 although token 4 was fresh"]


def test_a_refused_token_is_reason_for_another():
    assert not rules.account(a_year(fetch(190, 5), refused=((189.0, "4", "revoked"),))).breaches
    assert rules.account(a_year(fetch(190, 5), refused=((191.0, "4", "revoked"),))).breaches
    assert rules.account(a_year(fetch(190, 5), refused=((189.0, "3", "revoked"),))).breaches


def test_every_try_that_fails_has_a_cause():
    rounds = [fetch(0, outcomes=["503"]), fetch(30, outcomes=["ConnectError"])]
    rounds.append(fetch(60, outcomes=["ReadTimeout"], took=6))
    downs = (Span(29.0, 31.0),)
    told = rules.account(a_group(process(*rounds), faults=frozenset({"0-0"}), downs=downs))
    assert told.failures == {"harm": 1, "server was down": 1, "machine was slow": 1}
    assert not told.breaches
    told = rules.account(a_group(process(*rounds), faults=frozenset()))
    assert told.breaches == ["2 requests for a token failed without a fault"]


def test_a_second_fetch_may_begin_60_s_after_one_that_has_not_ended():
    slow = Round((Try("0", 0.0, 58.0, "503"), Try("1", 58.5, 60.5, "200", token="1")))
    assert rules.account(a_group(process(slow, fetch(60.52, 2)))).reasons["late"] == 1
    assert rules.account(a_group(process(slow, fetch(61.0, 2)))).reasons["needless"] == 1
    failed = fetch(0, outcomes=["503"] * 4, took=58.0)  # ends at 61
    assert not rules.rounds(a_group(process(failed, fetch(60.5, 1))))
    assert rules.rounds(a_group(process(failed, fetch(59.0, 1))))


@pytest.mark.parametrize(
    ("sent", "what", "breaks"),
    [
        (20.0, {}, True),  # the other had fetched one
        (0.05, {}, True),  # the other was at it
        (20.0, {"outages": (Span(5.0, 6.0),)}, False),
        (20.0, {"outages": (Span(40.0, 50.0),)}, True),
        (20.0, {"refused": ((10.0, "1", "revoked"),)}, False),
        (49.0, {}, False),  # the other's was stale, too
    ],
)
def test_of_two_that_share_a_store_one_asks(sent, what, breaks):
    told = rules.account(a_group(process(fetch(0, 1), who="one"), process(fetch(sent, 2), who="two"), **what))
    assert told.unshared == len(told.breaches) == breaks


def test_who_has_waited_for_a_lease_may_ask():
    slow = fetch(0, outcomes=["503"], took=12.0)
    assert not rules.account(a_group(process(slow, who="one"), process(fetch(10.1, 1), who="two"))).breaches
    early = a_group(process(slow, who="one"), process(fetch(9.0, 1), who="two"))
    assert rules.account(early).breaches
    assert not rules.account(early._replace(name="redis")).breaches  # whose lock has ended


def test_an_expired_token_is_never_used():
    told = rules.spent_tokens(a_year(spent=(a_call(4, 211.0, expired=True),)))
    assert told == ["year called at 211.000 with token 4, which had expired"]
    assert rules.spent_tokens(a_year(OUTAGE, spent=(a_call(4, 211.0, expired=True),)))
    assert rules.spent_tokens(a_year(unknown=1)) == ["1 calls came without a token that was granted"]


def test_who_waited_for_a_token_is_given_it_however_old_it_is():
    slow = fetch(200, 5, took=70.0)
    assert not rules.spent_tokens(a_year(slow, spent=(a_call(5, 265.0, expired=True),)))
    assert rules.spent_tokens(a_year(slow, spent=(a_call(5, 271.0, expired=True),)))


def test_a_spent_token_is_used_only_after_a_failure():
    assert rules.spent_tokens(a_year(spent=(a_call(4, 205.0),)))
    assert not rules.spent_tokens(a_year(OUTAGE, spent=(a_call(4, 205.0),)))
    assert rules.spent_tokens(a_year(fetch(140, outcomes=["503"] * 4), spent=(a_call(4, 205.0),)))  # before it


def test_or_after_the_failure_of_another_that_shares_the_store():
    other = process(OUTAGE, who="two")
    year = a_year().processes[0]
    assert not rules.spent_tokens(a_group(year, other, spent=(a_call(4, 205.0),)))
    alone = process(fetch(200, outcomes=["403"]), who="two")
    assert rules.spent_tokens(a_group(year, alone, spent=(a_call(4, 205.0),)))


@pytest.mark.parametrize(
    ("failed", "breaks"),
    [
        (fetch(200, outcomes=["503"] * 4), False),
        (fetch(200, outcomes=["503"] * 3), True),
        (fetch(200, outcomes=["401"]), False),  # stays
        (fetch(200, outcomes=["200"]), False),  # a page
        (fetch(200, outcomes=["ConnectError"]), True),
        (fetch(200, outcomes=["ReadTimeout"], took=59.5), False),  # no time for another
        (fetch(200, outcomes=["429"], retry_after=65.0), False),
        (fetch(200, outcomes=["429"], retry_after=5.0), True),
    ],
)
def test_no_fetch_gives_up_early(failed, breaks):
    assert bool(rules.rounds(a_year(failed))) is breaks


def test_no_fetch_begins_within_a_pause():
    tries = ["503"] * 4  # 3.1 s
    kept = [fetch(200, outcomes=tries), fetch(204.2, outcomes=tries), fetch(209.4, outcomes=tries), fetch(216.6, 5)]
    assert not rules.rounds(a_year(*kept))
    for index, (_, following) in enumerate(pairwise(kept), 1):
        sooner = fetch(following.sent - 0.2, following.token, outcomes=tries if following.token is None else ())
        assert any("within a pause" in each for each in rules.rounds(a_year(*kept[:index], sooner, *kept[index + 1 :])))
    asked = fetch(200, outcomes=["429"], retry_after=65.0)
    assert rules.rounds(a_year(asked, fetch(264, 5)))
    assert not rules.rounds(a_year(asked, fetch(265.2, 5)))
    asked = fetch(200, outcomes=["403"], retry_after=25.0)  # of this process alone
    one = process(asked, fetch(210, 6), seen=[(205.0, "5")])  # left in the store by the other
    assert not rules.rounds(a_group(one, process(fetch(204, 5), who="two")))
    assert rules.rounds(a_group(process(asked, fetch(210, 6)), process(fetch(204, 5), who="two")))


@pytest.mark.parametrize(
    ("failed", "asked", "what", "breaks"),
    [
        (["401"], 0.5, {}, True),
        (["401"], 1.2, {}, False),
        (["403"], 0.5, {}, False),  # of that host alone
        (["ConnectError"] * 4, 3.5, {}, False),
        (["503"] * 4, 3.5, {}, True),
        (["503"] * 4, 3.5, {"outages": (Span(3.0, 3.2),)}, False),
    ],
)
def test_no_fetch_begins_within_the_pause_of_another_that_shares_the_store(failed, asked, what, breaks):
    told = rules.rounds(a_group(process(fetch(0, outcomes=failed)), process(fetch(asked, 1), who="two"), **what))
    assert told == ([f"two asked at {asked:.3f}, within the pause of another"] if breaks else [])


def test_what_one_process_was_answered_is_an_error_of_all():
    failed = process(fetch(0, outcomes=["503"] * 4))
    assert not rules.errors(a_group(failed, process(who="two", errors=[an_error(3.2)])))
    assert rules.errors(a_group(failed, process(who="two", errors=[an_error(1.0)])))
    alone = process(fetch(0, outcomes=["ConnectError"] * 4))
    assert rules.errors(a_group(alone, process(who="two", errors=[an_error(3.2)])))


def test_an_error_needs_a_fetch_that_failed():
    after = fetch(220, 5)  # the token of 150 ends at 210
    told = rules.errors(a_group(process(*a_year(OUTAGE, after).processes[0].rounds, errors=[an_error(211.0)])))
    assert told == ["httpx of year had ServerError at 211.100, and no fetch had failed"]  # the pause of 1 s was over
    late = fetch(209, outcomes=["503"] * 4)
    rounds = a_year(OUTAGE, late, after).processes[0].rounds
    assert not rules.errors(a_group(process(*rounds, errors=[an_error(212.5)])))
    assert rules.errors(a_group(process(*rounds, errors=[an_error(221.0)])))  # there is a token again


def test_a_caller_gets_an_error_after_60_s():
    rounds = fetch(0, outcomes=["ReadTimeout"], took=70.0)
    for ended, breaks in ((55.0, True), (60.0, False)):
        told = rules.errors(a_group(process(rounds, errors=[an_error(0.1, 0.1 + ended, "TransportError")])))
        assert bool(told) is breaks


def test_there_is_no_error_while_a_token_is_good():
    rounds = a_year(OUTAGE).processes[0].rounds
    told = rules.errors(a_group(process(*rounds, errors=[an_error(203.5)])))
    assert told == ["httpx of year had ServerError at 203.600, although token 4 was good"]
    assert not rules.errors(a_group(process(*rounds, errors=[an_error(203.5)]), refused=((203.0, "4", "revoked"),)))


def test_a_401_needs_two_refused_tokens():
    calls = process(*a_year().processes[0].rounds, answers=[an_error(160.0) | {"status": 401}])
    one, two = (155.0, "3", "revoked"), (156.0, "4", "all")
    assert rules.answers(a_group(calls, refused=(one,))) == ["httpx of year had 401 at 160.100"]
    assert not rules.answers(a_group(calls, refused=(one, two)))
    another = fetch(159.95, outcomes=["503"] * 4)
    assert not rules.answers(a_group(calls._replace(rounds=(*calls.rounds, another)), refused=(one,)))
    assert rules.answers(a_group(calls._replace(rounds=(*calls.rounds, another))))
    assert rules.answers(a_group(calls._replace(rounds=(*calls.rounds, fetch(159.95, 9))), refused=(one,)))
    assert rules.answers(a_group(process(answers=[an_error(160.0) | {"status": 500}]), refused=(one, two)))


def test_clients_fail_only_while_the_server_is_down():
    calls = process(broken=[an_error(10.0, error="ConnectError")])
    assert rules.answers(a_group(calls)) == ["httpx of year had ConnectError at 10.100"]
    assert not rules.answers(a_group(calls, downs=(Span(9.0, 10.05),)))


def test_errors_are_counted_that_a_look_into_the_store_would_have_saved():
    one = process(fetch(0, outcomes=["503"] * 4), who="one", errors=[an_error(3.5), an_error(70.0)])
    assert rules.stored_meanwhile(a_group(one, process(fetch(3.2, 1), who="two"))) == 1


SAMPLES = [{"at": float(at), "rss": 7e7, "descriptors": 20 + at % 3, "threads": 9, "calls": at} for at in range(200)]
END = {"before": {"descriptors": 5, "threads": 2}, "after": {"descriptors": 5, "threads": 2}, "left": [], "callers": {}}


def test_what_goes_up_and_down_is_no_leak():
    assert not resources.leaks("year", SAMPLES, END)
    assert not resources.stuck("year", SAMPLES, END)
    assert resources.growth([0, 1, 2, 3], [1, 3, 5, 7]) == pytest.approx(6)
    assert resources.growth([0], [1]) == 0


@pytest.mark.parametrize(("name", "by"), [("rss", 50_000), ("descriptors", 0.1), ("threads", 0.02)])
def test_a_leak_is_seen(name, by):
    leaking = [each | {name: each[name] + by * each["at"]} for each in SAMPLES]
    (told,) = resources.leaks("year", leaking, END)
    assert told.startswith(f"year: {name} grew by")


@pytest.mark.parametrize("name", ["descriptors", "threads"])
def test_nothing_is_left_over_at_the_end(name):
    end = END | {"after": END["after"] | {name: END["after"][name] + 1}}
    assert resources.leaks("year", [], end) == [f"year: 1 {name} were left over at the end"]


def test_callers_that_hang_are_seen():
    silent = [each | {"calls": 7} for each in SAMPLES]
    assert resources.stuck("year", silent, END) == ["year: nobody called any more at the end"]
    end = END | {"left": ["soak-trio"], "callers": {"httpx": 0}}
    assert resources.stuck("year", [], end) == ["year: soak-trio did not end", "year: httpx has not called once"]


def test_events_are_read_as_rounds():
    common = {"event": "try", "at": 0.0, "ended": 1.0, "outcome": "503", "token": None, "retry_after": 0.0}
    told = [common | {"id": str(sent), "sent": float(sent), "fetch": int(sent == 3)} for sent in (1, 2, 3, 4)]
    kept = group("year", speed=1, lifetime=60, timeout=5, workers={"year": told[::-1]}, server=[])
    assert [[one.id for one in each.tries] for each in kept.processes[0].rounds] == [["1", "2", "4"], ["3"]]


def test_a_seed_decides_the_faults():
    def drawn(seed):
        chance = random.Random(seed)
        return [plan.draw(chance, 5.0) for _ in range(500)]

    assert drawn("1-year") == drawn("1-year") != drawn("2-year")
    assert {harm.kind for harm in drawn("1-year")} == {*plan.ANSWERS, "restart", "revoke", "refuse-all"}


def test_the_plot_is_well_formed_and_has_no_markup_of_others():
    drawn = plot.svg([plot.Panel("<Memory>", {"a&b": [(0.0, 1.0), (1.0, 2.0)]}), plot.Panel("Nothing", {"a&b": []})])
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert "prefers-color-scheme" in drawn


@pytest.mark.once
@pytest.mark.skipif(sys.platform != "linux", reason="memory and descriptors are read from /proc, which Linux has")
@pytest.mark.skipif(BINARY is None, reason="no Redis server here: apt-get install redis-server")
def test_a_run_of_a_few_seconds(tmp_path):
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.1", "--seed", "7", "--out", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    results = json.loads(tmp_path.joinpath("soak.json").read_text())
    # On a machine that stops for a moment, seconds of such a clock go by: then a rule may be broken, and that is told.
    assert ran.returncode == bool(results["breaches"]), ran.stdout + ran.stderr
    assert set(results["groups"]) == {"year", "file", "redis"}
    assert all(all(worker["calls"].values()) for worker in results["workers"].values())
    assert results["groups"]["year"]["grants"] > 1
    ET.parse(tmp_path / "soak.svg")
    assert "| year |" in tmp_path.joinpath("soak.md").read_text()
