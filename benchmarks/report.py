"""Results as files: numbers as JSON, and as a table for people."""

from __future__ import annotations

import json
from typing import Any

from . import features
from .environments import OURS, ROOT
from .figures import FIGURES, IMPORTS, Figure

__all__ = ["read", "table", "update_readme", "write"]

_FOLDER = ROOT / "benchmarks"
_BEGIN, _END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def read() -> dict[str, Any]:
    """What was written last."""
    return json.loads((_FOLDER / "results.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def write(results: dict[str, Any]) -> None:
    """Write results.json and results.md."""
    (_FOLDER / "results.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (_FOLDER / "results.md").write_text(table(results, root="../"), encoding="utf-8")


def update_readme(results: dict[str, Any]) -> None:
    """Put the tables between the two markers of README.md.

    Raises:
        ValueError: The markers are not there.
    """
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if _BEGIN not in text or _END not in text:
        raise ValueError(f"README.md has no {_BEGIN} and {_END}.")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    readme.write_text(f"{before}{_BEGIN}\n{table(results)}{_END}{after}", encoding="utf-8")


def table(results: dict[str, Any], root: str = "") -> str:
    """All figures, ours beside the others, and how they were measured; then what each can do.

    Args:
        results: As in results.json.
        root: The way to the project's folder, for links.
    """
    lines = ["| what | goal | domo-oauth | others, the best first |", "|---|---|---|---|"]
    lines += [_row(figure, results["figures"][figure.key]) for figure in FIGURES if figure.key in results["figures"]]
    packages = {package: version for pairs in results["versions"].values() for package, version in pairs.items()}
    measured = ", ".join(f"{package} {version}" for package, version in sorted(packages.items()))
    note = (
        f"Measured on {results['date']} with Python {results['python']} on {results['processors']} processors, over "
        f"loopback: medians of {results['rounds']} rounds, all libraries in turn, each ratio to a floor timed beside "
        "it (in brackets: the quartiles; for requests the most of any round; ms: what the slowest caller waited). A "
        "loop that has made 1,000 requests is stopped, and told as it would have gone on. A library "
        f"that cannot do a thing by itself is left out of its row. {measured}."
    )
    lines += ["", note]
    if results.get(features.NAME):
        lines += ["", *features.table(results, root)]
    return "\n".join(lines) + "\n"


def _row(figure: Figure, numbers: dict[str, dict[str, float]]) -> str:
    ours = numbers[OURS]
    reached = "" if figure.reached(ours) else ", **goal missed**"
    floor = f"; floor {_time(ours['floor'])}" if "floor" in ours and figure.kind == "ratio" else ""
    bare = f"; bare Python {_time(ours['floor'])}" if figure.key in IMPORTS else ""
    best = sorted(numbers.keys() - {OURS}, key=lambda name: figure.rank(numbers[name]))
    others = "; ".join(f"{name} {_brief(figure, numbers[name])}" for name in best) or "none"
    return f"| {figure.what} | {figure.goal} | **{figure.told(ours)}**{floor}{bare}{reached} | {others} |"


def _brief(figure: Figure, numbers: dict[str, float]) -> str:
    """The same without its spread, which is in results.json."""
    return figure.told(numbers).partition(" (")[0]


def _time(milliseconds: float) -> str:
    nanoseconds = milliseconds * 1e6
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.2f} {unit}"
    return f"{nanoseconds:.0f} ns"
