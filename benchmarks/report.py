"""Tables of the results, and the files that hold them."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

from .features import FEATURES
from .library import ROOT
from .rows import ROWS, Row
from .subjects import OURS, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["features_table", "headlines", "markdown", "numbers", "read", "table", "write", "write_headlines"]

_FOLDER = ROOT / "benchmarks"
_HEAD = """# domo-oauth compared with other libraries

`make bench` ran the same calls with each library, in an environment of its own, against one local endpoint.
"""
_HALF_AN_ANSWER = 250
"""Milliseconds. A caller with a stale token that waits less did not wait for the endpoint, which takes 500 ms."""


def markdown(header: str, rows: Iterable[Sequence[object]], rule: str = "") -> list[str]:
    """The lines of a table.

    Args:
        header: The titles of its columns, with ` | ` between them.
        rows: The cells of each row.
        rule: The second line, if it aligns columns.
    """
    cells = (" | ".join(map(str, row)) for row in rows)
    return [f"| {header} |", rule or "|---" * header.count("|") + "|---|", *(f"| {row} |" for row in cells)]


def read() -> dict[str, Any]:
    """The results that were written last."""
    return json.loads((_FOLDER / "results.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def write(results: dict[str, Any]) -> None:
    """Write results.json and results.md."""
    (_FOLDER / "results.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (_FOLDER / "results.md").write_text(table(results), encoding="utf-8")
    write_headlines()


def headlines() -> str:
    """The figures on the first page, of the results that were written last."""
    results, fleet = read(), json.loads((_FOLDER / "fleet/results.json").read_text(encoding="utf-8"))
    at_once, loop = (
        {name: round(found["requests"]) for name, found in results["figures"][key].items()}
        for key in ("threads", "wrong_credentials")
    )
    ours, ours_in_loop, others, file = at_once.pop(OURS), loop.pop(OURS), loop.values(), "benchmarks/results.md"
    each = sum(number == 64 for number in at_once.values())
    steady = {
        row["subject"]: f"{row['requests'] / 1e6:.1f} M" if row["requests"] > 1e6 else f"{row['requests']:,}"
        for row in fleet["rows"]
        if (row["scenario"], row["workers"]) == ("steady", 10_000)
    }
    return f"""\
- 64 threads that need a token make {ours} request{"s" * (ours > 1)}. {each} of {len(at_once)} other libraries make 64 \
([results]({file})).
- In 10 s, a loop with a wrong secret makes {ours_in_loop:,} requests; others make {min(others):,} to {max(others):,} \
([results]({file})).
- In {fleet["days"]} days, 10,000 workers with Redis make {steady["redis"]} requests, and without a store \
{steady["none"]} ([fleet](benchmarks/fleet/results.md)).

`make bench` measured the first two on {results["date"]}, and `make fleet` simulated the third.
[More figures](docs/background/benchmarks.md)."""


def write_headlines() -> None:
    """Put the figures into the README."""
    start, page = "<!-- `make bench` and `make fleet` write these lines. -->\n", ROOT / "README.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(start)
    after = rest[rest.index("<!-- The end") :]
    page.write_text(f"{before}{start}\n{headlines()}\n\n{after}", encoding="utf-8")


def numbers(row: Row, samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The medians and quartiles of a library's samples; of requests, the most."""
    if row.kind == "probe":
        return samples[0]
    found = {key: statistics.median(sample[key] for sample in samples) for key in samples[0]}
    if row.kind == "burst":
        found["requests"] = max(sample["requests"] for sample in samples)
    if row.kind in {"ratio", "more"}:  # each sample has its own floor, as a busy machine slows both
        pairs = [(sample["value"], sample["floor"]) for sample in samples]
        relative = [value / floor if row.kind == "ratio" else value - floor for value, floor in pairs]
        low, middle, high = statistics.quantiles(relative * (1 + (len(relative) == 1)), n=4, method="inclusive")
        found |= {row.kind: middle, "low": low, "high": high}
    return {key: float(f"{number:.4g}") for key, number in found.items()}


def table(results: dict[str, Any]) -> str:
    """All figures, ours beside the others, and how they were measured; then what each library can do."""
    measured = [row for row in ROWS.values() if row.kind != "probe" and row.key in results["figures"]]
    rows = [_row(row, results["figures"][row.key]) for row in measured]
    lines = [_HEAD, *markdown("what | goal | domo-oauth | others, the best first", rows)]
    packages = {package: version for pins in results["versions"].values() for package, version in pins.items()}
    note = (
        f"Measured on {results['date']} with Python {results['python']} on {results['processors']} processors, over "
        f"loopback: medians of {results['rounds']} rounds (5 for what takes more than 1 s, one for more than 5 s), all "
        "libraries in turn, each ratio to a floor timed beside it. Quartiles are in brackets. Requests are the most of "
        "any round, and ms beside them what the slowest caller waited. Processes are started by one that has loaded "
        "the library. The size is that of all files that uv installs for a library alone. "
        "Lines of code leave out blank lines, comments and docstrings. A "
        "loop that has made 1,000 requests is stopped, and its requests are extrapolated. A library that cannot do a "
        "thing by itself is left out of its row. The proxy has [figures of its own](proxy.md). "
        f"{', '.join(f'{package} {version}' for package, version in sorted(packages.items()))}."
    )
    return "\n".join([*lines, "", note, "", *features_table(results)]) + "\n"


def features_table(results: dict[str, Any]) -> list[str]:
    """The table of what each library can do, and what its signs mean."""
    rows = [
        [what, *(_mark(ROWS[key], results, name) for name in SUBJECTS)]
        for key, what in FEATURES.items()
        if results["figures"].get(key)
    ]
    note = (
        "✓ does it, ✗ does not, – has no such thing or leaves it to the caller, ? could not be tried here. Each mark "
        "comes from a figure above or from a probe; `benchmarks/results.json` says what each probe saw."
    )
    header = f"what it can do | {' | '.join(SUBJECTS)}"
    return [*markdown(header, rows, f"|---|{':-:|' * len(SUBJECTS)}"), "", note]


def _mark(row: Row, results: dict[str, Any], name: str) -> str:
    found = results["figures"][row.key].get(name)
    if found is None:
        return "?" if name not in results["versions"] or row.key in results["failed"].get(name, ()) else "–"
    limits = {key: most for key, most in row.limits.items() if key in {"requests", "failed"}}
    limits |= {"longest": _HALF_AN_ANSWER} if row.key == "stale" else {}
    return "✓" if found.get("mark", all(found[key] <= most for key, most in limits.items())) else "✗"


def _row(row: Row, figures: dict[str, dict[str, float]]) -> list[str]:
    ours = figures.get(OURS)
    others = {name: _cell(row, figures[name]).partition(" (")[0] for name in figures if name != OURS}
    best = sorted(others, key=lambda name: _rank(row, figures[name]))
    cell = "not measured"
    if ours:
        cell = f"**{_cell(row, ours)}**"
        if row.kind == "ratio" or "import" in row.key:
            cell += f"; {'bare Python' if row.kind == 'more' else 'floor'} {_time(ours['floor'])}"
        if any(ours[key] > limit for key, limit in row.limits.items()):
            cell += ", **goal missed**"
    return [row.what, row.goal, cell, "; ".join(f"{name} {others[name]}" for name in best) or "none"]


def _cell(row: Row, figures: dict[str, float]) -> str:
    if row.kind == "ratio":
        ratio, low, high = (
            f"{figures[key]:.2f}" if figures[key] < 10 else f"{figures[key]:,.0f}" for key in ("ratio", "low", "high")
        )
        return f"{ratio} × ({low}–{high})"
    if row.kind == "more":
        return f"{figures['more']:+.1f} {row.unit} ({figures['low']:.1f}–{figures['high']:.1f})"
    if row.kind == "value":
        value, digits = figures["value"], 1 if figures["value"] < 100 else 0
        return f"> {row.stopped:.0f} {row.unit}" if value >= row.stopped else f"{value:,.{digits}f} {row.unit}"
    parts = [f"{figures['requests']:,.0f} request{'s' if figures['requests'] != 1 else ''}"]
    if "slowest" in figures:
        wait = figures[_wait(row)]
        parts.append(f"{wait:,.1f} ms" if wait < 10 else f"{wait:,.0f} ms")
    if "lag" in figures:
        parts.append(f"lag {figures['lag']:.0f} ms")
    if figures["failed"] and "failed" in row.limits:
        parts.append(f"{figures['failed']:.0f} failed")
    return ", ".join(parts)


def _rank(row: Row, figures: dict[str, float]) -> tuple[float, ...]:
    if row.kind == "burst":
        return figures["failed"] * ("failed" in row.limits), figures["requests"], figures.get(_wait(row), 0.0)
    return (figures[row.kind],)


def _wait(row: Row) -> str:
    """The wait that counts: from a caller's own start, if nobody should wait for another's request."""
    return "longest" if "longest" in row.limits else "slowest"


def _time(milliseconds: float) -> str:
    if milliseconds >= 1:
        return f"{milliseconds:.2f} ms"
    return f"{milliseconds * 1e3:.2f} µs" if milliseconds >= 1e-3 else f"{milliseconds * 1e6:.0f} ns"
