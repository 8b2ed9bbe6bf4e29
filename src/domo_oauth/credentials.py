"""Who asks for a token: a client id and its secret."""

from __future__ import annotations

import os

from .errors import ConfigurationError
from .values import Value

__all__ = ["CLIENT_ID_VARIABLE", "CLIENT_SECRET_VARIABLE", "ClientCredentials"]

CLIENT_ID_VARIABLE = "DOMO_CLIENT_ID"
CLIENT_SECRET_VARIABLE = "DOMO_CLIENT_SECRET"  # noqa: S105 -- the name of a variable, not a secret


class ClientCredentials(Value):
    """A client id and its secret, as Domo's developer portal shows them.

    Both are opaque: their form is not checked beyond what HTTP Basic authentication can carry (RFC 7617, section 2).

    Args:
        client_id: The client id, without a colon.
        client_secret: The client secret.

    Raises:
        ConfigurationError: One of them is missing, or holds what cannot be sent: spaces around it, control
            characters, a colon in the client id.
    """

    __slots__ = ("client_id", "client_secret")

    client_id: str
    client_secret: str

    def __init__(self, client_id: str, client_secret: str) -> None:
        fault = _fault("client id", client_id, CLIENT_ID_VARIABLE)
        fault = fault or _fault("client secret", client_secret, CLIENT_SECRET_VARIABLE)
        if fault is None and ":" in client_id:
            fault = "The client id has a colon, which HTTP Basic authentication cannot carry (RFC 7617): check it."
        if fault is not None:
            del client_id, client_secret  # a traceback with locals shows this frame
            raise ConfigurationError(fault)
        self._set(client_id, client_secret)

    @classmethod
    def from_env(cls) -> ClientCredentials:
        """Read the credentials from ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``.

        Spaces and line ends around a value are taken off: they come along when a file is read into a variable.

        Raises:
            ConfigurationError: A variable is missing or empty, or a value cannot be sent.
        """
        missing = [name for name in (CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE) if not _variable(name)]
        if missing:
            raise ConfigurationError(
                f"Not set in the environment: {' and '.join(missing)}. Domo's developer portal shows them for your "
                "client; set them, or pass ClientCredentials(client_id, client_secret)."
            )
        return cls(_variable(CLIENT_ID_VARIABLE), _variable(CLIENT_SECRET_VARIABLE))

    @property
    def masked_client_id(self) -> str:
        """The first characters of the client id, four or a third of it: enough to tell clients apart."""
        return f"{self.client_id[: min(4, len(self.client_id) // 3)]}…"

    def __repr__(self) -> str:
        if not hasattr(self, "client_id"):
            return "ClientCredentials()"  # refused, and in a traceback with locals
        return f"ClientCredentials(client_id='{self.masked_client_id}', client_secret=hidden)"


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _fault(name: str, value: object, variable: str) -> str | None:
    """Why the value cannot be sent, without showing it; None when it can."""
    if not isinstance(value, str):
        return f"The {name} must be a str, not {type(value).__name__}."
    if not value:
        return f"The {name} is empty: pass the one that Domo's developer portal shows, for example in {variable}."
    if value != value.strip() or not value.isprintable():
        return f"The {name} has a space or line end around it, or a control character in it: copy it once more."
    return None
