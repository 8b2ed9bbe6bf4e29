"""The sandbox as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from domo_oauth.contract import Exchange, check_request, check_response
from domo_oauth.contract.document import contract, contract_text

from . import datasets, token_endpoint
from .answers import Answer, container_error, http_response
from .page import sandbox_page
from .stats import Stats
from .tokens import TokenIssuer

if TYPE_CHECKING:
    from starlette.requests import Request

    from domo_oauth.contract import Finding

    from .settings import Settings

__all__ = ["create_app"]

_LOG = logging.getLogger("domo_oauth.sandbox")


def create_app(settings: Settings) -> Starlette:
    """The application: token endpoint, protected resource, a page about them, and ``/_sandbox/…`` to look inside."""
    sandbox = _Sandbox(settings)
    return Starlette(
        routes=[
            Route(token_endpoint.PATH, sandbox.token, methods=[]),  # any: credentials are looked at first
            Route(datasets.PATH, sandbox.datasets),
            Route("/", sandbox.page),
            Route("/_sandbox/contract.yaml", sandbox.contract),
            Route("/_sandbox/jwks.json", sandbox.jwks),
            Route("/_sandbox/stats", sandbox.stats),
            Route("/_sandbox/reset", sandbox.reset, methods=["POST"]),
            Route("/_sandbox/revoke", sandbox.revoke, methods=["POST"]),
        ],
        exception_handlers={HTTPException: sandbox.http_error, Exception: sandbox.fault},
    )


class _Sandbox:
    """The endpoints, and what they share. All run in one event loop, so counting needs no lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._issuer = TokenIssuer(settings.lifetime)
        self._stats = Stats()

    async def token(self, request: Request) -> Response:
        self._stats.count("token_requests")
        body = await request.body()
        await asyncio.sleep(self._settings.delay)
        answer = self._token_answer(request, body)
        exchange = Exchange(
            method=request.method,
            url=str(request.url),
            request_headers=tuple(request.headers.items()),
            request_body=body,
        )
        if outside := check_request(exchange):
            self._stats.count("outside_contract")
            _LOG.info("  outside the contract, %s: %s", answer.outcome, _one_line(outside))
        response = self._respond(answer, request)
        if self._settings.validate_responses and answer.outcome != "method_not_allowed":
            return _validated(exchange, answer, response)
        return response

    def _token_answer(self, request: Request, body: bytes) -> Answer:
        headers = request.headers
        client = token_endpoint.authenticate(headers.get("Authorization", ""), self._settings.clients)
        if client is None:
            return token_endpoint.unauthorized()
        if request.method not in ("GET", "POST"):
            path = token_endpoint.PATH
            return container_error(405, path, headers={"Allow": "GET, POST"}, outcome="method_not_allowed")
        wanted = token_endpoint.parameters(request.method, request.url.query, headers.get("Content-Type", ""), body)
        return token_endpoint.grant(client, wanted, self._issuer)

    async def datasets(self, request: Request) -> Response:
        self._stats.count("resource_requests")
        authorization, accept = (request.headers.get(name, "") for name in ("Authorization", "Accept"))
        answer = datasets.list_datasets(authorization, accept, request.query_params, self._issuer)
        return self._respond(answer, request)

    async def page(self, _request: Request) -> Response:
        page = sandbox_page(contract(), self._settings.clients)
        headers = {
            "Cache-Control": "no-store",
            # A document's own policy cannot say who may frame it.
            "Content-Security-Policy": f"{page.policy}; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(page.html, headers=headers)

    async def contract(self, _request: Request) -> Response:
        return PlainTextResponse(contract_text())

    async def jwks(self, request: Request) -> Response:
        return self._respond(Answer(200, self._issuer.jwks()), request)

    async def stats(self, request: Request) -> Response:
        return self._respond(Answer(200, asdict(self._stats)), request)

    async def reset(self, request: Request) -> Response:
        self._stats = Stats()
        return await self.stats(request)

    async def revoke(self, request: Request) -> Response:
        self._issuer.revoke_all()
        return await self.stats(request)

    async def http_error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        return self._respond(container_error(status, request.url.path, headers=headers), request)

    async def fault(self, request: Request, _error: Exception) -> Response:
        body = {"error": "server_error", "error_description": "Internal Server Error"}
        return self._respond(Answer(500, body), request)

    def _respond(self, answer: Answer, request: Request) -> Response:
        """Count, log without the query, which may hold anything, and answer."""
        if answer.outcome:
            self._stats.count("tokens_issued" if answer.outcome == "granted" else answer.outcome)
        raw_path: bytes = request.scope["raw_path"]  # as it was sent: no line end in it
        _LOG.info("%s", f"{request.method} {raw_path.decode()} {answer.status} {answer.outcome}".rstrip())
        return http_response(answer, request)


def _validated(exchange: Exchange, answer: Answer, response: Response) -> Response:
    """The response, if it keeps the contract; as for a GET, for the contract describes no POST."""
    complete = replace(
        exchange,
        method="GET",
        status=response.status_code,
        response_headers=tuple(response.headers.items()),
        response_body=answer.to_bytes(),
    )
    faults = [finding for finding in check_response(complete) if finding.kind == "fault"]
    if not faults:
        return response
    return PlainTextResponse(f"THE SANDBOX BREAKS THE CONTRACT: {_one_line(faults)}\n", 500)


def _one_line(findings: list[Finding]) -> str:
    return "; ".join(map(str, findings))
