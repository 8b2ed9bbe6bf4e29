"""The contract applied with openapi-core: its errors put in our words, without the values that it would show.

Importing this module needs the extra ``cli``, and takes most of a second; ``check`` does so when it is first used.
"""

from __future__ import annotations

import base64
import binascii
import json
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, cast

from jsonschema_path import SchemaPath
from openapi_core.datatypes import RequestParameters
from openapi_core.deserializing.media_types.exceptions import MediaTypeDeserializeError
from openapi_core.templating.media_types.exceptions import MediaTypeNotFound
from openapi_core.templating.paths.exceptions import OperationNotFound, PathError
from openapi_core.templating.responses.exceptions import ResponseNotFound
from openapi_core.validation.request.exceptions import (
    MissingRequiredParameter,
    ParameterValidationError,
    SecurityValidationError,
)
from openapi_core.validation.request.validators import V30RequestParametersValidator, V30RequestSecurityValidator
from openapi_core.validation.response.exceptions import HeaderValidationError, MissingRequiredHeader
from openapi_core.validation.response.validators import V30ResponseDataValidator, V30ResponseHeadersValidator
from openapi_core.validation.schemas.exceptions import InvalidSchemaValue
from werkzeug.datastructures import ImmutableMultiDict

from .document import contract, server
from .exchange import Exchange, Headers, field_value
from .finding import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

REDACTED = "[redacted]"
_LONGEST_SHOWN = 40  # characters: a longer string may be a secret, or part of one, in a field that is not for it
_EXPECTED = {
    "enum": "one of {}",
    "format": "the format {}",
    "minimum": "at least {}",
    "pattern": "a string that matches {}",
    "type": "{}",
}


def request_findings(exchange: Exchange, unnamed: Kind) -> Iterator[Finding]:
    """Where the request differs from the contract; ``unnamed`` is the kind of a field that the contract lacks."""
    request = _Request(exchange)
    for validator in (V30RequestSecurityValidator, V30RequestParametersValidator):
        for error in validator(_document()).iter_errors(request):
            yield from _explained(error, exchange, unnamed)
    yield from _credentials(exchange)
    yield from _parameters(exchange, unnamed)
    if exchange.request_body:
        yield Finding("request.body", f"expected none, found {len(exchange.request_body)} bytes", unnamed)


def response_findings(exchange: Exchange, unnamed: Kind) -> Iterator[Finding]:
    """Where the answer differs from the contract; ``unnamed`` as above."""
    asked, answer = _Asked(exchange), _Response(exchange)
    for error in V30ResponseHeadersValidator(_document()).iter_errors(asked, answer):
        yield from _explained(error, exchange, unnamed)
    if exchange.response_body is None:
        yield Finding("response.body", "not kept, so not checked", "news")
        return
    succeeded = 200 <= exchange.status < 300  # noqa: PLR2004 -- the range of RFC 9110, section 15.3
    if not (exchange.response_body or succeeded or field_value(exchange.response_headers, "Content-Type")):
        yield Finding("response.body", "empty, as an error's may be", "news")
        return
    data = V30ResponseDataValidator(_document(), extra_media_type_deserializers={"application/json": parse_json})
    for error in data.iter_errors(asked, answer):
        yield from _explained(error, exchange, unnamed)


def parse_json(body: bytes, **_parameters: str) -> Any:
    """JSON as RFC 8259 defines it, which Python's parser is more generous than; a byte-order mark is passed over.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_not_json)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


@cache
def _document() -> SchemaPath:
    return SchemaPath.from_dict(_adapted(contract()))


def _adapted(node: object) -> Any:
    r"""Adapt the contract to what openapi-core and Python make of it, so that no fault slips through.

    - Objects are closed: openapi-core then reports the fields that the contract does not name.
    - A parameter's default goes: openapi-core puts it in where a *required* parameter is missing.
    - In Python's patterns ``$`` lets a line end through; ``\Z`` is the end that other languages know as ``$``.
    """
    if isinstance(node, list):
        return [_adapted(item) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    adapted = {key: _adapted(value) for key, value in cast("dict[str, object]", node).items()}
    if adapted.get("additionalProperties") is True:
        adapted["additionalProperties"] = False
    if "type" in adapted:
        adapted.pop("default", None)
    if isinstance(pattern := adapted.get("pattern"), str) and pattern.endswith("$"):
        adapted["pattern"] = pattern.removesuffix("$") + r"\Z"
    return adapted


class _Request:
    """The request in openapi-core's terms, sent to the contract's server, wherever it really went."""

    def __init__(self, exchange: Exchange) -> None:
        self.host_url = server()
        self.path = exchange.path
        self.method = exchange.method.lower()
        self.body = exchange.request_body
        self.content_type = ""
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(exchange.query), header=_Fields(exchange.request_headers)
        )


class _Asked(_Request):
    """What an answer belongs to: the operation that was asked for; the contract's first where that is not in it."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        paths = contract()["paths"]
        if self.method not in paths.get(self.path, {}):
            self.path, operations = next(iter(paths.items()))
            self.method = next(iter(operations))


class _Response:
    """The answer in openapi-core's terms."""

    def __init__(self, exchange: Exchange) -> None:
        self.status_code = exchange.status
        self.headers = _Fields(exchange.response_headers)
        self.data = exchange.response_body
        # Without its parameters: openapi-core stumbles over those without a value.
        media_type = field_value(exchange.response_headers, "Content-Type") or ""
        self.content_type = media_type.partition(";")[0].strip().lower()


class _Fields(dict[str, str]):
    """Header lines joined, and found in upper or lower case. A browser's HAR may hold values that werkzeug refuses."""

    def __init__(self, lines: Headers) -> None:
        super().__init__({name.lower(): field_value(lines, name) or "" for name, _ in lines})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())


def _credentials(exchange: Exchange) -> Iterator[Finding]:
    """Basic credentials have to be readable (RFC 7617); whether there are any, openapi-core has seen to."""
    scheme, _, value = (field_value(exchange.request_headers, "Authorization") or "").partition(" ")
    if scheme.lower() != "basic" or value.strip() == REDACTED:
        return
    try:
        readable = b":" in base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        readable = False
    if not readable:
        message = "expected base64 of the client id, a colon and the client secret (RFC 7617); found something else"
        yield Finding("request.headers.Authorization", message)


def _parameters(exchange: Exchange, unnamed: Kind) -> Iterator[Finding]:
    operation = contract()["paths"].get(exchange.path, {}).get(exchange.method.lower())
    if operation is None:
        return
    known = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"}
    names = [name for name, _ in exchange.query]
    for name in dict.fromkeys(names):
        if name not in known:
            yield Finding(f"request.query.{name}", "the contract does not name this parameter", unnamed)
        elif names.count(name) > 1:
            yield Finding(f"request.query.{name}", "expected once (RFC 6749, section 3.2); found more than once")


def _explained(error: Exception, exchange: Exchange, unnamed: Kind) -> Iterator[Finding]:
    """Put an error of openapi-core in our words."""
    cause = error.__cause__
    if isinstance(error, PathError):
        yield _unknown_operation(error, exchange)
    elif isinstance(error, SecurityValidationError):
        yield Finding("request.headers.Authorization", "expected HTTP Basic credentials (RFC 7617); found none")
    elif isinstance(error, ResponseNotFound):
        statuses = ", ".join(error.availableresponses)
        yield Finding("response.status", f"expected one of {statuses}; found {exchange.status}")
    elif isinstance(error, MissingRequiredParameter | MissingRequiredHeader):
        yield Finding(_place(error), "required; found none")
    elif isinstance(cause, MediaTypeNotFound):
        found = _shown(field_value(exchange.response_headers, "Content-Type"), "none")
        yield Finding("response.headers.Content-Type", f"expected {cause.availableMimetypes[0]}; found {found}")
    elif isinstance(cause, MediaTypeDeserializeError):
        yield Finding("response.body", f"expected JSON (RFC 8259); found something else: {cause.__context__}")
    elif isinstance(cause, InvalidSchemaValue):
        for fault in cause.schema_errors:
            yield from _schema_fault(_place(error), fault, unnamed)
    else:  # empty: the parameter has no value, or the answer has no body
        yield Finding(_place(error), "expected a value; found nothing")


def _unknown_operation(error: PathError, exchange: Exchange) -> Finding:
    paths = contract()["paths"]
    if isinstance(error, OperationNotFound) and exchange.path in paths:
        methods = ", ".join(method.upper() for method in paths[exchange.path])
        return Finding("request.method", f"expected {methods}; found {_shown(exchange.method)}")
    return Finding("request.path", f"expected {', '.join(paths)}; found {_shown(exchange.path)}")


def _place(error: Exception) -> str:
    if isinstance(error, ParameterValidationError):
        return f"request.{error.location}.{error.name}"
    if isinstance(error, HeaderValidationError):
        return f"response.headers.{error.name}"
    return "response.body"


def _schema_fault(place: str, fault: Any, unnamed: Kind) -> Iterator[Finding]:
    """Put an error of jsonschema in our words; its own message quotes the value, which may be a token."""
    place = ".".join([place, *map(str, fault.absolute_path)])
    if fault.validator == "required":
        for name in fault.validator_value:
            if name not in fault.instance:
                yield Finding(f"{place}.{name}", "required; found none")
    elif fault.validator == "additionalProperties":
        for name in fault.instance:
            if name not in fault.schema["properties"]:
                yield Finding(f"{place}.{name}", "the contract does not name this field", unnamed)
    else:
        limits = fault.validator_value if fault.validator == "enum" else [fault.validator_value]
        limit = ", ".join(map(str, limits)).replace(r"\Z", "$")
        expected = _EXPECTED.get(fault.validator, f"{fault.validator} {{}}").format(limit)
        secret = fault.schema.get("format") == "password"
        found = "something else, which is not shown" if secret else _shown(fault.instance)
        yield Finding(place, f"expected {expected}; found {found}")


def _shown(value: object, missing: str = "null") -> str:
    """The value as it may be printed, in JSON's words."""
    if value is None:
        return missing
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return f"a string of {len(value)} characters"
    if isinstance(value, list | dict):
        return "an array" if isinstance(value, list) else "an object"
    return json.dumps(value)
