"""Skipped tests are counted by reason, and fail the run in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
HOOKS = Path(__file__).parent / "skips.py"

TESTS = """
import pytest

@pytest.mark.skipif(True, reason="needs a Redis server: make system")
@pytest.mark.parametrize("number", range(12))
def test_of_a_mark(number): ...

def test_of_a_call():
    pytest.skip("needs a Redis server: make system")

def test_that_passes(): ...
"""


@pytest.mark.parametrize("in_ci", [False, True])
def test_skips_are_counted_by_reason(pytester, monkeypatch, in_ci):
    monkeypatch.setenv("CI", "true" if in_ci else "")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(HOOKS.read_text("utf-8"))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess("-rfE", "-p", "no:cacheprovider")
    assert result.ret is (pytest.ExitCode.TESTS_FAILED if in_ci else pytest.ExitCode.OK)
    result.assert_outcomes(passed=1, skipped=13)
    lines = [line.strip() for line in result.outlines]
    assert [line for line in lines if "needs" in line] == ["13 needs a Redis server: make system"]
    assert ("CI is set, so that skipped tests fail the run." in lines) is in_ci
