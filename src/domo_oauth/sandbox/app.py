"""The sandbox as an ASGI application: endpoints, failures on demand, control, and who may ask at all."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attrs import asdict, evolve
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from domo_oauth.base_url import is_loopback
from domo_oauth.contract import Exchange, check_request, check_response
from domo_oauth.contract.document import contract, contract_text
from domo_oauth.errors import ConfigurationError

from . import endpoints
from .endpoints import Answer, container_error
from .page import sandbox_page
from .settings import Client, Failure, RecordedRequest, Stats, from_table
from .tokens import TokenIssuer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .settings import Settings

__all__ = ["create_app"]

_LOG = logging.getLogger("domo_oauth.sandbox")
_KEPT_REQUESTS = 10_000
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)
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
        sleep: Waits for so many seconds.
    """
    sandbox = _Sandbox(settings, sleep)
    return Starlette(
        routes=[
            Route(endpoints.TOKEN, sandbox.token, methods=[]),  # all methods: credentials are checked first
            Route("/v1/{path:path}", sandbox.api, methods=[]),
            Route("/", sandbox.page),
            Route("/_sandbox/contract.yaml", sandbox.contract),
            Route("/_sandbox/{name}", sandbox.show),
            Route("/_sandbox/{name}", sandbox.control, methods=["POST"]),
        ],
        middleware=[Middleware(_OwnOriginOnly, settings.allowed_hosts)],
        exception_handlers={HTTPException: sandbox.http_error, Exception: sandbox.fault},
    )


class _OwnOriginOnly:
    """Refuses what a web page of another origin can make a browser send, but for a link to the page."""

    def __init__(self, app: ASGIApp, allowed_hosts: tuple[str, ...]) -> None:
        self._app = app
        self._allowed_hosts = {host.lower() for host in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._refusal(scope["path"], Headers(scope=scope)) or self._app
        await app(scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> Response | None:
        host = headers.get("Host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        # After DNS rebinding, a page's own host name leads here.
        if not is_loopback(name) and name not in self._allowed_hosts:
            _LOG.info("refused: unknown Host")
            return PlainTextResponse("Unknown Host: start the sandbox with --allow-host NAME to allow it.\n", 421)
        # Navigation and images have no Origin; browsers say by Sec-Fetch-Site where those come from.
        foreign = headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"} and path != "/"
        if foreign or headers.get("Origin", f"http://{host}") != f"http://{host}":
            _LOG.info("refused: sent by a web page of another origin")
            return PlainTextResponse("The sandbox takes no requests from web pages of other origins.\n", 403)
        return None


class _Sandbox:
    """The endpoints and what they share. All run in one event loop, so nothing needs a lock."""

    def __init__(self, settings: Settings, sleep: Callable[[float], Awaitable[object]]) -> None:
        self._initial = settings
        self._sleep = sleep
        self._issuer = TokenIssuer()
        self._reset()

    def _reset(self) -> None:
        self._settings = self._initial
        self._failures = list(self._initial.failures)
        self._stats = Stats()
        self._requests = deque[RecordedRequest](maxlen=_KEPT_REQUESTS)

    async def token(self, request: Request) -> Response:
        failure = self._arrived("token_requests", "token")
        body = await request.body()
        await self._sleep(self._settings.delay)
        exchange = Exchange(request.method, str(request.url), tuple(request.headers.items()), body)
        if outside := check_request(exchange):
            self._count("outside_contract")
            _LOG.info("  outside the contract: %s", "; ".join(map(str, outside)))
        if failure:
            return await self._fail(failure, request)
        query, settings, issuer = request.url.query, self._settings, self._issuer
        answer = endpoints.token(request.method, query, request.headers, body, settings, issuer)
        response = self._respond(answer, request)
        if settings.validate_responses and answer.outcome != "method_not_allowed":
            return _validated(exchange, answer, response)
        return response

    async def api(self, request: Request) -> Response:
        if failure := self._arrived("resource_requests", "api"):
            return await self._fail(failure, request)
        if request.url.path != endpoints.DATASETS:
            raise HTTPException(404)
        if request.method not in {"GET", "HEAD"}:
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        query = request.query_params
        return self._respond(endpoints.list_datasets(query, request.headers, self._settings, self._issuer), request)

    async def page(self, _request: Request) -> Response:
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": "frame-ancestors 'none'",  # the policy within a document cannot say that
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(sandbox_page(contract(), self._settings.clients), headers=headers)

    async def contract(self, _request: Request) -> Response:
        return PlainTextResponse(contract_text())

    async def show(self, request: Request) -> Response:
        match request.path_params["name"]:
            case "stats":
                body: object = asdict(self._stats)
            case "requests":
                body = [asdict(each) for each in self._requests]
            case "settings":
                body = {name: getattr(self._settings, name) for name in ("lifetime", "delay", "datasets")}
            case "jwks.json":
                body = self._issuer.jwks()
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
                    self._failures.append(from_table(Failure, body))
                case "clients":
                    clients = (*self._settings.clients, from_table(Client, body))
                    self._settings = evolve(self._settings, clients=clients)
                case "settings":
                    self._settings = self._settings.changed(body)
                case _:
                    raise HTTPException(404)
        except (ValueError, RecursionError, ConfigurationError) as error:
            problem = str(error) if isinstance(error, ConfigurationError) else "The body is not JSON."
            return self._respond(Answer(400, {"error": problem}), request, record=False)
        return self._respond(Answer(200, asdict(self._stats)), request, record=False)

    async def http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 -- Starlette's signature is wider
        return self._respond(container_error(error.status_code, request.url.path, "", error.headers), request)

    async def fault(self, request: Request, _error: Exception) -> Response:
        body = {"error": "server_error", "error_description": "Internal Server Error"}
        return self._respond(Answer(500, body), request)

    def _arrived(self, count: str, at: str) -> Failure | None:
        """Count the request, and take its failure before anything else can run: n failures are n answers."""
        self._count(count)
        for index, failure in enumerate(self._failures):
            if failure.at == at:
                rest = [evolve(failure, times=failure.times - 1)] if failure.times > 1 else []
                self._failures[index : index + 1] = rest
                return failure
        return None

    def _count(self, name: str) -> None:
        self._stats = evolve(self._stats, **{name: getattr(self._stats, name) + 1})

    async def _fail(self, failure: Failure, request: Request) -> Response:
        await self._sleep(failure.delay)
        answer = container_error(failure.status, request.url.path)
        body = answer.body if failure.body is None else failure.body
        answer = evolve(answer, body=body, headers=failure.headers, outcome="failed")
        response = self._respond(answer, request)
        return self._dripped(response, failure.drip) if failure.drip else response

    def _dripped(self, response: Response, pause: float) -> Response:
        async def body() -> AsyncGenerator[bytes]:
            for byte in bytes(response.body):
                await self._sleep(pause)
                yield bytes([byte])

        return StreamingResponse(body(), response.status_code, response.headers)

    def _respond(self, answer: Answer, request: Request, *, record: bool = True) -> Response:
        """Count, record and log without the query, which may hold anything; and answer."""
        if answer.outcome:
            self._count(answer.outcome)
        raw_path: bytes = request.scope["raw_path"]  # as it was sent: no line end in it
        path = raw_path.decode()
        _LOG.info("%s", f"{request.method} {path} {answer.status} {answer.outcome}".rstrip())
        if record:
            known = {name: getattr(answer, name) for name in ("status", "outcome", "client_id", "scope")}
            self._requests.append(RecordedRequest(method=request.method, path=path, **known))
        body = b"" if answer.status in {204, 304} else answer.to_bytes()  # those two have none
        headers = {**_HEADERS, **answer.headers}
        if body and _GZIP.search(request.headers.get("Accept-Encoding", "")):
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        response = Response(body, answer.status, headers)
        del response.headers["Content-Length"]  # it goes in chunks, as Domo's do
        return response


def _validated(exchange: Exchange, answer: Answer, response: Response) -> Response:
    """The response if it keeps the contract, checked as the answer to a GET: the contract describes no POST."""
    answered = replace(exchange, method="GET", status=response.status_code, response_body=answer.to_bytes())
    findings = check_response(replace(answered, response_headers=tuple(response.headers.items())))
    if faults := [str(finding) for finding in findings if finding.kind == "error"]:
        return PlainTextResponse(f"THE SANDBOX BREAKS THE CONTRACT: {'; '.join(faults)}\n", 500)
    return response
