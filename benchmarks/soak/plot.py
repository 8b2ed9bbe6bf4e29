"""Series over time as SVG, readable on light and on dark ground."""

from __future__ import annotations

from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .history import Run

__all__ = ["Panel", "panels", "svg"]

_WIDTH, _HEIGHT, _LEFT, _GAP = 760, 130, 60, 46
_MOST_POINTS = 400
# Told apart by those who see few colours (Okabe and Ito), on both grounds.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_STYLE = (
    "svg{color-scheme:light dark;font:12px sans-serif;background:#fff}text{fill:#222}line{stroke:#999}"
    "@media (prefers-color-scheme:dark){svg{background:#111}text{fill:#ddd}line{stroke:#777}}"
)


class Panel(NamedTuple):
    """One plot: the values of each series, by minutes since the start."""

    title: str
    series: dict[str, list[tuple[float, float]]]


def panels(run: Run) -> list[Panel]:
    """What a run has to show."""

    def sampled(name: str, unit: float = 1.0) -> dict[str, list[tuple[float, float]]]:
        return {
            who: [((each["at"] - run.began) / 60, each[name] / unit) for each in worker["samples"]]
            for who, worker in run.workers.items()
        }

    requests = dict[str, list[tuple[float, float]]]()
    for group in run.groups:
        for process in group.processes:
            sent = [((one.sent - run.began) / 60, 1.0) for each in process.rounds for one in each.tries]
            counts = accumulate(number for _, number in sent)
            requests[process.who] = [(minutes, count) for (minutes, _), count in zip(sent, counts, strict=True)]
    return [
        Panel("Memory (resident, MiB)", sampled("rss", 2**20)),
        Panel("File descriptors", sampled("descriptors")),
        Panel("Threads", sampled("threads")),
        Panel("Requests for a token, so far", requests),
    ]


def svg(panels: Sequence[Panel]) -> str:
    """All plots, one below the other, with one legend."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}
    height = 40 + len(panels) * (_HEIGHT + _GAP) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}">',
        f"<title>The soak over time, in minutes</title><style>{_STYLE}</style>",
    ]
    for index, name in enumerate(names):
        lines.append(f'<rect x="{_LEFT + index * 110}" y="8" width="12" height="12" fill="{colours[name]}"/>')
        lines.append(f'<text x="{_LEFT + index * 110 + 18}" y="18">{escape(name)}</text>')
    for index, panel in enumerate(panels):
        lines += _drawn(panel, colours, 40 + index * (_HEIGHT + _GAP))
    return "\n".join([*lines, "</svg>", ""])


def _drawn(panel: Panel, colours: dict[str, str], top: float) -> list[str]:
    points = [point for series in panel.series.values() for point in series]
    longest = max((x for x, _ in points), default=0.0) or 1.0
    highest = max((y for _, y in points), default=0.0) * 1.05 or 1.0
    bottom = top + 20 + _HEIGHT
    lines = [
        f'<text x="{_LEFT}" y="{top + 12}">{escape(panel.title)}</text>',
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{_LEFT + _WIDTH}" y2="{bottom}"/>',
        f'<line x1="{_LEFT}" y1="{top + 20}" x2="{_LEFT}" y2="{bottom}"/>',
        f'<text x="{_LEFT - 6}" y="{top + 30}" text-anchor="end">{highest:,.4g}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{_LEFT + _WIDTH}" y="{bottom + 15}" text-anchor="end">{longest:.1f} min</text>',
    ]
    for name, series in panel.series.items():
        step = max(1, len(series) // _MOST_POINTS)
        path = " ".join(
            f"{_LEFT + max(0.0, x) / longest * _WIDTH:.1f},{bottom - y / highest * _HEIGHT:.1f}"
            for x, y in series[::step]
        )
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colours[name]}" stroke-width="1.2"/>')
    return lines
