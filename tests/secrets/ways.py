"""All ways to send a request with a token: each takes a provider, a URL and header fields, and gives the status."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import TypeAlias

import aiohttp
import anyio
import httpx
import httpx2
import requests

from domo_oauth import TokenProvider
from domo_oauth.adapters.aiohttp import DomoAuth as AiohttpAuth
from domo_oauth.adapters.httpx import DomoAuth as HttpxAuth
from domo_oauth.adapters.httpx2 import DomoAuth as Httpx2Auth
from domo_oauth.adapters.requests import DomoAuth as RequestsAuth

Headers: TypeAlias = Mapping[str, str]
Way: TypeAlias = Callable[..., int]
TRUST_NOBODY = ""
"""In the place of a file of certificate authorities: no TLS is spoken."""


def run_watched(main: Callable[[], Coroutine[None, None, int]]) -> int:
    """Run under asyncio with all that it can be made to log: each step of each task, and what it is called with."""

    async def run() -> int:
        asyncio.get_running_loop().slow_callback_duration = 0.0
        return await main()

    return asyncio.run(run(), debug=True)


def _context(authority: str) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=authority) if authority else False


def by_httpx(provider: TokenProvider, url: str, headers: Headers, authority: str = TRUST_NOBODY) -> int:
    with httpx.Client(auth=HttpxAuth(provider), follow_redirects=True, verify=_context(authority)) as client:
        return client.get(url, headers=headers).raise_for_status().status_code


def by_async_httpx(provider: TokenProvider, url: str, headers: Headers, authority: str = TRUST_NOBODY) -> int:
    async def run() -> int:
        context = _context(authority)
        async with httpx.AsyncClient(auth=HttpxAuth(provider), follow_redirects=True, verify=context) as client:
            return (await client.get(url, headers=headers)).raise_for_status().status_code

    return anyio.run(run, backend="trio")


def by_httpx2(provider: TokenProvider, url: str, headers: Headers, authority: str = TRUST_NOBODY) -> int:
    with httpx2.Client(auth=Httpx2Auth(provider), follow_redirects=True, verify=_context(authority)) as client:
        return client.get(url, headers=headers).raise_for_status().status_code


def by_async_httpx2(provider: TokenProvider, url: str, headers: Headers, authority: str = TRUST_NOBODY) -> int:
    async def run() -> int:
        context = _context(authority)
        async with httpx2.AsyncClient(auth=Httpx2Auth(provider), follow_redirects=True, verify=context) as client:
            return (await client.get(url, headers=headers)).raise_for_status().status_code

    return run_watched(run)


def by_requests(provider: TokenProvider, url: str, headers: Headers, authority: str = TRUST_NOBODY) -> int:
    with requests.Session() as session:
        session.auth = RequestsAuth(provider)
        response = session.get(url, headers=headers, timeout=60, verify=authority or False)
        response.raise_for_status()
        return response.status_code


def by_aiohttp(provider: TokenProvider, url: str, headers: Headers, authority: str = TRUST_NOBODY) -> int:
    async def run() -> int:
        auth = AiohttpAuth(provider)
        async with (
            aiohttp.ClientSession(middlewares=(auth,), raise_for_status=True, trust_env=True) as session,
            session.get(url, headers=headers, ssl=_context(authority)) as response,
        ):
            await response.read()
            return response.status

    return run_watched(run)


WAYS: dict[str, Way] = {
    "httpx": by_httpx,
    "httpx async": by_async_httpx,
    "httpx2": by_httpx2,
    "httpx2 async": by_async_httpx2,
    "requests": by_requests,
    "aiohttp": by_aiohttp,
}
