"""Check an exchange against the contract. Needs the extra ``cli`` or ``sandbox``.

openapi-schema-validator applies the schemas. The rest of an operation (parameters, authentication, media type) is a few
lookups here. The other response headers are not checked: the contract requires none of them, and lets each have any
value.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, cast

from domo_oauth.redact import one_line

from .document import cli_extra, contract
from .exchange import field_value, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .exchange import Exchange

__all__ = ["Finding", "check_exchange", "check_request", "check_response"]

_SHOWN = re.compile(r"(?!.{41})([A-Za-z]{1,15}(?![^\W_])|[0-9]{1,6}(?![^\W_])|[ \"',:;=/.+_-])*")
"""Values of short words and numbers. Any other one may be a secret in the wrong field."""
_MASKED = re.compile(
    r"\b(redacted|removed|masked|hidden|filtered|sanitized|omitted)\b|[*•█]{3}|^[x.…-]{3,}$|^<[\w -]+>$|^\[[\w -]+\]$",
    re.IGNORECASE,
)
"""What people and tools write in place of a secret."""
_LONGEST_MASK = 100


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
    """Check a request and its response, of Domo or of any other server.

    Wrong parameters and credentials are errors if the server granted the request. If it refused the request with 400 or
    401, they are notes: the exchange shows how it refuses them.
    """
    request = check_request(exchange)
    if exchange.status in {400, 401}:
        request = [_refused(finding, exchange.status) for finding in request]
    return request + check_response(exchange)


def check_request(exchange: Exchange) -> list[Finding]:
    """Check the request alone: method, path, authentication, parameters and body."""
    return _checked(exchange, "request", _request(exchange))


def check_response(exchange: Exchange) -> list[Finding]:
    """Check the response alone: status, media type and body. An error may have an empty body."""
    return _checked(exchange, "response", _response(exchange))


def _checked(exchange: Exchange, message: str, findings: Iterator[Finding]) -> list[Finding]:
    """Replace all findings at a place that was not kept by one that says so."""
    missing = [place for place in exchange.missing if f"{place}.".startswith(f"{message}.")]
    # jsonschema reports some errors twice.
    kept = [finding for finding in dict.fromkeys(findings) if not exchange.lacks(finding.where)]
    return [*kept, *(Finding(place, "not kept", "not checked") for place in missing)]


def _refused(finding: Finding, status: int) -> Finding:
    if finding.kind == "not checked" or not finding.where.startswith(("request.query.", "request.headers.")):
        return finding
    return replace(finding, kind="note", message=f"{finding.message}; refused with {status}")


def _missing(place: str) -> Finding:
    return Finding(place, "required; found none")


def _wrong(place: str, expected: str, found: object, *, secret: bool = False) -> Finding:
    """An error, unless somebody masked the value."""
    if isinstance(found, str) and _is_masked(found):
        return Finding(place, "redacted", "not checked")
    return Finding(place, f"expected {expected}; found {'another value, not shown' if secret else _shown(found)}")


def _request(exchange: Exchange) -> Iterator[Finding]:
    paths = _contract()["paths"]
    methods: dict[str, Any] = paths.get(exchange.path, {})
    operation = methods.get(exchange.method.lower())
    if not methods:
        yield _wrong("request.path", ", ".join(paths), exchange.path)
    elif operation is None:
        yield _wrong("request.method", ", ".join(methods).upper(), exchange.method)
    else:
        yield from _authentication(exchange)
        yield from _parameters(exchange, operation)
        if exchange.request_body:
            message = f"expected none; found {len(exchange.request_body)} bytes"
            yield Finding("request.body", message, "unknown field")


def _authentication(exchange: Exchange) -> Iterator[Finding]:
    """Check for HTTP Basic (RFC 7617), the only scheme that the generated client implements, too."""
    place = "request.headers.Authorization"
    given = field_value(exchange.request_headers, "Authorization") or ""
    scheme, _, credentials = given.partition(" ")
    if not given:
        yield _missing(place)
    elif scheme.lower() != "basic":
        yield _wrong(place, "Basic credentials", given, secret=True)
    elif not _is_masked(credentials) and not _has_colon(credentials.strip()):
        yield _wrong(place, "base64 of client id, colon and client secret", credentials, secret=True)


def _has_colon(credentials: str) -> bool:
    try:
        return b":" in base64.b64decode(credentials, validate=True)
    except ValueError:
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
            yield _missing(place)
    for name in dict.fromkeys(name for name, _ in given if name not in known):
        yield Finding(f"request.query.{name}", "the contract does not name this parameter", "unknown field")


def _response(exchange: Exchange) -> Iterator[Finding]:
    paths = _contract()["paths"]
    methods: dict[str, Any] = paths.get(exchange.path) or next(iter(paths.values()))
    operation = methods.get(exchange.method.lower()) or next(iter(methods.values()))
    responses = operation["responses"]
    response = responses.get(str(exchange.status))
    if response is None:
        yield _wrong("response.status", f"one of {', '.join(responses)}", exchange.status)
        return
    yield from _body(exchange, response["content"])


def _body(exchange: Exchange, content: dict[str, Any]) -> Iterator[Finding]:
    content_type = field_value(exchange.response_headers, "Content-Type") or ""
    is_error = exchange.status >= 400  # noqa: PLR2004 -- RFC 9110, section 15
    if is_error and not exchange.response_body and not content_type:
        yield Finding("response.body", "empty, as the body of an error may be", "note")
        return
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in content:
        yield _wrong("response.headers.Content-Type", ", ".join(content), content_type)
        return
    try:
        body = parse_json(exchange.response_body)
    except ValueError as error:
        if _is_masked(exchange.response_body.decode(errors="replace")):
            yield Finding("response.body", "redacted", "not checked")
        else:
            yield Finding("response.body", f"expected JSON (RFC 8259): {error}")
        return
    schema = content[media_type]["schema"]
    yield from _schema_errors("response.body", body, schema)
    for name in cast("dict[str, Any]", body) if isinstance(body, dict) else ():
        if name not in schema["properties"]:
            yield Finding(f"response.body.{name}", "the contract does not name this field", "unknown field")


def _schema_errors(place: str, value: Any, schema: dict[str, Any]) -> Iterator[Finding]:
    """Errors in our words: those of jsonschema quote the value, which may be a token."""
    for error in _validator()(schema).iter_errors(value):
        where = ".".join([place, *map(str, error.absolute_path)])
        if error.validator == "required":
            yield from (_missing(f"{where}.{name}") for name in error.validator_value if name not in error.instance)
            continue
        limits = error.validator_value if error.validator == "enum" else [error.validator_value]
        expected = f"{error.validator} {', '.join(map(str, limits))}".replace(r"\Z", "$")
        yield _wrong(where, expected, error.instance, secret=error.schema.get("format") == "password")


@cache
def _validator() -> Any:
    with cli_extra():
        import openapi_schema_validator
    schemas = cast("Any", openapi_schema_validator)  # it has no types
    return partial(schemas.OAS30ReadValidator, format_checker=schemas.oas30_format_checker)


def _is_masked(text: str) -> bool:
    return len(text) < _LONGEST_MASK and bool(_MASKED.search(text))


def _shown(value: object) -> str:
    """The value as JSON, if it cannot be a secret."""
    if isinstance(value, list | dict):
        return "an array" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    if _SHOWN.fullmatch(text):
        return text
    return f"a string of {len(value)} characters" if isinstance(value, str) else f"a number of {len(text)} characters"


@cache
def _contract() -> dict[str, Any]:
    """The contract with its references resolved."""
    return cast("dict[str, Any]", _resolved(contract()))


def _resolved(node: object) -> Any:
    return json.loads(json.dumps(node), object_hook=_resolved_object)


def _resolved_object(node: dict[str, Any]) -> Any:
    if "$ref" in node:
        target: Any = contract()
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return _resolved(target)
    if isinstance(node.get("pattern"), str):
        node["pattern"] = re.sub(r"\$$", r"\\Z", node["pattern"])  # Python's $ also matches before a final line break
    return node
