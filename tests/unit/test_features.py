"""The README's table of what each library can do: each tick of ours was measured, and has a test behind it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from benchmarks.environments import OURS
from benchmarks.features import FEATURES, table
from benchmarks.figures import FIGURES
from benchmarks.probes import PROBES
from benchmarks.subjects import SUBJECTS

ROOT = Path(__file__).parents[2]
RESULTS = json.loads((ROOT / "benchmarks/results.json").read_text(encoding="utf-8"))
IDS = [feature.key for feature in FEATURES]


def functions_of(path: Path) -> set[str]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {each.name for each in body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("feature", FEATURES, ids=IDS)
def test_the_tests_behind_a_tick_are_there(feature):
    assert feature.tests
    for test in feature.tests:
        path, _, name = test.partition("::")
        assert name.startswith("test_")
        assert name in functions_of(ROOT / path)


@pytest.mark.parametrize("feature", FEATURES, ids=IDS)
def test_results_name_the_tests_and_the_row(feature):
    row = RESULTS["features"]["rows"][feature.key]
    assert (row["what"], tuple(row["tests"])) == (feature.what, feature.tests)


@pytest.mark.parametrize("feature", FEATURES, ids=IDS)
def test_ours_was_seen_to_do_it(feature):
    if feature.is_probed:
        assert RESULTS["features"]["rows"][feature.key]["seen"][OURS]["mark"] is True
    elif feature.key in RESULTS["figures"]:  # a figure that is not measured yet has no row
        assert feature.marks(RESULTS)[OURS] is True


def test_every_probe_has_a_row_and_every_row_is_told_by_one_of_both():
    probes, figures = {probe.__name__ for probe in PROBES}, {figure.key for figure in FIGURES}
    assert probes <= set(IDS) <= probes | figures
    assert not probes & figures
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize(("path", "root"), [("README.md", ""), ("benchmarks/results.md", "../")])
def test_the_table_is_what_was_measured(path, root):
    assert "\n".join(table(RESULTS, root)) in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("root", ["", "../"])
def test_links_of_the_table_lead_to_tests(root):
    folder = ROOT / "benchmarks" if root else ROOT
    links = re.findall(r"\]\(([^)]+)\)", "\n".join(table(RESULTS, root)))
    assert len(links) > len(PROBES)
    assert [link for link in links if not (folder / link).exists()] == []


# Marks.


def results(**seen):
    """Of a run in which one figure and one probe told what is given, of libraries by name."""
    return {
        "versions": {name: {} for name in SUBJECTS},
        "failed": seen.pop("failed", {}),
        "figures": {"stale": seen.pop("stale", {})},
        "features": {"date": "2026-11-24", "rows": {"origin": {"seen": seen.pop("origin", {})}}},
    }


def marks(key, run):
    (feature,) = (each for each in FEATURES if each.key == key)
    return feature.marks(run)


@pytest.mark.parametrize(
    ("numbers", "mark"),
    [
        ({"requests": 1, "failed": 0, "longest": 249.0, "slowest": 900.0}, True),
        ({"requests": 1, "failed": 0, "longest": 251.0, "slowest": 300.0}, False),
        ({"requests": 2, "failed": 0, "longest": 1.0, "slowest": 1.0}, False),
        ({"requests": 1, "failed": 1, "longest": 1.0, "slowest": 1.0}, False),
    ],
)
def test_a_figure_is_a_mark_by_its_requests_and_failures_and_not_by_its_times(numbers, mark):
    assert marks("stale", results(stale={"msal": numbers}))["msal"] is mark


def test_who_has_no_figure_has_no_such_thing_unless_it_failed():
    found = marks("stale", results(failed={"pydomo": ["stale"], "msal": ["tasks"]}))
    assert "pydomo" not in found
    assert found["msal"] is None


def test_a_probe_is_a_mark_by_what_it_saw():
    origin = {"domo-oauth": {"mark": True, "seen": "x"}, "msal": None, "openai": {"mark": False, "seen": "x"}}
    assert marks("origin", results(origin=origin)) == {"domo-oauth": True, "msal": None, "openai": False}


def test_the_signs():
    origin = {"domo-oauth": {"mark": True, "seen": "x"}, "msal": None, "openai": {"mark": False, "seen": "x"}}
    head, _, *rows = table(results(origin=origin))
    (row,) = [row for row in rows if row.startswith("| the token goes")]
    signs = dict(zip(head.split(" | ")[1:], row.removesuffix(" |").split(" | ")[1:], strict=True))
    assert signs["domo-oauth"] == "[✓](tests/integration/test_adapters.py)"
    assert (signs["msal"], signs["openai"], signs["botocore"]) == ("–", "✗", "?")  # noqa: RUF001 -- as it is shown
