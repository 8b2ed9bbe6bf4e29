"""All ways to send requests with an adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

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
ERRORS = (httpx.HTTPStatusError, httpx2.HTTPStatusError, requests.HTTPError, aiohttp.ClientResponseError)
TIMEOUT = 30


class Grants:
    """Grants ``token-1``, ``token-2`` and so on, up to ``most``; a transport for ``httpx_args``."""

    def __init__(self) -> None:
        self.granted, self.most = 0, 1000

    def provider(self, base_url: str) -> TokenProvider:
        args = {"transport": httpx.MockTransport(self._answer)}
        return TokenProvider(ClientCredentials("client", "canary-secret"), base_url=base_url, httpx_args=args)

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
    debug: bool = False
    """Whether asyncio logs each step of each task, and what it is called with."""

    def auth(self, provider: TokenProvider, **args: Any) -> Any:
        return ADAPTERS[self.library].DomoAuth(provider, **args)

    def send(
        self,
        auth: Any,
        method: str,
        url: str,
        body: Body = dict,
        *,
        times: int = 1,
        raises: bool = False,
        verify: Any = False,
        trust_env: bool = False,
    ) -> Any:
        """Send requests with one client, and follow redirects. Returns the status of the last response.

        Args:
            raises: 4xx and 5xx are errors, and all statuses and errors are returned.
            verify: The TLS context, or False for none.
            trust_env: Whether the proxies of the environment are used.
        """
        client = CLIENTS[self.library + ("-async" if self.loop else "")]
        opened = client(self, auth, raises, verify, trust_env)
        if not self.loop:
            with opened as ask:
                results = [result(ask, method, url, body) for _ in range(times)]
        else:

            async def run() -> list[Any]:
                if self.debug:
                    asyncio.get_running_loop().slow_callback_duration = 0.0
                async with opened as ask:
                    return [await aresult(ask, method, url, body) for _ in range(times)]

            options = {"debug": True} if self.debug else {}
            results = anyio.run(run, backend=self.loop, backend_options=options)
        return results if raises else results[-1]

    def __str__(self) -> str:
        return f"{self.library} {self.loop}".strip()


def result(ask: Callable[..., int], method: str, url: str, body: Body) -> Any:
    try:
        return ask(method, url, **body())
    except ERRORS as error:
        return error


async def aresult(ask: Callable[..., Any], method: str, url: str, body: Body) -> Any:
    try:
        return await ask(method, url, **body())
    except ERRORS as error:
        return error


@contextmanager
def by_httpx(way, auth, raises, verify, trust_env) -> Iterator[Callable[..., int]]:
    hooks = {"response": [lambda response: response.is_error and response.raise_for_status()]} if raises else {}
    args = {"follow_redirects": True, "event_hooks": hooks, "timeout": TIMEOUT}
    with HTTPX[way.library].Client(auth=auth, trust_env=trust_env, verify=verify, **args) as client:
        yield lambda *args, **body: client.request(*args, **body).status_code


@asynccontextmanager
async def by_async_httpx(way, auth, raises, verify, trust_env) -> AsyncIterator[Callable[..., Any]]:
    async def check(response: Any) -> None:
        if response.is_error:
            response.raise_for_status()

    async def ask(*args: Any, **body: Any) -> int:
        return (await client.request(*args, **body)).status_code

    args = {"follow_redirects": True, "event_hooks": {"response": [check]} if raises else {}, "timeout": TIMEOUT}
    async with HTTPX[way.library].AsyncClient(auth=auth, trust_env=trust_env, verify=verify, **args) as client:
        yield ask


@contextmanager
def by_requests(way, auth, raises, verify, trust_env) -> Iterator[Callable[..., int]]:
    def ask(*args: Any, **body: Any) -> int:
        try:
            return session.request(*args, timeout=TIMEOUT, verify=verify, **body).status_code
        except requests.HTTPError as error:
            error.response.close()
            raise

    with requests.Session() as session:
        session.trust_env, session.auth = trust_env, auth
        if raises:
            session.hooks["response"] = [lambda response, **_: response.raise_for_status()]
        yield ask


@asynccontextmanager
async def by_aiohttp(way, auth, raises, verify, trust_env) -> AsyncIterator[Callable[..., Any]]:
    # With one connection at most, a response that is not released holds up the next request.
    connector = aiohttp.TCPConnector(limit=1, ssl=verify)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)

    async def ask(*args: Any, **body: Any) -> int:
        async with session.request(*args, **body) as response:
            await response.read()
            return response.status

    async with aiohttp.ClientSession(
        middlewares=(auth,), raise_for_status=raises, connector=connector, timeout=timeout, trust_env=trust_env
    ) as session:
        yield ask


CLIENTS = {
    "httpx": by_httpx,
    "httpx2": by_httpx,
    "httpx-async": by_async_httpx,
    "httpx2-async": by_async_httpx,
    "requests": by_requests,
    "aiohttp-async": by_aiohttp,
}
WAYS = [
    Way("httpx"),
    Way("httpx", "asyncio"),
    Way("httpx", "trio"),
    Way("httpx2"),
    Way("requests"),
    Way("aiohttp", "asyncio"),
]
