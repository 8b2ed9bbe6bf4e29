"""Figures of the site, drawn as SVG while it is built, from the files in which runs left their results.

`token-life` is drawn from the numbers in `timing.py`. All follow the theme's colours, and screen readers read captions.
"""

from __future__ import annotations

import json
import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive

from domo_oauth import timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
WIDTH, LABEL, ROW = 640, 170, 26
WORKERS = 10_000


def _read(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / name).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _bench(key: str, figure: str = "requests") -> dict[str, float]:
    """A figure of each library."""
    return {library: found[figure] for library, found in _read("results.json")["figures"].get(key, {}).items()}


def _fleet() -> dict[str, float]:
    names = {"pydomo": "pydomo", "plain": "plain cache", "none": "no store", "file": "FileStore", "redis": "RedisStore"}
    found = [row for row in _read("fleet/results.json")["rows"] if row["scenario"] == "steady"]
    return {names[row["subject"]]: row["requests"] for row in found if row["workers"] == WORKERS}


BARS: dict[str, tuple[str, Callable[[], dict[str, float]]]] = {
    "threads": ("Token requests when 64 threads need a token at once", lambda: _bench("threads")),
    "processes": ("Token requests when 8 processes need a token at once", lambda: _bench("processes")),
    "waits": ("Longest wait for a token, in seconds, under 7 faults", lambda: _bench("longest_wait", "value")),
    "loop": (
        "Token requests of a loop against wrong credentials, in 10 s (logarithmic)",
        lambda: _bench("wrong_credentials"),
    ),
    "fleet": (f"Token requests of {WORKERS:,} workers in 30 days (logarithmic)", _fleet),
}


def svg(height: int, title: str, body: list[str]) -> str:
    """An image with a caption that screen readers read."""
    caption = escape(title)
    return (
        f'<figure class="drawn"><svg role="img" aria-label="{caption}" viewBox="0 0 {WIDTH} {height}">{"".join(body)}'
        f"</svg><figcaption>{caption}</figcaption></figure>"
    )


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """A line of text."""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


def bars(name: str) -> str:
    """A bar for each subject, the smallest first."""
    title, read = BARS[name]
    values = sorted(read().items(), key=lambda each: each[1])
    scale = (lambda value: math.log10(1 + value)) if "logarithmic" in title else float
    longest, body = max((scale(value) for _, value in values), default=1.0), list[str]()
    for row, (subject, value) in enumerate(values):
        y, width = row * ROW, (WIDTH - LABEL - 90) * scale(value) / longest
        ours = "ours" if subject in {"domo-oauth", "no store", "FileStore", "RedisStore"} else "theirs"
        body += [
            text(LABEL - 8, y + 17, subject, "end"),
            f'<rect class="{ours}" x="{LABEL}" y="{y + 4}" width="{max(width, 2):.0f}" height="{ROW - 8}"/>',
            text(LABEL + max(width, 2) + 6, y + 17, f"{value:,.0f}"),
        ]
    return svg(len(values) * ROW, title, body)


def token_life(lifetime: int = 3599) -> str:
    """The phases of a token, as `timing.py` computes them. Not to scale: the last phases would be too thin."""
    stale = (timing.stale_after(lifetime, 0), timing.stale_after(lifetime, 1))
    ends = [f"{stale[0]:,.0f} to {stale[1]:,.0f} s", f"{timing.spent_after(lifetime):,.0f} s", f"{lifetime:,} s"]
    phases = [
        ("fresh", ["callers get it", "from memory"], 280),
        ("stale", ["callers get it; the next one", "is fetched in the background"], 210),
        ("spent", ["callers wait", "for the next one"], 150),
    ]
    body, x = list[str](), 0
    for (name, lines, width), end in zip(phases, ends, strict=True):
        body += [f'<rect class="{name}" x="{x}" y="30" width="{width - 2}" height="60"/>', text(x + 8, 22, name)]
        body += [text(x + 8, 56 + 18 * row, line) for row, line in enumerate(lines)]
        x += width
        body.append(text(x - 2, 110, end, "end"))
    body.append(text(0, 110, "0 s"))
    return svg(118, f"The life of a token that was granted for {lifetime:,} s (not to scale)", body)


class Drawn(Directive):
    """`{drawn} NAME` draws a figure."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Draw it."""
        name = self.arguments[0]
        return [nodes.raw("", token_life() if name == "token-life" else bars(name), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("drawn", Drawn)
    return {"parallel_read_safe": True}
