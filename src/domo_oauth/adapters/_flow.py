"""The auth flow of httpx and of httpx2, which differ in name only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ._adapter import UNAUTHORIZED, Adapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from domo_oauth.token import Token

__all__ = ["AuthFlow"]


class AuthFlow(Adapter):
    """Sends a valid token with each request to Domo, and with no other.

    A 401 to a request that carried the token means that Domo does not take it any more: another is fetched, and the
    request is sent once more if its body can be. A second 401 goes to the caller.
    """

    _bytes: ClassVar[type]
    """The library's stream of bytes: what ``json``, ``data`` and no body at all become."""

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send the request with a token; what a client calls."""
        url = request.url
        if not self._origins[url.scheme, url.host, url.port]:
            yield request
            return
        token = self._provider.get_token()
        request.headers["Authorization"] = f"Bearer {token.access_token}"  # inline: this is the hot path
        response = yield request
        if response.status_code == UNAUTHORIZED and self._refused(token, response):
            another = self._provider.get_token()
            request = response.request  # what was refused: after a redirect not what was asked for first
            if self._is_another(token, another, request.url.host):
                request.headers["Authorization"] = f"Bearer {another.access_token}"
                yield request

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Send the request with a token; what an asynchronous client calls."""
        url = request.url
        if not self._origins[url.scheme, url.host, url.port]:
            yield request
            return
        token = await self._provider.aget_token()
        request.headers["Authorization"] = f"Bearer {token.access_token}"
        response = yield request
        if response.status_code == UNAUTHORIZED and self._refused(token, response):
            another = await self._provider.aget_token()
            request = response.request
            if self._is_another(token, another, request.url.host):
                request.headers["Authorization"] = f"Bearer {another.access_token}"
                yield request

    def _refused(self, token: Token, response: Any) -> bool:
        """Give the token up if it was what this answer refused. Whether the request can be sent once more."""
        request = response.request
        if request.headers.get("Authorization") != f"Bearer {token.access_token}":
            return False  # the answer of somebody else, after a redirect, which the token was not sent to
        again = isinstance(request.stream, self._bytes) or _can_be_rewound(request.stream)
        self._give_up(token, request.url.host, again=again)
        return again


def _can_be_rewound(body: Any) -> bool:
    """Whether this is a multipart body, which the library rewinds, of nothing but text, bytes and seekable files."""
    files = [getattr(part, "file", b"") for part in getattr(body, "fields", ())]
    return bool(files) and all(
        isinstance(file, str | bytes) or (hasattr(file, "seekable") and file.seekable()) for file in files
    )
