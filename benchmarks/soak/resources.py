"""What a process uses: memory, descriptors and threads; and whether its callers are at work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["grown", "growth", "leaks", "stuck"]


def growth(times: Sequence[float], values: Sequence[float]) -> float:
    """By how much a series grows from its first to its last time, by the line of least squares through it."""
    if len(times) < 2:
        return 0.0
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    around = sum((each - middle) ** 2 for each in times)
    slope = sum((time - middle) * (value - mean) for time, value in zip(times, values, strict=True)) / around
    return slope * (times[-1] - times[0])


_LIMITS = {"rss": 4 * 2**20, "descriptors": 10.0, "threads": 2.0}
"""By how much each may grow in all: in bytes, and in numbers of what comes and goes with calls and refreshes."""
_WARM_UP = 1 / 4
"""The share of a run that is passed over: modules are loaded, and pools filled."""
_SHORTEST = 40.0
"""Seconds after the warm-up; from less, nothing is concluded."""


def grown(samples: Sequence[dict[str, float]]) -> dict[str, float]:
    """By how much memory, descriptors and threads grew after the warm-up."""
    warm = samples[int(len(samples) * _WARM_UP) :]
    times = [each["at"] for each in warm]
    return {name: growth(times, [each[name] for each in warm]) for name in _LIMITS}


def leaks(who: str, samples: Sequence[dict[str, float]], end: dict[str, dict[str, float]]) -> list[str]:
    """Memory, descriptors and threads stay as they are; once all callers have ended, none of the latter two is left."""
    breaches = list[str]()
    if samples and (samples[-1]["at"] - samples[0]["at"]) * (1 - _WARM_UP) >= _SHORTEST:
        breaches += [f"{who}: {name} grew by {by:,.0f}" for name, by in grown(samples).items() if by > _LIMITS[name]]
    for name in ("descriptors", "threads"):
        left = end["after"][name] - end["before"][name]
        if left > 0:
            breaches.append(f"{who}: {left:.0f} {name} were left over at the end")
    return breaches


_SILENCE = 90.0
"""Seconds without any call, which is more than a caller waits for a token."""


def stuck(who: str, samples: Sequence[dict[str, float]], end: dict[str, Any]) -> list[str]:
    """All callers end when they are told to, each has called, and there were calls up to the end."""
    breaches = [f"{who}: {name} did not end" for name in end["left"]]
    breaches += [f"{who}: {name} has not called once" for name, number in end["callers"].items() if not number]
    late = [each["calls"] for each in samples if each["at"] >= samples[-1]["at"] - _SILENCE]
    if late and late[0] == late[-1] and samples[-1]["at"] - samples[0]["at"] >= _SILENCE:
        breaches.append(f"{who}: nobody called any more at the end")
    return breaches
