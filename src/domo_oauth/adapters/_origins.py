"""Where a token may be sent."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from domo_oauth import log
from domo_oauth.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Origins"]

_PORTS = {"http": 80, "https": 443}
_MOST = 1000  # origins that are remembered: a crawler may come to any number


class Origins(dict[tuple[str, str, int | None], bool]):
    """Whether an origin (scheme, host and port; RFC 6454) is one that a token is for.

    A dictionary, as to look in one is the quickest there is, and each request does it. The first request to each other
    origin is logged, or the first in a long while.

    Args:
        base_url: Where Domo's API is.
        hosts: More hosts that take the token, by HTTPS: ``"example.domo.com"``, ``"gateway.example.com:8443"``.

    Raises:
        ConfigurationError: A host is none.
    """

    def __init__(self, base_url: str, hosts: Iterable[str] = ()) -> None:
        names = [hosts] if isinstance(hosts, str) else hosts
        urls = [base_url, *(f"https://{_checked(host)}" for host in names)]
        # Each as clients tell it, with its port and, if that is the scheme's own, without: one look is enough then.
        super().__init__((origin, True) for url in urls for origin in _spellings(url))

    def __missing__(self, origin: tuple[str, str, int | None]) -> bool:
        if len(self) >= _MOST:
            for known in [known for known, ours in list(self.items()) if not ours]:
                self.pop(known, None)
        self[origin] = False
        scheme, host, port = origin
        at = host if port is None else f"{host}:{port}"
        log.warning("Sent without a token, as it is not for %s://%s; name it in hosts if it is", scheme, at)
        return False


def _spellings(url: str) -> Iterator[tuple[str, str, int | None]]:
    parts = urlsplit(url)
    default = _PORTS[parts.scheme]
    for host in _hosts(parts.hostname or ""):
        yield parts.scheme, host, parts.port or default
        if parts.port in {None, default}:
            yield parts.scheme, host, None


def _hosts(host: str) -> set[str]:
    """A host as clients tell it: some decode its name, some shorten its address."""
    hosts = {host}
    with suppress(ValueError):  # no client can ask there
        if ":" in host:
            from ipaddress import ip_address

            hosts.add(str(ip_address(host)))
        if "xn--" in host:
            import idna

            hosts.add(idna.decode(host))
    return hosts


def _checked(host: str) -> str:
    found = re.fullmatch(r"[\w.-]+(?::([0-9]{1,5}))?", host, re.ASCII)
    if not found or not 0 < int(found[1] or 443) < 65536:  # noqa: PLR2004 -- ports have two bytes
        raise ConfigurationError(f"{host!r} in hosts must look like example.domo.com or example.domo.com:8443.")
    return host
