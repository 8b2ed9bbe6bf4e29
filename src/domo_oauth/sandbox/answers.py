"""The answers of api.domo.com: their shapes, and the headers around them."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

__all__ = ["Answer", "container_error", "http_response"]

# As on the documentation page. Its Date and Transfer-Encoding are added where the answer is written to the connection.
_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "keep-alive",
    "Content-Type": "application/json;charset=utf-8",
    "Pragma": "no-cache",
    "Server": "nginx",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Vary": "Accept-Encoding, User-Agent",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, before it takes the form of HTTP.

    Attributes:
        status: The HTTP status code.
        body: What becomes JSON; a text is a page as it stands. Not in the repr, for it may hold a token.
        headers: Headers besides those that every answer has.
        outcome: The count in :class:`~domo_oauth.sandbox.stats.Stats` that it adds to, ``granted`` for the tokens;
            empty for none.
    """

    status: int
    body: object = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    outcome: str = ""

    def to_bytes(self) -> bytes:
        """The body as it is sent, before compression."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False).encode()


def container_error(
    status: int, path: str, message: str = "", *, headers: Mapping[str, str] | None = None, outcome: str = ""
) -> Answer:
    """An error as the server's container words it (derived)."""
    phrase = HTTPStatus(status).phrase
    body = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000"),
        "status": status,
        "error": phrase,
        "message": message or phrase,
        "path": path,
    }
    return Answer(status, body, headers or {}, outcome)


def http_response(answer: Answer, request: Request) -> Response:
    """The answer as HTTP: compressed where the client takes that, and without a length, so that it goes in chunks."""
    body = answer.to_bytes()
    headers = {**_HEADERS, **answer.headers}
    if _takes_gzip(request.headers.get("Accept-Encoding", "")):
        body = gzip.compress(body)
        headers["Content-Encoding"] = "gzip"
    response = Response(body, answer.status, headers)
    del response.headers["Content-Length"]
    return response


def _takes_gzip(accept_encoding: str) -> bool:
    return re.search(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", accept_encoding, re.IGNORECASE) is not None
