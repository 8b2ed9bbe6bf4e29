"""The package's log as messages. In a module of its own, as ``logging`` takes its time to import."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["attach"]


class _Messages(logging.Handler):
    """Tells each record as a message."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def filter(self, record: logging.LogRecord) -> bool:
        # That a provider has no token comes as an exception, too, and is told once.
        return record.module != "provider" or _logger.level < logging.WARNING

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(self.format(record))


_logger = logging.getLogger("domo_oauth")


def attach(tell: Callable[[str], None], *, verbose: bool) -> None:
    """Tell warnings as messages; with ``verbose`` all records."""
    _logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    if not any(isinstance(handler, _Messages) for handler in _logger.handlers):
        _logger.addHandler(_Messages(tell))
