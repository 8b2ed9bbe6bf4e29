"""What ``/oauth/token`` decides: who asks, and whether a token is granted.

No error body of the real endpoint was ever published. Those here are derived from the source of Spring Security
OAuth 2.5, as the contract's examples say; so is their order (credentials, scope, grant type).
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from .answers import Answer, container_error
from .clients import Client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .tokens import TokenIssuer

__all__ = ["PATH", "authenticate", "grant", "parameters", "unauthorized"]

PATH = "/oauth/token"
_FORM = "application/x-www-form-urlencoded"
# In the place of an unknown client, so that it takes as long to refuse as a wrong secret.
_NOBODY = Client(client_id="nobody", client_secret=secrets.token_hex(32), scopes=("none",))


def authenticate(authorization: str, clients: Sequence[Client]) -> Client | None:
    """The client of HTTP Basic credentials (RFC 7617); None where anything about them is wrong."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        user_name, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except ValueError:  # not base64, or not even ASCII
        return None
    client = next((each for each in clients if each.client_id.encode() == user_name), _NOBODY)
    secret_fits = secrets.compare_digest(password, client.client_secret.encode())
    return client if secret_fits and client is not _NOBODY and scheme.lower() == "basic" else None


def unauthorized() -> Answer:
    """401: nobody learns whether the client id or the secret was wrong, or whether there were any."""
    challenge = {"WWW-Authenticate": 'Basic realm="oauth2/client"'}
    return container_error(401, PATH, "Bad credentials", headers=challenge, outcome="invalid_client")


def parameters(method: str, query: str, content_type: str, body: bytes) -> dict[str, str]:
    """The parameters: of the query, or of the form where the method is POST. Of a repeated one, the first counts."""
    if method != "POST":
        encoded = query
    elif content_type.partition(";")[0].strip().lower() == _FORM:
        encoded = body.decode("utf-8", "replace")
    else:
        encoded = ""
    return dict(reversed(parse_qsl(encoded, keep_blank_values=True)))


def grant(client: Client, wanted: Mapping[str, str], issuer: TokenIssuer) -> Answer:
    """The answer to an authenticated client's request with these parameters."""
    # By single spaces, as the server does: a doubled one makes an empty name, which no client has.
    scopes = set(wanted.get("scope", "").split(" ")) if wanted.get("scope", "").strip() else set(client.scopes)
    if not scopes <= set(client.scopes):
        return _refusal("invalid_scope", "Invalid scope", scope=" ".join(client.scopes))
    if not wanted.get("grant_type"):
        return _refusal("invalid_request", "Missing grant type")
    if wanted["grant_type"] != "client_credentials":
        return _refusal("unsupported_grant_type", "Unsupported grant type")
    return Answer(200, issuer.issue(client, [name for name in client.scopes if name in scopes]), outcome="granted")


def _refusal(error: str, description: str, **more: str) -> Answer:
    return Answer(400, {"error": error, "error_description": description, **more}, outcome=error)
