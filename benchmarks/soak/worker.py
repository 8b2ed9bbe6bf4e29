"""One process of a group: callers that ask for tokens until stdin ends. It reports what happens as lines of JSON."""

from __future__ import annotations

import gc
import json
import os
import queue
import random
import sys
import threading
import time
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import anyio.to_thread
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
    from collections.abc import Callable

_PATIENCE = 70.0
"""Seconds for callers to end, as each waits up to 60 s for a token."""
_TIMEOUT = 5.0
_FOLDERS = {"descriptors": "fd", "threads": "task"}
_lock = threading.Lock()
_here = threading.local()
"""Of a fetch, as each has a thread of its own: its requests so far, and when it last read the wall clock."""


def report(event: str, **what: object) -> None:
    with _lock:
        print(json.dumps({"event": event, **what}), flush=True)


def fast_clock(speed: float, who: str, seed: str) -> Clock:
    """A clock that runs ``speed`` times faster, and reports each fetch that sent a request."""

    class Inbox(queue.SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002
            return super().get(block, timeout and timeout / speed)

    def wall() -> float:
        _here.asked = time.monotonic()
        return began + (time.time() - began) * speed

    def start(run: Callable[[], object]) -> None:
        started = time.monotonic()

        def fetch() -> None:
            _here.fetch = {"who": who, "tries": 0, "started": started}
            run()
            if _here.fetch["tries"]:
                report("fetch", **_here.fetch)

        Clock().start(fetch)

    began = time.time()
    return Clock(
        monotonic=lambda: time.monotonic() * speed,
        wall=wall,
        sleep=lambda seconds: time.sleep(seconds / speed),
        random=random.Random(seed).random,  # noqa: S311 -- not for secrets
        start=start,
        inbox=Inbox,
    )


class Watch(httpx.BaseTransport):
    """The transport of token requests, which notes when they were sent and what came of them."""

    def __init__(self) -> None:
        # There is no TLS on loopback, and loading certificates takes long.
        self._inner = httpx.HTTPTransport(verify=False, limits=httpx.Limits(max_keepalive_connections=0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        fetch: dict[str, Any] = _here.fetch
        # A token's age begins when the provider reads its clocks, before it makes a client to send the request.
        fetch |= {"asked": _here.asked, "began": fetch.get("began", _here.asked), "tries": fetch["tries"] + 1}
        fetch["retry_after"] = 0.0
        try:
            response = self._inner.handle_request(request)
            try:
                content = response.read()
            finally:
                response.close()
        finally:
            fetch["ended"] = time.monotonic()
        if content.startswith(b'{"access_token"'):
            fetch["token"] = json.loads(content)["jti"]
        fetch["retry_after"] = float(response.headers.get("Retry-After", 0))
        return httpx.Response(response.status_code, headers=response.headers, content=content)


class Callers:
    """Tasks that call through one adapter each, those of synchronous clients on threads."""

    def __init__(self, who: str, url: str, provider: TokenProvider) -> None:
        self.calls: dict[str, int] = {}
        self._who, self._url, self._provider = who, f"{url}/v1/datasets", provider
        self._ended, self._working, self._loops = threading.Event(), set[str](), list[threading.Thread]()

    def start(self, backend: str, *names: str) -> None:
        """Start an event loop with these callers."""
        loop = threading.Thread(target=anyio.run, args=(self._run, backend, names), kwargs={"backend": backend})
        loop.daemon = True
        loop.start()
        self._loops.append(loop)

    def stop(self) -> list[str]:
        """End all, and return the names of those that did not."""
        self._ended.set()
        until = time.monotonic() + _PATIENCE
        for loop in self._loops:
            loop.join(max(0.0, until - time.monotonic()))
        return sorted(self._working)

    async def _run(self, backend: str, names: tuple[str, ...]) -> None:
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(self._work, name, f"{backend}: {name}")

    async def _work(self, name: str, title: str) -> None:
        self._working.add(title)
        self.calls[title] = 0
        made = client_of(name, self._provider)
        async with AsyncExitStack() as stack:
            asynchronous = hasattr(made, "__aenter__")
            client = await stack.enter_async_context(made) if asynchronous else stack.enter_context(made)
            while not self._ended.is_set():
                await anyio.sleep(random.uniform(0.5, 1.5) * (0.02 if name.endswith("get_token") else 0.2))  # noqa: S311
                began, status, failed = time.monotonic(), 0, ("", "")
                try:
                    status = await self._call(name, client)
                    failed = ("answer", str(status)) if status != 200 else failed
                except DomoOAuthError as error:
                    failed = "error", type(error).__name__
                except Exception as error:  # noqa: BLE001 -- of any HTTP client
                    failed = "broken", repr(error)[:300]
                if failed[0]:
                    ended = time.monotonic()
                    report(failed[0], who=self._who, caller=title, began=began, ended=ended, what=failed[1])
                self.calls[title] += 1
        self._working.discard(title)

    async def _call(self, name: str, client: Any) -> int:
        """Make a call, and return its status."""
        headers = {"X-Soak-Who": self._who, "X-Soak-Asked": repr(time.monotonic())}
        match name:
            case "get_token":
                await anyio.to_thread.run_sync(self._provider.get_token)
                return 200
            case "aget_token":
                await self._provider.aget_token()
                return 200
            case "httpx anew":
                response = await anyio.to_thread.run_sync(self._get_anew, headers)
            case "aiohttp":
                async with client.get(self._url, headers=headers) as answer:
                    await answer.read()
                    return int(answer.status)
            case "async httpx" | "async httpx2":
                response = await client.get(self._url, headers=headers)
            case _:
                get = partial(client.get, self._url, headers=headers, timeout=_TIMEOUT)
                response = await anyio.to_thread.run_sync(get)
        return int(response.status_code)

    def _get_anew(self, headers: dict[str, str]) -> httpx.Response:
        """As scripts and notebooks do."""
        with httpx.Client(auth=DomoAuth(self._provider), timeout=_TIMEOUT, verify=False) as client:  # noqa: S501
            return client.get(self._url, headers=headers)


def client_of(name: str, provider: TokenProvider) -> Any:
    """The client of a caller, to be entered; nothing for callers that have none."""
    match name:
        case "httpx":
            return httpx.Client(auth=DomoAuth(provider))
        case "httpx2":
            return httpx2.Client(auth=for_httpx2.DomoAuth(provider))
        case "requests":
            session = requests.Session()
            session.auth = for_requests.DomoAuth(provider)
            return session
        case "async httpx":
            return httpx.AsyncClient(auth=DomoAuth(provider), timeout=_TIMEOUT)
        case "async httpx2":
            return httpx2.AsyncClient(auth=for_httpx2.DomoAuth(provider), timeout=_TIMEOUT)
        case "aiohttp":
            # Its timeout includes the wait for a token, 60 s at most, and once more after a 401.
            auth, timeout = for_aiohttp.DomoAuth(provider), aiohttp.ClientTimeout(150.0)
            return aiohttp.ClientSession(middlewares=[auth], timeout=timeout)
    return nullcontext()


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
        httpx_args={"transport": Watch(), "timeout": timeout},
        clock=fast_clock(speed, who, seed),
    )
    callers = Callers(who, url, provider)
    if shared:
        callers.start("asyncio", "get_token", "httpx", "aget_token", "aiohttp")
    else:
        tasks = "aget_token", "async httpx", "async httpx2"
        callers.start("asyncio", *tasks, "aiohttp", "get_token", "httpx", "httpx anew", "httpx2", "requests")
        callers.start("trio", *tasks)
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
