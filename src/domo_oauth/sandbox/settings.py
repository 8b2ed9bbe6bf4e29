"""What can be chosen about a sandbox."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

from domo_oauth.base_url import is_loopback
from domo_oauth.errors import ConfigurationError

from .clients import DEMO_CLIENT, Client

__all__ = ["DEFAULT_LIFETIME", "DEFAULT_PORT", "Settings"]

DEFAULT_PORT = 8765
DEFAULT_LIFETIME = 3599  # what Domo answers: an hour, less the part of a second that has gone by
_HIGHEST_PORT = 65535
_LONGEST_LIFETIME = 2**63 - 1  # what the contract allows for expires_in: an int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a sandbox behaves.

    Attributes:
        clients: The clients that it knows.
        host: A loopback address, or ``localhost``. Nobody else on the network is to ask for tokens.
        port: The TCP port; 0 for any that is free.
        lifetime: ``expires_in`` of its tokens, in seconds: 0 to 2**63 - 1, as the contract has it. A token of 0 seconds
            has expired when it arrives.
        delay: Seconds that the token endpoint waits before it answers.
        validate_responses: Check the token endpoint's own answers against the contract; one that breaks it becomes
            a 500 that says so.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    clients: tuple[Client, ...] = (DEMO_CLIENT,)
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    lifetime: int = DEFAULT_LIFETIME
    delay: float = 0.0
    validate_responses: bool = False

    def __post_init__(self) -> None:
        if not self.clients:
            raise ConfigurationError("The sandbox needs at least one client.")
        if not is_loopback(self.host):
            raise ConfigurationError(f"The sandbox listens on loopback only, not on {self.host}: use 127.0.0.1 or ::1.")
        if not 0 <= self.port <= _HIGHEST_PORT:
            raise ConfigurationError(f"{self.port} is not a port: it must be 0 (any that is free) to {_HIGHEST_PORT}.")
        if not 0 <= self.lifetime <= _LONGEST_LIFETIME:
            raise ConfigurationError(
                f"A token cannot live for {self.lifetime} seconds: it must be 0 to {_LONGEST_LIFETIME}, "
                "as in the contract."
            )
        if not (math.isfinite(self.delay) and self.delay >= 0):
            raise ConfigurationError(f"An answer cannot be {self.delay} seconds late: it must be 0 or more.")

    def to_json(self) -> str:
        """One line that :meth:`from_json` reads. It holds the clients' secrets: for a pipe, not for a log."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The settings that :meth:`to_json` wrote."""
        fields = json.loads(text)
        clients = tuple(Client(**client) for client in fields.pop("clients"))
        return cls(clients=clients, **fields)
