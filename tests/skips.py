"""Hooks of pytest that count skipped tests by reason, and fail a run of CI that skips any.

A reason says what is missing and what provides it, such as "needs a Redis server: make system".
"""

from __future__ import annotations

import os
from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show one line for each reason to skip, instead of one for each test."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", ()))
    if reasons:
        terminalreporter.section("skipped")
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"{number:4} {reason}")
    if reasons and os.environ.get("CI"):
        terminalreporter.write_line("CI is set, so that skipped tests fail the run.", red=True)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return " ".join(text.removeprefix("Skipped: ").split())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, fail if a test was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
