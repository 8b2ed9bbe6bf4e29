"""What happened, line by line in a file, so that the soak's own memory does not grow with what it knows."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Event", "Events", "read"]

Event: TypeAlias = dict[str, Any]
"""Times (``at``, ``began``, ``ended``, ``sent``, ...) are in s of the system's monotonic clock, which all processes
have in common."""


class Events:
    """A file of one process, which its threads write to."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="ascii")
        self._lock = threading.Lock()

    def write(self, event: str, **what: object) -> None:
        line = json.dumps({"event": event, "at": time.monotonic(), **what})
        with self._lock:
            self._file.write(f"{line}\n")

    def close(self) -> None:
        with self._lock:
            self._file.close()


def read(path: Path) -> list[Event]:
    """All events, by the time at which they were written; but the last line of a process that was killed."""
    with path.open(encoding="ascii") as lines:
        return sorted((json.loads(line) for line in lines if line.endswith("\n")), key=lambda event: float(event["at"]))
