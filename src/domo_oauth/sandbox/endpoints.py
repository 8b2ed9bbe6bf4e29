"""What the token endpoint and the API answer.

Nobody ever published an error body of the real endpoint. Those here are derived from the source of Spring Security
OAuth 2.5, as the contract's examples say; so is the order of the checks (credentials, scope, grant type).
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from attrs import field, frozen

from .tokens import InvalidTokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import Client, Settings
    from .tokens import TokenIssuer

__all__ = ["DATASETS", "TOKEN", "Answer", "container_error", "list_datasets", "token"]

TOKEN = "/oauth/token"  # noqa: S105 -- a path
DATASETS = "/v1/datasets"
_FORM = "application/x-www-form-urlencoded"
# As recorded from a resource, apart from the words in between.
_NOT_ACCEPTABLE = (
    "<html>\n<head><title>Error 406 Not Acceptable</title></head>\n"
    "<body><h2>HTTP ERROR 406</h2><p>Problem accessing /error. Reason: <pre>Not Acceptable</pre></p></body>\n</html>\n"
)


@frozen
class Answer:
    """An answer without the headers that all have.

    Attributes:
        status: The HTTP status code.
        body: Text is sent as it is, anything else as JSON. Hidden from the repr, as it may hold a token.
        headers: Headers to add or replace.
        outcome: The name of its count in :class:`~domo_oauth.sandbox.Stats`; empty for none.
        client_id: The client, if it proved who it is; else empty.
        scope: The scopes of the token that was issued or used; else empty.
    """

    status: int
    body: object = field(repr=False)
    headers: Mapping[str, str] = field(factory=dict[str, str])
    outcome: str = ""
    client_id: str = ""
    scope: str = ""

    def to_bytes(self) -> bytes:
        """The body before compression."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False).encode()


def container_error(
    status: int, path: str, message: str = "", headers: Mapping[str, str] | None = None, outcome: str = ""
) -> Answer:
    """An error as the container words it in which Domo's servers run (derived)."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    body = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000"),
        "status": status,
        "error": phrase,
        "message": message or phrase,
        "path": path,
    }
    return Answer(status, body, headers or {}, outcome)


def token(
    method: str, query: str, headers: Mapping[str, str], body: bytes, settings: Settings, issuer: TokenIssuer
) -> Answer:
    """The token endpoint's answer to a request."""
    client = _authenticate(headers.get("Authorization", ""), settings)
    if client is None:  # the same answer whatever is wrong
        challenge = {"WWW-Authenticate": 'Basic realm="oauth2/client"'}
        return container_error(401, TOKEN, "Bad credentials", challenge, "invalid_client")
    if method not in {"GET", "POST"}:
        return container_error(405, TOKEN, "", {"Allow": "GET, POST"}, "method_not_allowed")
    form = headers.get("Content-Type", "").partition(";")[0].strip().lower() == _FORM
    encoded = query if method == "GET" else body.decode("utf-8", "replace") if form else ""
    wanted = dict(reversed(parse_qsl(encoded, keep_blank_values=True)))  # the first of a repeated parameter counts
    # Split at single spaces, as the server does: a double space makes an empty name, which no client has.
    scopes = set(wanted.get("scope", "").split(" ")) if wanted.get("scope", "").strip() else set(client.scopes)
    if not scopes <= set(client.scopes):
        return _refusal(client, "invalid_scope", "Invalid scope", scope=" ".join(client.scopes))
    if not wanted.get("grant_type"):
        return _refusal(client, "invalid_request", "Missing grant type")
    if wanted["grant_type"] != "client_credentials":
        return _refusal(client, "unsupported_grant_type", "Unsupported grant type")
    granted = [name for name in client.scopes if name in scopes]
    issued = issuer.issue(client, granted, settings.lifetime)
    return Answer(200, issued, {}, "tokens_issued", client.client_id, " ".join(granted))


def _authenticate(authorization: str, settings: Settings) -> Client | None:
    """The client of HTTP Basic credentials (RFC 7617); None if anything about them is wrong."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        user_name, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except ValueError:  # not base64, or not even ASCII
        return None
    clients = {(each.client_id.encode(), each.client_secret.encode()): each for each in settings.clients}
    return clients.get((user_name, password)) if scheme.lower() == "basic" else None


def _refusal(client: Client, error: str, description: str, **more: str) -> Answer:
    body = {"error": error, "error_description": description, **more}
    return Answer(400, body, {}, error, client.client_id)


def list_datasets(
    query: Mapping[str, str], headers: Mapping[str, str], settings: Settings, issuer: TokenIssuer
) -> Answer:
    """The DataSets, for a token (RFC 6750, section 2.1) with the scope ``data``."""
    scheme, _, sent = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return _no_token()
    try:
        claims = issuer.claims(sent.strip())
    except InvalidTokenError as error:
        return _bearer_error(401, {"error": "invalid_token", "error_description": str(error)})
    known: dict[str, Any] = {"client_id": claims["client_id"], "scope": " ".join(claims["scope"])}
    if "data" not in claims["scope"]:
        body = {"error": "insufficient_scope", "error_description": "Insufficient scope for this resource"}
        return _bearer_error(403, {**body, "scope": "data"}, **known)
    try:
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 50))
    except ValueError:
        offset = limit = -1
    if offset < 0 or limit < 0:
        return container_error(400, DATASETS, "limit and offset must be whole numbers, 0 or more")
    accept = headers.get("Accept", "")
    if accept and not re.search(r"(\*/\*|application/(\*|json))\s*(;|,|$)", accept, re.IGNORECASE):
        return Answer(406, _NOT_ACCEPTABLE, {"Content-Type": "text/html;charset=utf-8"}, **known)
    return Answer(200, settings.datasets[offset : offset + limit], **known)


def _no_token() -> Answer:
    """Domo's own shape, as a resource answered in 2018 (recorded); the toe is made up, and the challenge Spring's."""
    exception = "com.domo.bedrock.service.exception.UnauthorizedException"
    body = {
        "status": 401,
        "statusReason": "Internal Server Error",
        "path": DATASETS,
        "message": f"{exception}: Full authentication is required to access this resource",
        "toe": "SANDBOX000-00000-00000",
    }
    return Answer(401, body, {"WWW-Authenticate": "Bearer"}, "invalid_token")


def _bearer_error(status: int, body: Mapping[str, str], **known: str) -> Answer:
    """The error in the body, and again in a header (RFC 6750, section 3)."""
    challenge = ", ".join(f'{name}="{value}"' for name, value in body.items())
    return Answer(status, body, {"WWW-Authenticate": f"Bearer {challenge}"}, body["error"], **known)
