"""What equal providers share within a process: the current token, the last error, and the fetch under way.

A child after a fork keeps the token, but not the flights, whose threads only its parent has.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakSet

from attrs import define, field, frozen

from . import timing

if TYPE_CHECKING:
    from .credentials import ClientCredentials, CredentialsSource
    from .errors import DomoOAuthError
    from .timing import Clock
    from .token import Token

_T = TypeVar("_T")
_MOST_SHARED = 1000  # tokens outlive their providers, as each run of a notebook cell makes a new one; but not forever


@define(eq=False)
class Held:
    """The current token."""

    token: Token
    clock: Clock
    sent: float  # when it was requested, by the monotonic clock
    sent_wall: float
    fetched: bool  # by this process; otherwise it came from the store
    stale_at: float = field(init=False)
    stale_at_wall: float = field(init=False)
    kept: bool = False  # although an API refused it
    rejected: bool = False  # by an API. Marking it, instead of dropping it, cannot drop the next one by mistake

    def __attrs_post_init__(self) -> None:
        fresh = timing.stale_after(self.token.expires_in, self.clock.random())
        self.stale_at, self.stale_at_wall = self.sent + fresh, self.sent_wall + fresh

    @property
    def left(self) -> float:
        """Seconds until it expires. Age: the larger of monotonic and wall time."""
        age = max(self.clock.monotonic() - self.sent, self.clock.wall() - self.sent_wall)
        return 0.0 if self.rejected else self.token.expires_in - age

    @property
    def is_stale(self) -> bool:
        """Whether the next one should be fetched."""
        return self.clock.monotonic() >= self.stale_at or self.clock.wall() >= self.stale_at_wall


@frozen
class Pause(Generic[_T]):
    """An error, or a token that an API refused, and how long nothing else is tried."""

    cause: _T
    seconds: float  # without a Retry-After; the next pause is twice as long
    until: float  # by the monotonic clock


def next_pause(before: Pause[_T] | None, cause: _T, now: float, *, at_least: float = 0.0) -> Pause[_T]:
    """Return the pause that follows another one, or none."""
    seconds = timing.FIRST_PAUSE if before is None else min(timing.LONGEST_PAUSE, before.seconds * 2)
    return Pause(cause, seconds, now + max(seconds, at_least))


@define(eq=False, weakref_slot=True)
class State:
    """What equal providers share. Each change is one assignment, so it needs no lock."""

    store: object = field(repr=False)  # kept, as its id is part of the key
    held: Held | None = None
    failure: Pause[DomoOAuthError] | None = None
    rejected: Pause[Token] | None = None
    looked: float = float("-inf")  # when the store was last read during a pause
    anew: bool = False  # whether the next fetch ignores the refusals of other processes
    generation: int = 0  # the number of the next fetch; one with a smaller number was left behind
    flights: dict[int, Any] = field(factory=dict[int, Any])

    def __attrs_post_init__(self) -> None:
        _states.add(self)

    def forget(self) -> None:
        """Forget tokens and errors."""
        self.held = self.failure = self.rejected = None
        self.looked, self.anew = float("-inf"), True


_states: WeakSet[State] = WeakSet()
_shared: dict[tuple[object, ...], State] = {}
fork_lock = threading.RLock()  # greenlets of one thread may come here while one imports
"""A fork waits for it. Hold it while importing what a fetch needs, and while OpenSSL sets itself up: a child forked in
between would wait forever for a thread that only its parent has."""


def shared_state(
    base_url: str, credentials: ClientCredentials | CredentialsSource, scopes: tuple[str, ...] | None, store: object
) -> State:
    """Return the state that all providers with these arguments share."""
    if len(_shared) > _MOST_SHARED:
        _shared.pop(next(iter(_shared)), None)
    return _shared.setdefault((base_url, credentials, scopes, id(store)), State(store))  # atomic


def forget_tokens() -> None:
    """Forget the tokens and errors of all providers of this process, for tests."""
    for state in list(_states):
        state.forget()


def _after_fork_in_child() -> None:  # pragma: no cover -- a child leaves before coverage is written
    fork_lock.release()
    for state in list(_states):
        state.flights.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=fork_lock.acquire, after_in_parent=fork_lock.release, after_in_child=_after_fork_in_child
    )
