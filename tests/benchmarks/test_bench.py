"""The benchmark's tables, and what it measures and tries, once, with our own library."""

# ruff: noqa: RUF001 -- the tables' own signs

from __future__ import annotations

import sys
from contextlib import ExitStack

import pytest

from benchmarks import report
from benchmarks.__main__ import start_endpoint
from benchmarks.features import FEATURES
from benchmarks.library import ROOT, measure
from benchmarks.rows import ROWS, count_lines
from benchmarks.subjects import OURS

RESULTS = report.read()
BURST = {"requests": 1, "failed": 0, "longest": 249.0, "slowest": 900.0}


@pytest.fixture(scope="module")
def sample():
    """A function that samples rows of our library, in the environment of the tests."""
    with ExitStack() as stack:
        url = start_endpoint(stack).base_url
        yield lambda *keys: {key: answer["sample"] for key, answer in measure(OURS, sys.executable, url, keys).items()}


@pytest.mark.slow
def test_each_row_is_measured(sample):
    others = {"wrong_credentials", "size", "code", "code_loaded"}  # takes 10 s; an editable install lists no files
    for key, found in sample(*(key for key, row in ROWS.items() if row.kind != "probe" and key not in others)).items():
        if ROWS[key].kind == "burst":
            assert (key, found["requests"], bool(found["failed"])) == (key, 1, key == "refused")
        elif ROWS[key].kind == "value":
            assert found["value"] > 0, key
        else:
            assert min(found["floor"], found["value"]) > 0, key


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key, row in ROWS.items() if row.kind == "probe"])
def test_our_library_has_each_feature(sample, key):
    probed = sample(key)[key]
    assert probed["mark"], probed["seen"]


@pytest.mark.parametrize(
    ("key", "samples", "cell"),
    [
        (
            "step",
            [{"floor": 1.0, "value": each} for each in (10, 12, 20)],
            "12 × (11–16)**; floor 1.00 ms, **goal missed**",
        ),
        ("cold_fetch", [{"floor": 1.0, "value": value} for value in (3.0, 3.5)], "+2.2 ms (2.1–2.4)**"),
        ("threads", [BURST, BURST | {"requests": 1200}], "1,200 requests, 900 ms**, **goal missed**"),
        (
            "tasks",
            [BURST | {"slowest": 5.04, "lag": 3.6, "failed": 2}],
            "1 request, 5.0 ms, lag 4 ms, 2 failed**, **goal missed**",
        ),
    ],
)
def test_a_cell_shows_the_median_and_whether_the_goal_is_missed(key, samples, cell):
    figures = report.numbers(ROWS[key], samples)
    (line,) = (
        line
        for line in report.table(RESULTS | {"figures": {key: {OURS: figures, "msal": figures}}}).splitlines()
        if line.startswith(f"| {ROWS[key].what} |")
    )
    assert f"| **{cell} |" in line


def test_comments_and_docstrings_are_no_code(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('"""Docstring,\nof two lines."""\n\n# A comment\nx = (\n    """a\nb"""\n)  # another\n')
    assert count_lines([path]) == 4


def test_the_readme_shows_the_figures(monkeypatch, tmp_path):
    page = tmp_path / "README.md"
    page.write_text((ROOT / "README.md").read_text(encoding="utf-8").replace("- 64 threads", "- 63 threads"))
    monkeypatch.setattr(report, "ROOT", tmp_path)
    report.write_headlines()
    assert page.read_text(encoding="utf-8") == (ROOT / "README.md").read_text(encoding="utf-8")


def test_all_published_figures_follow_from_the_json_and_each_mark_of_ours_is_a_tick():
    published = (ROOT / "benchmarks/results.md").read_text(encoding="utf-8")
    assert [line for line in report.table(RESULTS).splitlines() if line[:1] == "|" and line not in published] == []
    lines = [line for line in report.features_table(RESULTS) if line[:1] == "|"]
    assert [line for line in lines[2:] if line.split(" | ")[1] != "✓"] == []
    assert len(lines) == 2 + len(FEATURES)
