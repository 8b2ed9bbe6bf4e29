"""Sends requests with each adapter, library and event loop; tests are parametrized over these ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True)
class Way:
    """A library, and for asynchronous clients an event loop."""

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
        body: Callable[[], dict[str, Any]] = dict,
        *,
        times: int = 1,
        raises: bool = False,
        verify: Any = False,
    ) -> Any:
        """Send requests with one client, and follow redirects. Returns the status of the last response.

        Args:
            raises: 4xx and 5xx are errors, and all statuses and errors are returned.
            verify: The TLS context, or False for none.
        """
        results: list[Any] = []
        if self.loop:
            options = {"debug": True} if self.debug else {}
            send = partial(self._send, auth, method, url, body, times, raises, verify, results)
            anyio.run(send, backend=self.loop, backend_options=options)
        else:
            with (by_requests if self.library == "requests" else self._httpx)(auth, raises, verify) as client:
                for _ in range(times):
                    try:
                        results.append(client.request(method, url, **body()).status_code)
                    except ERRORS as error:
                        error.response.close()
                        results.append(error)
        return results if raises else results[-1]

    async def _send(self, auth, method, url, body, times, raises, verify, results) -> None:
        if self.debug:
            asyncio.get_running_loop().slow_callback_duration = 0.0
        async with (by_aiohttp if self.library == "aiohttp" else self._httpx)(auth, raises, verify) as client:
            for _ in range(times):
                try:
                    if self.library == "aiohttp":
                        async with client.request(method, url, **body()) as response:
                            await response.read()
                            results.append(response.status)
                    else:
                        results.append((await client.request(method, url, **body())).status_code)
                except ERRORS as error:
                    results.append(error)

    def _httpx(self, auth, raises, verify) -> Any:
        def check(response: Any) -> None:
            if response.is_error:
                response.raise_for_status()

        async def async_check(response: Any) -> None:
            check(response)

        library = HTTPX[self.library]
        client, hook = (library.AsyncClient, async_check) if self.loop else (library.Client, check)
        hooks = {"response": [hook] if raises else []}
        args = {"follow_redirects": True, "event_hooks": hooks, "trust_env": False, "timeout": TIMEOUT}
        return client(auth=auth, verify=verify, **args)

    def __str__(self) -> str:
        return f"{self.library} {self.loop}".strip()


def by_requests(auth, raises, verify) -> requests.Session:
    session = requests.Session()
    session.trust_env, session.auth, session.verify = False, auth, verify
    session.hooks["response"] = [lambda response, **_: response.raise_for_status()] if raises else []
    return session


def by_aiohttp(auth, raises=False, verify=False, *, more=()) -> aiohttp.ClientSession:
    # With one connection at most, a response that is not released holds up the next request.
    connector = aiohttp.TCPConnector(limit=1, ssl=verify)
    args = {"connector": connector, "timeout": aiohttp.ClientTimeout(total=TIMEOUT)}
    return aiohttp.ClientSession(middlewares=(auth, *more), raise_for_status=raises, **args)


WAYS = [
    Way("httpx"),
    Way("httpx", "asyncio"),
    Way("httpx", "trio"),
    Way("httpx2"),
    Way("requests"),
    Way("aiohttp", "asyncio"),
]
