"""What equal providers share within a process: the token at hand, the last error, and the fetch under way.

A child after a fork keeps the token, and does without the threads that only its parent has.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakSet

from attrs import define, field, frozen

from . import timing

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from .credentials import ClientCredentials
    from .errors import DomoOAuthError
    from .timing import Clock
    from .token import Token

__all__ = ["Held", "Pause", "State", "forget_tokens", "import_lock", "shared_state"]

_T = TypeVar("_T")
_MOST_SHARED = 1000
"""Tokens outlive their providers, as a notebook's cell makes a new one each time; but not for ever."""


@define(eq=False)
class Held:
    """A token at hand."""

    token: Token
    sent: float
    """When it was requested, by the monotonic clock."""
    sent_wall: float
    stale_at: float
    stale_at_wall: float
    fetched: bool
    """Whether this process fetched it; otherwise it came from the store."""
    rejected: bool = False
    """Whether an API refused it. To mark it, rather than to drop it, cannot drop the next one by mistake."""

    def left(self, clock: Clock) -> float:
        """Seconds until it expires, by whichever clock says that it is older."""
        if self.rejected:
            return 0.0
        return self.token.expires_in - max(clock.monotonic() - self.sent, clock.wall() - self.sent_wall)

    def is_stale(self, clock: Clock) -> bool:
        """Whether the next one should be fetched."""
        return clock.monotonic() >= self.stale_at or clock.wall() >= self.stale_at_wall

    def reject(self) -> None:
        """Hand it out no more."""
        self.rejected, self.stale_at = True, float("-inf")


@frozen
class Pause(Generic[_T]):
    """What ended the last try, and until when there is no other one.

    After an error, callers get that error without a request. After an API refused a token, the next token is kept even
    if it is refused, too.
    """

    cause: _T
    seconds: float
    """Without a Retry-After. The next pause is twice as long."""
    until: float
    """By the monotonic clock."""

    @property
    def next(self) -> float:
        """Seconds of the next pause, if the next try fails, too."""
        return min(timing.LONGEST_PAUSE, self.seconds * 2)


@define(eq=False, weakref_slot=True)
class State:
    """What equal providers share within a process. Each change is a single assignment, so there is no lock."""

    store: object = field(repr=False)  # kept, as its id is part of the key
    held: Held | None = None
    failure: Pause[DomoOAuthError] | None = None
    rejected: Pause[Token] | None = None
    looked: float = float("-inf")
    """When the store was last looked at during a pause."""
    anew: bool = False
    """Whether the next fetch ignores the refusals of other processes."""
    generation: int = 0
    """The number of the next fetch; a fetch with a smaller number was left behind."""
    flights: dict[int, Any] = field(factory=dict[int, Any])

    def __attrs_post_init__(self) -> None:
        _states.add(self)

    def forget(self, *, anew: bool = False) -> None:
        """Forget tokens and errors."""
        self.held = self.failure = self.rejected = None
        self.looked, self.anew = float("-inf"), anew


_states: WeakSet[State] = WeakSet()
_shared: dict[tuple[object, ...], State] = {}
_importing = threading.RLock()  # greenlets of one thread may come here while one imports


def shared_state(base_url: str, credentials: ClientCredentials, scopes: tuple[str, ...] | None, store: object) -> State:
    """The state of all providers that are made with these."""
    if len(_shared) > _MOST_SHARED:
        _shared.pop(next(iter(_shared)), None)
    return _shared.setdefault((base_url, credentials, scopes, id(store)), State(store))  # atomic


def forget_tokens() -> None:
    """Forget the tokens and errors of all providers of this process, for tests."""
    for state in list(_states):
        state.forget()


def import_lock() -> AbstractContextManager[object]:
    """To be held while a fetch imports what it needs: a child forked in the middle of it could never import it."""
    return _importing


def _before_fork() -> None:
    _importing.acquire(timeout=timing.LOCK_WAIT)


def _after_fork_in_parent() -> None:
    with suppress(RuntimeError):  # it could not be obtained in time
        _importing.release()


def _after_fork_in_child() -> None:  # pragma: no cover -- a child leaves before coverage is written
    global _importing  # noqa: PLW0603 -- another thread may have held the old one
    _importing = threading.RLock()
    for state in list(_states):
        state.flights.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
