"""Ask the endpoint, and keep what it answers: how derived error bodies will one day become recordings."""

from __future__ import annotations

import os
import re
import secrets
import socket
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from threading import Timer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from domo_oauth.base_url import is_loopback, resolve_base_url
from domo_oauth.errors import (
    ConfigurationError,
    DomoOAuthError,
    InvalidClientError,
    RateLimitedError,
    ServerError,
    TokenRequestError,
    TransportError,
    UnexpectedResponseError,
)

from .document import contract, server
from .exchange import Exchange, Headers, field_value
from .har import har_text
from .redact import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    import httpx

    from domo_oauth.credentials import ClientCredentials

__all__ = ["record"]

_PATH = "/oauth/token"
_GRANT = {"grant_type": "client_credentials"}
_CASES: dict[str, dict[str, str]] = {
    "granted": _GRANT,
    "wrong-secret": _GRANT,
    "unknown-scope": _GRANT | {"scope": "no_such_scope"},
    "missing-grant-type": {},
}
_COMMENTS = {
    "recorded": "Recorded from Domo",
    "sandbox": "An answer of a sandbox on loopback, not of Domo",
}
_LONGEST_BODY = 1 << 20  # bytes
_LONGEST_ANSWER = 60.0  # seconds
_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)
_RETRYABLE = (429, 500, 502, 503, 504)


def record(
    credentials: ClientCredentials,
    out: Path,
    *,
    base_url: str | None = None,
    timeout: float = 30.0,
    httpx_args: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Make one good exchange and three bad ones, and write each to a HAR of its own, without secrets.

    The bad ones: a wrong secret, a scope that nobody has, no grant type. They are asked for only once the good one has
    brought a token. Credentials, tokens, and the fields that say whose they are, are taken out first, and looked for
    once more; nothing is written if any is left, or if any of the four has no answer. The files can be read by their
    owner alone. Look at them before you hand them on.

    Args:
        credentials: The client to ask with.
        out: The folder for the files, made before anything is asked if it is missing. Nothing in it is overwritten.
        base_url: Domo's API, or a sandbox on loopback, whose answers are marked as such, so that nobody takes them for
            Domo's. ``DOMO_API_URL``, else Domo's, if None.
        timeout: Seconds for each step of an exchange; a minute for its whole answer holds besides.
        httpx_args: More arguments of ``httpx.Client``, such as ``proxy`` or ``verify``.

    Returns:
        The files. They are not verified yet: ``verify(record(...), out=sys.stdout)``.

    Raises:
        ConfigurationError: The base URL is neither of the two, or httpx cannot be set up.
        TransportError: No answer came, or not in time.
        TokenRequestError: The credentials got no token; its subclasses tell the common cases apart.
        UnexpectedResponseError: An answer is none of this endpoint's, or too long to keep.
        DomoOAuthError: The folder cannot be written to, or a secret could not be taken out.
    """
    try:
        base_url = resolve_base_url(base_url)
        kind = _kind(base_url)
        # On the way to loopback no proxy of the environment may see the secret.
        new_client = _new_client({"timeout": timeout, "trust_env": kind == "recorded", **(httpx_args or {})})
    finally:
        del httpx_args  # a proxy's password may be in it, and a traceback with locals shows this frame
    _make(out)
    wrong_secret = secrets.token_hex(32)
    answers: list[tuple[Exchange, datetime, float]] = []
    for case in _CASES:
        answers.append(_ask(credentials, case, wrong_secret, f"{base_url}{_PATH}", new_client))
        granted = answers[0][0]
        if granted.status != HTTPStatus.OK:  # who gets no token is not to ask three times more
            raise _refusal(granted)
    exchanges = redacted([exchange for exchange, _, _ in answers], _secrets(credentials, wrong_secret))
    texts = {
        f"{kind}-{started:%Y%m%dT%H%M%SZ}-{case}.har": _text(exchange, case, kind, started, milliseconds)
        for case, exchange, (_, started, milliseconds) in zip(_CASES, exchanges, answers, strict=True)
    }
    try:
        return [_written(out / name, text) for name, text in texts.items()]
    except OSError as error:
        raise _unwritable(error.filename or out, error) from error


def _make(out: Path) -> None:
    """The folder, and proof that files can be made in it, before anything is asked."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(path: str | Path, error: OSError) -> DomoOAuthError:
    return DomoOAuthError(f"{path} cannot be written: {error.strerror}. Name another folder.")


def _refusal(granted: Exchange) -> TokenRequestError:
    """Why there was no token, and what to do."""
    status, retry_after = granted.status, None
    kind: type[TokenRequestError]
    if status == HTTPStatus.UNAUTHORIZED:
        kind, advice = InvalidClientError, "Check the client id and its secret"
    elif status in _REFUSED:
        kind = TokenRequestError
        advice = (
            "Look at the client in Domo's developer portal, and whether this network is on the allow list of the Domo "
            "instance"
        )
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        kind, advice = RateLimitedError, "Too many requests: wait a while, and try again"
        after = field_value(granted.response_headers, "Retry-After") or ""
        if re.fullmatch("[0-9]{1,9}", after):
            retry_after, advice = float(after), f"Too many requests: wait {after} s, and try again"
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind, advice = ServerError, "The fault is Domo's, or a proxy's in between: try again later"
    else:
        kind = UnexpectedResponseError
        advice = (
            "Domo's endpoint does not answer like this, and no redirect is followed with a client secret: check the "
            "base URL (DOMO_API_URL), and whether a proxy or a sign-in page stands in between"
        )
    return kind(
        f"{granted.host} granted no token, but answered {status}, so nothing was written. {advice}.",
        status=status,
        retryable=status in _RETRYABLE,
        retry_after=retry_after,
    )


def _secrets(credentials: ClientCredentials, wrong_secret: str) -> dict[str, str]:
    """What must not remain; both together first, or what joins them in base64 would stay."""
    return {
        "credentials": f"{credentials.client_id}:{credentials.client_secret}",
        "wrong_credentials": f"{credentials.client_id}:{wrong_secret}",
        "client_secret": credentials.client_secret,
        "wrong_secret": wrong_secret,
        "client_id": credentials.client_id,
    }


def _kind(base_url: str) -> str:
    """``recorded`` is what Domo itself answered, and nothing else."""
    if base_url == server():
        return "recorded"
    asked = urlsplit(base_url)
    if not asked.path and is_loopback(asked.hostname or ""):
        return "sandbox"
    raise ConfigurationError(
        f"Only answers of {server()}, or of a sandbox on loopback, are worth recording: check the base URL."
    )


def _ask(
    credentials: ClientCredentials, case: str, wrong_secret: str, url: str, new_client: Callable[[], httpx.Client]
) -> tuple[Exchange, datetime, float]:
    """One exchange, when it started, and the milliseconds that it took."""
    import httpx

    auth = httpx.BasicAuth(credentials.client_id, wrong_secret if case == "wrong-secret" else credentials.client_secret)
    started, clock = datetime.now(UTC), time.perf_counter()
    exchange = _exchange(url, _CASES[case], auth, new_client)
    return exchange, started, round((time.perf_counter() - clock) * 1000, 3)


def _text(exchange: Exchange, case: str, kind: str, started: datetime, milliseconds: float) -> str:
    """The text of a HAR."""
    return har_text(
        exchange,
        comment=f"{_COMMENTS[kind]} ({kind}) by domo-oauth record on {started:%Y-%m-%d}; case: {case}. Redacted.",
        provenance={
            "kind": kind,
            "source": exchange.host,
            "recorded_by": "domo-oauth record",
            "when": f"{started:%Y-%m-%dT%H:%M:%SZ}",
            "parts": ["request", "response"],
            "case": case,
        },
        version=contract()["info"]["version"],
        started=f"{started:%Y-%m-%dT%H:%M:%S}.{started.microsecond // 1000:03}Z",
        milliseconds=milliseconds,
    )


def _new_client(client_args: Mapping[str, Any]) -> Callable[[], httpx.Client]:
    """What makes a client, for each exchange its own, so that no cookie goes from one to the next.

    Proxies and certificate authorities are looked at when one is made, and no error about them may show a password.
    """

    def new_client() -> httpx.Client:
        import httpx

        return httpx.Client(**client_args)

    return new_client


def _open(new_client: Callable[[], httpx.Client]) -> httpx.Client:
    import httpx

    try:
        return new_client()
    except OSError as error:
        fault = f"the certificate authorities cannot be loaded ({error}): check SSL_CERT_FILE and SSL_CERT_DIR"
    except (httpx.InvalidURL, ValueError):  # whose texts may hold a part of the password
        fault = (
            "a proxy's URL cannot be read: check HTTPS_PROXY, ALL_PROXY and NO_PROXY; in its user name and password, "
            "percent-encode what is not a letter or digit"
        )
    except Exception as error:  # noqa: BLE001 -- httpx has no type for it: a missing package, an unknown argument
        fault = str(error).rstrip(".")
    # Raised here, as below.
    raise ConfigurationError(f"Nothing was sent, as httpx cannot be set up: {fault}.")


def _exchange(
    url: str, query: dict[str, str], auth: httpx.BasicAuth, new_client: Callable[[], httpx.Client]
) -> Exchange:
    """Ask once."""
    import httpx

    headers = {"Accept": "application/json"}
    limit = _Limit(_LONGEST_ANSWER)
    try:
        with (
            _open(new_client) as client,
            limit,
            client.stream(
                "GET",
                url,
                params=query,
                headers=headers,
                auth=auth,
                follow_redirects=False,
                extensions={"trace": limit.trace},
            ) as answer,
        ):
            exchange = Exchange(
                method=answer.request.method,
                url=str(answer.request.url),
                request_headers=_lines(answer.request.headers),
                status=answer.status_code,
                response_headers=_lines(answer.headers),
                response_body=_content(answer),
            )
        if not limit.expired:  # else the end may be of our making
            return exchange
        failure = ""
    # The latter two are of a redirect, which httpx reads although it does not follow it, and of a proxy's host name.
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        failure = type(error).__name__
    if limit.expired:
        failure = f"none that was complete after {_LONGEST_ANSWER:g} s"
    # Raised here, so that the error has no context: its frames hold the Authorization header.
    raise TransportError(
        f"No answer from {urlsplit(url).hostname}: {failure}. Check the network and the proxy, and try again."
    )


class _Limit:
    """Shuts down the connection of an answer that takes too long as a whole, which wakes whoever reads from it.

    httpx has no limit for that: each read may take as long as its timeout says, and bring one byte. Its trace extension
    tells of every connection that is made.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self._socket: socket.socket | None = None
        self._timer = Timer(seconds, self._expire)
        self._timer.daemon = True

    def trace(self, _event: str, info: Mapping[str, Any]) -> None:
        connection: Any = info.get("return_value")
        if hasattr(connection, "get_extra_info"):
            self._socket = connection.get_extra_info("socket")
            self._shut_down_if_expired()

    def _expire(self) -> None:
        self.expired = True
        self._shut_down_if_expired()

    def _shut_down_if_expired(self) -> None:
        if self.expired and self._socket is not None:
            with suppress(OSError):  # it is closed by now
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # SSLSocket's own would go on, unencrypted

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()


def _content(answer: httpx.Response) -> bytes:
    content = b""
    for chunk in answer.iter_bytes():
        content += chunk
        if len(content) > _LONGEST_BODY:
            del content, chunk  # a traceback with locals shows this frame
            raise UnexpectedResponseError(
                f"The answer is longer than {_LONGEST_BODY} bytes: no answer of this endpoint is.",
                status=answer.status_code,
            )
    return content


def _lines(headers: httpx.Headers) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers.raw)


def _written(path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return path
