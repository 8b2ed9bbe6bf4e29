"""What this package tells, under the logger ``domo_oauth``.

A handler or a filter that raises costs nobody a token. And logging takes longer to import than a token from a store
takes to read: where nobody has loaded it, nobody listens to what is less than a warning.
"""

from __future__ import annotations

import sys
from contextlib import suppress

__all__ = ["debug", "info", "warning"]

_DEBUG, _INFO, _WARNING = 10, 20, 30


def debug(message: str, *args: object) -> None:
    """Tell what only somebody who looks for a fault wants to know."""
    _tell(_DEBUG, message, args)


def info(message: str, *args: object) -> None:
    """Tell what happens once in a while, as it should."""
    _tell(_INFO, message, args)


def warning(message: str, *args: object) -> None:
    """Tell what somebody should look at."""
    _tell(_WARNING, message, args)


def _tell(level: int, message: str, args: tuple[object, ...]) -> None:
    if level < _WARNING and "logging" not in sys.modules:
        return
    with suppress(Exception):
        import logging

        logging.getLogger("domo_oauth").log(level, message, *args, stacklevel=3)
