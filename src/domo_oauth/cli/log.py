"""The package's log as messages. In a module of its own, as ``logging`` takes its time to import."""

from __future__ import annotations

import logging

from .messages import tell

__all__ = ["attach"]


class _Messages(logging.Handler):
    """Prints each record as a message."""

    def filter(self, record: logging.LogRecord) -> bool:
        # That a provider has no token comes as an exception, too, and is told once.
        return record.module != "provider" or _logger.level < logging.WARNING

    def emit(self, record: logging.LogRecord) -> None:
        tell(self.format(record))


_logger = logging.getLogger("domo_oauth")
_handler = _Messages()


def attach(*, verbose: bool) -> None:
    """Print warnings as messages; with ``verbose`` all records."""
    _logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    _logger.addHandler(_handler)
