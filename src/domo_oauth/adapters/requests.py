"""``requests.get(url, auth=DomoAuth(provider))``, or for all requests of a session: ``session.auth = ...``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from domo_oauth import log
from domo_oauth.errors import ConfigurationError

from ._adapter import UNAUTHORIZED, Adapter

try:
    import requests
    from requests.auth import AuthBase
except ModuleNotFoundError as error:
    raise ConfigurationError("requests is not installed here: pip install 'domo-oauth[requests]'") from error

if TYPE_CHECKING:
    from domo_oauth.token import Token

__all__ = ["DomoAuth"]


class DomoAuth(Adapter, AuthBase):
    """Sends a valid token with each request to Domo, and with no other.

    A 401 to a request that carried the token means that Domo does not take it any more: another is fetched, and the
    request is sent once more if its body can be. A second 401 goes to the caller, and the first is in the ``history``
    of whatever comes of the second request.
    """

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token on a request; what ``requests`` calls. Redirects to other hosts leave it behind by themselves.

        Raises:
            DomoOAuthError: There is no token to be had.
        """
        url = urlsplit(r.url or "")
        if self._origins[url.scheme, url.hostname or "", url.port]:
            token = self._provider.get_token()
            r.headers["Authorization"] = _bearer(token)
            r.register_hook("response", _Replay(self, token, _position(r.body)))
        return r

    def another(self, token: Token, host: str, *, again: bool) -> Token | None:
        """Another token in the place of one that the host refused; None if the request is not to be sent once more."""
        self._give_up(token, host, again=again)
        if not again:
            return None
        another = self._provider.get_token()
        return another if self._is_another(token, another, host) else None


class _Replay:
    """The hook of one request, and of those that it is redirected to."""

    __slots__ = ("_auth", "_position", "_token")

    def __init__(self, auth: DomoAuth, token: Token, position: int | None) -> None:
        self._auth = auth
        self._token = token
        self._position = position

    def __call__(self, response: requests.Response, **send_args: Any) -> requests.Response:
        request = response.request
        carried = request.headers.get("Authorization") == _bearer(self._token)
        if response.status_code != UNAUTHORIZED or not carried:
            return response
        again = _rewind(request.body, self._position)
        try:
            another = self._auth.another(self._token, urlsplit(response.url).hostname or "", again=again)
        except BaseException:
            response.close()  # nobody gets it
            raise
        if another is None:
            return response
        self._token = another
        request.headers["Authorization"] = _bearer(another)  # in the request itself, which a redirect is made from
        _drain(response)
        second: requests.Response = response.connection.send(request, **send_args)
        second.history.append(response)
        return second

    def __reduce__(self) -> tuple[object, ...]:
        # Who pickles a response pickles its request and the hooks of that, and does not expect credentials in there.
        return partial, (_left_behind,)


def _left_behind(response: requests.Response, **_: Any) -> requests.Response:
    return response


def _position(body: Any) -> int | None:
    """Where a body that is a file is sent from; None if it is none, or if that cannot be told."""
    try:
        return int(body.tell())
    except (AttributeError, OSError):
        return None


def _rewind(body: Any, position: int | None) -> bool:
    """Make a body ready to be sent again. Whether it is: bytes always are, and files that can be set back."""
    if body is None or isinstance(body, str | bytes):
        return True
    if position is None:
        return False
    try:
        body.seek(position)
    except (AttributeError, OSError, ValueError):  # not to be set back, or closed
        return False
    return True


def _drain(response: requests.Response) -> None:
    """Read the rest, so that the connection can be used again, as ``requests`` does before it follows a redirect."""
    try:
        _ = response.content
    except requests.RequestException as error:
        log.debug("The body of the 401 broke off: %s", type(error).__name__)
    response.close()


def _bearer(token: Token) -> str:
    return f"Bearer {token.access_token}"
