"""Line plots as SVG."""

from __future__ import annotations

from html import escape
from math import log10
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Panel", "plot"]

# Okabe and Ito's colours, which colour-blind people tell apart, on white and on black.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_WIDTH, _HEIGHT, _LEFT, _GAP = 760, 150, 66, 56


class Panel(NamedTuple):
    """One plot of lines; on scales of powers of ten, if it is logarithmic."""

    title: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    unit: str
    """Of the x-axis."""
    logarithmic: bool = False


def plot(panels: Sequence[Panel]) -> str:
    """SVG with one panel below the other and one legend, readable on light and dark pages."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    height = 40 + len(panels) * (_HEIGHT + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}" font-size="12">',
        "<style>svg{color-scheme:light dark}text{fill:#666;font-family:sans-serif}line{stroke:#8888}</style>",
    ]
    for index, name in enumerate(names):
        x = _LEFT + index * 130
        parts += [f'<rect x="{x}" y="8" width="12" height="12" fill="{_COLOURS[index]}"/>', _text(x + 18, 18, name)]
    for index, panel in enumerate(panels):
        parts += _drawn(panel, names, 40 + index * (_HEIGHT + _GAP))
    return "\n".join([*parts, "</svg>", ""])


def _drawn(panel: Panel, names: list[str], top: float) -> list[str]:
    points = [point for series in panel.series.values() for point in series] or [(1.0, 1.0)]
    most_x, most_y = max(x for x, _ in points) or 1.0, max(y for _, y in points) or 1.0
    bottom = top + 20 + _HEIGHT

    def share(value: float, most: float) -> float:
        return log10(max(value, 1)) / max(log10(most), 1) if panel.logarithmic else max(value, 0) / most

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + share(x, most_x) * _WIDTH, bottom - share(y, most_y) * _HEIGHT

    parts = [_text(_LEFT, top + 12, panel.title)]
    tens = range(1, int(log10(most_y)) + 1)
    for y in [10.0**power for power in tens] if panel.logarithmic else [most_y]:
        parts += [_line(at(0, y), at(most_x, y)), _text(_LEFT - 6, at(0, y)[1] + 4, f"{round(y, 1):,.10g}", "end")]
    for x in sorted({x for x, _ in points}) if panel.logarithmic else [most_x]:
        parts.append(_text(at(x, 0)[0], bottom + 15, f"{round(x, 1):,.10g} {panel.unit}", "end"))
    parts += [_line((_LEFT, bottom), (_LEFT + _WIDTH, bottom)), _line((_LEFT, bottom), (_LEFT, top + 20))]
    for name, series in panel.series.items():
        path = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in series[:: max(1, len(series) // 400)])
        colour = _COLOURS[names.index(name)]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return parts


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(start: tuple[float, float], end: tuple[float, float]) -> str:
    return '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'.format(*start, *end)
