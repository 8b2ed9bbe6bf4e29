"""Keep only the harmless parts of an exchange, by an allow-list, so that it can be saved.

A list of secrets is never complete: a server may put a token in a field of any name, in a header, or in a text. So
this module lists what to keep: in known fields and headers, the words of the contract, dates and short numbers. Every
other value is masked. A body that is not JSON is dropped.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from domo_oauth.redact import encoded_forms

from .document import contract_text
from .exchange import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .exchange import Exchange, Headers

__all__ = ["UNKNOWN_SCOPE", "Redactor"]

UNKNOWN_SCOPE = "no_such_scope"
"""A scope that no client has."""
MASK = "[redacted]"
_FIELDS = {
    *("token_type", "expires_in", "scope", "role", "error", "error_description", "error_uri"),
    *("timestamp", "status", "statusReason", "message", "path"),
}
_HEADERS = {
    *("accept", "cache-control", "connection", "content-encoding", "content-length", "content-type", "date", "pragma"),
    *("retry-after", "server", "strict-transport-security", "transfer-encoding", "vary", "www-authenticate"),
    *("x-content-type-options", "x-frame-options", "x-xss-protection"),
}
_LARGEST_NUMBER = 999_999
_SHAPES = re.compile(
    r"[0-9]{1,6}"
    r"|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"  # RFC 9110, section 5.6.7
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:?[0-9]{2})?"  # ISO 8601
)
_SEPARATOR = re.compile(r"([\s,;:=\"'`()<>\[\]{}|*!?]+|\.(?=\s|$))")
_NAME = re.compile(r"[A-Za-z_-]{1,15}")
"""A name outside the contract that is too short for a token, such as `env`."""


@cache
def _words() -> frozenset[str]:
    """The words of the contract, in lower case. All of them are public."""
    return frozenset(_SEPARATOR.split(contract_text().lower())) | {UNKNOWN_SCOPE, "redacted"}


class Redactor:
    """Masks whatever is not known to be harmless.

    Args:
        secrets: Values to mask even if they are words of the contract, such as a client id.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = [form for secret in secrets for form in encoded_forms(secret)]
        self._secret = re.compile("|".join(forms) or "(?!)", re.IGNORECASE)

    def redact(self, exchange: Exchange) -> Exchange:
        """Mask an exchange. Each mask has the type of the value it replaces, so the exchange keeps the contract."""
        query = urlencode([(self._name(name), self._text(value)) for name, value in exchange.query])
        body = self._body(exchange.response_body)
        return replace(
            exchange,
            url=f"{exchange.url.partition('?')[0]}?{query}".rstrip("?"),
            request_headers=self._headers(exchange.request_headers),
            request_body=b"",
            response_headers=self._headers(exchange.response_headers),
            response_body=body or b"",
            missing=exchange.missing if body is not None else (*exchange.missing, "response.body"),
        )

    def _headers(self, headers: Headers) -> Headers:
        return tuple((self._name(name), self._header(name.lower(), value)) for name, value in headers)

    def _header(self, name: str, value: str) -> str:
        if name == "authorization":
            return f"Basic {MASK}"
        return self._text(value) if name in _HEADERS else MASK

    def _body(self, body: bytes) -> bytes | None:
        if not body:
            return b""
        try:
            return json.dumps(self._value("", parse_json(body)), ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return None

    def _value(self, name: str, value: object) -> Any:
        if isinstance(value, dict):
            members = cast("dict[str, object]", value).items()
            return {self._name(each, number): self._value(each, inner) for number, (each, inner) in enumerate(members)}
        if isinstance(value, list):
            return [self._value(name, item) for item in cast("list[object]", value)]
        if isinstance(value, str):
            return self._text(value) if name in _FIELDS else "redacted"
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if name in _FIELDS and abs(value) <= _LARGEST_NUMBER else 0
        return value

    def _name(self, name: str, number: int = 0) -> str:
        known = name.lower() in _words() or _NAME.fullmatch(name)
        return name if known and not self._secret.search(name) else f"redacted-{number}"

    def _text(self, text: str) -> str:
        if self._secret.search(text):
            return MASK
        if _SHAPES.fullmatch(text):
            return text
        pieces = _SEPARATOR.split(text)  # every second one is a separator
        return "".join(
            piece if number % 2 or piece.lower() in _words() else MASK for number, piece in enumerate(pieces)
        )
