"""Keeps all that is said and written in a test."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator

import pytest

from domo_oauth.provider import forget_tokens
from tests.secrets import show
from tests.secrets.canaries import CLIENT_ID, CLIENT_SECRET, Evidence

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


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DOMO_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", CLIENT_SECRET)


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


@pytest.fixture(params=["quick tools", pytest.param("all tools", marks=pytest.mark.slow)])
def keep(evidence, request) -> Callable[[BaseException], None]:
    """Keep an error as people and tools see it."""

    def keep(error: BaseException) -> None:
        evidence.add("message", show.message(error))
        evidence.add("traceback", *(tool(error) for tool in tools))

    tools = show.QUICK if request.param == "quick tools" else show.TOOLS
    return keep
