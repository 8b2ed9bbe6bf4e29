"""Every number about time, with its unit and reason, and the clock behind all waiting.

The life of a token: requested -- fresh -- stale (used while a new one is fetched) -- spent (callers wait) -- expired.
"""

from __future__ import annotations

import _thread
import queue
import random
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from attrs import frozen

from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

# All in seconds, except shares and counts.

# A token. The shorter of window and share counts: a token that lasts a minute is used more than once, too.
STALE_WINDOW, STALE_SHARE = 300.0, 1 / 5  # the last part of its life: enough for many tries to fetch the next one
STALE_JITTER = 1 / 4  # of that window: it starts later by up to this, at random, so that a fleet does not fetch at once
SPENT_WINDOW, SPENT_SHARE = 30.0, 1 / 10  # the last part of its life: a request with it may arrive too late

# A caller.
DEFAULT_TIMEOUT = 60.0  # as long as a fetch may take
SLICE = 1.0  # the longest single wait; see Budget
SLACK = 0.5  # a busy machine may end a wait this much late; anything beyond that was spent frozen

# A fetch.
FETCH_SECONDS = 60.0  # of running time, for all attempts
FETCH_ATTEMPTS = 4
NETWORK_TIMEOUT = 10.0  # for a connection and for each read and write, unless httpx_args says otherwise
FIRST_BACKOFF = 1.0  # between the first two attempts; doubled each time, and drawn at random from zero (full jitter)

# An error.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # callers get the error without a request; doubled after each error in a row
LONGEST_RETRY_AFTER = 300.0  # so that a server's mistake does not stop a job for a day
REFUSALS_FORGOTTEN = 60.0  # if an API refuses a token sooner after the last pause, the next pause doubles

# A store.
STORE_LOOK = 1.0  # between two reads of a store during the pause after an error
WORTH_TAKING = 1.0  # a token in a store must outlast the current one by this to count as another one
LOCK_TRY, LOCK_TRIES = 1.0, 10  # between tries to lock a store, it is read: it may have a token by now
LOCK_WAIT = LOCK_TRY * LOCK_TRIES  # for another process that fetches, before fetching as well
CLOCK_SKEW = 60.0  # the most by which clocks of machines that share a store differ
LONGEST_KEPT = 30 * 86400.0  # in a store, in case a server grants tokens without end
FILE_LOCK_POLL, REDIS_LOCK_POLL = 0.05, 0.1  # between two attempts at a lock; in Redis each costs a round trip
LEFT_OVER = 60.0  # older temporary files are deleted: writing one takes milliseconds
REDIS_LEASE = 6.0  # of a lock, even if its holder is alive: less than LOCK_WAIT, so that one waiter fetches for all
REDIS_CONNECT_TIMEOUT, REDIS_TIMEOUT = 1.0, 2.0  # without Redis a token takes one request, so do not wait long for it
REDIS_IDLE = 30.0  # an older connection is not used again: firewalls drop idle ones silently


def start_thread(run: Callable[[], object]) -> None:
    """Run a function on a new daemon thread.

    `Thread.start()` waits for the new thread's first turn, and an interrupt in that wait leaves a broken thread. So a
    bare thread, which no signal reaches, starts the real one.

    Raises:
        RuntimeError: Python is shutting down, this is an isolated subinterpreter, or the system has no thread left.
    """
    if sys.is_finalizing() or not getattr(_thread, "daemon_threads_allowed", lambda: True)():
        raise RuntimeError("no background thread can be started here")
    _thread.start_new_thread(_start_named_thread, (run,))


def _start_named_thread(run: Callable[[], object]) -> None:
    try:
        threading.Thread(target=run, name="domo-oauth", daemon=True).start()
    except (RuntimeError, MemoryError):  # this was the last thread that the system had
        run()


@frozen
class Clock:
    """Time, randomness, threads and waits, as a provider uses them. Tests and simulations pass their own.

    Attributes:
        monotonic: Seconds; they never go back, but may stand still while the machine sleeps.
        wall: Seconds since 1970; they pass while the machine sleeps, but people can set them.
        sleep: ``sleep(seconds)`` waits for that long.
        random: A number from 0 to 1, without 1.
        start: Run a function on a new background thread; RuntimeError if there is none.
        inbox: Make what a thread waits on. It has `put(item)` and `get(timeout=seconds)`, as `queue.SimpleQueue` does.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], object] = lambda seconds: time.sleep(seconds)  # noqa: PLW0108 -- gevent may patch it later
    random: Callable[[], float] = random.random
    start: Callable[[Callable[[], object]], object] = start_thread
    inbox: Callable[[], Any] = lambda: queue.SimpleQueue[Any]()  # noqa: PLW0108 -- gevent may patch it later


class Budget:
    """Seconds of running time. Time in which the process was frozen (SIGSTOP, a paused container) does not count.

    Get a `slice`, wait no longer than that, and `spend`: time beyond the slice does not count.

    Raises:
        ConfigurationError: The timeout is not a number of seconds; None stands for the default.
    """

    __slots__ = ("_last", "_monotonic", "_slice", "began", "left", "seconds")

    def __init__(self, timeout: float | None, monotonic: Callable[[], float]) -> None:
        self.seconds = self.left = DEFAULT_TIMEOUT if timeout is None else checked_seconds("timeout", timeout)
        self.began = self._last = monotonic()
        self._monotonic, self._slice = monotonic, SLICE

    def slice(self, most: float = SLICE) -> float:
        """Return how many seconds the next wait may take: what is left, but no more than `most`."""
        self.spend()
        self._slice = max(0.0, min(most, self.left))
        return self._slice

    def spend(self) -> float:
        """Count the time since the last call, up to the slice. Return the seconds left."""
        now = self._monotonic()
        self.left -= min(now - self._last, self._slice + SLACK)
        self._last, self._slice = now, SLICE
        return self.left


def checked_seconds(name: str, value: object) -> float:
    """Check an argument that is a number of seconds, zero or more.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(value, int | float) or not value >= 0:
        raise ConfigurationError(f"{name} must be a number of seconds, zero or more, not {value!r}.")
    return float(value)


def stale_after(lifetime: float, chance: float) -> float:
    """The age, in seconds, from which a token of this lifetime is stale. `chance` is from 0 to 1."""
    window = min(STALE_WINDOW, lifetime * STALE_SHARE)
    return lifetime - window + window * STALE_JITTER * chance


def spent_after(lifetime: float) -> float:
    """The age, in seconds, from which a token of this lifetime is spent."""
    return lifetime - min(SPENT_WINDOW, lifetime * SPENT_SHARE)
