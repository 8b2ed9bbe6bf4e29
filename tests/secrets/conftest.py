"""Captures everything a test prints or writes; and fake servers that echo the secrets."""

from __future__ import annotations

import logging
import re
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from html import escape

import pytest

from domo_oauth.provider import forget_tokens
from tests.adapters.server import GRANTED, JSON, Answer, accepts, answer
from tests.secrets import show
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, Evidence


class Log(logging.Handler):
    """Keeps each record: as it reads, and all that handlers and error trackers find in it."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__()
        self._evidence = evidence

    def emit(self, record: logging.LogRecord) -> None:
        self._evidence.add("log", record.name, record.levelname, self.format(record), repr(vars(record)))


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


@pytest.fixture
def keep(evidence) -> Callable[[BaseException], None]:
    """Keep an error as people and tools see it."""

    def keep(error: BaseException) -> None:
        evidence.add("message", show.message(error))
        evidence.add("traceback", *(tool(error) for tool in show.TOOLS))

    return keep


def authorization(request: bytes) -> tuple[str, str]:
    """The header field of a request, and what it stands for."""
    sent = re.search(rb"(?i)^authorization: *([^\r]*)", request, re.MULTILINE)
    value = sent[1].decode() if sent else ""
    scheme, _, rest = value.partition(" ")
    return value, b64decode(rest).decode() if scheme == "Basic" else rest


def grants(request: bytes) -> bytes:
    return answer(200, {"access_token": ACCESS_TOKEN, **GRANTED}, JSON)


def refuses(request: bytes) -> bytes:
    """A 401 that sends back what it refuses, in the fields that errors are read from."""
    value, meaning = authorization(request)
    fields = {"error": meaning, "message": f"{value} is wrong", "toe": meaning, "statusReason": value}
    return answer(401, fields, JSON)


def is_down(request: bytes) -> bytes:
    """A proxy's page that sends the whole request back. It asks for no retry soon, so that nobody waits for one."""
    value, meaning = authorization(request)
    page = f"<html><title>{escape(value)} {meaning}</title><pre>{escape(request.decode())}</pre></html>"
    return answer(502, page, "Content-Type: text/html", "Retry-After: 3600")


def is_broken(request: bytes) -> bytes:
    """A 200 that breaks the contract, with all that is secret in it."""
    value, meaning = authorization(request)
    fields = {"access_token": ACCESS_TOKEN, "token_type": value, "expires_in": value, "customer": [meaning]}
    return answer(200, fields, JSON)


def breaks_off(request: bytes) -> bytes:
    """The beginning of a response, with the token."""
    return answer(200, f'{{"access_token": "{ACCESS_TOKEN}", "expires', JSON, missing=100)


ANSWERS: dict[str, tuple[Answer, Answer]] = {
    "good": (grants, accepts),
    "refused": (refuses, refuses),
    "down": (is_down, is_down),
    "broken": (is_broken, is_broken),
    "breaks": (breaks_off, breaks_off),
}
"""How the token endpoint answers, and how the API does."""
CASES = ["good", "refused", *(pytest.param(case, marks=pytest.mark.slow) for case in ("down", "broken", "breaks"))]
