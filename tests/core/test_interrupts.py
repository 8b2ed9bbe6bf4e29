"""Ctrl-C and timeouts raised by signals reach the caller, and neither end the fetch nor show a secret."""

from __future__ import annotations

import itertools
import signal
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import anyio
import attrs
import pytest

from domo_oauth import ClientCredentials, Clock, DomoOAuthError, InvalidClientError, TokenProvider
from tests.fakes import HOUR, PATIENCE, Endpoint, Time, ask, in_threads, interrupted_at, refused, until

needs_alarm = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs the signals of POSIX: Linux or macOS")
PASSWORD = "canary-password"
WAYS = ["get_token", "aget_token under asyncio", "request_token", "arequest_token under asyncio"]


def assert_hidden(error: BaseException, credentials: ClientCredentials) -> None:
    """The locals of this package's frames show no secret. tests/secrets looks at more, at fewer moments."""
    frame = error.__traceback__
    while frame is not None and "/domo_oauth/" not in frame.tb_frame.f_code.co_filename:
        frame = frame.tb_next
    with suppress(AttributeError):  # up to Python 3.11: the repr of a half-made value
        made = traceback.TracebackException.from_exception(error.with_traceback(frame), capture_locals=True)
        shown = "".join(made.format())
        secrets = (credentials.client_secret, PASSWORD, "canary-token-1", "canary-token-2")
        assert not [secret for secret in secrets if secret in shown]


@pytest.fixture
def provider(make) -> TokenProvider:
    return make(clock=Clock())


@pytest.fixture
def timeout_by_signal(endpoint):
    """Keep the request waiting, and meanwhile raise an error in the main thread, as Celery's soft time limit does."""
    before, timers = signal.getsignal(signal.SIGALRM), []

    def arm(error: BaseException) -> None:
        def exceeded(*_) -> None:
            raise error

        def strike() -> None:
            endpoint.wait_until_asked()
            signal.setitimer(signal.ITIMER_REAL, 0.02)

        signal.signal(signal.SIGALRM, exceeded)
        endpoint.open.clear()
        timers.append(threading.Thread(target=strike))
        timers[0].start()

    yield arm
    for timer in timers:
        timer.join()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


class SoftTimeLimitExceeded(Exception):  # noqa: N818 -- Celery's name for it
    pass


@needs_alarm
@pytest.mark.parametrize(
    "error", [SoftTimeLimitExceeded, TimeoutError, KeyboardInterrupt], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize("way", WAYS)
def test_timeouts_raised_by_signals_reach_the_caller_unchanged_and_do_not_stop_the_fetch(
    provider, credentials, endpoint, timeout_by_signal, way, error
):
    raised = error("timeout")
    timeout_by_signal(raised)
    args = {"httpx_args": {"transport": endpoint, "headers": {"X-Canary": PASSWORD}}}
    with pytest.raises(error) as caught:
        ask(way, credentials, **args) if "request" in way else ask(way, provider)
    assert caught.value is raised
    assert raised.__cause__ is None
    assert isinstance(raised.__context__, type(None) | BlockingIOError)
    if not way.startswith("a"):  # an event loop was waiting, in frames of its own
        assert_hidden(raised, credentials)
    endpoint.open.set()
    if "get_token" in way:
        assert provider.get_token().access_token == "canary-token-1"
        assert provider.stats().failures == 0
    assert endpoint.requests == 1


@needs_alarm
def test_others_go_on_waiting(provider, endpoint, timeout_by_signal):
    with ThreadPoolExecutor(2) as threads:
        timeout_by_signal(SoftTimeLimitExceeded())
        with pytest.raises(SoftTimeLimitExceeded):
            provider.get_token()
        waiting = [threads.submit(provider.get_token), threads.submit(anyio.run, provider.aget_token)]
        until(lambda: provider.stats().waits == 3)
        endpoint.open.set()
        assert {each.result(PATIENCE).access_token for each in waiting} == {"canary-token-1"}
    assert endpoint.requests == 1


@pytest.mark.parametrize("started", [True, False])
def test_if_the_first_caller_is_interrupted_while_the_thread_starts_the_next_one_starts_it(
    make, endpoint, time, started
):
    starts = []

    def start(run) -> None:
        starts.append(1)
        if started or len(starts) > 1:
            time.start(run)
        if len(starts) == 1:
            raise KeyboardInterrupt

    provider = make(clock=attrs.evolve(time.clock, start=start))
    with pytest.raises(KeyboardInterrupt):
        provider.get_token()
    assert provider.get_token().access_token == "canary-token-1"
    time.settle()
    assert (len(starts) <= 2, endpoint.requests) == (True, 1)


def cold(_provider, _endpoint, _time):
    pass


def fresh(provider, _endpoint, _time):
    provider.get_token()


def stale(provider, _endpoint, time):
    provider.get_token()
    time.advance(HOUR - 100)


def paused(provider, endpoint, _time):
    endpoint.answers = [refused()]
    with pytest.raises(InvalidClientError):
        provider.get_token()


def get(provider):
    with suppress(InvalidClientError):  # in a pause
        provider.get_token()


def get_later(provider):
    with suppress(DomoOAuthError):
        provider.get_token(0.001)


def invalidate(provider):
    provider.invalidate(provider.get_token())


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize(
    ("state", "call", "requests"),
    [(cold, get, 1), (cold, get_later, 1), (stale, get, 2), (paused, get, 2), (fresh, invalidate, 2)],
)
def test_an_interrupt_at_any_moment_blocks_no_caller_and_shows_nothing(credentials, state, call, requests, every):
    for number in itertools.count(1, every):
        time, endpoint, real = Time(), Endpoint(), Clock()
        clock = attrs.evolve(time.clock, start=real.start, inbox=real.inbox)
        provider = TokenProvider(credentials, httpx_args={"transport": endpoint}, clock=clock)
        state(provider, endpoint, time)
        error = interrupted_at(number, lambda provider=provider: call(provider))
        time.advance(1)
        if call is invalidate:
            provider.invalidate(provider.get_token())
        assert in_threads(2, lambda provider=provider: provider.get_token(PATIENCE).expires_in) == [HOUR, HOUR]
        until(lambda endpoint=endpoint: endpoint.requests >= requests)
        assert endpoint.requests <= requests + (call is invalidate)
        if error is None:
            break
        assert_hidden(error, credentials)
    assert number > 5
