"""What must hold for bytes that come from elsewhere: an answer, a file, a store's entry, a variable.

Each target takes any bytes, and raises where what reads them does not keep its promise. The fuzzer makes the bytes up
(`make fuzz`), tests/unit/test_properties.py does so by rules, and tests/corpus keeps those that once found something.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import pickle
import shutil
import tempfile
import time
from base64 import b64encode
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import quote_plus, urlsplit

import httpcore
import httpx
import requests
import yarl

from domo_oauth import (
    ClientCredentials,
    ConfigurationError,
    DomoAuth,
    DomoOAuthError,
    FileStore,
    Scope,
    Token,
    TokenProvider,
    request_token,
)
from domo_oauth.adapters.aiohttp import DomoAuth as DomoAuthForAiohttp
from domo_oauth.adapters.requests import DomoAuth as DomoAuthForRequests
from domo_oauth.answer import Sent, read_answer
from domo_oauth.base_url import resolve_base_url
from domo_oauth.cli.options import open_store
from domo_oauth.contract import Exchange, HarError, har_text, read_har, verify
from domo_oauth.contract.redact import _tokens, redacted
from domo_oauth.errors import TokenRequestError, TransportError
from domo_oauth.sandbox.clients import load_clients
from domo_oauth.scopes import scope_names, scope_parameter
from domo_oauth.stores.sealing import Entry, Seal, SealedStore
from domo_oauth_client.types import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

__all__ = [
    "CREDENTIALS",
    "ECHOES",
    "TARGETS",
    "Kept",
    "ask",
    "check_error",
    "check_redacted",
    "check_token",
    "check_url",
    "refused",
    "with_token",
]

CREDENTIALS = ClientCredentials("canary-client-7f3d91", "canary-secret-c0ffee5ec2e7")
_SECRETS = (
    CREDENTIALS.client_secret,
    CREDENTIALS.client_id,
    f"{CREDENTIALS.client_id}:{CREDENTIALS.client_secret}",
)
ECHOES = (*_SECRETS, *(b64encode(each.encode()).decode() for each in _SECRETS))
"""How a server may repeat the credentials: as they are, and in base64."""
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
API = "https://api.domo.com"
_SHORT = 12
_LONGEST_PAUSE = 300.0
"""Seconds that a store may keep from asking."""
_LONGEST = timedelta(days=366 * 10000).total_seconds()


def answer(data: bytes) -> None:
    """Bytes on the wire, status line and all: they are a token, or one error that shows no secret."""
    outcome = ask(data)
    if isinstance(outcome, Token):
        check_token(outcome)
    else:
        check_error(outcome)


def ask(wire: bytes) -> Token | DomoOAuthError:
    """What the package makes of an answer; an error of another kind comes out as it is."""
    transport: Any = httpx.HTTPTransport(verify=False)  # there is no TLS to loopback
    transport._pool = httpcore.ConnectionPool(network_backend=httpcore.MockBackend([wire]))  # noqa: SLF001
    args = {"transport": transport}
    try:
        return request_token(CREDENTIALS, ["data"], base_url="http://127.0.0.1", httpx_args=args)
    except DomoOAuthError as error:
        return error


def check_error(error: DomoOAuthError) -> None:
    """It says whose fault it is, and tells nothing that it should not."""
    assert isinstance(error, TransportError | TokenRequestError), error
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = f"{error}{vars(error)}"
    assert not [echo for echo in ECHOES if echo in shown], shown
    assert str(error).isprintable(), shown
    retry_after = getattr(error, "retry_after", None)
    assert retry_after is None or 0.0 <= retry_after <= _LONGEST, retry_after


def check_token(token: Token) -> None:
    """It can be used, and comes out of a pickle and of a store as it went in."""
    assert token.access_token
    assert token.expires_in >= 0
    assert token.expires_at.utcoffset() == timedelta(0)
    assert "" not in token.scopes
    assert pickle.loads(pickle.dumps(token)) == token  # noqa: S301 -- our own
    seal, entry = Seal(CREDENTIALS, ("data",), API), Entry(token, 1.5)
    assert seal.open(seal.close(entry)) == entry


def date(data: bytes) -> None:
    """Times of a server's: Retry-After, and in a second line Date; and the first of them in an error's body."""
    value, _, date = data.partition(b"\n")
    for text in (value, json.dumps(_text(value)).encode()):
        error = refused(value, date, b'{"timestamp": ' + text + b"}")
        check_error(error)
        assert error.timestamp is None or error.timestamp.utcoffset() == timedelta(0), error.timestamp


def refused(retry_after: bytes, date: bytes = b"", body: bytes = b"") -> TokenRequestError:
    """What the package makes of a 429 that came to a request of 2026."""
    headers = httpx.Headers([(b"Retry-After", retry_after), (b"Date", date)])
    error = read_answer(Response(429, body, headers, None), Sent("GET /", CREDENTIALS, None, NOW))
    assert isinstance(error, TokenRequestError)
    return error


def scopes(data: bytes) -> None:
    """Names in a string: known ones, without doubles, in a fixed order, however often that is done."""
    text = _text(data)
    with suppress(ConfigurationError):
        custom = Scope.custom(text)
        assert scope_names([custom, "data"]) == tuple(sorted({text, "data"}))
        assert (scope_parameter((custom,)) or "").split() == [custom]
    try:
        names = scope_names(text)
    except ConfigurationError:
        return
    assert names
    assert set(names) <= set(Scope)
    assert list(names) == sorted(set(names))
    assert scope_names(scope_parameter(names)) == names


def har(data: bytes) -> None:
    """A HAR, or what goes by that name: findings in plain lines, or an error that says what is wrong."""
    path = _file("there.har", data)
    printed = io.BytesIO()
    with io.TextIOWrapper(printed, "utf-8", newline="\n", write_through=True) as out:
        for strict in (False, True):
            assert verify([path], strict=strict, out=out) in {0, 1}
        assert all(line.isprintable() for line in printed.getvalue().decode().splitlines())
    with suppress(HarError):
        for exchange in read_har(path).exchanges:
            har_text(exchange, comment="", provenance={"kind": "derived"}, version="1")


def redact(data: bytes) -> None:
    """An answer that repeats what it likes: redacted, or refused as a whole."""
    text = data.decode("latin-1")
    headers = (("Content-Type", "application/json"), ("X-Echo", text), ("Set-Cookie", text))
    basic = b64encode(_SECRETS[2].encode()).decode()
    url = f"{API}/oauth/token?scope={quote_plus(text)}"
    sent = (("Authorization", f"Basic {basic}"),)
    check_redacted(Exchange("GET", url, sent, b"", 200, headers, data))


def check_redacted(exchange: Exchange) -> bool:
    """No secret is left in any of its parts; and to do it once more changes nothing. Returns whether it was kept."""
    secrets = {"client_secret": CREDENTIALS.client_secret, "client_id": CREDENTIALS.client_id}
    try:
        (cleaned,) = redacted([exchange], secrets)
    except DomoOAuthError:
        return False
    kept = [cleaned.url, cleaned.request_body, cleaned.response_body or b""]
    kept += [part for pair in cleaned.request_headers + cleaned.response_headers for part in pair]
    for part in kept:
        text = part.decode() if isinstance(part, bytes) else part
        assert not [echo for echo in ECHOES if echo in text], text
    # A token of a few letters may be in the words that stand in for it.
    if all(len(token) > _SHORT for token in _tokens(_text(exchange.response_body or b""))):
        assert redacted([cleaned], secrets) == [cleaned]
    return True


def seal(data: bytes) -> None:
    """An entry of a store: passed over, whatever it is, even where it was sealed with the right key."""
    kept, nonce = Kept(data), bytes(12)
    store = SealedStore(kept, CREDENTIALS, ("data",), API)
    assert store.load(0.0) == Entry()
    kept.sealed = nonce + Seal(CREDENTIALS, ("data",), API)._cipher.encrypt(nonce, data, None)  # noqa: SLF001
    found = store.load(0.0)
    assert found.token is None or 0.0 < found.expires_at <= found.token.expires_in
    assert found.refusal is None or 0.0 < found.refusal.until <= _LONGEST_PAUSE


def entry(data: bytes) -> None:
    """A file in the folder of a file store."""
    store = FileStore(_folder / "store")
    sealed = SealedStore(store, CREDENTIALS, ("data",), API)
    store.save(sealed.name, data, 60.0)
    assert sealed.load(time.time()) == Entry()


def environment(data: bytes) -> None:
    """The variables of an environment, one in each line."""
    lines = [os.fsdecode(line) for line in data.replace(b"\0", b"").split(b"\n")]
    names = ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET", "DOMO_API_URL", "DOMO_STORE")
    with patch.dict(os.environ, {**dict.fromkeys(names, ""), **dict(zip(names, lines, strict=False))}):
        credentials = CREDENTIALS
        with suppress(ConfigurationError):
            credentials = ClientCredentials.from_env()
        with suppress(ConfigurationError):
            open_store()
        with suppress(ConfigurationError):
            check_url(resolve_base_url(), credentials)


def check_url(url: str, credentials: ClientCredentials = CREDENTIALS) -> None:
    """A base URL that was taken leads where it says, and without TLS to this machine only."""
    assert resolve_base_url(url) == url
    assert url.isascii()
    parts = urlsplit(url)
    assert parts.scheme == "https" or parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    with suppress(ConfigurationError):
        request_token(credentials, base_url=url, httpx_args={"transport": _GRANTING})
        read = httpx.URL(url)
        assert (read.scheme, read.raw_host.decode()) == (parts.scheme, (parts.hostname or "")), url
        assert (read.port or None) == (parts.port if parts.port not in {80, 443} else read.port), url
        assert not read.userinfo
    TokenProvider(credentials, base_url=url)


def origin(data: bytes) -> None:
    """A URL that somebody asks for with a token at hand: it is for the API, or it goes without."""
    text = _text(data)
    for client, place in with_token(text).items():
        assert place in {("https", "api.domo.com", 443), ("https", "gateway.example.com", 8443)}, (text, client, place)
    with suppress(ConfigurationError):
        DomoAuth(_PROVIDER, hosts=[text])


def with_token(url: str) -> dict[str, tuple[str, str, int | None]]:
    """The HTTP clients that would send the token for this URL, and where the request would really go."""
    found: dict[str, tuple[str, str, int | None]] = {}
    hosts = ["gateway.example.com:8443"]
    with suppress(httpx.InvalidURL, ValueError):
        asked = next(DomoAuth(_PROVIDER, hosts=hosts).sync_auth_flow(httpx.Request("GET", url)))
        if "Authorization" in asked.headers:
            port = asked.url.port or {"http": 80, "https": 443}.get(asked.url.scheme)
            found["httpx"] = asked.url.scheme, asked.url.raw_host.decode("ascii"), port
    with suppress(requests.RequestException, ValueError):
        prepared = DomoAuthForRequests(_PROVIDER, hosts=hosts)(requests.Request("GET", url).prepare())
        pool = requests.Session().get_adapter("https://").get_connection_with_tls_context(prepared, verify=True)  # type: ignore[attr-defined]
        if str(prepared.headers.get("Authorization")).startswith("Bearer "):
            found["requests"] = pool.scheme, pool.host, pool.port
    with suppress(IndexError, ValueError):
        read, auth = yarl.URL(url), DomoAuthForAiohttp(_PROVIDER, hosts=hosts)
        if auth._is_ours(auth._origin(read)):  # noqa: SLF001
            found["aiohttp"] = read.scheme, read.raw_host or "", read.port
    return found


def toml(data: bytes) -> None:
    """A file of the sandbox's clients."""
    with suppress(ConfigurationError):
        assert load_clients(_file("clients.toml", data))


_folder = Path(tempfile.mkdtemp(prefix="domo-oauth-fuzz-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)


_GRANTING = httpx.MockTransport(
    lambda _: httpx.Response(200, json={"access_token": "token", "token_type": "bearer", "expires_in": 3599})
)
_PROVIDER = TokenProvider(CREDENTIALS, base_url=API, httpx_args={"transport": _GRANTING})


class Kept:
    """A store that holds one entry, whatever its name is."""

    def __init__(self, sealed: bytes | None = None) -> None:
        self.sealed = sealed

    def load(self, name: str) -> bytes | None:  # noqa: ARG002, D102 -- see Store
        return self.sealed

    def save(self, name: str, sealed: bytes, ttl: float) -> None:  # noqa: ARG002, D102
        self.sealed = sealed

    def lock(self, name: str) -> AbstractContextManager[bool]:  # noqa: ARG002, D102
        return nullcontext(enter_result=True)

    def delete(self, name: str) -> None:  # noqa: ARG002, D102
        self.sealed = None

    def clear(self) -> int:  # noqa: D102
        self.sealed = None
        return 1


def _file(name: str, data: bytes) -> Path:
    path = _folder / name
    path.write_bytes(data)
    return path


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (answer, date, scopes, har, redact, seal, entry, environment, origin, toml)
}
