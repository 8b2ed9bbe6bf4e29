"""Access tokens as Domo makes them: JWTs (RFC 7519) signed with RS256."""

from __future__ import annotations

import math
import time
import uuid
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jwt.types import Options

    from .settings import Client

__all__ = ["TokenIssuer"]

_ALGORITHM = "RS256"


class TokenIssuer:
    """Issues tokens and verifies them.

    Args:
        now: The wall clock.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.revoke_all()

    def revoke_all(self) -> None:
        """Invalidate every token issued so far: sign with a new key from now on."""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def issue(self, client: Client, scopes: Sequence[str], lifetime: int) -> dict[str, object]:
        """The body of a successful response (RFC 6749, section 5.1), with a new token."""
        now = self._now()
        user = {"customer": client.customer, "env": "sandbox", "role": client.role, "userId": client.user_id}
        claims = {
            **user,
            "client_id": client.client_id,
            "scope": list(scopes),
            "iat": int(now),
            # Rounded up: the token lasts for all of the lifetime that the response promises.
            "exp": math.ceil(now + lifetime) if lifetime else int(now),
            "jti": str(uuid.uuid4()),
        }
        return {
            "access_token": jwt.encode(claims, self._key, _ALGORITHM),
            "token_type": "bearer",
            "expires_in": lifetime,
            "scope": " ".join(scopes),
            **user,
            "jti": claims["jti"],
        }

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a valid token.

        Raises:
            jwt.InvalidTokenError: The token is malformed, has another signature, was revoked or has expired. The text
                is that of api.domo.com.
        """
        options: Options = {"require": ["client_id", "exp", "scope"], "verify_exp": False}
        try:
            claims: dict[str, Any] = jwt.decode(token, self._key.public_key(), [_ALGORITHM], options)
        except jwt.InvalidTokenError:
            raise jwt.InvalidTokenError("Cannot convert access token to JSON") from None
        if claims["exp"] <= self._now():
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(claims["exp"]))
            raise jwt.InvalidTokenError(f"An error occurred while attempting to decode the Jwt: Jwt expired at {when}")
        return claims
