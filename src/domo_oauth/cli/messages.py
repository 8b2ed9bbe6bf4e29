"""Messages for people, on standard error."""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress

_OPTIONS = (
    (r", FileStore\(path\)", " in DOMO_STORE"),
    (r" The request goes on in the background: try again, or allow more time with timeout=seconds\.", ""),
    (r"(;|,? or) httpx_args=\{[^}]*\}( allows more( time)?( for each read)?)?|\bhttpx_args and ", ""),
    (r"\bmin_lifetime\b", "--min-lifetime"),
    (r"pass None if", "leave --scope out if"),
    (r"pass Scope\.custom\((.*)\)", r"pass --custom-scope \1"),
)
"""Advice for Python programmers in messages of the package, and the same advice for users of the command."""
_logger = logging.getLogger("domo_oauth")


def tell(text: str) -> None:
    """Print a message, if standard error can be written to."""
    with suppress(OSError):
        print(f"domo-oauth: {fit(text)}", file=sys.stderr)


def fit(text: str) -> str:
    """Make text printable on one line. It may come from a server, a file name, or the package's Python interface."""
    from domo_oauth.redact import one_line

    for python, here in _OPTIONS:
        text = re.sub(python, here, text)
    return one_line(text)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # The command itself reports what the provider warns about: that there is no token, or a short-lived one.
        if record.name != "domo_oauth.provider" or record.levelno < logging.WARNING:
            tell(self.format(record))


_handler = _Handler()


def show_log(*, verbose: bool) -> None:
    """Print the package's warnings as messages from now on; if verbose, everything that it logs."""
    _logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    _logger.addHandler(_handler)
