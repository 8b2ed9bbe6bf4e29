"""Ctrl-C, and the time limits that signal handlers raise: they reach who waits, and neither the fetch nor a secret."""

from __future__ import annotations

import itertools
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import anyio
import attrs
import httpx
import pytest
import stack_data

from domo_oauth import (
    ClientCredentials,
    Clock,
    ConfigurationError,
    InvalidClientError,
    TokenProvider,
    TransportError,
    arequest_token,
    request_token,
)
from domo_oauth.provider import forget_tokens
from tests.fakes import HOUR, PATIENCE, Endpoint, Time, in_threads, interrupted_at, refused, until
from tests.secrets import show

needs_alarm = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no such signals")
PASSWORD = "canary-of-a-proxy"


def by_stack_data(error: BaseException) -> str:
    """As IPython prints errors: what the lines around name, attributes too."""
    options = stack_data.Options(before=20, after=20)
    return "".join(stack_data.Formatter(show_variables=True, options=options).format_exception(error))


def assert_nothing_shown(error: BaseException, *secrets: str, tools=(*show.TOOLS, by_stack_data)) -> None:
    """No tool finds a secret in our frames; those of the test show what it wrote itself."""
    assert secrets[0] not in show.message(error)
    frame = error.__traceback__
    while frame is not None and "/domo_oauth/" not in frame.tb_frame.f_code.co_filename:
        frame = frame.tb_next
    if frame is None:  # the interrupt came just before or after our code
        return
    error = error.with_traceback(frame)
    for tool in tools:
        told = tool(error)
        assert not [secret for secret in (*secrets, PASSWORD) if secret in told], tool


class SoftTimeLimitExceeded(Exception):  # noqa: N818 -- as Celery calls it
    pass


@pytest.fixture
def endpoint():
    endpoint = Endpoint()
    yield endpoint
    endpoint.open.set()


@pytest.fixture
def provider(credentials, endpoint) -> TokenProvider:
    return TokenProvider(credentials, httpx_args={"transport": endpoint}, clock=Clock())


@pytest.fixture
def secrets(credentials):
    return credentials.client_secret, "canary-token-1", "canary-token-2"


@pytest.fixture
def limit(request):
    """Raises an error in the main thread, from a signal handler, while a request is under way."""
    before, timers = signal.getsignal(signal.SIGALRM), []

    def set_limit(endpoint, error):
        def exceeded(*_):
            raise error

        signal.signal(signal.SIGALRM, exceeded)
        endpoint.open.clear()
        timers.append(threading.Thread(target=strike))
        timers[0].start()

    def strike():
        endpoint.wait_until_asked()
        signal.setitimer(signal.ITIMER_REAL, 0.02)

    endpoint = request.getfixturevalue("endpoint")
    yield set_limit
    for timer in timers:
        timer.join()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


WAYS = {
    "get_token": lambda provider, *_: provider.get_token(),
    "aget_token": lambda provider, *_: anyio.run(provider.aget_token),
    "request_token": lambda _, credentials, args: request_token(credentials, httpx_args=args),
    "arequest_token": lambda _, credentials, args: anyio.run(lambda: arequest_token(credentials, httpx_args=args)),
}


@needs_alarm
@pytest.mark.parametrize(
    "error", [SoftTimeLimitExceeded, TimeoutError, KeyboardInterrupt], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize("way", WAYS)
def test_a_limit_reaches_the_caller_as_it_is(provider, credentials, endpoint, limit, secrets, way, error):
    raised = error("limit")
    limit(endpoint, raised)
    with pytest.raises(error) as caught:
        WAYS[way](provider, credentials, {"transport": endpoint, "headers": {"X-Canary": PASSWORD}})
    assert caught.value is raised
    assert raised.__cause__ is None
    assert isinstance(raised.__context__, type(None) | BlockingIOError)
    endpoint.open.set()
    if way.endswith("get_token"):
        assert provider.get_token().access_token == "canary-token-1"
        assert provider.stats().failures == 0
    assert endpoint.requests == 1
    if way in {"get_token", "request_token"}:  # in an event loop, it comes while the loop waits
        assert_nothing_shown(raised, *secrets)


@needs_alarm
def test_others_go_on_waiting(provider, endpoint, limit):
    with ThreadPoolExecutor(2) as threads:
        limit(endpoint, SoftTimeLimitExceeded())
        with pytest.raises(SoftTimeLimitExceeded):
            provider.get_token()
        waiting = [threads.submit(provider.get_token), threads.submit(anyio.run, provider.aget_token)]
        until(lambda: provider.stats().waits == 3)
        endpoint.open.set()
        assert {each.result(PATIENCE).access_token for each in waiting} == {"canary-token-1"}
    assert endpoint.requests == 1


def cold(_provider, _endpoint, _time):
    pass


def stale(provider, _endpoint, time):
    provider.get_token()
    time.advance(HOUR - 100)


def paused(provider, endpoint, _time):
    endpoint.answers = [refused()]
    with pytest.raises(InvalidClientError):
        provider.get_token()


def at_hand(provider, _endpoint, _time):
    provider.get_token()


def ask(provider):
    with suppress(InvalidClientError):  # in a pause
        provider.get_token()


def refuse(provider):
    provider.invalidate(provider.get_token())


@pytest.mark.parametrize(
    ("state", "call", "requests"), [(cold, ask, 1), (stale, ask, 2), (paused, ask, 2), (at_hand, refuse, 2)]
)
def test_an_interrupt_anywhere_holds_nobody_up_and_shows_nothing(credentials, secrets, state, call, requests):
    for number in itertools.count(1):
        time, endpoint, real = Time(), Endpoint(), Clock()
        clock = attrs.evolve(time.clock, start=real.start, inbox=real.inbox)
        provider = TokenProvider(credentials, httpx_args={"transport": endpoint}, clock=clock)
        state(provider, endpoint, time)
        error = interrupted_at(number, lambda provider=provider: call(provider))
        time.advance(1)
        if call is refuse:
            provider.invalidate(provider.get_token())
        assert in_threads(2, lambda provider=provider: provider.get_token(PATIENCE).expires_in) == [HOUR, HOUR]
        until(lambda endpoint=endpoint: endpoint.requests >= requests)
        assert endpoint.requests <= requests + (call is refuse)
        if error is None:
            break
        assert_nothing_shown(error, *secrets, tools=(show.by_traceback, show.by_lookup))
        if number % 5 == 0:
            assert_nothing_shown(error, *secrets, tools=(by_stack_data,))
    assert number > 5


def test_what_is_no_token_cannot_be_made_invalid_and_shows_none(provider, secrets):
    token = provider.get_token()
    for wrong in (None, "a token", token.access_token):
        with pytest.raises(ConfigurationError, match="must be of the type Token, not") as caught:
            provider.invalidate(wrong)
        assert_nothing_shown(caught.value, *secrets)
    assert provider.get_token() is token


ERRORS = {
    "late": lambda provider, args: provider.get_token(0),
    "no number": lambda provider, args: provider.get_token("5"),
    "no provider": lambda provider, args: TokenProvider(ClientCredentials.from_env(), httpx_args=args | {"auth": 1}),
    "no scopes": lambda provider, args: TokenProvider.from_env(scopes="nonsense", httpx_args=args),
    "no URL": lambda provider, args: TokenProvider.from_env(base_url="nonsense", httpx_args=args),
    "no client": lambda provider, args: TokenProvider.from_env(httpx_args=args | {"nonsense": 1}).get_token(),
    "no pickle": lambda provider, args: pickle.dumps(
        TokenProvider.from_env(httpx_args=args | {"verify": httpx.create_ssl_context()})
    ),
    "refused": lambda provider, args: request_token(ClientCredentials.from_env(), httpx_args=args),
    "refused again": lambda provider, args: provider.get_token(),
}


@pytest.mark.parametrize("name", ERRORS)
def test_no_error_shows_a_secret(provider, credentials, endpoint, secrets, monkeypatch, name):
    monkeypatch.setenv("DOMO_CLIENT_ID", credentials.client_id)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", credentials.client_secret)
    forget_tokens()
    endpoint.always = refused
    if name == "late":
        endpoint.open.clear()
    if name == "refused again":
        with pytest.raises(InvalidClientError):
            provider.get_token()
    args = {"transport": endpoint, "headers": {"X-Canary": PASSWORD}}
    with pytest.raises((ConfigurationError, InvalidClientError, TransportError)) as caught:
        ERRORS[name](provider, args)
    assert_nothing_shown(caught.value, *secrets)


def test_a_group_of_errors_shows_nothing(provider, endpoint, secrets, anyio_backend):
    endpoint.always = refused

    async def main():
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(provider.aget_token)

    with pytest.raises(ExceptionGroup) as caught:
        anyio.run(main, backend=anyio_backend)
    for error in caught.value.exceptions:
        assert isinstance(error, InvalidClientError)
        assert_nothing_shown(error, *secrets)
    assert len({id(error) for error in caught.value.exceptions}) == len(caught.value.exceptions)
