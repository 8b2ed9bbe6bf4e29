"""A token is fresh, then stale (used while the next one is fetched), then spent (callers wait), then expired."""

from __future__ import annotations

import itertools
import logging
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from domo_oauth import ConfigurationError, FileStore, InvalidClientError
from tests.fakes import HOUR, PATIENCE, in_threads, refused, until

DAY, TEN_YEARS = 86400, 10 * 365 * 86400


@pytest.mark.parametrize("chance", [0.0, 0.999999])
@pytest.mark.parametrize(
    ("lifetime", "window", "spent"),
    [(1, 0.2, 0.9), (300, 60, 270), (HOUR, 300, HOUR - 30), (TEN_YEARS, 300, TEN_YEARS - 30)],
)
def test_fresh_then_stale_then_spent(provider, endpoint, time, get, lifetime, window, spent, chance):
    endpoint.lifetime, time.chance = lifetime, chance
    stale = lifetime - window + window / 4 * chance
    first = get(provider)
    time.advance(stale - 0.001)
    assert get(provider) is first
    time.settle()
    assert endpoint.requests == 1

    time.advance(0.002)
    assert get(provider) is first
    time.settle()
    assert endpoint.requests == 2
    assert get(provider).access_token == "canary-token-2"

    time.advance(spent + 0.001)
    assert get(provider).access_token == "canary-token-3"


def test_while_stale_nobody_waits_and_one_thread_fetches(provider, endpoint, time):
    first = provider.get_token()
    time.advance(HOUR - 200)
    endpoint.open.clear()
    assert in_threads(64, provider.get_token) == [first] * 64
    endpoint.open.set()
    time.settle()
    assert provider.get_token().access_token == "canary-token-2"
    assert (endpoint.requests, provider.stats().refreshes) == (2, 1)


def test_a_day_of_calls_takes_26_requests(provider, endpoint, time):
    """A token that Domo grants for an hour is replaced after 55 to 56.25 minutes."""
    endpoint.lifetime = 3599
    chance = itertools.cycle([0.0, 0.5, 0.999])
    asked = []
    for now in range(0, DAY, 120):
        before, time.chance = endpoint.requests, next(chance)
        assert provider.get_token()
        time.settle()
        asked += [now] * (endpoint.requests - before)
        time.advance(120)
    assert len(asked) == 26
    assert {after - before for before, after in itertools.pairwise(asked)} <= {28 * 120, 29 * 120}
    stats = provider.stats()
    assert (stats.requests, stats.refreshes, stats.waits, stats.failures) == (26, 25, 1, 0)


def test_a_token_without_a_lifetime_is_handed_out_once(provider, endpoint, get):
    endpoint.lifetime = 0
    assert [get(provider).access_token for _ in range(2)] == ["canary-token-1", "canary-token-2"]


def test_age_counts_from_before_the_request_was_sent(provider, endpoint, time):
    def answer_slowly() -> httpx.Response:
        time.advance(HOUR - 29)
        return endpoint.token(endpoint.requests)

    endpoint.always = answer_slowly
    for _ in range(2):
        provider.get_token()
    assert endpoint.requests == 2


@pytest.mark.parametrize(
    ("monotonic", "wall", "requests", "same"),
    [
        (HOUR - 301, -HOUR - 301, 1, True),  # somebody set the clock back
        (0, DAY, 2, False),  # or forward
        (0, HOUR - 200, 2, True),  # the machine was suspended until the token was stale
        (HOUR - 300, 0, 2, True),  # stale at this very moment
        (0, HOUR - 300, 2, True),
        (0, HOUR - 29, 2, False),  # spent
        (HOUR - 29, -DAY, 2, False),
    ],
)
def test_age_is_the_larger_of_monotonic_and_wall_time(provider, endpoint, time, monotonic, wall, requests, same):
    first = provider.get_token()
    time.now += monotonic
    time.now_wall += wall
    assert (provider.get_token() is first) is same
    time.settle()
    assert endpoint.requests == requests


def test_a_token_from_the_store_is_as_old_as_either_clock_says(make, endpoint, time, tmp_path):
    store = FileStore(tmp_path / "store")
    old = make(store=store).get_token()
    time.advance(1000)
    ours = make(store=store)
    assert ours.get_token() == old
    time.now += 500
    assert ours.stats().expires_in == HOUR - 1500
    time.now_wall += HOUR - 1029
    assert ours.get_token() != old
    assert endpoint.requests == 2
    time.advance(HOUR)
    make(store=store).get_token()
    assert ours.get_token()
    assert (ours.stats().stored, endpoint.requests) == (2, 3)


# min_lifetime


@pytest.mark.parametrize(
    ("age", "min_lifetime", "requests"),
    [(0, HOUR, 1), (1, HOUR, 2), (600, 3000, 1), (600, 3001, 2), (HOUR - 200, 100, 1), (HOUR - 10, 10, 1), (0, 0, 1)],
)
def test_min_lifetime(provider, time, get, age, min_lifetime, requests):
    get(provider)
    time.advance(age)
    assert get(provider, min_lifetime=min_lifetime).access_token == f"canary-token-{requests}"


@pytest.mark.parametrize(("held", "granted"), [(None, 600), (None, 0), (HOUR, 600), (HOUR, 0), (601, 600)])
def test_if_domo_grants_less_than_min_lifetime_the_new_token_is_returned(
    provider, endpoint, time, get, caplog, held, granted
):
    if held is not None:  # the token at hand lasts longer than the new one, and not long enough
        endpoint.lifetime = held
        get(provider)
        time.advance(held / 3)
    before = endpoint.requests
    endpoint.lifetime = granted
    assert get(provider, min_lifetime=3000).expires_in == granted
    assert endpoint.requests == before + 1
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"{granted} s, less than min_lifetime=3000" in warning


def test_a_crowd_that_wants_more_than_domo_grants_takes_two_requests_at_most(provider, endpoint):
    endpoint.open.clear()
    with ThreadPoolExecutor(16) as threads:
        waiting = [threads.submit(provider.get_token, None, 2 * HOUR) for _ in range(16)]
        until(lambda: provider.stats().waits == 16)
        endpoint.open.set()
        assert {each.result(PATIENCE).access_token for each in waiting} <= {"canary-token-1", "canary-token-2"}
    assert endpoint.requests <= 2  # callers that came after the first was sent wait for the second


def test_min_lifetime_sends_no_request_in_the_pause_after_an_error(provider, endpoint, time, get):
    first = get(provider)
    time.advance(600)
    endpoint.always = refused
    for _ in range(3):
        with pytest.raises(InvalidClientError):
            get(provider, min_lifetime=HOUR)
    assert endpoint.requests == 2
    assert get(provider) is first


def test_min_lifetime_fetches_when_the_store_only_has_a_token_that_is_too_old(make, endpoint, time, get, tmp_path):
    looked = threading.Event()

    class SlowStore(FileStore):
        def load(self, name):
            assert looked.wait(PATIENCE)
            return super().load(name)

    old = make(store=FileStore(tmp_path / "store")).get_token()
    time.advance(HOUR - 900)
    ours = make(store=SlowStore(tmp_path / "store"))
    with ThreadPoolExecutor(2) as threads:
        waiting = []
        for number, min_lifetime in enumerate((None, 2000), 1):
            waiting.append(threads.submit(get, ours, min_lifetime=min_lifetime))
            until(lambda number=number: ours.stats().waits == number)
        looked.set()
        assert waiting[0].result(PATIENCE) == old
        assert waiting[1].result(PATIENCE) != old
    assert endpoint.requests == 2


@pytest.mark.parametrize("seconds", [math.nan, -1, "5"], ids=repr)
@pytest.mark.parametrize("name", ["timeout", "min_lifetime"])
def test_timeout_and_min_lifetime_must_be_non_negative_numbers(provider, endpoint, get, name, seconds):
    with pytest.raises(ConfigurationError, match=f"^{name} must be a number of seconds"):
        get(provider, *((seconds,) if name == "timeout" else (None, seconds)))
    assert endpoint.requests == 0
