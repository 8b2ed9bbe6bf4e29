"""Options that several commands take, and what is meant by them: scopes and the store."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from domo_oauth.errors import ConfigurationError
from domo_oauth.scopes import Scope, scope_names

from .credentials import add_client_arguments

if TYPE_CHECKING:
    import argparse

    from domo_oauth.stores import Store

__all__ = [
    "STORE_VARIABLE",
    "add_store_arguments",
    "add_token_arguments",
    "chosen_scopes",
    "open_store",
    "store_name",
]

STORE_VARIABLE = "DOMO_STORE"
_REDIS = {"redis": "redis", "rediss": "rediss", "unix": "unix", "valkey": "redis", "valkeys": "rediss"}
"""The schemes of URLs of Redis and Valkey, and what redis-py calls them."""


def add_token_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which token is wanted."""
    add_store_arguments(parser)
    parser.add_argument("--no-store", action="store_true", help="ask Domo, and keep nothing")
    parser.add_argument(
        "--min-lifetime",
        type=_seconds,
        metavar="SECONDS",
        help="do not take a stored token that is good for less (default: 300, or a fifth of its lifetime if that is "
        "less); where Domo grants no longer one, it is taken with a warning",
    )
    add_client_arguments(parser)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.0 <= seconds < math.inf:
        from argparse import ArgumentTypeError  # a stored token takes less time to print than argparse to import

        raise ArgumentTypeError(f"seconds, such as 600, and not {text!r}")
    return seconds


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which entry of the store is meant."""
    parser.add_argument(
        "--scope",
        action="append",
        metavar="SCOPE",
        help=f"what the token is for: {', '.join(Scope)}; repeat it, or separate them by commas "
        "(default: all scopes of the client)",
    )
    parser.add_argument(
        "--custom-scope", action="append", metavar="SCOPE", help="a scope that Domo has and that list does not"
    )


def chosen_scopes(args: argparse.Namespace) -> tuple[str, ...] | None:
    """The scopes of the options; None for all scopes of the client.

    Raises:
        ConfigurationError: One is unknown, or there is none.
    """
    if args.scope is None and args.custom_scope is None:
        return None
    return scope_names([*(args.scope or ()), *map(Scope.custom, args.custom_scope or ())])


def open_store() -> Store:
    """The store that ``DOMO_STORE`` names, a folder or a URL of Redis; else the folder in the user's cache.

    Raises:
        ConfigurationError: It is a URL, but not one of Redis; or redis is not installed.
    """
    where = os.environ.get(STORE_VARIABLE, "").strip()
    scheme, separator, rest = where.partition("://")
    known = _REDIS.get(scheme.lower())
    if separator and known:
        from domo_oauth.stores.redis import RedisStore

        return RedisStore(f"{known}://{rest}")
    if separator and "/" not in scheme:  # a folder of that name would have a password in it
        raise ConfigurationError(
            f"{STORE_VARIABLE} is the URL of something that cannot be a store: name a folder, or a Redis or Valkey "
            f"server by {', '.join(f'{name}://' for name in _REDIS)}."
        )
    from domo_oauth.stores.file import FileStore

    return FileStore(where or None)


def store_name(store: Store) -> str:
    """The store as people know it: its folder, or what it says of itself, which holds no password."""
    return str(getattr(store, "path", "") or repr(store))
