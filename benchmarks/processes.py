"""One sample of what several processes do that want a token at once, and of what one needs in memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .endpoint import Endpoint
    from .subjects import Sample, Subject

_PAGE = 4096 / 2**20  # MiB; what /proc counts in
_ready: dict[Subject, Callable[[], object]] = {}


def prepare(subject: Subject, endpoint: Endpoint, folder: str) -> Sample:  # noqa: ARG001 -- called as all measures
    """Load the library, and make an object that has no token, and shares one with others by a folder if it can."""
    _ready[subject] = subject.getter(subject.shared(Path(folder)))
    return {}


def go(subject: Subject, endpoint: Endpoint) -> Sample:  # noqa: ARG001 -- called as all measures
    """Ask with what was prepared."""
    begun = time.perf_counter()
    failed = False
    try:
        _ready.pop(subject)()
    except Exception:  # noqa: BLE001 -- each library has its own
        failed = True
    return {"slowest": (time.perf_counter() - begun) * 1e3, "failed": failed}


def memory(subject: Subject, endpoint: Endpoint) -> Sample:
    """MiB of a process with a token at hand. Floor: the process before it loads the library."""
    endpoint.answers()
    floor = _resident()
    it = subject.new()
    subject.getter(it)()
    return {"floor": floor, "value": _resident()}


PROCESSES = (prepare, go, memory)


def _resident() -> float:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        raise NotImplementedError
    return int(statm.read_text(encoding="ascii").split()[1]) * _PAGE
