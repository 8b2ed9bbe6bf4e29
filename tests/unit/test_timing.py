"""The numbers about time, the clock, and time in which the process stands still."""

from __future__ import annotations

import _thread
import math
import queue
import sys
import threading
import time

import pytest

from domo_oauth import Clock, ConfigurationError
from domo_oauth.timing import FETCH_SECONDS, SLACK, Budget, seconds, spent_after, stale_after
from tests.fakes import PATIENCE

HOUR = 3600


@pytest.mark.parametrize(
    ("lifetime", "stale", "spent"),
    [
        (0, 0, 0),
        (10, 8, 9),
        (300, 240, 270),
        (1500, 1200, 1470),
        (HOUR, 3300, 3570),
        (10 * 365 * 24 * HOUR, 10 * 365 * 24 * HOUR - 300, 10 * 365 * 24 * HOUR - 30),
    ],
)
def test_a_token_is_stale_before_it_is_spent_and_spent_before_it_expires(lifetime, stale, spent):
    assert stale_after(lifetime, 0.0) == pytest.approx(stale)
    assert spent_after(lifetime) == pytest.approx(spent)
    assert stale_after(lifetime, 0.0) <= stale_after(lifetime, 0.999) <= spent_after(lifetime) <= lifetime


def test_chance_makes_a_token_stale_later_by_up_to_a_quarter_of_the_window():
    assert [stale_after(HOUR, chance) for chance in (0.0, 0.5, 1.0)] == [3300, 3337.5, 3375]


@pytest.mark.parametrize(("given", "taken"), [(None, 60.0), (0, 0.0), (2, 2.0), (0.5, 0.5), (math.inf, math.inf)])
def test_seconds_are_a_number_or_the_default(given, taken):
    assert seconds("timeout", given) == taken


@pytest.mark.parametrize("given", [-1, -0.001, math.nan, -math.inf, "5", [], {}, 1j, object], ids=repr)
def test_seconds_are_neither_negative_nor_something_else(given):
    with pytest.raises(ConfigurationError, match=r"^timeout must be a number of seconds"):
        seconds("timeout", given)


@pytest.mark.parametrize(
    ("waits", "left"),
    [
        ([(1.0, 1.0)] * 4, 1.0),  # (asked for at most, passed)
        ([(9.0, 4.0)], 1.0),
        ([(1.0, 100.0)], 4.0 - SLACK),  # frozen: the slice counts, and some slack
        ([(1.0, 100.0), (1.0, 0.5), (1.0, 50.0)], 2.5 - 2 * SLACK),
        ([(9.0, 100.0)], -SLACK),
    ],
)
def test_a_budget_counts_no_more_than_the_wait_that_was_asked_for(waits, left):
    now = 0.0
    budget = Budget(5.0, lambda: now)
    for most, passed in waits:
        assert budget.slice(most) <= most
        now += passed
        budget.spend()
    assert budget.left == pytest.approx(left)


def test_a_slice_is_no_longer_than_what_is_left():
    budget = Budget(0.25, lambda: 0.0)
    assert budget.slice() == 0.25
    assert Budget(-1.0, lambda: 0.0).slice() == 0.0
    assert Budget(FETCH_SECONDS, lambda: 0.0).slice() == 1.0


def test_time_between_two_waits_counts_up_to_a_slice():
    now = 0.0
    budget = Budget(5.0, lambda: now)
    now = 100.0
    assert budget.spend() == pytest.approx(4.0 - SLACK)


def test_a_clock_starts_daemon_threads_with_a_name():
    found, done = [], threading.Event()
    Clock().start(lambda: (found.append(threading.current_thread()), done.set()))
    assert done.wait(PATIENCE)
    assert [(thread.name, thread.daemon) for thread in found] == [("domo-oauth", True)]


def test_a_clock_does_not_wait_for_the_threads_first_turn(monkeypatch):
    """`threading.Thread.start()` does, and is left broken by an interrupt in that wait."""
    caller, starts = threading.current_thread(), []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: (starts.append(threading.get_ident()), start(self)))
    done = threading.Event()
    Clock().start(done.set)
    assert done.wait(PATIENCE)
    assert caller.ident not in starts


def test_the_last_thread_that_can_be_had_does_the_work(monkeypatch):
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    done = threading.Event()
    Clock().start(done.set)
    assert done.wait(PATIENCE)


@pytest.mark.parametrize(
    ("where", "name"), [(sys, "is_finalizing"), (_thread, "daemon_threads_allowed")], ids=["shutdown", "subinterpreter"]
)
def test_a_clock_says_where_no_thread_can_be_had(monkeypatch, where, name):
    monkeypatch.setattr(where, name, lambda: name == "is_finalizing", raising=False)
    with pytest.raises(RuntimeError, match="no background thread"):
        Clock().start(lambda: None)


def test_a_clock_uses_what_was_patched_after_its_import(monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(queue, "SimpleQueue", Patched)
    clock = Clock()
    clock.sleep(3.0)
    assert slept == [3.0]
    assert isinstance(clock.inbox(), Patched)


class Patched:
    """A queue of some other library."""

    def __class_getitem__(cls, _item: object) -> type:
        return cls
