"""Ask the endpoint for a token, and ask again where that may help, within a bound of tries and of time."""

from __future__ import annotations

import codecs

# Fork takes the lock of logging, and must come to it after the one below: see there.
import logging  # noqa: F401  # pyright: ignore[reportUnusedImport]
import os
import random
import time
from _thread import RLock  # threading would be one more import
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from . import log
from .interrupts import let_through

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .credentials import ClientCredentials
    from .exchange import TokenEndpoint
    from .token import Token

__all__ = ["Clock", "Fetched", "Fetcher"]

_TRIES, _SECONDS = 4, 20.0
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.5, 8.0


class Clock(NamedTuple):
    """Time and chance, as a provider sees them; tests pass their own."""

    monotonic: Callable[[], float] = time.monotonic
    """Seconds that no change of the clock moves, but that stand still while the machine sleeps."""
    wall: Callable[[], float] = time.time
    """Seconds that run while the machine sleeps, but that somebody may change."""
    sleep: Callable[[float], object] = time.sleep
    random: Callable[[], float] = random.random
    """A number from 0 to 1, without 1."""


class Fetched(NamedTuple):
    """A token, and when it was asked for, by two clocks."""

    token: Token
    sent: float
    sent_wall: float


_fetchers: WeakSet[Fetcher] = WeakSet()


class Fetcher:
    """Asks for tokens, and keeps the connection from one to the next. Making one costs no I/O."""

    __slots__ = (
        "__weakref__",
        "_base_url",
        "_clock",
        "_credentials",
        "_endpoint",
        "_httpx_args",
        "_scopes",
        "requests",
    )

    requests: int
    """Requests to the endpoint so far, retries included."""

    def __init__(
        self,
        credentials: ClientCredentials,
        scopes: tuple[str, ...] | None,
        base_url: str,
        httpx_args: Mapping[str, Any],
        clock: Clock,
    ) -> None:
        self._credentials, self._scopes, self._base_url = credentials, scopes, base_url
        self._httpx_args, self._clock = httpx_args, clock
        self._endpoint: TokenEndpoint | None = None
        self.requests = 0
        _fetchers.add(self)

    def fetch(self) -> Fetched | Exception:
        """A token, or why there is none. Retries after a pause (full jitter, or what ``Retry-After`` says)."""
        clock = self._clock
        started, attempt = clock.monotonic(), 1
        while True:
            sent, sent_wall = clock.monotonic(), clock.wall()
            self.requests += 1
            endpoint: TokenEndpoint | None = None
            try:
                endpoint = self._open()
                return Fetched(endpoint.request(), sent, sent_wall)
            except Exception as error:  # noqa: BLE001 -- all who wait get it, whatever it is
                let_through(error)
                failure = error.with_traceback(None)  # which would keep the frames of the caller, and what they hold
                failure.__context__ = None  # what the caller was handling is no business of those who get this, too
            was_closed = endpoint is not None and endpoint is not self._endpoint
            self.close()  # what is left in a connection after a failure is not to be read as the next answer
            pause = clock.random() * min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2**attempt)
            pause = max(pause, getattr(failure, "retry_after", None) or 0.0)
            late = clock.monotonic() - started + pause > _SECONDS
            again = getattr(failure, "retryable", was_closed)  # an error that is not ours: httpx has no client any more
            if attempt == _TRIES or late or not again:
                return failure
            log.info("Asking again in %.1f s, as attempt %d failed: %s", pause, attempt, failure)
            clock.sleep(pause)
            attempt += 1

    def _open(self) -> TokenEndpoint:
        endpoint = self._endpoint
        if endpoint is None:
            with _setting_up:
                for codec in ("idna", "utf-8-sig"):  # of the host's name and the answer: the first request loads them
                    codecs.lookup(codec)
                from .exchange import TokenEndpoint

                endpoint = TokenEndpoint(
                    self._credentials, self._scopes, base_url=self._base_url, httpx_args=self._httpx_args
                ).prepare()
            self._endpoint = endpoint
        return endpoint

    def close(self) -> None:
        """Close the connection. The next fetch opens another."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.close()

    def __del__(self) -> None:
        with suppress(Exception):  # whoever hands DomoAuth.from_env() to a client has nothing to close
            self.close()

    def forget_connection(self) -> None:
        """Do without the connection, which is the parent's, after a fork."""
        self._endpoint = None


_setting_up = RLock()
"""Held while modules, certificate authorities and a client are loaded and made, and while this process forks: each of
these takes locks, and a child would wait for the thread that held one, and that it does not have.

Whoever forks takes the locks in the order opposite to that of their registration. What is loaded takes that of logging,
so this one has to be registered after it; else each would wait for the other."""


def _before_fork() -> None:
    _setting_up.acquire()


def _after_fork_in_parent() -> None:
    with suppress(RuntimeError):  # an interrupt came while it waited for the lock, and Python forks all the same
        _setting_up.release()


def _after_fork_in_child() -> None:
    global _setting_up  # noqa: PLW0603 -- the one that another thread may have held
    for fetcher in list(_fetchers):
        fetcher.forget_connection()
    _setting_up = RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
