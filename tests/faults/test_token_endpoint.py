"""Whatever networks and servers do, a token or the right error comes soon, in little memory, and shows no secret."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
import time as real_time
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest

from domo_oauth import Clock, DomoOAuthError, Token, TokenProvider, TransportError, timing
from tests.fakes import GET, REQUEST, Time, ask
from tests.wire import PATIENCE, Server

from .conftest import LIMIT, nothing_left_behind, threads
from .table import ANSWERS, FAULTS, WAIT, Row, grant

QUICK = {
    *("an answer", "TLS", "certificate: expired", "nobody accepts", "no answer", "truncated, once", "503"),
    *("302 elsewhere", "proxy: connected", "proxy: 407", "a body that never ends, at once"),
}
"""Faults that `make test` tries, too."""


def cases(rows: list[Row], *kinds: tuple[str, ...], slow: bool = True):
    """Each row with one way of each kind, in turn: the fetch itself is the same for all ways."""
    for number, row in enumerate(rows):
        for ways in kinds:
            way = ways[number % len(ways)]
            marks = pytest.mark.slow if slow and row.name not in QUICK else ()
            yield pytest.param(row, way, id=f"{row}-{way}", marks=marks)


def unknown_name(*_: object, **__: object) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


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


@pytest.fixture(autouse=True)
def _far_from_greenwich(monkeypatch):
    """Local time is not UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XYZ-9")
        getattr(real_time, "tzset", int)()  # not on Windows
        yield
    getattr(real_time, "tzset", int)()


@pytest.mark.parametrize(("row", "way"), [*cases(FAULTS, GET, REQUEST), *cases(ANSWERS, REQUEST, slow=False)])
def test_token_endpoint_faults_end_in_a_token_or_the_right_error(
    row, way, round_number, credentials, certificates, monkeypatch, caplog, measure, secrets
):
    caplog.set_level(logging.DEBUG)
    keeps = way in GET
    time = Time()
    if row.stretched:
        monkeypatch.setattr(timing, "FETCH_SECONDS", LIMIT)
    with nothing_left_behind(measure), ExitStack() as stack:
        elsewhere = stack.enter_context(closing(Server(grant)))
        tls = certificates[row.certificate] if row.certificate else None
        options = {"tls": tls, "place": row.place, "scheme": row.scheme, "elsewhere": elsewhere.url}
        server = stack.enter_context(closing(Server(*row.faults, **options)))
        url = "https://domo.invalid" if row.proxy or row.unresolved else server.url
        args = httpx_args(row, server, certificates)
        clock = Clock(random=lambda: 0.0) if row.stretched else time.clock
        provider = TokenProvider(credentials, base_url=url, httpx_args=args, clock=clock)
        with monkeypatch.context() as patch:
            if row.unresolved:
                patch.setattr(socket, "getaddrinfo", unknown_name)
            if keeps:
                got = measure.call(result, way, provider)
            else:
                got = measure.call(result, way, credentials, "data", base_url=url, httpx_args=args)

    assert type(got) is ((row.kept or row.once) if keeps else row.once), got
    requests = row.tries if row.requests is None else row.requests
    if keeps:
        assert provider.stats().requests == row.tries
        assert row.slept is None or sum(time.slept) == row.slept
    else:
        requests = min(requests, 1)
        assert {name: getattr(got, name) for name in row.has} == row.has
    assert server.token_requests == requests
    assert elsewhere.connections == 0
    assert measure.seconds < PATIENCE  # the server ended no call
    assert measure.mebibytes < row.megabytes

    if isinstance(got, DomoOAuthError):
        assert str(got).startswith(f"GET {url}/oauth/token ")
        assert row.text in str(got) or (not keeps and row.kept not in {None, Token})
        assert str(got).isprintable()
        assert len(str(got)) < 1000
        assert secrets.in_error(got) == []
        assert got.__cause__ is got.__context__ is None
    assert secrets.in_text(f"{got!r} {got}") == []
    assert secrets.in_log(caplog.records) == []
    assert not [each for each in server.requests if each.startswith(b"CONNECT ") and b"authorization:" in each.lower()]


def test_a_dns_server_that_hangs_holds_up_no_caller(credentials, monkeypatch):
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
