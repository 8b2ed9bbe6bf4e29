"""``requests.get(url, auth=DomoAuth(provider))``, or ``session.auth = DomoAuth(provider)``."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from domo_oauth.errors import ConfigurationError

from ._adapter import PORTS, UNAUTHORIZED, Adapter, bearer

try:
    import requests
    from requests.auth import AuthBase
    from requests.utils import rewind_body
except ModuleNotFoundError as error:
    raise ConfigurationError("requests is not installed: pip install 'domo-oauth[requests]'") from error

if TYPE_CHECKING:
    from domo_oauth.token import Token

    from ._adapter import Origin

__all__ = ["DomoAuth"]


class DomoAuth(Adapter, AuthBase):
    """Adds a token to requests for Domo, and to no others. See ``Adapter``.

    After a retry, the ``history`` of the response has the 401, without the token: caches store the history.
    """

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token to a request; called by requests, but not for redirects.

        Raises:
            DomoOAuthError: No token could be obtained.
        """
        if self._is_ours(self._origin(r.url or "")):
            token = self._provider.get_token()
            r.headers["Authorization"] = bearer(token)
            r.register_hook("response", _Hook(self._look, token))
        return r

    def _look(self, token: Token, response: requests.Response, **send_args: Any) -> requests.Response:
        """Look at the response to a request with the token, or to what it was redirected to."""
        request = response.request
        if response.status_code != UNAUTHORIZED or request.headers.get("Authorization") != bearer(token):
            return response
        if not self._refused(token, urlsplit(response.url).hostname or "", repeatable=_rewind(request)):
            return response
        another = self._provider.get_token()
        if another.access_token == token.access_token:
            return response
        with suppress(requests.RequestException):
            _ = response.content  # so that the connection can be used again
        again = request.copy()  # nobody who kept the first request sees the second token
        again.headers["Authorization"] = bearer(another)
        second: requests.Response = response.connection.send(again, **send_args)
        response.request = request.copy()
        del response.request.headers["Authorization"]
        second.history.append(response)
        return second

    def _origin(self, url: str) -> Origin:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme)


class _Hook(partial[requests.Response]):
    """A hook that does nothing once it is pickled with a response, which must not carry credentials."""

    def __reduce__(self) -> tuple[Any, ...]:
        return partial, (_unchanged,)


def _unchanged(response: requests.Response, **_: Any) -> requests.Response:
    return response


def _rewind(request: requests.PreparedRequest) -> bool:
    """Prepare the body to be sent again. Returns whether that worked."""
    if request.body is None or isinstance(request.body, str | bytes):
        return True
    try:
        rewind_body(request)
    except (requests.exceptions.UnrewindableBodyError, ValueError):  # not seekable, or closed
        return False
    return True
