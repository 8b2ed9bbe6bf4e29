"""Who may ask the sandbox for tokens."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, cast

from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import ConfigurationError
from domo_oauth.scopes import Scope

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["DEMO_CLIENT", "Client", "load_clients"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client that the sandbox knows, and what its tokens say.

    Attributes:
        client_id: The user name of HTTP Basic authentication.
        client_secret: The password. Hidden from the repr.
        scopes: The scopes that the client has; a token without a wish for scopes gets them all.
        customer: Name of the Domo instance.
        role: Role of the user that the client acts for.
        user_id: Id of that user.

    Raises:
        ConfigurationError: The id, the secret or a scope could not be sent (RFC 7617, section 2; RFC 6749,
            section 3.3), or there is no scope.
    """

    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    customer: str = "sandbox"
    role: str = "Admin"
    user_id: int = 123456789

    def __post_init__(self) -> None:
        ClientCredentials(self.client_id, self.client_secret)
        if not self.scopes:
            raise ConfigurationError("The client has no scope: a client without any could not use its tokens.")
        # Sorted, so that what is granted has the same order however it was asked for.
        object.__setattr__(self, "scopes", tuple(sorted({str(Scope.custom(name)) for name in self.scopes})))


# Not all of the scopes, so that "a scope that the client does not have" can be tried: account, buzz, workflow.
DEMO_CLIENT = Client(
    client_id="demo-client",
    client_secret="not-a-secret",  # noqa: S106 -- public on purpose
    scopes=("audit", "dashboard", "data", "user"),
)

_KEYS: Mapping[str, type] = {
    "client_id": str,
    "client_secret": str,
    "scopes": list,
    "customer": str,
    "role": str,
    "user_id": int,
}
_REQUIRED = [each.name for each in fields(Client) if each.default is MISSING]


def load_clients(path: str | os.PathLike[str]) -> tuple[Client, ...]:
    """Read clients from a TOML file: one ``[[clients]]`` table each, with the attributes of :class:`Client` as keys.

    Raises:
        ConfigurationError: The file cannot be read, or a table is wrong; the message names the table and the key.
    """
    import tomllib

    try:
        with open(path, "rb") as file:  # noqa: PTH123 -- takes every kind of path
            document = tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is none of tomllib's own errors
        raise ConfigurationError(f"{path} is not TOML: {error}.") from None
    tables = document.pop("clients", None)
    if document:
        raise ConfigurationError(f"{path}: {', '.join(document)}: no such key; the file holds [[clients]] tables only.")
    if not isinstance(tables, list) or not tables:
        raise ConfigurationError(f"{path}: no [[clients]] table. Each client is one such table.")
    clients: dict[str, Client] = {}
    for number, table in enumerate(cast("list[object]", tables), 1):
        where = f"{path}, [[clients]] table {number}"
        client = _client(table, where)
        if client.client_id in clients:
            raise ConfigurationError(f"{where}: client_id: another table has the same.")
        clients[client.client_id] = client
    return tuple(clients.values())


def _client(item: object, where: str) -> Client:
    if not isinstance(item, dict):
        raise ConfigurationError(f"{where}: not a table.")
    table = cast("dict[str, object]", item)
    for key, value in table.items():
        expected = _KEYS.get(key)
        if expected is None:
            import difflib

            near = difflib.get_close_matches(key, _KEYS, n=1)
            meant = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(_KEYS)}."
            raise ConfigurationError(f"{where}: {key}: no such key{meant}")
        # By type() rather than isinstance(): true is no user id.
        if type(value) is not expected:
            raise ConfigurationError(f"{where}: {key}: must be {expected.__name__}, not {type(value).__name__}.")
    for key in _REQUIRED:
        if key not in table:
            raise ConfigurationError(f"{where}: {key}: missing.")
    scopes = cast("list[object]", table["scopes"])
    if not all(isinstance(name, str) for name in scopes):
        raise ConfigurationError(f'{where}: scopes: must be a list of names, such as ["data", "user"].')
    table["scopes"] = tuple(scopes)
    try:
        return Client(**cast("dict[str, Any]", table))
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None
