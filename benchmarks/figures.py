"""The figures: what is wanted, and how samples are told."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .subjects import Sample

__all__ = ["FIGURES", "IMPORT", "IMPORTS", "MEMORY", "PROCESSES", "Figure"]

IMPORT, IMPORT_NAMES = IMPORTS = ("import", "import_names")
"""The two figures that are not a worker's: what an import adds to the start of Python."""
MEMORY, PROCESSES = "memory", "processes"


class Figure(NamedTuple):
    """A row of the table."""

    key: str
    """Its measure; a function of timings or bursts, or one of IMPORTS."""
    what: str
    goal: str
    kind: str
    """How its samples are told: ``ratio`` (to the floor), ``more`` (than the floor), or ``burst``."""
    limits: dict[str, float]
    """The most that a number may be for the goal to be reached."""
    rounds: int | None = None
    """How often, where that is not up to the caller."""
    unit: str = "ms"
    """Of what is told as more than the floor."""

    def numbers(self, samples: Sequence[Sample]) -> dict[str, float]:
        """The numbers that are told: medians, but for requests the worst, and ``low`` and ``high`` for the spread."""
        if self.kind == "burst":
            told = {key: statistics.median(sample[key] for sample in samples) for key in samples[0]}
            return _rounded(told | {"requests": max(sample["requests"] for sample in samples)})
        # Each sample has a floor of its own, so that a machine that is busy for a while slows both.
        relative = [
            sample["value"] / sample["floor"] if self.kind == "ratio" else sample["value"] - sample["floor"]
            for sample in samples
        ]
        low, middle, high = _quartiles(relative)
        floor, value = (statistics.median(sample[key] for sample in samples) for key in ("floor", "value"))
        return _rounded({self.kind: middle, "low": low, "high": high, "floor": floor, "value": value})

    def reached(self, numbers: dict[str, float]) -> bool:
        """Whether numbers reach the goal."""
        return all(numbers[key] <= limit for key, limit in self.limits.items())

    def rank(self, numbers: dict[str, float]) -> tuple[float, ...]:
        """What the best come first by."""
        if self.kind == "burst":
            failed = 0.0 if self.refuses else numbers["failed"]
            return failed, numbers["requests"], numbers.get(self._wait, 0.0)
        return (numbers[self.kind],)

    @property
    def refuses(self) -> bool:
        """Whether callers are to fail."""
        return "failed" not in self.limits

    @property
    def _wait(self) -> str:
        """Which wait is told: from a caller's own start, where nobody is to wait for another's request."""
        return "longest" if "longest" in self.limits else "slowest"

    def told(self, numbers: dict[str, float]) -> str:
        """Numbers as a cell of the table."""
        if self.kind == "ratio":
            return f"{_short(numbers['ratio'])} × ({_short(numbers['low'])}–{_short(numbers['high'])})"
        if self.kind == "more":
            return f"{numbers['more']:+.1f} {self.unit} ({numbers['low']:.1f}–{numbers['high']:.1f})"
        parts = [f"{numbers['requests']:,.0f} request{'s' if numbers['requests'] != 1 else ''}"]
        if "slowest" in numbers:
            wait = numbers[self._wait]
            parts.append(f"{wait:,.1f} ms" if wait < 10 else f"{wait:,.0f} ms")
        if "lag" in numbers:
            parts.append(f"lag {numbers['lag']:.0f} ms")
        if numbers["failed"] and not self.refuses:
            parts.append(f"{numbers['failed']:.0f} failed")
        return ", ".join(parts)


FIGURES = (
    Figure("fresh", "`get_token()`, fresh", "≤ 2 × the inline floor", "ratio", {"ratio": 2.0}),
    Figure("awaited", "`await aget_token()`, fresh", "≤ 1.5 × an awaited floor", "ratio", {"ratio": 1.5}),
    Figure("step", "httpx step, up to the request", "≤ 2 × the smallest `httpx.Auth`", "ratio", {"ratio": 2.0}),
    Figure("request", "a whole request, kept alive", "≤ 1.03 × a static header", "ratio", {"ratio": 1.03}),
    Figure("cold", "cold fetch", "≤ 2.5 ms more than a GET by a new httpx client", "more", {"more": 2.5}),
    Figure(IMPORT, "`import domo_oauth`", "≤ 15 ms more than bare Python", "more", {"more": 15.0}),
    Figure(IMPORT_NAMES, "`from domo_oauth import TokenProvider`", "told only", "more", {}),
    Figure(
        "command_stored",
        "a process that prints a token from a file",
        "≤ 8.5 × bare Python",
        "ratio",
        {"ratio": 8.5},
    ),
    Figure(
        "command_cold",
        "a process that fetches and prints a token, by TLS",
        "≤ 1.2 × the smallest httpx script",
        "ratio",
        {"ratio": 1.2},
    ),
    Figure(MEMORY, "memory of a process with a token", "told only", "more", {}, unit="MiB"),
    Figure(
        "threads",
        "64 threads, cold, endpoint at 100 ms",
        "1 request, slowest ≤ 150 ms",
        "burst",
        {"requests": 1, "failed": 0, "slowest": 150.0},
    ),
    Figure(
        "tasks",
        "1,000 asyncio tasks, cold, endpoint at 100 ms",
        "1 request, loop lag ≤ 40 ms",
        "burst",
        {"requests": 1, "failed": 0, "lag": 40.0},
    ),
    Figure(
        "trio_tasks",
        "1,000 trio tasks, cold, endpoint at 100 ms",
        "1 request, loop lag ≤ 40 ms",
        "burst",
        {"requests": 1, "failed": 0, "lag": 40.0},
    ),
    Figure(
        "mixed",
        "8 threads and 2 loops × 100 tasks at once, cold, endpoint at 100 ms",
        "1 request, loop lag ≤ 40 ms",
        "burst",
        {"requests": 1, "failed": 0, "lag": 40.0},
    ),
    Figure(
        PROCESSES,
        "8 processes at once, cold, endpoint at 100 ms",
        "1 request",
        "burst",
        {"requests": 1, "failed": 0},
    ),
    Figure(
        "stale",
        "64 threads, stale token, endpoint at 500 ms",
        "1 request, nobody waits more than 5 ms",
        "burst",
        {"requests": 1, "failed": 0, "longest": 5.0},
    ),
    Figure(
        "refused",
        "64 threads, endpoint refuses after 100 ms",
        "1 request, all have the error within 150 ms",
        "burst",
        {"requests": 1, "slowest": 150.0},
    ),
    Figure(
        "wrong_credentials",
        "a loop against wrong credentials, 10 s",
        "≤ 6 requests",
        "burst",
        {"requests": 6},
        rounds=1,
    ),
)


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    """To the digits that mean something."""
    return {key: float(f"{number:.4g}") for key, number in numbers.items()}


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"
