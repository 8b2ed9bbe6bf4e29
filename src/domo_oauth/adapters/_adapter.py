"""What all adapters share: where tokens come from and where they may go."""

from __future__ import annotations

import logging
import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import ConfigurationError, require
from domo_oauth.provider import TokenProvider

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self, Unpack

    from domo_oauth.scopes import Scopes
    from domo_oauth.stores import Store
    from domo_oauth.token import Token

__all__ = ["PORTS", "UNAUTHORIZED", "Adapter", "Origin", "ProviderArgs", "bearer"]

logger = logging.getLogger(__name__)

UNAUTHORIZED = 401
PORTS = {"http": 80, "https": 443}
_MOST_LOGGED = 1000  # other origins that are logged, once each; a crawler can visit any number

Origin: TypeAlias = tuple[str, str, int | None]
"""Scheme, host and port (RFC 6454), as the HTTP client parses them; the port is that of the scheme by default."""


class ProviderArgs(TypedDict, total=False):
    """Keyword arguments of a ``TokenProvider``."""

    scopes: Scopes | None
    store: Store | None
    base_url: str | None
    httpx_args: Mapping[str, Any] | None


class Adapter:
    """Adds a token to requests for Domo, and to no others.

    A request gets the token if the caller addressed it to the provider's base URL or to one of the ``hosts``. A
    redirect within the origin keeps it, a redirect to another origin loses it, and a redirect from another origin does
    not get it.

    A 401 for a request with the token means that Domo no longer accepts it. The adapter gets another token and sends a
    copy of the request, unless the body cannot be sent twice. A second 401 goes to the caller.

    Args:
        provider: Where the tokens come from. Any number of clients can share it.
        hosts: More hosts that may get the token, over HTTPS: ``"example.domo.com"``, ``"gateway.example.com:8443"``.

    Raises:
        ConfigurationError: A host is invalid, the base URL is ``http://`` on port 80, or the provider is not a
            ``TokenProvider``.
    """

    def __init__(self, provider: TokenProvider, *, hosts: Iterable[str] = ()) -> None:
        try:
            require(f"The first argument of {type(self).__name__}", provider, TokenProvider)
        except ConfigurationError:
            del provider  # it may be a secret, and tracebacks can show locals
            raise
        self._provider = provider
        urls = [f"https://{_checked(host)}" for host in ([hosts] if isinstance(hosts, str) else hosts)]
        self._origins = frozenset(self._origin(url) for url in (provider.base_url, *urls))
        self._logged: set[Origin] = set()
        if any(scheme == "http" and port == PORTS["http"] for scheme, _, port in self._origins):
            raise ConfigurationError(  # requests and httpx do, although it is another origin
                "HTTP clients keep the token when port 80 redirects to https:// on the same host. Use another port."
            )

    @classmethod
    def from_env(
        cls, prefix: str = "DOMO_", *, hosts: Iterable[str] = (), **provider_args: Unpack[ProviderArgs]
    ) -> Self:
        """Use the credentials in ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``; see ``TokenProvider.from_env``."""
        try:
            provider = TokenProvider.from_env(prefix, **provider_args)
        finally:
            del provider_args  # httpx_args may hold a proxy's password, and tracebacks can show locals
        return cls(provider, hosts=hosts)

    @classmethod
    def from_client(
        cls, client_id: str, client_secret: str, *, hosts: Iterable[str] = (), **provider_args: Unpack[ProviderArgs]
    ) -> Self:
        """Use a client id and its secret. For the other arguments see ``TokenProvider``."""
        try:
            provider = TokenProvider(ClientCredentials(client_id, client_secret), **provider_args)
        finally:
            del client_id, client_secret, provider_args
        return cls(provider, hosts=hosts)

    @property
    def provider(self) -> TokenProvider:
        """Where the tokens come from."""
        return self._provider

    @property
    def base_url(self) -> str:
        """The URL of Domo's API, without a trailing slash."""
        return self._provider.base_url

    @abstractmethod
    def _origin(self, url: str) -> Origin:
        """The origin of a URL."""

    def _is_ours(self, origin: Origin) -> bool:
        """Whether the token may go there. Logs the first request to each other origin."""
        if origin in self._origins:
            return True
        if origin not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(origin)
            logger.warning("No token is sent to %s://%s:%s: not the origin of the base URL, not in hosts", *origin)
        return False

    def _refused(self, token: Token, host: str, *, repeatable: bool) -> bool:
        """Drop a token that the host refused. Returns whether the request can be sent again."""
        logger.debug("401 from %s%s", host, "" if repeatable else "; the body of the request cannot be sent again")
        self._provider.invalidate(token)
        return repeatable


def bearer(token: Token) -> str:
    """The value of the ``Authorization`` header."""
    return f"Bearer {token.access_token}"


def _checked(host: str) -> str:
    found = re.fullmatch(r"[\w.-]+(?::([0-9]{1,5}))?", host, re.ASCII)
    if not found or not 0 < int(found[1] or 443) < 2**16:
        raise ConfigurationError(f"{host!r} in hosts must look like example.domo.com or example.domo.com:8443.")
    return host
