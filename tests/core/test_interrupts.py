"""Ctrl-C and time limits raised by signal handlers reach whoever waits, and neither the fetch nor a secret."""

from __future__ import annotations

import itertools
import linecache
import re
import signal
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import anyio
import attrs
import pytest
import stack_data

from domo_oauth import ClientCredentials, Clock, ConfigurationError, DomoOAuthError, InvalidClientError, TokenProvider
from tests.fakes import HOUR, PATIENCE, Endpoint, Time, ask, in_threads, interrupted_at, refused, until

needs_alarm = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs the signals of POSIX: Linux or macOS")
PASSWORD = "canary-password"
WAYS = ["get_token", "aget_token under asyncio", "request_token", "arequest_token under asyncio"]


def by_locals(error: BaseException) -> str:
    try:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    except AttributeError:  # up to Python 3.11: the repr of a half-made value
        return ""


def by_names(error: BaseException) -> str:
    """The values of the names in each line of the traceback, with attributes, as cgitb shows them."""
    found = []
    for frame, number in traceback.walk_tb(error.__traceback__):
        for name in re.findall(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*", linecache.getline(frame.f_code.co_filename, number)):
            first, *attributes = name.split(".")
            value = frame.f_locals.get(first, frame.f_globals.get(first))
            for attribute in attributes:
                value = getattr(value, attribute, None)
            with suppress(AttributeError):  # see by_locals
                found.append(f"{name}={value!r}")
    return "\n".join(found)


def by_stack_data(error: BaseException) -> str:
    """The values of all that the lines around name, as IPython shows them."""
    options = stack_data.Options(before=20, after=20)
    return "".join(stack_data.Formatter(show_variables=True, options=options).format_exception(error))


def assert_hidden(error: BaseException, credentials: ClientCredentials, *, thorough: bool = True) -> None:
    """No tool finds a secret in the frames of this package."""
    frame = error.__traceback__
    while frame is not None and "/domo_oauth/" not in frame.tb_frame.f_code.co_filename:
        frame = frame.tb_next
    error = error.with_traceback(frame)
    shown = str(error)
    for tool in (by_locals, by_names, *([by_stack_data] if thorough else [])):
        shown += tool(error) if frame else ""
    secrets = (credentials.client_secret, PASSWORD, "canary-token-1", "canary-token-2")
    assert not [secret for secret in secrets if secret in shown]


@pytest.fixture
def provider(make) -> TokenProvider:
    return make(clock=Clock())


@pytest.fixture
def limit(endpoint):
    """Keeps the request waiting, and raises an error in the main thread meanwhile, as a time limit of Celery does."""
    before, timers = signal.getsignal(signal.SIGALRM), []

    def set_limit(error: BaseException) -> None:
        def exceeded(*_) -> None:
            raise error

        def strike() -> None:
            endpoint.wait_until_asked()
            signal.setitimer(signal.ITIMER_REAL, 0.02)

        signal.signal(signal.SIGALRM, exceeded)
        endpoint.open.clear()
        timers.append(threading.Thread(target=strike))
        timers[0].start()

    yield set_limit
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
def test_a_limit_reaches_the_caller_as_it_is_and_not_the_fetch(provider, credentials, endpoint, limit, way, error):
    raised = error("limit")
    limit(raised)
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
def test_others_go_on_waiting(provider, endpoint, limit):
    with ThreadPoolExecutor(2) as threads:
        limit(SoftTimeLimitExceeded())
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
def test_an_interrupt_at_any_moment_holds_nobody_up_and_shows_nothing(credentials, state, call, requests, every):
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
        assert_hidden(error, credentials, thorough=every == 1 and number % 5 == 0)
    assert number > 5


WITH_PASSWORD = f"https://name:{PASSWORD}@127.0.0.1"
ERRORS = {
    "late": lambda provider, args: provider.get_token(0),
    "not a number": lambda provider, args: provider.get_token("5"),
    "not a token": lambda provider, args: provider.invalidate("canary-token-1"),
    "auth twice": lambda provider, args: TokenProvider(ClientCredentials.from_env(), httpx_args=args | {"auth": 1}),
    "scopes": lambda provider, args: TokenProvider.from_env(scopes="nonsense", httpx_args=args),
    "base URL": lambda provider, args: TokenProvider.from_env(base_url="nonsense", httpx_args=args),
    "password in it": lambda provider, args: TokenProvider.from_env(base_url=WITH_PASSWORD, httpx_args=args),
    "password in that of a request": lambda provider, args: ask(
        "request_token", ClientCredentials.from_env(), base_url=WITH_PASSWORD
    ),
    "httpx_args": lambda provider, args: TokenProvider.from_env(httpx_args=args | {"nonsense": 1}).get_token(),
    "credentials": lambda provider, args: TokenProvider(("canary-id", PASSWORD), httpx_args=args),
    "a list of arguments": lambda provider, args: TokenProvider(ClientCredentials.from_env(), httpx_args=[PASSWORD]),
    "a number of arguments": lambda provider, args: TokenProvider(ClientCredentials.from_env(), httpx_args=5),
    "refused": lambda provider, args: ask("request_token", ClientCredentials.from_env(), httpx_args=args),
    "refused before": lambda provider, args: provider.get_token(),
}


@pytest.mark.parametrize("name", ERRORS)
def test_no_error_shows_a_secret(provider, credentials, endpoint, monkeypatch, name):
    monkeypatch.setenv("DOMO_CLIENT_ID", credentials.client_id)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", credentials.client_secret)
    endpoint.always = refused
    if name == "late":
        endpoint.open.clear()
    if name == "refused before":
        with pytest.raises(InvalidClientError):
            provider.get_token()
    with pytest.raises(DomoOAuthError) as caught:
        ERRORS[name](provider, {"transport": endpoint, "headers": {"X-Canary": PASSWORD}})
    assert isinstance(caught.value, ConfigurationError) is (name not in {"late", "refused", "refused before"})
    assert_hidden(caught.value, credentials)


def test_a_group_of_errors_shows_nothing(provider, credentials, endpoint, anyio_backend):
    endpoint.always = refused

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(provider.aget_token)

    with pytest.raises(ExceptionGroup) as caught:
        anyio.run(main, backend=anyio_backend)
    assert len({id(error) for error in caught.value.exceptions}) == len(caught.value.exceptions)
    for error in caught.value.exceptions:
        assert isinstance(error, InvalidClientError)
        assert_hidden(error, credentials)
