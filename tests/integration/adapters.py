"""All ways to send requests with an adapter, and a server that plays Domo's API."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import aiohttp
import anyio
import httpx
import httpx2
import requests

from domo_oauth import ClientCredentials, TokenProvider
from domo_oauth.adapters import aiohttp as for_aiohttp
from domo_oauth.adapters import httpx as for_httpx
from domo_oauth.adapters import httpx2 as for_httpx2
from domo_oauth.adapters import requests as for_requests

ADAPTERS = {"httpx": for_httpx, "httpx2": for_httpx2, "requests": for_requests, "aiohttp": for_aiohttp}
HTTPX = {"httpx": httpx, "httpx2": httpx2}


_numbers = itertools.count()


class Seen(NamedTuple):
    path: str
    token: str | None
    body: bytes


class Api(ThreadingHTTPServer):
    """Answers 200, but 401 to the next ``refuse`` requests, and 307 to the paths in ``redirects``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refuse = 0
        self.is_hasty = False
        """Refuses before it reads the body."""
        self.redirects: dict[str, str] = {}
        self.seen: list[Seen] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *args: object) -> None:
        """Clients may break off."""

    @property
    def tokens(self) -> list[str | None]:
        return [request.token for request in self.seen]


class _Handler(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        location = self.server.redirects.get(self.path)
        status = 307 if location else 401 if self.server.refuse > 0 else 200
        self.server.refuse -= status == 401
        refuses_at_once = self.server.is_hasty and status == 401
        if refuses_at_once:
            self.respond(status, location)
        body = self.read()
        token = self.headers.get("Authorization")
        self.server.seen.append(Seen(self.path, token and token.removeprefix("Bearer "), body))
        if not refuses_at_once:
            self.respond(status, location)

    do_GET = do_POST = do_PUT = answer

    def read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def respond(self, status: int, location: str | None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Grants:
    """Grants ``token-1``, ``token-2`` and so on, up to ``most``; a transport for ``httpx_args``."""

    def __init__(self) -> None:
        self.granted = 0
        self.most = 1000

    def provider(self, base_url: str) -> TokenProvider:
        args = {"transport": httpx.MockTransport(self._answer)}
        # Providers with equal credentials and URLs may share a token, and ports are used again.
        credentials = ClientCredentials(f"client-{next(_numbers)}", "canary-secret")
        return TokenProvider(credentials, base_url=base_url, httpx_args=args)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.granted >= self.most:
            return httpx.Response(401, json={"error": "invalid_client", "error_description": "Bad credentials"})
        self.granted += 1
        fields = {"token_type": "bearer", "expires_in": 3600, "customer": "acmecompany"}
        return httpx.Response(200, json={"access_token": f"token-{self.granted}", **fields})


Body = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Way:
    """A library, and for httpx's asynchronous clients an event loop."""

    library: str
    loop: str = ""

    def auth(self, provider: TokenProvider, **args: Any) -> Any:
        return ADAPTERS[self.library].DomoAuth(provider, **args)

    def send(self, auth: Any, method: str, url: str, body: Body = dict, *, times: int = 1, raises: bool = False) -> Any:
        """Send requests with one client, and follow redirects. Returns the status of the last response.

        Args:
            raises: Errors of the library take the place of a status; all results are returned. 4xx is an error.
        """
        call = (auth, method, url, body, times, raises)
        if self.library == "requests":
            results = _by_requests(*call)
        elif self.library == "aiohttp":
            results = anyio.run(_by_aiohttp, *call)
        elif self.loop:
            results = anyio.run(_by_async_httpx, HTTPX[self.library], *call, backend=self.loop)
        else:
            results = _by_httpx(HTTPX[self.library], *call)
        return results if raises else results[-1]

    def __str__(self) -> str:
        return f"{self.library} {self.loop}".strip()


def _by_httpx(library, auth, method, url, body, times, raises) -> list[Any]:
    def check(response: Any) -> None:
        if response.is_error:
            response.raise_for_status()

    hooks = {"response": [check]} if raises else {}
    results: list[Any] = []
    with library.Client(auth=auth, trust_env=False, follow_redirects=True, event_hooks=hooks) as client:
        for _ in range(times):
            try:
                results.append(client.request(method, url, **body()).status_code)
            except library.HTTPStatusError as error:
                results.append(error)
    return results


async def _by_async_httpx(library, auth, method, url, body, times, raises) -> list[Any]:
    async def check(response: Any) -> None:
        if response.is_error:
            response.raise_for_status()

    hooks = {"response": [check]} if raises else {}
    results: list[Any] = []
    async with library.AsyncClient(auth=auth, trust_env=False, follow_redirects=True, event_hooks=hooks) as client:
        for _ in range(times):
            try:
                results.append((await client.request(method, url, **body())).status_code)
            except library.HTTPStatusError as error:
                results.append(error)
    return results


def _by_requests(auth, method, url, body, times, raises) -> list[Any]:
    results: list[Any] = []
    with requests.Session() as session:
        session.trust_env, session.auth = False, auth
        if raises:
            session.hooks["response"] = [lambda response, **_: response.raise_for_status()]
        for _ in range(times):
            try:
                results.append(session.request(method, url, timeout=20, **body()).status_code)
            except requests.HTTPError as error:
                error.response.close()
                results.append(error)
    return results


async def _by_aiohttp(auth, method, url, body, times, raises) -> list[Any]:
    results: list[Any] = []
    # With one connection at most, a response that is not released holds up the next request.
    args = {"connector": aiohttp.TCPConnector(limit=1), "timeout": aiohttp.ClientTimeout(total=20)}
    async with aiohttp.ClientSession(middlewares=(auth,), raise_for_status=raises, **args) as session:
        for _ in range(times):
            try:
                async with session.request(method, url, **body()) as response:
                    await response.read()
                    results.append(response.status)
            except aiohttp.ClientResponseError as error:
                results.append(error)
    return results


WAYS = [
    *(Way(library, loop) for library in HTTPX for loop in ("", "asyncio", "trio")),
    Way("requests"),
    Way("aiohttp"),
]
