"""Keeps all that is said and written in a test."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator

import pytest

from domo_oauth.provider import forget_tokens
from tests.secrets.canaries import Evidence

HEADER_LOG = "receive_response_headers.complete"
"""Of httpcore's log, at DEBUG."""


class Log(logging.Handler):
    """Keeps each record: as it reads, and all that handlers and error trackers find in it."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__()
        self._evidence = evidence

    def emit(self, record: logging.LogRecord) -> None:
        place = "log of an answer's header fields" if HEADER_LOG in record.getMessage() else "log"
        self._evidence.add(place, record.name, record.levelname, self.format(record), repr(vars(record)))


@pytest.fixture
def evidence(monkeypatch, tmp_path) -> Iterator[Evidence]:
    """What this process says and writes: its log from DEBUG on, and its temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    kept, root = Evidence(), logging.getLogger()
    handler, level = Log(kept), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    forget_tokens()
    yield kept
    root.removeHandler(handler)
    root.setLevel(level)
