"""One protected resource, ``/v1/datasets``, to use a token on. The DataSets are invented."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .answers import Answer, container_error
from .tokens import InvalidTokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .tokens import TokenIssuer

__all__ = ["PATH", "list_datasets"]

PATH = "/v1/datasets"
_SCOPE = "data"
_OWNER = {"id": 123456789, "name": "Sample Owner"}
_DATASETS = [
    {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "name": f"Sample: {name}",
        "description": "Sample data of the sandbox",
        "rows": rows,
        "columns": columns,
        "owner": _OWNER,
        "createdAt": "2024-01-02T03:04:05Z",
        "updatedAt": "2024-06-07T08:09:10Z",
        "pdpEnabled": False,
    }
    for number, (name, rows, columns) in enumerate(
        [("bicycle rentals", 1204, 9), ("ice cream sold by weekday", 7, 4), ("lighthouses and their heights", 312, 6)],
        start=1,
    )
]


# Recorded of a resource, but for the words between: another Accept brought a page of the container's.
_NOT_ACCEPTABLE = """\
<html>
<head><title>Error 406 Not Acceptable</title></head>
<body><h2>HTTP ERROR 406</h2><p>Problem accessing /error. Reason: <pre>Not Acceptable</pre></p></body>
</html>
"""


def list_datasets(authorization: str, accept: str, query: Mapping[str, str], issuer: TokenIssuer) -> Answer:
    """The DataSets, to who sends a token (RFC 6750, section 2.1) with scope ``data``, and takes JSON."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return _no_token()
    try:
        claims = issuer.claims(token.strip())
    except InvalidTokenError as error:
        return _invalid_token(str(error))
    if _SCOPE not in claims["scope"]:
        return _insufficient_scope()
    try:
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 50))
    except ValueError:
        offset = limit = -1
    if offset < 0 or limit < 0:
        return container_error(400, PATH, "limit and offset must be whole numbers, 0 or more")
    if not _takes_json(accept):
        return Answer(406, _NOT_ACCEPTABLE, {"Content-Type": "text/html;charset=utf-8"})
    return Answer(200, _DATASETS[offset : offset + limit])


def _takes_json(accept: str) -> bool:
    return not accept or re.search(r"(\*/\*|application/(\*|json))\s*(;|,|$)", accept, re.IGNORECASE) is not None


def _no_token() -> Answer:
    """Domo's own shape, as a resource answered in 2018 (recorded); the toe is made up, and the challenge Spring's."""
    body = {
        "status": 401,
        "statusReason": "Internal Server Error",
        "path": PATH,
        "message": "com.domo.bedrock.service.exception.UnauthorizedException: Full authentication is required to "
        "access this resource",
        "toe": "SANDBOX000-00000-00000",
    }
    return Answer(401, body, {"WWW-Authenticate": "Bearer"}, outcome="invalid_token")


def _invalid_token(description: str) -> Answer:
    body = {"error": "invalid_token", "error_description": description}
    return Answer(401, body, _challenge(body), outcome="invalid_token")


def _insufficient_scope() -> Answer:
    body = {
        "error": "insufficient_scope",
        "error_description": "Insufficient scope for this resource",
        "scope": _SCOPE,
    }
    return Answer(403, body, _challenge(body), outcome="insufficient_scope")


def _challenge(body: Mapping[str, str]) -> dict[str, str]:
    """The error once more, as a header (RFC 6750, section 3)."""
    return {"WWW-Authenticate": "Bearer " + ", ".join(f'{name}="{value}"' for name, value in body.items())}
