"""Foreign text among our own."""

from __future__ import annotations

__all__ = ["one_line"]


def one_line(text: str) -> str:
    """The text on one line, without characters that are not to be seen, some of which a terminal obeys."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
