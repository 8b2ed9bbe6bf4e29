"""`domo-oauth login` and `logout`: a client id and secret in the system's keyring, one entry for each server."""

from __future__ import annotations

import json
from typing import Any

import click

from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import ConfigurationError

from .credentials import ALTERNATIVES, ask, read_secret
from .messages import tell
from .options import base_url_option, client_options

NO_KEYRING = "There is no keyring on this system, or Python's package keyring is not installed"
_SERVICE = "domo-oauth"


@click.command
@click.option("--no-check", is_flag=True, help="Do not try them with a token request first.")
@client_options
def login(client_id: str | None, client_secret_file: str | None, base_url: str, *, no_check: bool) -> None:
    """Keep a client id and secret in the system's keyring.

    \b
    Examples:
      domo-oauth login
      domo-oauth login --client-id ID --client-secret-file FILE
      domo-oauth login --base-url https://api.example.test --no-check
    """
    name = backend_name()
    if name is None:  # fail before prompting
        raise ConfigurationError(f"{NO_KEYRING}. Instead, {ALTERNATIVES}.")
    client_id = client_id or ask("client id", "pass --client-id")
    credentials = ClientCredentials(client_id, read_secret(client_secret_file))
    if not no_check:
        from domo_oauth.provider import TokenProvider

        token = TokenProvider(credentials, base_url=base_url).get_token()
        tell(f"Domo grants tokens for {token.customer or 'an unknown customer'}: {' '.join(sorted(token.scopes))}.")
    fields = {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
    _call("set_password", base_url, json.dumps(fields))
    tell(f"Saved the client {credentials.masked_client_id} for {base_url} in the keyring ({name}).")


@click.command
@base_url_option
def logout(base_url: str) -> None:
    """Remove the client id and secret from the system's keyring.

    \b
    Example, which also removes stored tokens:
      domo-oauth logout && domo-oauth forget --all
    """
    if found := backend_name() is not None and _call("get_password", base_url) is not None:
        _call("delete_password", base_url)
    tell(f"Removed the client for {base_url}." if found else f"There was no client for {base_url} in the keyring.")


def load(base_url: str) -> ClientCredentials | None:
    """The credentials that are kept for this server; None if there are none, or if there is no keyring."""
    if backend_name() is None or (kept := _call("get_password", base_url)) is None:
        return None
    fields = json.loads(kept)
    return ClientCredentials(fields["client_id"], fields["client_secret"])


def backend_name() -> str | None:
    """The name of the keyring; None if there is none."""
    try:
        import keyring
        from keyring.backends import fail

        backend = keyring.get_keyring()
    except ModuleNotFoundError:  # the extra sandbox brings the command without it
        return None
    return None if isinstance(backend, fail.Keyring) else backend.name


def _call(function: str, base_url: str, *args: str) -> Any:
    """Call a function of the module `keyring`. Backends raise errors of any type, which may quote the secret."""
    import keyring

    try:
        return getattr(keyring, function)(_SERVICE, base_url, *args)
    except Exception as error:  # noqa: BLE001 -- third-party code
        raise ConfigurationError(
            f"The system's keyring cannot be used ({type(error).__name__}): unlock it; or {ALTERNATIVES}."
        ) from None
