"""One client's entry in a store: sealed before it goes in, doubted when it comes out.

The key is derived from the client secret (HKDF, RFC 5869). Whoever can read the store, but does not have the secret,
learns nothing; whoever has the secret could ask Domo. The name comes from the same derivation.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import asdict, evolve, frozen

from domo_oauth import timing
from domo_oauth.errors import SHARED_REFUSALS, ConfigurationError, TokenRequestError
from domo_oauth.token import Token

from . import LARGEST_ENTRY, StoreError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from domo_oauth.credentials import ClientCredentials

    from . import Store

__all__ = ["Entry", "Refusal", "Seal", "SealedStore"]

logger = logging.getLogger(__name__)
T = TypeVar("T")

_FORMAT = "domo-oauth store 2"
"""Change the number with the format: entries in the old one are then never found."""
_NAME_BYTES, _KEY_BYTES, _NONCE_BYTES = 16, 32, 12
_BLOCK = 512  # bytes: entries are padded to a multiple of it, so that their length reveals little
_ERROR_FIELDS = ("status", "error", "description", "toe", "timestamp", "retryable", "retry_after")


@frozen
class Refusal:
    """An error that the endpoint answered instead of a token, one of `SHARED_REFUSALS`."""

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
    """When the token expires, in seconds since 1970 by the clock of the machine that wrote it."""
    refusal: Refusal | None = None
    """What came of the last fetch, if no token did."""


class Seal:
    """Seals the entries of one client, base URL and set of scopes."""

    def __init__(self, credentials: ClientCredentials, scopes: tuple[str, ...] | None, base_url: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        context = json.dumps([_FORMAT, base_url, credentials.client_id, scopes]).encode()
        hkdf = HKDF(SHA256(), _NAME_BYTES + _KEY_BYTES, salt=None, info=context)
        derived = hkdf.derive(credentials.client_secret.encode())
        self.name, self._cipher = derived[:_NAME_BYTES].hex(), AESGCM(derived[_NAME_BYTES:])

    def close(self, entry: Entry) -> bytes:
        """Seal an entry."""
        token: dict[str, Any] | None = None
        refusal: list[object] | None = None
        if entry.token is not None:
            token = asdict(entry.token, recurse=False) | {"extra": dict(entry.token.extra)}
        if entry.refusal is not None:
            error = entry.refusal.error
            details = {name: getattr(error, name) for name in _ERROR_FIELDS}
            refusal = [type(error).__name__, str(error), details, entry.refusal.pause, entry.refusal.until]
        text = json.dumps([token, entry.expires_at, refusal], default=_plain).encode()
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text + b" " * (-len(text) % _BLOCK), None)

    def open(self, sealed: bytes) -> Entry:
        """What was sealed; an empty entry if these bytes are anything else."""
        from cryptography.exceptions import InvalidTag

        try:
            text = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
            token, expires_at, refusal = json.loads(text)
            return Entry(
                None if token is None else _token(token),
                float(expires_at),
                None if refusal is None else _refusal(*refusal),
            )
        except (InvalidTag, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return Entry()


def _plain(value: Any) -> object:
    """What JSON can carry of a time, or of a set of scopes."""
    return value.isoformat() if isinstance(value, datetime) else sorted(value)


def _token(saved: dict[str, Any]) -> Token:
    if not isinstance(saved["access_token"], str) or not isinstance(saved["expires_in"], int):
        raise TypeError
    float(saved["expires_in"])  # OverflowError
    saved["expires_at"] = datetime.fromisoformat(saved["expires_at"])
    saved["scopes"] = frozenset(saved["scopes"])
    return Token(**saved)


def _refusal(kind: str, message: str, details: dict[str, Any], pause: float, until: float) -> Refusal:
    (error,) = (each for each in SHARED_REFUSALS if each.__name__ == kind)
    details["timestamp"] = details["timestamp"] and datetime.fromisoformat(details["timestamp"])
    return Refusal(error(message, **details), float(pause), float(until))


class SealedStore:
    """The entry of one client, base URL and set of scopes in a store, for the length of one fetch.

    Stores are foreign code. Whatever one raises is logged once, and from then on it is not asked again.

    Raises:
        ConfigurationError: cryptography is not installed.
    """

    name: str
    """What the entry is saved under: 32 hexadecimal digits."""

    def __init__(
        self, store: Store, credentials: ClientCredentials, scopes: tuple[str, ...] | None, base_url: str
    ) -> None:
        if missing := missing_extra("file", "cryptography"):
            raise ConfigurationError(missing)
        self._store, self._broken = store, False
        self._seal = Seal(credentials, scopes, base_url)
        self.name = self._seal.name

    def load(self, now: float) -> Entry:
        """Return what is in the store and still good at `now`, in seconds since 1970. Never raises."""
        sealed = self._ask(lambda: self._store.load(self.name))
        return Entry() if sealed is None else _still_good(self._seal.open(sealed), now)

    def save(self, entry: Entry, now: float) -> None:
        """Replace what is in the store, for as long as it is good. Never raises."""
        until = max(entry.expires_at if entry.token else 0.0, entry.refusal.until if entry.refusal else 0.0)
        if until > now:
            self._ask(lambda: self._save(entry, min(until - now, timing.LONGEST_KEPT)))

    def _save(self, entry: Entry, ttl: float) -> None:
        sealed = self._seal.close(entry)
        if len(sealed) > LARGEST_ENTRY:
            raise StoreError(f"{len(sealed)} bytes are too many for a token.")
        self._store.save(self.name, sealed, ttl)

    @contextmanager
    def lock(self) -> Generator[bool]:
        """Hold the store's lock within the block, if it can be obtained. Raises nothing but what the block raises."""
        lock: AbstractContextManager[bool] | None = self._ask(lambda: self._store.lock(self.name))
        obtained = None if lock is None else self._ask(lambda: bool(lock.__enter__()))
        try:
            yield obtained is True
        finally:
            if lock is not None and obtained is not None:
                self._try(lambda: lock.__exit__(None, None, None))  # also if the store has failed in between

    def _ask(self, call: Callable[[], T]) -> T | None:
        return None if self._broken else self._try(call)

    def _try(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 -- a store may raise anything
            reason = error if isinstance(error, StoreError) else type(error).__name__  # other texts may hold a password
            if not self._broken:
                logger.warning("Going on without the store %r: %s", self._store, reason)
            self._broken = True
            return None


def _still_good(entry: Entry, now: float) -> Entry:
    """The entry without what has expired, or claims to last longer than it can. NaN fails every comparison."""
    token, expires_at, refusal = entry.token, entry.expires_at, entry.refusal
    if token is not None and now < expires_at <= now + token.expires_in + timing.CLOCK_SKEW:
        expires_at = min(expires_at, now + token.expires_in)
    else:
        token, expires_at = None, 0.0
    if refusal is not None and now < refusal.until <= now + timing.LONGEST_RETRY_AFTER + timing.CLOCK_SKEW:
        refusal = evolve(refusal, until=min(refusal.until, now + timing.LONGEST_RETRY_AFTER))
    else:
        refusal = None
    return Entry(token, expires_at, refusal)
