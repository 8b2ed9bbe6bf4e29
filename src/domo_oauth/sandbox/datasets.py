"""The API behind the token: ``/v1/datasets`` with metadata, paging, and rows as CSV.

Paths and fields are those of Domo's documentation and of its SDK, pydomo. The errors of a missing or invalid token are
recorded or derived. Rows that do not fit the schema are refused, as documented; the words for a wrong number of columns
are those that users of Domo reported in public issues. Domo also checks the types of columns; the sandbox does not. How
Domo words other errors is not known.
"""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt
from attrs import evolve

from .token_endpoint import Answer, container_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from .settings import Settings
    from .tokens import TokenIssuer

__all__ = ["answer"]

_PATH = re.compile(r"/v1/datasets(?:/([^/]+)(/data)?)?")
_METHODS = {"all": "GET, HEAD, POST", "one": "DELETE, GET, HEAD, PUT", "rows": "GET, HEAD, PUT"}
# As recorded from a resource, apart from the words in between.
_NOT_ACCEPTABLE = (
    "<html>\n<head><title>Error 406 Not Acceptable</title></head>\n"
    "<body><h2>HTTP ERROR 406</h2><p>Problem accessing /error. Reason: <pre>Not Acceptable</pre></p></body>\n</html>\n"
)


def answer(request: Request, body: bytes, settings: Settings, issuer: TokenIssuer) -> Answer:
    """The response to a request below ``/v1/``, which needs a token (RFC 6750, section 2.1) with the scope ``data``."""
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        exception = "com.domo.bedrock.service.exception.UnauthorizedException"
        message = f"{exception}: Full authentication is required to access this resource"
        answered = _domo_error(401, "Internal Server Error", message, request.url.path)
        return evolve(answered, headers={"WWW-Authenticate": "Bearer"}, outcome="invalid_token")
    try:
        claims = issuer.claims(sent.strip())
    except jwt.InvalidTokenError as error:
        return _bearer_error(401, {"error": "invalid_token", "error_description": str(error)})
    if "data" in claims["scope"]:
        answered = _datasets(request, body, settings.datasets)
    else:
        description = "Insufficient scope for this resource"
        answered = _bearer_error(
            403, {"error": "insufficient_scope", "error_description": description, "scope": "data"}
        )
    return evolve(answered, client_id=claims["client_id"], scope=" ".join(claims["scope"]))


def _domo_error(status: int, reason: str, message: str, path: str) -> Answer:
    """Domo's own shape, as an API returned it to a request without a token in 2018 (recorded), with a made-up toe."""
    toe = "SANDBOX000-00000-00000"
    return Answer(status, {"status": status, "statusReason": reason, "path": path, "message": message, "toe": toe})


def _bearer_error(status: int, body: Mapping[str, str]) -> Answer:
    """The error in the body, and again in a header (RFC 6750, section 3)."""
    challenge = ", ".join(f'{name}="{value}"' for name, value in body.items())
    return Answer(status, body, {"WWW-Authenticate": f"Bearer {challenge}"}, body["error"])


def _datasets(  # noqa: C901, PLR0911 -- a case for each operation
    request: Request, body: bytes, datasets: list[dict[str, Any]]
) -> Answer:
    path, query = request.url.path, request.query_params
    found = _PATH.fullmatch(path)
    dataset = next((each for each in datasets if found and str(each.get("id")) == found[1]), dict[str, Any]())
    if not found or (found[1] and not dataset):
        return container_error(404, path)
    kind = "rows" if found[2] else "one" if found[1] else "all"
    try:
        match "GET" if request.method == "HEAD" else request.method, kind:
            case "GET", _ if not _accepts(request, "text/csv" if kind == "rows" else "application/json"):
                return Answer(406, _NOT_ACCEPTABLE, {"Content-Type": "text/html;charset=utf-8"})
            case "GET", "all":
                return Answer(200, _page(datasets, query))
            case "POST", "all":
                datasets.append(_changed(_new(), body))
                return Answer(201, _shown(datasets[-1], "data"))
            case "GET", "one":
                return Answer(200, _shown(dataset, "data"))
            case "PUT", "one":
                dataset.update(_changed(dataset, body))
                return Answer(200, _shown(dataset, "data"))
            case "DELETE", "one":
                datasets.remove(dataset)
                return Answer(204, "")
            case "GET", "rows":
                header = query.get("includeHeader", "").lower() == "true"
                return Answer(200, _exported(dataset, header=header), {"Content-Type": "text/csv;charset=utf-8"})
            case "PUT", "rows":
                dataset.update(_imported(dataset, body, append=query.get("updateMethod") == "APPEND"))
                return Answer(204, "")
            case _:
                return container_error(405, path, headers={"Allow": _METHODS[kind]})
    except ValueError as error:
        return _domo_error(400, "Bad Request", str(error), path)


def _accepts(request: Request, media_type: str) -> bool:
    kind, _, subtype = media_type.partition("/")
    accepted = request.headers.get("Accept") or "*/*"
    return bool(re.search(rf"(\*/\*|{kind}/(\*|{subtype}))\s*(;|,|$)", accepted, re.IGNORECASE))


def _page(datasets: list[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    offset, limit = query.get("offset", "0"), query.get("limit", "50")
    if not (offset.isdecimal() and limit.isdecimal()):
        raise ValueError(f"limit and offset must be whole numbers, 0 or more, not {limit} and {offset}")
    named = [each for each in datasets if query.get("nameLike", "").lower() in str(each.get("name", "")).lower()]
    return [_shown(each, "data", "schema") for each in named[int(offset) :][: int(limit)]]


def _shown(dataset: dict[str, Any], *hidden: str) -> dict[str, Any]:
    """The metadata, with the counts that a sample or a dataset of a test leaves out."""
    counted = {"rows": len(_rows(str(dataset.get("data", "")))), "columns": len(_columns(dataset))}
    return counted | {name: value for name, value in dataset.items() if name not in hidden}


def _new() -> dict[str, Any]:
    owner = {"id": 123456789, "name": "Sample Owner"}
    return {"id": str(uuid.uuid4()), "owner": owner, "createdAt": _now(), "pdpEnabled": False}


def _changed(dataset: dict[str, Any], body: bytes) -> dict[str, Any]:
    """The dataset with the name, description and schema of a JSON object."""
    try:
        sent = json.loads(body)
        changed = dataset | {name: sent[name] for name in ("name", "description", "schema") if name in sent}
        return changed | {"columns": len(_columns(changed)), "updatedAt": _now()}
    except (KeyError, TypeError, ValueError):
        example = '{"name": "Sales", "schema": {"columns": [{"type": "STRING", "name": "Region"}]}}'
        raise ValueError(f"the body must be like {example}") from None


def _columns(dataset: dict[str, Any]) -> list[str]:
    return [column["name"] for column in dataset.get("schema", {"columns": []})["columns"]]


def _exported(dataset: dict[str, Any], *, header: bool) -> str:
    text = io.StringIO()
    if header:
        csv.writer(text, lineterminator="\n").writerow(_columns(dataset))
    return text.getvalue() + str(dataset.get("data", ""))


def _imported(dataset: dict[str, Any], body: bytes, *, append: bool) -> dict[str, Any]:
    """The dataset with the rows of a CSV file without a header."""
    new, columns = body.decode(), _columns(dataset)
    if new and not new.endswith("\n"):
        new += "\n"
    for number, row in enumerate(_rows(new), 1):
        found = len(row) or 1  # an empty line is one empty field
        if columns and found != len(columns):
            many, column = ("many", len(columns) + 1) if found > len(columns) else ("few", len(columns))
            raise ValueError(
                f"Invalid CSV provided during upload. msg=There are too {many} columns. "
                f"Expected {len(columns)}. Row {number}, column {column}."
            )
    data = str(dataset.get("data", "")) + new if append else new
    return dataset | {"data": data, "rows": len(_rows(data)), "updatedAt": _now()}


def _rows(data: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(data, newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(f"Invalid CSV provided during upload. msg={error}") from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
