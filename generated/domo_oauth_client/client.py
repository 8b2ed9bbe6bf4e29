"""The client: how requests are sent, and how much of an answer is read."""

import math
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from threading import Lock, Timer
from time import monotonic
from types import TracebackType
from typing import Any, Self

import httpx
from attrs import define, field

from .errors import ResponseValidationError
from .types import Response

# A compressed body is unpacked in pieces of this many bytes, as each can stand for a thousand times as many.
_PIECE = 1024

# Those codings whose pieces stand for a thousand times as many bytes and not for millions, as those of others do.
_CODINGS = ("gzip", "deflate", "identity")


@define(eq=False)
class AuthenticatedClient:
    """Sends requests with HTTP Basic authentication (RFC 7617). Never follows a redirect. No secret is in its repr.

    Shared by threads; its asynchronous half belongs to one event loop, like the `httpx.AsyncClient` that it makes. To
    change an option, make another client: `attrs.evolve(client, timeout=5.0)`; it gets httpx clients of its own.

    Attributes:
        base_url (httpx.URL | str): Where the server is.
        username (str): User name. As it stands, nothing is to be encoded.
        password (str): Password, likewise.
        headers (dict[str, str]): Header fields of every request.
        cookies (dict[str, str]): Cookies of every request.
        timeout (httpx.Timeout | float | None): Seconds to wait for a connection, and for each read and write.
        verify_ssl (ssl.SSLContext | str | bool): Passed to httpx as `verify`.
        httpx_args (dict[str, Any]): Further arguments of `httpx.Client` and `httpx.AsyncClient` (`proxy`, ...), which
            win over those above.
        raise_on_unexpected_status (bool): Raise errors.UnexpectedStatus for a status that the contract does not name.
        max_header_seconds (float): How long it may take until the header fields of the response are complete. What
            `timeout` says holds for each read alone, and each may bring one byte. In a synchronous call it holds for a
            connection that is made for the request, and not for one that was kept alive and has served before.
        max_response_bytes (int): How much of a body is read, counted after decompression.
        max_response_seconds (float): How long a body may take as a whole, from its first byte on. It is looked at
            after each read, and a read may take as long as `timeout` says.
    """

    _base_url: httpx.URL = field(alias="base_url", converter=httpx.URL)
    _username: str = field(alias="username", kw_only=True, repr=False)
    _password: str = field(alias="password", kw_only=True, repr=False)
    _headers: dict[str, str] = field(alias="headers", factory=dict[str, str], kw_only=True, repr=False)
    _cookies: dict[str, str] = field(alias="cookies", factory=dict[str, str], kw_only=True, repr=False)
    _timeout: httpx.Timeout | float | None = field(alias="timeout", default=httpx.Timeout(10.0), kw_only=True)
    _verify_ssl: ssl.SSLContext | str | bool = field(alias="verify_ssl", default=True, kw_only=True)
    _httpx_args: dict[str, Any] = field(alias="httpx_args", factory=dict[str, Any], kw_only=True, repr=False)
    raise_on_unexpected_status: bool = field(default=False, kw_only=True)
    max_header_seconds: float = field(default=60.0, kw_only=True)
    max_response_bytes: int = field(default=1_048_576, kw_only=True)
    max_response_seconds: float = field(default=60.0, kw_only=True)
    _client: httpx.Client | None = field(default=None, init=False, repr=False)
    _async_client: httpx.AsyncClient | None = field(default=None, init=False, repr=False)
    _last_url: tuple[tuple[Any, ...], httpx.URL] | None = field(default=None, init=False, repr=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def set_httpx_client(self, client: httpx.Client) -> Self:
        """Use this httpx client, with its own base URL, headers, cookies, timeout and so on.

        Authentication, the refusal of redirects and the limits of a body still hold: they go with each request.
        """
        self._client = client
        return self

    def get_httpx_client(self) -> httpx.Client:
        """Return the httpx client, made when it is first needed."""
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(**self._client_args())
            return self._client

    def set_async_httpx_client(self, async_client: httpx.AsyncClient) -> Self:
        """Use this asynchronous httpx client, as `set_httpx_client` says."""
        self._async_client = async_client
        return self

    def get_async_httpx_client(self) -> httpx.AsyncClient:
        """Return the asynchronous httpx client, made when it is first needed."""
        with self._lock:
            if self._async_client is None:
                self._async_client = httpx.AsyncClient(**self._client_args())
            return self._async_client

    def _client_args(self) -> dict[str, Any]:
        return {
            "base_url": self._base_url,
            "headers": self._headers,
            "cookies": self._cookies,
            "timeout": self._timeout,
            "verify": self._verify_ssl,
            **self._httpx_args,
        }

    def _request_args(self) -> dict[str, Any]:
        return {"auth": httpx.BasicAuth(self._username, self._password), "follow_redirects": False}

    def _with_url(self, client: httpx.Client | httpx.AsyncClient, args: dict[str, Any]) -> dict[str, Any]:
        """Put the finished URL in the place of `url` and `params`; that of the last request, if it is the same.

        httpx would parse it three times for each request, which takes longer than all else that a client does.
        """
        if client.params:  # httpx would put these in the place of those in the finished URL
            return args
        url, params = args["url"], args.pop("params", None)
        params = None if params is None else httpx.QueryParams(params)  # which nobody can change meanwhile
        asked = (client.base_url, url, params)
        last = self._last_url
        if last is None or last[0] != asked:
            last = self._last_url = asked, client.build_request("GET", url, params=params).url
        args["url"] = last[1]
        return args

    def request(self, **kwargs: Any) -> Response[None]:
        """Send one request, given as the arguments of `httpx.Client.stream`, and read the response without parsing it.

        Raises:
            errors.ResponseValidationError: The body of a success (2xx) is larger than `max_response_bytes`.
            httpx.HTTPError: No response came, or the body of a success broke off or took too long. That of an error
                may: what came of it is kept, as its status tells enough.
        """
        limit = _HeaderLimit(self.max_header_seconds)
        client = self.get_httpx_client()
        args = self._with_url(client, {**kwargs, **self._request_args(), "extensions": {"trace": limit.trace}})
        with limit, client.stream(**args) as response:
            limit.lift()
            body = _Body(response, self)
            body.read()
        return body.to_response()

    async def async_request(self, **kwargs: Any) -> Response[None]:
        """Do what `request` does, on asyncio or trio."""
        from anyio import move_on_after  # httpx's own; slow to import, and needed here only

        client = self.get_async_httpx_client()
        args = self._with_url(client, {**kwargs, **self._request_args()})
        with move_on_after(self.max_header_seconds) as limit:
            async with client.stream(**args) as response:
                limit.deadline = math.inf
                body = _Body(response, self)
                await body.aread()
            return body.to_response()
        raise httpx.ReadTimeout(_HEADERS_TOOK_TOO_LONG)

    def close(self) -> None:
        """Close the httpx client, be it made here or set."""
        if self._client is not None:
            self._client.close()

    async def aclose(self) -> None:
        """Close the asynchronous httpx client, be it made here or set."""
        if self._async_client is not None:
            await self._async_client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


_HEADERS_TOOK_TOO_LONG = "The header fields took too long as a whole"


class _HeaderLimit:
    """Shuts down the connection of a request whose response does not begin in time, which wakes whoever reads from it.

    httpx has no limit for a request as a whole. Its trace extension tells of every connection that is made.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: Timer | None = None
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._expired = False

    def trace(self, _event: str, info: Mapping[str, Any]) -> None:
        connection: Any = info.get("return_value")
        if not hasattr(connection, "get_extra_info"):
            return
        with self._lock:
            self._socket = connection.get_extra_info("socket")
            self._shut_down_if_expired()
        if self._timer is None:
            self._timer = Timer(self._seconds, self._expire)
            self._timer.daemon = True
            with suppress(RuntimeError):  # no thread can be started, as when Python ends: no limit beats no request
                self._timer.start()

    def _expire(self) -> None:
        with self._lock:
            self._expired = True
            self._shut_down_if_expired()

    def _shut_down_if_expired(self) -> None:
        if self._expired and self._socket is not None:
            with suppress(OSError):  # it is closed by now
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # SSLSocket's own would go on, unencrypted

    def lift(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.lift()
        if self._expired and isinstance(exc, httpx.TransportError):
            raise httpx.ReadTimeout(_HEADERS_TOOK_TOO_LONG) from None


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of a response, up to the limits of its client.

    It reads the decoded body from httpx, and is itself the raw stream that httpx reads from: only there is every byte
    seen, even where a thousand of them decode to nothing.
    """

    def __init__(self, response: httpx.Response, client: AuthenticatedClient) -> None:
        self._response = response
        self._raw: Any = response.stream
        self._content = bytearray()
        self._max_bytes = client.max_response_bytes
        self._max_packed = client.max_response_bytes * 9 // 8 + _PIECE  # no body of that size takes more, packed
        self._packed = 0
        self._deadline = monotonic() + client.max_response_seconds
        response.stream = self

    def read(self) -> None:
        try:
            for chunk in self._response.iter_bytes():
                self._content += chunk
                if len(self._content) > self._max_bytes:
                    break
        except httpx.HTTPError:
            if self._response.is_success:
                raise

    async def aread(self) -> None:
        try:
            async for chunk in self._response.aiter_bytes():
                self._content += chunk
                if len(self._content) > self._max_bytes:
                    break
        except httpx.HTTPError:
            if self._response.is_success:
                raise

    def to_response(self) -> Response[None]:
        status_code = self._response.status_code
        if len(self._content) > self._max_bytes and self._response.is_success:
            raise ResponseValidationError(f"expected at most {self._max_bytes} bytes", status_code=status_code)
        content = bytes(self._content[: self._max_bytes])
        return Response(status_code=status_code, content=content, headers=self._response.headers, parsed=None)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._raw:
            yield from self._pieces(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._raw:
            for piece in self._pieces(chunk):
                yield piece

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        if monotonic() > self._deadline:
            raise httpx.ReadTimeout("The body took too long as a whole", request=self._response.request)
        codings = self._response.headers.get_list("Content-Encoding", split_commas=True)
        if len(codings) > 1 or not {coding.strip().lower() for coding in codings} <= set(_CODINGS):
            raise httpx.DecodingError("expected gzip or deflate, and once", request=self._response.request)
        self._packed += len(chunk)
        if codings and self._packed > self._max_packed:  # what comes after the end would be kept, and copied each time
            raise httpx.DecodingError("expected less that decodes to nothing", request=self._response.request)
        for start in range(0, len(chunk), _PIECE):
            yield chunk[start : start + _PIECE]

    def close(self) -> None:
        self._raw.close()

    async def aclose(self) -> None:
        await self._raw.aclose()
