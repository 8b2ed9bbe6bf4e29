"""Whatever is done to it, who asks for a token gets one, or the right error: soon, in little memory, and no secret."""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import anyio
import httpx
import pytest

from domo_oauth import (
    ClientCredentials,
    DomoOAuthError,
    ServerError,
    Token,
    TokenProvider,
    UnexpectedResponseError,
    arequest_token,
    exchange,
    request_token,
)
from domo_oauth.provider import Clock

from .conftest import Certificates, Measure, Report, Secrets, nothing_left_behind, sockets
from .faults import after, answer, close_at_once, grant, granted, say, say_and_reset
from .server import PATIENCE, Fault, Peer, Server
from .table import ROWS, TRIES, WAIT, Row

pytestmark = pytest.mark.once

WAYS = ("get_token", "aget_token", "request_token", "arequest_token, asyncio", "arequest_token, trio")
KEEPING = WAYS[:2]
LIMITS = {"header": "max_header_seconds", "body": "max_response_seconds"}


def cases() -> Iterator[Any]:
    for row in ROWS:
        for way in WAYS:
            yield pytest.param(row, way, id=f"{row}-{way}")


class Time:
    """A clock that stands still but for those who sleep by it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.then: Callable[[], object] = lambda: None
        """What happens while somebody sleeps."""
        self.clock = Clock(lambda: self.now, lambda: self.now, self.sleep, lambda: 0.0)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.then()


def httpx_args(row: Row, server: Server, certificates: Certificates) -> dict[str, Any]:
    timeout = httpx.Timeout(PATIENCE, **({row.timeout: WAIT} if row.timeout else {}))
    args: dict[str, Any] = {"timeout": timeout, "verify": certificates.trusting}
    if row.proxy:
        args["proxy"] = server.url.replace("https:", "http:")
    return args


def give_time(provider: TokenProvider) -> None:
    """What happened once is over: wait for the next answer as long as a busy machine may need."""
    provider._route.httpx_args["timeout"] = PATIENCE


def ask(way: str, provider: TokenProvider, *args: Any, **kwargs: Any) -> Token | DomoOAuthError:
    name, _, backend = way.partition(", ")
    try:
        match name:
            case "get_token":
                return provider.get_token()
            case "aget_token":
                return anyio.run(provider.aget_token)
            case "request_token":
                return request_token(*args, **kwargs)
            case _:
                return anyio.run(functools.partial(arequest_token, *args, **kwargs), backend=backend)
    except DomoOAuthError as error:
        return error


@pytest.mark.parametrize(("row", "way"), list(cases()))
def test_the_token_endpoint(
    row: Row,
    way: str,
    round_number: int,
    credentials: ClientCredentials,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    report: Report,
    secrets: Secrets,
) -> None:
    caplog.set_level(logging.DEBUG)
    keeps = way in KEEPING
    if row.limit:
        # A limit that ends in the middle of a handshake, which a minute never does, would be another fault.
        seconds = 2.0 if row.certificate and not row.proxy else WAIT
        limited = functools.partial(exchange.AuthenticatedClient, **{LIMITS[row.limit]: seconds})
        monkeypatch.setattr(exchange, "AuthenticatedClient", limited)
    with nothing_left_behind(), ExitStack() as stack:
        elsewhere = stack.enter_context(closing(Server(grant)))
        tls = certificates.shown[row.certificate] if row.certificate else None
        server = Server(*row.faults, tls=tls, place=row.place, scheme=row.scheme or None, elsewhere=elsewhere.url)
        stack.callback(server.close)
        url = "https://domo.invalid" if row.proxy or row.resolve else server.url
        args = httpx_args(row, server, certificates)
        time = Time()
        provider = stack.enter_context(TokenProvider(credentials, base_url=url, httpx_args=args, clock=time.clock))
        time.then = functools.partial(give_time, provider) if row.kept is Token else time.then
        with monkeypatch.context() as patch, Measure() as measure:
            if row.resolve:
                patch.setattr(socket, "getaddrinfo", row.resolve)
            got = ask(way, provider, credentials, "data", base_url=url, httpx_args=args)
        provider.close()
        if row.place == "open":
            server.settle()
        tries = provider.stats().requests if keeps else 1
    report.add("The token endpoint", row.name, way, type(got).__name__, str(server.token_requests), measure)

    expected = (row.kept or row.once) if keeps else row.once
    assert type(got) is expected, got
    assert tries == (row.tries if keeps else 1)
    requests = row.tries if row.requests is None else row.requests
    expected_requests = requests if keeps else min(requests, 1) if row.asked is None else row.asked
    if row.limit == "header":  # which may be over before a request could be read
        assert server.token_requests <= expected_requests
    else:
        assert server.token_requests == expected_requests
    assert elsewhere.connections == 0
    assert measure.seconds < row.seconds
    assert measure.megabytes < row.megabytes
    if keeps and row.slept is not None:
        assert sum(time.slept) == row.slept

    if isinstance(got, DomoOAuthError):
        assert str(got).startswith(f"GET {url}/oauth/token ")
        assert row.said in str(got) or (not keeps and row.kept not in {None, Token})
        assert str(got).isprintable()
        assert len(str(got)) < 1000
        assert secrets.in_error(got) == []
        if not keeps:
            assert {name: getattr(got, name) for name in row.has} == row.has
    assert secrets.in_text(f"{got!r} {got}") == []
    assert secrets.in_log(caplog.records, own=row.repeats) == []
    assert not [each for each in server.requests if each.startswith(b"CONNECT ") and b"authorization:" in each.lower()]


class Endpoint:
    """A provider and the server that it asks, for what takes more than one call."""

    def __init__(self, credentials: ClientCredentials, *faults: Fault) -> None:
        self.time = Time()
        self.server = Server(*faults)
        args = {"timeout": PATIENCE}
        self.provider = TokenProvider(credentials, base_url=self.server.url, httpx_args=args, clock=self.time.clock)

    def close(self) -> None:
        self.provider.close()
        self.server.close()


@pytest.fixture
def endpoint(credentials: ClientCredentials) -> Iterator[Callable[..., Endpoint]]:
    with nothing_left_behind(), ExitStack() as stack:
        yield lambda *faults: stack.enter_context(closing(Endpoint(credentials, *faults)))


@pytest.fixture(params=KEEPING)
def way(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def note(report: Report, request: pytest.FixtureRequest, way: str) -> Callable[..., None]:
    """Put what came of it into the table of what takes more than one call."""
    name = request.node.originalname.removeprefix("test_").replace("_", " ")

    def add(got: object, server: Server, measure: Measure) -> None:
        report.add("The token endpoint, over time", name, way, type(got).__name__, str(server.token_requests), measure)

    return add


def test_a_server_that_restarts(endpoint, way, round_number, note):
    asked = endpoint(grant)
    first = ask(way, asked.provider)
    asked.provider.invalidate(first)
    asked.server.close()
    asked.time.then = asked.server.restart
    with Measure() as measure:
        second = ask(way, asked.provider)
    assert isinstance(second, Token)
    assert second.access_token != first.access_token
    assert asked.provider.stats().requests == 3  # the second found nobody there
    assert asked.server.token_requests == 2
    note(second, asked.server, measure)


ALIVE = answer(200, granted(), alive=True)


@pytest.mark.parametrize("fault", [say(b""), say_and_reset()], ids=["closed", "reset"])
def test_a_connection_kept_alive_that_ends_just_as_it_is_used(endpoint, way, round_number, note, fault):
    asked = endpoint(after(ALIVE, fault), grant)
    asked.provider.invalidate(ask(way, asked.provider))
    with Measure() as measure:
        got = ask(way, asked.provider)
    assert isinstance(got, Token)
    assert asked.provider.stats().requests == asked.server.token_requests == 3
    note(got, asked.server, measure)


def test_a_connection_kept_alive_that_ended_before_it_is_used(endpoint, way, round_number, note):
    asked = endpoint(after(ALIVE, close_at_once), grant)
    asked.provider.invalidate(ask(way, asked.provider))
    asked.server.settle()
    with Measure() as measure:
        got = ask(way, asked.provider)
    assert isinstance(got, Token)
    assert asked.provider.stats().requests == asked.server.token_requests == 2
    note(got, asked.server, measure)


def test_503_for_an_hour(endpoint, way, round_number, note, caplog):
    up = threading.Event()

    def fault(peer: Peer) -> None:
        (grant if up.is_set() else say(answer(503)))(peer)

    asked = endpoint(fault)
    provider, time = asked.provider, asked.time

    def hour() -> None:
        while time.now < 3600:
            time.now += 1
            with pytest.raises(ServerError):
                provider.get_token()

    async def ahour() -> None:
        while time.now < 3600:
            time.now += 1
            with pytest.raises(ServerError):
                await provider.aget_token()

    with Measure() as measure:
        hour() if way == "get_token" else anyio.run(ahour)
    # Pauses of 1, 2, 4, 8 and 16 s, and from then on of 30 s; four tries each time.
    assert asked.server.token_requests == provider.stats().requests == TRIES * (5 + (3600 - 31) // 30 + 1)
    assert measure.megabytes < 16
    assert sum(record.levelname == "WARNING" for record in caplog.records) == 1
    up.set()
    time.now += 30
    got = ask(way, provider)
    assert isinstance(got, Token)
    note(got, asked.server, measure)


def test_a_204_with_a_token_on_a_connection_that_is_used_again(endpoint, way, round_number, note, caplog, secrets):
    caplog.set_level(logging.DEBUG)
    asked = endpoint(after(answer(204, granted(), alive=True), grant), grant)
    assert isinstance(ask(way, asked.provider), UnexpectedResponseError)
    asked.time.now += 60
    with Measure() as measure:
        got = ask(way, asked.provider)
    assert isinstance(got, Token)
    note(got, asked.server, measure)
    assert secrets.in_log(caplog.records) == []


class Local:
    """Something in the hands of whoever asks."""


@pytest.mark.parametrize("faults", [(say(answer(401)),), (say(answer(503)), grant)], ids=["refused", "503 once"])
def test_an_error_holds_nothing_of_its_callers(endpoint, faults):
    provider = endpoint(*faults).provider

    def call() -> weakref.ref[Local]:
        local = Local()
        with contextlib.suppress(DomoOAuthError):
            provider.get_token()
        return weakref.ref(local)

    gc.disable()  # what no cycle holds is let go at once
    try:
        assert call()() is None
    finally:
        gc.enable()


def test_the_searches_would_find_what_they_search_for(credentials, secrets):
    with socket.socket():
        if sockets():  # where the system tells of them
            with pytest.raises(AssertionError), nothing_left_behind():
                left = socket.socket()
            left.close()

    def leak() -> None:
        secret = credentials.client_secret
        raise ValueError(len(secret))

    with pytest.raises(ValueError, match=r"[0-9]") as caught:
        leak()
    assert secrets.in_error(caught.value) == [credentials.client_secret]
    assert secrets.in_error(caught.value, frames=False) == []
