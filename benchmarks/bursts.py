"""One sample of what many callers of one object bring about: requests to the endpoint, waits, a late event loop.

All times are milliseconds.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .endpoint import Endpoint
    from .subjects import Sample, Subject

_CALLERS, _TASKS = 64, 1000
_MIXED_THREADS, _MIXED_LOOPS, _MIXED_TASKS = 8, 2, 100
_ANSWER, _SLOW_ANSWER = 0.1, 0.5  # s, what the endpoint takes
_WRONG_CREDENTIALS_SECONDS = 10.0
_HAMMERS = 1000  # requests, after which no more are needed to know how many there would be
_TICK = 0.005  # s between two looks at how late an event loop is


def threads(subject: Subject, endpoint: Endpoint) -> Sample:
    """Let threads ask at once where there is no token."""
    endpoint.answers(_ANSWER)
    return _all_at_once(subject.getter(subject.new())) | {"requests": endpoint.requests()}


def tasks(subject: Subject, endpoint: Endpoint) -> Sample:
    """Let tasks of asyncio ask at once where there is no token."""
    endpoint.answers(_ANSWER)
    return asyncio.run(_tasks(subject)) | {"requests": endpoint.requests()}


async def _tasks(subject: Subject) -> Sample:
    it = subject.anew()
    sample = await _gather(subject.agetter(it), _TASKS)
    await subject.aclose(it)
    return sample


def trio_tasks(subject: Subject, endpoint: Endpoint) -> Sample:
    """Let tasks of trio ask at once where there is no token."""
    if not subject.runs_on_trio:
        raise NotImplementedError
    endpoint.answers(_ANSWER)
    trio = import_module("trio")
    waits: list[float] = []
    failures: list[bool] = []
    lags = [0.0]
    begun = 0.0

    async def ask(get: Callable[[], Awaitable[object]]) -> None:
        failures.append(await _afailed(get))
        waits.append(time.perf_counter() - begun)

    async def watch() -> None:
        while len(waits) < _TASKS:
            before = time.perf_counter()
            await trio.sleep(_TICK)
            lags.append(time.perf_counter() - before - _TICK)

    async def main() -> None:
        nonlocal begun
        it = subject.anew()
        get = subject.agetter(it)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.lowlevel.checkpoint()  # trio shuffles: it is to look before the others begin
            begun = time.perf_counter()
            for _ in range(_TASKS):
                nursery.start_soon(ask, get)
        await subject.aclose(it)

    trio.run(main)
    sample = {"slowest": max(waits) * 1e3, "lag": max(lags) * 1e3, "failed": sum(failures)}
    return sample | {"requests": endpoint.requests()}


def mixed(subject: Subject, endpoint: Endpoint) -> Sample:
    """Let threads and the tasks of several event loops ask at once where there is no token."""
    if not subject.one_object_for_all:
        raise NotImplementedError
    endpoint.answers(_ANSWER)
    it = subject.new()
    get, aget = subject.getter(it), subject.agetter(it)
    samples: list[Sample] = []
    gate = threading.Barrier(_MIXED_THREADS + _MIXED_LOOPS)

    def thread() -> None:
        gate.wait()
        begun = time.perf_counter()
        failed = _failed(get)
        samples.append({"slowest": (time.perf_counter() - begun) * 1e3, "lag": 0.0, "failed": failed})

    def loop() -> None:
        gate.wait()
        samples.append(asyncio.run(_gather(aget, _MIXED_TASKS)))

    _run_threads([*[thread] * _MIXED_THREADS, *[loop] * _MIXED_LOOPS])
    worst = {key: max(sample[key] for sample in samples) for key in ("slowest", "lag")}
    return worst | {"failed": sum(sample["failed"] for sample in samples), "requests": endpoint.requests()}


def stale(subject: Subject, endpoint: Endpoint) -> Sample:
    """Let threads ask at once where the token should be renewed. Floor: the same threads, with nothing to ask."""
    endpoint.answers()
    it = subject.ageing()
    get = subject.getter(it)
    get()
    subject.make_stale(it)
    endpoint.answers(_SLOW_ANSWER)
    floor = _all_at_once(lambda: None)["longest"]
    sample = _all_at_once(get)
    time.sleep(_SLOW_ANSWER + _ANSWER)  # for a refresh that nobody waits for
    return sample | {"floor": floor, "requests": endpoint.requests()}


def refused(subject: Subject, endpoint: Endpoint) -> Sample:
    """Let threads ask at once where the endpoint refuses."""
    endpoint.answers(_ANSWER, refuses=True)
    return _all_at_once(subject.getter(subject.new())) | {"requests": endpoint.requests()}


def wrong_credentials(subject: Subject, endpoint: Endpoint) -> Sample:
    """Ask again and again where the endpoint refuses. Who hammers it is stopped, and the rest of the time reckoned."""
    endpoint.answers(refuses=True)
    get = subject.getter(subject.new())
    began = time.monotonic()
    calls = failed = requests = 0
    for second in range(1, int(_WRONG_CREDENTIALS_SECONDS) + 1):
        while time.monotonic() < began + second:
            failed += _failed(get)
            calls += 1
        if (requests := endpoint.requests()) > _HAMMERS:
            requests = round(requests * _WRONG_CREDENTIALS_SECONDS / (time.monotonic() - began))
            break
    return {"calls": calls, "failed": failed, "requests": requests}


BURSTS = (threads, tasks, trio_tasks, mixed, stale, refused, wrong_credentials)


def _failed(get: Callable[[], object]) -> bool:
    try:
        get()
    except Exception:  # noqa: BLE001 -- each library has its own
        return True
    return False


async def _afailed(get: Callable[[], Awaitable[object]]) -> bool:
    try:
        await get()
    except Exception:  # noqa: BLE001 -- each library has its own
        return True
    return False


def _all_at_once(get: Callable[[], object]) -> Sample:
    """How long the last of many threads waits, counted from the first (``slowest``) and from its own start."""
    gate = threading.Barrier(_CALLERS)
    spans: list[tuple[float, float]] = []
    failures: list[bool] = []

    def caller() -> None:
        gate.wait()
        begun = time.perf_counter()
        failures.append(_failed(get))
        spans.append((begun, time.perf_counter()))

    _run_threads([caller] * _CALLERS)
    first = min(begun for begun, _ in spans)
    return {
        "slowest": max(ended - first for _, ended in spans) * 1e3,
        "longest": max(ended - begun for begun, ended in spans) * 1e3,
        "failed": sum(failures),
    }


def _run_threads(bodies: Sequence[Callable[[], object]]) -> None:
    running = [threading.Thread(target=body) for body in bodies]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


async def _gather(get: Callable[[], Awaitable[object]], number: int) -> Sample:
    """How long the last of many tasks waits from the first's start, and how late the event loop is meanwhile."""
    lags = [0.0]

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_TICK)
            lags.append(time.perf_counter() - before - _TICK)

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    begun = time.perf_counter()
    failures = await asyncio.gather(*(_afailed(get) for _ in range(number)))
    slowest = time.perf_counter() - begun
    await asyncio.sleep(_TICK)  # for a lag that lasted till the end
    watcher.cancel()
    with suppress(asyncio.CancelledError):
        await watcher
    return {"slowest": slowest * 1e3, "lag": max(lags) * 1e3, "failed": sum(failures)}
