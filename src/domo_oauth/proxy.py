"""A gateway that adds a valid token to each request and forwards it to Domo's API.

For programs in any language on the same machine: they call ``http://127.0.0.1:PORT/v1/...`` and need neither a library
nor the client secret. It is a gateway in the sense of RFC 9110, section 3.7, and follows section 7.6.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import time
from collections import Counter
from contextlib import aclosing, asynccontextmanager
from email.utils import formatdate
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx
from attrs import field, frozen
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Router

from domo_oauth_client.client import environment_proxy

from .adapters.httpx import DomoAuth
from .errors import DomoOAuthError
from .request import tls_context
from .serving import is_known_host

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .provider import TokenProvider

__all__ = ["Access", "create_app"]

logger = logging.getLogger(__name__)

REPEATABLE_BODY = 64 * 1024
"""Bytes of a request body that are kept, so that the request can be sent again after a 401."""
MOST_AT_ONCE = 64
"""Requests under way at the API; others wait for their turn."""
TIMEOUT = httpx.Timeout(300.0, connect=10.0, pool=None)
"""Seconds: a query may take minutes before it sends its first byte."""
RETRY_AFTER = 5.0
"""Seconds after which to try again, if Domo names none. Trying during a pause costs no request."""
_HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
_FOR_THE_PROXY = {b"authorization", b"expect", b"host", b"proxy-authenticate", b"proxy-authorization"}
_VIA = (b"Via", b"1.1 domo-oauth")
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


@frozen
class Access:
    """Who may send what.

    Attributes:
        key: What callers send as ``Authorization: Bearer KEY``; None if the file system decides who may connect.
        hosts: Host names besides loopback that requests may name.
        allow: Patterns of paths, such as ``/v1/datasets/*``, in which ``*`` stands for any characters; none for all.
        read_only: Whether to forward safe methods only (RFC 9110, section 9.2.1).
    """

    key: str | None = field(default=None, repr=False)
    hosts: frozenset[str] = frozenset()
    allow: tuple[str, ...] = ()
    read_only: bool = False

    def refusal(self, request: Request) -> Response | None:
        """The response to a request that must not be forwarded; None if it may be."""
        path = request.scope["path"]
        if problem_of_caller := self._refuse_caller(request.headers, needs_key=path != "/healthz"):
            return problem_of_caller
        raw: bytes = request.scope["raw_path"]
        # Appended to the host of the API, anything else would name another host; and what follows a # is not sent.
        if not raw.startswith(b"/") or b"#" in raw:
            return problem(400, "Send the path alone, such as /v1/datasets.")
        return None if path in {"/healthz", "/metrics"} else self._refuse_target(request.method, path)

    def _refuse_caller(self, headers: Headers, *, needs_key: bool) -> Response | None:
        if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
            return problem(403, "The proxy does not accept requests from web pages.")
        if self.key is None:
            return None
        if not is_known_host(headers.get("Host", ""), self.hosts):
            return problem(421, "Unknown Host: start the proxy with --allow-host NAME to allow it.")
        given = headers.get("Authorization", "").encode()
        if needs_key and not hmac.compare_digest(given, f"Bearer {self.key}".encode()):
            return problem(401, "Send the key (DOMO_PROXY_KEY, or printed at the start): Authorization: Bearer KEY.")
        return None

    def _refuse_target(self, method: str, path: str) -> Response | None:
        if method.upper() in {"CONNECT", "TRACE"}:  # httpx writes methods in upper case
            return problem(501, "The proxy does not forward this method.")
        if self.read_only and method not in _SAFE_METHODS:
            return problem(403, "The proxy is read-only: it was started with --read-only.")
        # A server may read a/..%2Fb as b, and servers in Java read a/..;x/b so: both would get around the patterns.
        parts = [part.partition(";")[0] for part in unquote(path).replace("\\", "/").split("/")]
        if {".", ".."} & {*parts}:
            return problem(403, "The proxy does not forward paths with the segments . and .. in them.")
        if next(filter(None, parts), "") == "oauth":  # also after several slashes, which a server may merge
            return problem(403, "The proxy forwards requests to APIs only. It requests tokens itself.")
        if self.allow and not any(fnmatchcase("/".join(parts), pattern) for pattern in self.allow):
            return problem(403, "The proxy does not forward this path: it was started with --allow.")
        return None


def create_app(provider: TokenProvider, access: Access) -> ASGIApp:
    """The gateway as an ASGI application.

    Besides the paths of the API it serves ``/healthz``, which needs no key, and ``/metrics``.

    Args:
        provider: Where tokens come from, and where the API is.
        access: Who may send what.
    """
    gateway = _Gateway(provider, access)
    return Router(default=gateway, lifespan=gateway.lifespan)


class _Gateway:
    """Handles, counts and logs each request."""

    def __init__(self, provider: TokenProvider, access: Access) -> None:
        self._provider, self._access, self._auth = provider, access, DomoAuth(provider)
        self._network: dict[str, Any] = {
            "verify": tls_context(provider.base_url.startswith("https:")),
            "proxy": environment_proxy(provider.base_url),
            "trust_env": False,  # httpx's reading of the environment fails on NO_PROXY=::1/128
            "timeout": TIMEOUT,
        }
        # A client for each request under way: the pool of one client would poll all its connections for each request.
        self._slots, self._idle = asyncio.Semaphore(MOST_AT_ONCE), list[httpx.AsyncClient]()
        self._answers = Counter[int]()

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncGenerator[None]:
        yield
        for client in self._idle:
            await client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status, size = time.monotonic(), 0, 0

        async def watched(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                self._answers[status] += 1
            size += len(message.get("body", b""))
            await send(message)

        request = Request(scope, receive)
        try:
            if own := self._access.refusal(request) or self._own_page(scope["path"]):
                await own(scope, receive, watched)
            else:
                await self._forward(request, watched)
        except ClientDisconnect:
            pass
        except (DomoOAuthError, httpx.RequestError, httpx.InvalidURL, asyncio.CancelledError) as error:
            if status:  # the response stays incomplete, and the server closes the connection
                logger.warning("The API's response broke off: %s", type(error).__name__)
            else:
                await self._problem(error)(scope, receive, watched)
        finally:
            milliseconds = (time.monotonic() - began) * 1000
            # As it was sent, so that no escape adds a line. The query may be secret, and so may the user in a URL.
            raw: bytes = scope["raw_path"]
            path = raw.decode() if raw.startswith(b"/") else "(not a path)"
            logger.info("%s %s %s %d bytes %.0f ms", request.method, path, status or "broken off", size, milliseconds)

    async def _forward(self, request: Request, send: Send) -> None:
        """Send the request to the API, and stream its response to the caller."""
        target = request.scope["raw_path"].decode()
        if query := request.scope["query_string"].decode():
            target = f"{target}?{query}"
        outgoing = httpx.Request(
            request.method,
            self._provider.base_url + target,
            headers=[*_end_to_end(request.headers.raw), _VIA],
            content=await _content(request),
        )
        async with self._slots:
            client = self._idle.pop() if self._idle else httpx.AsyncClient(**self._network)
            try:
                # Neither follows redirects nor adds header fields of its own.
                incoming = await client.send(outgoing, auth=self._auth, stream=True)
                async with aclosing(incoming):
                    answer = StreamingResponse(incoming.aiter_raw(), incoming.status_code)
                    answer.raw_headers = [*_end_to_end(incoming.headers.raw), _VIA]
                    await answer(request.scope, request.receive, send)
            finally:
                self._idle.append(client)

    def _problem(self, error: BaseException) -> Response:
        """The response if the API gave none."""
        api = self._provider.base_url
        match error:
            case DomoOAuthError():
                return token_problem(error)
            case httpx.InvalidURL():
                return problem(414, "The path and the query are too long.")
            case httpx.TimeoutException():
                return problem(504, f"{api} did not respond in time. Try again later.")
            case httpx.RequestError():
                return problem(
                    502, f"No response from {api} ({type(error).__name__}): check the network, then try again."
                )
            case _:  # cancelled, as the grace period is over
                return problem(503, "The proxy was stopped before the API responded.", {"Retry-After": "5"})

    def _own_page(self, path: str) -> Response | None:
        match path:
            case "/healthz":
                return PlainTextResponse("ok\n")
            case "/metrics":
                return PlainTextResponse(self._metrics(), media_type="text/plain; version=0.0.4")
            case _:
                return None

    def _metrics(self) -> str:
        """Counters in the text format of Prometheus."""
        stats = self._provider.stats()
        lines = [
            "# TYPE domo_oauth_proxy_responses_total counter",
            *(f'domo_oauth_proxy_responses_total{{code="{code}"}} {n}' for code, n in sorted(self._answers.items())),
            "# TYPE domo_oauth_token_requests_total counter",
            f"domo_oauth_token_requests_total {stats.requests}",
            "# TYPE domo_oauth_token_failures_total counter",
            f"domo_oauth_token_failures_total {stats.failures}",
            "# TYPE domo_oauth_token_store_failures_total counter",
            f"domo_oauth_token_store_failures_total {stats.store_failures}",
            "# TYPE domo_oauth_token_expires_seconds gauge",
            f"domo_oauth_token_expires_seconds {stats.expires_in or 0:.0f}",
        ]
        return "\n".join(lines) + "\n"


async def _content(request: Request) -> bytes | AsyncIterator[bytes]:
    """The body: as bytes, which can be sent again, if it is short."""
    start, stream = b"", request.stream()
    async for chunk in stream:
        start += chunk
        if len(start) > REPEATABLE_BODY:
            return _chained(start, stream)
    return start


async def _chained(start: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for chunk in rest:
        yield chunk


def _end_to_end(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The header fields to forward (RFC 9110, section 7.6.1)."""
    connection = [value.lower() for name, value in fields if name.lower() == b"connection"]
    dropped = _HOP_BY_HOP | _FOR_THE_PROXY | {name.strip() for name in b",".join(connection).split(b",")}
    if any(name.lower() == b"transfer-encoding" for name, _ in fields):
        dropped |= {b"content-length"}  # it does not count then (RFC 9112, section 6.3)
    return [each for each in fields if each[0].lower() not in dropped]


def token_problem(error: DomoOAuthError) -> Response:
    """The response if there is no token: 503 if it is worth trying again, else 502."""
    if not error.retryable:
        return problem(502, f"No token for this request. {error}")
    seconds = getattr(error, "retry_after", None) or RETRY_AFTER
    return problem(503, f"No token for this request. {error}", {"Retry-After": str(math.ceil(seconds))})


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem document (RFC 9457)."""
    content: dict[str, Any] = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    fields = {"Date": formatdate(usegmt=True)} | (headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        fields["WWW-Authenticate"] = "Bearer"
    return JSONResponse(content, status, fields, media_type="application/problem+json")
