"""No token is fetched needlessly, and the HTTP client's errors reach the caller unchanged."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass

import aiohttp
import httpx
import httpx2
import pytest
import requests

from domo_oauth import DomoOAuthError, InvalidClientError, ServerError, TokenProvider
from tests.adapters.ways import WAYS
from tests.fakes import Time
from tests.wire import PATIENCE, Fault, Server

from .conftest import nothing_left_behind
from .table import TOKEN, answer, grant, packed, reset_at_once, say, say_and_reset

pytestmark = pytest.mark.slow

OWN = {
    "httpx": httpx.HTTPError,
    "httpx2": httpx2.HTTPError,
    "requests": requests.RequestException,
    "aiohttp": aiohttp.ClientError,
}
"""The errors of each client."""
ERROR = "its own error"


@dataclass(frozen=True)
class ApiRow:
    """One thing that an API does, or the token endpoint behind a request to it.

    Attributes:
        faults: What is done to each connection to the API.
        result: The status that the caller gets, ERROR, or the error of this package.
        requests: How many requests reach the API.
        tokens: How many requests reach the token endpoint.
        endpoint: What is done to each connection to the token endpoint.
        place: Whether the API's port is open or closed.
        resent: aiohttp sends the GET once more by itself.
    """

    name: str
    faults: tuple[Fault, ...]
    result: int | str | type[DomoOAuthError]
    requests: int = 1
    tokens: int = 1
    endpoint: tuple[Fault, ...] = (grant,)
    place: str = "open"
    resent: bool = False

    def __str__(self) -> str:
        return self.name


SERVED, REFUSED = say(answer(200, b"[]")), say(answer(401, b"{}"))
HALF = answer(200, b"[", length=2)
ROWS = [
    ApiRow("an answer", (SERVED,), 200),
    ApiRow("refused", (SERVED,), ERROR, requests=0, place="closed"),
    ApiRow("reset on connecting", (reset_at_once,), ERROR, requests=0),
    ApiRow("closed in place of an answer", (say(b""),), ERROR, resent=True),
    ApiRow("reset in the body", (say_and_reset(HALF),), ERROR),
    ApiRow("truncated", (say(HALF),), ERROR),
    ApiRow("not HTTP", (say(b"SSH-2.0-OpenSSH_9.2\r\n"),), ERROR),
    ApiRow("broken gzip", (say(packed(b"no gzip")),), ERROR),
    ApiRow("403", (say(answer(403)),), 403),
    ApiRow("503", (say(answer(503)),), 503),
    ApiRow("401, and then reset", (REFUSED, say_and_reset()), ERROR, requests=2, tokens=2, resent=True),
    ApiRow("401, and then 503", (REFUSED, say(answer(503))), 503, requests=2, tokens=2),
    ApiRow("no token: 401", (SERVED,), InvalidClientError, requests=0, endpoint=(REFUSED,)),
    ApiRow("no token: 503", (SERVED,), ServerError, requests=0, tokens=4, endpoint=(say(answer(503)),)),
    ApiRow("no token: 503 once", (SERVED,), 200, tokens=2, endpoint=(say(answer(503)), grant)),
]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_api_faults_cost_no_needless_token_and_errors_arrive_unchanged(
    row, way, round_number, credentials, caplog, measure, secrets
):
    caplog.set_level(logging.DEBUG)
    own = OWN[way.library]
    with (
        nothing_left_behind(measure),
        closing(Server(*row.endpoint)) as endpoint,
        closing(Server(*row.faults, place=row.place)) as api,
    ):
        # The endpoint and the API have one origin; a proxy stands for the endpoint.
        args = {"timeout": PATIENCE, "proxy": endpoint.url}
        provider = TokenProvider(credentials, base_url=api.url, httpx_args=args, clock=Time().clock)
        try:
            got = measure.call(way.send, way.auth(provider), "GET", api.url)
        except (own, DomoOAuthError) as error:
            got = error
    shown = got if isinstance(got, int) else ERROR if isinstance(got, own) else type(got)

    assert shown == row.result, got
    assert len(api.requests) == row.requests + (row.resent and way.library == "aiohttp")
    assert len(endpoint.requests) == row.tokens
    assert measure.seconds < PATIENCE  # the server ended no call
    assert measure.mebibytes < 16
    assert all(f"Bearer {TOKEN}".encode() in request for request in api.requests)
    if isinstance(got, Exception):
        assert secrets.in_error(got, frames=isinstance(got, DomoOAuthError)) == []
    assert secrets.in_log(caplog.records) == []
