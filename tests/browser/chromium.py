"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
PATH = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(not PATH, reason="no Chromium: make system")


@contextmanager
def chromium() -> Iterator[object]:
    """Start it. For it, evil.example is this machine."""
    arguments = ["--host-resolver-rules=MAP evil.example 127.0.0.1", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=PATH, args=arguments)
        yield browser
        browser.close()
