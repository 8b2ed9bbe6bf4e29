"""Which parts of Domo's APIs a token may be used for (RFC 6749, section 3.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias

from .errors import ConfigurationError, require


class CustomScope(str):
    """A scope that the contract does not list; made by :meth:`Scope.custom`."""

    __slots__ = ()


class Scope(StrEnum):
    """The scopes that the contract lists; its ``oauth2`` security scheme describes each."""

    ACCOUNT = "account"
    AUDIT = "audit"
    BUZZ = "buzz"
    DASHBOARD = "dashboard"
    DATA = "data"
    USER = "user"
    WORKFLOW = "workflow"

    @staticmethod
    def custom(name: str) -> CustomScope:
        """A scope that Domo has and the contract does not list yet. It is sent as it is.

        Raises:
            ConfigurationError: The name has characters that a scope cannot have (RFC 6749, section 3.3), or a comma,
                which separates scopes here.
        """
        require("A scope", name, str)
        if not re.fullmatch(r"[!#-\[\]-~]+", name) or "," in name:
            raise ConfigurationError(f"{name!r} cannot be a scope: it must be one word without quotes or commas.")
        return CustomScope(name)


_KNOWN = frozenset[str](Scope)

Scopes: TypeAlias = str | Iterable[str]
"""Scopes as people write them: ``"data user"``, ``"data,user"``, ``["data", "user"]``, ``{Scope.DATA}``."""


def scope_names(scopes: Scopes | None) -> tuple[str, ...] | None:
    """Return the scopes sorted and without duplicates; None for all scopes of the client.

    Args:
        scopes: Names separated by spaces or commas, or an iterable of them; None for all scopes of the client.

    Raises:
        ConfigurationError: A scope is unknown or not a string, or there is none.
    """
    if scopes is None:
        return None
    require("What names scopes", scopes, Iterable)
    given = [scopes] if isinstance(scopes, str) else list(scopes)
    names = {name for item in given for name in _split(item)}
    if not names:
        raise ConfigurationError(
            "No scope was given. An empty list would grant every scope of the client: pass None if you mean that."
        )
    return tuple(sorted(names))


def scope_parameter(names: tuple[str, ...] | None) -> str | None:
    """The value of the ``scope`` parameter: names separated by single spaces; None to leave it out."""
    return None if names is None else " ".join(names)


def _split(item: object) -> list[str]:
    if isinstance(item, CustomScope):
        return [item]
    if not isinstance(item, str):
        raise ConfigurationError(f"A scope must be a str such as 'data', not {type(item).__name__}.")
    names = item.replace(",", " ").split()
    for name in names:
        if name not in _KNOWN:
            raise ConfigurationError(_unknown(name))
    return names


def _unknown(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name.lower(), list(Scope))
    meant = f" Did you mean '{near[0]}'?" if near else ""
    return (
        f"{name!r} is not a scope that the contract lists ({', '.join(Scope)}).{meant} "
        f"If Domo has it, pass Scope.custom({name!r})."
    )
