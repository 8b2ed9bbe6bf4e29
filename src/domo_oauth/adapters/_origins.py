"""Where a token may be sent."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from domo_oauth.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Origins"]

_log = logging.getLogger("domo_oauth")
_PORTS = {"http": 80, "https": 443}


class Origins:
    """The origins (scheme, host and port; RFC 6454) that a token is for.

    Args:
        base_url: Where Domo's API is.
        hosts: More hosts that take the token, by HTTPS: ``"example.domo.com"``, ``"gateway.example.com:8443"``.

    Raises:
        ConfigurationError: A host is none.
    """

    __slots__ = ("_allowed", "_told")

    def __init__(self, base_url: str, hosts: Iterable[str] = ()) -> None:
        self._allowed = frozenset({_origin(base_url), *(_origin(f"https://{_checked(host)}") for host in hosts)})
        self._told: set[tuple[str, str, int | None]] = set()

    def allows(self, scheme: str, host: str, port: int | None) -> bool:
        """Whether a request to this origin carries the token. The first to each other origin is logged."""
        origin = (scheme, host, port or _PORTS.get(scheme))
        if origin in self._allowed:
            return True
        if origin not in self._told:
            self._told.add(origin)
            _log.warning(
                "Sent without a token, as it is not for %s://%s:%s; name it in hosts if it is", scheme, host, origin[2]
            )
        return False


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


def _checked(host: str) -> str:
    if not re.fullmatch(r"[\w.-]+(:[0-9]{1,5})?", host, re.ASCII):
        raise ConfigurationError(f"{host!r} in hosts must look like example.domo.com or example.domo.com:8443.")
    return host
