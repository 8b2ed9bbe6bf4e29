"""Check an exchange against the contract. Needs the extra ``cli`` or ``sandbox``.

Schemas are applied by openapi-schema-validator. The rest of an operation (parameters, authentication, headers, media
type) is a few lookups here. Headers that the contract does not name are ignored: HTTP allows them (RFC 9110, section
5.1).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

import openapi_schema_validator as schemas

from domo_oauth.redact import one_line

from .document import contract
from .exchange import field_value, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .exchange import Exchange

__all__ = ["Finding", "check_exchange", "check_request", "check_response"]

_REFUSALS = (400, 401)
_LONGEST_SHOWN = 40
"""Characters. A longer string may be a secret in a field that is not for it."""
_MASKED = re.compile(
    r"\b(redacted|removed|masked|hidden|filtered|sanitized|omitted)\b|[*•█]{3}|^[x.…-]{3,}$|^<[\w -]+>$|^\[[\w -]+\]$",
    re.IGNORECASE,
)
"""What people and tools write in place of a secret."""
_LONGEST_MASK = 100
_EXPECTED = {
    "enum": "one of {}",
    "format": "the format {}",
    "minimum": "at least {}",
    "pattern": "a string that matches {}",
    "type": "{}",
}
_CREDENTIALS = "base64 of the client id, a colon and the client secret (RFC 7617)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know about an exchange.

    Attributes:
        where: Place in the exchange, such as ``response.body.expires_in``.
        message: What was expected and what was found; never a secret.
        kind: ``error`` breaks the contract. ``unknown field`` is a field or parameter that the contract does not name.
            ``note`` keeps the contract and is worth knowing. ``not checked`` is a place whose value was not kept.
    """

    where: str
    message: str
    kind: Literal["error", "unknown field", "note", "not checked"] = "error"

    def __str__(self) -> str:
        """One line of ASCII, whatever names the exchange holds, for terminals and files of any encoding."""
        return one_line(f"{self.where}: {self.message}").encode("ascii", "backslashreplace").decode()


def check_exchange(exchange: Exchange) -> list[Finding]:
    """Check a request and its response. The server may be any: a sandbox keeps the contract, too.

    A wrong parameter or wrong credentials that the server refused with 400 or 401 are a note: that exchange shows how
    the server refuses. If the server granted the request, they are an error.
    """
    request = check_request(exchange)
    if exchange.status in _REFUSALS:
        request = [_refused(finding, exchange.status) for finding in request]
    return request + check_response(exchange)


def check_request(exchange: Exchange) -> list[Finding]:
    """Check the request alone: method, path, authentication, parameters and body."""
    return _checked(exchange, "request", _request(exchange))


def check_response(exchange: Exchange) -> list[Finding]:
    """Check the response alone: status, headers, media type and body. An error may have an empty body."""
    return _checked(exchange, "response", _response(exchange))


def _checked(exchange: Exchange, message: str, findings: Iterator[Finding]) -> list[Finding]:
    """The findings, with one for each missing place in place of all that are about it."""
    missing = [place for place in exchange.missing if f"{place}.".startswith(f"{message}.")]
    # jsonschema reports some errors twice.
    kept = [finding for finding in dict.fromkeys(findings) if not exchange.lacks(finding.where)]
    return [*kept, *(Finding(place, "not kept", "not checked") for place in missing)]


def _refused(finding: Finding, status: int) -> Finding:
    if finding.kind == "not checked" or not finding.where.startswith(("request.query.", "request.headers.")):
        return finding
    return replace(finding, kind="note", message=f"{finding.message}; refused with {status}")


def _request(exchange: Exchange) -> Iterator[Finding]:
    paths = _contract()["paths"]
    methods: dict[str, Any] = paths.get(exchange.path, {})
    operation = methods.get(exchange.method.lower())
    if not methods:
        yield Finding("request.path", f"expected {', '.join(paths)}; found {_shown(exchange.path)}")
    elif operation is None:
        expected = ", ".join(method.upper() for method in methods)
        yield Finding("request.method", f"expected {expected}; found {_shown(exchange.method)}")
    else:
        yield from _authentication(exchange, operation)
        yield from _parameters(exchange, operation)
        if exchange.request_body:
            message = f"expected none; found {len(exchange.request_body)} bytes"
            yield Finding("request.body", message, "unknown field")


def _authentication(exchange: Exchange, operation: dict[str, Any]) -> Iterator[Finding]:
    """Check the scheme that the contract names first, and that Basic credentials can be read (RFC 7617)."""
    place = "request.headers.Authorization"
    given = field_value(exchange.request_headers, "Authorization") or ""
    scheme, _, credentials = given.partition(" ")
    alternatives: list[dict[str, Any]] = operation.get("security", _contract()["security"])
    for name in alternatives[0] if alternatives else ():
        expected = _contract()["components"]["securitySchemes"][name].get("scheme", scheme.lower())
        if scheme.lower() == expected:
            if expected == "basic" and not (_is_masked(credentials) or _has_colon(credentials.strip())):
                yield Finding(place, f"expected {_CREDENTIALS}; found something else")
        elif _is_masked(given) and not (scheme.isalpha() and credentials):
            yield Finding(place, "redacted", "not checked")
        else:
            found = "something else" if given else "none"
            yield Finding(place, f"expected HTTP {expected.title()} credentials (RFC 7617); found {found}")


def _has_colon(credentials: str) -> bool:
    try:
        return b":" in base64.b64decode(credentials, validate=True)
    except (binascii.Error, ValueError):
        return False


def _parameters(exchange: Exchange, operation: dict[str, Any]) -> Iterator[Finding]:
    given = exchange.query
    known = {each["name"]: each for each in operation.get("parameters", ()) if each["in"] == "query"}
    if any(_is_masked(name) for name, _ in given):
        yield Finding("request.query", "redacted", "not checked")
        return
    for name, parameter in known.items():
        place, values = f"request.query.{name}", [value for each, value in given if each == name]
        if len(values) > 1:
            yield Finding(place, "expected once (RFC 6749, section 3.2); found more than once")
        elif values:
            yield from _schema_errors(place, values[0], parameter["schema"])
        elif parameter.get("required"):
            yield Finding(place, "required; found none")
    for name in dict.fromkeys(name for name, _ in given if name not in known):
        yield Finding(f"request.query.{name}", "the contract does not name this parameter", "unknown field")


def _response(exchange: Exchange) -> Iterator[Finding]:
    paths = _contract()["paths"]
    methods: dict[str, Any] = paths.get(exchange.path) or next(iter(paths.values()))
    operation = methods.get(exchange.method.lower()) or next(iter(methods.values()))
    responses = operation["responses"]
    response = responses.get(str(exchange.status))
    if response is None:
        yield Finding("response.status", f"expected one of {', '.join(responses)}; found {exchange.status}")
        return
    for name, header in response.get("headers", {}).items():
        value = field_value(exchange.response_headers, name)
        if value is not None:
            yield from _schema_errors(f"response.headers.{name}", value, header["schema"])
        elif header.get("required"):
            yield Finding(f"response.headers.{name}", "required; found none")
    yield from _body(exchange, response["content"])


def _body(exchange: Exchange, content: dict[str, Any]) -> Iterator[Finding]:
    content_type = field_value(exchange.response_headers, "Content-Type")
    is_error = exchange.status >= 400  # noqa: PLR2004 -- RFC 9110, section 15
    if is_error and not exchange.response_body and not content_type:
        yield Finding("response.body", "empty, as the body of an error may be", "note")
        return
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type not in content:
        found = _shown(content_type, "none")
        yield Finding("response.headers.Content-Type", f"expected {', '.join(content)}; found {found}")
        return
    try:
        body = parse_json(exchange.response_body)
    except ValueError as error:
        if _is_masked(exchange.response_body.decode(errors="replace")):
            yield Finding("response.body", "redacted", "not checked")
            return
        found = f"something else: {error}" if exchange.response_body else "nothing"
        yield Finding("response.body", f"expected JSON (RFC 8259); found {found}")
        return
    schema = content[media_type]["schema"]
    yield from _schema_errors("response.body", body, schema)
    for name in cast("dict[str, Any]", body) if isinstance(body, dict) else ():
        if name not in schema["properties"]:
            yield Finding(f"response.body.{name}", "the contract does not name this field", "unknown field")


def _schema_errors(place: str, value: Any, schema: dict[str, Any]) -> Iterator[Finding]:
    """Errors in our words: those of jsonschema quote the value, which may be a token."""
    oas30 = cast("Any", schemas)  # it has no types
    for error in oas30.OAS30ReadValidator(schema, format_checker=oas30.oas30_format_checker).iter_errors(value):
        where = ".".join([place, *map(str, error.absolute_path)])
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            yield from (Finding(f"{where}.{name}", "required; found none") for name in missing)
        elif isinstance(error.instance, str) and _is_masked(error.instance):
            yield Finding(where, "redacted", "not checked")
        else:
            limits = error.validator_value if error.validator == "enum" else [error.validator_value]
            expected = _EXPECTED.get(error.validator, f"{error.validator} {{}}").format(", ".join(map(str, limits)))
            secret = error.schema.get("format") == "password"
            found = "something else, which is not shown" if secret else _shown(error.instance)
            yield Finding(where, f"expected {expected}; found {found}".replace(r"\Z", "$"))


def _is_masked(text: str) -> bool:
    return len(text) < _LONGEST_MASK and bool(_MASKED.search(text))


def _shown(value: object, missing: str = "null") -> str:
    """The value as JSON, if it is short."""
    if value is None:
        return missing
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return f"a string of {len(value)} characters"
    if isinstance(value, list | dict):
        return "an array" if isinstance(value, list) else "an object"
    return json.dumps(value)


@cache
def _contract() -> dict[str, Any]:
    """The contract with its references resolved."""
    return cast("dict[str, Any]", _resolved(contract()))


def _resolved(node: object) -> object:
    if isinstance(node, list):
        return [_resolved(item) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    members = cast("dict[str, object]", node)
    if isinstance(reference := members.get("$ref"), str):
        target: Any = contract()
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        return _resolved(target)
    resolved = {key: _resolved(value) for key, value in members.items()}
    if isinstance(pattern := resolved.get("pattern"), str):
        resolved["pattern"] = re.sub(r"\$$", r"\\Z", pattern)  # Python's $ also matches before a line end
    return resolved
