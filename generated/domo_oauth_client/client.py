"""The client: how requests are sent, and how much of a response is read."""

import re
import ssl
import zlib
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, Self
from urllib.request import getproxies, proxy_bypass

import httpx
from attrs import define, field

from .errors import ResponseValidationError


@define(eq=False)
class AuthenticatedClient:
    """Sends requests with HTTP Basic authentication, to `https://` and to this machine only. Follows no redirect.

    To change an option, make another client: `attrs.evolve(client, timeout=5.0)`.

    Attributes:
        base_url (httpx.URL | str): Where the server is.
        username (str): User name, not encoded.
        password (str): Password, not encoded.
        headers (dict[str, str]): Headers of every request.
        cookies (dict[str, str]): Cookies of every request.
        timeout (httpx.Timeout | float | None): Seconds to wait for a connection, and for each read and write.
        verify_ssl (ssl.SSLContext | str | bool): Passed to httpx as `verify`.
        httpx_args (dict[str, Any]): More arguments of `httpx.Client` and `httpx.AsyncClient`, which win over those above.
            Without `proxy`, `transport` or `trust_env=False`, the proxy is that of `environment_proxy`.
        raise_on_unexpected_status (bool): Raise errors.UnexpectedStatus for a status that the contract does not name.
        max_response_bytes (int): How long a body may be, before and after decompression.
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
    max_response_bytes: int = field(default=1_048_576, kw_only=True)
    _client: httpx.Client | None = field(default=None, init=False, repr=False)
    _async_client: httpx.AsyncClient | None = field(default=None, init=False, repr=False)

    def set_httpx_client(self, client: httpx.Client) -> Self:
        """Use this httpx client, with its own base URL, headers, cookies, timeout and so on."""
        self._client = client
        return self

    def get_httpx_client(self) -> httpx.Client:
        """Return the httpx client, made when it is first needed."""
        if self._client is None:
            self._client = httpx.Client(**self._client_args())
        return self._client

    def set_async_httpx_client(self, async_client: httpx.AsyncClient) -> Self:
        """Use this asynchronous httpx client, with its own base URL, headers, cookies, timeout and so on."""
        self._async_client = async_client
        return self

    def get_async_httpx_client(self) -> httpx.AsyncClient:
        """Return the asynchronous httpx client, made when it is first needed."""
        if self._async_client is None:
            self._async_client = httpx.AsyncClient(**self._client_args())
        return self._async_client

    def _client_args(self) -> dict[str, Any]:
        args: dict[str, Any] = {
            "base_url": self._base_url,
            "headers": self._headers,
            "cookies": self._cookies,
            "timeout": self._timeout,
            "verify": self._verify_ssl,
            **self._httpx_args,
        }
        if args.get("trust_env", True) and args.get("proxy") is None and args.get("transport") is None:
            # httpx itself would fail on NO_PROXY=::1/128 and HTTPS_PROXY=proxy:3128.
            args |= {"proxy": environment_proxy(args["base_url"]), "trust_env": False}
            if args["verify"] is True:
                args["verify"] = httpx.create_ssl_context()  # with SSL_CERT_FILE and SSL_CERT_DIR
        return args

    def _request_args(self, args: dict[str, Any]) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", **args.get("headers", {})}
        auth = _BasicAuth(self._username, self._password)
        return {**args, "headers": headers, "auth": auth, "follow_redirects": False}

    def request(self, **kwargs: Any) -> httpx.Response:
        """Send a request, given as the arguments of `httpx.Client.stream`, and read the response.

        Raises:
            errors.ResponseValidationError: The body of a success (2xx) is too large or cannot be decompressed.
            httpx.HTTPError: No response came, or the body of a success broke off.
        """
        client = self.get_httpx_client()
        with _clean_errors(), client.stream(**self._request_args(kwargs)) as response:
            body = _Body(response, self.max_response_bytes)
            body.read()
        return body.to_response()

    async def async_request(self, **kwargs: Any) -> httpx.Response:
        """Do what `request` does, on asyncio or trio."""
        client = self.get_async_httpx_client()
        with _clean_errors():
            async with client.stream(**self._request_args(kwargs)) as response:
                body = _Body(response, self.max_response_bytes)
                await body.aread()
        return body.to_response()

    def close(self) -> None:
        """Close the httpx client."""
        if self._client is not None:
            self._client.close()

    async def aclose(self) -> None:
        """Close the asynchronous httpx client."""
        if self._async_client is not None:
            await self._async_client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


def environment_proxy(url: httpx.URL | str) -> str | None:
    """Return the proxy for a URL, by HTTPS_PROXY, ALL_PROXY and NO_PROXY as `urllib.request` reads them.

    There is none for `http://`, which is for this machine only.

    Raises:
        ValueError: The URL of the proxy is invalid.
    """
    url = httpx.URL(url)
    hosts = {url.host, url.netloc.decode()}  # NO_PROXY may name the port, and an IPv6 address with or without brackets
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or url.scheme != "https" or any(map(proxy_bypass, hosts)):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        httpx.Proxy(proxy)
    except (httpx.InvalidURL, ValueError):
        del proxy, proxies  # no traceback may show the password in it
    else:
        return proxy
    raise ValueError("Invalid proxy URL in the environment: check HTTPS_PROXY and ALL_PROXY")


class _BasicAuth(httpx.BasicAuth):
    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if request.url.scheme != "https" and not re.fullmatch(r"localhost|127\.[0-9.]+|::1", request.url.host):
            raise httpx.UnsupportedProtocol("http:// is for loopback hosts only: use https://", request=request)
        yield from super().auth_flow(request)


@contextmanager
def _clean_errors() -> Generator[None]:
    """Take the credentials out of httpx's errors, which carry the request, and make all of them an httpx.HTTPError."""
    try:
        yield
    except httpx.RequestError as error:
        with suppress(RuntimeError):  # if it has no request
            error.request.headers.pop("Authorization", None)
        raise
    except (httpx.InvalidURL, UnicodeError):
        raise httpx.RemoteProtocolError("Invalid URL in location header") from None


class _Body:
    """The body of a response, read and decompressed up to a limit, whatever its server sends."""

    def __init__(self, response: httpx.Response, limit: int) -> None:
        self._response = response
        self._limit = limit
        self._content = bytearray()
        self._coding = response.headers.get("Content-Encoding", "identity").strip().lower()

    def read(self) -> None:
        try:
            for chunk in self._response.iter_raw():
                self._content += chunk
                if len(self._content) > self._limit:
                    break
        except httpx.StreamConsumed:
            self._take_over()
        except httpx.HTTPError:
            if self._response.is_success:
                raise

    async def aread(self) -> None:
        try:
            async for chunk in self._response.aiter_raw():
                self._content += chunk
                if len(self._content) > self._limit:
                    break
        except httpx.StreamConsumed:
            self._take_over()
        except httpx.HTTPError:
            if self._response.is_success:
                raise

    def _take_over(self) -> None:
        """Take what a mock or a hook has had httpx read and decompress."""
        self._content += self._response.content
        self._coding = "identity"

    def to_response(self) -> httpx.Response:
        fault = self._decompress()
        if fault is not None and self._response.is_success:
            self._content.clear()  # no traceback may show it
            raise ResponseValidationError(fault, status_code=self._response.status_code)
        response = httpx.Response(self._response.status_code, content=bytes(self._content[: self._limit]))
        response.headers = self._response.headers
        return response

    def _decompress(self) -> str | None:
        """Decompress the content; return what was expected if that is not possible."""
        if len(self._content) <= self._limit and self._coding != "identity":
            if self._coding not in {"gzip", "deflate"}:
                return "expected Content-Encoding gzip or deflate"
            try:
                self._content[:] = zlib.decompressobj(wbits=47).decompress(self._content, self._limit + 1)
            except zlib.error:
                return f"expected a body in Content-Encoding {self._coding}"
        return f"expected at most {self._limit} bytes" if len(self._content) > self._limit else None
