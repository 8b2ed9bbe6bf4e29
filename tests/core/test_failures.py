"""Failed fetches: what is tried again, how long an error holds, and what callers get meanwhile."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import re
import weakref
from contextlib import contextmanager

import attrs
import httpx
import pytest

from domo_oauth import (
    DomoOAuthError,
    FileStore,
    InvalidClientError,
    RateLimitedError,
    ServerError,
)
from tests.fakes import GET, HOUR, REQUEST, Endpoint, ask, refused, unavailable

SECRET = "canary-secret"


def warnings(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# Retries


@pytest.mark.parametrize(("chance", "pauses"), [(0.0, [0, 0, 0]), (0.5, [0.5, 1, 2]), (1.0, [1, 2, 4])])
def test_a_passing_failure_is_tried_four_times_with_full_jitter(provider, endpoint, time, chance, pauses):
    time.chance, endpoint.always = chance, unavailable
    with pytest.raises(ServerError):
        provider.get_token()
    assert (endpoint.requests, time.slept) == (4, pauses)


@pytest.mark.parametrize(("asked", "slept", "pause"), [(5, [5], 0), (59, [59], 0), (60, [], 60), (4000, [], 300)])
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


# The pause after an error


def test_a_refresh_that_fails_is_logged_once_and_tried_again_after_a_growing_pause(provider, endpoint, time, caplog):
    first = provider.get_token()
    endpoint.always = refused
    time.advance(HOUR - 299)
    started, asked = time.now, []
    while time.now < started + 250:
        before = endpoint.requests
        assert provider.get_token() is first
        time.settle()
        asked += [time.now - started] * (endpoint.requests - before)
        time.advance(1)
    assert asked == [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181, 211, 241]
    (warning,) = warnings(caplog)
    assert re.match(r"No token; no.* for 1\.0 s: GET https://api\.domo\.com/oauth/token ", warning)

    time.advance(45)  # spent, and the pause is over: callers wait, and get the old token all the same
    requests = endpoint.requests
    for _ in range(2):
        assert provider.get_token() is first
    assert endpoint.requests == requests + 1
    time.advance(5)  # expired
    with pytest.raises(InvalidClientError):
        provider.get_token()
    assert endpoint.requests == requests + 1
    endpoint.always = None
    time.advance(30)
    assert provider.get_token() is not first


def test_a_success_ends_the_pause_and_the_next_failure_is_logged_again(provider, endpoint, time, caplog):
    for _ in range(2):
        endpoint.answers = [refused(), refused()]
        for pause in (1, 2):
            with pytest.raises(InvalidClientError):
                provider.get_token()
            time.advance(pause)
        provider.invalidate(provider.get_token())
    assert len(warnings(caplog)) == 2
    assert provider.stats().failures == 4


def test_a_token_that_another_process_leaves_in_the_store_ends_the_pause(make, endpoint, time, tmp_path):
    ours, theirs = (make(store=FileStore(tmp_path / "store")) for _ in range(2))
    endpoint.answers = [httpx.Response(403), httpx.Response(403)]

    def fails() -> None:
        with pytest.raises(DomoOAuthError, match="403"):
            ours.get_token()
        time.settle()

    fails()
    time.advance(1.5)
    fails()  # for 2 s
    fails()  # the store is empty
    looks = len(time.threads)
    fails()
    assert len(time.threads) == looks, "once a second"
    assert endpoint.requests == 2
    token = theirs.get_token()
    time.advance(1.5)
    fails()  # and looks into the store
    assert ours.get_token() == token
    assert endpoint.requests == 3


def test_a_refusal_leaves_the_token_in_the_store(make, endpoint, time, tmp_path):
    first, second = (make(store=FileStore(tmp_path / "store")) for _ in range(2))
    token = first.get_token()
    endpoint.always = refused
    time.advance(HOUR - 200)
    assert first.get_token() is token
    time.settle()
    assert second.get_token() == token
    assert second.stats().expires_in == 200


def test_a_provider_that_never_gets_the_lock_of_a_store_fetches_anyway(make, endpoint, tmp_path):
    tries = []

    class Locked(FileStore):
        @contextmanager
        def lock(self, name):
            tries.append(name)
            yield False

    assert make(store=Locked(tmp_path / "store")).get_token().access_token == "canary-token-1"
    assert len(tries) == 10


def test_reset_forgets_token_error_and_refusal(provider, endpoint):
    endpoint.answers = [refused()]
    with pytest.raises(InvalidClientError):
        provider.get_token()
    provider.reset()
    for _ in range(3):
        provider.invalidate(provider.get_token())
        provider.reset()
    assert endpoint.requests == 4


def test_reset_also_forgets_what_other_processes_were_refused(make, endpoint, tmp_path):
    first, second = (make(store=FileStore(tmp_path / "store")) for _ in range(2))
    endpoint.answers = [refused()]
    for provider in (first, second):
        with pytest.raises(InvalidClientError):
            provider.get_token()
    second.reset()
    assert second.get_token().access_token == "canary-token-2"


def test_the_pause_grows_from_process_to_process(make, endpoint, time, tmp_path):
    endpoint.always = refused
    providers = [make(store=FileStore(tmp_path / "store")) for _ in range(2)]
    for number, pause in enumerate((1, 2, 4, 8), 1):
        for seconds in (pause - 0.01, 0.02):
            for provider in providers:
                with pytest.raises(InvalidClientError):
                    provider.get_token()
                time.settle()
                assert endpoint.requests == number
            time.advance(seconds)
        providers.reverse()  # the other one asks next


# Errors of other people's code


class OddError(DomoOAuthError):
    def __init__(self) -> None:
        super().__init__("one argument too many for a copy")


FOREIGN = {
    "error": LookupError(SECRET),
    "interrupt": KeyboardInterrupt(SECRET),
    "cancelled": asyncio.CancelledError(SECRET),
    "group": BaseExceptionGroup(SECRET, [KeyboardInterrupt(SECRET)]),
    "no copy": OddError(),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("way", [*GET[:2], *REQUEST[1:]])
def test_a_foreign_error_becomes_one_of_ours_that_names_its_type_and_place(make, credentials, time, way, name):
    endpoint = Endpoint([FOREIGN[name]])
    args = {"transport": endpoint}
    provider = make(httpx_args=args)
    errors = []
    for _ in range(2 if way in GET else 1):
        with pytest.raises(DomoOAuthError) as caught:
            ask(way, provider) if way in GET else ask(way, credentials, httpx_args=args)
        errors.append(caught.value)
    assert endpoint.requests == 1
    for error in errors:
        if name != "no copy":
            assert f"{type(FOREIGN[name]).__name__}, raised in tests.fakes, line " in str(error)
            assert str(pickle.loads(pickle.dumps(error))) == str(error)
        assert SECRET not in f"{error}{vars(error)}"
        assert error.__cause__ is error.__context__ is None
    if way in GET:  # it has a pause, as any other
        time.advance(1)
        assert ask(way, provider).access_token == "canary-token-2"


def test_an_error_keeps_nothing_of_its_callers_alive(provider, endpoint):
    class Local:
        pass

    endpoint.always = refused

    def call() -> weakref.ref[Local]:
        local = Local()
        try:
            {}[local]
        except KeyError:
            with pytest.raises(InvalidClientError):
                provider.get_token()
        return weakref.ref(local)

    alive = call()
    gc.collect()
    assert alive() is None


# Tokens that an API refuses


def test_only_the_token_at_hand_can_be_invalidated(provider, endpoint, time):
    first = provider.get_token()
    provider.invalidate(attrs.evolve(first))  # an equal one, such as another process may send back
    second = provider.get_token()
    for later in (0, 100):
        time.advance(later)
        provider.invalidate(first)
        assert provider.get_token() is second
    provider.reset()
    provider.invalidate(second)
    assert provider.stats().expires_in is None
    assert endpoint.requests == 2


def test_an_api_that_refuses_every_token_causes_few_token_requests(provider, endpoint, time, caplog):
    caplog.set_level(logging.DEBUG, logger="domo_oauth")
    for _ in range(600):
        provider.invalidate(provider.get_token())
        time.advance(1.0)
    assert provider.stats().unauthorized == 600
    assert endpoint.requests == 25  # after 0, 1, 3, 7, 15 and 31 s, and then every 30 s
    assert "An API refused a token soon after another: kept for 29.0 s" in caplog.text
    assert caplog.text.count("soon after another") == 23  # once for each token that is kept


def test_a_refusal_counts_at_once_after_a_minute_without_one(provider, endpoint, time):
    for pause in (0.0, 1.0, 0.0, 2.0 + 60.0, 0.0, 1.0):
        time.advance(pause)
        provider.invalidate(provider.get_token())
    assert endpoint.requests == 4
    provider.invalidate(provider.get_token())
    provider.get_token()
    assert endpoint.requests == 5


def test_without_logging_an_error_is_printed_only_if_no_caller_gets_it(provider, endpoint, time, monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger("domo_oauth"), "propagate", False)  # as if pytest had no handler
    endpoint.answers = [refused()]
    with pytest.raises(InvalidClientError):
        provider.get_token()
    assert capsys.readouterr().err == ""
    time.advance(1)
    provider.get_token()
    time.advance(HOUR - 100)
    endpoint.always = refused
    provider.get_token()
    time.settle()
    assert capsys.readouterr().err.startswith("No token; no request for 1.0 s: ")


def test_a_refused_token_is_not_handed_out_if_its_refresh_fails(provider, endpoint, time):
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
