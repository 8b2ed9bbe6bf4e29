"""What a check reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Kind", "plain"]

Kind = Literal["fault", "news"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between an exchange and the contract.

    Attributes:
        where: The place in the exchange, such as ``response.body.expires_in``.
        message: What was expected and what was found; never a secret.
        kind: ``fault`` breaks the contract; ``news`` is worth knowing, such as a field that the contract does not name.
    """

    where: str
    message: str
    kind: Kind = "fault"

    def __str__(self) -> str:
        """In one line of ASCII, whatever names a foreign HAR or request brought along."""
        return plain(f"{self.where}: {self.message}")


def plain(text: str) -> str:
    """A foreign text in one line of ASCII, which any terminal takes and none obeys."""
    return "".join(
        each if each.isascii() and each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
