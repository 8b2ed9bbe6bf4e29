"""Whatever networks and servers do, a token or the right error comes soon, in little memory, and shows no secret."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
from contextlib import ExitStack, closing
from typing import Any

import attrs
import httpx
import pytest

from domo_oauth import Clock, DomoOAuthError, ServerError, Token, TokenProvider, TransportError, timing
from tests.fakes import GET, REQUEST, Time, ask

from .conftest import nothing_left_behind, sockets, threads
from .server import PATIENCE, Peer, Server
from .table import ROWS, STRETCHED, TRIES, WAIT, Row, answer, grant, say

LIMIT = 0.5
"""Seconds that a fetch may take, instead of 60, if a server stretches it."""
NOT_SLOW = {"an answer", "TLS", "truncated, once", "a certificate: expired", "a proxy: let through", "503"}
"""Rows that `make test` runs, too."""


def cases(rows: list[Row], *kinds: tuple[str, ...]):
    """Each row with one way of each kind, in turn: the fetch itself is the same for all ways."""
    for number, row in enumerate(rows):
        for ways in kinds:
            way = ways[number % len(ways)]
            marks = () if row.name in NOT_SLOW else pytest.mark.slow
            yield pytest.param(row, way, id=f"{row}-{way}", marks=marks)


def httpx_args(row: Row, server: Server, certificates: dict[str, Any]) -> dict[str, Any]:
    requests = itertools.count()

    def set_timeout(request: httpx.Request) -> None:
        if row.timeout and (row.kept is not Token or next(requests) == 0):
            request.extensions["timeout"][row.timeout] = WAIT

    args = {
        "timeout": PATIENCE,  # on a busy machine
        "event_hooks": {"request": [set_timeout]},
        "verify": certificates[""],
    }
    return args | ({"proxy": server.url.replace("https:", "http:")} if row.proxy else {})


def result(way: str, subject: Any, *args: Any, **kwargs: Any) -> Token | DomoOAuthError:
    try:
        return ask(way, subject, *args, **kwargs)
    except DomoOAuthError as error:
        return error


@pytest.mark.parametrize(("row", "way"), list(cases(ROWS, GET, REQUEST)))
def test_the_token_endpoint(row, way, round_number, credentials, certificates, monkeypatch, caplog, measure, secrets):
    caplog.set_level(logging.DEBUG)
    keeps = way in GET
    time = Time()
    if row.stretched:
        monkeypatch.setattr(timing, "FETCH_SECONDS", LIMIT)
    with nothing_left_behind(), ExitStack() as stack:
        elsewhere = stack.enter_context(closing(Server(grant)))
        tls = certificates[row.certificate] if row.certificate else None
        options = {"tls": tls, "place": row.place, "scheme": row.scheme, "elsewhere": elsewhere.url}
        server = stack.enter_context(closing(Server(*row.faults, **options)))
        url = "https://domo.invalid" if row.proxy or row.resolve else server.url
        args = httpx_args(row, server, certificates)
        clock = Clock(random=lambda: 0.0) if row.stretched else time.clock
        provider = TokenProvider(credentials, base_url=url, httpx_args=args, clock=clock)
        with monkeypatch.context() as patch:
            if row.resolve:
                patch.setattr(socket, "getaddrinfo", row.resolve)
            if keeps:
                got = measure.call(result, way, provider)
            else:
                got = measure.call(result, way, credentials, "data", base_url=url, httpx_args=args)
    kind = "get_token" if keeps else "request_token"
    measure.add("The token endpoint", row.name, kind, type(got).__name__, server.token_requests)

    assert type(got) is ((row.kept or row.once) if keeps else row.once), got
    requests = row.tries if row.requests is None else row.requests
    if keeps:
        assert provider.stats().requests == row.tries
        assert row.slept is None or sum(time.slept) == row.slept
    else:
        requests = min(requests, 1) if row.asked is None else row.asked
        assert {name: getattr(got, name) for name in row.has} == row.has
    assert server.token_requests == requests
    assert elsewhere.connections == 0
    assert measure.seconds < PATIENCE / 2
    assert measure.mebibytes < row.megabytes

    if isinstance(got, DomoOAuthError):
        assert str(got).startswith(f"GET {url}/oauth/token ")
        assert row.said in str(got) or (not keeps and row.kept not in {None, Token})
        assert str(got).isprintable()
        assert len(str(got)) < 1000
        assert secrets.in_error(got) == []
    assert secrets.in_text(f"{got!r} {got}") == []
    assert secrets.in_log(caplog.records, own=row.repeats) == []
    assert not [each for each in server.requests if each.startswith(b"CONNECT ") and b"authorization:" in each.lower()]


@pytest.mark.slow
@pytest.mark.parametrize(("row", "way"), list(cases(STRETCHED, GET)))
def test_a_caller_leaves_in_time_and_the_fetch_ends_in_time(row, way, credentials, certificates, monkeypatch, measure):
    monkeypatch.setattr(timing, "FETCH_SECONDS", LIMIT)
    tls = certificates[row.certificate] if row.certificate else None
    with nothing_left_behind(within=LIMIT + 5), closing(Server(*row.faults, tls=tls, scheme=row.scheme)) as server:
        url, args = "https://domo.invalid" if row.proxy else server.url, httpx_args(row, server, certificates)
        provider = TokenProvider(credentials, base_url=url, httpx_args=args, clock=Clock(random=lambda: 0.0))
        got = measure.call(result, way, provider, LIMIT / 5)
    assert f"No token within {LIMIT / 5:g} s: GET {url}/oauth/token has not been answered" in str(got)
    assert measure.seconds < LIMIT / 5 + 5


# Host names


def test_a_name_server_that_does_not_answer(credentials, monkeypatch):
    """Nothing can end a look-up. Callers leave in time all the same, and two threads at most wait for it."""
    answers, time = threading.Event(), Time()

    def resolve(*_: object, **__: object) -> Any:
        answers.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with nothing_left_behind():
        before = threads()
        provider = TokenProvider(credentials, base_url="https://domo.invalid", clock=time.clock)
        for _ in range(5):
            with pytest.raises(TransportError, match="No token within 0 s"):
                provider.get_token(0)
            time.advance(61)
        assert len(threads() - before) == 2
        answers.set()


@pytest.mark.slow
def test_a_host_with_addresses_that_do_not_answer(credentials, monkeypatch, measure):
    """Each address takes the time-out for connections. Callers do not wait for them."""
    with nothing_left_behind(), closing(Server(grant, place="full")) as server:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", server.address)] * 4
        monkeypatch.setattr(timing, "FETCH_SECONDS", LIMIT)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        provider = TokenProvider(credentials, base_url="https://domo.invalid", clock=Clock(random=lambda: 0.0))
        got = measure.call(result, GET[0], provider, LIMIT / 5)
    assert f"No token within {LIMIT / 5:g} s" in str(got)
    assert measure.seconds < LIMIT / 5 + 5


# Servers that come back


@pytest.mark.parametrize("way", GET[:2])
def test_a_server_that_restarts(credentials, way, round_number, measure):
    time = Time()
    with nothing_left_behind(), closing(Server(grant)) as server:

        def restart(seconds: float) -> None:
            time.sleep(seconds)
            server.restart()

        clock = attrs.evolve(time.clock, sleep=restart)
        provider = TokenProvider(credentials, base_url=server.url, httpx_args={"timeout": PATIENCE}, clock=clock)
        first = ask(way, provider)
        provider.invalidate(first)
        server.close()
        second = measure.call(ask, way, provider)
    assert second.access_token != first.access_token
    assert (provider.stats().requests, server.token_requests) == (3, 2)  # one found nobody there
    measure.add("The token endpoint, over time", "it restarts", way, type(second).__name__, server.token_requests)


@pytest.mark.slow
@pytest.mark.parametrize("way", GET[:2])
def test_503_for_ten_minutes(credentials, way, round_number, measure, caplog):
    time, up = Time(), threading.Event()

    def fault(peer: Peer) -> None:
        (grant if up.is_set() else say(answer(503)))(peer)

    def ask_on() -> None:
        while time.now < 1600:
            time.advance(1)
            with pytest.raises(ServerError):
                ask(way, provider)

    with nothing_left_behind(), closing(Server(fault)) as server:
        provider = TokenProvider(credentials, base_url=server.url, httpx_args={"timeout": PATIENCE}, clock=time.clock)
        measure.call(ask_on)
        # Pauses of 1, 2, 4, 8 and 16 s, and then of 30 s; four tries each time.
        assert server.token_requests == provider.stats().requests == TRIES * (5 + (600 - 31) // 30 + 1)
        assert sum(record.levelname == "WARNING" for record in caplog.records) == 1
        up.set()
        time.advance(30)
        got = ask(way, provider)
    assert measure.mebibytes < 16
    measure.add("The token endpoint, over time", "503 for ten minutes", way, type(got).__name__, server.token_requests)


def test_the_searches_find_what_they_search_for(credentials, secrets):
    with socket.socket():
        if sockets():  # where the system tells
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
