"""Secrets out of an exchange, whatever odd place the server echoes them in; and proof that none is left."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from domo_oauth.errors import DomoOAuthError
from domo_oauth.redact import encoded_forms

Pattern = re.Pattern[str]

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .exchange import Exchange, Headers

__all__ = ["redacted"]

_SECRET_FIELDS = ("access_token", "refresh_token", "id_token")
_PERSONAL_FIELDS = ("customer", "domain", "userId", "jti")
_SECRET_HEADERS = ("cookie", "proxy-authorization", "set-cookie")
_JSON_STRING = r'"(?:[^"\\]|\\.)*"'
_JSON_NUMBER = r"-?[0-9][0-9.eE+-]*"
_STANDS_IN = re.compile(r"redacted|\[token_[0-9]+\]")  # for a token: what was redacted before stays as it is


def redacted(exchanges: Sequence[Exchange], secrets: Mapping[str, str]) -> list[Exchange]:
    """These exchanges without secrets, and without the fields that say whose they were.

    What takes their place keeps the contract: strings stay strings, numbers numbers, and whitespace stays as it was.
    A body that is not UTF-8 is not kept: nothing could be found in it.

    Args:
        exchanges: The exchanges as they were on the wire. A token in the answer of one is looked for in all of them.
        secrets: What else must not remain, by the names (Python's) that stand in their place; where one is part of
            another, the longer one first.

    Raises:
        DomoOAuthError: One of them is still there, in a form that was not foreseen. Nothing of it is in the message.
    """
    tokens = dict.fromkeys(token for exchange in exchanges for token in _tokens(_text(exchange.response_body)))
    named = {**secrets, **{f"token_{number}": token for number, token in enumerate(tokens, start=1)}}
    pattern = _pattern(named)
    cleaned = [_redacted(exchange, pattern) for exchange in exchanges]
    leak = _leak(cleaned, pattern)
    del secrets, tokens, named, pattern  # a traceback with locals shows this frame
    if leak:
        raise DomoOAuthError(f"{leak}, in a form that could not be taken out. Nothing is kept.")
    return cleaned


def _redacted(exchange: Exchange, pattern: Pattern) -> Exchange:
    body = _text(exchange.response_body)
    return replace(
        exchange,
        url=_without(pattern, exchange.url),
        request_headers=_headers(pattern, exchange.request_headers),
        request_body=_without(pattern, _fields(_text(exchange.request_body) or "")).encode(),
        response_headers=_headers(pattern, exchange.response_headers),
        response_body=None if body is None else _without(pattern, _fields(body)).encode(),
    )


def _leak(exchanges: Sequence[Exchange], pattern: Pattern) -> str | None:
    for exchange in exchanges:
        for place, text in _places(exchange):
            if found := pattern.search(_placeholders(pattern).sub("\n", text)):
                return f"The {found.lastgroup} is still in the {place}"
    return None


def _text(body: bytes | None) -> str | None:
    """The body; None where it is not UTF-8, or looks like UTF-16: nothing could be found in it, so it is not kept."""
    try:
        return None if body is None or b"\0" in body else body.decode()
    except UnicodeDecodeError:
        return None


def _tokens(body: str | None) -> list[str]:
    found = re.findall(rf'"(?:{"|".join(_SECRET_FIELDS)})"\s*:\s*({_JSON_STRING})', body or "")
    found += [json.dumps(value) for name, value in _members(body) if name in _SECRET_FIELDS and isinstance(value, str)]
    tokens = [_unescaped(value) for value in found]
    return list(dict.fromkeys(token for token in tokens if token and not _STANDS_IN.fullmatch(token)))


def _unescaped(string: str) -> str:
    try:
        return str(json.loads(string, strict=False))
    except ValueError:  # an escape that JSON does not know
        return string[1:-1]


def _fields(body: str) -> str:
    """The body with the values of its secret and its personal fields exchanged, and nothing else touched."""
    names = "|".join((*_SECRET_FIELDS, *_PERSONAL_FIELDS))
    body = re.sub(rf'("(?:{names})"\s*:\s*){_JSON_STRING}', r'\1"redacted"', body)
    return re.sub(rf'("(?:{names})"\s*:\s*){_JSON_NUMBER}', r"\g<1>0", body)


def _headers(pattern: Pattern, headers: Headers) -> Headers:
    return tuple((_without(pattern, name), _header(pattern, name.lower(), value)) for name, value in headers)


def _header(pattern: Pattern, name: str, value: str) -> str:
    if name == "authorization":
        return f"{value.partition(' ')[0]} [redacted]"
    return "[redacted]" if name in _SECRET_HEADERS else _without(pattern, value)


def _without(pattern: Pattern, text: str) -> str:
    return pattern.sub(lambda found: f"[{found.lastgroup}]", text)


def _placeholders(pattern: Pattern) -> Pattern:
    return re.compile(rf"\[(?:{'|'.join([*pattern.groupindex, 'redacted'])})\]")


def _pattern(named: Mapping[str, str]) -> Pattern:
    """What finds the secrets, all in one go, so that none is looked for in what stands in for another."""
    if not named:
        return re.compile(r"(?!)")  # finds nothing
    groups = (f"(?P<{name}>{'|'.join(encoded_forms(secret))})" for name, secret in named.items())
    return re.compile("|".join(groups), re.IGNORECASE)


def _places(exchange: Exchange) -> Iterator[tuple[str, str]]:
    yield "URL", exchange.url
    for headers in (exchange.request_headers, exchange.response_headers):
        yield from (("header's name", name) for name, _ in headers)  # first, as the next message shows it
        yield from ((f"header {name}", value) for name, value in headers)
    for content in (exchange.request_body, exchange.response_body):
        body = _text(content)
        yield "body", body or ""
        yield from (("body", text) for name, value in _members(body) for text in (name, str(value)))


def _members(body: str | None) -> list[tuple[str, object]]:
    """The names and plain values in a JSON body, however deep, with their escapes undone."""
    try:
        document = json.loads((body or "").removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return []
    members: list[tuple[str, object]] = []
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(cast("dict[str, object]", value).items())
        elif isinstance(value, list):
            waiting.extend((name, item) for item in cast("list[object]", value))
        members.append((name, "" if isinstance(value, dict | list) else value))
    return members
