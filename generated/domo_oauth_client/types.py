"""What the modules of this package share: the absent value, the response, and the rules that its body must keep."""

import json
import re
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from email.message import Message
from enum import Enum
from functools import cache
from typing import Any, Final, Generic, Literal, TypeVar, cast

import httpx
from attrs import field, frozen

from .errors import ResponseValidationError

T = TypeVar("T")

# What a body that is not UTF-8 may be. Not every codec of Python's will do: some take hours for a megabyte.
_CHARSETS = ("iso-8859-1", "iso-8859-15", "windows-1252", "utf-16", "utf-32")

# The types of OpenAPI: what json.loads makes of them, and how to call them. Not isinstance: a bool is no integer.
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a string"),
    "integer": ((int,), "an integer"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
    "array": ((list,), "an array"),
    "object": ((dict,), "an object"),
}


class Unset(Enum):
    """Type of UNSET. An enum, as its member stays the same object through copy and pickle."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""Stands for what is not there: a parameter that is not sent, a field that did not come."""


@frozen
class Response(Generic[T]):
    """A response.

    Attributes:
        status_code (int): HTTP status (RFC 9110, section 15), whichever the server sent.
        content (bytes): The body, decompressed, up to `AuthenticatedClient.max_response_bytes`.
        headers (httpx.Headers): The header fields; `get_list` tells those that came several times.
        parsed (T | None): The body as the contract names it for this status. None if the contract does not name the
            status, or if it names an error and the body is something else.
    """

    status_code: int
    content: bytes = field(repr=False)
    headers: httpx.Headers = field(repr=False)
    parsed: T | None


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of OpenAPI's (ECMA-262): its `$` matches at the very end only, its `\\d` only ASCII."""
    anchored = re.sub(r"(\\.|\[(?:\\.|[^]\\])*\])|\$", lambda match: match[1] or r"\Z", pattern)
    return re.compile(anchored, re.ASCII)


@frozen(kw_only=True)
class Rule:
    """What the contract says about a JSON value, in the keywords of OpenAPI's schema object. None says nothing."""

    type: str | None = None
    required: bool = False
    nullable: bool = False
    enum: Collection[Any] | None = None
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    items: "Rule | None" = None

    def missed_by(self, value: Any) -> str | None:
        """Return what was expected in place of `value`; None if `value` will do."""
        if self.type is None or (self.nullable and value is None):
            return None
        types, name = _TYPES[self.type]
        if type(value) not in types:
            return name
        if self.enum is not None and value not in self.enum:
            return f"one of {list(self.enum)}"
        if self.minimum is not None and value < self.minimum:
            return f"at least {self.minimum}"
        if self.maximum is not None and value > self.maximum:
            return f"at most {self.maximum}"
        if self.min_length is not None and len(value) < self.min_length:
            return f"at least {self.min_length} characters"
        if self.max_length is not None and len(value) > self.max_length:
            return f"at most {self.max_length} characters"
        if self.pattern is not None and not _compile(self.pattern).search(value):
            return f"{name} that matches {self.pattern}"
        if self.items is not None:
            return next((f"{name} of {missed}" for item in value if (missed := self.items.missed_by(item))), None)
        return None


def read_object(source: Any, rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Copy a JSON object that keeps the rules.

    Raises:
        ResponseValidationError: It is no object, a required field is missing, or a field breaks its rule.
    """
    if not isinstance(source, Mapping):
        raise ResponseValidationError("expected an object")
    fields = dict(cast("Mapping[str, Any]", source))
    for name, rule in rules.items():
        if name in fields:
            expected = rule.missed_by(fields[name])
        else:
            expected = "a value, as the field is required" if rule.required else None
        if expected is not None:
            raise ResponseValidationError(f"expected {expected}", name)
    return fields


def copied(source: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a mapping, so that nobody else can change it, into one that can be pickled."""
    return dict(source)


@contextmanager
def reading(name: str | None, expected: str) -> Generator[None]:
    """Turn the errors of a conversion (to a date, an enum, ...) into one that names the field and not its value."""
    try:
        yield
    except ResponseValidationError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ResponseValidationError(f"expected {expected}", name) from None


def read_text(response: Response[Any], media_types: Collection[str]) -> str:
    """Decode a body: UTF-8, or else the charset that the Content-Type names. A byte-order mark is dropped.

    Raises:
        ResponseValidationError: The media type is not one of `media_types`, or the body cannot be decoded.
    """
    header = Message()
    header["Content-Type"] = response.headers.get("Content-Type", "")[:256]  # long ones take seconds to read
    if header.get_content_type() not in media_types:
        raise ResponseValidationError(f"expected media type {' or '.join(media_types)}")
    charset = header.get_content_charset()
    for encoding in ("utf-8-sig", charset if charset in _CHARSETS else "utf-8"):
        try:
            return response.content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ResponseValidationError("expected UTF-8, or the charset that the Content-Type names")


def read_json(response: Response[Any], media_types: Collection[str]) -> Any:
    """Read a body as JSON (RFC 8259); NaN and Infinity are none.

    Raises:
        ResponseValidationError: As `read_text`, or the body is not JSON, or nested deeper than Python can read.
    """
    text = read_text(response, media_types)
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        pass  # Raised below and not here, where the error's context would carry the body.
    raise ResponseValidationError("expected JSON")


def _refuse(constant: str) -> None:
    raise ValueError(constant)


__all__ = ["UNSET", "Response", "Rule", "Unset", "copied", "read_json", "read_object", "read_text", "reading"]
