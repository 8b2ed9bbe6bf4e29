"""The time limits of task queues, which a signal handler raises as an Exception in the midst of a fetch."""

from __future__ import annotations

import functools
import logging
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx
import pytest

from domo_oauth import (
    ClientCredentials,
    ConfigurationError,
    InvalidClientError,
    TokenProvider,
    arequest_token,
    exchange,
    interrupts,
    log,
    request_token,
)
from domo_oauth import provider as provider_module
from domo_oauth.interrupts import Interrupt, let_through
from domo_oauth.stores.file import FileStore
from domo_oauth.stores.redis import RedisStore

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no such signals")
CREDENTIALS = ClientCredentials("canary-client", "canary-secret")
PATIENCE = 20.0


class SoftTimeLimitExceeded(Exception):  # noqa: N818 -- its name there
    """As Celery's: an Exception."""


class Limit:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def exceeded(self, *_):
        raise self.error

    def __call__(self, *_):
        raise self.error


class OfAnother(Limit):
    """Has the method of its parent."""


@pytest.fixture(autouse=True)
def _anew():
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    provider_module.forget_tokens()


def handlers(error):
    def raise_it(*_):
        raise error

    return {
        "function": raise_it,
        "lambda": lambda *_: raise_it(),
        "method": Limit(error).exceeded,
        "object": OfAnother(error),
        "partial": functools.partial(Limit(error).exceeded, 1),
    }


class Endpoint:
    """An endpoint below the real client, which is interrupted by the signal where it is told to."""

    def __init__(self) -> None:
        self.requests, self.interrupt = 0, True

    def __call__(self, _request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.interrupt and threading.current_thread() is threading.main_thread():
            self.interrupt = False
            signal.raise_signal(signal.SIGALRM)
        number = self.requests
        return httpx.Response(200, json={"access_token": f"t-{number}", "token_type": "bearer", "expires_in": 3599})


@pytest.fixture
def endpoint():
    return Endpoint()


@pytest.fixture
def make(endpoint):
    return functools.partial(TokenProvider, CREDENTIALS, httpx_args={"transport": httpx.MockTransport(endpoint)})


@pytest.mark.parametrize(
    "error", [SoftTimeLimitExceeded("limit"), TimeoutError("limit")], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("kind", handlers(Exception()))
def test_a_limit_is_of_who_has_it(kind, error, endpoint, make):
    signal.signal(signal.SIGALRM, handlers(error)[kind])
    provider = make()
    with pytest.raises(type(error)) as caught:
        provider.get_token()
    assert caught.value is error
    assert error.__context__ is None
    assert not any("_attempt" in str(entry.frame.code.name) for entry in caught.traceback)  # whose locals have secrets
    assert endpoint.requests == 1
    assert provider.get_token().access_token == "t-2"  # at once
    assert provider.stats().failures == 0


def test_others_take_over(endpoint, make):
    error = SoftTimeLimitExceeded()
    waits = threading.Event()

    def exceeded(*_):
        with ThreadPoolExecutor(1) as looking:  # the signal comes when the others wait
            looking.submit(
                lambda: [time.sleep(0.001) for _ in iter(lambda: provider.stats().waits < 2, False)]
            ).result()
        raise error

    async def arrive():
        with anyio.fail_after(PATIENCE):
            return await provider.aget_token()

    def ask():
        assert waits.wait(PATIENCE)
        return provider.get_token()

    signal.signal(signal.SIGALRM, exceeded)
    provider = make()
    waits.set()
    with ThreadPoolExecutor(2) as threads:
        real = endpoint.__class__.__call__

        def call(request):
            if threading.current_thread() is threading.main_thread() and endpoint.interrupt:
                others.extend([threads.submit(ask), threads.submit(anyio.run, arrive)])
            return real(endpoint, request)

        others = []
        provider._fetcher._httpx_args["transport"] = httpx.MockTransport(call)
        with pytest.raises(SoftTimeLimitExceeded):
            provider.get_token()
        assert {each.result(PATIENCE).access_token for each in others} == {"t-2"}
    assert endpoint.requests == 2


@pytest.mark.parametrize("asks", ["get_token", "request_token", "arequest_token"])
def test_a_limit_that_the_libraries_take_for_their_own(asks, wire):
    """httpcore makes a TimeoutError a time-out of its own, and so an error of the transport, which is tried again."""
    server, error = wire(b"", then="hang"), TimeoutError("limit")
    signal.signal(signal.SIGALRM, handlers(error)["function"])
    calls = {
        "get_token": lambda: TokenProvider(CREDENTIALS, base_url=server.url).get_token(),
        "request_token": lambda: request_token(CREDENTIALS, base_url=server.url),
        "arequest_token": lambda: anyio.run(functools.partial(arequest_token, CREDENTIALS, base_url=server.url)),
    }
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(TimeoutError) as caught:
        calls[asks]()
    assert caught.value is error


def test_a_limit_that_comes_while_a_task_runs(endpoint):
    signal.signal(signal.SIGALRM, handlers(SoftTimeLimitExceeded("limit"))["function"])
    args = {"transport": httpx.MockTransport(endpoint)}
    with pytest.raises(SoftTimeLimitExceeded, match="limit"):
        anyio.run(functools.partial(arequest_token, CREDENTIALS, httpx_args=args))
    assert endpoint.requests == 1


class Store(FileStore):
    def lease(self, _name):
        signal.raise_signal(signal.SIGALRM)


def test_a_limit_within_a_store_is_no_fault_of_the_store(endpoint, make, tmp_path, caplog):
    signal.signal(signal.SIGALRM, handlers(SoftTimeLimitExceeded())["function"])
    with pytest.raises(SoftTimeLimitExceeded):
        make(store=Store(tmp_path)).get_token()
    assert endpoint.requests == 0
    assert "Doing without the store" not in caplog.text


def test_a_limit_while_redis_is_asked(endpoint, make, wire, caplog):
    """Which has an error of its own for each."""
    server, error = wire(b"", then="hang"), SoftTimeLimitExceeded("limit")
    signal.signal(signal.SIGALRM, handlers(error)["function"])
    store = RedisStore(server.url.replace("http", "redis"))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(SoftTimeLimitExceeded) as caught:
        make(store=store).get_token()
    assert caught.value is error
    assert endpoint.requests == 0
    assert store._passed_over is None
    assert "Doing without the store" not in caplog.text


def test_a_limit_while_certificate_authorities_are_loaded(monkeypatch):
    """Which may well be an OSError, as is what they cannot be loaded for."""
    error = TimeoutError("limit")
    signal.signal(signal.SIGALRM, handlers(error)["function"])
    monkeypatch.setattr(exchange, "_tls", lambda **_: signal.raise_signal(signal.SIGALRM))
    args = {"headers": {"X-Canary": "canary-password"}}
    for ask in (
        TokenProvider(CREDENTIALS, httpx_args=args).get_token,
        lambda: request_token(CREDENTIALS, httpx_args=args),
    ):
        with pytest.raises(TimeoutError) as caught:
            ask()
        assert caught.value is error
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        ours = [frame.locals for frame in told.stack if "domo_oauth" in frame.filename]
        assert ours
        assert "canary-password" not in str(ours)


def test_a_limit_where_no_thread_can_be_started(endpoint, make, monkeypatch):
    signal.signal(signal.SIGALRM, handlers(SoftTimeLimitExceeded("limit"))["function"])
    monkeypatch.setattr(provider_module, "start_new_thread", lambda *_: (_ for _ in ()).throw(RuntimeError))
    provider = make()
    with pytest.raises(SoftTimeLimitExceeded, match="limit"):
        anyio.run(provider.aget_token)
    assert anyio.run(provider.aget_token).access_token == "t-2"


@pytest.mark.parametrize("of_itself", [True, False])
def test_an_error_that_came_of_itself_is_no_limit_and_ends(of_itself, endpoint, make, tmp_path):
    class Broken(FileStore):
        def load(self, _name):
            error, other = OSError("canary-broken"), ValueError()
            other.__cause__ = error
            raise error from (error if of_itself else other)

    endpoint.interrupt = False
    signal.signal(signal.SIGALRM, handlers(SoftTimeLimitExceeded())["function"])
    assert make(store=Broken(tmp_path)).get_token().access_token == "t-1"


def test_a_function_that_is_no_handler_may_share_its_code(endpoint, make, tmp_path):
    def decorated(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper

    class Broken(FileStore):
        @decorated
        def load(self, name):
            raise OSError(name)

    endpoint.interrupt = False
    signal.signal(signal.SIGALRM, decorated(lambda *_: None))
    assert make(store=Broken(tmp_path)).get_token().access_token == "t-1"


def test_a_handler_that_is_put_back_before_it_raises(endpoint, make):
    def once(_number, _frame):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        raise SoftTimeLimitExceeded

    signal.signal(signal.SIGALRM, once)
    with pytest.raises(SoftTimeLimitExceeded):
        make().get_token()
    assert endpoint.requests == 1


def test_the_main_thread_may_have_any_name(endpoint, make, monkeypatch):
    monkeypatch.setattr(threading.main_thread(), "name", "domo-oauth")
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        make().get_token()


def test_a_limit_within_a_look_into_the_store(make, tmp_path, monkeypatch):
    provider, error = make(store=FileStore(tmp_path)), SoftTimeLimitExceeded()
    signal.signal(signal.SIGALRM, handlers(error)["function"])
    monkeypatch.setattr(type(provider._vault), "load", lambda _: signal.raise_signal(signal.SIGALRM))
    shared = provider._shared
    shared.fail(provider._failed(ConfigurationError("before")))
    with pytest.raises(Interrupt):
        provider._fetch()


def test_a_limit_while_the_client_is_made(make, monkeypatch):
    signal.signal(signal.SIGALRM, handlers(SoftTimeLimitExceeded())["function"])
    monkeypatch.setattr(exchange, "AuthenticatedClient", lambda **_: signal.raise_signal(signal.SIGALRM))
    with pytest.raises(SoftTimeLimitExceeded):
        make().get_token()
    with pytest.raises(SoftTimeLimitExceeded):
        request_token(CREDENTIALS)


def test_a_limit_while_a_line_is_logged(make, endpoint, monkeypatch):
    signal.signal(signal.SIGALRM, handlers(SoftTimeLimitExceeded())["function"])
    endpoint.interrupt = False
    monkeypatch.setattr(log, "_find_logger", lambda: signal.raise_signal(signal.SIGALRM))
    monkeypatch.setattr(log, "_logger", None)
    with pytest.raises(SoftTimeLimitExceeded):
        make().get_token()
    with pytest.raises(SoftTimeLimitExceeded):
        log.info("text")


def test_what_the_caller_is_handling_is_no_limit_of_this_call(make, endpoint):
    signal.signal(signal.SIGALRM, handlers(SoftTimeLimitExceeded())["function"])
    endpoint.interrupt = False
    provider = make()
    provider._fetcher._httpx_args["transport"] = httpx.MockTransport(lambda _: httpx.Response(401, json={}))
    try:
        signal.raise_signal(signal.SIGALRM)
    except SoftTimeLimitExceeded:
        with pytest.raises(InvalidClientError):
            provider.get_token()
        with pytest.raises(InvalidClientError):
            request_token(CREDENTIALS, httpx_args=provider._fetcher._httpx_args)


def test_other_threads_have_no_signal_handlers():
    signal.signal(signal.SIGALRM, raise_it := handlers(SoftTimeLimitExceeded())["function"])

    def fail():
        try:
            raise_it(signal.SIGALRM, sys._getframe())  # as Python calls it
        except SoftTimeLimitExceeded as error:
            let_through(error)
            return interrupts.is_interrupt(error)

    with pytest.raises(Interrupt):
        fail()
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(fail).result() is False


def test_the_logger_is_looked_for_once(monkeypatch):
    found, get = [], logging.getLogger
    monkeypatch.setattr(log, "_logger", None)
    with monkeypatch.context() as patched:
        patched.setattr(logging, "getLogger", lambda *names: (found.append(names), get(*names))[1])
        log.info("one")
        log.debug("two")
    assert found == [("domo_oauth",)]
