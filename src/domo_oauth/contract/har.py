"""Exchanges in HAR 1.2 files, as browsers and proxies save them, and where each recording comes from.

Exporters differ in what they keep. Chrome leaves `Authorization` out unless told to export sensitive data, and keeps
requests without a response with status 0; mitmproxy writes `text: null` for a body that it did not keep; Safari leaves
`text` out for an empty body; Playwright writes status -1, or puts bodies into separate files. So the reader takes
entries one by one and skips those of other sites. What was not kept is missing from the exchange, not wrong in it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from http.client import responses as reason_phrases
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from domo_oauth.base_url import is_loopback
from domo_oauth.errors import DomoOAuthError

from .document import contract, server
from .exchange import PLACES, Exchange, Headers, field_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

__all__ = ["NEVER", "HarError", "Recording", "har_text", "read_har"]

NEVER = "1970-01-01T00:00:00.000Z"
"""The start of an exchange that never took place. HAR requires a time."""


class HarError(DomoOAuthError):
    """The file is not a HAR file. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The content of a HAR file.

    Attributes:
        exchanges: The exchanges of the contract, by the number of their entry, from 1.
        others: How many other entries there are.
        provenance: ``log._provenance``, empty in a browser's file: ``kind`` (``recorded``, ``observed``, ``derived``,
            or ``sandbox`` for responses of a server on loopback), ``source``, and for a recording ``parts``, what of
            the exchange was really seen, such as ``response.body``.
    """

    exchanges: Mapping[int, Exchange]
    others: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])


def read_har(file: Traversable) -> Recording:
    """Read a HAR file.

    Args:
        file: A path, or anything else that has ``read_bytes``.

    Raises:
        HarError: The file cannot be read, or is not a HAR file. No single entry raises it.
    """
    try:
        log = _object(_object(json.loads(file.read_bytes(), parse_int=_integer)).get("log"))
    except OSError as error:
        raise HarError(f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise HarError("is not a HAR file: it is not JSON") from error
    if not isinstance(log.get("entries"), list):
        raise HarError("is not a HAR file: it has no list at log.entries")
    entries, provenance = _list(log["entries"]), _object(log.get("_provenance"))
    missing: tuple[str, ...] = ()
    if provenance.get("kind") == "recorded" and "parts" in provenance:
        seen = tuple(f"{part}." for part in _list(provenance["parts"]))
        missing = tuple(place for place in PLACES if not f"{place}.".startswith(seen))
    read = {number: _exchange(_object(entry), missing) for number, entry in enumerate(entries, 1)}
    exchanges = {number: exchange for number, exchange in read.items() if exchange is not None}
    return Recording(exchanges, len(entries) - len(exchanges), provenance)


def har_text(exchange: Exchange, *, comment: str, provenance: Mapping[str, Any], started: str = NEVER) -> str:
    """Write one exchange as the text of a HAR file, without the body of the request.

    Args:
        exchange: The exchange, without secrets.
        comment: Where it comes from, for people.
        provenance: Where it comes from, for programs; see `Recording`.
        started: When the request was sent (ISO 8601).
    """
    body, response_headers = exchange.response_body, exchange.response_headers
    content: dict[str, Any] = {"size": -1, "mimeType": field_value(response_headers, "Content-Type") or ""}
    if not exchange.lacks("response.body"):
        content |= {"size": len(body), "text": body.decode()}
    request = {
        "method": exchange.method,
        "url": exchange.url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(exchange.request_headers),
        "queryString": _pairs(exchange.query),
        "headersSize": -1,
        "bodySize": 0,
    }
    response = {
        "status": exchange.status,
        "statusText": reason_phrases.get(exchange.status, ""),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(response_headers),
        "content": content,
        "redirectURL": field_value(response_headers, "Location") or "",
        "headersSize": -1,
        "bodySize": -1,
    }
    entry = {
        "startedDateTime": started,
        "time": 0,
        "request": request,
        "response": response,
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": 0},
    }
    log = {
        "version": "1.2",
        "creator": {"name": f"domo-oauth ({provenance['kind']})", "version": contract()["info"]["version"]},
        "comment": comment,
        "_provenance": dict(provenance),
        "entries": [entry],
    }
    return json.dumps({"log": log}, indent=2, ensure_ascii=False) + "\n"


def _pairs(pairs: Headers | list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _exchange(entry: dict[str, Any], missing: tuple[str, ...]) -> Exchange | None:
    """The exchange; None if it is not about the contract: another host or path, or a browser's preflight."""
    request, response = _object(entry.get("request")), _object(entry.get("response"))
    sent = _headers(request.get("headers"))
    sent_body = _text(_object(request.get("postData")).get("text")).encode("utf-8", "replace")
    exchange = Exchange(_text(request.get("method")), _text(request.get("url")), sent, sent_body)
    here = exchange.host == urlsplit(server()).hostname or is_loopback(exchange.host)
    if not here or exchange.path not in contract()["paths"] or exchange.method == "OPTIONS":
        return None
    status, headers = response.get("status"), _headers(response.get("headers"))
    content = _object(response.get("content"))
    failed = response.get("_error") or response.get("_failureText")  # of Chrome, Safari and mitmproxy; of Playwright
    body = None if failed else _body(content, headers)
    absent = {
        "request": not exchange.method,
        "request.headers.Authorization": field_value(sent, "Authorization") is None,
        "response.headers": not headers,
        "response.body": body is None,
    }
    return replace(
        exchange,
        status=status if type(status) is int and status > 0 else 0,
        response_headers=headers or (("Content-Type", _text(content.get("mimeType"))),),
        response_body=body or b"",
        missing=(*missing, *(place for place, is_absent in absent.items() if is_absent and place not in missing)),
    )


def _headers(lines: object) -> Headers:
    named = [line for line in map(_object, _list(lines)) if isinstance(line.get("name"), str)]
    return tuple((line["name"], _text(line.get("value"))) for line in named)


def _body(content: dict[str, Any], headers: Headers) -> bytes | None:
    """The body; None if it was not kept. No text, or an empty one, is the body only if its size is 0."""
    text = content.get("text")
    if not isinstance(text, str) or not text:
        sizes = (content.get("size"), field_value(headers, "Content-Length"))
        return b"" if sizes[0] == 0 and sizes[1] in {None, "0"} else None
    if content.get("encoding") != "base64":
        return text.encode("utf-8", "replace")
    try:
        return base64.b64decode(text)
    except ValueError:
        return None


def _integer(digits: str) -> int | None:
    """The number; None if it has more digits than Python converts, so that only its entry is odd."""
    try:
        return int(digits)
    except ValueError:
        return None


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] -- of anything


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
