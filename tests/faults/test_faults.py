"""Whatever networks and servers do: a token or the right error comes soon, in little memory, and shows no secret."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import logging
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import anyio
import httpx
import pytest

from domo_oauth import (
    ClientCredentials,
    Clock,
    DomoOAuthError,
    ServerError,
    Token,
    TokenProvider,
    TransportError,
    arequest_token,
    request_token,
    timing,
)

from .conftest import Certificates, Measure, Report, Secrets, nothing_left_behind, sockets, threads
from .faults import answer, grant, say
from .server import PATIENCE, Fault, Peer, Server
from .table import ROWS, STRETCHED, TRIES, WAIT, Row

pytestmark = pytest.mark.once

KEEPING = ("get_token", "aget_token, asyncio", "aget_token, trio")
ONCE = ("request_token", "arequest_token, asyncio", "arequest_token, trio")
LIMIT = 0.5
"""Seconds that a fetch may take, in place of 60, where a server stretches it."""


def cases(rows: list[Row], *kinds: tuple[str, ...]) -> Iterator[Any]:
    """Each row with one way of each kind. The fetch is the same for all ways, and so they take turns."""
    for number, row in enumerate(rows):
        for ways in kinds:
            way = ways[number % len(ways)]
            yield pytest.param(row, way, id=f"{row}-{way}")


class Time:
    """A clock that stands still except for those who sleep by it; or one that runs, without pauses between tries."""

    def __init__(self, *, runs: bool = False) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.then: Callable[[], object] = lambda: None
        """What happens while somebody sleeps."""
        monotonic = time.monotonic if runs else lambda: self.now
        self.clock = Clock(monotonic, lambda: self.now, self.sleep, lambda: 0.0)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.then()


def httpx_args(row: Row, server: Server, certificates: Certificates) -> dict[str, Any]:
    requests = itertools.count()

    def set_timeout(request: httpx.Request) -> None:
        if row.timeout and (row.kept is not Token or next(requests) == 0):
            request.extensions["timeout"][row.timeout] = WAIT

    args: dict[str, Any] = {
        "timeout": PATIENCE,  # what a busy machine may need
        "event_hooks": {"request": [set_timeout]},
        "verify": certificates.trusting,
    }
    if row.proxy:
        args["proxy"] = server.url.replace("https:", "http:")
    return args


def ask(way: str, provider: TokenProvider, *args: Any, timeout: float = 60.0, **kwargs: Any) -> Token | DomoOAuthError:
    name, _, backend = way.partition(", ")
    try:
        match name:
            case "get_token":
                return provider.get_token(timeout)
            case "aget_token":
                return anyio.run(provider.aget_token, timeout, backend=backend)
            case "request_token":
                return request_token(*args, **kwargs)
            case _:
                return anyio.run(functools.partial(arequest_token, *args, **kwargs), backend=backend)
    except DomoOAuthError as error:
        return error


@pytest.mark.parametrize(("row", "way"), list(cases(ROWS, KEEPING, ONCE)))
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
    if row.stretched:
        monkeypatch.setattr(timing, "FETCH_SECONDS", LIMIT)
    with nothing_left_behind(), ExitStack() as stack:
        elsewhere = stack.enter_context(closing(Server(grant)))
        tls = certificates.shown[row.certificate] if row.certificate else None
        server = Server(*row.faults, tls=tls, place=row.place, scheme=row.scheme or None, elsewhere=elsewhere.url)
        stack.callback(server.close)
        url = "https://domo.invalid" if row.proxy or row.resolve else server.url
        args = httpx_args(row, server, certificates)
        clock = Time(runs=row.stretched)
        provider = TokenProvider(credentials, base_url=url, httpx_args=args, clock=clock.clock)
        with monkeypatch.context() as patch, Measure() as measure:
            if row.resolve:
                patch.setattr(socket, "getaddrinfo", row.resolve)
            got = ask(way, provider, credentials, "data", base_url=url, httpx_args=args)
        if row.place == "open":
            server.settle()
        tries = provider.stats().requests if keeps else 1
    kind = "get_token" if keeps else "request_token"
    report.add("The token endpoint", row.name, kind, type(got).__name__, str(server.token_requests), measure)

    expected = (row.kept or row.once) if keeps else row.once
    assert type(got) is expected, got
    assert tries == (row.tries if keeps else 1)
    requests = row.tries if row.requests is None else row.requests
    expected_requests = requests if keeps else min(requests, 1) if row.asked is None else row.asked
    assert server.token_requests == expected_requests
    assert elsewhere.connections == 0
    assert measure.seconds < row.seconds
    assert measure.megabytes < row.megabytes
    if keeps and row.slept is not None:
        assert sum(clock.slept) == row.slept

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


@pytest.mark.parametrize(("row", "way"), list(cases(STRETCHED, KEEPING)))
def test_a_caller_leaves_in_time(row, way, credentials, certificates, monkeypatch):
    """The fetch goes on without it, and ends in time, too."""
    monkeypatch.setattr(timing, "FETCH_SECONDS", 2 * LIMIT)
    tls = certificates.shown[row.certificate] if row.certificate else None
    with (
        closing(Server(*row.faults, tls=tls, scheme=row.scheme or None)) as server,
        nothing_left_behind(within=2 * LIMIT + 1),
    ):
        url, args = "https://domo.invalid" if row.proxy else server.url, httpx_args(row, server, certificates)
        provider = TokenProvider(credentials, base_url=url, httpx_args=args, clock=Time(runs=True).clock)
        began = time.monotonic()
        got = ask(way, provider, timeout=LIMIT / 2)
        assert time.monotonic() - began < LIMIT / 2 + 1
        assert isinstance(got, TransportError)
        assert f"No token within {LIMIT / 2:g} s: GET {url}/oauth/token has not been answered" in str(got)


def test_a_name_server_that_does_not_answer(credentials, monkeypatch):
    """Nothing ends such a look-up. Callers leave in time all the same, and no more than two threads wait for it."""
    answers = threading.Event()

    def resolve(*_: object, **__: object) -> Any:
        answers.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(timing, "FETCH_SECONDS", LIMIT / 5)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with nothing_left_behind():
        before = threads()
        provider = TokenProvider(credentials, base_url="https://domo.invalid", clock=Time(runs=True).clock)
        for _ in range(5):
            began = time.monotonic()
            with pytest.raises(TransportError, match=f"No token within {LIMIT / 2:g} s"):
                provider.get_token(LIMIT / 2)
            assert time.monotonic() - began < LIMIT / 2 + 1
        assert len(threads() - before) == 2
        answers.set()


def test_a_host_with_addresses_that_do_not_answer(credentials, monkeypatch):
    """Each takes the time-out for connections, and callers do not wait for them."""
    with closing(Server(grant, place="full")) as server, nothing_left_behind(within=4 * LIMIT + 1):
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", server.address)] * 4
        monkeypatch.setattr(timing, "FETCH_SECONDS", LIMIT)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        provider = TokenProvider(credentials, base_url="https://domo.invalid", clock=Time(runs=True).clock)
        began = time.monotonic()
        with pytest.raises(TransportError, match=f"No token within {LIMIT / 2:g} s"):
            provider.get_token(LIMIT / 2)
        assert time.monotonic() - began < LIMIT / 2 + 1


class Endpoint:
    """A provider and the server that it asks, for what takes more than one call."""

    def __init__(self, credentials: ClientCredentials, *faults: Fault) -> None:
        self.time = Time()
        self.server = Server(*faults)
        args = {"timeout": PATIENCE}
        self.provider = TokenProvider(credentials, base_url=self.server.url, httpx_args=args, clock=self.time.clock)

    def close(self) -> None:
        self.server.close()


@pytest.fixture
def endpoint(credentials: ClientCredentials) -> Iterator[Callable[..., Endpoint]]:
    with nothing_left_behind(), ExitStack() as stack:
        yield lambda *faults: stack.enter_context(closing(Endpoint(credentials, *faults)))


@pytest.fixture(params=KEEPING[:2])
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


def test_503_for_ten_minutes(endpoint, way, round_number, note, caplog):
    up = threading.Event()

    def fault(peer: Peer) -> None:
        (grant if up.is_set() else say(answer(503)))(peer)

    asked = endpoint(fault)
    provider, clock = asked.provider, asked.time

    def ask_on() -> None:
        while clock.now < 600:
            clock.now += 1
            with pytest.raises(ServerError):
                provider.get_token()

    async def ask_on_in_a_task() -> None:
        while clock.now < 600:
            clock.now += 1
            with pytest.raises(ServerError):
                await provider.aget_token()

    with Measure() as measure:
        ask_on() if way == "get_token" else anyio.run(ask_on_in_a_task)
    # Pauses of 1, 2, 4, 8 and 16 s, and from then on of 30 s; four tries each time.
    assert asked.server.token_requests == provider.stats().requests == TRIES * (5 + (600 - 31) // 30 + 1)
    assert measure.megabytes < 16
    assert sum(record.levelname == "WARNING" for record in caplog.records) == 1
    up.set()
    clock.now += 30
    got = ask(way, provider)
    assert isinstance(got, Token)
    note(got, asked.server, measure)


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
