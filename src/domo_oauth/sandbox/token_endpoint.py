"""How the token endpoint responds: as Spring Security OAuth 2.3 does (observed), with the checks in the same order.

`make test-reference` sends the same requests to both, and names what still differs.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from .settings import Client, Settings
    from .tokens import TokenIssuer

__all__ = ["TOKEN", "Answer", "container_error", "token"]

TOKEN = "/oauth/token"  # noqa: S105 -- a path
_FORM = "application/x-www-form-urlencoded"
# Of responses that do not come from the token endpoint itself, but from the framework around it.
_UNCACHED = {"Cache-Control": "no-cache, no-store, max-age=0, must-revalidate", "Expires": "0"}
# Grants that the framework knows, but the sandbox's clients may not use.
_OTHER_GRANTS = {
    "implicit": (400, "invalid_grant", "Implicit grant type not supported from token endpoint"),
    "authorization_code": (401, "invalid_client", "Unauthorized grant type: authorization_code"),
    "refresh_token": (401, "invalid_client", "Unauthorized grant type: refresh_token"),
}


@frozen
class Answer:
    """A response without the headers common to all. A body that is text is sent as it is, any other as JSON."""

    status: int
    body: object = field(repr=False)  # may hold a token
    headers: Mapping[str, str] = field(factory=dict[str, str])
    outcome: str = ""
    client_id: str = ""
    scope: str = ""

    def to_bytes(self) -> bytes:
        """The body before compression."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False).encode()


def container_error(
    status: int, path: str, message: str = "", *, headers: Mapping[str, str] | None = None, outcome: str = ""
) -> Answer:
    """An error as Spring Boot words it (observed)."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    body = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000"),
        "status": status,
        "error": phrase,
        "message": message or phrase,
        "path": path,
    }
    return Answer(status, body, {**_UNCACHED, **(headers or {})}, outcome)


def token(request: Request, body: bytes, settings: Settings, issuer: TokenIssuer) -> Answer:
    """The token endpoint's response to a request."""
    client = _authenticate(request.headers.get("Authorization", ""), settings)
    if client is None:  # the same response whatever is wrong
        challenge = {"WWW-Authenticate": 'Basic realm="oauth2/client"'}
        return container_error(401, TOKEN, headers=challenge, outcome="invalid_client")
    if request.method == "OPTIONS":
        return Answer(200, "", {**_UNCACHED, "Allow": "GET,HEAD,POST,OPTIONS"}, "", client.client_id)
    if request.method not in {"GET", "HEAD", "POST"}:
        message = f"Request method '{request.method}' not supported"
        return container_error(405, TOKEN, message, headers={"Allow": "GET, POST"}, outcome="method_not_allowed")
    sent = parse_qsl(request.url.query, keep_blank_values=True)
    if request.method == "POST" and request.headers.get("Content-Type", "").partition(";")[0].strip().lower() == _FORM:
        sent += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    wanted = dict(reversed(sent))  # the first of a repeated parameter counts
    scopes = _scopes(wanted.get("scope", "")) or set(client.scopes)
    if refusal := _refusal(client, wanted, sorted(scopes - set(client.scopes))):
        return refusal
    granted = [name for name in client.scopes if name in scopes]
    issued = issuer.issue(client, granted, settings.lifetime)
    return Answer(200, issued, {}, "tokens_issued", client.client_id, " ".join(granted))


def _scopes(text: str) -> set[str]:
    """Split at each space, as the server does. A name before a leading or doubled space is empty: no client has it."""
    names = re.split(r"[ \t\n\v\f\r+]", text)
    while names and not names[-1]:  # but spaces at the end count for nothing
        names.pop()
    return set(names)


def _refusal(client: Client, wanted: Mapping[str, str], unknown: list[str]) -> Answer | None:
    """The error of a request by this client; None if there is none."""
    grant_type = wanted.get("grant_type", "")
    if wanted.get("client_id", client.client_id) != client.client_id:
        return _error(client, 401, "invalid_client", "Given client ID does not match authenticated client")
    if unknown:
        return _error(client, 400, "invalid_scope", f"Invalid scope: {unknown[0]}", scope=" ".join(client.scopes))
    if not grant_type.strip():
        return _error(client, 400, "invalid_request", "Missing grant type")
    if grant_type != "client_credentials":
        unsupported = (400, "unsupported_grant_type", "Unsupported grant type")
        return _error(client, *_OTHER_GRANTS.get(grant_type, unsupported))
    return None


def _authenticate(authorization: str, settings: Settings) -> Client | None:
    """The client of HTTP Basic credentials (RFC 7617); None if anything about them is wrong."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        user_name, _, password = base64.b64decode(encoded, validate=True).partition(b":")
    except ValueError:  # not base64, or not even ASCII
        return None
    clients = {(each.client_id.encode(), each.client_secret.encode()): each for each in settings.clients}
    return clients.get((user_name, password)) if scheme.lower() == "basic" else None


def _error(client: Client, status: int, error: str, description: str, **more: str) -> Answer:
    body = {"error": error, "error_description": description, **more}
    challenge = {"WWW-Authenticate": f'Bearer error="{error}", error_description="{description}"'}
    outcome = "unsupported_grant_type" if error == "invalid_grant" else error
    return Answer(status, body, challenge if status == HTTPStatus.UNAUTHORIZED else {}, outcome, client.client_id)
