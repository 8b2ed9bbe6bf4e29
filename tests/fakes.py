"""Stand-ins for real time and for the network, and ways to ask for a token."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import FrameType
from typing import Any

import anyio
import httpx

import domo_oauth
from domo_oauth import ClientCredentials, Clock, DomoOAuthError, Token, TokenProvider

PATIENCE = 60.0
"""Seconds after which a test stops waiting for others; far more than they take."""
HOUR = 3600
_BODY = b'{"access_token": "canary-token", "token_type": "bearer", "expires_in": 3599, "customer": "acmecompany"}'
GRANTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
"""A response on the wire."""

GET = ("get_token", "aget_token under asyncio", "aget_token under trio")
REQUEST = ("request_token", "arequest_token under asyncio", "arequest_token under trio")
"""The ways to ask a provider, and the ways to ask without one."""


def ask(way: str, subject: TokenProvider | ClientCredentials, *args: Any, **kwargs: Any) -> Token:
    """Ask for a token in one of these ways; `subject` is a provider or credentials, accordingly."""
    name, _, backend = way.partition(" under ")
    call = partial(getattr(TokenProvider if way in GET else domo_oauth, name), subject, *args, **kwargs)
    return anyio.run(call, backend=backend) if backend else call()


class Time:
    """A clock that the test moves. Its threads are real, and it knows them all."""

    def __init__(self) -> None:
        self.now, self.now_wall, self.chance = 1_000.0, 1_700_000_000.0, 0.0
        self.slept: list[float] = []
        self.threads: list[threading.Thread] = []
        self.inboxes: weakref.WeakSet[Inbox] = weakref.WeakSet()
        self.on_wait: Callable[[float], object] | None = None
        """If set, called with the seconds instead of waiting."""
        self.clock = Clock(
            lambda: self.now, lambda: self.now_wall, self.sleep, lambda: self.chance, self.start, lambda: Inbox(self)
        )

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.now_wall += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def start(self, run: Callable[[], object]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self.threads.append(thread)
        thread.start()

    def settle(self) -> None:
        """Wait for all fetches to end."""
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


class Inbox:
    def __init__(self, clock: Time) -> None:
        self._time, self._items = clock, queue.SimpleQueue[object]()
        clock.inboxes.add(self)

    def put(self, item: object) -> None:
        self._items.put(item)

    def get(self, *, timeout: float) -> object:
        if self._time.on_wait is None:
            return self._items.get(timeout=timeout)
        self._time.on_wait(timeout)
        return self._items.get_nowait()


class Endpoint(httpx.BaseTransport):
    """A token endpoint that httpx hands each request to."""

    def __init__(self, answers: Iterable[httpx.Response | BaseException] = ()) -> None:
        self.lifetime = HOUR
        self.answers = list(answers)
        """What to answer next; then tokens."""
        self.always: Callable[[], httpx.Response | BaseException] | None = None
        """Called for a response instead of granting a token."""
        self.requests = 0
        self.asked = threading.Semaphore(0)
        self.open = threading.Event()
        """Clear it to keep all requests waiting."""
        self.open.set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        number = self.requests
        assert number < 1000, "endless requests"
        self.asked.release()
        assert self.open.wait(PATIENCE)
        answer = self.answers.pop(0) if self.answers else self.always() if self.always else self.token(number)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def token(self, number: int) -> httpx.Response:
        fields = {"access_token": f"canary-token-{number}", "token_type": "bearer", "expires_in": self.lifetime}
        return httpx.Response(200, json=fields | {"customer": "acmecompany", "jti": f"jti-{number}"})

    def wait_until_asked(self) -> None:
        assert self.asked.acquire(timeout=PATIENCE)


def refused() -> httpx.Response:
    return httpx.Response(401, json={"error": "invalid_client"})


def unavailable() -> httpx.Response:
    return httpx.Response(503, json={})


def until(condition: Callable[[], object]) -> None:
    """Poll for something that sets no event."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def freeze(pid: int) -> None:
    """Stop a process, and wait until it stands still: the signal takes effect a moment later."""
    os.kill(pid, signal.SIGSTOP)
    ps = ["ps", "-o", "stat=", "-p", str(pid)]
    until(lambda: "T" in subprocess.run(ps, capture_output=True, text=True, check=False).stdout)


def in_threads(number: int, call: Callable[[], object]) -> list[object]:
    """Call on ``number`` threads at once. Returns each result, or the error of this package."""
    barrier = threading.Barrier(number)

    def run() -> object:
        barrier.wait(PATIENCE)
        try:
            return call()
        except DomoOAuthError as error:
            return error

    with ThreadPoolExecutor(number) as threads:
        return [each.result(PATIENCE) for each in [threads.submit(run) for _ in range(number)]]


def interrupted_at(number: int, call: Callable[[], object]) -> KeyboardInterrupt | None:
    """Call, and interrupt this package's code at the nth moment at which Python may run a signal handler.

    The standard library is spared: an interrupt leaves a lock of logging held (before Python 3.13), and breaks a thread
    in Thread.start().
    """
    moments = 0

    def profile(frame: FrameType, event: str, _arg: object) -> None:
        nonlocal moments
        ours = frame.f_globals.get("__name__", "").startswith("domo_oauth") and event != "c_call"
        moments += ours
        if ours and moments == number:
            sys.setprofile(None)
            raise KeyboardInterrupt

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    except KeyboardInterrupt as error:
        return error
    finally:
        sys.setprofile(before)
    return None
