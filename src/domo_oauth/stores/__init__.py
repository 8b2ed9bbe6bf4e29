"""Stores share a token between processes: by files on one machine, by Redis in a fleet, or by a store of your own."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from domo_oauth.errors import ConfigurationError, DomoOAuthError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["LARGEST_ENTRY", "STORE_VARIABLE", "Store", "StoreError", "missing_extra", "open_store", "store_from_env"]

STORE_VARIABLE = "DOMO_STORE"
LARGEST_ENTRY = 65536
"""Bytes. Most entries have less than 3,000; longer ones are not read, so that they cannot fill the memory."""
_SERVER = re.compile(r"((redis|valkey)s?|unix)://", re.IGNORECASE)
_opened: dict[str, Store] = {}


class StoreError(DomoOAuthError):
    """A store cannot be used: what is wrong, and what to do. Providers log it and fetch a token without the store."""


class Store(Protocol):
    """Keeps sealed entries for several processes.

    Background threads call these methods, several at once, also in a child after a fork. A method may block for a few
    seconds. It may raise anything, preferably a `StoreError`: the provider logs it and goes on without the store. A
    provider is pickled with its store. `domo_oauth.stores.testing.StoreTests` checks a store.

    A `name` has 32 hexadecimal digits. It stands for a base URL, a client, its secret and scopes, and reveals nothing.
    """

    def load(self, name: str) -> bytes | None:
        """Return the bytes that were saved last, or None if there are none or they have expired."""
        ...

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        """Replace the entry atomically, and keep it for `ttl` seconds. The last save wins, locked or not."""
        ...

    def lock(self, name: str) -> AbstractContextManager[bool]:
        """Hold the lock of this name within a `with` block; yield whether it was obtained.

        Only one thread of all processes holds it. Wait for it for about a second; the provider tries again for 10
        seconds in all. If its holder dies, it must become free within that time.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove the entry, if there is one."""
        ...

    def clear(self) -> int:
        """Remove all entries, and return how many there were."""
        ...


def open_store(where: str) -> Store | None:
    """Open the store that `DOMO_STORE` names. Does no I/O.

    Args:
        where: A folder as an absolute path, `~/...` or `./...`, the URL of a Redis or Valkey server, or `none`.

    Returns:
        The same object for the same place, so that providers share its token within a process; None for `none`.

    Raises:
        ConfigurationError: `where` is none of these, or the store's extra is not installed.
    """
    where = where.strip()
    try:
        if where == "none":
            return None
        if where.startswith(("./", "~/")) or Path(where).is_absolute():
            from .file import FileStore

            store = FileStore(where)
            return _opened.setdefault(str(store.path), store)
        if _SERVER.match(where):
            from .redis import RedisStore

            return _opened.setdefault(where, RedisStore(where))
    finally:
        del where  # it may hold a password, and tracebacks can show locals
    raise ConfigurationError(
        "Invalid store. Give a folder as an absolute path, ~/... or ./..., a server as redis://, rediss://, valkey://, "
        f"valkeys:// or unix://, or none, in {STORE_VARIABLE}."
    )


def store_from_env() -> Store | None:
    """Open the store that `DOMO_STORE` names; None if it is not set. See `open_store`."""
    return open_store(os.getenv(STORE_VARIABLE, "").strip() or "none")


def missing_extra(extra: str, *modules: str) -> str | None:
    """Say what to install if one of these modules is missing. Imports none of them."""
    from importlib.util import find_spec

    missing = [module for module in modules if find_spec(module) is None]
    return f"This store needs {' and '.join(missing)}: pip install 'domo-oauth[{extra}]'" if missing else None
