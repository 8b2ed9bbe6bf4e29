"""One sample of what one caller waits for: a time, and the floor that it is held against, timed in the same breath.

All times are milliseconds.
"""

from __future__ import annotations

import asyncio
import statistics
import time
import timeit
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .subjects import SCOPES, first_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .endpoint import Endpoint
    from .subjects import Sample, Subject

_COLD, _REQUESTS = 20, 100  # repetitions within one sample
_TOKEN_LENGTH = 700  # characters, as many as the endpoint's have
_BATCHES, _BATCH_SECONDS = 5, 0.02


def fresh(subject: Subject, endpoint: Endpoint) -> Sample:
    """Get the token that is at hand. Floor: a clock, a comparison and an attribute, written inline."""
    endpoint.answers()
    get = _warm(subject)
    names = {"time": time, "it": SimpleNamespace(token="token", expires_at=float("inf")), "get": get}
    floor = timeit.Timer("it.token if time.monotonic() < it.expires_at else None", globals=names)
    return _batches(floor, timeit.Timer("get()", globals=names))


def awaited(subject: Subject, endpoint: Endpoint) -> Sample:
    """Await the token that is at hand. Floor: the inline floor in a coroutine of its own."""
    endpoint.answers()
    return asyncio.run(_awaited(subject))


async def _awaited(subject: Subject) -> Sample:
    it = subject.anew()
    get = subject.agetter(it)
    await get()
    held = SimpleNamespace(token="token", expires_at=float("inf"))

    async def floor() -> object:
        return held.token if time.monotonic() < held.expires_at else None

    sample = {"floor": await _each_awaited(floor), "value": await _each_awaited(get)}
    await subject.aclose(it)
    return sample


def step(subject: Subject, endpoint: Endpoint) -> Sample:
    """Take httpx's auth flow to the request. Floor: the smallest one that sets a header."""
    endpoint.answers()
    httpx = import_module("httpx")
    it = subject.new()
    request = httpx.Request("GET", subject.api_url)
    prepare = subject.step(it, request)
    subject.getter(it)()

    class Smallest(httpx.Auth):  # type: ignore[misc, name-defined]
        def sync_auth_flow(self, request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {token}"
            yield request

    token = "t" * _TOKEN_LENGTH
    smallest = Smallest()
    floor = timeit.Timer(lambda: first_of(smallest.sync_auth_flow(request)))
    return _batches(floor, timeit.Timer(prepare))


def request(subject: Subject, endpoint: Endpoint) -> Sample:
    """Send a request to the API by a connection kept alive. Floor: httpx with a static header."""
    endpoint.answers()
    it = subject.new()
    send = subject.sender(it)
    subject.getter(it)()
    token = "t" * _TOKEN_LENGTH
    with import_module("httpx").Client(headers={"Authorization": f"Bearer {token}"}) as client:
        return _in_turn(lambda: client.get(subject.api_url), send, _REQUESTS)


def cold(subject: Subject, endpoint: Endpoint) -> Sample:
    """Make an object and fetch a token. Floor: a GET by a new client of httpx, which shares its TLS context."""
    if not subject.sends_the_request:
        raise NotImplementedError
    endpoint.answers()
    httpx = import_module("httpx")
    context, parameters = httpx.create_ssl_context(), {"grant_type": "client_credentials", "scope": SCOPES}

    def bare_get() -> None:
        with httpx.Client(verify=context) as client:
            client.get(subject.token_url, params=parameters, auth=("bench", "s" * 64)).json()["access_token"]

    def make_and_get() -> None:
        subject.getter(subject.new())()

    make_and_get()  # loads what a process loads once
    return _in_turn(bare_get, make_and_get, _COLD)


TIMINGS = (fresh, awaited, step, request, cold)


def _warm(subject: Subject) -> Callable[[], object]:
    get = subject.getter(subject.new())
    get()
    return get


def _batches(floor: timeit.Timer, value: timeit.Timer) -> Sample:
    """The quickest of some batches of each, done in turn: whatever is slower was held up by something else."""
    pairs = [(_each(floor), _each(value)) for _ in range(_BATCHES)]
    floors, values = zip(*pairs, strict=True)
    return {"floor": min(floors), "value": min(values)}


def _each(timer: timeit.Timer) -> float:
    """Milliseconds for one of a batch that is long enough for the clock."""
    number, took = 1, timer.timeit(1)
    while took < _BATCH_SECONDS:
        number = max(number * 2, int(number * _BATCH_SECONDS / max(took, 1e-9)))
        took = timer.timeit(number)
    return took / number * 1e3


async def _each_awaited(get: Callable[[], Awaitable[object]]) -> float:
    number, took = 1, 0.0
    while took < _BATCH_SECONDS:
        number *= 4
        begun = time.perf_counter()
        for _ in range(number):
            await get()
        took = time.perf_counter() - begun
    return took / number * 1e3


def _in_turn(floor: Callable[[], object], value: Callable[[], object], repetitions: int) -> Sample:
    """Medians of two things done in turn, so that both see the same machine."""
    floor()
    floors, values = [], []
    for _ in range(repetitions):
        floors.append(_timed(floor))
        values.append(_timed(value))
    return {"floor": statistics.median(floors), "value": statistics.median(values)}


def _timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1e3
