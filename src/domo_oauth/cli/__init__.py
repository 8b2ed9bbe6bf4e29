"""The command ``domo-oauth``. Data go to standard output, messages to standard error.

Each command is a module, which is loaded when that command runs: a script that asks for a token every minute does not
wait for what the others need.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from domo_oauth.errors import (
    ConfigurationError,
    DomoOAuthError,
    RateLimitedError,
    ServerError,
    TokenRequestError,
    TransportError,
    UnexpectedResponseError,
)

from .messages import tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["COMMANDS", "EXIT_STATUSES", "main"]

_GARBAGE = 100_000
"""Objects made before Python looks for garbage; 700 otherwise, so that it would look a hundred times."""

COMMANDS = {
    "token": "print an access token",
    "exec": "run a command with an access token in its environment",
    "whoami": "show whom the access token acts for, and how long it is good",
    "forget": "remove stored access tokens",
    "login": "keep a client id and secret in the system's keyring",
    "logout": "remove the client id and secret from the system's keyring",
    "doctor": "tell in order what works and what does not",
    "sandbox": "run a local server that behaves like the endpoint",
    "verify": "check recorded exchanges (HAR files) against the contract",
    "record": "ask the endpoint for one token and three errors, and write redacted recordings",
    "spec": "print the contract",
    "completion": "print a script that makes a shell complete this command",
}
"""The commands and what they do, in the order of the help."""

EXIT_STATUSES = """\
exit status:
  0  done
  1  a check failed, or what was to be written cannot be
  2  wrong usage, or something is not set up; nothing was sent
  3  Domo refused the client, its scopes or the request; the same will be refused again
  4  not now: no answer (network, proxy, TLS, time-out), too many requests, or a fault at Domo
  5  an answer that is not the contract's
  130, 141  stopped by Ctrl-C, or by a pipe that was closed"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status (see ``domo-oauth --help``)."""
    if argv is None:  # the process is ours: it ends before there is anything worth collecting
        gc.set_threshold(_GARBAGE)
    _replace_closed_streams()
    try:
        status = _run(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
    except DomoOAuthError as error:
        tell(str(error))
        return _exit_status(error)
    except KeyboardInterrupt:
        return 128 + 2  # what a shell gives for SIGINT
    except BrokenPipeError:
        _drop_output()
        return 128 + 13  # what a shell gives for SIGPIPE
    except OSError as error:
        _drop_output()
        tell(f"{error.filename or 'Standard output'} cannot be used: {error.strerror or error}.")
        return 1
    return status


def _run(argv: list[str]) -> int:
    args = _simple(argv) or _parsed(argv)
    status: int = args if isinstance(args, int) else args.run(args)
    return status


def _simple(argv: list[str]) -> Any:
    if argv[:1] != ["token"]:
        return None
    from .token import simple_arguments

    return simple_arguments(argv[1:])


def _parsed(argv: list[str]) -> Any:
    """The arguments; or the exit status where there was help to give, or something wrong to tell."""
    from .parsers import command_parser, whole_parser

    try:
        if argv and argv[0] in COMMANDS:
            return command_parser(argv[0]).parse_args(argv[1:])
        return whole_parser(fill=False).parse_args(argv)  # which helps, or says what is wrong
    except SystemExit as ended:
        return ended.code


def _exit_status(error: DomoOAuthError) -> int:
    from domo_oauth.stores import StoreError

    match error:
        case ConfigurationError() | StoreError():
            return 2
        case TransportError() | RateLimitedError() | ServerError():
            return 4
        case UnexpectedResponseError():
            return 5
        case TokenRequestError():
            return 3
        case _:
            return 1


def _replace_closed_streams() -> None:
    """Where a stream was closed (``>&-``), Python has None, and print() would write to the other one instead."""
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] -- it may be
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 -- until the process ends
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] -- it may be
        # Not to be written to: whoever tries is told, as by other commands.
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error


def _drop_output() -> None:
    """Throw away what could not be written, or Python complains once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
