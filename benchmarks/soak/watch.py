"""A clock that runs faster, and a transport that writes down each request for a token."""

from __future__ import annotations

import itertools
import queue
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx

from domo_oauth import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .events import Events

__all__ = ["FastClock", "Watch"]


class FastClock:
    """Time that runs so many times faster, and what the fetching thread has seen of it."""

    def __init__(self, speed: float, seed: str) -> None:
        self._speed = speed
        self._started, self._started_wall = time.monotonic(), time.time()
        self._here, self._numbers = threading.local(), itertools.count(1)
        chance = random.Random(seed).random  # noqa: S311 -- no secret comes of it
        self.clock = Clock(self._monotonic, self._wall, self._sleep, chance, inbox=lambda: _FastInbox(speed))

    def _monotonic(self) -> float:
        now = self._here.read = time.monotonic()
        return now * self._speed

    def _wall(self) -> float:
        self._here.sent = getattr(self._here, "read", 0.0)
        return self._started_wall + (time.monotonic() - self._started) * self._speed

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds / self._speed)

    def sent(self) -> float:
        """When a token's age begins, in real seconds: just before it sends, a provider reads both clocks, wall last."""
        sent: float = self._here.sent
        return sent

    def fetch(self) -> int:
        """The number of this thread's fetch. Each has a thread of its own."""
        number: int = self._here.__dict__.setdefault("fetch", next(self._numbers))
        return number


class _FastInbox:
    """What a thread waits on."""

    def __init__(self, speed: float) -> None:
        self._speed, self._queue = speed, queue.SimpleQueue[Any]()
        self.put = self._queue.put

    def get(self, *, timeout: float) -> Any:
        return self._queue.get(timeout=timeout / self._speed)


class Watch(httpx.BaseTransport):
    """The transport of the token requests, which writes down each try: when, and what came of it."""

    _numbers = itertools.count(1)

    def __init__(self, who: str, events: Events, clock: FastClock) -> None:
        self._who, self._events, self._clock = who, events, clock
        # There is no TLS on loopback, and it is slow to set up. A provider's own client keeps no connections, either.
        self._inner = httpx.HTTPTransport(verify=False, limits=httpx.Limits(max_keepalive_connections=0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent, fetch, identity = self._clock.sent(), self._clock.fetch(), f"{self._who}-{next(self._numbers)}"
        request.headers["X-Soak-Id"] = identity

        def ended(outcome: str, response: httpx.Response | None = None) -> None:
            fields = {} if response is None else response.headers
            token, asked = fields.get("X-Soak-Token"), fields.get("Retry-After")
            granted = outcome == "200" and token is not None
            self._events.write(
                "try",
                id=identity,
                sent=sent,
                fetch=fetch,
                ended=time.monotonic(),
                outcome=outcome,
                token=token if granted else None,
                retry_after=float(asked or 0),
            )

        try:
            response = self._inner.handle_request(request)
        except Exception as error:
            ended(type(error).__name__)
            raise
        response.stream = _Body(response, ended)
        return response

    def close(self) -> None:
        self._inner.close()


class _Body(httpx.SyncByteStream):
    """A body that says when it is read to its end, or why not."""

    def __init__(self, response: httpx.Response, ended: Callable[[str, httpx.Response | None], None]) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        self._stream, self._response, self._ended = response.stream, response, ended
        self._told = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except Exception as error:
            self._tell(type(error).__name__)
            raise
        self._tell(str(self._response.status_code))

    def close(self) -> None:
        self._tell("unread")
        self._stream.close()

    def _tell(self, outcome: str) -> None:
        if not self._told:
            self._told = True
            self._ended(outcome, self._response)
