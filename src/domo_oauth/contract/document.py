"""The contract and the recordings, read from the installed package, a zip app or a checkout."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from domo_oauth.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator
    from importlib.resources.abc import Traversable

__all__ = ["cli_extra", "contract", "contract_text", "recordings", "server"]


@cache
def contract_text() -> str:
    """The contract as YAML, with its comments.

    Raises:
        ConfigurationError: The installation is incomplete.
    """
    return (_folder() / "domo-oauth.yaml").read_text(encoding="utf-8")


@cache
def contract() -> dict[str, Any]:
    """The contract as a dictionary. All callers share it: do not change it.

    Raises:
        ConfigurationError: The extra ``cli`` is not installed, or the installation is incomplete.
    """
    with cli_extra():
        import yaml
    return cast("dict[str, Any]", yaml.safe_load(contract_text()))


def server() -> str:
    """The base URL of Domo's API, which the contract names. Raises what `contract` raises."""
    return str(contract()["servers"][0]["url"])


def recordings() -> list[Traversable]:
    """The HAR files that come with the contract, sorted by name. They are paths, except in a zip app.

    Raises:
        ConfigurationError: The installation is incomplete.
    """
    found = (file for file in (_folder() / "recordings").iterdir() if file.name.endswith(".har"))
    return sorted(found, key=lambda file: file.name)


@contextmanager
def cli_extra() -> Generator[None]:
    """Name the extra if an import fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed. The contract's checks need it: pip install 'domo-oauth[cli]'"
        raise ConfigurationError(message) from error


def _folder() -> Traversable:
    package = files("domo_oauth")
    folders = [package / "openapi"]
    if isinstance(package, Path):
        folders.append(package.parents[1] / "openapi")  # a checkout
    for folder in folders:
        if (folder / "domo-oauth.yaml").is_file():
            return folder
    raise ConfigurationError("The contract, domo-oauth.yaml, is missing from this installation: reinstall domo-oauth.")
