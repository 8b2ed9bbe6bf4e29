"""``domo-oauth login``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from domo_oauth.base_url import resolve_base_url
from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import ConfigurationError

from . import keyring
from .credentials import add_client_arguments, read_secret, terminal
from .messages import show_log, tell

if TYPE_CHECKING:
    import argparse

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
  domo-oauth login
  domo-oauth login --client-id ID --client-secret-file FILE
  domo-oauth login --base-url https://api.example.test --no-check"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--no-check", action="store_true", help="do not ask Domo whether they are right")
    add_client_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Keep a client id and secret, once Domo has granted them a token."""
    show_log(verbose=args.verbose)
    base_url = resolve_base_url(args.base_url)
    keyring.backend()  # before anybody types in vain
    client_id = args.client_id or _ask_for_id()
    secret, _ = read_secret(args.client_secret_file)
    credentials = ClientCredentials(client_id, secret)
    if not args.no_check:
        from domo_oauth.provider import TokenProvider

        token = TokenProvider(credentials, base_url=base_url).get_token()
        tell(f"Domo grants tokens for {token.customer or 'an unknown customer'}: {' '.join(sorted(token.scopes))}.")
    try:
        name = keyring.save(base_url, credentials)
    except ConfigurationError as error:
        tell(str(error))
        return 1  # and not 2: Domo may have been asked
    tell(f"The client {credentials.masked_client_id} is kept for {base_url} in the keyring ({name}).")
    return 0


def _ask_for_id() -> str:
    answers = terminal("client id", "--client-id")
    print("Client id: ", end="", file=sys.stderr, flush=True)
    return answers.readline().strip()
