"""What the token endpoint answers.

Nobody ever published an error body of the real endpoint. Those here are derived from the source of Spring Security
OAuth 2.5, as the contract's examples say; so is the order of the checks (credentials, scope, grant type).
"""

from __future__ import annotations

import base64
import json
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


@frozen
class Answer:
    """An answer without the headers common to all. A body that is text is sent as it is, any other as JSON."""

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
    status: int, path: str, message: str = "", headers: Mapping[str, str] | None = None, outcome: str = ""
) -> Answer:
    """An error in the form that Domo's servlet container gives it (derived)."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    body = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000"),
        "status": status,
        "error": phrase,
        "message": message or phrase,
        "path": path,
    }
    return Answer(status, body, headers or {}, outcome)


def token(request: Request, body: bytes, settings: Settings, issuer: TokenIssuer) -> Answer:
    """The token endpoint's answer to a request."""
    client = _authenticate(request.headers.get("Authorization", ""), settings)
    if client is None:  # the same answer whatever is wrong
        challenge = {"WWW-Authenticate": 'Basic realm="oauth2/client"'}
        return container_error(401, TOKEN, "Bad credentials", challenge, "invalid_client")
    if request.method not in {"GET", "POST"}:
        return container_error(405, TOKEN, "", {"Allow": "GET, POST"}, "method_not_allowed")
    form = request.headers.get("Content-Type", "").partition(";")[0].strip().lower() == _FORM
    encoded = request.url.query if request.method == "GET" else body.decode("utf-8", "replace") if form else ""
    wanted = dict(reversed(parse_qsl(encoded, keep_blank_values=True)))  # the first of a repeated parameter counts
    # Split at single spaces, as the server does: a double space makes an empty name, and no client has that scope.
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
