"""Where the contract and the recordings lie: in the installed package, or in a checkout."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from domo_oauth.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["cli_extra", "contract", "contract_text", "recordings", "server"]

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (_PACKAGE / "openapi", _PACKAGE.parents[1] / "openapi")  # a wheel's, a checkout's
_EXTRA = {"jsonschema_path", "openapi_core", "werkzeug", "yaml"}


@cache
def contract_text() -> str:
    """The contract as it is written, YAML with its comments.

    Raises:
        ConfigurationError: The installation is incomplete.
    """
    return (_folder() / "domo-oauth.yaml").read_text(encoding="utf-8")


@cache
def contract() -> dict[str, Any]:
    """The contract as an object. It is shared by all who ask: do not change it.

    Raises:
        ConfigurationError: The extra ``cli`` is not installed, or the installation is incomplete.
    """
    with cli_extra():
        import yaml
    return cast("dict[str, Any]", yaml.safe_load(contract_text()))


def server() -> str:
    """The base URL of Domo's API, the contract's server.

    Raises:
        ConfigurationError: As ``contract`` does.
    """
    return str(contract()["servers"][0]["url"])


def recordings() -> list[Path]:
    """The recorded and derived exchanges that come with the contract, HAR 1.2, by name.

    Raises:
        ConfigurationError: The installation is incomplete.
    """
    return sorted((_folder() / "recordings").glob("*.har"))


@contextmanager
def cli_extra() -> Generator[None]:
    """Say which extra is missing where an import of its packages fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise ConfigurationError(
            f"{error.name} is not installed, and checking against the contract needs it: pip install 'domo-oauth[cli]'"
        ) from error


def _folder() -> Path:
    for folder in _FOLDERS:
        if (folder / "domo-oauth.yaml").is_file():
            return folder
    raise ConfigurationError("The contract, domo-oauth.yaml, is missing from this installation: install it once more.")
