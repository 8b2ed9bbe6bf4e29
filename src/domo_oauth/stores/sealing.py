"""One client's entry in a store: sealed on the way in, checked on the way out.

HKDF (RFC 5869) derives the name of the entry and its key from the client secret. Whoever can read the store, but does
not have the secret, learns nothing; whoever has the secret could get a token from Domo anyway.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import asdict, frozen

from domo_oauth import timing
from domo_oauth.errors import SHARED_REFUSALS, ConfigurationError, TokenRequestError
from domo_oauth.redact import one_line
from domo_oauth.token import Token

from . import StoreError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from domo_oauth.credentials import ClientCredentials

    from . import Store

__all__ = ["Entry", "Refusal", "Seal", "SealedStore"]

logger = logging.getLogger(__name__)
T = TypeVar("T")

_FORMAT = "domo-oauth store 2"
"""Part of the names of entries. Change the number with the format, so that old entries are not found."""
_NAME_BYTES, _KEY_BYTES, _NONCE_BYTES = 16, 32, 12


@frozen
class Refusal:
    """An error that the endpoint returned instead of a token, one of `SHARED_REFUSALS`."""

    error: TokenRequestError
    pause: float
    """Seconds that this pause takes; the next one takes twice as long."""
    until: float
    """When the pause ends, in seconds since 1970."""


@frozen
class Entry:
    """What a store knows about a client's token."""

    token: Token | None = None
    expires_at: float = 0.0
    """When the token expires, in seconds since 1970 by the clock of the machine that wrote it; 0 if there is none."""
    refusal: Refusal | None = None
    """The error of the last fetch, if it failed."""


class Seal:
    """Seals the entries of one client, base URL and set of scopes."""

    def __init__(self, credentials: ClientCredentials, scopes: tuple[str, ...] | None, base_url: str) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF
        except ImportError as error:  # in an isolated subinterpreter, or a library of the system is missing
            raise StoreError(f"cryptography cannot be imported here ({one_line(str(error))}).") from None

        context = json.dumps([_FORMAT, base_url, credentials.client_id, scopes]).encode()
        hkdf = HKDF(SHA256(), _NAME_BYTES + _KEY_BYTES, salt=None, info=context)
        derived = hkdf.derive(credentials.client_secret.encode())
        self.name, self._cipher = derived[:_NAME_BYTES].hex(), AESGCM(derived[_NAME_BYTES:])

    def close(self, entry: Entry) -> bytes:
        """Seal an entry."""
        token, refusal = entry.token and asdict(entry.token), None
        if entry.refusal is not None:
            error = entry.refusal.error
            refusal = [type(error).__name__, str(error), vars(error), entry.refusal.pause, entry.refusal.until]
        text = json.dumps([token, entry.expires_at, refusal], default=_plain).encode()
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, None)

    def open(self, sealed: bytes) -> Entry:
        """Open a sealed entry. Returns an empty entry for any other bytes."""
        from cryptography.exceptions import InvalidTag

        try:
            text = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
            token, expires_at, refusal = json.loads(text)
            return Entry(token and _token(**token), expires_at, refusal and _refusal(*refusal))
        except (InvalidTag, ValueError, TypeError):
            return Entry()


def _plain(value: Any) -> object:
    return value.isoformat() if isinstance(value, datetime) else sorted(value)


def _token(expires_at: str, scopes: list[str], **fields: Any) -> Token:
    return Token(expires_at=datetime.fromisoformat(expires_at), scopes=frozenset(scopes), **fields)


def _refusal(kind: str, message: str, details: dict[str, Any], pause: float, until: float) -> Refusal:
    (error,) = (each for each in SHARED_REFUSALS if each.__name__ == kind)
    details["timestamp"] = details["timestamp"] and datetime.fromisoformat(details["timestamp"])
    return Refusal(error(message, **details), pause, until)


class SealedStore:
    """The entry of one client, base URL and set of scopes in a store, for the length of one fetch.

    Stores are third-party code. The first error is logged, and from then on the store is not used.

    Raises:
        ConfigurationError: cryptography is not installed.
    """

    def __init__(
        self, store: Store, credentials: ClientCredentials, scopes: tuple[str, ...] | None, base_url: str
    ) -> None:
        if missing := missing_extra("file", "cryptography"):
            raise ConfigurationError(missing)
        self._store, self.broken = store, False
        # None if this fails, but then nothing uses it.
        self._seal: Any = self._ask(lambda: Seal(credentials, scopes, base_url))

    def load(self, now: float) -> Entry:
        """Return what is in the store and still good at `now`, in seconds since 1970. Never raises."""
        sealed = self._ask(lambda: self._store.load(self._seal.name))
        return Entry() if sealed is None else _still_good(self._seal.open(sealed), now)

    def save(self, entry: Entry, now: float) -> None:
        """Replace what is in the store, for as long as it is good. Never raises."""
        until = max(entry.expires_at, entry.refusal.until) if entry.refusal else entry.expires_at
        if until > now:
            ttl = min(until - now, timing.LONGEST_KEPT)
            self._ask(lambda: self._store.save(self._seal.name, self._seal.close(entry), ttl))

    @contextmanager
    def lock(self) -> Generator[bool]:
        """Hold the store's lock within the block, if it can be obtained. Raises nothing but what the block raises."""
        lock: AbstractContextManager[bool] | None = self._ask(lambda: self._store.lock(self._seal.name))
        obtained = None if lock is None else self._ask(lambda: bool(lock.__enter__()))
        try:
            yield obtained is True
        finally:
            if lock is not None and obtained is not None:
                self._ask(lambda: lock.__exit__(None, None, None), anyway=True)

    def _ask(self, call: Callable[[], T], *, anyway: bool = False) -> T | None:
        """Call the store, unless it is broken. Returns None if it fails."""
        try:
            return call() if anyway or not self.broken else None
        except Exception as error:  # noqa: BLE001 -- a store may raise anything
            reason = error if isinstance(error, StoreError) else type(error).__name__  # other texts may hold a password
            if not self.broken:
                fields = {"event": "store_failed"}
                logger.warning("Continuing without the store %r: %s", self._store, reason, extra=fields)
            self.broken = True
            return None


def _still_good(entry: Entry, now: float) -> Entry:
    """Drop what has expired or claims to last longer than it can, as clocks may differ. NaN fails every comparison."""
    token, expires_at, refusal = entry.token, entry.expires_at, entry.refusal
    if token and not now < expires_at <= now + token.expires_in + timing.CLOCK_SKEW:
        token = None
    if refusal and not now < refusal.until <= now + timing.LONGEST_RETRY_AFTER + timing.CLOCK_SKEW:
        refusal = None
    return Entry(token, min(expires_at, now + token.expires_in) if token else 0.0, refusal)
