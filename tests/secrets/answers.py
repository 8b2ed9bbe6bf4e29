"""What a server says that knows the secrets: how the token endpoint answers, and how the API does."""

from __future__ import annotations

import re
from base64 import b64decode
from html import escape

import pytest

from tests.adapters.server import GRANTED, JSON, Answer, answer, takes
from tests.secrets.canaries import ACCESS_TOKEN


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
    said = {"error": meaning, "message": f"{value} is wrong", "toe": meaning, "statusReason": value}
    return answer(401, said, JSON)


def is_down(request: bytes) -> bytes:
    """A proxy's page that sends the whole request back. It asks for no retry soon, so that nobody waits for one."""
    value, meaning = authorization(request)
    page = f"<html><title>{escape(value)} {meaning}</title><pre>{escape(request.decode())}</pre></html>"
    return answer(502, page, "Content-Type: text/html", "Retry-After: 3600")


def is_broken(request: bytes) -> bytes:
    """A 200 that breaks the contract, with all that is secret in it."""
    value, meaning = authorization(request)
    said = {"access_token": ACCESS_TOKEN, "token_type": value, "expires_in": value, "customer": [meaning]}
    return answer(200, said, JSON)


def breaks_off(request: bytes) -> bytes:
    """The beginning of an answer, with the token."""
    return answer(200, f'{{"access_token": "{ACCESS_TOKEN}", "expires', JSON, missing=100)


ANSWERS: dict[str, tuple[Answer, Answer]] = {
    "good": (grants, takes),
    "refused": (refuses, refuses),
    "down": (is_down, is_down),
    "broken": (is_broken, is_broken),
    "breaks": (breaks_off, breaks_off),
}
CASES = ["good", "refused", *(pytest.param(case, marks=pytest.mark.slow) for case in ("down", "broken", "breaks"))]
