"""How a token is sealed before it goes into a store.

The key is derived from the client secret (HKDF, RFC 5869): who can read the store, and not the secret, learns nothing,
and who has the secret could ask Domo. The name in the store comes from the same derivation, so that it tells nothing
either, and a client, base URL or set of scopes never meets the entry of another.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING

from domo_oauth.errors import ConfigurationError
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
    from domo_oauth.credentials import ClientCredentials

__all__ = ["Seal"]

_FORMAT = "domo-oauth store 1"
"""Another number for another format: entries of the old one are then found no more."""
_NAME_BYTES, _KEY_BYTES, _NONCE_BYTES = 16, 32, 12
_BLOCK = 512  # bytes; what is sealed is as long as a multiple of it, so that its length tells little


class Seal:
    """Seals the tokens of one client, base URL and set of scopes."""

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

    def close(self, token: Token, expires_at: float) -> bytes:
        """Seal a token, and when it expires by the store's clock, in seconds since 1970."""
        fields = {name: getattr(token, name) for name in token.__slots__}
        fields |= {"expires_at": token.expires_at.isoformat(), "scopes": sorted(token.scopes)}
        fields["extra"] = dict(token.extra)
        text = json.dumps([expires_at, fields]).encode()
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text + b" " * (-len(text) % _BLOCK), None)

    def open(self, sealed: bytes) -> tuple[Token, float] | None:
        """What was sealed; None if these bytes are anything else, whatever they are."""
        try:
            text = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
            expires_at, fields = json.loads(text)
            fields["expires_at"] = datetime.fromisoformat(fields["expires_at"])
            fields["scopes"] = frozenset(fields["scopes"])
            if not isinstance(fields["access_token"], str) or not isinstance(fields["expires_in"], int):
                return None
            return Token(**fields), float(expires_at)
        except (InvalidTag, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
