"""Exchanges as files: HAR 1.2, the format that browsers and proxies save, with a note of where each comes from."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from http.client import responses as reason_phrases
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from domo_oauth.errors import DomoOAuthError

from .exchange import Exchange, Headers, field_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["NEVER", "HarError", "Recording", "har_text", "read_har"]

T = TypeVar("T")
_KINDS: dict[type, str] = {bytes: "base64", int: "an integer", list: "an array", str: "a string"}

NEVER = "1970-01-01T00:00:00.000Z"
"""The start of an exchange that never took place: HAR wants a time."""


class HarError(DomoOAuthError):
    """The file is not a HAR; the message says what is wrong with it, in one line."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a HAR holds.

    Attributes:
        exchanges: One for each entry, in their order.
        provenance: ``log._provenance``: ``kind`` (``recorded``, ``derived``, or ``sandbox`` for answers of a server on
            loopback), ``source``, and of a recording ``parts``: what of the exchange is original, such as
            ``response.body``; all else stands in for what was not kept. Empty in a browser's HAR.
    """

    exchanges: tuple[Exchange, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def kept(self) -> tuple[str, ...] | None:
        """The parts of a recording that are original; None where all is."""
        if self.provenance.get("kind") != "recorded" or "parts" not in self.provenance:
            return None
        return tuple(self.provenance["parts"])

    def is_original(self, where: str) -> bool:
        """Whether that place of the exchange is to be checked: not where something only stands in."""
        return self.kept is None or any(f"{where}.".startswith(f"{part}.") for part in self.kept)


def read_har(path: Path) -> Recording:
    """Read a HAR.

    Raises:
        HarError: The file cannot be read or is not a HAR.
    """
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise HarError(f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise HarError("is not a HAR: not JSON in UTF-8") from error
    log = _Node(document, "").node("log")
    provenance = log.optional("_provenance")
    if "parts" in provenance.value:
        for number, part in enumerate(provenance.items("parts")):
            if not isinstance(part, str):
                provenance.fail(f"parts.{number}", str)
    return Recording(tuple(_exchange(entry) for entry in log.nodes("entries")), provenance.value)


def har_text(
    exchange: Exchange,
    *,
    comment: str,
    provenance: Mapping[str, Any],
    version: str,
    started: str = NEVER,
    milliseconds: float = 0,
) -> str:
    """One exchange as the text of a HAR.

    Args:
        exchange: The exchange, redacted.
        comment: Where it comes from, in words.
        provenance: The same for machines; see ``Recording``.
        version: The version of the contract that it was checked against.
        started: When the request was sent, in the form of ISO 8601.
        milliseconds: From then to the end of the answer.
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
        sent = exchange.request_body.decode("utf-8", "surrogatepass")  # as read_har reads it
        request["postData"] = {"mimeType": media_type, "params": [], "text": sent}
    return request


def _response(exchange: Exchange) -> dict[str, Any]:
    body = exchange.response_body
    content: dict[str, Any] = {
        "size": -1 if body is None else len(body),
        "mimeType": field_value(exchange.response_headers, "Content-Type") or "",
    }
    if body is not None:
        try:
            content["text"] = body.decode()
        except UnicodeDecodeError:
            content |= {"text": base64.b64encode(body).decode(), "encoding": "base64"}
    return {
        "status": exchange.status,
        "statusText": reason_phrases.get(exchange.status, ""),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(exchange.response_headers),
        "content": content,
        "redirectURL": field_value(exchange.response_headers, "Location") or "",
        "headersSize": -1,
        "bodySize": -1,
    }


def _pairs(pairs: Headers | list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _exchange(entry: _Node) -> Exchange:
    request, response = entry.node("request"), entry.node("response")
    post_data = request.optional("postData").value.get("text", "")
    return Exchange(
        method=request.get("method", str),
        url=request.get("url", str),
        request_headers=_headers(request),
        request_body=post_data.encode("utf-8", "surrogatepass") if isinstance(post_data, str) else b"",
        status=response.get("status", int),
        response_headers=_headers(response),
        response_body=_body(response.node("content")),
    )


def _headers(message: _Node) -> Headers:
    return tuple((header.get("name", str), header.get("value", str)) for header in message.nodes("headers"))


def _body(content: _Node) -> bytes | None:
    if "text" not in content.value:
        return b"" if content.value.get("size") == 0 else None
    text = content.get("text", str).encode("utf-8", "surrogatepass")
    if content.value.get("encoding") != "base64":
        return text
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        content.fail("text", bytes)


class _Node:
    """A JSON object of the HAR that knows its own place, for a message that says where something is missing."""

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, dict):
            raise HarError(f"is not a HAR: expected {place or 'the whole'} to be an object")
        self.value = cast("dict[str, Any]", value)
        self.place = place

    def node(self, key: str) -> _Node:
        return _Node(self.value.get(key), self._at(key))

    def optional(self, key: str) -> _Node:
        value = self.value.get(key)
        return _Node({} if value is None else value, self._at(key))  # null is how some write that there is none

    def nodes(self, key: str) -> list[_Node]:
        return [_Node(item, f"{self._at(key)}.{number}") for number, item in enumerate(self.items(key))]

    def items(self, key: str) -> list[object]:
        return cast("list[object]", self.get(key, list))

    def get(self, key: str, kind: type[T]) -> T:
        value = self.value.get(key)
        return value if isinstance(value, kind) else self.fail(key, kind)

    def fail(self, key: str, kind: type) -> NoReturn:
        raise HarError(f"is not a HAR: expected {self._at(key)} to be {_KINDS[kind]}")

    def _at(self, key: str) -> str:
        return f"{self.place}.{key}".removeprefix(".")
