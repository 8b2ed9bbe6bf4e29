"""Exchanges in HAR 1.2 files, as browsers and proxies save them, with a note of where each recording comes from.

Exporters differ in what they keep. Chrome leaves `Authorization` out unless told to export sensitive data, and keeps
requests without a response with status 0; mitmproxy writes `text: null` for a body that it did not keep; Safari leaves
`text` out for an empty body; Playwright writes status -1, or puts bodies into files of their own. So entries are read
one by one, those of other sites are not looked at, and what was not kept is missing from the exchange, not wrong in it.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
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
        provenance: ``log._provenance``, empty in a browser's file: ``kind`` (``recorded``, ``derived``, or ``sandbox``
            for responses of a server on loopback), ``source``, and for a recording ``parts``, what of the exchange was
            really seen, such as ``response.body``.
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
        log = _object(_object(json.loads(file.read_bytes())).get("log"))
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
    exchanges = {
        number: _exchange(entry, missing) for number, entry in enumerate(map(_object, entries), 1) if _concerns(entry)
    }
    return Recording(exchanges, len(entries) - len(exchanges), provenance)


def har_text(
    exchange: Exchange,
    *,
    comment: str,
    provenance: Mapping[str, Any],
    version: str,
    started: str = NEVER,
    milliseconds: float = 0,
) -> str:
    """Write one exchange as the text of a HAR file.

    Args:
        exchange: The exchange, without secrets.
        comment: Where it comes from, for people.
        provenance: Where it comes from, for programs; see `Recording`.
        version: The contract's version that it was checked against.
        started: When the request was sent (ISO 8601).
        milliseconds: From the start to the end of the response.
    """
    log = {
        "version": "1.2",
        "creator": {"name": f"domo-oauth ({provenance['kind']})", "version": version},
        "comment": comment,
        "_provenance": dict(provenance),
        "entries": [
            {
                "startedDateTime": started,
                "time": milliseconds,
                "request": _request(exchange),
                "response": _response(exchange),
                "cache": {},
                "timings": {"send": 0, "wait": milliseconds, "receive": 0},
            }
        ],
    }
    return json.dumps({"log": log}, indent=2, ensure_ascii=False) + "\n"


def _request(exchange: Exchange) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": exchange.method,
        "url": exchange.url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(exchange.request_headers),
        "queryString": _pairs(exchange.query),
        "headersSize": -1,
        "bodySize": len(exchange.request_body),
    }
    if exchange.request_body:
        media_type = field_value(exchange.request_headers, "Content-Type") or ""
        request["postData"] = {"mimeType": media_type, "params": [], "text": exchange.request_body.decode()}
    return request


def _response(exchange: Exchange) -> dict[str, Any]:
    body, kept = exchange.response_body, not exchange.lacks("response.body")
    mime_type = field_value(exchange.response_headers, "Content-Type") or ""
    return {
        "status": exchange.status,
        "statusText": reason_phrases.get(exchange.status, ""),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(exchange.response_headers),
        "content": {
            "size": len(body) if kept else -1,
            "mimeType": mime_type,
            **({"text": body.decode()} if kept else {}),
        },
        "redirectURL": field_value(exchange.response_headers, "Location") or "",
        "headersSize": -1,
        "bodySize": -1,
    }


def _pairs(pairs: Headers | list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _concerns(entry: object) -> bool:
    """Whether the entry is about the contract: its path, on Domo's host or on loopback, and no browser's preflight."""
    request = _object(_object(entry).get("request"))
    asked = Exchange(_text(request.get("method")), _text(request.get("url")))
    here = asked.host == urlsplit(server()).hostname or is_loopback(asked.host)
    return here and asked.path in contract()["paths"] and asked.method != "OPTIONS"


def _exchange(entry: dict[str, Any], missing: tuple[str, ...]) -> Exchange:
    request, response = _object(entry.get("request")), _object(entry.get("response"))
    content, status = _object(response.get("content")), response.get("status")
    failed = response.get("_error") or response.get("_failureText")  # of Chrome, Safari and mitmproxy; of Playwright
    sent, headers = _headers(request.get("headers")), _headers(response.get("headers"))
    body = None if failed else _body(content, headers)
    absent = {
        "request": not request.get("method"),
        "request.headers.Authorization": field_value(sent, "Authorization") is None,
        "response.headers": not headers,
        "response.body": body is None,
    }
    return Exchange(
        method=_text(request.get("method")),
        url=_text(request.get("url")),
        request_headers=sent,
        request_body=_text(_object(request.get("postData")).get("text")).encode("utf-8", "replace"),
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
    except (binascii.Error, ValueError):
        return None


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] -- of anything


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
