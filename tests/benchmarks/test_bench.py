"""The benchmark's tables, and what it measures and tries, once, with our own library."""

# ruff: noqa: RUF001 -- the tables' own signs

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import features, report
from benchmarks.__main__ import start_endpoint
from benchmarks.features import FEATURES
from benchmarks.library import ROOT, Library
from benchmarks.rows import ROWS
from benchmarks.subjects import OURS, SUBJECTS

RESULTS = report.read()
BURST = {"requests": 1, "failed": 0, "longest": 249.0, "slowest": 900.0}
PROBES = [key for key, each in FEATURES.items() if each.probe]


@pytest.fixture(scope="module")
def library():
    with ExitStack() as stack:
        yield Library(OURS, Path(sys.executable), *start_endpoint(stack))


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key in ROWS if key != "wrong_credentials"])
def test_each_row_is_measured(library, key):
    sample = library.measure([key])[key]["sample"]
    if ROWS[key].kind == "burst":
        assert (sample["requests"], bool(sample["failed"])) == (1, key == "refused")
    else:
        assert min(sample["floor"], sample["value"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("key", PROBES)
def test_ours_does_it(library, key):
    sample = library.measure([key])[key]["sample"]
    assert sample["mark"], sample["seen"]


@pytest.mark.parametrize(
    ("kind", "samples", "cell"),
    [
        ("ratio", [{"floor": 1.0, "value": 2.0}], "2.00 × (2.00–2.00)"),
        ("ratio", [{"floor": 1.0, "value": value} for value in (10.0, 12.0, 20.0)], "12 × (11–16)"),
        ("more", [{"floor": 1.0, "value": value} for value in (3.0, 5.0)], "+3.0 ms (2.5–3.5)"),
        ("burst", [BURST, BURST | {"requests": 1200, "lag": 3.6}], "1,200 requests, 900 ms"),
        ("burst", [BURST | {"slowest": 5.04, "lag": 3.6, "failed": 2}], "1 request, 5.0 ms, lag 4 ms, 2 failed"),
    ],
)
def test_a_cell(kind, samples, cell):
    row = ROWS["tasks"]._replace(kind=kind)
    assert report._cell(row, report.numbers(row, samples)) == cell


def test_a_goal_that_is_missed_is_reported():
    figures = {
        OURS: {"ratio": 2.1, "low": 2.0, "high": 2.2, "floor": 1e-4},
        "msal": {"ratio": 9.0, "low": 9, "high": 9},
    }
    (line,) = (
        each for each in report.table(RESULTS | {"figures": {"fresh": figures}}).splitlines() if "get_token" in each
    )
    assert line.endswith("| **2.10 × (2.00–2.20)**; floor 100 ns, **goal missed** | msal 9.00 × |")


@pytest.mark.parametrize(
    ("key", "figures", "seen", "mark"),
    [
        ("stale", BURST, None, "✓"),
        ("stale", BURST | {"longest": 251.0}, None, "✗"),
        ("stale", BURST | {"requests": 2}, None, "✗"),
        ("stale", BURST | {"failed": 1}, None, "✗"),
        ("stale", None, None, "–"),
        ("tasks", None, None, "?"),
        ("origin", None, {"mark": True, "seen": "x"}, "✓"),
        ("origin", None, {"mark": False, "seen": "x"}, "✗"),
        ("origin", None, None, "–"),
    ],
)
def test_a_mark(key, figures, seen, mark):
    results = {
        "versions": {name: {} for name in SUBJECTS},
        "failed": {"msal": ["tasks"]},
        "figures": {key: {"msal": figures} if figures else {OURS: BURST}},
        "features": {"date": "2026-11-28", "rows": {"origin": {"seen": {"msal": seen}}}},
    }
    (row,) = (line for line in features.table(results) if line.startswith(f"| {FEATURES[key].what} |"))
    assert row.split(" | ")[1 + list(SUBJECTS).index("msal")] == mark


def test_each_mark_of_ours_is_a_tick_and_published():
    published = (ROOT / "benchmarks/results.md").read_text(encoding="utf-8")
    lines = [line for line in features.table(RESULTS) if line[:1] == "|"]
    assert [line for line in lines if line not in published] == []
    assert [line for line in lines[2:] if line.split(" | ")[1] != "✓"] == []
    assert len(lines) == 2 + len(FEATURES)
