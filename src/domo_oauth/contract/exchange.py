"""One request and its answer, as they were on the wire, whoever saw them: a HAR, the sandbox, a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Exchange", "Headers", "field_value"]

Headers = tuple[tuple[str, str], ...]
"""Header lines in their order; a name that came twice is there twice."""


@dataclass(frozen=True, slots=True, repr=False)
class Exchange:
    """One HTTP exchange.

    Attributes:
        method: The request's method, such as ``GET``.
        url: The absolute URL of the request, query included.
        request_headers: The request's header lines.
        request_body: The request's content.
        status: The answer's status code; 0 where there is no answer (yet).
        response_headers: The answer's header lines.
        response_body: The answer's content with its Content-Encoding undone; None where nobody kept it.
    """

    method: str
    url: str
    request_headers: Headers = ()
    request_body: bytes = b""
    status: int = 0
    response_headers: Headers = ()
    response_body: bytes | None = None

    def __repr__(self) -> str:
        """Method, host, path and status; the rest may hold a secret."""
        return f"<Exchange {self.method} {self.host}{self.path} {self.status}>"

    @property
    def host(self) -> str:
        """The host of the URL in lower case, without its port."""
        return _split(self.url).hostname or ""

    @property
    def path(self) -> str:
        """The path of the URL."""
        return _split(self.url).path

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters in the query, decoded, in their order."""
        return parse_qsl(_split(self.url).query, keep_blank_values=True)


def field_value(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The value of a header: its lines joined as RFC 9110, section 5.2 says; None where it is missing."""
    lines = [value for line, value in headers if line.lower() == name.lower()]
    return ", ".join(lines) if lines else None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # such as a bracket that nothing closes: a URL of nobody's
        return SplitResult("", "", "", "", "")
