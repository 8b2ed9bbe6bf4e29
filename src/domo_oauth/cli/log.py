"""The package's log as messages."""

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
        # What a provider warns of, the command says itself: that there is no token, or one that is good for less.
        return record.name != "domo_oauth.provider" or _logger.level < logging.WARNING

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(self.format(record))


_logger = logging.getLogger("domo_oauth")


def attach(tell: Callable[[str], None], *, verbose: bool) -> None:
    """Tell warnings as messages; with ``verbose`` all records."""
    _logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    if not any(isinstance(handler, _Messages) for handler in _logger.handlers):
        _logger.addHandler(_Messages(tell))
