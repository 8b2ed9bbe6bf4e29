"""``Domo(provider)``: Domo's own SDK, pydomo, with a token that is always valid.

Tried with pydomo 0.3.0.4, the oldest that brings all it needs, 0.3.0.5, 0.3.0.8, 0.3.0.12, 0.3.0.15 and 0.3.0.16.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import ConfigurationError
from domo_oauth.provider import TokenProvider

try:
    import pydomo  # type: ignore[import-untyped] # pyright: ignore[reportMissingTypeStubs] -- it has no types
    import requests
    from pydomo.Transport import (  # type: ignore[import-untyped] # pyright: ignore[reportMissingTypeStubs] -- as above
        DomoAPITransport,
    )

    from .requests import DomoAuth
except ModuleNotFoundError as error:
    raise ConfigurationError("pydomo is not installed: pip install 'domo-oauth[pydomo]'") from error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Never, Self, Unpack

    from ._adapter import ProviderArgs

__all__ = ["Domo"]

READ_TIMEOUT = 300.0
"""Seconds to wait for the next byte: a query may take minutes before it sends its first one. pydomo waits forever."""


class Domo(pydomo.Domo):  # type: ignore[misc] # pydomo has no types
    """A ``pydomo.Domo`` that takes its tokens from a provider; see ``Adapter`` for what happens after a 401.

    The methods and clients are those of pydomo. Calls raise a ``DomoOAuthError`` if no token can be obtained, a
    ``requests.RequestException`` if the API does not respond, and a plain ``Exception`` with the text of the response
    for any status that pydomo does not expect. It does not retry calls after such errors.

    Args:
        provider: Where the tokens come from; an attribute, too. Its base URL takes the place of pydomo's ``api_host``
            and ``use_https``, its scopes that of ``scope``.
        request_timeout: Seconds to wait for a connection, and for each part of a response; None to wait forever.
        logger_name: The logger below ``pydomo`` that gets pydomo's messages.
        log_level: Level of that logger.

    Raises:
        ConfigurationError: The provider is not a ``TokenProvider``, or its base URL is ``http://`` on port 80.
    """

    def __init__(
        self,
        provider: TokenProvider,
        *others: Never,
        request_timeout: float | None = READ_TIMEOUT,
        logger_name: str | None = None,
        log_level: int | str | None = None,
    ) -> None:
        if others or not isinstance(provider, TokenProvider):  # pyright: ignore[reportUnnecessaryIsInstance] -- untyped
            del provider, others  # they may hold a secret, and tracebacks can show locals
            raise ConfigurationError(
                "Domo takes a TokenProvider. With a client id and its secret, write Domo.from_client(client_id, "
                "client_secret); with credentials in the environment, Domo.from_env()."
            )
        self.provider = provider
        # pydomo's own __init__ requests a token. So this sets what it sets, and the tests compare the two.
        self.logger = logging.getLogger(f"pydomo.{logger_name}" if logger_name else "pydomo")
        if log_level:
            self.logger.setLevel(log_level)
        self.transport = _Transport(DomoAuth(provider), self.logger, request_timeout)
        self.datasets = pydomo.DataSetClient(self.transport, self.logger)
        self.groups = pydomo.GroupClient(self.transport, self.logger)
        self.pages = pydomo.PageClient(self.transport, self.logger)
        self.streams = pydomo.StreamClient(self.transport, self.logger)
        self.users = pydomo.UserClient(self.transport, self.logger)
        self.accounts = pydomo.AccountClient(self.transport, self.logger)
        self.utilities = pydomo.UtilitiesClient(self.transport, self.logger)

    @classmethod
    def from_env(
        cls,
        prefix: str = "DOMO_",
        *,
        request_timeout: float | None = READ_TIMEOUT,
        **provider_args: Unpack[ProviderArgs],
    ) -> Self:
        """Use the credentials in ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``; see ``TokenProvider.from_env``."""
        return cls(TokenProvider.from_env(prefix, **provider_args), request_timeout=request_timeout)

    @classmethod
    def from_client(
        cls,
        client_id: str,
        client_secret: str,
        *,
        request_timeout: float | None = READ_TIMEOUT,
        **provider_args: Unpack[ProviderArgs],
    ) -> Self:
        """Use a client id and its secret. For the other arguments see ``TokenProvider``."""
        try:
            provider = TokenProvider(ClientCredentials(client_id, client_secret), **provider_args)
        finally:
            del client_id, client_secret, provider_args  # tracebacks can show locals
        return cls(provider, request_timeout=request_timeout)


class _Transport(DomoAPITransport):  # type: ignore[misc] # pydomo has no types
    """Sends the requests of all of pydomo's clients, each in a session of its own: threads can share it."""

    def __init__(self, auth: DomoAuth, logger: logging.Logger, request_timeout: float | None) -> None:
        self.apiHost, self.logger, self.request_timeout = auth.base_url, logger, request_timeout
        self.access_token = ""  # for the headers that pydomo makes; the session replaces it
        self._auth = auth

    def request(
        self, url: str, method: str, headers: Mapping[str, str], params: Any = None, body: Any = None
    ) -> requests.Response:
        self.logger.debug("%s %s", method, url)
        return requests.request(
            method,
            self.apiHost + url,
            headers=headers,
            params=params,
            data=body,
            auth=self._auth,
            stream=True,
            timeout=self.request_timeout,
        )

    def dump_response(self, response: requests.Response) -> str:
        """What pydomo logs of a failed call. Its own text has the token, and the body, which may repeat it."""
        return f"{response.request.method} {response.url}: {response.status_code} {response.reason}"
