"""A client id and its secret, and where they come from."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import astuple, field, frozen

from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

logger = logging.getLogger(__name__)

CLIENT_ID_VARIABLE = "DOMO_CLIENT_ID"
CLIENT_SECRET_VARIABLE = "DOMO_CLIENT_SECRET"  # noqa: S105 -- the name of a variable, not a secret
_NAMES = ("client_id", "client_secret")
_LONGEST = 65536  # bytes; far longer than any secret


@frozen(repr=False, eq=False)
class ClientCredentials:
    """A client id and its secret, as Domo's developer portal shows them.

    Both are opaque. They are only checked for what HTTP Basic authentication cannot carry (RFC 7617, section 2).

    Args:
        client_id: The client id, without a colon.
        client_secret: The client secret.

    Raises:
        ConfigurationError: A value is missing, has whitespace around it or control characters, or the client id has a
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
            del client_id, client_secret  # tracebacks can show locals
            raise ConfigurationError(problem)
        self.__attrs_init__(client_id, client_secret)  # type: ignore[attr-defined] # made by attrs

    @classmethod
    def from_env(cls, prefix: str = "DOMO_") -> ClientCredentials:
        """Read ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``, without whitespace around them.

        ``DOMO_CLIENT_SECRET_FILE`` can name a file that holds the secret; see `from_file` for who may own it.

        Args:
            prefix: What the names of these variables begin with; DOMO_API_URL and DOMO_STORE are not affected.

        Raises:
            ConfigurationError: A variable is missing or empty, HTTP Basic authentication cannot carry its value, or
                the file cannot be read or trusted.
        """
        id_name, secret_name = f"{prefix}CLIENT_ID", f"{prefix}CLIENT_SECRET"
        file_name = f"{secret_name}_FILE"
        if _variable(file_name) and _variable(secret_name):
            raise ConfigurationError(f"Both {secret_name} and {file_name} are set: set only one.")
        secret_in = file_name if _variable(file_name) else secret_name
        if missing := [name for name in (id_name, secret_in) if not _variable(name)]:
            raise ConfigurationError(
                f"Not set or empty in the environment: {' and '.join(missing)}. Domo's developer portal shows the "
                f"client id and its secret. {file_name} can name a file that has the secret."
            )
        if secret_in == secret_name:
            return cls(_variable(id_name), _variable(secret_name))
        # The message shows no path: the variable may hold the secret itself by mistake.
        return cls(_variable(id_name), read_file(_variable(file_name), f"The file that {file_name} names"))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> ClientCredentials:
        """Read a JSON object, or a folder with a file for each name, as Kubernetes and Docker mount secrets.

        The names are ``client_id`` and ``client_secret``, or ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``. A file that
        belongs to anyone but you or root, or that other users can write, is refused.

        Raises:
            ConfigurationError: A file or a name is missing, a file cannot be read or trusted, or HTTP Basic
                authentication cannot carry a value.
        """
        values: Any = None
        try:
            if (folder := Path(path)).is_dir():
                names = [_known_name(each, [file.name for file in folder.iterdir()]) for each in _NAMES]
                values = [read_file(folder / name, str(folder / name)) for name in names]
            else:
                values = json.loads(read_file(folder, str(path)))
                values = [values[_known_name(each, values)] for each in _NAMES]
            return cls(*values)
        except (ValueError, LookupError, TypeError, RecursionError):
            raise ConfigurationError(
                f"{path} must be a JSON object with client_id and client_secret, or a folder with a file for each."
            ) from None
        finally:
            del values  # tracebacks can show locals

    @property
    def masked_client_id(self) -> str:
        """At most four characters of the client id, and at most a third of it: enough to tell clients apart."""
        return f"{self.client_id[: min(4, len(self.client_id) // 3)]}…"

    # Not generated by attrs: pytest would show the fields of unequal credentials.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientCredentials) and astuple(self) == astuple(other)

    def __hash__(self) -> int:
        return hash(astuple(self))

    def __repr__(self) -> str:
        if not hasattr(self, "client_id"):
            return "ClientCredentials()"  # rejected by __init__; Python 3.11 cannot show locals without a repr
        return f"ClientCredentials(client_id='{self.masked_client_id}', client_secret=hidden)"


CredentialsSource: TypeAlias = Callable[[], ClientCredentials]
"""Returns the current credentials, for example from a secret manager. Called on a background thread."""


@frozen
class EnvironmentSource:
    """Reads credentials from the environment. Providers with equal prefix and equal first values share a token."""

    prefix: str
    first: ClientCredentials

    def __call__(self) -> ClientCredentials:
        """Read the variables."""
        return ClientCredentials.from_env(self.prefix)


def check_owner(info: os.stat_result, what: str) -> None:
    """Refuse a file that somebody else may have written. In Docker and Kubernetes, root owns secrets, with mode 0644.

    Raises:
        ConfigurationError: It belongs to neither this user nor root, or other users can write it.
    """
    if os.name != "posix" or not stat.S_ISREG(info.st_mode):
        return
    if info.st_uid not in {0, os.geteuid()}:
        raise ConfigurationError(f"{what} belongs to another user: give a file of your own.")
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(f"{what} can be changed by other users: chmod 600 it.")
    if info.st_uid and info.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        logger.warning("%s can be read by other users: chmod 600 it.", what)


def read_file(path: str | os.PathLike[str] | int, what: str) -> str:
    """Read a file that nobody else may have written. A descriptor stays open. Messages call the file ``what``.

    Raises:
        ConfigurationError: It cannot be read or trusted.
    """
    try:
        with open(path, "rb", closefd=not isinstance(path, int)) as file:
            check_owner(os.fstat(file.fileno()), what)
            return file.read(_LONGEST).decode("utf-8-sig").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
    raise ConfigurationError(f"{what} cannot be read: {reason}.")


def _known_name(name: str, names: Iterable[str]) -> str:
    return name if name in names else f"DOMO_{name.upper()}"


def _variable(name: str) -> str:
    return os.getenv(name, "").strip()  # tracebacks that look names up would show the whole environment


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
        """Copy what a caller passed.

        Raises:
            ConfigurationError: It is not a mapping, or it has base_url or auth, which are arguments of their own.
        """
        try:
            args = cls(given or {})
        except (TypeError, ValueError):
            raise ConfigurationError("httpx_args must be a dictionary of arguments for httpx.Client.") from None
        finally:
            del given  # tracebacks can show locals
        if args.keys() & {"base_url", "auth"}:
            del args  # some tools show what is in a dictionary, whatever its repr
            raise ConfigurationError(
                "httpx_args cannot have base_url or auth: base_url and credentials are arguments of their own."
            )
        return args

    def __repr__(self) -> str:
        return "HttpxArgs(hidden)"
