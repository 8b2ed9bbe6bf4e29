"""Who asks for tokens: every adapter, on threads and in tasks, over and over until the end."""

from __future__ import annotations

import random
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeAlias

import aiohttp
import anyio
import httpx
import httpx2
import requests
import trio  # noqa: F401 -- before the threads, two of which would import it at once

from domo_oauth import DomoAuth, DomoOAuthError, TokenProvider
from domo_oauth.adapters import aiohttp as for_aiohttp
from domo_oauth.adapters import httpx2 as for_httpx2
from domo_oauth.adapters import requests as for_requests

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from .events import Events

    Headers: TypeAlias = dict[str, str]
    Call: TypeAlias = Callable[[Headers], int]
    AsyncCall: TypeAlias = Callable[[Headers], Awaitable[int]]

__all__ = ["Callers"]

_TIMEOUT, _TOTAL_TIMEOUT = 5.0, 150.0
"""Seconds for a request to the API, which is never slow: far more than it takes. The second is aiohttp's, whose count
goes on while a call waits for a token: for 60 s at most, and once more after a 401."""
_API_PAUSE, _TOKEN_PAUSE = 0.2, 0.02
"""Seconds between the calls of one caller, on average."""
_PATH = "/v1/datasets"


class Callers:
    """The threads and tasks of one process."""

    def __init__(self, who: str, url: str, provider: TokenProvider, events: Events) -> None:
        self.url = url
        self.provider = provider
        self.calls: dict[str, int] = {}
        """How many calls each caller has made."""
        self._who, self._events = who, events
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._seen: str | None = None

    def start(self, sync: list[str], asynchronous: dict[str, list[str]]) -> None:
        """Start a thread for each of the first, and one for each event loop with its tasks."""
        for name in sync:
            self._run(self._work, name)
        for backend, names in asynchronous.items():
            self._run(self._loop, backend, names)

    def stop(self, patience: float) -> list[str]:
        """Let all end; the names of those threads that did not."""
        self._stop.set()
        until = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=f"soak-{args[0]}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, name: str) -> None:
        self.calls[name] = 0
        with SYNC[name](self) as call:
            while not self._stop.wait(_pause(name)):
                with self._watched(name) as told:
                    told.append(call(self._headers()))

    def _loop(self, backend: str, names: list[str]) -> None:
        async def main() -> None:
            async with anyio.create_task_group() as group:
                for name in names:
                    group.start_soon(self._task, f"{backend}: {name}", name)

        anyio.run(main, backend=backend)

    async def _task(self, title: str, name: str) -> None:
        self.calls[title] = 0
        async with ASYNC[name](self) as call:
            while not self._stop.is_set():
                await anyio.sleep(_pause(name))
                with self._watched(title) as told:
                    told.append(await call(self._headers()))

    def _headers(self) -> Headers:
        return {"X-Soak-Who": self._who, "X-Soak-Asked": repr(time.monotonic())}

    @contextmanager
    def _watched(self, name: str) -> Generator[list[int], None, None]:
        """Count a call, and write down what its caller would not like."""
        began, told = time.monotonic(), list[int]()
        try:
            yield told
        except DomoOAuthError as error:
            self._events.write("error", caller=name, began=began, ended=time.monotonic(), error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 -- of the HTTP client, whatever it is: judged by when it came
            self._events.write("broken", caller=name, began=began, ended=time.monotonic(), error=repr(error)[:300])
        else:
            if told != [200]:
                self._events.write("answer", caller=name, began=began, ended=time.monotonic(), status=told[0])
        self.calls[name] += 1

    def seen(self, serial: str | None) -> int:
        """Write down that the provider has this token by now."""
        if serial != self._seen:
            self._seen = serial
            self._events.write("seen", token=serial)
        return 200


def _pause(name: str) -> float:
    return random.uniform(0.5, 1.5) * (_TOKEN_PAUSE if name.endswith("get_token") else _API_PAUSE)  # noqa: S311


@contextmanager
def _get_token(callers: Callers) -> Generator[Call, None, None]:
    yield lambda _: callers.seen(callers.provider.get_token().jti)


@contextmanager
def _httpx(callers: Callers) -> Generator[Call, None, None]:
    with httpx.Client(auth=DomoAuth(callers.provider), timeout=_TIMEOUT) as client:
        yield lambda headers: client.get(callers.url + _PATH, headers=headers).status_code


@contextmanager
def _httpx_anew(callers: Callers) -> Generator[Call, None, None]:
    """A client for each call, as scripts and notebooks make them."""

    def call(headers: Headers) -> int:
        with httpx.Client(auth=DomoAuth(callers.provider), timeout=_TIMEOUT, verify=False) as client:  # noqa: S501
            return client.get(callers.url + _PATH, headers=headers).status_code

    yield call


@contextmanager
def _httpx2(callers: Callers) -> Generator[Call, None, None]:
    auth = for_httpx2.DomoAuth(callers.provider)
    with httpx2.Client(auth=auth, timeout=_TIMEOUT) as client:
        yield lambda headers: client.get(callers.url + _PATH, headers=headers).status_code


@contextmanager
def _requests(callers: Callers) -> Generator[Call, None, None]:
    with requests.Session() as session:
        session.trust_env = False
        session.auth = for_requests.DomoAuth(callers.provider)
        yield lambda headers: session.get(callers.url + _PATH, headers=headers, timeout=_TIMEOUT).status_code


@asynccontextmanager
async def _aget_token(callers: Callers) -> AsyncGenerator[AsyncCall, None]:
    async def call(_: Headers) -> int:
        return callers.seen((await callers.provider.aget_token()).jti)

    yield call


@asynccontextmanager
async def _async_httpx(callers: Callers) -> AsyncGenerator[AsyncCall, None]:
    async with httpx.AsyncClient(auth=DomoAuth(callers.provider), timeout=_TIMEOUT) as client:

        async def call(headers: Headers) -> int:
            return (await client.get(callers.url + _PATH, headers=headers)).status_code

        yield call


@asynccontextmanager
async def _async_httpx2(callers: Callers) -> AsyncGenerator[AsyncCall, None]:
    auth = for_httpx2.DomoAuth(callers.provider)
    async with httpx2.AsyncClient(auth=auth, timeout=_TIMEOUT) as client:

        async def call(headers: Headers) -> int:
            return (await client.get(callers.url + _PATH, headers=headers)).status_code

        yield call


@asynccontextmanager
async def _aiohttp(callers: Callers) -> AsyncGenerator[AsyncCall, None]:
    auth, timeout = for_aiohttp.DomoAuth(callers.provider), aiohttp.ClientTimeout(_TOTAL_TIMEOUT)
    async with aiohttp.ClientSession(middlewares=[auth], timeout=timeout) as session:

        async def call(headers: Headers) -> int:
            async with session.get(callers.url + _PATH, headers=headers) as response:
                await response.read()
                return response.status

        yield call


SYNC = {
    "get_token": _get_token,
    "httpx": _httpx,
    "httpx anew": _httpx_anew,
    "httpx2": _httpx2,
    "requests": _requests,
}
ASYNC = {"aget_token": _aget_token, "httpx": _async_httpx, "httpx2": _async_httpx2, "aiohttp": _aiohttp}
