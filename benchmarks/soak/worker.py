"""One process of a group: callers that ask for tokens until stdin ends. It reports what happens as lines of JSON."""

from __future__ import annotations

import gc
import itertools
import json
import os
import queue
import random
import sys
import threading
import time
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import dateutil.parser  # noqa: F401 -- the first error loads it, and memory would grow once
import httpx
import httpx2
import requests
import trio  # noqa: F401 -- before two threads import it at once

import domo_oauth.request  # noqa: F401 -- to load it within the first fetch would take minutes of the year's clock
from domo_oauth import ClientCredentials, Clock, DomoAuth, DomoOAuthError, FileStore, RedisStore, TokenProvider
from domo_oauth.adapters import aiohttp as for_aiohttp
from domo_oauth.adapters import httpx2 as for_httpx2
from domo_oauth.adapters import requests as for_requests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

_PATIENCE = 70.0
"""Seconds for callers to end, as each waits up to 60 s for a token."""
_TIMEOUT = 5.0
_FOLDERS = {"descriptors": "fd", "threads": "task"}
_lock = threading.Lock()
_here = threading.local()
"""Of a fetch, as each has a thread of its own: its number, and when it last read the wall clock."""


def report(event: str, **what: object) -> None:
    with _lock:
        print(json.dumps({"event": event, **what}), flush=True)


def fast_clock(speed: float, seed: str) -> Clock:
    """A clock that runs so many times faster."""

    class Inbox:
        def __init__(self) -> None:
            self._queue = queue.SimpleQueue[Any]()
            self.put = self._queue.put

        def get(self, *, timeout: float) -> Any:
            return self._queue.get(timeout=timeout / speed)

    def wall() -> float:
        _here.asked = time.monotonic()
        return began + (time.time() - began) * speed

    began = time.time()
    return Clock(
        monotonic=lambda: time.monotonic() * speed,
        wall=wall,
        sleep=lambda seconds: time.sleep(seconds / speed),
        random=random.Random(seed).random,  # noqa: S311 -- not for secrets
        inbox=Inbox,
    )


class Watch(httpx.BaseTransport):
    """The transport of token requests, which reports each: when, and what came of it."""

    def __init__(self, who: str) -> None:
        self._who, self._ids, self._fetches = who, itertools.count(), itertools.count()
        # There is no TLS on loopback, and loading certificates takes long.
        self._inner = httpx.HTTPTransport(verify=False, limits=httpx.Limits(max_keepalive_connections=0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["X-Soak-Id"] = identity = f"{self._who}-{next(self._ids)}"
        fetch = _here.__dict__.setdefault("fetch", next(self._fetches))
        # A token's age begins when the provider reads its clocks, before it makes a client to send the request.
        found: dict[str, Any] = {"who": self._who, "id": identity, "fetch": fetch, "sent": _here.asked}
        try:
            response = self._inner.handle_request(request)
            try:
                content = response.read()
            finally:
                response.close()
        except Exception as error:
            report("try", **found, ended=time.monotonic(), outcome=type(error).__name__)
            raise
        if content.startswith(b'{"access_token"'):
            found["token"] = json.loads(content)["jti"]
        found["retry_after"] = float(response.headers.get("Retry-After", 0))
        report("try", **found, ended=time.monotonic(), outcome=str(response.status_code))
        return httpx.Response(response.status_code, headers=response.headers, content=content)


class Callers:
    """The threads and tasks that ask."""

    def __init__(self, who: str, url: str, provider: TokenProvider) -> None:
        self.calls: dict[str, int] = {}
        self._who, self._url, self._provider = who, f"{url}/v1/datasets", provider
        self._ended, self._threads = threading.Event(), list[threading.Thread]()

    def start(self, sync: list[str], asynchronous: dict[str, list[str]]) -> None:
        """Start a thread for each of the first, and one for each event loop."""
        for name in sync:
            self._threads.append(threading.Thread(target=self._work, args=(name,), name=name, daemon=True))
        for backend, names in asynchronous.items():
            run, options = anyio.run, {"backend": backend}
            args = self._loop, backend, names
            self._threads.append(threading.Thread(target=run, args=args, kwargs=options, name=backend, daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[str]:
        """End all, and return the names of the threads that did not."""
        self._ended.set()
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _work(self, name: str) -> None:
        with ExitStack() as stack:
            call = self._sync(name, stack)
            self.calls[name] = 0
            while not self._ended.wait(_pause(name)):
                with self._watched(name) as statuses:
                    statuses.append(call(self._headers()))

    async def _loop(self, backend: str, names: list[str]) -> None:
        async def work(name: str, title: str) -> None:
            async with AsyncExitStack() as stack:
                call = await self._async(name, stack)
                self.calls[title] = 0
                while not self._ended.is_set():
                    await anyio.sleep(_pause(name))
                    with self._watched(title) as statuses:
                        statuses.append(await call(self._headers()))

        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(work, name, f"{backend}: {name}")

    def _headers(self) -> dict[str, str]:
        return {"X-Soak-Who": self._who, "X-Soak-Asked": repr(time.monotonic())}

    @contextmanager
    def _watched(self, name: str) -> Generator[list[int], None, None]:
        """Count a call, and report one that did not succeed."""
        began, statuses, failed = time.monotonic(), list[int](), ("", "")
        try:
            yield statuses
            failed = ("answer", str(statuses[0])) if statuses != [200] else failed
        except DomoOAuthError as error:
            failed = "error", type(error).__name__
        except Exception as error:  # noqa: BLE001 -- of any HTTP client
            failed = "broken", repr(error)[:300]
        if failed[0]:
            report(failed[0], who=self._who, caller=name, began=began, ended=time.monotonic(), what=failed[1])
        self.calls[name] += 1

    def _sync(self, name: str, stack: ExitStack) -> Callable[[dict[str, str]], int]:
        client: Any
        match name:
            case "get_token":
                return lambda _: 200 if self._provider.get_token().access_token else 0
            case "httpx anew":  # as scripts and notebooks do

                def anew(headers: dict[str, str]) -> int:
                    auth = DomoAuth(self._provider)
                    with httpx.Client(auth=auth, timeout=_TIMEOUT, verify=False) as client:  # noqa: S501 -- loopback
                        return client.get(self._url, headers=headers).status_code

                return anew
            case "requests":
                client = requests.Session()
                client.trust_env, client.auth = False, for_requests.DomoAuth(self._provider)
            case "httpx2":
                client = httpx2.Client(auth=for_httpx2.DomoAuth(self._provider))
            case _:
                client = httpx.Client(auth=DomoAuth(self._provider))
        stack.enter_context(client)
        return lambda headers: int(client.get(self._url, headers=headers, timeout=_TIMEOUT).status_code)

    async def _async(self, name: str, stack: AsyncExitStack) -> Callable[[dict[str, str]], Awaitable[int]]:
        client: Any
        match name:
            case "aget_token":

                async def ask(_: dict[str, str]) -> int:
                    return 200 if (await self._provider.aget_token()).access_token else 0

                return ask
            case "aiohttp":
                # Its time-out includes the wait for a token, 60 s at most, and once more after a 401.
                auth, timeout = for_aiohttp.DomoAuth(self._provider), aiohttp.ClientTimeout(150.0)
                client = aiohttp.ClientSession(middlewares=[auth], timeout=timeout)
            case "httpx2":
                client = httpx2.AsyncClient(auth=for_httpx2.DomoAuth(self._provider), timeout=_TIMEOUT)
            case _:
                client = httpx.AsyncClient(auth=DomoAuth(self._provider), timeout=_TIMEOUT)
        await stack.enter_async_context(client)

        async def get(headers: dict[str, str]) -> int:
            response = await client.get(self._url, headers=headers)
            await (response.read() if name == "aiohttp" else response.aread())
            return int(response.status if name == "aiohttp" else response.status_code)

        return get


def _pause(name: str) -> float:
    """Seconds between two calls."""
    return random.uniform(0.5, 1.5) * (0.02 if name.endswith("get_token") else 0.2)  # noqa: S311


def resources() -> dict[str, float]:
    """Memory in bytes, and the numbers of descriptors (one of them for this look) and threads."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    counts = {name: len(os.listdir(f"/proc/self/{folder}")) for name, folder in _FOLDERS.items()}  # noqa: PTH208
    return {"at": time.monotonic(), "rss": pages * os.sysconf("SC_PAGE_SIZE"), **counts}


def main(*, who: str, url: str, speed: float, timeout: float, seed: str, store: str | None, every: float) -> None:
    ended = threading.Event()

    def wait_for_stdin() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_stdin, daemon=True).start()
    before = resources()
    shared = None if store is None else RedisStore(store) if store.startswith("redis:") else FileStore(store)
    provider = TokenProvider(
        ClientCredentials("soak-client", "soak-secret"),
        scopes=["data", "user"],
        store=shared,
        base_url=url,
        httpx_args={"transport": Watch(who), "timeout": timeout},
        clock=fast_clock(speed, seed),
    )
    callers = Callers(who, url, provider)
    if shared:
        callers.start(["get_token", "httpx"], {"asyncio": ["aget_token", "aiohttp"]})
    else:
        tasks = ["aget_token", "httpx", "httpx2"]
        sync = ["get_token", "httpx", "httpx anew", "httpx2", "requests"]
        callers.start(sync, {"asyncio": [*tasks, "aiohttp"], "trio": tasks})
    while not ended.wait(every):
        report("sample", **resources(), calls=sum(callers.calls.values()))
    left = callers.stop()
    if isinstance(shared, RedisStore):
        shared.close()
    until = time.monotonic() + _PATIENCE  # for a renewal in the background
    while True:
        gc.collect()
        after = resources()
        if time.monotonic() > until or all(after[name] <= before[name] for name in _FOLDERS):
            break
        time.sleep(0.05)
    report("end", before=before, after=after, left=left, callers=callers.calls)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
