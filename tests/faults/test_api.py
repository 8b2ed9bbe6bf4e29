"""Whatever an API does to a request with a token, no token is fetched without need, and errors stay the client's."""

from __future__ import annotations

import gzip
import logging
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import anyio
import httpx
import httpx2
import pytest
import requests

from domo_oauth import DomoOAuthError, InvalidClientError, ServerError, TokenProvider
from domo_oauth.adapters import aiohttp as for_aiohttp
from domo_oauth.adapters import httpx as for_httpx
from domo_oauth.adapters import httpx2 as for_httpx2
from domo_oauth.adapters import requests as for_requests
from tests.fakes import Time

from .conftest import nothing_left_behind
from .server import PATIENCE, Fault, Peer, Server
from .table import (
    CHUNKED,
    GRANTED,
    HTML,
    INFORMED,
    JSON,
    LONG,
    NEVER,
    PAGE,
    TOKEN,
    WAIT,
    answer,
    chunk,
    close_at_once,
    grant,
    head,
    packed,
    redirect,
    reset_at_once,
    say,
    say_and_reset,
    say_and_wait,
    say_byte_by_byte,
)

pytestmark = pytest.mark.slow

OWN = {
    "httpx": (httpx.HTTPError,),
    "httpx2": (httpx2.HTTPError,),
    "requests": (requests.RequestException,),
    "aiohttp": (aiohttp.ClientError, TimeoutError),
}
"""The errors of each client."""
WAYS = ("httpx", "httpx, asyncio", "httpx, trio", "httpx2", "httpx2, asyncio", "httpx2, trio", "requests", "aiohttp")


ERROR = "its own error"


@dataclass(frozen=True)
class ApiRow:
    """One thing that an API does, or the token endpoint behind a request to it.

    Attributes:
        faults: What is done to each connection to the API.
        result: The status that the caller gets, ERROR, or the error of this package.
        requests: How many requests reach the API.
        tokens: How many requests reach the token endpoint.
        timeout: Seconds that the client waits.
        endpoint: What is done to each connection to the token endpoint.
        place: Whether the API's port is open or closed.
        method: That of the request; a POST has a body of bytes.
        times: How many requests are made, one after the other.
        differs: The result of a client that does otherwise by itself.
        resent: The clients that send a GET once more by themselves.
    """

    name: str
    faults: tuple[Fault, ...]
    result: int | str | type[DomoOAuthError]
    requests: int = 1
    tokens: int = 1
    timeout: float = PATIENCE
    endpoint: tuple[Fault, ...] = (grant,)
    place: str = "open"
    method: str = "GET"
    times: int = 1
    differs: dict[str, int | str] = field(default_factory=dict)
    resent: tuple[str, ...] = ()

    @property
    def body(self) -> bytes | None:
        return b"x" if self.method == "POST" else None

    def __str__(self) -> str:
        return self.name


ADAPTERS = {
    "httpx": (httpx, for_httpx),
    "httpx2": (httpx2, for_httpx2),
    "requests": (requests, for_requests),
    "aiohttp": (aiohttp, for_aiohttp),
}


def ask(way: str, provider: TokenProvider, url: str, row: ApiRow) -> int:
    """The status of the last answer, whose body is read."""
    library, _, backend = way.partition(", ")
    module, adapter = ADAPTERS[library]
    auth = adapter.DomoAuth(provider)
    if library == "requests":
        return in_requests(auth, url, row)
    if library == "aiohttp":
        return anyio.run(in_aiohttp, auth, url, row)
    if backend:
        return anyio.run(in_async_httpx, module, auth, url, row, backend=backend)
    return in_httpx(module, auth, url, row)


def in_httpx(module: Any, auth: Any, url: str, row: ApiRow) -> int:
    with module.Client(auth=auth, timeout=row.timeout, trust_env=False) as client:
        return [client.request(row.method, url, content=row.body).status_code for _ in range(row.times)][-1]


async def in_async_httpx(module: Any, auth: Any, url: str, row: ApiRow) -> int:
    async with module.AsyncClient(auth=auth, timeout=row.timeout, trust_env=False) as client:
        return [(await client.request(row.method, url, content=row.body)).status_code for _ in range(row.times)][-1]


def in_requests(auth: Any, url: str, row: ApiRow) -> int:
    args = {"data": row.body, "timeout": row.timeout, "allow_redirects": False}
    with requests.Session() as session:
        session.trust_env = False
        session.auth = auth
        return [session.request(row.method, url, **args).status_code for _ in range(row.times)][-1]


async def in_aiohttp(auth: Any, url: str, row: ApiRow) -> int:
    status = 0
    limits = aiohttp.ClientTimeout(sock_read=row.timeout)
    async with aiohttp.ClientSession(middlewares=(auth,), timeout=limits) as session:
        for _ in range(row.times):
            async with session.request(row.method, url, data=row.body, allow_redirects=False) as response:
                await response.read()
                status = response.status
    return status


def row(name: str, fault: Fault | tuple[Fault, ...], result: Any, *args: Any, **more: Any) -> ApiRow:
    return ApiRow(name, fault if isinstance(fault, tuple) else (fault,), result, *args, **more)


def without_end(peer: Peer) -> None:
    """Take a request on and on, each on the same connection, and refuse it."""
    while True:
        peer.request()
        peer.send(answer(401, b"{}", alive=True))


def serve(peer: Peer) -> None:
    while True:
        peer.request()
        peer.send(answer(200, b"[]", alive=True))


def refuse_a_connection_kept_alive(peer: Peer) -> None:
    peer.request()
    peer.send(answer(401, b"{}", alive=True))
    serve(peer)


REFUSED = answer(401, b"{}")
ROWS = [
    row("an answer", serve, 200),
    row("an answer byte by byte", say_byte_by_byte(answer(200, b"[]")), 200),
    row("ten answers on one connection", serve, 200, requests=10, times=10),
    row("103 Early Hints first", say(INFORMED + answer(200, b"[]")), 200, differs={"requests": 103}),
    row("204", say(b"HTTP/1.1 204 No Content\r\n\r\n"), 204),
    row("refused", serve, ERROR, requests=0, place="closed"),
    row("reset on connecting", reset_at_once, ERROR, requests=0),
    row("closed on connecting", close_at_once, ERROR, requests=0),
    row("no answer", say_and_wait(b""), ERROR, timeout=5 * WAIT),
    row("silence in the header fields", say_and_wait(NEVER), ERROR, timeout=5 * WAIT),
    row("silence in the body", say_and_wait(answer(200, b"[", length=2)), ERROR, timeout=5 * WAIT),
    row("reset in place of an answer", say_and_reset(), ERROR, resent=("aiohttp",)),
    row("closed in place of an answer", say(b""), ERROR, resent=("aiohttp",)),
    row("reset in the body", say_and_reset(answer(200, b"[", length=2)), ERROR),
    row("truncated", say(answer(200, b"[", length=2)), ERROR),
    row("not HTTP", say(b"SSH-2.0-OpenSSH_9.2\r\n"), ERROR),
    row("a header field of 1 MB", say(head(200, JSON, LONG)), ERROR),
    row("a chunk's size that is no number", say(CHUNKED + chunk(b"[]", "xyz")), ERROR),
    row("broken gzip", say(packed(b"no gzip")), ERROR),
    row("400", say(answer(400)), 400),
    row("403 as a page", say(answer(403, HTML, PAGE)), 403),
    row("407 as a page", say(answer(407, HTML, PAGE)), 407),
    row("429 for an hour", say(answer(429, b"", "Retry-After: 3600")), 429),
    row("503", say(answer(503)), 503),
    row("302 elsewhere", redirect(302, "ELSEWHERE/login"), 302),
    row("401 once", (say(REFUSED), serve), 200, requests=2, tokens=2),
    row("401 once, kept alive", refuse_a_connection_kept_alive, 200, requests=2, tokens=2),
    row("401 once, to a POST", (say(REFUSED), serve), 200, requests=2, tokens=2, method="POST"),
    row("401 once, as gzip", (say(packed(gzip.compress(HTML), status=401)), serve), 200, requests=2, tokens=2),
    row("401 for every token", without_end, 401, requests=2, tokens=2),
    row("401 for every token, to ten requests", without_end, 401, requests=11, tokens=2, times=10),
    row("401, and then reset", (say(REFUSED), say_and_reset()), ERROR, requests=2, tokens=2, resent=("aiohttp",)),
    row("401, and then no answer", (say(REFUSED), say_and_wait(b"")), ERROR, requests=2, tokens=2, timeout=5 * WAIT),
    row("401, and then 503", (say(REFUSED), say(answer(503))), 503, requests=2, tokens=2),
    row("401, and then a redirect elsewhere", (say(REFUSED), redirect(302, "ELSEWHERE/")), 302, requests=2, tokens=2),
    row(
        "401, and no token to be had",
        without_end,
        ServerError,
        tokens=5,
        endpoint=(say(GRANTED), say(answer(503))),
    ),
    row("no token: 401", serve, InvalidClientError, requests=0, endpoint=(say(answer(401)),)),
    row("no token: 503", serve, ServerError, requests=0, tokens=4, endpoint=(say(answer(503)),)),
    row("no token: 503 once", serve, 200, tokens=2, endpoint=(say(answer(503)), grant)),
]


def result(way: str, *args: Any) -> int | Exception:
    try:
        return ask(way, *args)
    except (*OWN[way.partition(",")[0]], DomoOAuthError) as error:
        return error


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_an_api(row, way, round_number, credentials, caplog, measure, secrets):
    caplog.set_level(logging.DEBUG)
    library = way.partition(",")[0]
    with nothing_left_behind():
        with ExitStack() as stack:
            elsewhere = stack.enter_context(closing(Server(grant)))
            endpoint = stack.enter_context(closing(Server(*row.endpoint)))
            api = stack.enter_context(closing(Server(*row.faults, place=row.place, elsewhere=elsewhere.url)))
            # The endpoint and the API have one origin; a proxy stands for the endpoint.
            args = {"timeout": PATIENCE, "proxy": endpoint.url}
            provider = TokenProvider(credentials, base_url=api.url, httpx_args=args, clock=Time().clock)
            got = measure.call(result, way, provider, api.url, row)
        shown = str(got) if isinstance(got, int) else ERROR if isinstance(got, OWN[library]) else type(got).__name__
    measure.add("The API, behind the adapters", row.name, way, shown, len(api.requests))

    expected = row.differs.get(library, row.result)
    assert shown == (expected.__name__ if isinstance(expected, type) else str(expected)), got
    assert len(api.requests) == row.requests + (library in row.resent)
    assert len(endpoint.requests) == row.tokens
    assert elsewhere.connections == 0
    assert measure.seconds < PATIENCE / 2
    assert measure.mebibytes < 16
    assert all(f"Bearer {TOKEN}".encode() in request for request in api.requests)
    if isinstance(got, Exception):
        assert secrets.in_error(got, frames=isinstance(got, DomoOAuthError)) == []
    assert secrets.in_log(caplog.records) == []
