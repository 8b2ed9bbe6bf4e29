"""`domo-oauth exec`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

import click

from domo_oauth.credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE
from domo_oauth.stores import STORE_VARIABLE

from .credentials import SECRET_FILE_VARIABLE
from .messages import tell
from .options import token_options
from .token import obtain

_WITHHELD = {CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, SECRET_FILE_VARIABLE, STORE_VARIABLE}
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as in shells


@click.command(context_settings={"allow_interspersed_args": False})
@token_options
@click.argument("command", metavar="[--] COMMAND...", nargs=-1, required=True, type=click.Path())
def exec_(command: tuple[str, ...], **options: Any) -> int:
    """Run a command with an access token in its environment.

    The command finds the token in DOMO_ACCESS_TOKEN. It should not pass it on as an argument, which ps shows to other
    users; for curl there is 'token --format curl-config'.

    It replaces this command, so signals and the exit status are its own. It gets no client id, no secret, no open file
    of the secret, and no DOMO_STORE. The exit status is 127 if there is no such command, and 126 if it cannot be run.

    \b
    Examples:
      domo-oauth exec -- ./upload.sh
      domo-oauth exec --scope data -- python3 report.py
    """
    obtained = obtain(**options)
    environment = {name: value for name, value in os.environ.items() if name not in _WITHHELD}
    environment["DOMO_ACCESS_TOKEN"] = obtained.token.access_token
    try:
        _become(command, environment)
    except FileNotFoundError:
        tell("exec: there is no such command.")
        return _NOT_FOUND
    except OSError as error:
        tell(f"exec: the command cannot be run: {error.strerror}.")
        return _NOT_EXECUTABLE


def _become(command: tuple[str, ...], environment: dict[str, str]) -> NoReturn:
    if os.name == "nt":  # pragma: no cover -- not tried; a process cannot be replaced there
        import subprocess

        sys.exit(subprocess.run(command, env=environment, check=False).returncode)  # noqa: S603 -- what was asked for
    # Python ignores these signals, and a program that it executes would, too.
    for name in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(name, signal.SIG_DFL)
    os.execvpe(command[0], command, environment)  # noqa: S606 -- no shell is wanted
