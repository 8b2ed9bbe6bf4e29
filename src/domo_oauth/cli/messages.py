"""Messages for people, on standard error."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from domo_oauth.redact import one_line

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["fit", "paint", "show_log", "tell"]

COLORS = {"ok": "32", "warn": "33", "fail": "31", "skip": "2"}

_OPTIONS = (
    (r", FileStore\(path\)", " in DOMO_STORE"),
    (r", or allow more time with timeout=seconds", ""),
    (r"pass None if", "leave --scope out if"),
    (r"pass Scope\.custom\((.*)\)", r"pass --custom-scope \1"),
)
"""What the package tells its callers to do in Python, and what that is here."""


def tell(text: str) -> None:
    """Print a message. Where that is not possible there is nobody to tell it to."""
    with suppress(OSError):
        print(f"domo-oauth: {fit(text)}", file=sys.stderr)


def fit(text: str) -> str:
    """A text that may hold the words of a server, or of the package to its callers, fit to be shown to a person."""
    for python, here in _OPTIONS:
        text = re.sub(python, here, text)
    return one_line(text)


def show_log(*, verbose: bool) -> None:
    """Print the package's warnings as messages from now on; with ``verbose`` all that it logs."""
    from .log import attach

    attach(tell, verbose=verbose)


def paint(word: str, stream: TextIO) -> str:
    """The word in its color, where a person looks at a terminal and has not said ``NO_COLOR`` (no-color.org)."""
    plain = not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return word if plain else f"\x1b[{COLORS[word]}m{word}\x1b[0m"
