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
_SERVER = re.compile(r"((redis|valkey)s?|unix)://", re.IGNORECASE)
_opened: dict[str, Store] = {}

LARGEST_ENTRY = 65536
"""Bytes; most entries have less than 3,000. Longer ones are not read, so that nobody can fill the memory with them."""


class StoreError(DomoOAuthError):
    """A store cannot be used: what is wrong, and what to do. Providers log it and fetch a token without the store."""


class Store(Protocol):
    """Keeps sealed entries for several processes.

    Methods are called on background threads, by several at once, and in a child after a fork. They may block for a few
    seconds and raise anything, best a `StoreError`: the provider logs it and goes on without the store. A store is
    pickled along with its provider. `domo_oauth.stores.testing.StoreTests` checks what a store must do.

    A `name` has 32 hexadecimal digits. It stands for a base URL, a client, its secret and scopes, and reveals none of
    them.
    """

    def load(self, name: str) -> bytes | None:
        """Return what was saved last under this name, or None if there is nothing or it has expired."""
        ...

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        """Replace what was saved under this name, in one step, and keep it for `ttl` seconds.

        Tokens are independent of each other, so the last one to save wins, with or without the lock.
        """
        ...

    def lock(self, name: str) -> AbstractContextManager[bool]:
        """Hold the lock of this name within a `with` block; yield whether it was obtained.

        Only one thread of all processes holds it. Wait for it for about a second: the provider then loads the entry
        once more, and tries again, for 10 seconds in all. It must become free when its holder dies, within that time.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove what was saved under this name, if there is anything."""
        ...

    def clear(self) -> int:
        """Remove all entries, and return how many there were."""
        ...


def open_store(where: str) -> Store | None:
    """Open the store that `DOMO_STORE` or the option `--store` names. Does no I/O.

    Args:
        where: A folder as an absolute path, `~/...` or `./...`, the URL of a Redis or Valkey server, or `none`.

    Returns:
        The same object for the same place, so that providers share its token within a process; None for `none`.

    Raises:
        ConfigurationError: `where` is none of these, or the store's extra is not installed.
    """
    store: Store
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

            store = RedisStore(where)
            return _opened.setdefault(where, store)
    finally:
        del where  # it may hold a password, and a traceback that shows locals shows this frame
    raise ConfigurationError(
        "Invalid store. Give a folder as an absolute path, ~/... or ./..., a server as redis://, rediss://, valkey://, "
        f"valkeys:// or unix://, or none, in {STORE_VARIABLE} or --store."
    )


def store_from_env() -> Store | None:
    """Open the store that `DOMO_STORE` names; None if it is not set. See `open_store`."""
    return open_store(os.getenv(STORE_VARIABLE, "").strip() or "none")


def missing_extra(extra: str, *modules: str) -> str | None:
    """What to install if one of these modules is missing; None if all are there. Imports none of them."""
    from importlib.util import find_spec

    missing = [module for module in modules if find_spec(module) is None]
    if not missing:
        return None
    return f"This store needs {' and '.join(missing)}: pip install 'domo-oauth[{extra}]'"
