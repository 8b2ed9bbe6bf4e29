"""Does an exchange keep the contract? Checked with openapi-core; needs the extra ``cli`` or ``sandbox``.

Headers that the contract does not name are nothing to report: HTTP is open to them (RFC 9110, section 5.1).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from domo_oauth.base_url import is_loopback

from .document import cli_extra, contract, server
from .exchange import field_value

if TYPE_CHECKING:
    from .exchange import Exchange
    from .finding import Finding

__all__ = ["check_exchange", "check_request", "check_response", "concerns"]

_REFUSED = (400, 401)
"""Statuses by which the server itself says that the request was wrong."""


def check_exchange(exchange: Exchange, *, strict: bool = False) -> list[Finding]:
    """Check a request and its answer.

    A wrong parameter or wrong credentials that the server refused, with 400 or 401, are news: an exchange that shows
    how the server refuses keeps the contract. An answer that grants such a request breaks it.

    Args:
        exchange: What to check. The server that it went to is not: a sandbox keeps the contract, too.
        strict: Take fields that the contract does not name as faults.

    Raises:
        ConfigurationError: The extra is not installed.
    """
    request = check_request(exchange, strict=strict)
    if exchange.status in _REFUSED:
        request = [_refused(finding, exchange.status) for finding in request]
    return request + check_response(exchange, strict=strict)


def _refused(finding: Finding, status: int) -> Finding:
    if not finding.where.startswith(("request.query.", "request.headers.")):
        return finding
    return replace(finding, kind="news", message=f"{finding.message}; refused with {status}")


def check_request(exchange: Exchange, *, strict: bool = False) -> list[Finding]:
    """Check the request alone: method, path, credentials and parameters. Arguments and errors as above."""
    with cli_extra():
        from .validation import request_findings
    return list(dict.fromkeys(request_findings(exchange, "fault" if strict else "news")))


def check_response(exchange: Exchange, *, strict: bool = False) -> list[Finding]:
    """Check the answer alone: status, media type, headers and body. Arguments and errors as above.

    An error's empty body without a media type is news: the contract says that it may be empty.
    """
    with cli_extra():
        from .validation import response_findings
    return list(dict.fromkeys(response_findings(exchange, "fault" if strict else "news")))


def concerns(exchange: Exchange) -> bool:
    """Whether the contract is about this exchange: its path, at the contract's server or on loopback (a sandbox).

    It is not about a preflight, which a browser sends on its own before the request (the Fetch standard, CORS).
    """
    if exchange.method == "OPTIONS" and field_value(exchange.request_headers, "Access-Control-Request-Method"):
        return False
    here = exchange.host == urlsplit(server()).hostname or is_loopback(exchange.host)
    return here and exchange.path in contract()["paths"]
