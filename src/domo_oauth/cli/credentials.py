"""Where the command finds a client id and secret. Never in an argument, which other users can read with `ps`."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import NamedTuple

from domo_oauth.credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, ClientCredentials, read_file
from domo_oauth.errors import ConfigurationError

SECRET_FILE_VARIABLE = "DOMO_CLIENT_SECRET_FILE"  # noqa: S105 -- the name of a variable
ALTERNATIVES = (
    "set DOMO_CLIENT_ID, and DOMO_CLIENT_SECRET or DOMO_CLIENT_SECRET_FILE; or pass --client-id ID "
    "--client-secret-file FILE"
)


class Found(NamedTuple):
    """Credentials, what they are for, and where they were."""

    credentials: ClientCredentials
    base_url: str
    source: str


def find(client_id: str | None, client_secret_file: str | None, base_url: str) -> Found:
    """Find the client id and the secret, each in the options, else in the environment; else both in the keyring."""
    client_id = client_id or _variable(CLIENT_ID_VARIABLE)
    secret, file = _variable(CLIENT_SECRET_VARIABLE), client_secret_file or _variable(SECRET_FILE_VARIABLE)
    if not (client_id or secret or file):
        from .login import load

        if kept := load(base_url):
            return Found(kept, base_url, "the keyring")
        raise ConfigurationError(
            f"No client id and secret: {ALTERNATIVES}; or keep them in the system's keyring with: domo-oauth login"
        )
    if not client_id:
        raise ConfigurationError("There is a client secret, but no client id: set DOMO_CLIENT_ID, or pass --client-id.")
    if secret and not client_secret_file:
        if file:
            raise ConfigurationError(f"Both {CLIENT_SECRET_VARIABLE} and {SECRET_FILE_VARIABLE} are set: set only one.")
        return Found(ClientCredentials(client_id, secret), base_url, "the environment")
    return Found(ClientCredentials(client_id, read_secret(file)), base_url, _source(file))


def read_secret(path: str | None) -> str:
    """Read the secret from a file, from standard input (`-`), or from a person at a terminal."""
    if not path:
        return ask("client secret", f"set {CLIENT_SECRET_VARIABLE}, or pass --client-secret-file", hidden=True)
    file = 0 if path == "-" else path
    secret = read_file(file, "The file of the client secret")  # its path may be the secret itself, given by mistake
    _close(os.stat(file))  # noqa: PTH116 -- takes a descriptor
    return secret


def ask(what: str, instead: str, *, hidden: bool = False) -> str:
    """Ask a person at a terminal; if there is none, raise an error that says what to do instead."""
    if not (sys.stdin and sys.stdin.isatty()):
        raise ConfigurationError(f"There is no {what}, and no terminal to ask for it: {instead}.")
    from getpass import getpass

    try:
        return (getpass if hidden else input)(f"{what.capitalize()}: ").strip()
    except EOFError:
        raise ConfigurationError(f"No {what} was given.") from None


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _source(file: str) -> str:
    return "standard input" if file == "-" else f"the file {file}" if file else "the terminal"


def _close(file: os.stat_result) -> None:
    """Close a file wherever it is open, such as at stdin: a program started by `exec` could rewind and read it."""
    if not stat.S_ISREG(file.st_mode):  # it cannot be rewound
        return
    nothing = os.open(os.devnull, os.O_RDONLY)
    with suppress(OSError):  # there is no /dev/fd
        for number in map(int, os.listdir("/dev/fd")):  # noqa: PTH208 -- names, not paths
            with suppress(OSError):  # the descriptor of the listing is closed by now
                if os.path.samestat(os.fstat(number), file):
                    os.dup2(nothing, number)
