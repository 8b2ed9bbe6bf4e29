"""The rules of the provider, with a clock that the test sets and an endpoint that answers what the test says."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import pickle
import signal
import ssl
import subprocess
import sys
import threading
import time
import traceback
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import httpx
import pytest

from domo_oauth import (
    ClientCredentials,
    ConfigurationError,
    DomoOAuthError,
    FileStore,
    InvalidClientError,
    RateLimitedError,
    Scope,
    ServerError,
    TokenProvider,
    TransportError,
    fetch,
    log,
    single_flight,
)
from domo_oauth import provider as provider_module
from domo_oauth import shared as shared_module
from domo_oauth.adapters.httpx import DomoAuth
from domo_oauth.exchange import TokenEndpoint
from domo_oauth.provider import Clock
from domo_oauth.single_flight import Flight
from domo_oauth.stores import file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOUR, DAY, TEN_YEARS = 3600, 86400, 10 * 365 * 86400
ALMOST_ONE = 0.999999
PATHS = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
PATIENCE = 20.0
"""Seconds after which a test that waits for another thread gives up; far more than it takes."""


class Time:
    """A clock that runs when it is told to."""

    def __init__(self) -> None:
        self.now, self.now_wall, self.chance = 1_000.0, 1_700_000_000.0, 0.0
        self.slept: list[float] = []
        self.clock = Clock(lambda: self.now, lambda: self.now_wall, self.sleep, lambda: self.chance)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.now_wall += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)


class Endpoint:
    """A token endpoint below the real client: httpx hands it the request."""

    def __init__(self) -> None:
        self.lifetime = HOUR
        self.answers: list[httpx.Response | BaseException] = []
        """What it answers next; when there is none left, a token."""
        self.always: Callable[[], httpx.Response | BaseException] | None = None
        """What it answers in place of a token."""
        self.requests = 0
        self.asked = threading.Semaphore(0)
        self.open = threading.Event()
        """Unset, nobody gets an answer."""
        self.open.set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        number = self.requests
        self.asked.release()
        assert self.open.wait(PATIENCE)
        answer = self.answers.pop(0) if self.answers else self.always() if self.always else self.token(number)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def token(self, number: int) -> httpx.Response:
        fields = {"access_token": f"canary-token-{number}", "token_type": "bearer", "expires_in": self.lifetime}
        return httpx.Response(200, json=fields | {"customer": "acmecompany", "jti": f"jti-{number}"})

    def wait_until_asked(self) -> None:
        assert self.asked.acquire(timeout=PATIENCE)


def refused() -> httpx.Response:
    return httpx.Response(401, json={"error": "invalid_client"})


def unavailable() -> httpx.Response:
    return httpx.Response(503, json={})


def until(condition: Callable[[], bool]) -> None:
    """Wait for something in another thread that has no event."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def background() -> None:
    """Wait for the threads that fetch in the background."""
    until(lambda: all(shared.flight is None for shared in list(shared_module._registry.values())))
    for thread in threading.enumerate():
        if thread.name == "domo-oauth":
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture(name="time")
def _time() -> Time:
    return Time()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.open.set()
    background()


@pytest.fixture
def make(credentials, time, endpoint) -> Callable[..., TokenProvider]:
    def make(credentials=credentials, **args) -> TokenProvider:
        args = {"clock": time.clock, "httpx_args": {"transport": httpx.MockTransport(endpoint)}} | args
        return TokenProvider(credentials, **args)

    return make


@pytest.fixture
def provider(make) -> TokenProvider:
    return make()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def get(request) -> Callable[[TokenProvider], object]:
    """How a caller asks: on a thread, or in a task."""
    if request.param == "sync":
        return TokenProvider.get_token
    return lambda provider: anyio.run(provider.aget_token, backend=request.param)


def in_threads(number: int, ask: Callable[[], object]) -> list[object]:
    """What as many threads get that ask at once: a token or an error."""
    barrier = threading.Barrier(number)

    def run() -> object:
        barrier.wait(PATIENCE)
        try:
            return ask()
        except DomoOAuthError as error:
            return error

    with ThreadPoolExecutor(number) as threads:
        return [each.result(PATIENCE) for each in [threads.submit(run) for _ in range(number)]]


# Fresh, stale, spent.


@pytest.mark.parametrize("chance", [0.0, 0.5, ALMOST_ONE])
@pytest.mark.parametrize(
    ("lifetime", "window", "spent"),
    [(1, 0.2, 0.9), (2, 0.4, 1.8), (HOUR, 300, HOUR - 30), (TEN_YEARS, 300, TEN_YEARS - 30)],
)
def test_fresh_then_stale_then_spent(provider, endpoint, time, get, lifetime, window, spent, chance):
    endpoint.lifetime, time.chance = lifetime, chance
    stale = lifetime - window + window / 4 * chance
    first = get(provider)
    time.advance(stale - 0.001)
    assert get(provider) is first
    background()
    assert endpoint.requests == 1

    time.advance(0.002)
    assert get(provider) is first
    background()
    assert endpoint.requests == 2
    second = get(provider)
    assert second.access_token == "canary-token-2"

    time.advance(spent - 0.001)
    assert get(provider) is second
    background()
    third = get(provider)
    time.advance(spent + 0.001)
    assert get(provider).access_token == "canary-token-4"
    assert third.access_token == "canary-token-3"


def test_a_token_without_a_lifetime_is_handed_out_once(provider, endpoint, get):
    endpoint.lifetime = 0
    assert get(provider).access_token == "canary-token-1"
    assert endpoint.requests == 1
    assert get(provider).access_token == "canary-token-2"
    assert endpoint.requests == 2


def test_all_who_wait_get_a_token_however_short_it_lives(provider, endpoint):
    endpoint.lifetime = 0
    endpoint.open.clear()
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(provider.get_token) for _ in range(8)]
        until(lambda: provider.stats().waits == 7)
        endpoint.open.set()
        assert len({each.result(PATIENCE) for each in waiting}) == 1
    assert endpoint.requests == 1


def test_stale_nobody_waits_and_one_thread_fetches(provider, endpoint, time):
    first = provider.get_token()
    endpoint.wait_until_asked()
    time.advance(HOUR - 200)
    endpoint.open.clear()
    assert in_threads(64, provider.get_token) == [first] * 64
    endpoint.wait_until_asked()
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "domo-oauth"] == [True]
    endpoint.open.set()
    background()
    assert endpoint.requests == 2
    assert provider.get_token().access_token == "canary-token-2"
    assert provider.stats().refreshes == 1


def test_age_counts_from_before_the_request_was_sent(provider, endpoint, time):
    def slow() -> httpx.Response:
        time.advance(HOUR - 29)
        return endpoint.token(endpoint.requests)

    endpoint.always = slow
    provider.get_token()
    provider.get_token()
    assert endpoint.requests == 2


# Clocks.


def test_the_clock_is_set_back_an_hour(provider, endpoint, time):
    first = provider.get_token()
    time.now_wall -= HOUR
    time.advance(HOUR - 301)
    assert provider.get_token() is first
    time.advance(300)
    assert provider.get_token() is not first
    assert endpoint.requests == 2


def test_the_clock_is_set_forward_a_day(provider, endpoint, time):
    first = provider.get_token()
    time.now_wall += DAY
    second = provider.get_token()
    assert second is not first
    time.now_wall -= DAY
    assert provider.get_token() is second
    assert endpoint.requests == 2


def test_the_machine_was_suspended(provider, endpoint, time):
    first = provider.get_token()
    time.now_wall += HOUR - 200
    assert provider.get_token() is first
    background()
    assert endpoint.requests == 2
    time.now_wall += HOUR
    assert provider.get_token().access_token == "canary-token-3"


# Failures.


def test_a_refresh_that_fails_is_told_once_and_tried_after_a_growing_pause(provider, endpoint, time, caplog):
    first = provider.get_token()
    endpoint.always = refused
    time.advance(HOUR - 299)
    started, asked = time.now, []
    while time.now < started + 250:
        before = endpoint.requests
        assert provider.get_token() is first
        background()
        if endpoint.requests > before:
            asked.append(time.now - started)
        time.advance(1)
    assert asked == [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181, 211, 241]
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.levelno == logging.WARNING
    assert "refused" in warning.getMessage() or "401" in warning.getMessage()

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


def test_a_refusal_is_shared_and_each_gets_a_copy(provider, endpoint):
    endpoint.always = refused
    endpoint.open.clear()
    with ThreadPoolExecutor(1) as helper:
        opener = helper.submit(lambda: (endpoint.wait_until_asked(), endpoint.open.set()))
        errors = in_threads(64, provider.get_token)
        opener.result(PATIENCE)
    assert endpoint.requests == 1
    assert {type(error) for error in errors} == {InvalidClientError}
    assert {error.status for error in errors} == {401}
    assert len({id(error) for error in errors}) == 64
    assert len({str(error) for error in errors}) == 1


def test_a_refusal_is_shared_by_tasks(provider, endpoint, anyio_backend):
    endpoint.always = refused
    endpoint.open.clear()
    errors = []

    async def ask():
        with pytest.raises(InvalidClientError) as caught:
            await provider.aget_token()
        errors.append(caught.value)

    async def main():
        async with anyio.create_task_group() as tasks:
            for _ in range(64):
                tasks.start_soon(ask)
            await anyio.to_thread.run_sync(endpoint.wait_until_asked)
            endpoint.open.set()

    anyio.run(main, backend=anyio_backend)
    assert endpoint.requests == 1
    assert len({id(error) for error in errors}) == 64


def test_a_loop_against_wrong_credentials(provider, endpoint, time):
    endpoint.always = refused
    end = time.now + 10
    while time.now < end:
        with pytest.raises(InvalidClientError):
            provider.get_token()
        time.advance(0.05)
    assert 2 <= endpoint.requests <= 6


def test_an_unknown_error_is_given_as_it_is(provider, endpoint, get):
    endpoint.answers = [LookupError("odd")]
    for _ in range(2):
        with pytest.raises(LookupError, match="odd"):
            get(provider)
    assert endpoint.requests == 1


def test_an_error_that_cannot_be_copied_is_rid_of_what_others_were_doing(provider, endpoint):
    class OddError(Exception):
        def __init__(self) -> None:
            super().__init__("one argument too many for a copy")

    endpoint.answers = [OddError()]
    for _ in range(2):
        try:
            {}["of the caller"]
        except KeyError:
            with pytest.raises(OddError) as caught:
                provider.get_token()
    failure = provider._shared.failures[0]
    assert failure.error is caught.value
    with pytest.raises(OddError):
        provider.get_token()
    assert caught.value.__context__ is None


def test_a_setting_that_cannot_work_is_an_error_of_the_caller(make, endpoint, get):
    provider = make(httpx_args={"no_such_argument": 1})
    with pytest.raises(ConfigurationError):
        get(provider)


def test_what_is_wrong_with_one_way_of_asking_is_not_told_those_who_ask_another_way(make, time, endpoint, get):
    """Somebody corrects a proxy in a notebook: the provider is another, and the client is the same."""
    wrong, corrected = Endpoint(), make()
    wrong.always = lambda: httpx.ConnectError("no such proxy")
    provider = make(httpx_args={"transport": httpx.MockTransport(wrong), "timeout": 3.0})
    with pytest.raises(TransportError):
        get(provider)
    asked = wrong.requests
    assert get(corrected).access_token == "canary-token-1"
    time.advance(HOUR)
    endpoint.always = lambda: httpx.ConnectError("no such host")
    for each in (provider, corrected) * 3:
        with pytest.raises(TransportError, match="no such proxy" if each is provider else "no such host"):
            get(each)
    assert wrong.requests == asked + 4, "and each way has a pause of its own"
    assert endpoint.requests == 1 + 4


def test_what_the_endpoint_answers_is_told_all(make, endpoint, get):
    other = Endpoint()
    endpoint.always = refused
    with pytest.raises(InvalidClientError):
        get(make())
    with pytest.raises(InvalidClientError):
        get(make(httpx_args={"transport": httpx.MockTransport(other)}))
    assert (endpoint.requests, other.requests) == (1, 0)


def test_few_ways_of_asking_are_remembered(make, time):
    endpoint = Endpoint()
    endpoint.always = lambda: httpx.UnsupportedProtocol("fails at once")
    transport = httpx.MockTransport(endpoint)
    providers = [make(httpx_args={"transport": transport, "timeout": float(each)}) for each in range(1, 21)]
    for provider in providers:
        with pytest.raises(ConfigurationError):
            provider.get_token()
    failures = providers[0]._shared.failures
    assert len(failures) == 16
    assert failures[0].route == providers[-1]._route
    with pytest.raises(ConfigurationError):
        providers[-1].get_token()
    assert endpoint.requests == 20


def test_an_error_where_none_is_expected_is_remembered_too(provider, endpoint, monkeypatch, get):
    """Or a task would ask again and again, without a pause."""
    asked = []
    monkeypatch.setattr(TokenProvider, "_hold", lambda *_: asked.append(1) or 1 / 0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            get(provider)
    assert asked == [1]


def test_what_a_caller_was_handling_is_no_business_of_another(provider, endpoint):
    class Local:
        pass

    local = Local()
    alive = weakref.ref(local)
    endpoint.answers = [ZeroDivisionError()]
    for _ in range(2):
        try:
            {}[local]
        except KeyError:
            with pytest.raises(ZeroDivisionError):
                provider.get_token()
    endpoint.always = refused
    provider.reset()
    try:
        {}[local]
    except KeyError:
        with pytest.raises(InvalidClientError):
            provider.get_token()
    del local
    gc.collect()
    assert alive() is None


def test_reset_forgets_token_and_error(provider, endpoint):
    endpoint.answers = [refused()]
    with pytest.raises(InvalidClientError):
        provider.get_token()
    provider.reset()
    first = provider.get_token()
    provider.reset()
    assert provider.get_token() is not first
    assert endpoint.requests == 3


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


def test_retries_end_after_twenty_seconds(provider, endpoint, time):
    def slow() -> httpx.Response:
        time.advance(7)
        return unavailable()

    endpoint.always = slow
    with pytest.raises(ServerError):
        provider.get_token()
    assert endpoint.requests == 3


def test_retry_after_is_waited_for(provider, endpoint, time):
    endpoint.answers = [httpx.Response(429, headers={"Retry-After": "5"}, json={})]
    provider.get_token()
    assert time.slept == [5]


@pytest.mark.parametrize(("asked", "pause"), [(60, 60), (4000, 300)])
def test_a_long_retry_after_holds_for_all_who_ask(provider, endpoint, time, asked, pause):
    endpoint.answers = [httpx.Response(429, headers={"Retry-After": str(asked)}, json={})]
    with pytest.raises(RateLimitedError):
        provider.get_token()
    time.advance(pause - 0.01)
    with pytest.raises(RateLimitedError) as caught:
        provider.get_token()
    assert caught.value.retry_after == asked
    assert (endpoint.requests, time.slept) == (1, [])
    time.advance(0.02)
    assert provider.get_token().access_token == "canary-token-2"


# Invalidating, sharing.


def test_only_the_token_at_hand_can_be_made_invalid(provider, endpoint):
    first = provider.get_token()
    provider.invalidate(first)
    second = provider.get_token()
    provider.invalidate(first)
    assert provider.get_token() is second
    assert endpoint.requests == 2


def test_tokens_that_are_all_refused_do_not_become_as_many_requests(provider, endpoint, time, caplog):
    """An API that answers each call with a 401, whatever the token, for ten minutes."""
    caplog.set_level(logging.DEBUG, logger="domo_oauth")
    for _ in range(600):
        provider.invalidate(provider.get_token())
        time.advance(1.0)
    assert endpoint.requests == 25  # after 0, 1, 3, 7, 15 and 31 seconds, and then each thirty
    assert "A token was refused right after another; kept for 28.0 s" in caplog.text


def test_a_refusal_is_believed_at_once_after_a_while_without_one(provider, endpoint, time):
    for pause in (0.0, 1.0, 0.0, 2.0 + 60.0, 0.0, 1.0):
        time.advance(pause)
        provider.invalidate(provider.get_token())
    assert endpoint.requests == 4
    provider.invalidate(provider.get_token())
    provider.get_token()
    assert endpoint.requests == 5


def test_reset_forgets_a_refusal(provider, endpoint):
    for _ in range(3):
        provider.invalidate(provider.get_token())
        provider.reset()
    assert endpoint.requests == 3


def test_waiting_and_being_refused_is_told(provider, endpoint, anyio_backend, caplog):
    caplog.set_level(logging.DEBUG, logger="domo_oauth")
    anyio.run(provider.aget_token, backend=anyio_backend)
    assert "Waited 0.000 s for a fetch" in caplog.text
    provider.reset()
    endpoint.answers = [refused()]
    for _ in range(2):
        with pytest.raises(InvalidClientError):
            provider.get_token()
    assert "Refused without a request, for 1.0 s yet: GET https://api.domo.com/oauth/token answered 401" in caplog.text


def test_tokens_of_a_thousand_clients_outlive_their_providers(make):
    def registered() -> int:
        gc.collect()
        # Of this test's alone: a failure of another test may keep what it was about.
        return sum(str(key[1].client_id).startswith("client-") for key in shared_module._registry)

    for number in range(1001):
        make(ClientCredentials(f"client-{number}", "canary-secret-c0ffee5ec2e7"))
    assert registered() == 1000
    make(ClientCredentials("client-and-one-more", "canary-secret-c0ffee5ec2e7"))
    assert registered() == 1000


def test_invalidate_without_a_token(provider, endpoint):
    first = provider.get_token()
    provider.reset()
    provider.invalidate(first)
    assert provider.stats().expires_in is None


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


def test_the_same_client_scopes_and_base_url_share_a_token(make, endpoint):
    first = make(scopes="data user").get_token()
    assert make(scopes=[Scope.USER, "data"]).get_token() is first
    assert endpoint.requests == 1


@pytest.mark.parametrize(
    "other",
    [
        {"credentials": ClientCredentials("canary-client-7f3d91", "another secret".replace(" ", "-"))},
        {"credentials": ClientCredentials("another", "canary-secret-c0ffee5ec2e7")},
        {"scopes": "data"},
        {"base_url": "https://api.elsewhere.test"},
    ],
    ids=["secret", "client", "scopes", "base URL"],
)
def test_another_client_secret_scope_or_base_url_does_not(make, provider, endpoint, other):
    first = provider.get_token()
    assert make(**other).get_token() is not first
    assert endpoint.requests == 2


# Who waits, and who stops waiting.


def test_a_waiter_leaves_and_the_first_caller_leaves(provider, endpoint, anyio_backend):
    """The one who started the fetch is cancelled, then one who waited; a third one gets the token."""
    endpoint.open.clear()
    got = []

    async def ask(scope: anyio.CancelScope):
        with scope:
            got.append(await provider.aget_token())

    async def main():
        scopes = [anyio.CancelScope() for _ in range(3)]
        async with anyio.create_task_group() as tasks:
            for number, scope in enumerate(scopes):
                tasks.start_soon(ask, scope)
                await anyio.to_thread.run_sync(until, lambda number=number: provider.stats().waits == number)
                if number == 0:
                    await anyio.to_thread.run_sync(endpoint.wait_until_asked)
            scopes[0].cancel()
            scopes[1].cancel()
            await anyio.wait_all_tasks_blocked()
            endpoint.open.set()

    anyio.run(main, backend=anyio_backend)
    assert [token.access_token for token in got] == ["canary-token-1"]
    assert endpoint.requests == 1


def test_the_fetch_goes_on_when_all_who_wanted_it_have_gone(provider, endpoint, anyio_backend):
    endpoint.open.clear()

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(provider.aget_token)
            await anyio.to_thread.run_sync(endpoint.wait_until_asked)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=anyio_backend)
    endpoint.open.set()
    background()
    assert provider.get_token().access_token == "canary-token-1"
    assert endpoint.requests == 1


def test_a_loop_that_closes_meanwhile(provider, endpoint, caplog):
    endpoint.open.clear()
    loop = asyncio.new_event_loop()
    task = loop.create_task(provider.aget_token())
    loop.run_until_complete(asyncio.sleep(0))
    endpoint.wait_until_asked()
    loop.close()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(provider.get_token)
        until(lambda: provider.stats().waits == 1)
        endpoint.open.set()
        assert waiting.result(PATIENCE).access_token == "canary-token-1"
    background()
    assert endpoint.requests == 1
    task._log_destroy_pending = False
    task.get_coro().close()


def test_a_leader_that_is_interrupted_leaves_the_fetch_to_those_who_wait(provider, endpoint):
    endpoint.answers = [KeyboardInterrupt()]
    endpoint.open.clear()
    with ThreadPoolExecutor(9) as threads:
        leader = threads.submit(provider.get_token)
        endpoint.wait_until_asked()
        waiting = [threads.submit(provider.get_token) for _ in range(7)]
        waiting.append(threads.submit(anyio.run, provider.aget_token))
        until(lambda: provider.stats().waits == 8)
        endpoint.open.set()
        assert {each.result(PATIENCE).access_token for each in waiting} == {"canary-token-2"}
        with pytest.raises(KeyboardInterrupt):
            leader.result(PATIENCE)
    assert endpoint.requests == 2


@pytest.mark.parametrize("ended", [GeneratorExit(), SystemExit("canary"), asyncio.CancelledError()])
def test_whatever_ends_the_thread_in_the_background_is_an_error_with_a_pause(
    provider, endpoint, anyio_backend, time, ended
):
    endpoint.answers = [ended]
    told = f"^No token: {type(ended).__name__} ended the thread that asked\\.$"
    for _ in range(3):
        with pytest.raises(DomoOAuthError, match=told):
            anyio.run(provider.aget_token, backend=anyio_backend)
    assert endpoint.requests == 1
    time.now += 1
    assert anyio.run(provider.aget_token, backend=anyio_backend).access_token == "canary-token-2"


def test_a_sync_call_inside_a_running_loop(provider, endpoint, anyio_backend):
    """A task waits for the same token: neither may hold up the other."""
    endpoint.open.clear()

    def open_when_both_wait() -> None:
        until(lambda: provider.stats().waits == 1)
        endpoint.open.set()

    async def main():
        got = []

        async def ask():
            got.append(await provider.aget_token())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.to_thread.run_sync(endpoint.wait_until_asked)
            opener = threading.Thread(target=open_when_both_wait)
            opener.start()
            got.append(provider.get_token())
        opener.join()
        return got

    first, second = anyio.run(main, backend=anyio_backend)
    assert first is second
    assert endpoint.requests == 1


def test_a_sync_call_is_the_first_inside_a_running_loop(provider, endpoint, anyio_backend):
    async def main():
        return provider.get_token(), await provider.aget_token()

    first, second = anyio.run(main, backend=anyio_backend)
    assert first is second
    assert endpoint.requests == 1


@pytest.mark.parametrize(("where", "name"), [(provider_module, "start_new_thread"), (threading.Thread, "start")])
def test_where_no_thread_can_be_started_one_that_is_there_fetches(
    provider, endpoint, time, anyio_backend, monkeypatch, where, name
):
    def start(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(where, name, start)
    first = anyio.run(provider.aget_token, backend=anyio_backend)
    time.advance(HOUR - 100)
    assert provider.get_token() is first
    background()
    assert provider.get_token().access_token == "canary-token-2"
    assert endpoint.requests == 2


@pytest.mark.parametrize("refuses", [False, True])
def test_the_thread_of_a_fetch(provider, endpoint, monkeypatch, refuses):
    """What runs on a thread that Python's tracing does not see."""
    flight = provider._shared.flight = Flight(provider._fetch_and_keep)
    if refuses:
        monkeypatch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError))
    provider._start_thread(flight)
    assert flight.wait().access_token == "canary-token-1"
    assert endpoint.requests == 1


# Forking, pickling, closing.


def test_a_child_does_not_wait_for_its_parents_threads(provider, endpoint):
    """What runs after a fork, run here: the other thread's fetch, and whatever lock it holds, are of no concern."""
    endpoint.open.clear()
    with ThreadPoolExecutor(1) as threads:
        parents = threads.submit(provider.get_token)
        endpoint.wait_until_asked()
        provider._shared.lock.acquire()
        shared_module._registry_lock.acquire()
        parents_endpoint, lock = provider._fetcher._endpoint, provider._shared.lock
        registry_lock = shared_module._registry_lock
        shared_module._after_fork_in_child()
        fetch._setting_up.acquire()
        fetch._after_fork_in_child()
        lock.release()
        registry_lock.release()
        assert provider._shared.flight is None
        assert provider._shared.lock is not lock
        assert shared_module._registry_lock is not registry_lock
        assert provider._fetcher._endpoint is not parents_endpoint
        endpoint.open.set()
        assert provider.get_token().access_token
        parents.result(PATIENCE)
    assert endpoint.requests == 2


@pytest.mark.parametrize(("module", "lock"), [(fetch, "_setting_up"), (file, "_forking")], ids=["fetch", "file"])
def test_a_fork_whose_wait_for_a_lock_was_interrupted(module, lock, provider):
    """Python forks all the same, and another thread may still have the lock."""
    provider.get_token()
    held, done, before = threading.Event(), threading.Event(), getattr(module, lock)

    def hold():
        with before:
            held.set()
            assert done.wait(PATIENCE)

    with ThreadPoolExecutor(1) as threads:
        holding = threads.submit(hold)
        assert held.wait(PATIENCE)
        module._after_fork_in_parent()
        module._after_fork_in_child()  # as it runs in the child
        assert getattr(module, lock) is not before
        with getattr(module, lock):
            assert (provider._fetcher._endpoint is None) is (module is fetch)
        done.set()
        holding.result(PATIENCE)
    module._before_fork()
    module._after_fork_in_parent()
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(getattr(module, lock).acquire, timeout=PATIENCE).result()
    module._after_fork_in_child()


def test_without_fork():
    """As on Windows."""
    code = """
import os, random, threading, logging, concurrent.futures.thread
vars(os).pop("register_at_fork", None)
from domo_oauth import ClientCredentials, TokenProvider
TokenProvider(ClientCredentials("a", "b"))
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_pickle_carries_no_token(credentials, endpoint):
    provider = TokenProvider(credentials, scopes=["data", Scope.custom("new")], base_url="https://api.elsewhere.test")
    provider._fetcher._endpoint = endpoint  # the pickle must not carry it
    pickled = pickle.dumps(provider)
    assert b"canary-token" not in pickled
    assert b"canary-secret" in pickled
    copy = pickle.loads(pickled)
    assert repr(copy) == repr(provider)
    assert copy._shared is provider._shared
    assert copy._fetcher._endpoint is None


def test_a_provider_that_no_pickle_can_carry_says_why(credentials):
    provider = TokenProvider(credentials, httpx_args={"verify": ssl.create_default_context()})
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE instead"):
        pickle.dumps(provider)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: TokenProvider(("canary-id", "canary-secret")), "of the type ClientCredentials, not tuple"),
        (lambda: TokenEndpoint(("canary-id", "canary-secret")), "of the type ClientCredentials, not tuple"),
        (lambda: DomoAuth(ClientCredentials("a", "canary-secret")), "of the type TokenProvider, not ClientCredentials"),
        (lambda: TokenProvider(ClientCredentials("a", "b"), httpx_args=["canary-secret"]), "must be a dictionary"),
        (lambda: TokenProvider(ClientCredentials("a", "b"), httpx_args=5), "must be a dictionary"),
        (lambda: TokenProvider(ClientCredentials("a", "b"), scopes=5), "of the type Iterable, not int"),
        (lambda: TokenProvider(ClientCredentials("a", "b"), base_url=5), "of the type str, not int"),
        (lambda: Scope.custom(5), "of the type str, not int"),
    ],
    ids=itertools.count(),
)
def test_what_is_of_another_type_is_refused_and_not_shown(make, told):
    with pytest.raises(ConfigurationError, match=told) as caught:
        make()
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in told.stack if "domo_oauth" in frame.filename]
    assert ours
    assert "canary" not in f"{caught.value}{[frame.locals for frame in ours]}"


def test_a_log_handler_that_raises_costs_nobody_a_token(provider, endpoint, get):
    class Broken(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise OSError("The log is gone.")

    logger, broken, level = logging.getLogger("domo_oauth"), Broken(), logging.getLogger("domo_oauth").level
    logger.addFilter(broken)
    logger.setLevel(logging.DEBUG)
    try:
        assert get(provider).access_token == "canary-token-1"
        provider.reset()
        endpoint.always = refused
        with pytest.raises(InvalidClientError):
            get(provider)
    finally:
        logger.removeFilter(broken)
        logger.setLevel(level)
    assert endpoint.requests == 2


def test_a_log_line_says_where_it_was_written(provider, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    provider.get_token()
    assert [(each.filename, each.levelname) for each in caplog.records] == [("provider.py", "INFO")]


def test_where_nobody_has_loaded_logging_nothing_is_told(monkeypatch, caplog):
    caplog.set_level(logging.DEBUG, "domo_oauth")
    monkeypatch.delitem(sys.modules, "logging")
    log.info("nobody listens")
    assert "logging" not in sys.modules
    assert caplog.records == []


def test_where_nobody_has_loaded_logging_only_warnings_load_it():
    code = """
import sys
from domo_oauth import log
log.debug("a")
log.info("b")
assert "logging" not in sys.modules
log.warning("c %s", "d")
"""
    done = subprocess.run([sys.executable, "-S", "-c", code], check=True, capture_output=True, env=PATHS)
    assert done.stderr == b"c d\n"


def test_a_pickle_names_the_environment(monkeypatch, credentials):
    monkeypatch.setenv("DOMO_CLIENT_ID", credentials.client_id)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", credentials.client_secret)
    provider = TokenProvider.from_env(scopes="data")
    for _ in range(2):
        pickled = pickle.dumps(provider)
        assert b"canary" not in pickled
        provider = pickle.loads(pickled)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "changed")
    assert pickle.loads(pickled)._credentials.client_secret == "changed"
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    with pytest.raises(ConfigurationError, match="DOMO_CLIENT_SECRET"):
        pickle.loads(pickled)


@pytest.fixture
def handler() -> Iterator[AskingHandler]:
    log, handler = logging.getLogger("domo_oauth"), AskingHandler()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


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
            self.seen.append((record.getMessage().partition(";")[0].partition(",")[0], got))


def test_a_log_handler_that_asks_for_a_token_holds_nobody_up(provider, endpoint, handler, get):
    """No line is written under a lock; and a line of the fetch itself cannot wait for that fetch."""
    handler.provider = provider
    assert get(provider).access_token == "canary-token-1"
    ((line, got),) = handler.seen
    assert line.startswith("GET https://api.domo.com/oauth/token: granted")
    assert isinstance(got, ConfigurationError)
    assert "inside of its own fetch" in str(got)

    provider.invalidate(provider.get_token())
    token = get(provider)
    handler.provider = provider
    provider.invalidate(token)
    assert handler.seen[-1] == ("A token was refused right after another", "canary-token-2")


def test_a_log_handler_that_asks_for_a_token_when_there_is_none(provider, endpoint, handler):
    endpoint.answers = [refused()]
    with pytest.raises(InvalidClientError):
        provider.get_token()
    handler.provider = provider
    with pytest.raises(InvalidClientError):
        provider.get_token()
    line, got = handler.seen[-1]
    assert line == "Refused without a request"
    assert isinstance(got, InvalidClientError)
    assert endpoint.requests == 1

    handler.level = logging.WARNING
    provider.reset()
    endpoint.answers = [refused()]
    handler.provider = provider
    with pytest.raises(InvalidClientError):
        provider.get_token()
    line, got = handler.seen[-1]
    assert line == "No token"
    assert isinstance(got, InvalidClientError)


def test_nothing_shows_a_secret(provider, endpoint, caplog):
    caplog.set_level(logging.DEBUG)
    provider.get_token()
    with pytest.raises(TypeError):
        vars(provider)
    shown = [repr(provider), repr(vars(provider._shared)), repr(provider.stats()), caplog.text]
    provider.invalidate(provider.get_token())
    shown.append(repr(vars(provider._shared)))
    endpoint.always = refused
    provider.reset()
    with pytest.raises(InvalidClientError) as caught:
        provider.get_token()
    shown.append("".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()))
    shown.append(caplog.text)
    for text in shown:
        assert "canary-token" not in text
        assert "canary-secret" not in text


def test_a_server_cannot_get_a_secret_into_the_log(provider, endpoint, caplog):
    caplog.set_level(logging.DEBUG)
    fields = {"access_token": "canary-token", "token_type": "bearer", "expires_in": HOUR, "customer": "acmecompany"}
    endpoint.answers = [httpx.Response(200, json=fields | {"jti": "canary-secret-c0ffee5ec2e7"})]
    provider.get_token()
    assert "Fetched a token" in caplog.text
    assert "canary-secret" not in caplog.text


def test_a_proxys_password_is_not_in_the_traceback(make, monkeypatch, credentials):
    monkeypatch.setenv("DOMO_CLIENT_ID", credentials.client_id)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", credentials.client_secret)
    args = {"proxy": "http://name:canary-password@localhost:1"}
    for broken in (
        lambda: TokenProvider(credentials, scopes="nonsense", httpx_args=args),
        lambda: TokenProvider.from_env(scopes="nonsense", httpx_args=args),
        lambda: provider_module._unpickled(credentials, "nonsense", None, "https://api.domo.com", args),
        lambda: provider_module._unpickled(None, "nonsense", None, "https://api.domo.com", args),
    ):
        with pytest.raises(ConfigurationError) as caught:
            broken()
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [frame for frame in told.stack if "domo_oauth" in frame.filename]
        assert ours
        assert "canary-password" not in str([frame.locals for frame in ours])


def test_after_close_the_token_stays_and_the_next_fetch_opens_another(provider, endpoint):
    with provider as same:
        assert same is provider
        first = provider.get_token()
    assert provider._fetcher._endpoint is None
    assert provider.get_token() is first
    provider.invalidate(first)
    assert provider.get_token().access_token == "canary-token-2"
    provider.close()
    provider.close()
    assert provider._fetcher._endpoint is None


def test_close_in_the_middle_of_a_fetch_opens_another(provider, endpoint, time):
    """Between what opens a connection and what sends."""
    send, closed = fetch.Fetcher._open, []

    def opened(fetcher):
        endpoint = send(fetcher)
        if not closed:
            closed.append(1)
            provider.close()
        return endpoint

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fetch.Fetcher, "_open", opened)
        assert provider.get_token().access_token == "canary-token-1"
    assert closed == [1]
    assert len(time.slept) == 1


def test_close_in_a_task(provider, endpoint, anyio_backend):
    async def main():
        async with provider as same:
            assert same is provider
            await provider.aget_token()
        assert provider._fetcher._endpoint is None
        return await provider.aget_token()

    assert anyio.run(main, backend=anyio_backend).access_token == "canary-token-1"


def test_a_provider_that_nobody_has_any_more_is_let_go(make):
    before = len(fetch._fetchers)
    providers = [make() for _ in range(3)]
    assert len(fetch._fetchers) == before + 3
    del providers
    gc.collect()
    assert len(fetch._fetchers) <= before


def test_a_provider_that_is_let_go_closes_its_connections(make):
    closed = []

    class Transport(httpx.MockTransport):
        def close(self) -> None:
            closed.append(True)

    provider = make(httpx_args={"transport": Transport(Endpoint())})
    provider.get_token()
    assert closed == []
    del provider
    gc.collect()
    assert closed == [True]


def test_making_one_does_nothing(provider, endpoint):
    assert endpoint.requests == 0
    assert provider._fetcher._endpoint is None
    assert repr(provider) == (
        "TokenProvider(ClientCredentials(client_id='cana…', client_secret=hidden), "
        "scopes='all', base_url='https://api.domo.com')"
    )


def test_stats(provider, endpoint, time):
    assert provider.stats() == (0, 0, 0, 0, 0, None)
    provider.get_token()
    time.advance(600)
    assert provider.stats() == (1, 0, 0, 0, 0, HOUR - 600)
    time.now_wall += 60
    assert provider.stats().expires_in == HOUR - 660
    time.advance(HOUR - 860)
    provider.get_token()
    background()
    assert provider.stats() == (2, 1, 0, 0, 0, HOUR)
    provider.reset()
    endpoint.always = unavailable
    with pytest.raises(ServerError):
        provider.get_token()
    assert provider.stats() == (6, 1, 0, 0, 1, None)


def test_a_flight_that_an_interrupt_left_behind_holds_nobody_up(provider, endpoint, get):
    left_behind = Flight(lambda: None)
    left_behind.run()
    provider._shared.flight = left_behind
    assert get(provider).access_token == "canary-token-1"
    assert endpoint.requests == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such signals")
def test_a_signal_handler_may_use_the_provider(provider, endpoint):
    """Wherever it comes, also while this very thread holds a lock."""
    token, seen = provider.get_token(), []

    def handle(*_) -> None:
        seen.append(provider.get_token())
        provider.invalidate(TokenProvider.get_token(provider))
        provider_module.forget_tokens()

    was = signal.signal(signal.SIGALRM, handle)
    try:
        for lock in (provider._shared.lock, shared_module._registry_lock, Flight(lambda: None)._lock):
            with lock:
                signal.raise_signal(signal.SIGALRM)
    finally:
        signal.signal(signal.SIGALRM, was)
    assert seen[0] == token
    assert len(seen) == 3


@pytest.mark.parametrize("where", ["run", "_land"])
def test_an_interrupt_just_before_or_after_a_fetch_holds_nobody_up(provider, endpoint, get, monkeypatch, where):
    """As of Ctrl-C, or of a signal handler that raises where a task has taken too long."""
    monkeypatch.setattr(single_flight, "_UNATTENDED", 0.01)
    with monkeypatch.context() as patched:
        patched.setattr(Flight, where, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            provider.get_token()
    until(lambda: provider._shared.flight is None or provider._shared.flight.is_adrift)
    assert get(provider).access_token == "canary-token-1"
    assert endpoint.requests == 1
    assert provider._shared.flight is None


@pytest.mark.parametrize("where", ["run", "_land"])
def test_an_interrupt_around_the_fetch_of_a_thread_holds_no_task_up(
    provider, endpoint, monkeypatch, where, anyio_backend
):
    """Also where the task waits already, and nobody comes after it."""
    monkeypatch.setattr(single_flight, "_UNATTENDED", 0.01)
    waits, arrive, as_it_is, tokens = threading.Event(), Flight.arrive, getattr(Flight, where), []

    async def arriving(flight):
        waits.set()
        return await arrive(flight)

    async def get():
        with anyio.fail_after(PATIENCE):
            return await provider.aget_token()

    def ask():
        if where == "_land":
            endpoint.wait_until_asked()
        tokens.append(anyio.run(get, backend=anyio_backend))

    def interrupted(flight, *args):
        if threading.current_thread() is not threading.main_thread():
            return as_it_is(flight, *args)
        if where == "run":
            task.start()
            assert waits.wait(PATIENCE)
        raise KeyboardInterrupt

    task = threading.Thread(target=ask)
    monkeypatch.setattr(Flight, "arrive", arriving)
    monkeypatch.setattr(Flight, where, interrupted)
    endpoint.open.clear()
    opening = threading.Thread(target=lambda: (waits.wait(PATIENCE), endpoint.open.set()))
    opening.start()
    if where == "_land":
        task.start()
    with pytest.raises(KeyboardInterrupt):
        provider.get_token()
    task.join(PATIENCE)
    opening.join(PATIENCE)
    assert [token.access_token for token in tokens] == ["canary-token-1"]
    assert endpoint.requests == 1


@pytest.mark.parametrize(("monotonic", "wall"), [(HOUR - 300, 0), (0, HOUR - 300)])
def test_it_is_stale_at_the_very_moment_by_either_clock(provider, endpoint, time, get, monotonic, wall):
    first = get(provider)
    time.now += monotonic
    time.now_wall += wall
    assert get(provider) is first
    background()
    assert endpoint.requests == 2


def test_from_env_takes_what_the_constructor_takes(monkeypatch, credentials, endpoint, tmp_path):
    monkeypatch.setenv("DOMO_CLIENT_ID", credentials.client_id)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", credentials.client_secret)
    provider_module.forget_tokens()
    args = {"store": FileStore(tmp_path / "tokens"), "base_url": "https://api.elsewhere.test"}
    provider = TokenProvider.from_env(scopes="data", httpx_args={"transport": httpx.MockTransport(endpoint)}, **args)
    assert provider.get_token().access_token == "canary-token-1"
    assert [file for file in (tmp_path / "tokens").iterdir() if not file.suffix]
    assert "scopes='data', base_url='https://api.elsewhere.test'" in repr(provider)
    provider.reset()


def test_a_thread_that_waits_for_another_tells_how_long(provider, endpoint, time, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG, logger="domo_oauth")
    waits, wait = threading.Semaphore(0), Flight.wait
    monkeypatch.setattr(Flight, "wait", lambda flight: (waits.release(), wait(flight))[1])
    endpoint.open.clear()
    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(provider.get_token)]
        endpoint.wait_until_asked()
        asking.append(threads.submit(provider.get_token))
        assert waits.acquire(timeout=PATIENCE)
        time.advance(2.0)
        endpoint.open.set()
        assert len({each.result(PATIENCE) for each in asking}) == 1
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Waited")]
    assert told == ["Waited 2.000 s for the fetch of another"]


def test_its_repr_names_the_scopes(make):
    assert "scopes='data user'" in repr(make(scopes=["user", "data"]))


def test_an_old_token_cannot_be_made_invalid_however_late(provider, endpoint, time):
    first = provider.get_token()
    provider.invalidate(first)
    second = provider.get_token()
    time.advance(100)
    provider.invalidate(first)
    assert provider.get_token() is second


def test_within_the_pause_nobody_asks_in_the_background_either(provider, endpoint, time):
    endpoint.always = refused
    for _ in range(9):
        with pytest.raises(InvalidClientError):
            provider.get_token()
        background()
        time.advance(0.1)
    assert endpoint.requests == 1


def test_the_thread_of_a_fetch_has_a_name_and_keeps_no_process_from_ending(provider, endpoint):
    endpoint.open.clear()
    flight = provider._shared.flight = Flight(provider._fetch_and_keep)
    provider._start_thread(flight)
    endpoint.wait_until_asked()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "domo-oauth"]
    assert thread.daemon
    endpoint.open.set()
    assert flight.wait().access_token == "canary-token-1"


def test_the_last_retry_may_end_with_the_twentieth_second(provider, endpoint, time, caplog):
    caplog.set_level(logging.INFO, logger="domo_oauth")
    endpoint.answers = [httpx.Response(429, headers={"Retry-After": "20"}, json={})]
    assert provider.get_token().access_token == "canary-token-2"
    assert time.slept == [20]
    (told,) = [record.getMessage() for record in caplog.records if "Asking again" in record.getMessage()]
    assert told.startswith(
        "Asking again in 20.0 s, as attempt 1 failed: GET https://api.domo.com/oauth/token answered 429"
    )


def test_the_log_tells_what_a_fetch_took_and_how_long_nobody_asks_again(provider, endpoint, time, caplog):
    caplog.set_level(logging.INFO, logger="domo_oauth")

    def slow() -> httpx.Response:
        time.advance(0.5)
        return endpoint.token(endpoint.requests)

    endpoint.always = slow
    provider.get_token()
    assert "Fetched a token for 3600 s in 0.500 s" in caplog.text
    provider.reset()
    endpoint.always = refused
    with pytest.raises(InvalidClientError):
        provider.get_token()
    assert "No token; nobody asks again for 1.0 s: GET https://api.domo.com/oauth/token answered 401" in caplog.text
