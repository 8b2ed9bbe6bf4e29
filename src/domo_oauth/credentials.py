"""A client id and its secret."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from attrs import astuple, field, frozen

from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CLIENT_ID_VARIABLE", "CLIENT_SECRET_VARIABLE", "ClientCredentials", "HttpxArgs"]

CLIENT_ID_VARIABLE = "DOMO_CLIENT_ID"
CLIENT_SECRET_VARIABLE = "DOMO_CLIENT_SECRET"  # noqa: S105 -- the name of a variable, not a secret


@frozen(repr=False, eq=False)
class ClientCredentials:
    """A client id and its secret, as Domo's developer portal shows them.

    Both are opaque. They are only checked for what HTTP Basic authentication cannot carry (RFC 7617, section 2).

    Args:
        client_id: The client id, without a colon.
        client_secret: The client secret.

    Raises:
        ConfigurationError: A value is missing, has spaces around it or control characters, or the client id has a
            colon.
    """

    client_id: str = field(repr=False)  # rich prints fields, whatever the repr is
    client_secret: str = field(repr=False)

    def __init__(self, client_id: str, client_secret: str) -> None:
        problem = _problem("client id", client_id, CLIENT_ID_VARIABLE)
        problem = problem or _problem("client secret", client_secret, CLIENT_SECRET_VARIABLE)
        if problem is None and ":" in client_id:
            problem = "The client id has a colon, which HTTP Basic authentication cannot carry (RFC 7617): check it."
        if problem is not None:
            del client_id, client_secret  # a traceback that shows locals shows this frame
            raise ConfigurationError(problem)
        self.__attrs_init__(client_id, client_secret)  # type: ignore[attr-defined] # made by attrs

    @classmethod
    def from_env(cls) -> ClientCredentials:
        """Read the credentials from ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``.

        Whitespace around a value is dropped, as it comes along when a file is read into a variable.

        Raises:
            ConfigurationError: A variable is missing or empty, or HTTP Basic authentication cannot carry a value.
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
        """The first four characters of the client id, or a third of it: enough to tell clients apart."""
        return f"{self.client_id[: min(4, len(self.client_id) // 3)]}…"

    # Not those of attrs, or pytest would show the fields if an assertion of equality fails.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientCredentials) and astuple(self) == astuple(other)

    def __hash__(self) -> int:
        return hash(astuple(self))

    def __repr__(self) -> str:
        if not hasattr(self, "client_id"):
            return "ClientCredentials()"  # refused by __init__
        return f"ClientCredentials(client_id='{self.masked_client_id}', client_secret=hidden)"


def _variable(name: str) -> str:
    # Not the mapping itself: tracebacks that show the value of what a line names would show the whole environment.
    return os.getenv(name, "").strip()


def _problem(name: str, value: object, variable: str) -> str | None:
    """Why the value cannot be sent, without showing it; None if it can."""
    if not isinstance(value, str):
        return f"The {name} must be a str, not {type(value).__name__}."
    if not value:
        return f"The {name} is empty: pass the one that Domo's developer portal shows, for example in {variable}."
    if value != value.strip() or not value.isprintable():
        return f"The {name} has whitespace around it or a control character in it: copy it again."
    return None


class HttpxArgs(dict[str, Any]):
    """Arguments for an ``httpx.Client``. They may hold a proxy's password, so the repr does not show them."""

    @classmethod
    def checked(cls, given: Mapping[str, Any] | None) -> HttpxArgs:
        """A copy of what a caller passed.

        Raises:
            ConfigurationError: It is not a mapping, or it has base_url or auth, which are arguments of their own.
        """
        try:
            args = cls(given or {})
        except (TypeError, ValueError):
            raise ConfigurationError("httpx_args must be a dictionary of arguments for httpx.Client.") from None
        finally:
            del given  # a traceback that shows locals shows this frame
        if args.keys() & {"base_url", "auth"}:
            del args  # some tools show what is in a dictionary, whatever its repr
            raise ConfigurationError(
                "httpx_args cannot have base_url or auth: base_url and credentials are arguments of their own."
            )
        return args

    def __repr__(self) -> str:
        return "HttpxArgs(hidden)"
