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
    from collections.abc import Mapping
    from typing import Any, TypeAlias

    from .single_flight import Flight
    from .token import Token

    Outcome: TypeAlias = Token | Exception

__all__ = ["Failure", "Held", "RefusedToken", "Route", "Shared", "forget_tokens", "share"]

_ROUTES = 16  # that are remembered: few programs have two


class Held(Value):
    """A token at hand. It is as old as the older of two clocks says, counted from before it was asked for."""

    __slots__ = ("token", "sent", "sent_wall", "stale_at", "stale_at_wall", "spent_age")  # noqa: RUF023 -- as they are set

    token: Token
    sent: float
    sent_wall: float
    stale_at: float
    stale_at_wall: float
    spent_age: float
    """The age at which nobody is given it any more, if another can be had."""

    def __init__(self, token: Token, sent: float, sent_wall: float, stale_age: float, spent_age: float) -> None:
        self._set(token, sent, sent_wall, sent + stale_age, sent_wall + stale_age, spent_age)

    def age(self, now: float, now_wall: float) -> float:
        """Seconds since it was asked for, by the two clocks that tell these times."""
        return max(now - self.sent, now_wall - self.sent_wall)


class Route(Value):
    """By what way a provider asks: its proxies, certificate authorities, time-outs. It shows nothing of them."""

    __slots__ = _hidden = ("httpx_args",)

    httpx_args: Mapping[str, Any]

    def __init__(self, httpx_args: Mapping[str, Any]) -> None:
        self._set(httpx_args)


class Failure(NamedTuple):
    """An error that callers are given without another request, until the pause is over."""

    error: Exception
    pause: float
    """Seconds; the next pause is twice as long."""
    since: float
    until: float
    route: Route | None
    """Whose business it is: that of all who ask by this way; None where everybody would be told the same."""


class RefusedToken(NamedTuple):
    """A token that an API refused. The next one is not given up for that, until the pause is over."""

    token: Token
    pause: float
    until: float


class Shared:
    """The token at hand, or why there is none, and the fetch that is under way."""

    def __init__(self) -> None:
        self.held: Held | None = None
        self.failures: list[Failure] = []
        self.refused_token: RefusedToken | None = None
        self.looked = float("-inf")
        """When somebody looked into the store last within the pause after an error, by the monotonic clock."""
        self.anew = False
        """Whether the pause after an error of another process is passed over the next time."""
        self.forget_threads()

    def failure(self, route: Route) -> Failure | None:
        """The last error of those who ask by this way."""
        return next((each for each in self.failures if each.route is None or each.route == route), None)

    def fail(self, failure: Failure) -> None:
        """Keep an error, in the place of the one before."""
        others = [each for each in self.failures if each.route is not None and each.route != failure.route]
        self.failures = [failure] if failure.route is None else [failure, *others[: _ROUTES - 1]]

    def forget(self, *, anew: bool = False) -> None:
        """Have no token and no error, as in a new process; or, ``anew``, one that heeds no error of another."""
        with self.lock:
            self.held = self.refused_token = None
            self.failures = []
            self.looked, self.anew = float("-inf"), anew

    def forget_threads(self) -> None:
        """Have no flight, and nobody in the lock: a child has none of the threads that it had before the fork."""
        self.lock = threading.RLock()  # a signal handler may come while this very thread holds it
        self.flight: Flight[Outcome] | None = None


_registry: WeakValueDictionary[tuple[object, ...], Shared] = WeakValueDictionary()
_latest: deque[Shared] = deque(maxlen=1000)
"""Those that outlive their providers."""
_registry_lock = threading.RLock()


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
    with _registry_lock:
        known = list(_registry.values())
    for shared in known:
        shared.forget()


def _after_fork_in_child() -> None:
    global _registry_lock  # noqa: PLW0603 -- the one that another thread may have held
    _registry_lock = threading.RLock()
    for shared in list(_registry.values()):
        shared.forget_threads()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
