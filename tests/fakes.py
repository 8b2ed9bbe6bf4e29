"""What a provider can be given in place of real time, threads and networks."""

from __future__ import annotations

import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import httpx

from domo_oauth import Clock, DomoOAuthError

PATIENCE = 60.0
"""Seconds after which a test that waits for others gives up; far more than it takes."""
HOUR = 3600


class Time:
    """A clock that the test moves. Threads are real, and known."""

    def __init__(self) -> None:
        self.now, self.now_wall, self.chance = 1_000.0, 1_700_000_000.0, 0.0
        self.slept: list[float] = []
        self.threads: list[threading.Thread] = []
        self.inboxes: weakref.WeakSet[Inbox] = weakref.WeakSet()
        self.on_wait: Callable[[float], object] | None = None
        """What happens while a thread waits so many seconds, in place of waiting."""
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
        self.put = self._items.put
        clock.inboxes.add(self)

    def get(self, *, timeout: float) -> object:
        if self._time.on_wait is None:
            return self._items.get(timeout=timeout)
        self._time.on_wait(timeout)
        return self._items.get_nowait()


class Endpoint(httpx.BaseTransport):
    """A token endpoint behind the real client: httpx hands it each request."""

    def __init__(self) -> None:
        self.lifetime = HOUR
        self.answers: list[httpx.Response | BaseException] = []
        """What it answers next; then tokens."""
        self.always: Callable[[], httpx.Response | BaseException] | None = None
        """What it answers in place of tokens."""
        self.requests = 0
        self.asked = threading.Semaphore(0)
        self.open = threading.Event()
        """While it is unset, nobody gets an answer."""
        self.open.set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        number = self.requests
        assert number < 1000, "requests without end"
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
    """Wait for what no event tells."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def in_threads(number: int, ask: Callable[[], object]) -> list[object]:
    """What as many threads get that ask at once: a token or an error."""
    barrier = threading.Barrier(number)

    def run() -> object:
        barrier.wait(PATIENCE)
        try:
            return ask()
        except DomoOAuthError as error:
            return error

    with ThreadPoolExecutor(number) as threads:
        return [each.result(PATIENCE) for each in [threads.submit(run) for _ in range(number)]]


def interrupted_at(number: int, call: Callable[[], object]) -> KeyboardInterrupt | None:
    """Call, and interrupt our code at the so-manyeth moment at which Python lets a signal in.

    Not the standard library's: logging, before Python 3.13, then keeps its lock, and Thread.start() breaks the thread.
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
