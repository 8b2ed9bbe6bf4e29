"""What the providers of one client, one set of scopes and one base URL have in common within a process.

Tokens outlive their providers, as a notebook's cell makes a new one each time, but not for ever; and a child after a
fork keeps the token, and does without the threads that it does not have.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from .values import Value

if TYPE_CHECKING:
    from typing import TypeAlias

    from .single_flight import Flight
    from .token import Token

    Outcome: TypeAlias = Token | Exception

__all__ = ["Failure", "Held", "RefusedToken", "Shared", "forget_tokens", "share"]


class Held(Value):
    """A token at hand. It is as old as the older of two clocks says, counted from before it was asked for."""

    __slots__ = ("sent", "sent_wall", "spent", "stale_at", "stale_at_wall", "token")

    token: Token
    stale_at: float
    stale_at_wall: float
    sent: float
    sent_wall: float
    spent: float
    """The age at which nobody is given it any more, if another can be had."""

    def __init__(self, token: Token, sent: float, sent_wall: float, stale: float, spent: float) -> None:
        self._set(sent, sent_wall, spent, sent + stale, sent_wall + stale, token)

    def age(self, now: float, now_wall: float) -> float:
        """Seconds since it was asked for, by the two clocks that tell these times."""
        return max(now - self.sent, now_wall - self.sent_wall)


class Failure(NamedTuple):
    """An error that callers are given without another request, until the pause is over."""

    error: Exception
    pause: float
    """Seconds; the next pause is twice as long."""
    since: float
    until: float


class RefusedToken(NamedTuple):
    """A token that an API refused. The next one is not given up for that, until the pause is over."""

    token: Token
    pause: float
    until: float


class Shared:
    """The token at hand, or why there is none, and the fetch that is under way."""

    def __init__(self) -> None:
        self.held: Held | None = None
        self.failure: Failure | None = None
        self.refusal: RefusedToken | None = None
        self.looked = float("-inf")
        """When somebody looked into the store last within the pause after an error, by the monotonic clock."""
        self.anew = False
        """Whether the pause after an error of another process is passed over the next time."""
        self.after_fork()

    def forget(self, *, anew: bool = False) -> None:
        """Have no token and no error, as in a new process; or, ``anew``, one that heeds no error of another."""
        with self.lock:
            self.held = self.failure = self.refusal = None
            self.looked, self.anew = float("-inf"), anew

    def after_fork(self) -> None:
        """Forget the threads that a child does not have."""
        self.lock = threading.Lock()
        self.flight: Flight[Outcome] | None = None


_registry: WeakValueDictionary[tuple[object, ...], Shared] = WeakValueDictionary()
_latest: deque[Shared] = deque(maxlen=1000)
"""Those that outlive their providers."""
_registry_lock = threading.Lock()


def share(key: tuple[object, ...]) -> Shared:
    """What the providers with this key have in common."""
    with _registry_lock:
        shared = _registry.get(key)
        if shared is None:
            shared = _registry[key] = Shared()
            _latest.append(shared)
        return shared


def forget_tokens() -> None:
    """Forget the tokens and errors of all providers of this process, as tests want it between one and the next."""
    for shared in list(_registry.values()):
        shared.forget()


def _after_fork_in_child() -> None:
    global _registry_lock  # noqa: PLW0603 -- the one that another thread may have held
    _registry_lock = threading.Lock()
    for shared in list(_registry.values()):
        shared.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
