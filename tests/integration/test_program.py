"""Whole programs that use the package: a day with several HTTP clients, and the official SDK in the same process."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import socketserver
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import aiohttp
import httpx
import pytest
import requests
import trustme

from domo_oauth import ClientCredentials, Clock, DomoAuth, TokenProvider
from domo_oauth.adapters import aiohttp as for_aiohttp
from domo_oauth.adapters import requests as for_requests

DAY, TICK, LIFETIME = 86400, 120, 3599
"""Seconds: a day, from each call of a client to its next, and what the sandbox's tokens live for, as Domo's do."""


# --- A simulated day -------------------------------------------------------------------------------------------------


class Day:
    """The time of day, which moves only where the test moves it, and chance, which is none."""

    def __init__(self) -> None:
        self.now = 0
        self.threads = []
        chance = itertools.cycle([0.0, 0.5, 0.999])
        self.clock = Clock(
            monotonic=lambda: float(self.now),
            wall=lambda: 1_800_000_000.0 + self.now,
            random=lambda: next(chance),
            start=self.start,
        )

    def start(self, run):
        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def end_fetches(self):
        """Wait until the token that the background fetches is there: the clock stands still meanwhile."""
        while self.threads:
            self.threads.pop().join()


@contextmanager
def by_httpx(url, provider):
    with httpx.Client(auth=DomoAuth(provider)) as client:

        def call():
            response = client.get(url)
            return response.status_code, response.request.headers["Authorization"]

        yield call


@contextmanager
def by_async_httpx(url, provider):
    with asyncio.Runner() as loop:
        client = httpx.AsyncClient(auth=DomoAuth(provider))

        def call():
            response = loop.run(client.get(url))
            return response.status_code, response.request.headers["Authorization"]

        yield call
        loop.run(client.aclose())


@contextmanager
def by_requests(url, provider):
    with requests.Session() as session:
        session.auth = for_requests.DomoAuth(provider)

        def call():
            response = session.get(url, timeout=20)
            return response.status_code, response.request.headers["Authorization"]

        yield call


@contextmanager
def by_aiohttp(url, provider):
    async def open_session():
        return aiohttp.ClientSession(middlewares=[for_aiohttp.DomoAuth(provider)])

    async def get(session):
        async with session.get(url) as response:
            await response.read()
            return response.status, response.request_info.headers["Authorization"]

    with asyncio.Runner() as loop:
        session = loop.run(open_session())
        yield lambda: loop.run(get(session))
        loop.run(session.close())


def test_a_day_of_a_program_with_four_clients(domo_sandbox):
    """They call at once, on threads of their own, with one provider: 26 token requests in 24 hours."""
    day, asked, granted = Day(), [], {}
    hooks = {"event_hooks": {"request": [lambda _: asked.append(day.now)]}}
    clients = [by_httpx, by_requests, by_async_httpx, by_aiohttp]
    with ExitStack() as stack:
        provider = TokenProvider(ClientCredentials.from_env(), clock=day.clock, httpx_args=hooks)
        calls = [stack.enter_context(client(f"{domo_sandbox.url}/v1/datasets", provider)) for client in clients]
        threads = stack.enter_context(ThreadPoolExecutor(len(calls)))
        for day.now in range(0, DAY, TICK):
            answers = [each.result(20) for each in [threads.submit(call) for call in calls]]
            day.end_fetches()
            granted.setdefault(f"Bearer {provider.get_token().access_token}", day.now)
            for status, authorization in answers:
                assert status == 200
                assert day.now - granted[authorization] < LIFETIME

    # A token is stale 3299 s after it was asked for, or up to 75 s later, as chance has it: after 3299, 3336.5 and
    # 3373.9 s in turn. The first call from then on has the next one fetched. Tokens used up to their last second would
    # still take 25 requests a day; with calls all the time it is 26, or 27 where chance averages less than a third.
    replaced_after = itertools.cycle([28 * TICK, 28 * TICK, 29 * TICK])
    assert asked == list(itertools.takewhile(DAY.__gt__, itertools.accumulate(replaced_after, initial=0)))
    assert len(asked) == len(granted) == 26
    seen = domo_sandbox.stats()
    assert (seen.token_requests, seen.tokens_issued) == (26, 26)
    assert (seen.resource_requests, seen.invalid_token) == (len(calls) * DAY // TICK, 0)
    counted = provider.stats()
    assert counted.refreshes == 25  # in the background
    assert counted.waits <= len(clients)  # for the first token only
    assert counted.failures == 0


# --- Beside the official SDK -----------------------------------------------------------------------------------------


ANSWERS = {
    "POST /v1/datasets": ("200 OK", '{"id": "d1"}'),
    "GET /v1/datasets": ("200 OK", '[{"id": "d1"}]'),
    "PUT /v1/datasets/d1": ("200 OK", '{"id": "d1"}'),
    "DELETE /v1/datasets/d1": ("204 No Content", ""),
    "PUT /v1/datasets/d1/data": ("204 No Content", ""),
    "GET /v1/datasets/d1/data": ("200 OK", "city,bicycles\nGhent,3\n"),
    "GET /v1/datasets/refused": ("401 Unauthorized", '{"error": "invalid_token"}'),
}


class Api(socketserver.ThreadingTCPServer):
    """Plays Domo's API for pydomo: the same answers in each run. It keeps each request as it came, to the byte."""

    def __init__(self, tls):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.start_again()

    def start_again(self):
        self.seen = []
        self.tokens = iter([jwt(0), jwt(4_000_000_000)])  # the first has expired already: a second is asked for

    def answer(self, route):
        if route == "POST /oauth/token":
            return "200 OK", json.dumps({"access_token": next(self.tokens), "token_type": "bearer"})
        return ANSWERS[route]


class Conversation(socketserver.StreamRequestHandler):
    server: Api

    def handle(self):
        head = b""
        for line in self.rfile:
            head += line
            if line == b"\r\n":
                length = re.search(rb"(?i)content-length: *([0-9]+)", head)
                self.server.seen.append(head + self.rfile.read(int(length[1]) if length else 0))
                status, body = self.server.answer(re.match(r"\S+ [^ ?]+", head.decode())[0])
                self.wfile.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                head = b""


def jwt(expires_at):
    """As much of a JWT (RFC 7519) as pydomo reads."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires_at}).encode()).decode().rstrip("=")
    return f"e30.{claims}.signature"


@pytest.fixture
def api(tmp_path, monkeypatch):
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    with Api(tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


SCRIPT = """
import os, sys
from contextlib import ExitStack

host, beside = sys.argv[1], sys.argv[2] == "beside"
stack, others = ExitStack(), []
if beside:
    import httpx, requests
    import domo_oauth, domo_oauth.adapters.requests

    session = stack.enter_context(requests.Session())
    session.auth = domo_oauth.adapters.requests.DomoAuth.from_env()
    others += [session, stack.enter_context(httpx.Client(auth=domo_oauth.DomoAuth.from_env()))]

import pydomo

def meanwhile():
    for other in others:
        other.get(os.environ["DOMO_API_URL"] + "/v1/datasets").raise_for_status()

with stack:
    meanwhile()
    sdk = pydomo.Domo(os.environ["DOMO_CLIENT_ID"], os.environ["DOMO_CLIENT_SECRET"], api_host=host, scope=["data"])
    for step in (
        lambda: sdk.datasets.create({"name": "bicycles"}),
        lambda: list(sdk.datasets.list(limit=1)),
        lambda: sdk.datasets.update("d1", {"name": "more bicycles"}),
        lambda: sdk.datasets.data_import("d1", "Ghent,3"),
        lambda: sdk.ds_get("d1", use_schema=False),
        lambda: sdk.datasets.get("refused"),
        lambda: sdk.datasets.delete("d1"),
    ):
        meanwhile()
        try:
            print(step())
        except Exception as error:
            print("Failed:", error)
    assert ("domo_oauth" in sys.modules) == beside
"""


def test_the_official_sdk_notices_nothing(api, domo_sandbox):
    """pydomo sends the same bytes in the same order, alone and in a process that uses this package in between."""
    seen, printed = {}, {}
    for company, calls in {"alone": 0, "beside": 16}.items():
        api.start_again()
        command = [sys.executable, "-c", SCRIPT, f"127.0.0.1:{api.server_address[1]}", company]
        printed[company] = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=60).stdout
        seen[company] = api.seen
        assert domo_sandbox.stats().resource_requests == calls
    assert seen["beside"] == seen["alone"]
    assert printed["beside"] == printed["alone"]
    # The token, once more as the first had expired, and then the steps.
    methods = "POST POST POST GET PUT PUT GET GET DELETE"
    assert " ".join(request.split()[0].decode() for request in seen["alone"]) == methods
    assert printed["alone"].count("Failed:") == 1
    assert domo_sandbox.stats().token_requests == 1
