"""``domo-oauth exec``."""

from __future__ import annotations

import argparse
import os
import sys

from domo_oauth.credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE

from .messages import tell
from .obtain import obtain
from .options import STORE_VARIABLE, add_token_arguments

__all__ = ["EXAMPLES", "VARIABLE", "add_arguments", "run"]

EXAMPLES = """\
  domo-oauth exec -- ./upload.sh
  domo-oauth exec --scope data -- python3 report.py

Let no program take the token as an argument, which ps shows to others; for curl there is domo-oauth token --format
curl-config.

The command takes the place of this one: signals and the exit status are its own. It is given no client id, no secret
and no DOMO_STORE. The exit status is 127 if there is no such command, and 126 if it cannot be run."""

VARIABLE = "DOMO_ACCESS_TOKEN"
_KEPT_BACK = (CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, STORE_VARIABLE)
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as shells have it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_token_arguments(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")


def run(args: argparse.Namespace) -> int:
    """Become the command. Returns only if that is not possible, or on Windows, where it cannot be done."""
    command: list[str] = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        tell("No command is given: domo-oauth exec -- COMMAND")
        return 2
    obtained = obtain(args)
    environment = {name: value for name, value in os.environ.items() if name not in _KEPT_BACK}
    environment[VARIABLE] = obtained.token.access_token
    try:
        return _start(command, environment)
    except FileNotFoundError:
        tell(f"{command[0]}: there is no such command.")
        return _NOT_FOUND
    except OSError as error:
        tell(f"{command[0]} cannot be run: {error.strerror}.")
        return _NOT_EXECUTABLE


if sys.platform == "win32":  # pragma: no cover -- there is no Windows to try it on

    def _start(command: list[str], environment: dict[str, str]) -> int:
        import subprocess

        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 -- what was asked for

else:

    def _start(command: list[str], environment: dict[str, str]) -> int:
        import signal

        # Python ignores these for itself, and a program that is started this way would go on ignoring them.
        for name in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(name, signal.SIG_DFL)
        os.execvpe(command[0], command, environment)  # noqa: S606 -- no shell is wanted
