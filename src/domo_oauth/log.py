"""What this package tells, under the logger ``domo_oauth``.

A handler or a filter that raises costs nobody a token. And logging takes longer to import than a token from a store
takes to read: where nobody has loaded it, nobody listens to what is less than a warning.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

__all__ = ["debug", "info", "warning"]

_logger: Logger | None = None
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
    try:
        (_logger or _find_logger()).log(level, message, *args, stacklevel=3)
    except Exception as error:
        from .interrupts import is_interrupt

        if is_interrupt(error):
            raise


def _find_logger() -> Logger:
    """The logger, once: to find it takes a lock that an interrupt may leave locked, and then nobody can log."""
    global _logger  # noqa: PLW0603
    import logging

    _logger = logging.getLogger("domo_oauth")
    return _logger
