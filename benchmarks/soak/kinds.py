"""The groups of processes: see the package's docstring for why."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KINDS", "Kind"]


class Kind(NamedTuple):
    """How the processes of a group live."""

    name: str
    lifetime: int
    """Seconds of the group's clock, as the server grants them."""
    speed: float
    timeout: float
    """Of token requests, in real seconds: some of the 60 s of a fetch, which are 0.411 s for the year's clock."""
    processes: int

    @property
    def whos(self) -> list[str]:
        """The names of its processes."""
        return [self.name] if self.processes == 1 else [f"{self.name}-{number + 1}" for number in range(self.processes)]


KINDS = (
    Kind("year", 60, 8760 * 60 / 3600, 0.08, 1),
    Kind("file", 5, 1.0, 1.0, 2),
    Kind("redis", 5, 1.0, 1.0, 2),
)
