"""Errors, and the checks that raise them. No message, repr or pickle holds a value that was sent or received."""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Self, TypeVar, cast

import httpx

T = TypeVar("T")


class UnexpectedStatus(Exception):
    """The contract does not name the status of the response, and `raise_on_unexpected_status` is set."""

    __slots__ = ("content",)  # not in vars() or pickles, as it may hold secrets

    def __init__(self, status_code: int, content: bytes = b"") -> None:
        super().__init__(status_code)
        self.status_code = status_code
        self.content = content

    def __str__(self) -> str:
        return f"The contract does not name status {self.status_code}"


class ResponseValidationError(ValueError):
    """The response breaks the contract.

    Attributes:
        reason (str): What was expected.
        field (str | None): Name of the JSON field at fault; None if it is the response as a whole.
        status_code (int | None): HTTP status of the response; None if a model was read from elsewhere.
        content (bytes): The body, which may hold secrets; empty if it was too large or not decompressed.
    """

    __slots__ = ("content",)  # as above

    def __init__(self, reason: str, field: str | None = None, status_code: int | None = None) -> None:
        super().__init__(reason, field, status_code)
        self.reason = reason
        self.field = field
        self.status_code = status_code
        self.content = b""

    def of(self, response: httpx.Response) -> Self:
        """Add the response, and drop the traceback, whose frames hold the body."""
        self.status_code, self.content = response.status_code, response.content
        return self.with_traceback(None)

    def __str__(self) -> str:
        status = "" if self.status_code is None else f" with status {self.status_code}"
        field = "" if self.field is None else f" in {self.field}"
        return f"The response{status} breaks the contract{field}: {self.reason}"


def parse(response: httpx.Response, read: Callable[[], T]) -> T | None:
    """Return what `read` makes of the response; None if that fails and the response is an error anyway."""
    try:
        return read()
    except ResponseValidationError as error:
        broken = error
    except (AttributeError, KeyError, TypeError, ValueError):
        broken = ResponseValidationError("expected another value")
    if not response.is_success:
        return None
    raise broken.of(response)


def read_json(response: httpx.Response) -> Any:
    """Read a body as JSON."""
    content_type = response.headers.get("Content-Type", "").lower()
    media_type = content_type.partition(";")[0].strip()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise ResponseValidationError("expected media type application/json")
    try:
        try:
            return json.loads(response.content, parse_constant=int)  # int() refuses NaN and Infinity
        except UnicodeDecodeError:
            if "iso-8859-1" not in content_type:  # which some versions of Spring send
                raise
            return json.loads(response.content.decode("iso-8859-1"), parse_constant=int)
    except (ValueError, RecursionError):
        pass  # raised below and not here, where the context of the error would carry the body
    raise ResponseValidationError("expected JSON")


def check_object(source: Any, schemas: Mapping[str, Any], required: Collection[str]) -> dict[str, Any]:
    """Copy a JSON object whose fields keep their schemas."""
    if not isinstance(source, Mapping):
        raise ResponseValidationError("expected an object")
    fields = dict(cast("Mapping[str, Any]", source))
    for name, schema in schemas.items():
        if name in fields:
            expected = _expected(fields[name], schema)
        else:
            expected = "a value" if name in required else None
        if expected is not None:
            raise ResponseValidationError(f"expected {expected}", name)
    return fields


_TYPES: dict[Any, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


def _expected(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Return what a schema of OpenAPI expects in place of a value; None if the value will do."""
    types: list[str] = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    found = _TYPES.get(type(value))
    if types and found not in types and not (found == "integer" and "number" in types):
        return " or ".join(types)
    if "enum" in schema and value not in schema["enum"]:
        return f"one of {schema['enum']}"
    if found == "string":
        low, high = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        if not low <= len(value) <= high:
            return f"from {low} to {high} characters"
        # In OpenAPI, `$` does not match before a line break at the end.
        pattern = re.sub(r"(?<!\\)\$$", r"\\Z", schema.get("pattern", ""))
        if not re.search(pattern, value, re.ASCII):
            return f"a string that matches {schema['pattern']}"
    elif found in {"integer", "number"}:
        limit = {"int32": 2**31, "int64": 2**63}.get(schema.get("format", ""), math.inf)
        low, high = schema.get("minimum", -limit), schema.get("maximum", limit - 1)
        if not low <= value <= high:
            return f"at least {low:g}" if value < low else f"at most {high:g}"
    elif found == "array":
        faults = (_expected(item, schema.get("items", {})) for item in value)
        return next((f"an array of {fault}" for fault in faults if fault is not None), None)
    return None
