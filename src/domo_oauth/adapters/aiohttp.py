"""``aiohttp.ClientSession(middlewares=(DomoAuth(provider),))``."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from domo_oauth.errors import ConfigurationError

from ._adapter import UNAUTHORIZED, Adapter, bearer

try:
    from aiohttp import ClientResponseError, MultipartWriter
    from aiohttp.payload import AsyncIterablePayload, Payload
    from yarl import URL
except ModuleNotFoundError as error:
    raise ConfigurationError("aiohttp is not installed: pip install 'domo-oauth[aiohttp]'") from error

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from domo_oauth.token import Token

    from ._adapter import Origin

__all__ = ["DomoAuth"]

_REDIRECTS = {301, 302, 303, 307, 308}
_redirected_by_others: ContextVar[object] = ContextVar("_redirected_by_others", default=None)


class DomoAuth(Adapter):
    """Adds a token to requests for Domo, and to no others; a client middleware. See ``Adapter``.

    What is sent again after a 401 is the same ``ClientRequest``, with other headers, as aiohttp cannot copy one. The
    first response keeps the old headers, but other middlewares see the new ones.
    """

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request; called by aiohttp, also for each redirect.

        Raises:
            DomoOAuthError: No token could be obtained.
        """
        # All requests of one redirect chain share this list; aiohttp has no public sign of a redirect.
        call = getattr(request, "_traces", request)
        if not self._is_ours(self._origin(request.url)):
            response = await handler(request)
            if response.status in _REDIRECTS:
                _redirected_by_others.set(call)
            return response
        if _redirected_by_others.get() is call:
            return await handler(request)
        token = await self._provider.aget_token()
        _authorize(request, token)
        try:
            response = await handler(request)
        except ClientResponseError as error:  # raised by another middleware
            if error.status == UNAUTHORIZED and error.request_info.headers.get("Authorization") == bearer(token):
                self._provider.invalidate(token)
            raise
        if response.status != UNAUTHORIZED:
            return response
        if not self._refused(token, request.url.host or "", repeatable=_can_be_sent_again(request.body)):
            return response
        try:
            another = await self._provider.aget_token()
        except BaseException:
            response.release()  # nobody else will
            raise
        if another.access_token == token.access_token:
            return response
        response.release()
        await request.close()  # waits for the end of a body that is still being sent, as aiohttp does
        _authorize(request, another)
        return await handler(request)

    def _origin(self, url: str | URL) -> Origin:
        parsed = URL(url)
        return parsed.scheme, parsed.raw_host or "", parsed.port


def _can_be_sent_again(body: Payload | bytes) -> bool:
    """Whether sending the body has not used it up; aiohttp rewinds seekable files."""
    # aiohttp before 3.14 overlooks the parts of a form, and generators that have not ended.
    if isinstance(body, MultipartWriter):
        return all(_can_be_sent_again(part) for part, *_ in body)
    return not isinstance(body, Payload) or not (body.consumed or isinstance(body, AsyncIterablePayload))


class _Hidden(str):
    """A value that the repr of aiohttp's errors, which includes the headers of the request, does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'Bearer hidden'"


def _authorize(request: ClientRequest, token: Token) -> None:
    request.headers = request.headers.copy()  # an earlier response shows the headers that it was sent with
    request.headers["Authorization"] = _Hidden(bearer(token))
