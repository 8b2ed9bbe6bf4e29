"""Every number about time, with its unit and reason, and the clock that all waiting goes by.

The life of a token: asked -- fresh -- stale (used while a new one is fetched) -- spent (callers wait) -- expired.
"""

from __future__ import annotations

import _thread
import queue
import random
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
__all__ = ["Budget", "Clock", "Inbox", "seconds", "spent_after", "stale_after"]

# A token. The shares are for short lifetimes, so that a token which lasts a minute is used more than once:
# the shorter of the two counts.
STALE_WINDOW, STALE_SHARE = 300.0, 1 / 5
"""The last seconds, or share of its lifetime, in which a token is stale: enough for many tries to fetch the next."""
STALE_JITTER = 1 / 4
"""The share of that window by up to which it starts later, at random, so that a fleet does not fetch at once."""
SPENT_WINDOW, SPENT_SHARE = 30.0, 1 / 10
"""The last seconds, or share of its lifetime, in which a token is spent: a request with it may arrive too late."""

# A caller.
DEFAULT_TIMEOUT = 60.0
"""Seconds that a caller waits for a token unless told otherwise: as long as a fetch may take."""
SLICE = 1.0
"""Seconds that callers wait in one piece. Longer waits are cut into slices; see `Budget`."""
SLACK = 0.5
"""Seconds by which a busy machine may end a wait late. What is later than that counts as time spent frozen."""

# A fetch.
FETCH_SECONDS = 60.0
"""Seconds of running time after which a fetch, with all its attempts, ends by itself."""
FETCH_ATTEMPTS = 4
NETWORK_TIMEOUT = 10.0
"""Seconds for a connection and for each read and write, unless `httpx_args` says otherwise."""
FIRST_BACKOFF = 1.0
"""Seconds between the first two attempts at most; doubled each time, and drawn at random from zero (full jitter)."""

# An error.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds in which callers get the last error without a request; doubled with each error in a row."""
LONGEST_RETRY_AFTER = 300.0
"""Seconds of a server's Retry-After that are heeded at most, so that a mistake there does not stop a job for a day."""
REFUSALS_FORGOTTEN = 60.0
"""If an API refuses a token within so many seconds after the last pause, the next pause doubles."""

# A store.
STORE_LOOK = 1.0
"""Seconds between two looks into a store during the pause after an error."""
WORTH_TAKING = 1.0
"""Seconds by which a token in a store must last longer than the one at hand, to be another one."""
LOCK_TRY, LOCK_TRIES = 1.0, 10
"""Seconds that one try to lock a store takes. In between, the store is looked at: it may have a token by now."""
LOCK_WAIT = LOCK_TRY * LOCK_TRIES
"""Seconds to wait for another process that fetches. Whoever waited in vain fetches, too."""
CLOCK_SKEW = 60.0
"""Seconds by which the clocks of machines that share a store may differ."""
LONGEST_KEPT = 30 * 86400.0
"""Seconds that a store keeps an entry at most, in case a server grants tokens for ever."""
FILE_LOCK_POLL, REDIS_LOCK_POLL = 0.05, 0.1
"""Seconds between two attempts at a lock that another process holds. One in Redis costs a round trip for each."""
LEFT_OVER = 60.0
"""Seconds after which nobody still writes to a temporary file: it takes milliseconds."""
REDIS_LEASE = 6.0
"""Seconds after which a lock in Redis ends, whether its holder has died or is only slow: less than LOCK_WAIT, so that
one of those who wait can fetch for all of them."""
REDIS_CONNECT_TIMEOUT, REDIS_TIMEOUT = 1.0, 2.0
"""Seconds for a connection and for an answer. Without Redis a token takes one request, so do not wait long for it."""
REDIS_PASSED_OVER = 5.0
"""Seconds in which a server that did not answer in time is not asked again."""
REDIS_IDLE = 30.0
"""Seconds after which an idle connection is not used again. Firewalls drop them silently, and a token lasts an hour."""


class Inbox(Protocol):
    """What a thread waits on; `queue.SimpleQueue` is one."""

    def put(self, item: Any, /) -> None:
        """Add an item, from any thread, and wake whoever waits."""

    def get(self, *, timeout: float) -> Any:
        """Take an item. Raises `queue.Empty` after so many seconds."""


def start_thread(run: Callable[[], object]) -> None:
    """Run a function on a new daemon thread, without waiting for its first turn.

    `Thread.start()` waits for the new thread, and an interrupt in that wait leaves a broken one. So a bare thread,
    which nobody waits for and no signal reaches, starts the real one.

    Raises:
        RuntimeError: There is no thread to be had: Python is shutting down, an isolated subinterpreter does not allow
            daemon threads, or the system has none left.
    """
    if sys.is_finalizing() or not getattr(_thread, "daemon_threads_allowed", lambda: True)():
        raise RuntimeError("no background thread can be started here")
    _thread.start_new_thread(_start_named_thread, (run,))


def _start_named_thread(run: Callable[[], object]) -> None:
    try:
        threading.Thread(target=run, name="domo-oauth", daemon=True).start()
    except RuntimeError:  # the last thread that could be had is this one
        run()


# Looked up when used: gevent or eventlet may patch these after the import of this module.


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _inbox() -> Inbox:
    return queue.SimpleQueue[Any]()


@frozen
class Clock:
    """Time, chance, threads and waits, as a provider uses them. Tests and simulations pass their own.

    Attributes:
        monotonic: Seconds that no change of the clock moves, but that may stand still while the machine sleeps.
        wall: Seconds since 1970, which run while the machine sleeps, but which somebody may change.
        sleep: Wait so many seconds.
        random: A number from 0 to 1, without 1.
        start: Run a function on a new background thread; RuntimeError where there is none to be had.
        inbox: Make an `Inbox`; by default a `queue.SimpleQueue`.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], object] = _sleep
    random: Callable[[], float] = random.random
    start: Callable[[Callable[[], object]], object] = start_thread
    inbox: Callable[[], Inbox] = _inbox


class Budget:
    """Seconds of running time. Time in which the process was frozen (SIGSTOP, a paused container) does not count.

    Whoever waits asks for a `slice` first, waits no longer than that, and then calls `spend`: what has passed beyond
    the slice was not this process's time.
    """

    __slots__ = ("_last", "_monotonic", "_slice", "left")

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self.left = seconds
        self._monotonic, self._last, self._slice = monotonic, monotonic(), SLICE

    def slice(self, most: float = SLICE) -> float:
        """How many seconds the next wait may take: at most so many, and at most what is left."""
        self.spend()
        self._slice = max(0.0, min(most, self.left))
        return self._slice

    def spend(self) -> float:
        """Count the time since the last call, up to the slice. Returns the seconds left."""
        now = self._monotonic()
        self.left -= min(now - self._last, self._slice + SLACK)
        self._last, self._slice = now, SLICE
        return self.left


def seconds(name: str, value: object) -> float:
    """An argument that is a number of seconds; None for the default time-out.

    Raises:
        ConfigurationError: It is not, or it is negative.
    """
    given = DEFAULT_TIMEOUT if value is None else value
    if not isinstance(given, int | float) or not given >= 0:
        raise ConfigurationError(f"{name} must be a number of seconds, zero or more, not {given!r}.")
    return float(given)


def stale_after(lifetime: float, chance: float) -> float:
    """The age, in seconds, from which a token of this lifetime is stale. `chance` is from 0 to 1."""
    window = min(STALE_WINDOW, lifetime * STALE_SHARE)
    return lifetime - window + window * STALE_JITTER * chance


def spent_after(lifetime: float) -> float:
    """The age, in seconds, from which a token of this lifetime is spent."""
    return lifetime - min(SPENT_WINDOW, lifetime * SPENT_SHARE)
