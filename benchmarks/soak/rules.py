"""What must hold at the end. Each rule is a function that gives what breaks it, in words; none is a good sign.

The provider's numbers are written down here once more on purpose: the soak holds it to what its documentation says.
"""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from .history import Group, Process, Round, Span, newest_at

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RULES", "Account", "account", "answers", "errors", "rounds", "spent_tokens", "stored_meanwhile"]

_STALE_SHARE = 1 / 5
_TRIES, _FETCH_SECONDS, _TIMEOUT = 4, 60.0, 60.0
_LONGEST_BACKOFF = (1.0, 2.0, 4.0)
"""Seconds, after the first try, the second and the third."""
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_RETRY_AFTER = 1.0, 30.0, 300.0
_REFUSALS = 90.0
"""Seconds: the longest pause in which a refused token is kept, and those in which the next refusal makes it longer."""
_LOCK_WAIT, _REDIS_LEASE = 10.0, 6.0
"""Seconds: another process waits for the lock no longer, and in Redis the lock ends sooner."""
_AFTER_OUTAGE = 6.0
"""Seconds after an outage of the store for which a process may still pass it over, and one more."""
_FOR_ALL = ("401", "429", "5")
"""How the answers begin that hold for all who share a store."""
_FOR_GOOD = frozenset({"200", "400", "401", "403"})
"""Answers that no further try would change; a 200 here is one that is no token."""

# Of this machine, in real seconds: between what the provider did and what was written of it.
_SLACK, _LONG_SLACK = 0.05, 2.0


class Account(NamedTuple):
    """Why there were so many requests for a token."""

    reasons: Counter[str]
    """Rounds by their reason: "cold" (there was no token), "due" (it was stale), "refused" (by the API), "late" (the
    last one did not end in time), "needless"."""
    grants: int
    """Rounds that ended with a token."""
    tries: int
    failures: Counter[str]
    """Tries that failed: by "harm" that the server did, as the "server was down", as the "machine was slow" for longer
    than the time-out, or "unexplained"."""
    unshared: int
    """Rounds of a process where another that it shares a store with had just fetched a token, or was at it."""
    breaches: list[str]


def account(group: Group) -> Account:
    """Requests are as many as lifetimes, refusals and faults make them, exactly.

    Each round must have a reason: its process had no token; or the newest one that it had was stale, so at least four
    fifths through its life; or the API had refused that one; or a fetch of this process had begun 60 s ago, and should
    have ended by itself: then there may be a second one. No other process that shares the store may have had a
    fresh token by then, or a fetch under way, unless the store was down, or that fetch took longer than others wait for
    the lock. Each try that failed must be one that the server did harm to, or that met it down, or that ran into its
    time-out.
    """
    sent, refused = group.sent(), group.first_refusals()
    reasons, failures, breaches, unshared = Counter[str](), Counter[str](), list[str](), 0
    grants = tries = 0
    for process in group.processes:
        newest = process.newest()
        for each in process.rounds:
            held = newest_at(newest, each.sent)
            reason = _reason(group, process, held, each, sent, refused)
            reasons[reason] += 1
            if reason == "needless":
                breaches.append(f"{process.who} asked at {each.sent:.3f} although token {held} was fresh")
            if _is_unshared(group, process, held, each, refused):
                unshared += 1
                breaches.append(f"{process.who} asked at {each.sent:.3f} although another had asked")
            grants += each.token is not None
            tries += len(each.tries)
            failures.update(_cause(group, each))
    if failures["unexplained"]:
        breaches.append(f"{failures['unexplained']} requests for a token failed without a fault")
    return Account(reasons, grants, tries, failures, unshared, breaches)


def _reason(
    group: Group, process: Process, held: str | None, each: Round, sent: dict[str, float], refused: dict[str, float]
) -> str:
    if held is None:
        return "cold"
    if refused.get(held, each.sent) < each.sent:
        return "refused"
    # The age of what came from a store is known less exactly.
    slack = _SLACK if len(group.processes) > 1 else 0.0
    stale = each.sent - sent[held] >= (1 - _STALE_SHARE) * group.real_lifetime - slack
    if stale:
        return "due"
    return "late" if any(_was_late(group, other, each) for other in process.rounds) else "needless"


def _was_late(group: Group, other: Round, each: Round) -> bool:
    """Whether a fetch began while another of the process was under way that should have ended by itself."""
    longest = (_FETCH_SECONDS - (_LOCK_WAIT if len(group.processes) > 1 else 0.0)) / group.speed
    return other.sent + longest - _SLACK <= each.sent <= other.ended + _SLACK


def _is_unshared(group: Group, process: Process, held: str | None, each: Round, refused: dict[str, float]) -> bool:
    fresh = (1 - _STALE_SHARE) * group.real_lifetime
    for other in group.processes:
        for theirs in other.rounds if other is not process else ():
            if theirs.sent > each.sent or theirs.sent < each.sent - group.real_lifetime - 2 * _FETCH_SECONDS:
                continue
            if _store_failed(group, theirs.sent, each.sent):
                continue
            if theirs.ended > each.sent:
                if each.sent - theirs.sent < _lock_wait(group) - _SLACK:
                    return True
            elif theirs.token is not None and each.sent - theirs.tries[-1].sent < fresh - _SLACK:
                known = held is not None and int(theirs.token) <= int(held)
                overrun = theirs.ended - theirs.sent >= _lock_wait(group) - _SLACK
                if not known and not overrun and refused.get(theirs.token, each.sent) >= each.sent:
                    return True
    return False


def _lock_wait(group: Group) -> float:
    return _REDIS_LEASE if group.name == "redis" else _LOCK_WAIT


def _store_failed(group: Group, began: float, ended: float) -> bool:
    return any(Span(down.began, down.ended + _AFTER_OUTAGE).meets(began, ended) for down in group.outages)


def _cause(group: Group, each: Round) -> Iterator[str]:
    for one in each.tries:
        if one.token is not None:
            continue
        if one.id in group.faults:
            yield "harm"
        elif any(down.meets(one.sent, one.ended) for down in group.downs):
            yield "server was down"
        elif one.ended - one.sent >= group.timeout:
            yield "machine was slow"
        else:
            yield "unexplained"


def spent_tokens(group: Group) -> list[str]:
    """No call to the API goes out with a token that had expired when the call was made, by the server's own reckoning.

    In the last tenth of its life, a token may be used only after a fetch of the next one has failed, or another
    process's has in a way that holds for all that share the store. A call that waited for a fetch is given its token
    however old that is by then. (What expires between call and arrival is not counted: it was good when it was handed
    out.)
    """
    sent, received = group.sent(), group.received()
    failed = {
        process.who: [each.ended for each in process.rounds if each.token is None]
        + [each.ended for other in _others(group, process) for each in other.rounds if _holds_for_all(each)]
        for process in group.processes
    }
    breaches = [f"{group.unknown} calls came without a token that was granted"] if group.unknown else []
    for event in group.spent:
        who, token = event["of"], event["token"]
        if event["asked"] <= received.get(token, 0.0):
            continue
        if event["expired"]:
            breaches.append(f"{who} called at {event['asked']:.3f} with token {token}, which had expired")
        elif not any(sent.get(token, 0.0) < ended <= event["at"] for ended in failed[who]):
            breaches.append(f"{who} called at {event['asked']:.3f} with token {token}, spent, and nothing had failed")
    return breaches


def rounds(group: Group) -> list[str]:
    """No fetch gives up early, and none begins within a pause.

    A fetch may fail after four tries; or sooner, if the next one might have begun more than 60 s after the first
    (a pause is up to 1, 2, 4 s, or as long as Retry-After says), or if the answer is one that stays. The next fetch
    begins 1 s later at the soonest, then 2, 4, ... 30 s, or when Retry-After says so; a token from the store ends that.
    What the endpoint answered one process holds for all that share its store.
    """
    breaches = list[str]()
    for process in group.processes:
        for each in process.rounds:
            if each.token is None and not _has_tried_all(group, each):
                breaches.append(f"{process.who} gave up early at {each.ended:.3f}, after {len(each.tries)} tries")
        for each, following, pause in _pauses(process):
            # What came from a store ends a row of failures, so that only the first pause is certain there, and ends a
            # pause, too: the token that came may be stale or refused before the pause would have been over.
            certain = pause if len(group.processes) == 1 else max(_FIRST_PAUSE, _asked(each))
            if (
                following is None
                or _was_late(group, each, following)
                or any(each.ended < when < following.sent for when, _ in process.seen)
            ):
                continue
            if following.sent < each.ended + certain / group.speed:
                breaches.append(f"{process.who} asked at {following.sent:.3f}, within a pause")
        for each in process.rounds:
            if any(_is_told(group, theirs, each) for other in _others(group, process) for theirs in other.rounds):
                breaches.append(f"{process.who} asked at {each.sent:.3f}, within the pause of another")
    return breaches


def _others(group: Group, process: Process) -> list[Process]:
    return [other for other in group.processes if other is not process]


def _holds_for_all(each: Round) -> bool:
    return each.token is None and each.tries[-1].outcome.startswith(_FOR_ALL)


def _is_told(group: Group, theirs: Round, each: Round) -> bool:
    """Whether this fetch began within the pause after an error that another process had left in the store."""
    if not _holds_for_all(theirs):
        return False
    if theirs.ended - theirs.sent >= _lock_wait(group) - _SLACK or _store_failed(group, theirs.sent, each.sent):
        return False  # it had its turn no longer, or could not leave word
    return theirs.ended < each.sent < theirs.ended + max(_FIRST_PAUSE, _asked(theirs)) / group.speed


def _has_tried_all(group: Group, each: Round) -> bool:
    last, number = each.tries[-1], len(each.tries)
    if number >= _TRIES or last.outcome in _FOR_GOOD:
        return True
    pause = max(_LONGEST_BACKOFF[number - 1], last.retry_after)
    return (each.ended - each.sent + _SLACK) * group.speed + pause > _FETCH_SECONDS


def _pauses(process: Process) -> Iterator[tuple[Round, Round | None, float]]:
    """Each fetch that failed, the next one, and the pause in between in s of the group's clock."""
    pause = 0.0
    for each, following in zip_longest(process.rounds, process.rounds[1:]):
        if each.token is not None:
            pause = 0.0
            continue
        pause = min(_LONGEST_PAUSE, pause * 2) if pause else _FIRST_PAUSE
        yield each, following, max(pause, _asked(each))


def _asked(each: Round) -> float:
    return min(each.tries[-1].retry_after, _LONGEST_RETRY_AFTER)


def errors(group: Group) -> list[str]:
    """No caller is given an error that a retry could have saved.

    An error of ours is allowed only if a fetch of that process had failed before the call ended, which is known to have
    had all its tries, or one of another process whose answer holds for all that share the store; if the call was made
    before the next fetch began, and before the pause was over (which is a longest one, where it may go on from that of
    another process); or if it came after the 60 s that a caller waits. In any case, no token may have been at hand at
    the end of the call which the process had had before the call, which had not expired, and which the API had not
    refused.
    """
    sent, refused, breaches = group.sent(), group.first_refusals(), list[str]()
    for process in group.processes:
        newest, others = process.newest(), _others(group, process)
        least = _LONGEST_PAUSE if others else 0.0
        pauses = [_pause(group, each, following, max(pause, least)) for each, following, pause in _pauses(process)] + [
            _pause(group, each, None, max(pause, least))
            for other in others
            for each, _, pause in _pauses(other)
            if _holds_for_all(each)
        ]
        for error in process.errors:
            told = f"{error['caller']} of {process.who} had {error['error']} at {error['ended']:.3f}"
            waited = (error["ended"] - error["began"] + _SLACK) * group.speed >= _TIMEOUT
            if not waited and not any(pause.meets(error["began"], error["ended"]) for pause in pauses):
                breaches.append(f"{told}, and no fetch had failed")
            held = newest_at(newest, error["began"])
            if held is None or refused.get(held, 1e99) < error["ended"]:
                continue
            if error["ended"] < sent[held] + group.real_lifetime - (_SLACK if len(group.processes) > 1 else 0.0):
                breaches.append(f"{told}, although token {held} was good")
    return breaches


def _pause(group: Group, each: Round, following: Round | None, pause: float) -> Span:
    """When there may be errors after a fetch that failed."""
    until = each.ended + pause / group.speed + _LONG_SLACK
    if following is None or _was_late(group, each, following):
        return Span(each.ended, until)
    return Span(each.ended, min(until, following.sent))


def answers(group: Group) -> list[str]:
    """A 401 reaches a caller only if the API had refused two different tokens within 90 s, or one, where a fetch of
    another failed while the call went on; nothing else does at all.

    An error of the HTTP client's own is allowed only while the server is down.
    """
    breaches = list[str]()
    for process in group.processes:
        for answer in process.answers:
            since = answer["ended"] - _REFUSALS / group.speed
            tokens = {token for at, token, _ in group.refused if since <= at <= answer["ended"]}
            during = Span(answer["began"], answer["ended"])
            failed = any(each.token is None and during.meets(each.sent, each.ended) for each in process.rounds)
            if answer["status"] != 401 or len(tokens) < (1 if failed else 2):
                breaches.append(f"{answer['caller']} of {process.who} had {answer['status']} at {answer['ended']:.3f}")
        for call in process.broken:
            if not any(down.meets(call["began"], call["ended"]) for down in group.downs):
                breaches.append(f"{call['caller']} of {process.who} had {call['error']} at {call['ended']:.3f}")
    return breaches


RULES = {
    "no call with a spent token": spent_tokens,
    "requests are as many as lifetimes, refusals and faults": lambda group: account(group).breaches,
    "no fetch gives up early or begins in a pause": rounds,
    "no error that a retry could have saved": errors,
    "no 401 that another token would have saved": answers,
}


def stored_meanwhile(group: Group) -> int:
    """Errors that callers had while another process had left a fresh token in the store: not against the rules, as
    each looks there but once a second during a pause, but to be known."""
    count = 0
    for process in group.processes:
        others = [each for other in group.processes if other is not process for each in other.rounds if each.token]
        for error in process.errors:
            ends = error["began"] - (1 - _STALE_SHARE) * group.real_lifetime
            count += any(each.ended < error["began"] and each.sent > ends for each in others)
    return count
