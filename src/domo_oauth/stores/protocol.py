"""What a store must do."""

from __future__ import annotations

from typing import Protocol

from domo_oauth.errors import DomoOAuthError

__all__ = ["LEASE_SECONDS", "Store", "StoreError"]

LEASE_SECONDS = 10.0
"""How long one may keep others waiting who need a token now, in seconds."""


class StoreError(DomoOAuthError):
    """A store cannot be used: what is wrong, and what to do.

    Whoever asks a provider for a token never gets it: the provider logs it and asks Domo itself.
    """


class Store(Protocol):
    """Keeps sealed entries for several processes, and lends the right to renew one of them to one process at a time.

    An entry holds a token, or what the endpoint answered instead of the next one, or both.

    Methods are called on threads, by several at once, and in the child after a fork. They may block for a few seconds,
    and raise whatever they like: it is logged as a warning, and the caller goes on without the store. A store is
    pickled along with its provider.

    A ``name`` is a string of 32 hexadecimal digits. It stands for a base URL, a client and its scopes, and does not
    tell which. All times are in seconds, by a clock that all who use the store have in common: that of its server, if
    there is one.
    """

    def load(self, name: str) -> tuple[bytes | None, float]:
        """Read what was saved under this name, if it has not expired.

        Returns:
            The bytes as they were saved, or None; and the time now, in seconds since 1970.
        """
        ...

    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        """Keep these bytes in the place of others, until they expire.

        Args:
            name: What to save them under.
            sealed: At most a few KiB.
            expires_at: When they may be thrown away, in seconds since 1970.
            lease: What ``lease`` gave. If another has been given the lease since, nothing is saved. None if the caller
                has none, as it waited too long; nothing is saved then while another has it.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove what was saved under this name, if there is anything."""
        ...

    def lease(self, name: str) -> object | None:
        """Give the right to renew, without waiting for it.

        It must come back by itself when its holder dies, at once or ``LEASE_SECONDS`` later.

        Returns:
            The lease, to be given back with ``release``; None if another has it.
        """
        ...

    def release(self, name: str, lease: object) -> None:
        """Give the lease back, and wake those who wait. Nothing happens if it is another's by now."""
        ...

    def wait(self, name: str, seconds: float) -> None:
        """Return when another gives the lease back; at the latest after so many seconds, and sooner if you like."""
        ...
