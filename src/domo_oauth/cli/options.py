"""Options that several commands share, and what they mean."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, TypeVar

import click

from domo_oauth.base_url import resolve_base_url
from domo_oauth.errors import ConfigurationError
from domo_oauth.scopes import Scope, scope_names
from domo_oauth.stores import STORE_VARIABLE, open_store

from .messages import show_log, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from domo_oauth.stores import Store

_F = TypeVar("_F", bound="Callable[..., Any]")


def _together(*options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    def decorate(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _resolve(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    return resolve_base_url(value)


def _show_log(_ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 -- click's interface
    show_log(verbose=value)


def _complete_scope(_ctx: click.Context, _parameter: click.Parameter, start: str) -> list[str]:
    return [scope for scope in Scope if scope.startswith(start)]


_BASE_URL = "Where Domo's API is (default: DOMO_API_URL, or https://api.domo.com)."
_FILE = "A file that holds the client secret; - is stdin (default: DOMO_CLIENT_SECRET, or DOMO_CLIENT_SECRET_FILE)."
_SCOPE = f"What the token is for: {', '.join(Scope)}; can be repeated (default: all scopes of the client)."
_LIFETIME = "Skip a stored token that expires sooner (default: 300, or a fifth of its lifetime if that is less)."

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
base_url_option = click.option("--base-url", metavar="URL", callback=_resolve, help=_BASE_URL)
client_options = _together(
    click.option("--client-id", metavar="ID", help="The client id (default: DOMO_CLIENT_ID)."),
    click.option("--client-secret-file", metavar="FILE", type=click.Path(), help=_FILE),
    base_url_option,
    click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_show_log, help="Log to stderr."),
)
scope_options = _together(
    click.option("--scope", multiple=True, metavar="SCOPE", shell_complete=_complete_scope, help=_SCOPE),
    click.option(
        "--custom-scope", multiple=True, metavar="SCOPE", help="A scope that Domo has and that is not in that list."
    ),
)
token_options = _together(
    scope_options,
    click.option("--no-store", is_flag=True, help="Request a token from Domo, and keep nothing."),
    click.option("--min-lifetime", type=float, metavar="SECONDS", help=_LIFETIME),
    client_options,
)


def chosen_scopes(scope: tuple[str, ...], custom_scope: tuple[str, ...]) -> tuple[str, ...] | None:
    """The scopes that the options name; None for all scopes of the client."""
    if not scope and not custom_scope:
        return None
    if not all(re.fullmatch(r"[A-Za-z,.:_ -]{,99}", value) for value in (*scope, *custom_scope)):
        # The message of scope_names() would quote it, and it may be a secret.
        raise ConfigurationError("--scope and --custom-scope take names, such as data.")
    return scope_names([*scope, *map(Scope.custom, custom_scope)])


def chosen_store() -> Store | None:
    """The store that `DOMO_STORE` names, by default a folder in the user's cache; None for `none` or without a home."""
    if where := os.environ.get(STORE_VARIABLE, "").strip():
        return open_store(where)
    from domo_oauth.stores.file import FileStore

    try:
        return FileStore()
    except ConfigurationError as error:  # the home folder is unknown
        tell(f"Continuing without a store: {error}")
        return None


def store_name(store: Store) -> str:
    """The store as people know it: its folder, or its repr, which shows no password."""
    return str(getattr(store, "path", "") or repr(store))
