"""`domo-oauth login` and `logout`: a client id and secret in the system's keyring, one entry for each server."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import ConfigurationError

from .credentials import ALTERNATIVES, read_secret, terminal
from .messages import tell
from .options import base_url_option, client_options

if TYPE_CHECKING:
    from collections.abc import Generator

_SERVICE = "domo-oauth"


@click.command
@click.option("--no-check", is_flag=True, help="Do not ask Domo whether they are right.")
@client_options
def login(client_id: str | None, client_secret_file: str | None, base_url: str, *, no_check: bool) -> int:
    """Keep a client id and secret in the system's keyring.

    \b
    Examples:
      domo-oauth login
      domo-oauth login --client-id ID --client-secret-file FILE
      domo-oauth login --base-url https://api.example.test --no-check
    """
    name = backend()  # fail before prompting
    client_id = client_id or _ask_for_id()
    credentials = ClientCredentials(client_id, read_secret(client_secret_file)[0])
    if not no_check:
        from domo_oauth.provider import TokenProvider

        token = TokenProvider(credentials, base_url=base_url).get_token()
        tell(f"Domo grants tokens for {token.customer or 'an unknown customer'}: {' '.join(sorted(token.scopes))}.")
    fields = {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
    try:
        with _keyring(quote=False) as keyring:  # it may quote what it was given
            keyring.set_password(_SERVICE, base_url, json.dumps(fields))
        kept = load(base_url)
    except ConfigurationError as error:
        tell(str(error))
        return 1  # and not 2, as Domo may have been asked
    if kept != credentials:
        tell(f"The keyring ({name}) does not keep what it is given. Instead, {ALTERNATIVES}.")
        return 1
    tell(f"The client {credentials.masked_client_id} is kept for {base_url} in the keyring ({name}).")
    return 0


@click.command
@base_url_option
def logout(base_url: str) -> None:
    """Remove the client id and secret from the system's keyring.

    \b
    Example, which also removes stored tokens:
      domo-oauth logout && domo-oauth forget --all
    """
    with _keyring() as keyring:
        found = keyring.get_password(_SERVICE, base_url) is not None
        if found:
            keyring.delete_password(_SERVICE, base_url)
    tell(f"Removed the client for {base_url}." if found else f"There was no client for {base_url} in the keyring.")


def load(base_url: str) -> ClientCredentials | None:
    """The credentials that are kept for this server; None if there are none, or if there is no keyring."""
    try:
        with _keyring() as keyring:
            kept = keyring.get_password(_SERVICE, base_url)
    except _NoKeyringError:
        return None
    if kept is None:
        return None
    try:
        fields = json.loads(kept)
        return ClientCredentials(fields["client_id"], fields["client_secret"])
    except (ValueError, TypeError, KeyError, ConfigurationError):
        raise ConfigurationError(
            f"The keyring's entry {_SERVICE!r} for {base_url} is broken: run domo-oauth login again."
        ) from None


def backend() -> str:
    """The name of the keyring."""
    with _keyring() as keyring:
        from keyring.backends import fail

        chosen = keyring.get_keyring()
        if isinstance(chosen, fail.Keyring):
            raise keyring.errors.NoKeyringError
        name: str = chosen.name
    return name


class _NoKeyringError(ConfigurationError):
    pass


@contextmanager
def _keyring(*, quote: bool = True) -> Generator[Any]:
    """The module `keyring`, whose backends raise errors of any type: as one of ours that says what to do instead."""
    try:
        import keyring
        from keyring.errors import NoKeyringError
    except ModuleNotFoundError:
        raise _NoKeyringError(f"No keyring: pip install 'domo-oauth[cli]'; or {ALTERNATIVES}.") from None
    try:
        yield keyring
    except NoKeyringError:
        raise _NoKeyringError(f"There is no keyring on this system. Instead, {ALTERNATIVES}.") from None
    except Exception as error:  # noqa: BLE001 -- foreign code
        text = f"{type(error).__name__}: {error}".rstrip(": .") if quote else type(error).__name__
        raise ConfigurationError(
            f"The system's keyring cannot be used ({text}): unlock it; or {ALTERNATIVES}."
        ) from None


def _ask_for_id() -> str:
    answers = terminal("client id", "pass --client-id")
    print("Client id: ", end="", file=sys.stderr, flush=True)
    return answers.readline().strip()
