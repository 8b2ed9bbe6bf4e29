"""One request and its response, wherever they were seen: in a HAR file, the sandbox or a test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PLACES", "Exchange", "Headers", "field_value", "parse_json"]

Headers = tuple[tuple[str, str], ...]
"""Header lines in their order. A name that was sent twice is there twice."""

PLACES = ("request", "response.status", "response.headers", "response.body")
"""The parts of an exchange that a source may not have kept."""


@dataclass(frozen=True, slots=True, repr=False)
class Exchange:
    """One HTTP exchange.

    Attributes:
        method: Method of the request, such as ``GET``.
        url: Absolute URL of the request, with its query.
        request_headers: Header lines of the request.
        request_body: Content of the request.
        status: Status code of the response; 0 if there was none.
        response_headers: Header lines of the response.
        response_body: Content of the response, decompressed.
        missing: Places that the source did not keep, such as ``response.body`` or ``request.headers.Authorization``.
            They are not checked.
    """

    method: str
    url: str
    request_headers: Headers = ()
    request_body: bytes = b""
    status: int = 0
    response_headers: Headers = ()
    response_body: bytes = b""
    missing: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Method, host, path and status. Everything else may hold a secret."""
        return f"<Exchange {self.method} {self.host}{self.path} {self.status}>"

    @property
    def host(self) -> str:
        """Host in the URL, in lower case, without the port."""
        return _split(self.url).hostname or ""

    @property
    def path(self) -> str:
        """Path in the URL."""
        return _split(self.url).path

    @property
    def query(self) -> list[tuple[str, str]]:
        """Parameters in the query, decoded, in their order."""
        return parse_qsl(_split(self.url).query, keep_blank_values=True)

    def lacks(self, place: str) -> bool:
        """Whether the source did not keep this place, or one that it belongs to."""
        return any(f"{place}.".startswith(f"{missing}.") for missing in self.missing)


def field_value(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The value of a header, its lines joined by commas (RFC 9110, section 5.2); None if it is missing."""
    lines = [value for line, value in headers if line.lower() == name.lower()]
    return ", ".join(lines) if lines else None


def parse_json(body: bytes) -> Any:
    """Parse JSON strictly (RFC 8259): without NaN and Infinity. A byte order mark is ignored.

    Raises:
        ValueError: It is not JSON in UTF-8, or nested too deeply.
    """
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_not_json)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # a malformed URL, such as http://[::1
        return SplitResult("", "", "", "", "")
