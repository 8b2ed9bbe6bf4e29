"""Ask the endpoint, and keep what it answers: how derived error bodies will one day become recordings."""

from __future__ import annotations

import os
import secrets
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from domo_oauth.base_url import is_loopback, resolve_base_url
from domo_oauth.errors import ConfigurationError, TokenRequestError, TransportError, UnexpectedResponseError

from .document import contract, server
from .exchange import Exchange, Headers
from .har import har_text
from .redact import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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


def record(
    credentials: ClientCredentials,
    out: Path,
    *,
    base_url: str | None = None,
    timeout: float = 30.0,
    httpx_args: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Make one good exchange and three bad ones, and write each to a HAR of its own, without secrets.

    The bad ones: a wrong secret, a scope that nobody has, no grant type. Credentials, tokens, and the fields that say
    whose they are, are taken out first, and looked for once more; nothing is written if any is left, or if any of the
    four has no answer. The files can be read by their owner alone. Look at them before you hand them on.

    Args:
        credentials: The client to ask with.
        out: The folder for the files, made if it is missing. Nothing in it is overwritten.
        base_url: Domo's API, or a sandbox on loopback, whose answers are marked as such, so that nobody takes them for
            Domo's. ``DOMO_API_URL``, else Domo's, if None.
        timeout: Seconds for each step of an exchange.
        httpx_args: More arguments of ``httpx.Client``, such as ``proxy`` or ``verify``.

    Returns:
        The files. They are not verified yet: ``verify(record(...), out=sys.stdout)``.

    Raises:
        ConfigurationError: The base URL is neither of the two, or the folder cannot be written to.
        TransportError: No answer came.
        TokenRequestError: The credentials got no token.
        UnexpectedResponseError: An answer is too long to keep.
        DomoOAuthError: A secret could not be taken out.
    """
    base_url = resolve_base_url(base_url)
    kind = _kind(base_url)
    # On the way to loopback no proxy of the environment may see the secret.
    client_args = {"timeout": timeout, "trust_env": kind == "recorded", **(httpx_args or {})}
    wrong_secret = secrets.token_hex(32)
    answers = [_ask(credentials, case, wrong_secret, f"{base_url}{_PATH}", client_args) for case in _CASES]
    granted = answers[0][0]
    if granted.status != HTTPStatus.OK:
        raise TokenRequestError(
            f"{urlsplit(base_url).hostname} granted no token, but answered {granted.status}, so nothing was written: "
            "check the credentials.",
            status=granted.status,
        )
    exchanges = redacted([exchange for exchange, _, _ in answers], _secrets(credentials, wrong_secret))
    texts = {
        f"{kind}-{started:%Y%m%dT%H%M%SZ}-{case}.har": _text(exchange, case, kind, started, milliseconds)
        for case, exchange, (_, started, milliseconds) in zip(_CASES, exchanges, answers, strict=True)
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [_written(out / name, text) for name, text in texts.items()]
    except OSError as error:
        raise ConfigurationError(f"{error.filename or out} cannot be written: {error.strerror}") from error


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
    credentials: ClientCredentials, case: str, wrong_secret: str, url: str, client_args: dict[str, Any]
) -> tuple[Exchange, datetime, float]:
    """One exchange, when it started, and the milliseconds that it took."""
    import httpx

    auth = httpx.BasicAuth(credentials.client_id, wrong_secret if case == "wrong-secret" else credentials.client_secret)
    started, clock = datetime.now(UTC), time.perf_counter()
    exchange = _exchange(url, _CASES[case], auth, client_args)
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


def _exchange(url: str, query: dict[str, str], auth: httpx.BasicAuth, client_args: dict[str, Any]) -> Exchange:
    """Ask once, with a client of its own, so that no cookie goes from one exchange to the next."""
    import httpx

    headers = {"Accept": "application/json"}
    try:
        with (
            httpx.Client(**client_args) as client,
            client.stream("GET", url, params=query, headers=headers, auth=auth, follow_redirects=False) as answer,
        ):
            return Exchange(
                method=answer.request.method,
                url=str(answer.request.url),
                request_headers=_lines(answer.request.headers),
                status=answer.status_code,
                response_headers=_lines(answer.headers),
                response_body=_content(answer),
            )
    except httpx.HTTPError as error:
        failure = type(error).__name__
    # Raised here, so that the error has no context: its frames hold the Authorization header.
    raise TransportError(f"No answer from {urlsplit(url).hostname}: {failure}. Check the network, and try again.")


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
