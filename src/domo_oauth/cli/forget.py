"""`domo-oauth forget`."""

from __future__ import annotations

from typing import Any

import click

from domo_oauth.errors import ConfigurationError

from .credentials import find
from .messages import tell
from .options import chosen_scopes, chosen_store, client_options, scope_options, store_name


@click.command
@click.option("--all", "everything", is_flag=True, help="Remove all entries of the store, of every client.")
@scope_options
@client_options
def forget(scope: tuple[str, ...], custom_scope: tuple[str, ...], *, everything: bool, **client: Any) -> None:
    """Remove stored access tokens.

    Domo cannot revoke a token: a copy of it stays good until it expires.

    \b
    Examples:
      domo-oauth forget --scope data     # the token for exactly these scopes
      domo-oauth forget --all
    """
    store = chosen_store()
    if store is None:
        raise ConfigurationError("There is no store: DOMO_STORE is none.")
    if everything:
        count = store.clear()
        tell(f"Removed {count} {'entry' if count == 1 else 'entries'} from {store_name(store)}.")
        return
    from domo_oauth.stores.sealing import Seal

    scopes, found = chosen_scopes(scope, custom_scope), find(**client)
    name = Seal(found.credentials, scopes, found.base_url).name
    removed = "Removed the" if store.load(name) else "There was no"
    store.delete(name)
    which = f"of the client {found.credentials.masked_client_id} for {' '.join(scopes) if scopes else 'all its scopes'}"
    tell(f"{removed} entry {which} in {store_name(store)}.")
