"""``domo-oauth logout``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domo_oauth.base_url import resolve_base_url

from . import keyring
from .credentials import BASE_URL_HELP
from .messages import tell

if TYPE_CHECKING:
    import argparse

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
  domo-oauth logout

Tokens that are stored already stay: see domo-oauth forget --all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--base-url", metavar="URL", help=BASE_URL_HELP)


def run(args: argparse.Namespace) -> int:
    """Remove what the keyring has for this server."""
    base_url = resolve_base_url(args.base_url)
    done = keyring.remove(base_url)
    tell(f"Removed the client for {base_url}." if done else f"There was no client for {base_url} in the keyring.")
    return 0
