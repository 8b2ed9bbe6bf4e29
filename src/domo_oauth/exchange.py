"""One request to the token endpoint: credentials in, a Token or one typed error out. Nothing is kept.

No exception leaves with the frames of the HTTP libraries on its traceback: their locals hold the Authorization
header, and tools that print tracebacks with locals (rich, Sentry) would show it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.errors import ResponseValidationError
from domo_oauth_client.types import UNSET

from . import log
from ._version import __version__
from .answer import Sent, broken_answer, clean, read_answer
from .base_url import resolve_base_url
from .credentials import ClientCredentials
from .errors import ConfigurationError, DomoOAuthError, TransportError, causes, require
from .interrupts import Interrupt, let_through
from .scopes import scope_names, scope_parameter

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from typing import Self

    from .scopes import Scopes
    from .token import Token

__all__ = ["TokenEndpoint", "arequest_token", "request_token"]


def request_token(
    credentials: ClientCredentials,
    scopes: Scopes | None = None,
    *,
    base_url: str | None = None,
    httpx_args: Mapping[str, Any] | None = None,
) -> Token:
    """Ask for an access token once. Nothing is cached and nothing is retried.

    Args:
        credentials: Who asks.
        scopes: What the token is for: a subset of the client's scopes; None for all of them.
        base_url: Where Domo's API is; else ``DOMO_API_URL``, else ``https://api.domo.com``.
        httpx_args: Arguments for the ``httpx.Client``: ``proxy``, ``verify`` (an ``ssl.SSLContext``), ``timeout``
            (seconds for each read and write, or an ``httpx.Timeout``; 10 s else; a minute for all header fields and a
            minute for the body hold besides), ``cert``, ``trust_env``, ``transport``, …; not ``base_url`` or ``auth``.

    Raises:
        ConfigurationError: Nothing was sent, because an argument makes no sense.
        TransportError: No answer came.
        TokenRequestError: The endpoint answered, and gave no token; its subclasses tell the common cases apart.
    """
    try:
        with TokenEndpoint(credentials, scopes, base_url=base_url, httpx_args=httpx_args) as endpoint:
            return endpoint.request()
    except Interrupt as interrupt:
        limit = interrupt.error
    finally:
        del httpx_args  # a proxy's password may be in it, and a traceback with locals shows this frame
    raise limit  # here, so that it has no context


async def arequest_token(
    credentials: ClientCredentials,
    scopes: Scopes | None = None,
    *,
    base_url: str | None = None,
    httpx_args: Mapping[str, Any] | None = None,
) -> Token:
    """Ask for an access token once, under asyncio or trio.

    See :func:`request_token`; ``httpx_args`` are those of an ``httpx.AsyncClient``.
    """
    try:
        async with TokenEndpoint(credentials, scopes, base_url=base_url, httpx_args=httpx_args) as endpoint:
            return await endpoint.arequest()
    except Interrupt as interrupt:
        limit = interrupt.error
    finally:
        del httpx_args  # see request_token
    raise limit  # here, so that it has no context


class TokenEndpoint:
    """The token endpoint for one client and one set of scopes; keeps its connections until it is closed."""

    def __init__(
        self,
        credentials: ClientCredentials,
        scopes: Scopes | None = None,
        *,
        base_url: str | None = None,
        httpx_args: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            require("The first argument", credentials, ClientCredentials)
        except ConfigurationError:
            del credentials, httpx_args  # it may be a secret, and a traceback with locals shows this frame
            raise
        try:
            url = resolve_base_url(base_url)
            self._credentials = credentials
            self._scopes = scope_names(scopes)
            self._request = f"GET {url}/oauth/token"
            self._client = AuthenticatedClient(
                base_url=_url(url),
                username=credentials.client_id,
                password=credentials.client_secret,
                httpx_args=_httpx_args(url, httpx_args or {}),
            )
            self._set_up_with = _set_up_with(url, dict(httpx_args or {}))
        except ConfigurationError as error:
            error.__context__ = None
            raise error.with_traceback(None) from None  # whose frames hold the httpx_args
        finally:
            del httpx_args  # see request_token

    def prepare(self) -> Self:
        """Make now what the first request would make.

        Raises:
            ConfigurationError: httpx does not take what it was given.
        """
        fault = self._open(self._client.get_httpx_client, self._sent())
        if fault is not None:
            raise fault
        return self

    def request(self) -> Token:
        """Ask for a token. For the errors see :func:`request_token`."""
        sent = self._sent()
        outcome = self._open(self._client.get_httpx_client, sent) or self._attempt(sent)
        return _raise_or_return(outcome, sent)

    async def arequest(self) -> Token:
        """Ask for a token, under asyncio or trio. For the errors see :func:`request_token`."""
        sent = self._sent()
        outcome = self._open(self._client.get_async_httpx_client, sent) or await self._aattempt(sent)
        return _raise_or_return(outcome, sent)

    def _sent(self) -> Sent:
        return Sent(self._request, self._credentials, self._scopes, datetime.now(UTC))

    def _open(self, get_client: Callable[[], object], sent: Sent) -> ConfigurationError | None:
        try:
            get_client()
        except Exception as error:  # noqa: BLE001 -- httpx and ssl do not agree on a type
            let_through(error)
            return ConfigurationError(f"httpx cannot be set up with {self._set_up_with}: {_told(error, sent)}.")
        return None

    def _attempt(self, sent: Sent) -> Token | DomoOAuthError:
        try:
            response = get_access_token.sync_detailed(client=self._client, scope=scope_parameter(self._scopes) or UNSET)
        except BaseException as error:  # noqa: BLE001 -- whatever it is, it may not keep its frames
            let_through(error)
            return _failure(error, sent)
        return read_answer(response, sent)

    async def _aattempt(self, sent: Sent) -> Token | DomoOAuthError:
        try:
            response = await get_access_token.asyncio_detailed(
                client=self._client, scope=scope_parameter(self._scopes) or UNSET
            )
        except BaseException as error:  # noqa: BLE001 -- whatever it is, it may not keep its frames
            let_through(error)
            return _failure(error, sent)
        return read_answer(response, sent)

    def close(self) -> None:
        """Close the connections of :meth:`request`."""
        self._client.close()

    async def aclose(self) -> None:
        """Close the connections of :meth:`arequest`."""
        await self._client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


def _raise_or_return(outcome: Token | DomoOAuthError, sent: Sent) -> Token:
    took = (datetime.now(UTC) - sent.at).total_seconds()
    if isinstance(outcome, DomoOAuthError):
        log.debug("%s: %s after %.3f s", sent.request, type(outcome).__name__, took)
        raise outcome
    log.debug("%s: granted for %d s after %.3f s", sent.request, outcome.expires_in, took)
    return outcome


def _url(url: str) -> httpx.URL:
    """The URL as httpx reads it, which is stricter than the standard library."""
    try:
        parsed = httpx.URL(url)
        parsed.host  # noqa: B018 -- decoded only now
    except (httpx.InvalidURL, ValueError):
        raise ConfigurationError("The base URL is not a URL: httpx cannot read it, or its host name.") from None
    return parsed


def _httpx_args(url: str, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        args = dict(given)
        headers = httpx.Headers({"User-Agent": f"domo-oauth/{__version__} python-httpx/{httpx.__version__}"})
        headers.update(args.get("headers"))
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"httpx cannot be set up with these httpx_args: {error}.") from None
    if args.keys() & {"base_url", "auth"}:
        raise ConfigurationError("httpx_args cannot have base_url or auth: pass base_url and credentials beside it.")
    args["headers"] = headers
    if url.startswith("http://"):
        args.setdefault("trust_env", False)  # no proxy of the environment may see the secret on its way to loopback
        if not args["trust_env"] and not args.keys() & {"proxy", "mounts", "cert"}:
            args.setdefault("verify", False)  # there is no TLS, and the certificate authorities take long to load
    if "verify" not in args and "cert" not in args:
        args["verify"] = _shared_tls(trust_env=args.get("trust_env", True))
    return args


def _set_up_with(url: str, given: Mapping[str, Any]) -> str:
    """What it may be that httpx does not take. Who has given no httpx_args is not to look for a fault in them."""
    trust_env = given.get("trust_env", not url.startswith("http://"))  # see _httpx_args
    if not trust_env or given.get("proxy") is not None or given.get("transport") is not None:
        return "these httpx_args"
    of_environment = "the proxies of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY)"
    return f"these httpx_args, or {of_environment}" if given else of_environment


def _shared_tls(*, trust_env: bool) -> ssl.SSLContext:
    try:
        return _tls(trust_env=trust_env)
    except OSError as error:
        let_through(error)
        raise ConfigurationError(
            f"The certificate authorities cannot be loaded ({error}): check SSL_CERT_FILE and SSL_CERT_DIR."
        ) from None


@cache
def _tls(*, trust_env: bool) -> ssl.SSLContext:
    """One context for the process: to load the certificate authorities takes longer than to ask for a token."""
    return httpx.create_ssl_context(trust_env=trust_env)


def _told(error: BaseException, sent: Sent) -> str:
    """Type and text of an error; where it has no text, that of the error behind it."""
    text = clean(next((text for each in causes(error) if (text := str(each))), ""), sent).rstrip(".")
    if isinstance(error, httpx.ProtocolError):
        text = re.split(r":| b['\"]", text)[0]  # what follows are bytes of the server's or of a header, perhaps a token
    if isinstance(error, httpx.InvalidURL):
        text = "a proxy's URL is none; in its user name and password, percent-encode what is not a letter or digit"
    text = text.partition(" URL(")[0]  # what follows may hold a proxy's password
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _failure(error: BaseException, sent: Sent) -> DomoOAuthError:
    """The error to raise in place of one of the libraries'."""
    match error:
        case ResponseValidationError():
            place = f"{error.field}: " if error.field else ""
            return broken_answer(error.status_code, f"{place}{error.reason}", sent, error.content)
        case httpx.DecodingError():
            return broken_answer(None, f"its Content-Encoding is broken ({_told(error, sent)})", sent)
        # httpx reads the Location of a redirect, which is not followed, and each kind of nonsense there has its error.
        case httpx.InvalidURL() | UnicodeError():
            return broken_answer(None, "it redirects to what is no URL", sent)
        case httpx.RemoteProtocolError() if "location header" in str(error):
            return broken_answer(None, "it redirects to what is no URL", sent)
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return ConfigurationError(f"{sent.request} cannot be sent: {_told(error, sent)}.")
        case httpx.TransportError():
            return _transport_error(error, sent)
        case _:
            # Cancelled, interrupted, or an error of the libraries': not ours to rename, only to rid of its frames.
            error.__context__ = None
            for behind in causes(error):
                behind.__traceback__ = None
            raise error


def _transport_error(error: httpx.TransportError, sent: Sent) -> TransportError:
    told = _told(error, sent)
    retryable = True
    match error:
        case _ if "CERTIFICATE_VERIFY_FAILED" in told:
            retryable = False
            what = "the server's certificate is not trusted"
            advice = (
                "If a proxy inspects TLS here, pass its certificate authority: set SSL_CERT_FILE, or "
                "httpx_args={'verify': ssl.create_default_context(cafile=...)}. Else do not go on: somebody may be "
                "listening"
            )
        case httpx.ProxyError():
            retryable = "407" not in told  # wrong credentials, which a proxy may lock when they come again and again
            what, advice = "the proxy refused", "Check HTTPS_PROXY or httpx_args={'proxy': ...}, and its credentials"
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            what = "no connection in time"
            advice = "Check the network, the firewall and the proxy; httpx_args={'timeout': seconds} gives it longer"
        case httpx.TimeoutException():
            what = "no complete answer in time"
            advice = (
                "Domo or the network is slow: repeat the request, or give it longer: httpx_args={'timeout': seconds}"
            )
        case httpx.ConnectError():
            what, advice = "no connection", "Check the host name (DOMO_API_URL), the network, DNS, firewall and proxy"
        case _:
            what, advice = "the connection broke off", "This happens once in a while: repeat the request"
    return TransportError(f"{sent.request} had no answer: {what} ({told}). {advice}.", retryable=retryable)
