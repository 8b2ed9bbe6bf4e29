"""The token of one client in a store: read, written, and renewed by one process at a time; or why there is none.

Nothing that a store does wrong reaches those who ask for a token: it is logged, and they do without the store.
"""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from domo_oauth import log
from domo_oauth.errors import is_for_all
from domo_oauth.interrupts import let_through

from .protocol import LEASE_SECONDS, StoreError
from .seal import Entry, Refusal, Seal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from domo_oauth.credentials import ClientCredentials
    from domo_oauth.errors import TokenRequestError
    from domo_oauth.token import Token

    from .protocol import Store

__all__ = ["Stored", "StoredRefusal", "Turn", "Vault"]

_TOLERANCE = 1.0
"""Seconds by which clocks may differ."""
_LONGEST_PAUSE = 300.0
"""Seconds that the word of another is taken for that the endpoint is not to be asked."""
_PATIENCE = LEASE_SECONDS + 5.0
"""Seconds: the lease of one who was killed ends first, and then another one has time to ask for all who wait."""


class Stored(NamedTuple):
    """A token as it was found in a store."""

    token: Token
    left: float
    """Seconds until it expires, by the store's clock."""


class StoredRefusal(NamedTuple):
    """An error that another process was given, as it was found in a store."""

    error: TokenRequestError
    pause: float
    """Seconds; the next pause is twice as long."""
    left: float
    """Seconds in which nobody asks again."""


class Vault:
    """Where one client's token for one set of scopes is in a store."""

    def __init__(
        self, store: Store, credentials: ClientCredentials, scopes: tuple[str, ...] | None, base_url: str
    ) -> None:
        self.store = store
        self.seal = Seal(credentials, scopes, base_url)

    def load(self) -> Stored | None:
        """The token in the store, if there is one that has not expired. Raises whatever the store raises."""
        return self.read()[0]

    def read(self) -> tuple[Stored | None, StoredRefusal | None, float]:
        """What :meth:`load` gives; what came of the last request instead of it; and the time by the store's clock."""
        asked_at = monotonic()
        sealed, now = self.store.load(self.seal.name)
        entry = None if sealed is None else self.seal.open(sealed)
        if entry is None:
            return None, None, now
        late = now + (monotonic() - asked_at)  # a token is not younger for a slow store
        return _stored(entry, late), _stored_refusal(entry.refusal, late), now

    def delete(self) -> None:
        """Remove the token from the store. Raises whatever the store raises."""
        self.store.delete(self.seal.name)

    @contextmanager
    def turn(self, wanted: Callable[[Stored], bool], *, anew: bool = False) -> Generator[Turn, None, None]:
        """Wait until a token is there that is wanted, or until it is this process's turn to ask for one.

        Whoever has waited for a lease to end, and for one more request, asks without its turn. Within the pause after
        an error that the endpoint gave another process, there is nothing to wait for, unless it is to be asked
        ``anew``.
        """
        turn = Turn(self, anew=anew)
        try:
            turn.begin(wanted)
            yield turn
        finally:
            turn.end()


class Turn:
    """The time in which a process is the only one to ask for a token."""

    def __init__(self, vault: Vault, *, anew: bool) -> None:
        self.found: Stored | None = None
        """The token that was there, and was wanted."""
        self.refusal: StoredRefusal | None = None
        """The error that was there instead."""
        self._there: Stored | None = None
        self._anew = anew
        self._store, self._name, self._vault = vault.store, vault.seal.name, vault
        self._lease: object | None = None
        self._broken = False
        self._read_at = self._now = 0.0

    def begin(self, wanted: Callable[[Stored], bool]) -> None:
        """Look, and take the lease or wait for it, in turns."""
        try:
            self._wait(wanted)
        except Exception as error:  # noqa: BLE001 -- a store may raise anything
            let_through(error)
            self.give_up(error)

    def _wait(self, wanted: Callable[[Stored], bool]) -> None:
        until = monotonic() + _PATIENCE
        while not self._look(wanted):
            left = until - monotonic()
            self._lease = self._store.lease(self._name)
            if self._lease is not None:
                self._look(wanted)  # what came between the look and the lease
                return
            if left <= 0:
                return
            self._store.wait(self._name, left)

    def _look(self, wanted: Callable[[Stored], bool]) -> bool:
        self._there, refusal, self._now = self._vault.read()
        self._read_at = monotonic()
        self.found = self._there if self._there is not None and wanted(self._there) else None
        self.refusal = None if self.found is not None or self._anew else refusal
        return self.found is not None or self.refusal is not None

    def save(self, token: Token, age: float) -> None:
        """Leave a token to the others, which was asked for so many seconds ago."""
        expires_at = self._time() - age + token.expires_in
        self._save(Entry(token, expires_at), expires_at)

    def refuse(self, error: Exception, pause: float, seconds: float) -> None:
        """Leave word to the others for so many seconds, if they would be told the same. The token there stays."""
        if not is_for_all(error):
            return
        token, left = self._there or (None, 0.0)
        expires_at, until = self._now + left, self._time() + min(seconds, _LONGEST_PAUSE)
        self._save(Entry(token, expires_at, Refusal(error, pause, until)), max(expires_at, until))

    def _time(self) -> float:
        """The time by the store's clock."""
        return self._now + (monotonic() - self._read_at)

    def _save(self, entry: Entry, until: float) -> None:
        if self._broken:
            return
        try:
            self._store.save(self._name, self._vault.seal.close(entry), until, self._lease)
        except Exception as error:  # noqa: BLE001 -- a store may raise anything
            let_through(error)
            self.give_up(error)

    def end(self) -> None:
        """Let the next one have its turn."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            self._store.release(self._name, lease)
        except Exception as error:  # noqa: BLE001 -- a store may raise anything
            let_through(error)
            self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Do without the store from here on."""
        told = str(error) if isinstance(error, StoreError) else type(error).__name__  # its text may hold a password
        if not self._broken:
            log.warning("Doing without the store %r: %s", self._store, told)
        self._broken = True


def _stored(entry: Entry, now: float) -> Stored | None:
    token, left = entry.token, entry.expires_at - now
    # An old entry that somebody put back says itself that it has expired, and one from the future was never saved.
    if token is None or not 0 < left <= token.expires_in + _TOLERANCE:
        return None
    return Stored(token, min(left, token.expires_in))


def _stored_refusal(refusal: Refusal | None, now: float) -> StoredRefusal | None:
    if refusal is None or not 0 < refusal.until - now <= _LONGEST_PAUSE + _TOLERANCE:
        return None
    return StoredRefusal(refusal.error, refusal.pause, refusal.until - now)
