"""``domo-oauth forget``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domo_oauth.base_url import resolve_base_url

from .credentials import add_client_arguments, find
from .messages import show_log, tell
from .options import add_store_arguments, chosen_scopes, open_store, store_name

if TYPE_CHECKING:
    import argparse

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
  domo-oauth forget --scope data     # the token for exactly these scopes
  domo-oauth forget --all

Domo has no way to call a token back: one that was copied elsewhere is good until it expires."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--all",
        action="store_true",
        help="all entries of the store, whoever they are for: tokens, and word of refusals; no client is asked for",
    )
    add_store_arguments(parser)
    add_client_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Remove tokens from the store."""
    show_log(verbose=args.verbose)
    if args.all:
        return _forget_all()
    from domo_oauth.stores.sealing import Seal

    base_url, scopes = resolve_base_url(args.base_url), chosen_scopes(args)
    credentials = find(args, base_url).credentials
    store = open_store()
    name = Seal(credentials, scopes, base_url).name
    stored = store.load(name)
    store.delete(name)
    which = f"the client {credentials.masked_client_id} for {'all its scopes' if scopes is None else ' '.join(scopes)}"
    if stored is None:
        tell(f"There was no entry of {which} in {store_name(store)}.")
    else:
        tell(f"Removed the entry of {which} from {store_name(store)}.")
    return 0


def _forget_all() -> int:
    store = open_store()
    count = store.clear()
    tell(f"Removed {count} {'entry' if count == 1 else 'entries'} from {store_name(store)}.")
    return 0
