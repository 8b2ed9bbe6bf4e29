"""The command `domo-oauth`. Data goes to standard output, messages to standard error.

It is built on click, which the extra `cli` installs. A command's module is imported when the command runs, so that a
script that prints a token every minute does not pay for the others.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import TYPE_CHECKING, cast

from domo_oauth.errors import (
    ConfigurationError,
    DomoOAuthError,
    RateLimitedError,
    ServerError,
    TokenRequestError,
    TransportError,
    UnexpectedResponseError,
)
from domo_oauth.stores import StoreError

from .messages import tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import TextIOWrapper

__all__ = ["main"]

_EXIT_STATUSES: dict[type[DomoOAuthError], int] = {
    **dict.fromkeys((ConfigurationError, StoreError), 2),
    **dict.fromkeys((TransportError, RateLimitedError, ServerError), 4),
    UnexpectedResponseError: 5,
    TokenRequestError: 3,  # all others of its subclasses
    DomoOAuthError: 1,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The arguments; by default those of the process.

    Returns:
        The exit status, as `domo-oauth --help` lists them.
    """
    if argv is None:
        argv = sys.argv[1:]
        gc.disable()  # the process ends before there is much to collect
        atexit.register(gc.freeze)  # so that Python does not collect when it exits
    _prepare_streams()
    try:
        from .app import run

        status = run(list(argv))
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        tell("The command needs click: pip install 'domo-oauth[cli]'")
        return 2
    except DomoOAuthError as error:
        tell(str(error))
        return next(status for kind, status in _EXIT_STATUSES.items() if isinstance(error, kind))
    except KeyboardInterrupt:
        return 128 + 2  # what a shell reports for SIGINT
    except OSError as error:
        _discard_output()
        if isinstance(error, BrokenPipeError):
            return 128 + 13  # what a shell reports for SIGPIPE
        tell(f"{error.filename or 'Standard output'} cannot be used: {error.strerror or error}.")
        return 1
    return status


def _prepare_streams() -> None:
    """Replace closed streams (`>&-`), which are None: print() would write messages to standard output instead."""
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] -- typeshed does not know
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 -- open until the process ends
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] -- as above
        # Opened for reading, so that writing fails with an error, as it does for other commands.
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    # A name that the terminal cannot show is not an error.
    cast("TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Discard what could not be written, or Python reports it again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
