"""A pytest plugin that writes down which test runs which line of ``src/``, in processes that it starts, too."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_FOLDER = Path(os.environ["MUTANTS_COVERAGE"])
_CONFIG = """[run]
source_pkgs = domo_oauth
parallel = true
data_file = {folder}/data
context = ${{MUTANTS_TEST-}}
sigterm = true
disable_warnings = module-not-measured, no-data-collected
"""
_took: dict[str, float] = {}
_config = _FOLDER / "coveragerc"
_config.write_text(_CONFIG.format(folder=_FOLDER), encoding="utf-8")
_coverage = coverage.Coverage(config_file=str(_config), data_suffix=True)
_coverage.start()  # before a test imports any module of src/
os.environ["COVERAGE_PROCESS_START"] = str(_config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Name the test in what is measured, here and in processes that it starts."""
    began = time.monotonic()
    os.environ["MUTANTS_TEST"] = item.nodeid
    _coverage.switch_context(item.nodeid)
    result = yield
    _coverage.switch_context("")
    _took[item.nodeid] = time.monotonic() - began
    return result


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
    """Name all tests that may use it where a fixture starts a process for more than one."""
    name = os.environ["MUTANTS_TEST"]
    if fixturedef.scope != "function":
        os.environ["MUTANTS_TEST"] = name.partition("::")[0]
    try:
        return (yield)
    finally:
        os.environ["MUTANTS_TEST"] = name


def pytest_sessionfinish() -> None:
    """For each file of ``src/``: what it was, and the tests that run each line; and how long each test takes."""
    _coverage.stop()
    _coverage.save()
    _coverage.combine()
    data = _coverage.get_data()
    found: dict[str, dict[str, object]] = {"took": dict(_took), "lines": {}, "digests": {}}
    for path in sorted(data.measured_files()):
        name = path[path.rindex("/src/") + 1 :]
        found["digests"][name] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        by_line = data.contexts_by_lineno(path).items()
        found["lines"][name] = {line: _tests(set(contexts)) for line, contexts in by_line}
    (_FOLDER / "map.json").write_text(json.dumps(found), encoding="utf-8")


def _tests(contexts: set[str]) -> list[str]:
    return sorted(test for test in _took if test in contexts or test.partition("::")[0] in contexts)
