"""How an entry is sealed before it goes into a store.

The key is derived from the client secret (HKDF, RFC 5869): who can read the store, and not the secret, learns nothing,
and who has the secret could ask Domo. The name in the store comes from the same derivation, so that it tells nothing
either, and a client, base URL or set of scopes never meets the entry of another.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from domo_oauth.errors import FOR_ALL, ConfigurationError
from domo_oauth.token import Token

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ModuleNotFoundError as error:
    raise ConfigurationError(
        "A store needs cryptography, which is not installed here: pip install 'domo-oauth[file]' or 'domo-oauth[redis]'"
    ) from error

if TYPE_CHECKING:
    from typing import Any

    from domo_oauth.credentials import ClientCredentials
    from domo_oauth.errors import TokenRequestError

__all__ = ["Entry", "Refusal", "Seal"]

_FORMAT = "domo-oauth store 1"
"""Another number for another format: entries of the old one are then found no more."""
_NAME_BYTES, _KEY_BYTES, _NONCE_BYTES = 16, 32, 12
_BLOCK = 512  # bytes; what is sealed is as long as a multiple of it, so that its length tells little
_ERROR_FIELDS = ("status", "error", "description", "toe", "retryable", "retry_after")


class Refusal(NamedTuple):
    """An error that the endpoint answered, and until when nobody asks again."""

    error: TokenRequestError
    pause: float
    """Seconds; the next pause is twice as long."""
    until: float
    """Seconds since 1970, by the store's clock."""


class Entry(NamedTuple):
    """What is sealed."""

    token: Token | None
    expires_at: float
    """When the token expires, in seconds since 1970, by the store's clock."""
    refusal: Refusal | None = None
    """What came of the last request, if no token did."""


class Seal:
    """Seals the entries of one client, base URL and set of scopes."""

    __slots__ = ("_cipher", "name")

    name: str
    """What they are kept under: 32 hexadecimal digits."""

    def __init__(self, credentials: ClientCredentials, scopes: tuple[str, ...] | None, base_url: str) -> None:
        context = json.dumps([_FORMAT, base_url, credentials.client_id, scopes]).encode()
        derived = HKDF(SHA256(), _NAME_BYTES + _KEY_BYTES, salt=None, info=context).derive(
            credentials.client_secret.encode()
        )
        self.name = derived[:_NAME_BYTES].hex()
        self._cipher = AESGCM(derived[_NAME_BYTES:])

    def close(self, entry: Entry) -> bytes:
        """Seal an entry."""
        token = None if entry.token is None else _token_fields(entry.token)
        refusal = None if entry.refusal is None else _refusal_fields(entry.refusal)
        text = json.dumps([entry.expires_at, token, refusal]).encode()
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text + b" " * (-len(text) % _BLOCK), None)

    def open(self, sealed: bytes) -> Entry | None:
        """What was sealed; None if these bytes are anything else, whatever they are."""
        try:
            text = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
            expires_at, token, refusal = json.loads(text)
            return Entry(
                None if token is None else _token(token),
                float(expires_at),
                None if refusal is None else _refusal(*refusal),
            )
        except (InvalidTag, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None


def _token_fields(token: Token) -> dict[str, Any]:
    fields = {name: getattr(token, name) for name in token.__slots__}
    fields |= {"expires_at": token.expires_at.isoformat(), "scopes": sorted(token.scopes), "extra": dict(token.extra)}
    return fields


def _token(fields: dict[str, Any]) -> Token:
    if not isinstance(fields["access_token"], str) or not isinstance(fields["expires_in"], int):
        raise TypeError
    fields["expires_at"] = datetime.fromisoformat(fields["expires_at"])
    fields["scopes"] = frozenset(fields["scopes"])
    return Token(**fields)


def _refusal_fields(refusal: Refusal) -> list[object]:
    error = refusal.error
    fields = {name: getattr(error, name) for name in _ERROR_FIELDS}
    fields["timestamp"] = None if error.timestamp is None else error.timestamp.isoformat()
    return [type(error).__name__, str(error), fields, refusal.pause, refusal.until]


def _refusal(kind: str, message: str, fields: dict[str, Any], pause: float, until: float) -> Refusal:
    (error,) = (error for error in FOR_ALL if error.__name__ == kind)
    if fields["timestamp"] is not None:
        fields["timestamp"] = datetime.fromisoformat(fields["timestamp"])
    return Refusal(error(message, **fields), float(pause), float(until))
