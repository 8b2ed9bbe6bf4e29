"""Results as files: numbers as JSON, tables for people, and a plot."""

from __future__ import annotations

import json
from math import log10
from pathlib import Path
from typing import Any

__all__ = ["plot", "table", "update_readme", "write"]

_FOLDER = Path(__file__).parent
_BEGIN, _END = "<!-- fleet: begin -->", "<!-- fleet: end -->"
_SUBJECTS = {
    "pydomo": "pydomo",
    "plain": "plain cache",
    "none": "no store",
    "file": "`FileStore`",
    "redis": "`RedisStore`",
}
_SCENARIOS = {
    "steady": "nothing happens",
    "restarts": "two restarts of all at once",
    "outage": "the endpoint is away for an hour",
    "redis_outage": "Redis is away for an hour",
}
_FIGURES = {
    "requests": "requests",
    "worst_second": "worst second",
    "delayed": "calls delayed",
    "failed": "calls failed",
}

# The plot: a colour and a dash for each, seen on white and on black.
_COLOURS = {
    "pydomo": ("#d95f02", ""),
    "plain": ("#b8860b", "2 4"),
    "none": ("#7570b3", "7 4"),
    "file": ("#1b9e77", ""),
    "redis": ("#3b82f6", ""),
}
_WIDTH, _HEIGHT, _LEFT, _TOP, _PANEL, _TALL = 760, 360, 62, 40, 290, 220


def write(results: dict[str, Any]) -> None:
    """Write results.json, results.md and fleet.svg."""
    (_FOLDER / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (_FOLDER / "results.md").write_text(table(results), encoding="utf-8")
    (_FOLDER / "fleet.svg").write_text(plot(results), encoding="utf-8")


def update_readme(results: dict[str, Any]) -> None:
    """Put the largest fleet's table, and the plot, between the two markers of README.md.

    Raises:
        ValueError: The markers are not there.
    """
    readme = _FOLDER.parents[1] / "README.md"
    text = readme.read_text(encoding="utf-8")
    if _BEGIN not in text or _END not in text:
        raise ValueError(f"README.md has no {_BEGIN} and {_END}.")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    largest = max(row["workers"] for row in results["rows"])
    alt = "Requests to the token endpoint in 30 days, and in the worst second, by the number of workers"
    parts = [table(results, largest), f"![{alt}](benchmarks/fleet/fleet.svg)\n"]
    readme.write_text(f"{before}{_BEGIN}\n{chr(10).join(parts)}{_END}{after}", encoding="utf-8")


def table(results: dict[str, Any], workers: int | None = None) -> str:
    """All figures, or those of one fleet, and how they came about."""
    rows = [row for row in results["rows"] if workers in {None, row["workers"]}]
    cells = {(row["scenario"], row["workers"], row["subject"]): row for row in rows}
    days = f"{results['days']} days"
    subjects = "".join(f" {name} |" for name in _SUBJECTS.values())
    lines = [f"| {days} | |{subjects}", "|---|---|" + "---:|" * len(_SUBJECTS)]
    for scenario, size in dict.fromkeys((row["scenario"], row["workers"]) for row in rows):
        there = {subject: cells.get((scenario, size, subject)) for subject in _SUBJECTS}
        what = _SCENARIOS[scenario] + (f", {_workers(size)}" if workers is None else "")
        for figure, name in _FIGURES.items():
            if any(row and row[figure] for row in there.values()):
                lines.append(f"| {what} | {name} |" + "".join(f" {_cell(row, figure)} |" for row in there.values()))
                what = ""
    return "\n".join([*lines, "", _note(results, workers)]) + "\n"


def _cell(row: dict[str, Any] | None, figure: str) -> str:
    if row is None:
        return "–"  # who has no Redis does not notice
    number: int = row[figure]
    return f"≈ {_short(number)}" if "scaled_from" in row and number else _short(number)


def _short(number: int) -> str:
    if number < 1_000_000:
        return f"{number:,}"
    return f"{number / 1e6:,.1f} M"


def _workers(size: int) -> str:
    return f"{size:,} worker{'s' if size != 1 else ''}"


def _note(results: dict[str, Any], workers: int | None) -> str:
    hosts = next((row["hosts"] for row in results["rows"] if row["workers"] == workers), None)
    fleet = f"{_workers(workers)} on {hosts:,} hosts" if workers else "Ten workers on a host"
    told = (
        f"{fleet}, each with a process of its own that calls the API every 10 s on average, by chance; tokens last an "
        "hour, the endpoint answers after 0.2 s and knows no limit. *Requests* are those to the token endpoint; the "
        "*worst second* is the most of them within one; a call is *delayed* that waits for a token, and *failed* that "
        "gets none. ≈ marks multiples of what was run with 1,000 workers; but those who share one Redis make as many "
        "requests as 1,000 do: about as many as 100 do. "
    )
    if workers:
        return f"{told}[Smaller fleets, and how it is simulated](benchmarks/fleet/results.md)."
    return told + (
        "Simulated by `make fleet`: time, network, disk and Redis are stood in for by their rules; what decides "
        "(provider, vault, seal) is the real code. It runs through all starts, restarts and outages; quiet days are "
        "worked out in its place from the same draws, which gave the same counts wherever both were run: for 1 and 100 "
        "workers throughout, for 10,000 over half a day. Of an outage of the endpoint the figures are means (and the "
        "worst second the worst) of four that begin a quarter of an hour apart, as it matters how old the tokens are "
        "by then. The two on the left are models: *pydomo* of what `pydomo/Transport.py` of 0.3.0.16 shows (lines 25, "
        "79–82 and 100–106), a *plain cache* of a token in a variable. "
        f"Seed {results['seed']} gives the same figures each time."
    )


def plot(results: dict[str, Any]) -> str:
    """Requests in all, and in the worst second, by the number of workers: both on scales of powers of ten."""
    panels = (
        ("requests in 30 days, nothing happens", "steady", "requests", 0),
        ("worst second, two restarts of all at once", "restarts", "worst_second", 1),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-size="12" role="img">',
        "<title>Requests to the token endpoint by the number of workers</title>",
        "<style>text{fill:#555;font-family:sans-serif}.g{stroke:#8886;stroke-width:.5}",
        "@media(prefers-color-scheme:dark){text{fill:#bbb}}</style>",
    ]
    for title, scenario, figure, number in panels:
        rows = [row for row in results["rows"] if row["scenario"] == scenario]
        parts += _panel(title, rows, figure, _LEFT + number * (_PANEL + 76))
    for place, (subject, name) in enumerate(_SUBJECTS.items()):
        x, y = _LEFT + place * 134, _HEIGHT - 22
        parts += [_line(subject, [(x, y - 4), (x + 24, y - 4)]), _text(x + 30, y, name.strip("`"))]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(title: str, rows: list[dict[str, Any]], figure: str, left: int) -> list[str]:
    across = max(log10(row["workers"]) for row in rows) or 1.0
    tens = int(log10(max(row[figure] for row in rows))) + 1
    parts = [_text(left, _TOP - 16, title)]

    def at(workers: int, number: int) -> tuple[float, float]:
        return left + log10(workers) / across * _PANEL, _TOP + _TALL - log10(max(number, 1)) / tens * _TALL

    for power in range(tens + 1):
        _, y = at(1, 10**power)
        parts += [_grid(left, y, left + _PANEL, y), _text(left - 6, y + 4, f"{_power(power)}", "end")]
    for size in sorted({row["workers"] for row in rows}):
        x, _ = at(size, 1)
        parts += [_grid(x, _TOP, x, _TOP + _TALL), _text(x, _TOP + _TALL + 18, f"{size:,}", "middle")]
    parts.append(_text(left + _PANEL / 2, _TOP + _TALL + 38, "workers, ten on a host", "middle"))
    for subject in _SUBJECTS:
        points = [at(row["workers"], row[figure]) for row in rows if row["subject"] == subject]
        parts.append(_line(subject, points))
    return parts


def _power(power: int) -> str:
    return f"{10**power:,}" if power < 6 else f"{10 ** (power - 6):,} M"


def _line(subject: str, points: list[tuple[float, float]]) -> str:
    colour, dash = _COLOURS[subject]
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="2.5"{dashes}/>'


def _grid(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<line class="g" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
