"""What must hold at the end. A rule is a function that returns what broke it, in words.

The provider's numbers are repeated here on purpose: the soak holds it to its documentation. What a busy machine could
explain breaks no rule. Times are seconds of the monotonic clock, which all processes share, unless they are said to be
of the group's clock.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import cached_property
from statistics import linear_regression
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from . import Kind

__all__ = ["RULES", "SPENT", "Call", "Fetch", "Group", "Seen", "SpentCall", "grown", "leaks", "stuck"]

STALE, SPENT = 4 / 5, 9 / 10
"""The share of its life after which a token is stale, and spent."""
_FETCH_SECONDS, _TIMEOUT = 60.0, 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_REFUSALS = 90.0
"""Seconds of the group's clock in which a second refusal may reach a caller."""
_LOCK_WAIT, _REDIS_LEASE, _AFTER_OUTAGE = 10.0, 6.0, 6.0
"""Seconds that a process waits for the lock of the store, after which Redis frees it, and in which a process may still
pass over a store that is back."""
_SLACK, _LONG_SLACK = 0.05, 2.0
"""Seconds that a busy machine may take between what the provider does and what is recorded."""
_LIMITS = {"rss": 4 * 2**20, "descriptors": 10.0, "threads": 2.0}
"""By how much a process may grow over a run: bytes, and numbers."""
_SHORTEST, _SILENCE = 40.0, 90.0
"""Seconds: of the shortest run whose growth is judged, and without a call, which is more than a caller waits."""


class Fetch(NamedTuple):
    """A token request and its retries, as its process saw them."""

    who: str
    began: float
    asked: float
    """When the last request was sent."""
    ended: float
    tries: int
    token: str | None = None
    retry_after: float = 0.0
    """Seconds of the group's clock."""
    started: float = math.inf
    """When its thread was started; on a busy machine long before it began."""


class Call(NamedTuple):
    """A call that did not succeed."""

    kind: str
    """It ended with an ``error`` of ours, one of the HTTP client (``broken``), or an ``answer`` that is not a 200."""
    who: str
    caller: str
    began: float
    ended: float
    what: str
    """The exception, or the status."""

    def __str__(self) -> str:
        return f"{self.caller} of {self.who} had {self.what} at {self.ended:.3f}"


class SpentCall(NamedTuple):
    """A call of the API with a token in the last tenth of its life, or beyond."""

    who: str
    token: str
    asked: float
    at: float
    expired: bool


@define
class Seen:
    """What a server did and saw."""

    downs: list[tuple[float, float]] = field(factory=list)
    """When it was down, from and to."""
    refused: dict[str, float] = field(factory=dict)
    """When the API first refused a token."""
    spent: list[SpentCall] = field(factory=list)
    unknown: int = 0
    """Calls of the API without a token that was granted."""


@define(slots=False)
class Group:
    """All that happened in a group of processes."""

    kind: Kind
    fetches: Sequence[Fetch]
    """In the order in which they began."""
    calls: Sequence[Call]
    seen: Seen
    outages: Sequence[tuple[float, float]] = ()
    """When the store was down, from and to."""

    @cached_property
    def grants(self) -> dict[str, Fetch]:
        """The fetch that each token came from, by the time at which it came."""
        found = sorted(self.fetches, key=lambda fetch: fetch.ended)
        return {fetch.token: fetch for fetch in found if fetch.token}

    @cached_property
    def _granted(self) -> list[Fetch]:
        return list(self.grants.values())

    def newest(self, at: float, who: str = "") -> Fetch | None:
        """The fetch of the newest token at a time, by anybody or by this process."""
        index = bisect_right(self._granted, at, key=lambda fetch: fetch.ended)
        return next((fetch for fetch in reversed(self._granted[:index][-200:]) if who in {"", fetch.who}), None)

    def refused_by(self, fetch: Fetch, at: float) -> bool:
        return self.seen.refused.get(str(fetch.token), math.inf) < at

    @property
    def slack(self) -> float:
        return min(_SLACK, self.kind.real_lifetime / 50)

    @property
    def lock_wait(self) -> float:
        return (_REDIS_LEASE if self.kind.name == "redis" else _LOCK_WAIT) - _SLACK

    def store_failed(self, began: float, ended: float) -> bool:
        return any(down <= ended and began <= up + _AFTER_OUTAGE for down, up in self.outages)

    def was_left_behind(self, fetch: Fetch) -> bool:
        """Whether a fetch took so long that its process may have begun another meanwhile."""
        longest = (_FETCH_SECONDS - (_LOCK_WAIT if self.kind.processes > 1 else 0.0)) / self.kind.speed
        return fetch.ended - min(fetch.started, fetch.began) >= longest - 2 * _SLACK

    @cached_property
    def reasons(self) -> list[str]:
        """Why there was each fetch: ``cold`` (no token), ``due`` (it was stale), ``refused`` (by the API), ``late``
        (the last fetch did not end in time), or ``needless`` (the group had a token, or another process fetched)."""
        return [self._reason(fetch) for fetch in self.fetches]

    def _reason(self, fetch: Fetch) -> str:
        recent = [each for each in self.fetches if fetch.began - _FETCH_SECONDS < each.began < fetch.began]
        for other in recent:
            if other.who != fetch.who and fetch.began < min(other.ended, other.began + self.lock_wait):
                return "due" if self.store_failed(other.began, fetch.began) else "needless"
        newest = self.newest(fetch.began)
        # Other processes know a token only if the store was there, and the fetch did not outlast its lock.
        if newest and newest.who != fetch.who:
            kept = newest.ended - newest.began < self.lock_wait and not self.store_failed(newest.began, fetch.began)
            newest = newest if kept else self.newest(fetch.began, fetch.who)
        if newest is None:
            return "cold"
        if self.refused_by(newest, fetch.began):
            return "refused"
        if fetch.began - newest.asked >= STALE * self.kind.real_lifetime - self.slack:
            return "due"
        left = (each for each in recent if each.who == fetch.who and self.was_left_behind(each))
        return "late" if any(fetch.began <= each.ended + _SLACK for each in left) else "needless"


def needless_fetches(group: Group) -> list[str]:
    """Each fetch has a reason."""
    return [
        f"{fetch.who} asked at {fetch.began:.3f} although a token was fresh, or another process asked"
        for fetch, reason in zip(group.fetches, group.reasons, strict=True)
        if reason == "needless"
    ]


def spent_tokens(group: Group) -> list[str]:
    """No call of the API has a token that had expired when it was made, unless it waited for that token. One that is
    spent needs a failed fetch."""
    unknown = group.seen.unknown
    breaches = [f"{unknown} calls came without a token that was granted"] if unknown else []
    failed = [fetch.ended for fetch in group.fetches if not fetch.token]
    for call in group.seen.spent:
        grant = group.grants.get(call.token)
        if grant is not None and call.asked <= grant.ended:
            continue
        if call.expired:
            breaches.append(f"{call.who} called at {call.asked:.3f} with token {call.token}, which had expired")
        elif grant is not None and not any(grant.began < ended <= call.at for ended in failed):
            breaches.append(f"{call.who} called at {call.asked:.3f} with token {call.token}, spent, and nothing failed")
    return breaches


def pauses(group: Group) -> list[str]:
    """A process fetches again only after a pause, unless another left a token in the store."""
    breaches = list[str]()
    for who in {fetch.who for fetch in group.fetches}:
        own, pause = [fetch for fetch in group.fetches if fetch.who == who], 0.0
        for fetch in sorted(own, key=lambda fetch: fetch.ended):
            if fetch.token:
                pause = 0.0
            if fetch.token or group.was_left_behind(fetch):  # its failure lengthens no pause
                continue
            pause = min(_LONGEST_PAUSE, pause * 2) or _FIRST_PAUSE
            # A token from the store ends a row of failures, so only the first pause is certain there.
            certain = min(pause, _FIRST_PAUSE) if group.kind.processes > 1 else pause
            until = fetch.ended + max(certain, fetch.retry_after) / group.kind.speed
            for following in own[bisect_right(own, fetch.ended, key=lambda fetch: fetch.began) :][:1]:
                newest = group.newest(following.began)
                if following.began < until and (newest is None or newest.ended < fetch.ended):
                    breaches.append(f"{who} asked at {following.began:.3f}, within its pause")
    return breaches


def errors(group: Group) -> list[str]:
    """A caller gets an error only in the pause after a failed fetch, or after 60 s; and never if its process had a good
    token before its call."""
    failed = sorted(fetch.ended for fetch in group.fetches if not fetch.token)
    longest_pause = _LONGEST_PAUSE / group.kind.speed + _LONG_SLACK
    breaches = list[str]()
    for error in (call for call in group.calls if call.kind == "error"):
        before = bisect_right(failed, error.ended)
        in_pause = before > 0 and error.began <= failed[before - 1] + longest_pause
        if not in_pause and (error.ended - error.began + _SLACK) * group.kind.speed < _TIMEOUT:
            breaches.append(f"{error}, and no fetch had failed")
        newest = group.newest(error.began, error.who)
        if newest and not group.refused_by(newest, error.ended):
            good_until = newest.asked + group.kind.real_lifetime - group.slack
            if error.ended < good_until:
                breaches.append(f"{error}, although token {newest.token} was good")
    return breaches


def answers(group: Group) -> list[str]:
    """A caller gets a 401 only if the API refused two tokens within 90 s, or one while a fetch failed. The HTTP client
    fails only while the server is down."""
    breaches = list[str]()
    for call in group.calls:
        if call.kind == "broken" and not any(down <= call.ended and call.began <= up for down, up in group.seen.downs):
            breaches.append(str(call))
        if call.kind != "answer":
            continue
        since = call.began - _REFUSALS / group.kind.speed
        tokens = sum(since <= at <= call.ended for at in group.seen.refused.values())
        failed = any(
            each.who == call.who and not each.token and each.began <= call.ended and call.began <= each.ended
            for each in group.fetches
        )
        if call.what != "401" or tokens < (1 if failed else 2):
            breaches.append(str(call))
    return breaches


RULES = {
    "no call with a spent token": spent_tokens,
    "requests are as many as lifetimes, refusals and faults": needless_fetches,
    "no fetch begins in a pause": pauses,
    "no error that a retry could have saved": errors,
    "no 401 that another token would have saved": answers,
}


def grown(samples: Sequence[dict[str, float]]) -> dict[str, float]:
    """By how much memory, descriptors and threads grew after the first quarter, by a line of least squares."""
    warm = samples[len(samples) // 4 :]
    times = [each["at"] for each in warm]
    if len(warm) < 2:
        return dict.fromkeys(_LIMITS, 0.0)
    slopes = {name: linear_regression(times, [each[name] for each in warm]).slope for name in _LIMITS}
    return {name: slope * (times[-1] - times[0]) for name, slope in slopes.items()}


def leaks(who: str, samples: Sequence[dict[str, float]], end: dict[str, Any]) -> list[str]:
    """Memory, descriptors and threads are flat, and none of the latter two is left at the end."""
    breaches = list[str]()
    if samples and samples[-1]["at"] - samples[0]["at"] >= _SHORTEST:
        breaches += [f"{who}: {name} grew by {by:,.0f}" for name, by in grown(samples).items() if by > _LIMITS[name]]
    left = {name: end["after"][name] - end["before"][name] for name in ("descriptors", "threads")}
    return breaches + [f"{who}: {number:.0f} {name} were left over" for name, number in left.items() if number > 0]


def stuck(who: str, samples: Sequence[dict[str, float]], end: dict[str, Any]) -> list[str]:
    """All callers call until the end, and stop when asked to."""
    breaches = [f"{who}: {name} did not end" for name in end["left"]]
    breaches += [f"{who}: {name} has not called once" for name, number in end["callers"].items() if not number]
    late = [each["calls"] for each in samples if each["at"] >= samples[-1]["at"] - _SILENCE]
    if late and late[0] == late[-1] and samples[-1]["at"] - samples[0]["at"] >= _SILENCE:
        breaches.append(f"{who}: nobody called at the end")
    return breaches
