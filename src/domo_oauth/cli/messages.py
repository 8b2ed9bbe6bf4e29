"""Messages for people, on standard error."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["paint", "show_log", "tell"]

COLORS = {"ok": "32", "warn": "33", "fail": "31", "skip": "2"}


def tell(text: str) -> None:
    """Print a message. Where that is not possible there is nobody to tell it to."""
    with suppress(OSError):
        print(f"domo-oauth: {text}", file=sys.stderr)


def show_log(*, verbose: bool) -> None:
    """Print the package's warnings as messages from now on; with ``verbose`` all that it logs."""
    from .log import attach

    attach(tell, verbose=verbose)


def paint(word: str, stream: TextIO) -> str:
    """The word in its color, where a person looks at a terminal and has not said ``NO_COLOR`` (no-color.org)."""
    plain = not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return word if plain else f"\x1b[{COLORS[word]}m{word}\x1b[0m"
