"""Requests to the token endpoint: credentials in, a token or one typed error out. Nothing is kept.

Each request makes its own `httpx.Client` and closes it: tokens last an hour, idle connections do not. The process
shares one TLS context, as loading certificate authorities takes long.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  # pyright: ignore[reportUnusedImport] -- socket imports it, when used
import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import httpcore  # noqa: F401  # pyright: ignore[reportUnusedImport] -- httpx imports it, and that trio, when used
import httpx
from attrs import field, frozen

from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.errors import ResponseValidationError
from domo_oauth_client.types import UNSET

from . import timing
from ._version import __version__
from .answer import Sent, broken_answer, read_answer
from .base_url import resolve_base_url
from .credentials import ClientCredentials, HttpxArgs
from .errors import ConfigurationError, DomoOAuthError, TransportError, require
from .flight import Flight
from .scopes import scope_names, scope_parameter
from .state import fork_lock
from .timing import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .scopes import Scopes
    from .token import Token

_CLOCK = timing.Clock()


def request_token(
    credentials: ClientCredentials,
    scopes: Scopes | None = None,
    *,
    base_url: str | None = None,
    httpx_args: Mapping[str, Any] | None = None,
    timeout: float | None = timing.DEFAULT_TIMEOUT,
) -> Token:
    """Request an access token once. Nothing is cached and nothing is retried.

    Args:
        credentials: The client id and secret.
        scopes: What the token is for: a subset of the client's scopes; None for all of them.
        base_url: Where Domo's API is; by default ``DOMO_API_URL``, else ``https://api.domo.com``.
        httpx_args: Arguments for the ``httpx.Client``: ``proxy``, ``verify`` (an ``ssl.SSLContext``), ``timeout``
            (seconds for a connection, and for each read and write; 10 by default), ``cert``, ``transport`` and so on;
            not ``base_url`` or ``auth``.
        timeout: Seconds to wait in all; None for the default of 60. The one in ``httpx_args`` limits each step.

    Raises:
        ConfigurationError: Nothing was sent, because an argument is invalid.
        TransportError: There was no response, or not in time.
        TokenRequestError: The endpoint responded, but granted no token; its subclasses are the common cases.
    """
    try:
        flight = _flight(credentials, scopes, base_url, httpx_args)
    finally:
        del credentials, base_url, httpx_args  # may hold secrets, and tracebacks can show locals
    budget = Budget(timeout, _CLOCK.monotonic)
    return flight.result(flight.wait(budget), budget)


async def arequest_token(
    credentials: ClientCredentials,
    scopes: Scopes | None = None,
    *,
    base_url: str | None = None,
    httpx_args: Mapping[str, Any] | None = None,
    timeout: float | None = timing.DEFAULT_TIMEOUT,  # noqa: ASYNC109 -- the same as in request_token
) -> Token:
    """Request an access token once, under asyncio or trio. See :func:`request_token`."""
    try:
        flight = _flight(credentials, scopes, base_url, httpx_args)
    finally:
        del credentials, base_url, httpx_args  # see request_token
    budget = Budget(timeout, _CLOCK.monotonic)
    return flight.result(await flight.arrive(budget), budget)


def _flight(
    credentials: ClientCredentials, scopes: Scopes | None, base_url: str | None, httpx_args: Mapping[str, Any] | None
) -> Flight[Token]:
    try:
        require("The first argument", credentials, ClientCredentials)
        request = Request(credentials, scope_names(scopes), resolve_base_url(base_url), HttpxArgs.checked(httpx_args))
    finally:
        del credentials, base_url, httpx_args  # see request_token

    def work(flight: Flight[Token]) -> Token:
        flight.note = f"GET {request.url} has had no response"
        return request.send(Budget(timing.FETCH_SECONDS, _CLOCK.monotonic))

    return Flight(work, _CLOCK)


@frozen
class Request:
    """A request for a token, to be sent any number of times. See `request_token` for its attributes."""

    credentials: ClientCredentials
    scopes: tuple[str, ...] | None
    base_url: str
    httpx_args: Mapping[str, Any] = field(repr=False)

    @property
    def url(self) -> str:
        """Where the request is sent."""
        return f"{self.base_url}/oauth/token"

    def send(self, budget: Budget) -> Token:
        """Send the request once. The generated client follows no redirect, whatever `httpx_args` say.

        Raises:
            DomoOAuthError: No token was granted.
        """
        sent = Sent(self.url, self.credentials, self.scopes, datetime.now(UTC))
        try:
            with fork_lock:  # OpenSSL loads certificates here; see there
                client = AuthenticatedClient(
                    base_url=self.base_url,
                    username=self.credentials.client_id,
                    password=self.credentials.client_secret,
                    httpx_args=_httpx_args(self.base_url, self.httpx_args, budget),
                )
                client.get_httpx_client()
        except Exception as error:  # noqa: BLE001 -- httpx, ssl and the caller's objects raise different types
            suspects = "httpx_args and " if self.httpx_args else ""
            raise ConfigurationError(
                f"httpx cannot be set up: {_text(error, sent)}. Check {suspects}the base URL, and in the environment "
                "HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."
            ) from None
        with client:
            try:
                response = get_access_token.sync_detailed(
                    client=client, grant_type="client_credentials", scope=scope_parameter(self.scopes) or UNSET
                )
            except ResponseValidationError as error:
                place = f"{error.field}: " if error.field else ""
                raise broken_answer(error.status_code, f"{place}{error.reason}", sent, error.content) from None
            except httpx.HTTPError as error:
                raise _failure(error, sent) from None
        answer = read_answer(response, sent)
        if isinstance(answer, DomoOAuthError):
            raise answer
        return answer


tls_context = cache(httpx.create_ssl_context)
"""The TLS context, made once for the process: making one takes longer than a request."""


def _httpx_args(url: str, given: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
    args = dict(given)
    # A caller's transport may keep connections, whose reads would be bounded by the budget of a fetch that has ended.
    headers = httpx.Headers({"Connection": "close"})
    headers["User-Agent"] = f"domo-oauth/{__version__} python-httpx/{httpx.__version__}"
    headers.update(args.get("headers"))
    hooks: dict[str, list[Any]] = dict(args.get("event_hooks") or {})
    hooks["request"] = [*hooks.get("request", ()), _Bounds(budget)]
    args |= {"timeout": args.get("timeout", timing.NETWORK_TIMEOUT), "headers": headers, "event_hooks": hooks}
    if args.get("transport") is not None:
        args["transport"] = _Kept(args["transport"])
    if args.get("mounts"):
        args["mounts"] = {key: value and _Kept(value) for key, value in args["mounts"].items()}
    if args.keys().isdisjoint({"verify", "cert", "transport"}):
        args["verify"] = tls_context(url.startswith("https:"), trust_env=args.get("trust_env", True))
    return args


class _Kept(httpx.BaseTransport):
    """A caller's transport, which is used but not closed."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self.handle_request = transport.handle_request  # type: ignore[method-assign]


class _Bounds:
    """Ends a request when the budget is spent: httpx only bounds each read, and a single byte satisfies that.

    An httpx event hook for requests. httpcore's `trace` extension reports each new connection. Connecting, the TLS
    handshake, and each read and write then get at most the time that is left. Nothing bounds a DNS lookup, nor the
    number of a host's addresses, each of which may take the connect timeout.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._then: Callable[[str, Mapping[str, Any]], object] | None = None

    def __call__(self, request: httpx.Request) -> None:
        left, timeouts = self._seconds(None), request.extensions["timeout"]
        request.extensions["timeout"] = {name: min(timeout or left, left) for name, timeout in timeouts.items()}
        self._then = request.extensions.get("trace")  # the caller's own, set by a hook
        request.extensions["trace"] = self._trace
        self._seconds(request.extensions["timeout"]["connect"])  # for a transport that reports nothing

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        if self._then is not None:
            self._then(event, info)
        if event.endswith(("connect_tcp.started", "connect_unix_socket.started", "start_tls.started")):
            info["timeout"] = self._seconds(info["timeout"])  # these are the arguments of the call that follows
        if event.endswith(("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")):
            self._bound(info["return_value"])

    def _bound(self, stream: Any) -> None:
        read, write = stream.read, stream.write

        # The names are httpcore's, which passes some arguments by name and some by position.
        def bounded_read(max_bytes: int, timeout: float | None = None) -> Any:
            return read(max_bytes, self._seconds(timeout))

        def bounded_write(buffer: bytes, timeout: float | None = None) -> None:
            write(buffer, self._seconds(timeout))

        stream.read, stream.write = bounded_read, bounded_write

    def _seconds(self, timeout: float | None) -> float:
        seconds = self._budget.slice(timing.FETCH_SECONDS if timeout is None else timeout)
        if seconds <= 0:
            raise httpx.ReadTimeout(f"no complete response within {timing.FETCH_SECONDS:g} s")
        return seconds


def _failure(error: httpx.HTTPError, sent: Sent) -> DomoOAuthError:
    """The error to raise in place of one of httpx's."""
    text = _text(error, sent)
    if "location header" in text:  # httpx reads the Location of a redirect even if it does not follow it
        return broken_answer(None, "invalid Location header", sent)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return ConfigurationError(f"GET {sent.url} cannot be sent: {text}.")
    retryable = True
    match error:
        case _ if "certificate has expired" in text or "certificate is not yet valid" in text:
            retryable, what = False, "the server's certificate is not valid at this time"
            advice = "Check the clock of this machine. If it is right, Domo or a proxy that inspects TLS must renew it"
        case _ if "CERTIFICATE_VERIFY_FAILED" in text:
            retryable = False
            what = "the server's certificate is not trusted"
            advice = (
                "If a proxy inspects TLS here, pass its certificate authority: set SSL_CERT_FILE, or "
                "httpx_args={'verify': ssl.create_default_context(cafile=...)}. Otherwise stop here: somebody may be "
                "listening"
            )
        case httpx.ProxyError():
            retryable = "407" not in text  # retrying with wrong credentials may lock an account
            what, advice = "the proxy refused", "Check HTTPS_PROXY or httpx_args={'proxy': ...}, and its credentials"
        case httpx.ConnectTimeout():
            what = "no connection in time"
            advice = "Check the network, the firewall and the proxy; httpx_args={'timeout': seconds} allows more time"
        case httpx.TimeoutException():
            what = "no complete response in time"
            advice = "Domo or the network is slow: try again; httpx_args={'timeout': seconds} allows more for each read"
        case httpx.ConnectError():
            what, advice = "no connection", "Check the host name (DOMO_API_URL), the network, DNS, firewall and proxy"
        case _:
            what = "the connection was lost"
            advice = "This happens once in a while: try again. If it keeps happening, check the proxy and the firewall"
    return TransportError(f"GET {sent.url} failed: {what} ({text}). {advice}.", retryable=retryable)


def _text(error: Exception, sent: Sent) -> str:
    """Type and text of an error, without secrets."""
    text = str(error)
    if isinstance(error, httpx.InvalidURL):
        text = "the URL is not valid"  # httpx would show a part of it, which may be a proxy's password
    if isinstance(error, httpx.ProtocolError):
        text = re.split(r":| b['\"]", text)[0]  # what follows are bytes from the server or of a header
    text = sent.clean(text.partition(" URL(")[0]).rstrip(".")  # what follows may be a proxy's password
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
