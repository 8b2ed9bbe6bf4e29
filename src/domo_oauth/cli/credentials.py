"""Where the command finds a client id and secret. Never in an argument, which other users can read with `ps`."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

from domo_oauth.credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, ClientCredentials
from domo_oauth.errors import ConfigurationError

from .messages import tell

if TYPE_CHECKING:
    from typing import TextIO

SECRET_FILE_VARIABLE = "DOMO_CLIENT_SECRET_FILE"  # noqa: S105 -- the name of a variable
ALTERNATIVES = (
    "set DOMO_CLIENT_ID, and DOMO_CLIENT_SECRET or DOMO_CLIENT_SECRET_FILE; or pass --client-id ID "
    "--client-secret-file FILE"
)
_LONGEST = 65536  # bytes; far more than a secret has


class Found(NamedTuple):
    """Credentials, and where they were."""

    credentials: ClientCredentials
    base_url: str
    source: str
    file: os.stat_result | None = None
    """The file that held the secret, so that `exec` can close it."""


def find(client_id: str | None, client_secret_file: str | None, base_url: str) -> Found:
    """Find the client id and the secret, each in the options, else in the environment; else both in the keyring."""
    client_id = client_id or _variable(CLIENT_ID_VARIABLE)
    has_secret, file = bool(_variable(CLIENT_SECRET_VARIABLE)), client_secret_file or _variable(SECRET_FILE_VARIABLE)
    if not (client_id or has_secret or file):
        from .keyring import load

        if kept := load(base_url):
            return Found(kept, base_url, "the keyring")
        raise ConfigurationError(
            f"No client id and secret: {ALTERNATIVES}; or keep them in the system's keyring with: domo-oauth login"
        )
    if not client_id:
        raise ConfigurationError("There is a client secret, but no client id: set DOMO_CLIENT_ID, or pass --client-id.")
    if not has_secret or client_secret_file:
        secret, source, info = read_secret(file)
        return Found(ClientCredentials(client_id, secret), base_url, source, info)
    if file:
        raise ConfigurationError(f"Both {CLIENT_SECRET_VARIABLE} and {SECRET_FILE_VARIABLE} are set: set only one.")
    return Found(ClientCredentials(client_id, _variable(CLIENT_SECRET_VARIABLE)), base_url, "the environment")


def read_secret(path: str | None) -> tuple[str, str, os.stat_result | None]:
    """Read the secret from a file, standard input (`-`), or a person at a terminal; say where it was."""
    if not path:
        return _ask_for_secret(), "the terminal", None
    stdin = _stdin()
    if path == "-" and stdin is None:
        raise ConfigurationError("The client secret cannot be read: standard input is closed.")
    # No message shows the path: it may be the secret itself, given by mistake.
    try:
        with open(stdin.fileno() if stdin and path == "-" else path, "rb", closefd=path != "-") as file:
            info = os.fstat(file.fileno())
            _check(info)
            secret = file.read(_LONGEST).decode().strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
        raise ConfigurationError(f"The client secret cannot be read from its file: {reason}.") from None
    return secret, "standard input" if path == "-" else f"the file {path}", info


def terminal(wanted: str, instead: str) -> TextIO:
    """Standard input, if a person can be asked there; else an error that says what to do instead."""
    stdin = _stdin()
    if stdin is None or not stdin.isatty():
        raise ConfigurationError(f"There is no {wanted}, and no terminal to ask for it: {instead}.")
    return stdin


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _stdin() -> TextIO | None:
    """Standard input; None if it was closed (`<&-`), which its type does not say."""
    return sys.stdin


def _ask_for_secret() -> str:
    terminal("client secret", f"set {CLIENT_SECRET_VARIABLE}, or pass --client-secret-file")
    from getpass import getpass

    try:
        return getpass("Client secret: ").strip()
    except EOFError:
        raise ConfigurationError("No client secret was given.") from None


def _check(info: os.stat_result) -> None:
    """Refuse a file that somebody else may have written. Docker and Kubernetes mount secrets as root's, mode 0644."""
    if os.name != "posix" or not stat.S_ISREG(info.st_mode):
        return
    if info.st_uid not in {0, os.geteuid()}:
        raise ConfigurationError("The file of the client secret belongs to another user: give a file of your own.")
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError("The file of the client secret can be changed by other users: chmod 600 it.")
    if info.st_uid and info.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        tell("The file of the client secret can be read by other users: chmod 600 it.")
