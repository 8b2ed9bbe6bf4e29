"""Skipped tests are counted by reason, and fail the run in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
HOOKS = Path(__file__).parents[1] / "skips.py"

TESTS = """
import pytest

needs_redis = pytest.mark.skipif(True, reason="needs a Redis server: make system")

@needs_redis
@pytest.mark.parametrize("number", range(12))
def test_of_a_mark(number): ...

def test_of_a_call():
    pytest.skip("needs a Redis server: make system")

def test_of_an_import():
    pytest.importorskip("no_such_module", reason="needs no_such_module: pip install it")

def test_that_passes(): ...
"""
MODULE = "import pytest\npytest.importorskip('no_such_module', reason='needs a browser: make system')"


@pytest.mark.parametrize("processes", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("in_ci", [False, True])
def test_skips_fit_on_a_screen(pytester, monkeypatch, processes, in_ci):
    monkeypatch.setenv("CI", "true" if in_ci else "")
    pytester.makeconftest(HOOKS.read_text("utf-8"))
    pytester.makepyfile(test_some=TESTS, test_module=MODULE)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    run = pytester.runpytest_subprocess if processes else pytester.runpytest_inprocess
    result = run("-p", "xdist", "-n", str(processes), "-rfE", "-p", "no:cacheprovider")
    assert result.ret is (pytest.ExitCode.TESTS_FAILED if in_ci else pytest.ExitCode.OK)
    result.assert_outcomes(passed=1, skipped=15)
    lines = [line.strip() for line in result.outlines]
    shown = [line for line in lines if "needs" in line]
    assert shown[0] == "13 needs a Redis server: make system"
    assert sorted(shown[1:]) == ["1 needs a browser: make system", "1 needs no_such_module: pip install it"]
    assert ("CI is set, so that skipped tests fail the run." in lines) is in_ci
