"""``aiohttp.ClientSession(middlewares=(DomoAuth(provider),))``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domo_oauth.errors import ConfigurationError

from ._adapter import UNAUTHORIZED, Adapter

try:
    from aiohttp import MultipartWriter
    from aiohttp.payload import AsyncIterablePayload, Payload
except ModuleNotFoundError as error:
    raise ConfigurationError("aiohttp is not installed here: pip install 'domo-oauth[aiohttp]'") from error

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from domo_oauth.token import Token

__all__ = ["DomoAuth"]


class DomoAuth(Adapter):
    """Sends a valid token with each request to Domo, and with no other. A client middleware.

    A 401 to a request that carried the token means that Domo does not take it any more: another is fetched, and the
    request is sent once more if its body can be. A second 401 goes to the caller.
    """

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send the request with a token; what ``aiohttp`` calls, for each request that it is redirected to, too.

        Raises:
            DomoOAuthError: There is no token to be had.
        """
        url = request.url
        if not self._origins[url.scheme, url.host or "", url.port]:
            return await handler(request)
        token = await self._provider.aget_token()
        _authorize(request, token)
        response = await handler(request)
        if response.status != UNAUTHORIZED:
            return response
        again = _can_be_sent_again(request.body)
        self._give_up(token, url.host or "", again=again)
        if not again:
            return response
        try:
            another = await self._provider.aget_token()
        except BaseException:
            response.release()  # which nobody will see
            raise
        if not self._is_another(token, another, url.host or ""):
            return response
        response.release()
        await request.close()  # who still writes the first body must not read on in the same file
        _authorize(request, another)
        return await handler(request)


def _can_be_sent_again(body: Payload | bytes) -> bool:
    """Whether the first time has not used it up: aiohttp rewinds the files that can be rewound."""
    # Before 3.14, aiohttp overlooks the parts of a form, and generators that are not yet at their end.
    if isinstance(body, MultipartWriter):
        return all(_can_be_sent_again(part) for part, *_ in body)
    return not isinstance(body, Payload) or not (body.consumed or isinstance(body, AsyncIterablePayload))


class _Field(str):
    """The field with the token. The repr of aiohttp's errors shows what a request had, and logs show that repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'Bearer hidden'"


def _authorize(request: ClientRequest, token: Token) -> None:
    request.headers["Authorization"] = _Field(f"Bearer {token.access_token}")
