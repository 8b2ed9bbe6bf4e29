"""Which harm a server does, and when: drawn from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random

__all__ = ["ANSWERS", "Harm", "draw"]

ANSWERS = ("503", "503-retry-after", "429", "500", "html-502", "page", "reset", "truncated", "slow", "hang")
"""What befalls requests for a token."""
_OTHERS = ("restart", "revoke", "revoke", "refuse-all")
"""What befalls the server as a whole, the tokens that it has granted, and for a while all tokens."""


class Harm(NamedTuple):
    """One fault."""

    kind: str
    calm: float
    """Seconds before it."""
    seconds: float
    """How long it stays at most."""
    requests: int
    """How many requests for a token it befalls at most."""
    retry_after: int
    """What it asks for where it does, in seconds of the clients' clock: within the time for tries, and beyond it."""


def draw(chance: random.Random, lifetime: float) -> Harm:
    """The next fault, for tokens that last so many real seconds."""
    kind = chance.choice(ANSWERS + _OTHERS)
    longest = {"restart": 1.0, "refuse-all": 2.0}.get(kind, 4.0)
    return Harm(
        kind,
        calm=chance.expovariate(1 / (4 * lifetime)),
        seconds=chance.uniform(0.1, longest) * lifetime,
        requests=chance.choice((1, 1, 2, 3, 5, 8, 20)),
        retry_after=chance.choice((1, 2, 5, 12, 25)),
    )
