"""The rules of the provider, with a clock that the test moves and an endpoint that answers what the test says."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import math
import pickle
import ssl
import subprocess
import sys
import threading
import traceback
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import attrs
import httpx
import pytest

from domo_oauth import (
    ClientCredentials,
    Clock,
    ConfigurationError,
    DomoOAuthError,
    FileStore,
    InvalidClientError,
    RateLimitedError,
    Scope,
    ServerError,
    TokenProvider,
    TransportError,
)
from domo_oauth.provider import forget_tokens
from tests.fakes import HOUR, PATIENCE, Endpoint, Time, in_threads, refused, unavailable, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAY, TEN_YEARS = 86400, 10 * 365 * 86400
ALMOST_ONE = 0.999999


@pytest.fixture(name="time")
def _time() -> Time:
    return Time()


@pytest.fixture
def endpoint(time) -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.open.set()
    time.settle()


@pytest.fixture
def make(credentials, time, endpoint) -> Callable[..., TokenProvider]:
    def make(credentials=credentials, **args) -> TokenProvider:
        return TokenProvider(credentials, **{"clock": time.clock, "httpx_args": {"transport": endpoint}} | args)

    return make


@pytest.fixture
def provider(make) -> TokenProvider:
    return make()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def get(request) -> Callable[..., object]:
    """How a caller asks: on a thread, or in a task."""
    if request.param == "sync":
        return TokenProvider.get_token
    return lambda provider, *args: anyio.run(provider.aget_token, *args, backend=request.param)


# Fresh, stale, spent.


@pytest.mark.parametrize("chance", [0.0, ALMOST_ONE])
@pytest.mark.parametrize(
    ("lifetime", "window", "spent"),
    [(1, 0.2, 0.9), (HOUR, 300, HOUR - 30), (TEN_YEARS, 300, TEN_YEARS - 30)],
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
    second = get(provider)
    assert second.access_token == "canary-token-2"

    time.advance(spent + 0.001)
    assert get(provider).access_token == "canary-token-3"


def test_stale_nobody_waits_and_one_thread_fetches(provider, endpoint, time):
    first = provider.get_token()
    time.advance(HOUR - 200)
    endpoint.open.clear()
    assert in_threads(64, provider.get_token) == [first] * 64
    endpoint.open.set()
    time.settle()
    assert endpoint.requests == 2
    assert provider.get_token().access_token == "canary-token-2"
    assert provider.stats().refreshes == 1


def test_a_token_without_a_lifetime_is_handed_out_once(provider, endpoint, get):
    endpoint.lifetime = 0
    assert [get(provider).access_token for _ in range(2)] == ["canary-token-1", "canary-token-2"]
    assert endpoint.requests == 2


def test_all_who_wait_get_a_token_however_short_it_lives(provider, endpoint):
    endpoint.lifetime = 0
    endpoint.open.clear()
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(provider.get_token) for _ in range(8)]
        until(lambda: provider.stats().waits == 8)
        endpoint.open.set()
        assert len({each.result(PATIENCE) for each in waiting}) == 1
    assert endpoint.requests == 1


def test_age_counts_from_before_the_request_was_sent(provider, endpoint, time):
    def slow() -> httpx.Response:
        time.advance(HOUR - 29)
        return endpoint.token(endpoint.requests)

    endpoint.always = slow
    provider.get_token()
    provider.get_token()
    assert endpoint.requests == 2


@pytest.mark.parametrize(
    ("monotonic", "wall", "requests", "same"),
    [
        (HOUR - 301, -HOUR - 301, 1, True),  # the clock was set back
        (0, DAY, 2, False),  # the clock was set forward
        (0, HOUR - 200, 2, True),  # the machine was suspended until the token was stale
        (HOUR - 200, 0, 2, True),
        (HOUR - 300, 0, 2, True),  # at the very moment
        (0, HOUR - 300, 2, True),
        (0, HOUR - 29, 2, False),  # spent
        (HOUR - 29, -DAY, 2, False),
    ],
)
def test_the_clock_that_says_older_is_believed(provider, endpoint, time, monotonic, wall, requests, same):
    first = provider.get_token()
    time.now += monotonic
    time.now_wall += wall
    assert (provider.get_token() is first) is same
    time.settle()
    assert endpoint.requests == requests


# How long a token has to last.


@pytest.mark.parametrize(
    ("age", "min_lifetime", "requests"),
    [(0, HOUR, 1), (1, HOUR, 2), (600, 3000, 1), (600, 3001, 2), (HOUR - 200, 100, 1), (HOUR - 10, 10, 1), (0, 0, 1)],
)
def test_min_lifetime(provider, endpoint, time, get, age, min_lifetime, requests):
    get(provider)
    time.advance(age)
    token = get(provider, None, min_lifetime)
    assert token.access_token == f"canary-token-{requests}"


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
    assert get(provider, None, 3000).expires_in == granted
    assert endpoint.requests == before + 1
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"{granted} s, less than min_lifetime=3000" in warning


def test_a_crowd_that_wants_more_than_domo_grants_costs_one_request(provider, endpoint):
    endpoint.open.clear()
    with ThreadPoolExecutor(16) as threads:
        waiting = [threads.submit(provider.get_token, None, 2 * HOUR) for _ in range(16)]
        until(lambda: provider.stats().waits == 16)
        endpoint.open.set()
        assert {each.result(PATIENCE).access_token for each in waiting} <= {"canary-token-1", "canary-token-2"}
    assert endpoint.requests <= 2  # those who came when the first one was sent wait for the second


def test_min_lifetime_does_not_ask_in_a_pause(provider, endpoint, time, get):
    first = get(provider)
    time.advance(600)
    endpoint.always = refused
    for _ in range(3):
        with pytest.raises(InvalidClientError):
            get(provider, None, HOUR)
    assert endpoint.requests == 2
    assert get(provider) is first


@pytest.mark.parametrize("number", [math.nan, -1, "5", [5]], ids=repr)
@pytest.mark.parametrize("name", ["timeout", "min_lifetime"])
def test_arguments_that_are_no_number_of_seconds(provider, endpoint, get, name, number):
    with pytest.raises(ConfigurationError, match=f"^{name} must be a number of seconds"):
        get(provider, *((number,) if name == "timeout" else (None, number)))
    assert endpoint.requests == 0


# Callers whose time is up.


@pytest.fixture
def in_real_time(make, time) -> TokenProvider:
    return make(clock=Clock(start=time.start))


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_a_late_caller_is_told_what_it_waited_for(in_real_time, endpoint, get, timeout):
    endpoint.open.clear()
    told = (
        rf"^No token within {timeout:g} s: (the request has not begun|GET https://api\.domo\.com/oauth/token has not)"
    )
    with pytest.raises(TransportError, match=told) as caught:
        get(in_real_time, timeout)
    assert caught.value.retryable
    endpoint.wait_until_asked()
    with pytest.raises(TransportError, match=r"GET https://api\.domo\.com/oauth/token has not been answered"):
        get(in_real_time, timeout)
    endpoint.open.set()
    assert get(in_real_time).access_token == "canary-token-1"  # a late caller does not end the fetch
    assert (endpoint.requests, in_real_time.stats().failures) == (1, 0)


def test_a_late_caller_is_told_how_the_attempt_before_failed(provider, endpoint, time):
    endpoint.answers = [unavailable()]
    time.on_wait = lambda seconds: (endpoint.asked.acquire(timeout=PATIENCE), time.advance(seconds))
    endpoint.always = lambda: endpoint.open.clear() or (endpoint.open.wait(PATIENCE) and endpoint.token(2))
    with pytest.raises(TransportError, match=r"not been answered; the attempt before failed: GET .* answered 503"):
        provider.get_token(2)


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_a_late_caller_gets_a_spent_token_rather_than_none(in_real_time, endpoint, get, timeout):
    endpoint.lifetime = 3
    first = get(in_real_time)
    endpoint.open.clear()
    until(lambda: in_real_time.stats().expires_in < 0.3)
    assert get(in_real_time, timeout) is first


def test_no_timeout_is_the_default_of_60_seconds(provider, endpoint, time):
    endpoint.open.clear()
    time.on_wait = time.advance
    before = time.now
    with pytest.raises(TransportError, match="No token within 60 s"):
        provider.get_token(None)
    assert 60 <= time.now - before <= 61


def test_callers_that_gave_up_leave_nothing_behind(provider, endpoint, time):
    endpoint.open.clear()

    async def tasks() -> int:
        asked = [provider.aget_token(0) for _ in range(1000)]
        await asyncio.gather(*asked, return_exceptions=True)
        gc.collect()
        return sum(isinstance(each, asyncio.Event) for each in gc.get_objects())

    for _ in range(1000):
        with pytest.raises(TransportError):
            provider.get_token(0)
    gc.collect()
    assert len(time.inboxes) == 0
    assert asyncio.run(tasks()) == 0
    assert endpoint.requests == 1


# A fetch that never ends, as when a name server does not answer.


def test_at_most_two_flights_when_the_endpoint_never_answers(provider, endpoint, time, get):
    endpoint.open.clear()
    for _ in range(10):
        with pytest.raises(TransportError):
            get(provider, 0)
        time.advance(61)
    endpoint.wait_until_asked()
    endpoint.wait_until_asked()
    endpoint.open.set()
    time.settle()
    assert endpoint.requests == 2


@contextmanager
def left_behind(provider, endpoint, time, answer=None) -> Iterator[None]:
    """Within the block the first fetch is still under way, but too old to be waited for; after it, it has ended."""
    gate, send = threading.Event(), endpoint.handle_request

    def first(request: httpx.Request) -> httpx.Response:
        endpoint.handle_request = send
        endpoint.requests += 1
        endpoint.asked.release()
        assert gate.wait(PATIENCE)
        return answer or endpoint.token(1)

    endpoint.handle_request = first
    with pytest.raises(TransportError):
        provider.get_token(0)
    endpoint.wait_until_asked()
    time.advance(61)
    yield
    gate.set()
    time.settle()


def test_a_fetch_that_was_left_behind_does_not_replace_a_better_token(provider, endpoint, time):
    with left_behind(provider, endpoint, time):
        second = provider.get_token()
    assert second.access_token == "canary-token-2"
    assert provider.get_token() is second
    assert endpoint.requests == 2


def test_a_fetch_that_was_left_behind_replaces_a_worse_token(provider, endpoint, time):
    with left_behind(provider, endpoint, time):
        endpoint.lifetime = 600
        provider.get_token()
        endpoint.lifetime = HOUR
    assert provider.get_token().access_token == "canary-token-1"


def test_the_error_of_a_fetch_that_was_left_behind_says_nothing_about_now(provider, endpoint, time):
    with left_behind(provider, endpoint, time, refused()):
        second = provider.get_token()
    assert provider.get_token() is second
    provider.invalidate(second)
    assert provider.get_token().access_token == "canary-token-3"  # without a pause


def test_a_crowd_that_leaves_a_fetch_behind_makes_one_other(make, time):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            endpoint = Endpoint()
            provider = make(httpx_args={"transport": endpoint})
            endpoint.open.clear()
            for callers in (1, 32, 32):
                in_threads(callers, lambda provider=provider: provider.get_token(0))
                time.advance(61)
            endpoint.wait_until_asked()
            endpoint.wait_until_asked()
            endpoint.open.set()
            time.settle()
            assert endpoint.requests == 2
    finally:
        sys.setswitchinterval(interval)


# Failures.


def test_a_refresh_that_fails_is_told_once_and_tried_after_a_growing_pause(provider, endpoint, time, caplog):
    first = provider.get_token()
    endpoint.always = refused
    time.advance(HOUR - 299)
    started, asked = time.now, []
    while time.now < started + 250:
        before = endpoint.requests
        assert provider.get_token() is first
        time.settle()
        if endpoint.requests > before:
            asked.append(time.now - started)
        time.advance(1)
    assert asked == [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181, 211, 241]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.startswith("No token; nobody asks again for 1.0 s: GET https://api.domo.com/oauth/token ")

    time.advance(45)  # spent, and the pause is over: who asks waits, and gets the old one all the same
    requests = endpoint.requests
    assert provider.get_token() is first
    assert provider.get_token() is first
    assert endpoint.requests == requests + 1
    time.advance(5)  # expired
    with pytest.raises(InvalidClientError):
        provider.get_token()
    assert endpoint.requests == requests + 1
    endpoint.always = None
    time.advance(30)
    assert provider.get_token() is not first


def test_a_token_that_has_expired_is_not_handed_out_when_its_refresh_fails(provider, endpoint, time, get):
    get(provider)
    endpoint.always = refused
    time.advance(HOUR)
    with pytest.raises(InvalidClientError):
        get(provider)


def test_after_a_success_the_pause_is_short_and_a_failure_is_told_again(provider, endpoint, time, caplog):
    for _ in range(2):
        endpoint.answers = [refused(), refused()]
        for pause in (1, 2):
            with pytest.raises(InvalidClientError):
                provider.get_token()
            time.advance(pause)
        provider.invalidate(provider.get_token())
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 2


def test_a_loop_against_wrong_credentials(provider, endpoint, time):
    endpoint.always = refused
    end = time.now + 10
    while time.now < end:
        with pytest.raises(InvalidClientError):
            provider.get_token()
        time.advance(0.05)
    assert 2 <= endpoint.requests <= 6


@pytest.mark.parametrize("error", [LookupError("canary-secret"), KeyboardInterrupt(), ExceptionGroup("a", [OSError()])])
def test_a_foreign_error_has_a_pause_as_any_other(provider, endpoint, time, get, error):
    endpoint.answers = [error]
    for _ in range(3):
        with pytest.raises(DomoOAuthError, match=f"{type(error).__name__}, raised in tests.fakes, line") as caught:
            get(provider)
        assert "canary" not in str(caught.value)
    assert endpoint.requests == 1
    time.advance(1)
    assert get(provider).access_token == "canary-token-2"


def test_a_setting_that_cannot_work_is_an_error_of_the_caller(make, get):
    with pytest.raises(ConfigurationError, match="no_such_argument"):
        get(make(httpx_args={"no_such_argument": 1}))


def test_what_a_caller_was_handling_is_no_business_of_another(provider, endpoint):
    class Local:
        pass

    local = Local()
    alive = weakref.ref(local)
    endpoint.always = refused
    for _ in range(2):
        try:
            {}[local]
        except KeyError:
            with pytest.raises(InvalidClientError):
                provider.get_token()
    del local
    gc.collect()
    assert alive() is None


def test_a_token_that_another_process_leaves_in_the_store_ends_the_pause(make, endpoint, time, tmp_path):
    ours, theirs = (make(store=FileStore(tmp_path / "store")) for _ in range(2))
    endpoint.answers = [httpx.Response(403), httpx.Response(403)]

    def is_refused() -> None:
        with pytest.raises(DomoOAuthError, match="403"):
            ours.get_token()
        time.settle()

    is_refused()
    time.advance(1.5)
    is_refused()  # for 2 s
    is_refused()  # there is nothing in the store
    assert endpoint.requests == 2
    token = theirs.get_token()
    time.advance(1.5)
    is_refused()  # and looks into the store
    assert ours.get_token() == token
    assert endpoint.requests == 3


@pytest.mark.parametrize("is_async", [False, True])
def test_min_lifetime_fetches_if_what_others_wait_for_lasts_too_short(make, endpoint, time, tmp_path, is_async):
    looked = threading.Event()

    class SlowStore(FileStore):
        def load(self, name):
            assert looked.wait(PATIENCE)
            return super().load(name)

    old = make(store=FileStore(tmp_path / "store")).get_token()
    time.advance(HOUR - 900)
    ours = make(store=SlowStore(tmp_path / "store"))

    def more():
        if is_async:
            return anyio.run(lambda: ours.aget_token(min_lifetime=2000))
        return ours.get_token(min_lifetime=2000)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ours.get_token)
        until(lambda: ours.stats().waits == 1)
        second = threads.submit(more)
        until(lambda: ours.stats().waits == 2)
        looked.set()
        assert first.result(PATIENCE) == old
        assert second.result(PATIENCE) != old
    assert endpoint.requests == 2


def test_reset_forgets_token_error_and_refusal(provider, endpoint):
    endpoint.answers = [refused()]
    with pytest.raises(InvalidClientError):
        provider.get_token()
    provider.reset()
    for _ in range(3):
        provider.invalidate(provider.get_token())
        provider.reset()
    assert endpoint.requests == 4


# Retries.


@pytest.mark.parametrize(("chance", "pauses"), [(0.0, [0, 0, 0]), (0.5, [0.5, 1, 2]), (1.0, [1, 2, 4])])
@pytest.mark.parametrize(
    "fault",
    [unavailable, lambda: httpx.ConnectError("no"), lambda: httpx.ReadTimeout("late")],
    ids=["503", "no connection", "too late"],
)
def test_what_may_pass_is_tried_four_times_with_full_jitter(provider, endpoint, time, fault, chance, pauses):
    time.chance = chance
    endpoint.always = fault
    with pytest.raises((ServerError, TransportError)):
        provider.get_token()
    assert endpoint.requests == 4
    assert time.slept == pauses


def test_a_retry_that_helps(provider, endpoint, get):
    endpoint.answers = [unavailable(), httpx.ConnectError("no")]
    assert get(provider).access_token == "canary-token-3"
    assert provider.stats().failures == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_would_be_answered_the_same_is_not_tried_again(provider, endpoint, time, status):
    endpoint.always = lambda: httpx.Response(status, json={})
    with pytest.raises(DomoOAuthError):
        provider.get_token()
    assert endpoint.requests == 1
    assert time.slept == []


@pytest.mark.parametrize(
    ("asked", "slept", "pause"), [(5, [5], 0), (59, [59], 0), (60, [], 60), (4000, [], 300)], ids=str
)
def test_retry_after_is_waited_for_or_holds_for_all_who_ask(provider, endpoint, time, asked, slept, pause):
    endpoint.answers = [httpx.Response(429, headers={"Retry-After": str(asked)}, json={})]
    if pause:
        with pytest.raises(RateLimitedError):
            provider.get_token()
        time.advance(pause - 0.01)
        with pytest.raises(RateLimitedError) as caught:
            provider.get_token()
        assert caught.value.retry_after == asked
        assert endpoint.requests == 1
        time.advance(0.02)
    assert provider.get_token().access_token == "canary-token-2"
    assert time.slept == slept


def test_a_fetch_ends_after_60_seconds(provider, endpoint, time):
    endpoint.always = lambda: httpx.Response(503, headers={"Retry-After": "25"}, json={})
    with pytest.raises(ServerError):
        provider.get_token()
    assert time.slept == [25, 25]


@pytest.mark.parametrize("frozen", [12.0, 22.0, 3600.0])
def test_a_process_that_was_frozen_within_a_fetch_asks_again(provider, endpoint, time, get, frozen):
    def frozen_with_its_connection() -> httpx.Response | BaseException:
        if endpoint.requests == 1:
            time.advance(frozen)
            return httpx.ReadError("Connection reset by peer")
        return endpoint.token(endpoint.requests)

    endpoint.always = frozen_with_its_connection
    assert get(provider).access_token == "canary-token-2"
    assert provider.stats().failures == 0


# Invalidating, sharing.


def test_only_the_token_at_hand_can_be_made_invalid(provider, endpoint, time):
    first = provider.get_token()
    provider.invalidate(attrs.evolve(first))  # an equal one, as another process may send it back
    second = provider.get_token()
    for later in (0, 100):
        time.advance(later)
        provider.invalidate(first)
        assert provider.get_token() is second
    provider.reset()
    provider.invalidate(second)
    assert provider.stats().expires_in is None
    assert endpoint.requests == 2


def test_tokens_that_are_all_refused_do_not_become_as_many_requests(provider, endpoint, time, caplog):
    """An API that answers each call with a 401, whatever the token, for ten minutes."""
    caplog.set_level(logging.DEBUG, logger="domo_oauth")
    for _ in range(600):
        provider.invalidate(provider.get_token())
        time.advance(1.0)
    assert endpoint.requests == 25  # after 0, 1, 3, 7, 15 and 31 seconds, and then each thirty
    assert "A token was refused soon after another; kept for 28.0 s" in caplog.text


def test_a_refusal_is_believed_at_once_after_a_while_without_one(provider, endpoint, time):
    for pause in (0.0, 1.0, 0.0, 2.0 + 60.0, 0.0, 1.0):
        time.advance(pause)
        provider.invalidate(provider.get_token())
    assert endpoint.requests == 4
    provider.invalidate(provider.get_token())
    provider.get_token()
    assert endpoint.requests == 5


def test_a_token_that_was_refused_is_not_handed_out_when_its_refresh_fails(provider, endpoint, time):
    first = provider.get_token()
    endpoint.wait_until_asked()
    time.advance(HOUR - 100)
    endpoint.open.clear()
    endpoint.always = refused
    provider.get_token()
    endpoint.wait_until_asked()
    provider.invalidate(first)
    endpoint.open.set()
    with pytest.raises(InvalidClientError):
        provider.get_token()


@pytest.fixture
def forgotten() -> Iterator[None]:
    forget_tokens()
    yield
    forget_tokens()


GRANTED = b'{"access_token": "canary-token", "token_type": "bearer", "expires_in": 3599, "customer": "acmecompany"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(GRANTED), GRANTED)


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        ({}, True),
        ({"scopes": [Scope.USER, "data"]}, True),
        ({"base_url": "{url}/"}, True),
        ({"credentials": ClientCredentials("canary-client-7f3d91", "another-secret")}, False),
        ({"credentials": ClientCredentials("another", "canary-secret-c0ffee5ec2e7")}, False),
        ({"scopes": "data"}, False),
        ({"scopes": None}, False),
        ({"base_url": "{url}/other"}, False),
        ({"httpx_args": {"timeout": 3}}, False),
        ({"clock": Clock()}, False),
        ({"store": True}, False),
    ],
    ids=itertools.count(),
)
@pytest.mark.usefixtures("forgotten")
def test_equal_providers_share_a_token(credentials, wire, tmp_path, other, shared):
    """Those with httpx_args, a clock or a store of their own do not."""
    server = wire(ANSWER)
    args = {"credentials": credentials, "scopes": "data user", "base_url": server.url}
    first = TokenProvider(**args).get_token()
    if "store" in other:
        other = {"store": FileStore(tmp_path)}
    if "base_url" in other:
        other = {"base_url": other["base_url"].format(url=server.url)}
    second = TokenProvider(**args | other).get_token()
    assert (second is first) is shared
    assert len(server.requests) == 2 - shared


@pytest.mark.usefixtures("forgotten")
def test_providers_with_one_store_share_a_token_without_reading_it_again(credentials, wire, tmp_path):
    server, store = wire(ANSWER), FileStore(tmp_path)
    tokens = [
        TokenProvider(credentials, base_url=server.url, store=each).get_token()
        for each in (store, store, FileStore(tmp_path))
    ]
    assert tokens[0] is tokens[1]
    assert tokens[0] is not tokens[2]
    assert tokens[0].access_token == tokens[2].access_token
    assert len(server.requests) == 1


@pytest.mark.parametrize(("others", "requests"), [(999, 1), (1002, 2)])
@pytest.mark.usefixtures("forgotten")
def test_tokens_of_a_thousand_clients_outlive_their_providers(credentials, wire, others, requests):
    """As a notebook's cell makes a new provider each time; but not for ever."""
    server = wire(ANSWER)
    TokenProvider(credentials, base_url=server.url).get_token()
    for number in range(others):
        TokenProvider(ClientCredentials(f"client-{number}", "a-secret"), base_url=server.url)
    TokenProvider(credentials, base_url=server.url).get_token()
    assert len(server.requests) == requests


# Who waits, and who stops waiting.


def test_the_fetch_goes_on_when_all_who_wanted_it_have_gone(provider, endpoint, time, anyio_backend):
    endpoint.open.clear()

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(provider.aget_token)
            await anyio.to_thread.run_sync(endpoint.wait_until_asked)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=anyio_backend)
    endpoint.open.set()
    time.settle()
    assert provider.get_token().access_token == "canary-token-1"
    assert endpoint.requests == 1


def test_a_sync_call_inside_a_running_loop(provider, endpoint, anyio_backend):
    """A task waits for the same token: neither holds the other up."""
    endpoint.open.clear()

    async def main():
        got = []

        async def ask():
            got.append(await provider.aget_token())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.to_thread.run_sync(endpoint.wait_until_asked)
            opener = threading.Thread(target=lambda: (until(lambda: provider.stats().waits == 2), endpoint.open.set()))
            opener.start()
            got.append(provider.get_token())
        opener.join()
        return got

    first, second = anyio.run(main, backend=anyio_backend)
    assert first is second
    assert endpoint.requests == 1


def test_where_no_thread_can_be_had_callers_fetch(make, endpoint, time, get):
    def start(_run: Callable[[], object]) -> None:
        raise RuntimeError("can't start new thread")

    provider = make(clock=attrs.evolve(time.clock, start=start))
    first = get(provider)
    time.advance(HOUR - 100)
    assert get(provider) is first
    assert get(provider).access_token == "canary-token-2"
    endpoint.always = refused
    provider.reset()
    for _ in range(2):
        with pytest.raises(InvalidClientError):
            get(provider)
    assert endpoint.requests == 3


def test_closing_does_nothing_that_anybody_would_notice(provider, endpoint, anyio_backend):
    async def main():
        async with provider as same:
            assert same is provider
            await provider.aget_token()
        await provider.aclose()

    with provider as same:
        assert same is provider
        first = provider.get_token()
    provider.close()
    anyio.run(main, backend=anyio_backend)
    assert provider.get_token() is first
    provider.invalidate(first)
    assert provider.get_token().access_token == "canary-token-2"


def test_a_transport_is_used_and_not_closed(make, endpoint):
    closed = []
    endpoint.close = lambda: closed.append(1)
    make().get_token()
    assert closed == []


def test_a_provider_that_nobody_has_any_more_is_let_go(make):
    providers = [make() for _ in range(3)]
    alive = weakref.WeakSet(providers)
    assert {provider.get_token().expires_in for provider in providers} == {HOUR}
    del providers
    gc.collect()
    assert len(alive) == 0


# Pickles, arguments, log lines.


def test_without_fork():
    """As on Windows."""
    code = """
import os, random, threading, logging, concurrent.futures.thread
vars(os).pop("register_at_fork", None)
from domo_oauth import ClientCredentials, TokenProvider
TokenProvider(ClientCredentials("a", "b"))
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_pickle_carries_the_credentials_and_no_token(credentials, endpoint):
    provider = TokenProvider(
        credentials,
        scopes=["data", Scope.custom("new")],
        base_url="https://api.elsewhere.test",
        httpx_args={"timeout": 3},
    )
    other = TokenProvider(credentials, httpx_args={"transport": endpoint})
    other.get_token()
    pickled = pickle.dumps(provider)
    assert b"canary-token" not in pickled
    assert credentials.client_secret.encode() in pickled
    assert repr(pickle.loads(pickled)) == repr(provider)


def test_a_provider_that_no_pickle_can_carry_says_why(credentials):
    provider = TokenProvider(credentials, httpx_args={"verify": ssl.create_default_context()})
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE instead"):
        pickle.dumps(provider)


@pytest.fixture
def environment(monkeypatch, credentials) -> pytest.MonkeyPatch:
    monkeypatch.setenv("DOMO_CLIENT_ID", credentials.client_id)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", credentials.client_secret)
    return monkeypatch


def test_a_pickle_names_the_environment(environment):
    provider = TokenProvider.from_env(scopes="data")
    for _ in range(2):
        pickled = pickle.dumps(provider)
        assert b"canary" not in pickled
        provider = pickle.loads(pickled)
    environment.setenv("DOMO_CLIENT_ID", "the-client-that-it-is-now")
    assert "client_id='the-" in repr(pickle.loads(pickled))
    environment.delenv("DOMO_CLIENT_SECRET")
    with pytest.raises(ConfigurationError, match="DOMO_CLIENT_SECRET"):
        pickle.loads(pickled)


@pytest.mark.usefixtures("environment")
def test_from_env_takes_what_the_constructor_takes(endpoint, tmp_path, time):
    args = {"store": FileStore(tmp_path / "tokens"), "base_url": "https://api.elsewhere.test", "clock": time.clock}
    provider = TokenProvider.from_env(scopes="data", httpx_args={"transport": endpoint}, **args)
    assert provider.get_token().access_token == "canary-token-1"
    assert list((tmp_path / "tokens").iterdir())
    assert "scopes='data', base_url='https://api.elsewhere.test'" in repr(provider)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: TokenProvider(("canary-id", "canary-secret")), "of the type ClientCredentials, not tuple"),
        (lambda: TokenProvider(ClientCredentials("a", "b"), httpx_args=["canary-secret"]), "must be a dictionary"),
        (lambda: TokenProvider(ClientCredentials("a", "b"), httpx_args=5), "must be a dictionary"),
        (lambda: TokenProvider(ClientCredentials("a", "b"), scopes=5), "of the type Iterable, not int"),
        (lambda: TokenProvider(ClientCredentials("a", "b"), base_url=5), "of the type str, not int"),
    ],
    ids=itertools.count(),
)
def test_what_is_of_another_type_is_refused_and_not_shown(make, told):
    with pytest.raises(ConfigurationError, match=told) as caught:
        make()
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in told.stack if "/domo_oauth/" in frame.filename]
    assert ours
    assert "canary" not in f"{caught.value}{[frame.locals for frame in ours]}"


def test_making_one_does_nothing(make, endpoint, time):
    assert repr(make()) == (
        "TokenProvider(ClientCredentials(client_id='cana…', client_secret=hidden), "
        "scopes='all', base_url='https://api.domo.com')"
    )
    assert "scopes='data user'" in repr(make(scopes=["user", "data"]))
    assert (endpoint.requests, time.threads) == (0, [])


def test_stats(provider, endpoint, time):
    assert provider.stats() == (0, 0, 0, 0, 0, None)
    provider.get_token()
    time.advance(600)
    assert provider.stats() == (1, 0, 0, 1, 0, HOUR - 600)
    time.now_wall += 60
    assert provider.stats().expires_in == HOUR - 660
    time.advance(HOUR - 860)
    provider.get_token()
    time.settle()
    assert provider.stats() == (2, 1, 0, 1, 0, HOUR)
    provider.reset()
    endpoint.always = unavailable
    with pytest.raises(ServerError):
        provider.get_token()
    assert provider.stats() == (6, 1, 0, 2, 1, None)


class AskingHandler(logging.Handler):
    """A log handler that wants a token for each line, as one that writes the log to Domo does."""

    def __init__(self) -> None:
        super().__init__()
        self.provider: TokenProvider | None = None
        self.seen: list[tuple[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        provider, self.provider = self.provider, None  # once, or the lines of its own request would not end
        if provider is not None:
            try:
                got: object = provider.get_token().access_token
            except DomoOAuthError as error:
                got = error
            self.seen.append((record.getMessage(), got))


@pytest.fixture
def handler() -> Iterator[AskingHandler]:
    log, handler = logging.getLogger("domo_oauth"), AskingHandler()
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield handler
    log.removeHandler(handler)


def test_a_log_handler_that_asks_for_a_token_holds_nobody_up(provider, endpoint, time, handler, get):
    """A line of the fetch itself cannot wait for that fetch."""
    handler.provider = provider
    assert get(provider).access_token == "canary-token-1"
    line, got = handler.seen.pop()
    assert line.startswith("Fetched a token for 3600 s in ")
    assert isinstance(got, ConfigurationError)
    assert "inside its own fetch" in str(got)

    provider.invalidate(get(provider))
    token = get(provider)
    handler.provider = provider
    provider.invalidate(token)
    line, got = handler.seen.pop()
    assert (line, got) == ("A token was refused soon after another; kept for 1.0 s", "canary-token-2")

    endpoint.always = refused
    provider.reset()
    with pytest.raises(InvalidClientError):
        get(provider)
    handler.provider = provider
    with pytest.raises(InvalidClientError):
        get(provider)
    line, got = handler.seen.pop()
    assert line.startswith("No request for another 1.0 s: GET https://api.domo.com/oauth/token ")
    assert isinstance(got, InvalidClientError)
    assert endpoint.requests == 3


def test_the_log_tells_how_long_a_fetch_took(provider, endpoint, time, caplog):
    caplog.set_level(logging.INFO, logger="domo_oauth")

    def slow() -> httpx.Response:
        time.advance(0.5)
        return endpoint.token(endpoint.requests)

    endpoint.answers, endpoint.always = [unavailable()], slow
    provider.get_token()
    first, second = [record.getMessage() for record in caplog.records if record.name.startswith("domo_oauth")]
    assert first.startswith("Trying again, as an attempt failed: GET https://api.domo.com/oauth/token answered 503")
    assert second == "Fetched a token for 3600 s in 0.500 s"


def test_nothing_shows_a_secret(provider, endpoint, caplog):
    caplog.set_level(logging.DEBUG)
    fields = {"access_token": "canary-token", "token_type": "bearer", "expires_in": HOUR, "customer": "acmecompany"}
    endpoint.answers = [httpx.Response(200, json=fields | {"jti": "canary-secret-c0ffee5ec2e7"})]
    provider.get_token()
    shown = [repr(vars(provider)), repr(provider.stats())]
    provider.invalidate(provider.get_token())
    shown.append(repr(vars(provider)))
    endpoint.always = refused
    provider.reset()
    with pytest.raises(InvalidClientError) as caught:
        provider.get_token()
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown += [str(frame.locals) for frame in told.stack if "/domo_oauth/" in frame.filename]
    shown += [str(caught.value), repr(vars(provider)), caplog.text]
    for text in shown:
        assert "canary-token" not in text
        assert "canary-secret" not in text.replace("jti='canary-secret-c0ffee5ec2e7'", "")  # which the server said
