"""Where the command has the client id and secret from. Never from an argument: others could read it with ``ps``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from attrs import frozen

from domo_oauth.credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, ClientCredentials
from domo_oauth.errors import ConfigurationError

from .messages import tell

if TYPE_CHECKING:
    import argparse
    from typing import TextIO

__all__ = ["BASE_URL_HELP", "Found", "add_client_arguments", "find", "read_secret", "terminal"]

BASE_URL_HELP = "where Domo's API is (default: DOMO_API_URL, or https://api.domo.com)"
_LONGEST = 65536  # bytes; no secret is a hundredth as long
_NONE = (
    "No client id and secret: set DOMO_CLIENT_ID and DOMO_CLIENT_SECRET, pass --client-id ID "
    "--client-secret-file FILE, or keep them in the system's keyring with: domo-oauth login"
)


@frozen
class Found:
    """Credentials, and where they were."""

    credentials: ClientCredentials
    source: str


def add_client_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a client and a server, and that of the log."""
    group = parser.add_argument_group(
        "client and server",
        "Without these: DOMO_CLIENT_ID and DOMO_CLIENT_SECRET, or the system's keyring (domo-oauth login).",
    )
    group.add_argument("--client-id", metavar="ID", help="the client id; its secret is asked for, or in a file")
    group.add_argument("--client-secret-file", metavar="FILE", help="file that holds the client secret; - reads stdin")
    group.add_argument("--base-url", metavar="URL", help=BASE_URL_HELP)
    group.add_argument("-v", "--verbose", action="store_true", help="tell on stderr what is done")


def find(args: argparse.Namespace, base_url: str) -> Found:
    """The credentials that the options name, else those of the environment, else those of the keyring.

    Raises:
        ConfigurationError: There are none, or they cannot be read.
    """
    if args.client_id is not None or args.client_secret_file is not None:
        client_id = args.client_id or os.environ.get(CLIENT_ID_VARIABLE, "").strip()
        if not client_id:
            raise ConfigurationError("--client-secret-file wants a client id: pass --client-id, or set DOMO_CLIENT_ID.")
        secret, source = read_secret(args.client_secret_file)
        return Found(ClientCredentials(client_id, secret), source)
    given = [name for name in (CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE) if os.environ.get(name, "").strip()]
    if len(given) == 1:
        raise ConfigurationError(
            f"Of DOMO_CLIENT_ID and DOMO_CLIENT_SECRET only {given[0]} is set: set both, or pass --client-id ID "
            "--client-secret-file FILE."
        )
    if given:
        return Found(ClientCredentials.from_env(), "the environment")
    from .keyring import load

    found = load(base_url)
    if found is None:
        raise ConfigurationError(_NONE)
    return Found(found, "the keyring")


def read_secret(path: str | None) -> tuple[str, str]:
    """The secret and where it was: a file, standard input (``-``), or a person at a terminal (None).

    Raises:
        ConfigurationError: It cannot be read.
    """
    if path is None:
        return _ask(), "the terminal"
    if path == "-":
        stdin = _stdin()
        if stdin is None:
            raise ConfigurationError("The client secret cannot be read: standard input is closed.")
        return _text(stdin.buffer.read(_LONGEST), "standard input"), "standard input"
    try:
        with open(path, "rb") as file:  # noqa: PTH123 -- pathlib takes its time to import
            if _is_open_to_others(file.fileno()):
                tell(f"{path} can be read by other users: chmod 600 it.")
            return _text(file.read(_LONGEST), path), f"the file {path}"
    except OSError as error:
        raise ConfigurationError(f"The client secret cannot be read from {path}: {error.strerror}.") from None


def terminal(wanted: str, option: str) -> TextIO:
    """Standard input, where a person can be asked for what is wanted.

    Raises:
        ConfigurationError: It is no terminal; this option does without one.
    """
    stdin = _stdin()
    if stdin is None or not stdin.isatty():
        raise ConfigurationError(f"The {wanted} cannot be asked for without a terminal: use {option}.")
    return stdin


def _stdin() -> TextIO | None:
    """Standard input; None where it was closed (``<&-``), of which its type does not know."""
    return sys.stdin


def _ask() -> str:
    terminal("client secret", "--client-secret-file")
    from getpass import getpass

    try:
        return getpass("Client secret: ").strip()
    except EOFError:
        raise ConfigurationError("No client secret was given.") from None


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        raise ConfigurationError(f"What {where} holds is no client secret, as it is not text.") from None


def _is_open_to_others(file: int) -> bool:
    import stat

    info = os.fstat(file)
    return os.name == "posix" and stat.S_ISREG(info.st_mode) and bool(info.st_mode & (stat.S_IRGRP | stat.S_IROTH))
