"""Access tokens as Domo makes them: JWTs (RFC 7519) signed with RS256."""

from __future__ import annotations

import math
import time
import uuid
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .clients import Client

__all__ = ["InvalidTokenError", "TokenIssuer"]

_ALGORITHM = "RS256"


class InvalidTokenError(Exception):
    """A token that is garbage, was signed by somebody else, was revoked, or has expired. Its text says which."""


class TokenIssuer:
    """Issues tokens and tells its own from others.

    Args:
        lifetime: ``expires_in`` of the tokens, in seconds.
    """

    def __init__(self, lifetime: int) -> None:
        self._lifetime = lifetime
        self.revoke_all()

    def revoke_all(self) -> None:
        """Make every token so far invalid, by signing with another key from now on."""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = str(uuid.uuid4())

    def issue(self, client: Client, scopes: Sequence[str]) -> dict[str, object]:
        """The body of a successful answer (RFC 6749, section 5.1), with a new token for these scopes."""
        now = time.time()
        whom = {"customer": client.customer, "env": "sandbox", "role": client.role, "userId": client.user_id}
        jti = str(uuid.uuid4())
        claims = {
            **whom,
            "client_id": client.client_id,
            "scope": list(scopes),
            "iat": int(now),
            # Rounded up, so that the token lives for all of the lifetime that the answer promises.
            "exp": math.ceil(now + self._lifetime) if self._lifetime else int(now),
            "jti": jti,
        }
        return {
            "access_token": jwt.encode(claims, self._key, _ALGORITHM, headers={"kid": self._key_id}),
            "token_type": "bearer",
            "expires_in": self._lifetime,
            "scope": " ".join(scopes),
            **whom,
            "jti": jti,
        }

    def claims(self, token: str) -> dict[str, Any]:
        """What a token says.

        Raises:
            InvalidTokenError: It does not hold now; described in the words of api.domo.com.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key.public_key(),
                [_ALGORITHM],
                options={"require": ["exp", "scope"], "verify_exp": False, "verify_aud": False},
            )
        except jwt.InvalidTokenError:
            raise InvalidTokenError("Cannot convert access token to JSON") from None
        if claims["exp"] <= time.time():
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(claims["exp"]))
            raise InvalidTokenError(f"An error occurred while attempting to decode the Jwt: Jwt expired at {when}")
        return claims

    def jwks(self) -> dict[str, object]:
        """The public key that verifies the tokens (RFC 7517)."""
        key = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self._key_id, "alg": _ALGORITHM, "use": "sig"}]}
