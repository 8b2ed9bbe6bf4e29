"""Record one good and three bad exchanges with the real endpoint, redacted, as HAR files."""

from __future__ import annotations

import secrets
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from domo_oauth.base_url import is_loopback, resolve_base_url
from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import ConfigurationError, DomoOAuthError, TokenRequestError
from domo_oauth.scopes import Scope

from .document import server
from .exchange import Exchange, Headers
from .har import har_text
from .redact import UNKNOWN_SCOPE, Redactor

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

__all__ = ["record"]

_CASES = ("granted", "wrong-secret", "unknown-scope", "missing-grant-type")
_COMMENTS = {"recorded": "Recorded from Domo", "sandbox": "A response of a sandbox on loopback, not of Domo"}


def record(credentials: ClientCredentials, out: Path, *, base_url: str | None = None) -> list[Path]:
    """Make one good exchange and three bad ones, and write each to a HAR file, without secrets.

    The bad ones have a wrong secret, an unknown scope and no grant type. They are sent only after the good one got a
    token. Nothing is written unless all four have a response. Whatever is not known to be harmless is masked; see
    `Redactor`. Only you can read the files. Still, look at them before you pass them on.

    Args:
        credentials: The client's id and secret.
        out: Folder for the files, made if it is missing. No file is overwritten.
        base_url: Domo's API, or a sandbox on loopback, whose responses are marked as such. The default is
            ``DOMO_API_URL``, else Domo's API.

    Returns:
        The files. Check them with ``verify(record(...), out=sys.stdout)``.

    Raises:
        ConfigurationError: The base URL is neither of the two, or a proxy or certificate in the environment is invalid.
        TransportError: A request had no response, or not in time.
        TokenRequestError: The credentials got no token. Its subclasses tell the common cases apart.
        DomoOAuthError: The folder cannot be written to.
    """
    base_url = resolve_base_url(base_url)
    kind = "recorded" if base_url == server() else "sandbox"
    if kind == "sandbox" and not is_loopback(urlsplit(base_url).hostname or ""):
        raise ConfigurationError(f"Only {server()} and a sandbox on loopback can be recorded: check the base URL.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()  # fail before any request
        texts: dict[str, str] = {}
        for case in _CASES:
            started = datetime.now(UTC)
            exchange = _ask(credentials, case, base_url)
            texts[f"{kind}-{started:%Y%m%dT%H%M%SZ}-{case}.har"] = _text(exchange, case, kind, started)
        return [_written(out / name, text) for name, text in texts.items()]
    except OSError as error:
        message = f"{error.filename or out} cannot be written: {error.strerror}. Name another folder."
        raise DomoOAuthError(message) from error


def _ask(credentials: ClientCredentials, case: str, base_url: str) -> Exchange:
    """Make one exchange. It is masked on the fetching thread, so that no other thread sees a secret.

    Raises:
        DomoOAuthError: There was no response, or the good request got no token.
    """
    from domo_oauth.request import request_token

    wrong = ClientCredentials(credentials.client_id, secrets.token_hex(32))
    redactor = Redactor([credentials.client_id, credentials.client_secret, wrong.client_secret])
    kept: list[Exchange] = []

    def prepare(request: httpx.Request) -> None:
        if case == "missing-grant-type":
            request.url = request.url.copy_with(query=None)

    def keep(response: httpx.Response) -> None:
        request, body = response.request, response.read()
        sent, received = _headers(request.headers), _headers(response.headers)
        whole = Exchange(request.method, str(request.url), sent, b"", response.status_code, received, body)
        kept.append(redactor.redact(whole))

    try:
        request_token(
            wrong if case == "wrong-secret" else credentials,
            [Scope.custom(UNKNOWN_SCOPE)] if case == "unknown-scope" else None,
            base_url=base_url,
            httpx_args={"event_hooks": {"request": [prepare], "response": [keep]}},
        )
    except TokenRequestError:
        if case == "granted":
            raise
    return kept[0]


def _headers(headers: httpx.Headers) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers.raw)


def _text(exchange: Exchange, case: str, kind: str, started: datetime) -> str:
    """The text of a HAR file."""
    provenance = {
        "kind": kind,
        "source": exchange.host,
        "recorded_by": "domo-oauth record",
        "when": f"{started:%Y-%m-%dT%H:%M:%SZ}",
        "parts": ["request", "response"],
        "case": case,
    }
    comment = f"{_COMMENTS[kind]} ({kind}) by domo-oauth record on {started:%Y-%m-%d}; case: {case}. Redacted."
    return har_text(exchange, comment=comment, provenance=provenance, started=started.isoformat())


def _written(path: Path, text: str) -> Path:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path
