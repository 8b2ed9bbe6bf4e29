"""One process of a group: its callers, and samples of its memory, descriptors and threads as lines on stdout.

It ends when stdin does, and says then what is left over.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import dateutil.parser  # noqa: F401 -- which the first error would load, and the memory would grow once

import domo_oauth.request  # noqa: F401 -- loading it within the first fetch would take minutes of the year's clock
from domo_oauth import ClientCredentials, FileStore, RedisStore, TokenProvider

from .callers import ASYNC, Callers
from .events import Events
from .watch import FastClock, Watch

if TYPE_CHECKING:
    from domo_oauth.stores import Store

_PATIENCE = 70.0
"""Seconds for the callers to end; each waits for a token for 60 s at most, and a fetch takes no longer."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak.worker", description=__doc__)
    parser.add_argument("--who", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--store", help="a folder, or the URL of a Redis server")
    parser.add_argument("--every", type=float, required=True, help="seconds between samples")
    options = parser.parse_args()

    ended = threading.Event()
    threading.Thread(target=_until_stdin_ends, args=(ended,), daemon=True).start()
    events, clock = Events(options.events), FastClock(options.speed, options.seed)
    store = _store(options.store)

    before = _resources()
    provider = TokenProvider(
        ClientCredentials("soak-client", "soak-secret"),
        scopes=["data", "user"],
        store=store,
        base_url=options.url,
        httpx_args={"transport": Watch(options.who, events, clock), "timeout": options.timeout},
        clock=clock.clock,
    )
    callers = Callers(options.who, options.url, provider, events)
    if options.store is None:
        names = ["get_token", "httpx", "httpx anew", "httpx2", "requests"]
        callers.start(names, {"asyncio": list(ASYNC), "trio": ["aget_token", "httpx", "httpx2"]})
    else:
        callers.start(["get_token", "httpx"], {"asyncio": ["aget_token", "aiohttp"]})
    while not ended.wait(options.every):
        _say("sample", **_resources(), calls=sum(callers.calls.values()))
    left = callers.stop(_PATIENCE)
    if isinstance(store, RedisStore):
        store.close()
    _say("end", before=before, after=_settled(before), left=left, callers=callers.calls)
    events.close()


def _store(where: str | None) -> Store | None:
    if where is None:
        return None
    return RedisStore(where) if where.startswith("redis:") else FileStore(where)


def _until_stdin_ends(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _settled(before: dict[str, float]) -> dict[str, float]:
    """What is used once the last threads have ended, such as that of a refresh in the background: what stays, leaks."""
    until = time.monotonic() + _PATIENCE
    while True:
        gc.collect()
        now = _resources()
        if time.monotonic() > until or all(now[name] <= before[name] for name in ("descriptors", "threads")):
            return now
        time.sleep(0.05)


def _resources() -> dict[str, float]:
    """Memory in bytes, and numbers of descriptors and threads, at a time of the monotonic clock."""
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    threads = len(list(Path("/proc/self/task").iterdir()))
    return {
        "at": time.monotonic(),
        "rss": resident,
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 -- one of them is that of this look
        "threads": threads,
    }


def _say(event: str, **what: object) -> None:
    print(json.dumps({"event": event, **what}), flush=True)


if __name__ == "__main__":
    main()
