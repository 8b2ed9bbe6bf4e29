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
from contextlib import AsyncExitStack, asynccontextmanager
from email.utils import formatdate
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx
from attrs import field, frozen
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from domo_oauth_client.client import environment_proxy

from .adapters.httpx import DomoAuth
from .errors import DomoOAuthError
from .request import tls_context
from .serving import is_known_host

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

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
_FOR_US = {b"authorization", b"expect", b"host", b"proxy-authorization"}
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
        """The answer to a request that must not be forwarded; None if it may be."""
        path = request.scope["path"]
        if problem_of_caller := self._refuse_caller(request.headers, needs_key=path != "/healthz"):
            return problem_of_caller
        return None if path in {"/healthz", "/metrics"} else self._refuse_target(request.method, path)

    def _refuse_caller(self, headers: Headers, *, needs_key: bool) -> Response | None:
        if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
            return problem(403, "The proxy takes no requests from web pages.")
        if self.key is None:
            return None
        if not is_known_host(headers.get("Host", ""), self.hosts):
            return problem(421, "Unknown Host: start the proxy with --allow-host NAME to allow it.")
        given = headers.get("Authorization", "").encode()
        if needs_key and not hmac.compare_digest(given, f"Bearer {self.key}".encode()):
            return problem(
                401,
                "Send the key, DOMO_PROXY_KEY or the one printed at the start: Authorization: Bearer KEY.",
            )
        return None

    def _refuse_target(self, method: str, path: str) -> Response | None:
        if method in {"CONNECT", "TRACE"}:
            return problem(501, "The proxy does not forward this method.")
        if self.read_only and method not in _SAFE_METHODS:
            return problem(403, "The proxy is read-only: it was started with --read-only.")
        # A server may read a/..%2Fb as b, which would get around the patterns.
        parts = unquote(path).replace("\\", "/").split("/")
        if {".", ".."} & {*parts}:
            return problem(403, "The proxy forwards no path with the segments . and .. in it.")
        if next(filter(None, parts), "") == "oauth":  # also after several slashes, which a server may merge
            return problem(403, "The proxy forwards requests to APIs only. It requests tokens itself.")
        if self.allow and not any(fnmatchcase("/".join(parts), pattern) for pattern in self.allow):
            return problem(403, "The proxy does not forward this path: it was started with --allow.")
        return None


def create_app(provider: TokenProvider, access: Access) -> Starlette:
    """The gateway as an ASGI application.

    Besides the paths of the API it answers ``/healthz``, which needs no key, and ``/metrics``.

    Args:
        provider: Where tokens come from, and where the API is.
        access: Who may send what.
    """
    gateway = _Gateway(provider)
    return Starlette(
        routes=[
            Route("/healthz", gateway.health),
            Route("/metrics", gateway.metrics),
            Route("/{path:path}", gateway.forward, methods=[]),  # all methods
        ],
        middleware=[Middleware(_Gate, access, gateway.answers)],
        lifespan=gateway.lifespan,
    )


class _Gate:
    """Lets in what may come in, and logs and counts each answer."""

    def __init__(self, app: ASGIApp, access: Access, answers: Counter[int]) -> None:
        self._app, self._access, self._answers = app, access, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, size = time.monotonic(), 0, 0

        async def watched(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                self._answers[status] += 1
            size += len(message.get("body", b""))
            await send(message)

        request = Request(scope)
        try:
            await (self._access.refusal(request) or self._app)(scope, receive, watched)
        finally:
            milliseconds = (time.monotonic() - began) * 1000
            # As it was sent, so that no escape adds a line. The query may hold what others must not read.
            path = scope["raw_path"].decode("ascii", "backslashreplace")
            logger.info("%s %s %s %d bytes %.0f ms", request.method, path, status or "broken off", size, milliseconds)


class _Gateway:
    def __init__(self, provider: TokenProvider) -> None:
        self._provider, self._auth = provider, DomoAuth(provider)
        self._network: dict[str, Any] = {
            "verify": provider.base_url.startswith("https:") and tls_context(),
            "proxy": environment_proxy(provider.base_url),
            "trust_env": False,  # httpx's reading of the environment fails on NO_PROXY=::1/128
            "timeout": TIMEOUT,
        }
        # A client for each request under way: the pool of one client would poll all its connections for each request.
        self._slots, self._idle = asyncio.Semaphore(MOST_AT_ONCE), list[httpx.AsyncClient]()
        self.answers = Counter[int]()

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncGenerator[None]:
        yield
        for client in self._idle:
            await client.aclose()

    async def forward(self, request: Request) -> Response:
        target = request.scope["raw_path"].decode("ascii")
        if query := request.scope["query_string"].decode("ascii"):
            target = f"{target}?{query}"
        try:
            outgoing = httpx.Request(
                request.method,
                self._provider.base_url + target,
                headers=[*_end_to_end(request.headers.raw, _FOR_US), _VIA],
                content=await _content(request),
            )
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._slots)
                client = self._idle.pop() if self._idle else httpx.AsyncClient(**self._network)
                stack.callback(self._idle.append, client)
                # Neither follows redirects nor adds header fields of its own.
                incoming = await client.send(outgoing, auth=self._auth, stream=True, follow_redirects=False)
                stack.push_async_callback(incoming.aclose)
                return _Relay(incoming, stack.pop_all())
        except DomoOAuthError as error:
            return token_problem(error)
        except httpx.TimeoutException:
            return problem(504, f"{self._provider.base_url} did not answer in time. Try again later.")
        except httpx.RequestError as error:
            why = type(error).__name__
            return problem(502, f"No answer from {self._provider.base_url} ({why}): check the network, then try again.")
        except ClientDisconnect:
            return Response()  # nobody reads it
        except asyncio.CancelledError:  # the time of grace is over
            return problem(503, "The proxy was stopped before the API had answered.", {"Retry-After": "5"})

    def health(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def metrics(self, _request: Request) -> Response:
        """Counters in the text format of Prometheus."""
        stats = self._provider.stats()
        lines = [
            "# TYPE domo_oauth_proxy_responses_total counter",
            *(f'domo_oauth_proxy_responses_total{{code="{code}"}} {n}' for code, n in sorted(self.answers.items())),
            "# TYPE domo_oauth_token_requests_total counter",
            f"domo_oauth_token_requests_total {stats.requests}",
            "# TYPE domo_oauth_token_failures_total counter",
            f"domo_oauth_token_failures_total {stats.failures}",
            "# TYPE domo_oauth_token_expires_seconds gauge",
            f"domo_oauth_token_expires_seconds {stats.expires_in or 0:.0f}",
        ]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


class _Relay(StreamingResponse):
    """The API's answer, as it comes."""

    def __init__(self, incoming: httpx.Response, stack: AsyncExitStack) -> None:
        super().__init__(incoming.aiter_raw(), incoming.status_code)
        self.raw_headers = [*_end_to_end(incoming.headers.raw, {b"proxy-authenticate"}), _VIA]
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except httpx.RequestError as error:  # the answer stays incomplete, and the server closes the connection
            logger.warning("The API's answer broke off: %s", type(error).__name__)
        finally:
            await self._stack.aclose()


async def _content(request: Request) -> bytes | AsyncIterator[bytes] | None:
    """The body: as bytes, which can be sent again, if it is short."""
    if not {"content-length", "transfer-encoding"} & {*request.headers}:
        return None
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


def _end_to_end(raw: Iterable[tuple[bytes, bytes]], dropped: set[bytes]) -> list[tuple[bytes, bytes]]:
    """The header fields to forward (RFC 9110, section 7.6.1)."""
    fields = [*raw]
    named = {
        part.strip().lower() for name, value in fields if name.lower() == b"connection" for part in value.split(b",")
    }
    return [each for each in fields if each[0].lower() not in _HOP_BY_HOP | named | dropped]


def token_problem(error: DomoOAuthError) -> Response:
    """The answer if there is no token: 503 if it is worth trying again, else 502."""
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
