"""A client id and secret in the system's keyring: one entry for each server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["SERVICE", "backend", "load", "remove", "save"]

SERVICE = "domo-oauth"
_INSTEAD = "use DOMO_CLIENT_ID and DOMO_CLIENT_SECRET, or --client-id with --client-secret-file, instead"


def load(base_url: str) -> ClientCredentials | None:
    """What is kept for this server; None if nothing is, or if there is no keyring to look into.

    Raises:
        ConfigurationError: The keyring cannot be read: it is locked, or what it holds was not kept by this command.
    """
    try:
        import keyring
        from keyring.errors import NoKeyringError
    except ModuleNotFoundError:
        return None
    try:
        kept = keyring.get_password(SERVICE, base_url)
    except NoKeyringError:
        return None
    except Exception as error:  # noqa: BLE001 -- backends raise what they like
        raise _unusable(error) from None
    if kept is None:
        return None
    try:
        fields = json.loads(kept)
        return ClientCredentials(fields["client_id"], fields["client_secret"])
    except (ValueError, TypeError, KeyError, ConfigurationError):
        raise ConfigurationError(
            f"The keyring's entry {SERVICE!r} for {base_url} is broken: run domo-oauth login once more."
        ) from None


def save(base_url: str, credentials: ClientCredentials) -> str:
    """Keep credentials for this server in the place of others.

    Returns:
        The name of the keyring.

    Raises:
        ConfigurationError: There is no keyring, or it does not keep them.
    """
    keyring = _keyring()
    try:
        text = json.dumps({"client_id": credentials.client_id, "client_secret": credentials.client_secret})
        keyring.set_password(SERVICE, base_url, text)
    except Exception as error:  # noqa: BLE001 -- as above
        raise _unusable(error, quotes=False) from None  # a backend may tell what it was given
    if load(base_url) != credentials:
        raise ConfigurationError(f"{backend()} does not keep what it is given: {_INSTEAD}.")
    return backend()


def remove(base_url: str) -> bool:
    """Remove what is kept for this server, and tell whether there was anything.

    Raises:
        ConfigurationError: There is no keyring, or it cannot be changed.
    """
    keyring = _keyring()
    try:
        if keyring.get_password(SERVICE, base_url) is None:
            return False
        keyring.delete_password(SERVICE, base_url)
    except Exception as error:  # noqa: BLE001 -- as above
        raise _unusable(error) from None
    return True


def backend() -> str:
    """The name of the keyring in use.

    Raises:
        ConfigurationError: There is none, or it cannot be loaded.
    """
    name: str = _keyring().get_keyring().name
    return name


def _keyring() -> Any:
    try:
        import keyring
        from keyring.backends import fail
    except ModuleNotFoundError:
        raise ConfigurationError(f"keyring is not installed: pip install 'domo-oauth[cli]', or {_INSTEAD}.") from None
    try:
        chosen = keyring.get_keyring()
    except Exception as error:  # noqa: BLE001 -- as above; PYTHON_KEYRING_BACKEND may name what is not there
        raise _unusable(error) from None
    if isinstance(chosen, fail.Keyring):
        raise ConfigurationError(f"There is no keyring on this system: {_INSTEAD}.")
    module: ModuleType = keyring
    return module


def _unusable(error: Exception, *, quotes: bool = True) -> ConfigurationError:
    told = f"{type(error).__name__}: {error}".rstrip(": .") if quotes else type(error).__name__
    return ConfigurationError(f"The system's keyring cannot be used ({told}): unlock it, or {_INSTEAD}.")
