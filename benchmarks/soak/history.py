"""What a group's processes and its server wrote down, in the shape that the rules ask for."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

    from .events import Event

__all__ = ["Group", "Process", "Round", "Run", "Span", "Try", "group", "newest_at"]


class Span(NamedTuple):
    """A time in which something did not work, in s of the monotonic clock."""

    began: float
    ended: float

    def meets(self, began: float, ended: float) -> bool:
        return self.began <= ended and began <= self.ended


class Try(NamedTuple):
    """One request for a token, as its process saw it."""

    id: str
    sent: float
    ended: float
    outcome: str
    """The status, or the name of what httpx raised."""
    token: str | None = None
    """The serial number of what was granted."""
    retry_after: float = 0.0
    """What the answer asked for, in s of the group's clock."""
    fetch: int = 0
    """What the tries of one round have in common."""


class Round(NamedTuple):
    """One fetch: a request for a token, and those that followed as it had failed."""

    tries: tuple[Try, ...]

    @property
    def sent(self) -> float:
        return self.tries[0].sent

    @property
    def ended(self) -> float:
        return self.tries[-1].ended

    @property
    def token(self) -> str | None:
        return self.tries[-1].token


class Process(NamedTuple):
    """One process of the group."""

    who: str
    rounds: tuple[Round, ...]
    seen: tuple[tuple[float, str], ...]
    """When its callers were first given another token, and which."""
    errors: tuple[Event, ...]
    """Calls that ended with an error of ours."""
    broken: tuple[Event, ...]
    """Calls that ended with an error of the HTTP client's."""
    answers: tuple[Event, ...]
    """Calls to the API that were answered with anything but 200."""

    def newest(self) -> tuple[list[float], list[str]]:
        """When it is known to have had a newer token than before, and which."""
        known = [(each.ended, each.token) for each in self.rounds if each.token is not None]
        times, tokens = list[float](), list[str]()
        for when, token in sorted([*known, *self.seen]):
            if not tokens or int(token) > int(tokens[-1]):
                times.append(when)
                tokens.append(token)
        return times, tokens


class Group(NamedTuple):
    """All that is known of a group."""

    name: str
    speed: float
    """How many times faster its clock runs."""
    lifetime: float
    """What a token lasts, in s of its clock."""
    timeout: float
    """Of its token requests, in real s."""
    processes: tuple[Process, ...]
    faults: frozenset[str] = frozenset()
    """The ids of the requests for a token that the server did harm to."""
    downs: tuple[Span, ...] = ()
    """When the server was down."""
    outages: tuple[Span, ...] = ()
    """When the store was down."""
    refused: tuple[tuple[float, str, str], ...] = ()
    """When the API first refused which token, and why."""
    spent: tuple[Event, ...] = ()
    """Calls to the API with a token in the last tenth of its life, or beyond."""
    unknown: int = 0
    """Calls to the API with no token, or with one that was never granted."""

    @property
    def real_lifetime(self) -> float:
        return self.lifetime / self.speed

    def sent(self) -> dict[str, float]:
        """When each token was asked for."""
        return {token: each.sent for token, each in self._grants().items()}

    def received(self) -> dict[str, float]:
        """When each token had come."""
        return {token: each.ended for token, each in self._grants().items()}

    def _grants(self) -> dict[str, Try]:
        tries = (one for process in self.processes for each in process.rounds for one in each.tries)
        return {one.token: one for one in tries if one.token is not None}

    def first_refusals(self) -> dict[str, float]:
        """When each token was refused first, of those that were."""
        return {token: at for at, token, _ in sorted(self.refused, reverse=True)}


class Run(NamedTuple):
    """All that a run has written down."""

    began: float
    """In s of the monotonic clock."""
    seconds: float
    seed: str
    date: str
    workers: dict[str, Any]
    """The samples of each process, and what it said at its end."""
    groups: list[Group]


def newest_at(newest: tuple[list[float], list[str]], at: float) -> str | None:
    """The token of ``Process.newest`` at a time."""
    index = bisect_right(newest[0], at)
    return newest[1][index - 1] if index else None


def group(
    name: str,
    *,
    speed: float,
    lifetime: float,
    timeout: float,
    workers: dict[str, list[Event]],
    server: list[Event],
    outages: tuple[Span, ...] = (),
) -> Group:
    """Read the events of a group."""

    def of(kind: str) -> list[Event]:
        return [event for event in server if event["event"] == kind]

    return Group(
        name,
        speed,
        lifetime,
        timeout,
        processes=tuple(_process(who, events) for who, events in workers.items()),
        faults=frozenset(event["id"] for event in of("fault")),
        downs=tuple(Span(event["began"], event["ended"]) for event in of("down")),
        outages=outages,
        refused=tuple((event["at"], event["token"], event["of"]) for event in of("refused")),
        spent=tuple(of("spent")),
        unknown=len(of("unknown")),
    )


def _process(who: str, events: list[Event]) -> Process:
    def of(kind: str) -> tuple[Event, ...]:
        return tuple(event for event in events if event["event"] == kind)

    tries = [Try(*(event[name] for name in Try._fields)) for event in of("try")]
    rounds = dict[int, list[Try]]()
    for each in sorted(tries, key=lambda each: each.sent):
        rounds.setdefault(each.fetch, []).append(each)
    return Process(
        who,
        tuple(Round(tuple(each)) for each in rounds.values()),
        seen=tuple((event["at"], event["token"]) for event in of("seen")),
        errors=of("error"),
        broken=of("broken"),
        answers=of("answer"),
    )
