"""What must hold at the end. A rule is a function that returns what broke it, in words.

The provider's numbers are repeated here on purpose: the soak holds it to its documentation. Times are real seconds of
the monotonic clock, which all processes share, unless they are said to be of the group's clock.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from functools import cached_property
from itertools import groupby, pairwise
from statistics import linear_regression
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["RULES", "SPENT", "Call", "Group", "SpentCall", "Try", "account", "grown", "late_errors", "leaks", "stuck"]

STALE, SPENT = 4 / 5, 9 / 10
"""The share of its life after which a token is stale, and spent."""
_TRIES, _FETCH_SECONDS, _TIMEOUT = 4, 60.0, 60.0
_LONGEST_BACKOFF = (1.0, 2.0, 4.0)
"""Seconds of the group's clock after the first try, the second and the third."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_REFUSALS = 90.0
"""Seconds of the group's clock in which a second refusal may reach a caller."""
_LOCK_WAIT, _REDIS_LEASE, _AFTER_OUTAGE = 10.0, 6.0, 6.0
"""Seconds that a process waits for the lock of the store, after which Redis frees it, and in which a process may still
pass over a store that is back."""
_FOR_ALL, _FINAL = ("401", "429", "5"), ("200", "400", "401", "403")
"""Statuses (or their first digit) that hold for all who share a store, and those that no retry would change. A 200 here
is an answer without a token."""
_SLACK, _LONG_SLACK = 0.05, 2.0
"""Seconds that a busy machine may take between what the provider does and what is recorded."""
_LIMITS = {"rss": 4 * 2**20, "descriptors": 10.0, "threads": 2.0}
"""By how much a process may grow over a run: bytes, and numbers."""
_SHORTEST, _SILENCE = 40.0, 90.0
"""Seconds: of the shortest run that is judged, and without a call, which is more than a caller waits."""


class Try(NamedTuple):
    """A token request, as its process saw it."""

    who: str
    fetch: int
    """The same for a request and its retries."""
    sent: float
    ended: float
    outcome: str
    """The status, or the name of the exception."""
    token: str | None = None
    retry_after: float = 0.0
    """Seconds of the group's clock."""
    id: str = ""


class Fetch(NamedTuple):
    """A token request and its retries."""

    who: str
    tries: list[Try]
    sent: float
    ended: float
    token: str | None

    @property
    def holds_for_all(self) -> bool:
        """Whether it failed in a way that is shared with the other processes of the store."""
        return self.token is None and self.tries[-1].outcome.startswith(_FOR_ALL)


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


@define(slots=False)
class Group:
    name: str
    speed: float
    lifetime: float
    """Real seconds that a token lasts."""
    timeout: float
    tries: Sequence[Try]
    calls: Sequence[Call] = ()
    faults: set[str] = field(factory=set)
    """Ids of the token requests that the server failed on purpose."""
    downs: Sequence[tuple[float, float]] = ()
    """When the server was down, from and to."""
    outages: Sequence[tuple[float, float]] = ()
    """When the store was down."""
    refused: dict[str, float] = field(factory=dict)
    """When the API first refused a token."""
    spent: Sequence[SpentCall] = ()
    unknown: int = 0
    """Calls of the API without a token that was granted."""

    @cached_property
    def fetches(self) -> list[Fetch]:
        """All fetches, in the order in which they began."""
        found = []
        for (who, _), same in groupby(sorted(self.tries), lambda each: (each.who, each.fetch)):
            tries = list(same)
            found.append(Fetch(who, tries, tries[0].sent, tries[-1].ended, tries[-1].token))
        return sorted(found, key=lambda fetch: fetch.sent)

    @cached_property
    def grants(self) -> dict[str | None, Fetch]:
        """The fetch that each token came from."""
        return {fetch.token: fetch for fetch in self.fetches if fetch.token}

    @cached_property
    def _by_end(self) -> list[Fetch]:
        return sorted(self.grants.values(), key=lambda fetch: fetch.ended)

    def newest(self, at: float, who: str = "") -> Fetch | None:
        """The fetch of the newest token at a time, by anybody or by this process."""
        index = bisect_right(self._by_end, at, key=lambda fetch: fetch.ended)
        return next((fetch for fetch in reversed(self._by_end[:index][-200:]) if who in {"", fetch.who}), None)

    def refused_by(self, fetch: Fetch, at: float) -> bool:
        return self.refused.get(str(fetch.token), math.inf) < at

    @property
    def is_alone(self) -> bool:
        """Whether it is one process, without a store."""
        return self.name == "year"

    @property
    def slack(self) -> float:
        return min(_SLACK, self.lifetime / 50)

    @property
    def lock_wait(self) -> float:
        return (_REDIS_LEASE if self.name == "redis" else _LOCK_WAIT) - _SLACK

    def store_failed(self, began: float, ended: float) -> bool:
        return any(down <= ended and began <= up + _AFTER_OUTAGE for down, up in self.outages)

    def is_shared(self, fetch: Fetch, at: float) -> bool:
        """Whether other processes know by a time what came of a fetch."""
        return fetch.ended - fetch.sent < self.lock_wait and not self.store_failed(fetch.sent, at)

    def was_down(self, began: float, ended: float) -> bool:
        return any(down <= ended and began <= up for down, up in self.downs)

    def overlaps(self, other: Fetch, fetch: Fetch) -> bool:
        """Whether a fetch began while another was under way that should have ended by itself."""
        longest = (_FETCH_SECONDS - (_LOCK_WAIT if not self.is_alone else 0.0)) / self.speed
        return other.sent + longest - _SLACK <= fetch.sent <= other.ended + _SLACK

    def failures(self) -> Iterator[tuple[Fetch, Fetch | None, float]]:
        """Each fetch that failed, the next one of its process, and the seconds between them at least."""
        for who in {fetch.who for fetch in self.fetches}:
            pause = 0.0
            for fetch, following in pairwise([*(each for each in self.fetches if each.who == who), None]):
                assert fetch
                pause = 0.0 if fetch.token else min(_LONGEST_PAUSE, pause * 2) or _FIRST_PAUSE
                if pause:
                    # A token from the store ends a row of failures, so only the first pause is certain there.
                    certain = pause if self.name == "year" else _FIRST_PAUSE
                    yield fetch, following, max(certain, fetch.tries[-1].retry_after) / self.speed


class Account(NamedTuple):
    """Why there were so many token requests."""

    reasons: Counter[str]
    """Fetches by reason: ``cold`` (no token), ``due`` (it was stale), ``refused`` (by the API), ``late`` (the last one
    did not end in time), ``needless`` (another process of the group had a token, or was fetching)."""
    failures: Counter[str]
    """Tries that failed, by cause: a ``fault``, server ``down``, a ``slow`` machine, or ``unexplained``."""
    breaches: list[str]


def account(group: Group) -> Account:
    """Each fetch has a reason, and each failure a cause."""
    reasons = Counter[str]()
    breaches = list[str]()
    for fetch in group.fetches:
        reason = _reason(group, fetch)
        reasons[reason] += 1
        if reason == "needless":
            newest = group.newest(fetch.sent)
            known = f"token {newest.token} of {newest.tries[-1].sent:.3f} was fresh" if newest else "another asked"
            breaches.append(f"{fetch.who} asked at {fetch.sent:.3f} although {known}")
    failures = Counter(_cause(group, each) for each in group.tries if each.token is None)
    if failures["unexplained"]:
        breaches.append(f"{failures['unexplained']} token requests failed without a fault")
    return Account(reasons, failures, breaches)


def _reason(group: Group, fetch: Fetch) -> str:
    recent = [each for each in group.fetches if fetch.sent - _FETCH_SECONDS < each.sent < fetch.sent]
    for other in recent:
        waited = fetch.sent - other.sent
        if other.who != fetch.who and other.ended > fetch.sent and waited < group.lock_wait:
            return "due" if group.store_failed(other.sent, fetch.sent) else "needless"
    newest = group.newest(fetch.sent)
    if newest and newest.who != fetch.who and not group.is_shared(newest, fetch.sent):
        newest = group.newest(fetch.sent, fetch.who)
    if newest is None:
        return "cold"
    if group.refused_by(newest, fetch.sent):
        return "refused"
    if fetch.sent - newest.tries[-1].sent >= STALE * group.lifetime - group.slack:
        return "due"
    return "late" if any(other.who == fetch.who and group.overlaps(other, fetch) for other in recent) else "needless"


def _cause(group: Group, each: Try) -> str:
    if each.id in group.faults:
        return "fault"
    if group.was_down(each.sent, each.ended):
        return "down"
    return "slow" if each.ended - each.sent >= group.timeout else "unexplained"


def spent_tokens(group: Group) -> list[str]:
    """No call of the API has a token that had expired when it was made, unless it waited for that token. One that is
    spent needs a failed fetch."""
    breaches = [f"{group.unknown} calls came without a token that was granted"] if group.unknown else []
    failed = [fetch.ended for fetch in group.fetches if not fetch.token]
    for call in group.spent:
        grant = group.grants.get(call.token)
        if grant is not None and call.asked <= grant.ended:
            continue
        if call.expired:
            breaches.append(f"{call.who} called at {call.asked:.3f} with token {call.token}, which had expired")
        elif grant is not None and not any(grant.sent < ended <= call.at for ended in failed):
            breaches.append(f"{call.who} called at {call.asked:.3f} with token {call.token}, spent, and nothing failed")
    return breaches


def fetches(group: Group) -> list[str]:
    """No fetch gives up before its four tries or its 60 s, unless the answer is final. None begins within the pause
    after a failure, its process's own or one that holds for all. A token from the store ends a pause."""
    breaches, grants = list[str](), group.grants.values()
    for fetch, following, pause in group.failures():
        last, number = fetch.tries[-1], len(fetch.tries)
        backoff = max(_LONGEST_BACKOFF[min(number, 3) - 1], last.retry_after)
        had_time = (fetch.ended - fetch.sent + _SLACK) * group.speed + backoff <= _FETCH_SECONDS
        if number < _TRIES and last.outcome not in _FINAL and had_time:
            breaches.append(f"{fetch.who} gave up early at {fetch.ended:.3f}, after {number} tries")
        for other in group.fetches:
            if not fetch.ended < other.sent < fetch.ended + pause:
                continue
            own = other is following and not group.overlaps(fetch, other)
            stored = any(each.who != other.who and fetch.ended < each.ended < other.sent for each in grants)
            refused = other.who != fetch.who and fetch.holds_for_all and group.is_shared(fetch, other.sent)
            if (own and not stored) or refused:
                breaches.append(f"{other.who} asked at {other.sent:.3f}, within the pause of {fetch.who}")
    return breaches


def errors(group: Group) -> list[str]:
    """A caller gets an error only after a failed fetch (its process's, or one that holds for all) and until its pause
    ends or the next fetch begins, or after 60 s; and never if its process had a good token before its call."""
    spans = list[tuple[float, float, str]]()
    for fetch, following, pause in group.failures():
        # The pause may go on from that of another process, so it may be the longest.
        until = fetch.ended + (pause if group.is_alone else max(pause, _LONGEST_PAUSE)) + _LONG_SLACK
        own_until = until if following is None or group.overlaps(fetch, following) else min(until, following.sent)
        spans.append((fetch.ended, own_until, fetch.who))
        if fetch.holds_for_all and not group.is_alone:
            spans.append((fetch.ended, until, ""))
    spans.sort()
    breaches = list[str]()
    for error in (call for call in group.calls if call.kind == "error"):
        index = bisect_right(spans, error.ended, key=lambda span: span[0])
        allowed = any(
            error.began <= until and who in {"", error.who} for _, until, who in spans[max(0, index - 200) : index]
        )
        if not allowed and (error.ended - error.began + _SLACK) * group.speed < _TIMEOUT:
            breaches.append(f"{error}, and no fetch had failed")
        newest = group.newest(error.began, error.who)
        if newest and not group.refused_by(newest, error.ended):
            good_until = newest.tries[-1].sent + group.lifetime - group.slack
            if error.ended < good_until:
                breaches.append(f"{error}, although token {newest.token} was good")
    return breaches


def answers(group: Group) -> list[str]:
    """A caller gets a 401 only if the API refused two tokens within 90 s, or one while a fetch failed. The HTTP client
    fails only while the server is down."""
    breaches = list[str]()
    for call in group.calls:
        if call.kind == "broken" and not group.was_down(call.began, call.ended):
            breaches.append(str(call))
        if call.kind != "answer":
            continue
        tokens = sum(call.began - _REFUSALS / group.speed <= at <= call.ended for at in group.refused.values())
        failed = any(
            each.who == call.who and not each.token and each.sent <= call.ended and call.began <= each.ended
            for each in group.fetches
        )
        if call.what != "401" or tokens < (1 if failed else 2):
            breaches.append(str(call))
    return breaches


RULES = {
    "no call with a spent token": spent_tokens,
    "requests are as many as lifetimes, refusals and faults": lambda group: account(group).breaches,
    "no fetch gives up early or begins in a pause": fetches,
    "no error that a retry could have saved": errors,
    "no 401 that another token would have saved": answers,
}


def late_errors(group: Group) -> int:
    """Errors while another process had left a fresh token in the store, where a process looks once a second."""
    count = 0
    for error in (call for call in group.calls if call.kind == "error"):
        newest = group.newest(error.began)
        if newest and newest.who != error.who:
            count += error.began < newest.sent + STALE * group.lifetime
    return count


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
