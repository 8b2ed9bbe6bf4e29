"""``httpx.Client(auth=DomoAuth(provider))``, and ``httpx.AsyncClient`` under asyncio or trio."""

from __future__ import annotations

import sys
from copy import copy
from typing import TYPE_CHECKING, Any

import httpx

from domo_oauth.errors import chain

from ._adapter import PORTS, UNAUTHORIZED, Adapter, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from domo_oauth.token import Token

    from ._adapter import Origin

__all__ = ["AuthFlow", "DomoAuth"]


class AuthFlow(Adapter):
    """The auth flow for httpx and httpx2, which have the same interface. See ``Adapter``.

    If a response hook raises on a 401, as ``raise_for_status()`` does, the caller gets its error, and the next request
    gets a new token. This works if the error, or one in its chain of causes, has the attribute ``response``.
    """

    _library: Any

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send a request; called by the client."""
        if not self._is_ours(_origin(request.url)):
            yield request
            return
        token = self._provider.get_token()
        request.headers["Authorization"] = bearer(token)
        try:
            response: Any = yield request
        except GeneratorExit:  # the client has an error instead
            response = None
        if self._can_repeat(response, token):
            another = self._provider.get_token()
            if another.access_token != token.access_token:
                yield _repeat(response.request, another)

    # mutmut does not pass GeneratorExit to an asynchronous generator.
    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:  # pragma: no mutate block
        """Send a request; called by the asynchronous client."""
        if not self._is_ours(_origin(request.url)):
            yield request
            return
        token = await self._provider.aget_token()
        request.headers["Authorization"] = bearer(token)
        try:
            response: Any = yield request
        except GeneratorExit:
            response = None
        if self._can_repeat(response, token):
            another = await self._provider.aget_token()
            if another.access_token != token.access_token:
                yield _repeat(response.request, another)

    def _can_repeat(self, response: Any, token: Token) -> bool:
        """Drop the token if this response refused it. Returns whether the request can be sent again."""
        if response is None:
            raised = sys.exc_info()[1]
            for error in chain(raised) if raised else ():
                hidden: Any = getattr(error, "response", None)
                if isinstance(hidden, self._library.Response) and _refuses(hidden, token):
                    self._provider.invalidate(token)
        elif _refuses(response, token):
            request = response.request
            repeatable = isinstance(request.stream, self._library.ByteStream) or _can_be_rewound(request.stream)
            return self._refused(token, request.url.host, repeatable=repeatable)
        return False

    def _origin(self, url: str) -> Origin:
        return _origin(self._library.URL(url))


class DomoAuth(AuthFlow, httpx.Auth):
    """Adds a token to requests for Domo, and to no others; for httpx. See ``Adapter`` and ``AuthFlow``."""

    _library = httpx


def _origin(url: Any) -> Origin:
    return url.scheme, url.raw_host.decode(), url.port or PORTS.get(url.scheme)


def _refuses(response: Any, token: Token) -> bool:
    """Whether this is a 401, and from us: a redirect may have led to an origin that did not get the token."""
    if response.status_code != UNAUTHORIZED:
        return False
    return bool(response.request.headers.get("Authorization") == bearer(token))


def _repeat(request: Any, token: Token) -> Any:
    """A copy with another token, which nobody who kept the request sees."""
    again = copy(request)  # leaves out the stream and the extensions
    again.stream, again.extensions = request.stream, dict(request.extensions)
    again.headers = request.headers.copy()
    again.headers["Authorization"] = bearer(token)
    return again


def _can_be_rewound(body: Any) -> bool:
    """Whether this is a multipart body of text, bytes and seekable files only: the library rewinds those."""
    files = [getattr(part, "file", b"") for part in getattr(body, "fields", ())]
    return bool(files) and all(
        isinstance(file, str | bytes) or (hasattr(file, "seekable") and file.seekable()) for file in files
    )
