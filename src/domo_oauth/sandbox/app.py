"""The sandbox as an ASGI application: routes, failures on demand, control, and protection from web pages."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections import Counter, deque
from itertools import chain, repeat
from typing import TYPE_CHECKING

from attrs import asdict, evolve
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from domo_oauth.contract import Exchange, check_request, contract
from domo_oauth.errors import ConfigurationError
from domo_oauth.serving import is_known_host

from . import datasets, token_endpoint
from .page import sandbox_page
from .settings import Client, Failure, RecordedRequest, Stats, from_object
from .token_endpoint import Answer, container_error
from .tokens import TokenIssuer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .settings import Settings

__all__ = ["create_app"]

_LOG = logging.getLogger("domo_oauth.sandbox")
_KEPT_REQUESTS = 10_000
# As on the documentation page. The server adds Date and Transfer-Encoding.
_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "keep-alive",
    "Content-Type": "application/json;charset=utf-8",
    "Pragma": "no-cache",
    "Server": "nginx",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Vary": "Accept-Encoding, User-Agent",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
}


def create_app(settings: Settings, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> Starlette:
    """The application.

    Args:
        settings: What to start with, and to return to at a reset.
        sleep: ``sleep(seconds)`` waits for that long.
    """
    handlers = _Handlers(settings, sleep)
    return Starlette(
        routes=[
            Route(token_endpoint.TOKEN, handlers.token, methods=[]),  # all methods: credentials are checked first
            Route("/v1/{path:path}", handlers.api, methods=[]),
            Route("/", handlers.page),
            Route("/_sandbox/{name}", handlers.show),
            Route("/_sandbox/{name}", handlers.control, methods=["POST"]),
        ],
        middleware=[Middleware(_OwnOriginOnly, settings.allowed_hosts)],
        exception_handlers={HTTPException: handlers.http_error},
    )


class _OwnOriginOnly:
    """Refuses requests that web pages of other origins make a browser send, except for links to the page."""

    def __init__(self, app: ASGIApp, allowed_hosts: tuple[str, ...]) -> None:
        self._app = app
        self._allowed_hosts = {host.lower() for host in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._refusal(scope["path"], Headers(scope=scope)) or self._app
        await app(scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> Response | None:
        host = headers.get("Host", "")
        if not is_known_host(host, self._allowed_hosts):
            _LOG.info("refused: unknown Host")
            return PlainTextResponse("Unknown Host: start the sandbox with --allow-host NAME to allow it.\n", 421)
        # Navigation and images have no Origin, but a Sec-Fetch-Site.
        foreign = headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"} and path != "/"
        if foreign or headers.get("Origin", f"http://{host}") != f"http://{host}":
            _LOG.info("refused: sent by a web page of another origin")
            return PlainTextResponse("The sandbox does not accept requests from web pages of other origins.\n", 403)
        return None


class _Handlers:
    """The handlers and their shared state. All run in one event loop, so nothing needs a lock."""

    def __init__(self, settings: Settings, sleep: Callable[[float], Awaitable[object]]) -> None:
        self._initial = settings
        self._sleep = sleep
        self._issuer = TokenIssuer()
        self._reset()

    def _reset(self) -> None:
        self._settings = evolve(self._initial)  # with its own copy of the datasets
        self._failures: dict[str, Iterator[Failure]] = {"token": iter(()), "api": iter(())}
        for failure in self._initial.failures:
            self._add(failure)
        self._counts = Counter[str]()
        self._requests = deque[RecordedRequest](maxlen=_KEPT_REQUESTS)

    async def token(self, request: Request) -> Response:
        failure = self._arrived("token_requests", "token")
        body = await request.body()
        await self._sleep(self._settings.delay)
        exchange = Exchange(request.method, str(request.url), tuple(request.headers.items()), body)
        if outside := check_request(exchange):
            self._counts["outside_contract"] += 1
            _LOG.info("  outside the contract: %s", "; ".join(map(str, outside)))
        if failure:
            return await self._fail(failure, request)
        return self._respond(token_endpoint.token(request, body, self._settings, self._issuer), request)

    async def api(self, request: Request) -> Response:
        if failure := self._arrived("resource_requests", "api"):
            return await self._fail(failure, request)
        body = await request.body()
        return self._respond(datasets.answer(request, body, self._settings, self._issuer), request)

    async def page(self, _request: Request) -> Response:
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": "frame-ancestors 'none'",  # the policy within a document cannot say that
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(sandbox_page(contract(), self._settings.clients), headers=headers)

    async def show(self, request: Request) -> Response:
        match request.path_params["name"]:
            case "stats":
                body: object = asdict(Stats(**self._counts))
            case "requests":
                body = [asdict(each) for each in self._requests]
            case "settings":
                body = {name: getattr(self._settings, name) for name in ("lifetime", "delay", "datasets")}
            case _:
                raise HTTPException(404)
        return self._respond(Answer(200, body), request, record=False)

    async def control(self, request: Request) -> Response:
        try:
            body = json.loads(await request.body() or "{}")
            match request.path_params["name"]:
                case "reset":
                    self._reset()
                case "revoke":
                    self._issuer.revoke_all()
                case "fail":
                    self._add(from_object(Failure, body))
                case "clients":
                    by_id = {each.client_id: each for each in (*self._settings.clients, from_object(Client, body))}
                    self._settings = evolve(self._settings, clients=tuple(by_id.values()))
                case "settings":
                    self._settings = self._settings.changed(body)
                case _:
                    raise HTTPException(404)
        except (ConfigurationError, ValueError, RecursionError, AttributeError, TypeError) as error:
            problem = str(error) if isinstance(error, ConfigurationError) else "The body is not the expected JSON."
            return self._respond(Answer(400, {"error": problem}), request, record=False)
        return self._respond(Answer(200, asdict(Stats(**self._counts))), request, record=False)

    async def http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 -- Starlette's signature is wider
        return self._respond(container_error(error.status_code, request.url.path, headers=error.headers), request)

    def _add(self, failure: Failure) -> None:
        self._failures[failure.at] = chain(self._failures[failure.at], repeat(failure, failure.times))

    def _arrived(self, count: str, at: str) -> Failure | None:
        """Count the request, and take its failure before anything else can run: n failures are n responses."""
        self._counts[count] += 1
        return next(self._failures[at], None)

    async def _fail(self, failure: Failure, request: Request) -> Response:
        await self._sleep(failure.delay)
        answer = container_error(failure.status, request.url.path, headers=failure.headers, outcome="failed")
        return self._respond(answer if failure.body is None else evolve(answer, body=failure.body), request)

    def _respond(self, answer: Answer, request: Request, *, record: bool = True) -> Response:
        """Count, record and log the request, without its query, which may hold a secret; and build the response."""
        if answer.outcome:
            self._counts[answer.outcome] += 1
        raw_path: bytes = request.scope["raw_path"]  # as it was sent: no line end in it
        path = raw_path.decode()
        _LOG.info("%s", f"{request.method} {path} {answer.status} {answer.outcome}".rstrip())
        if record:
            known = {name: getattr(answer, name) for name in ("status", "outcome", "client_id", "scope")}
            self._requests.append(RecordedRequest(method=request.method, path=path, **known))
        body = b"" if answer.status in {204, 304} else answer.to_bytes()
        headers = {**_HEADERS, **answer.headers}
        if body and "gzip" in request.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        response = Response(body, answer.status, headers)
        del response.headers["Content-Length"]  # it goes in chunks, as Domo's do
        return response
