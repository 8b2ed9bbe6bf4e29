"""Every answer that is known, and every odd one, gives the right token or the right error, in sync and async."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import logging
import socket
import ssl
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from domo_oauth import (
    ConfigurationError,
    InvalidClientError,
    InvalidScopeError,
    RateLimitedError,
    ServerError,
    Token,
    TokenRequestError,
    TransportError,
    UnexpectedResponseError,
    arequest_token,
    request_token,
)
from domo_oauth.exchange import TokenEndpoint
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token

GRANTED = {
    "access_token": "eyJ0.canary-token-5a1e.c2ln",
    "token_type": "bearer",
    "expires_in": 3599,
    "scope": "data user",
    "customer": "acmecompany",
    "role": "Admin",
    "userId": 964382593,
    "jti": "81dece4c-df73-4569-853c-2d1a328897fd",
}
JSON = "application/json;charset=utf-8"
SECRETS = ("canary-token", "canary-secret", "canary-client", "Y2FuYXJ5LWNsaWVudC03ZjNkOTE6")


def answer(status: int | str, body: bytes, content_type: str | None = JSON, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} -"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    lines += [f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def granted(body: dict[str, Any] | None = None, **changes: Any) -> bytes:
    fields = GRANTED | changes if body is None else body
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def refused(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@dataclass
class Case:
    name: str
    wire: bytes
    error: type[TokenRequestError | TransportError] | None
    said: str = ""
    """What the message must say."""
    has: dict[str, Any] = field(default_factory=dict)
    then: str = "close"

    def __str__(self) -> str:
        return self.name


HTML = b"<!DOCTYPE html><html><head><title>Domo - Blocked</title></head><body>No.</body></html>"
TOE = "O6Q67O9N7H-U3ALR-NVA7L"

TOKENS = [
    Case("the documented answer", answer(200, granted()), None),
    Case("a field that Domo added", answer(200, granted(env="prod1")), None, has={"extra": {"env": "prod1"}}),
    Case("a byte-order mark", answer(200, b"\xef\xbb\xbf" + granted()), None),
    Case("media type in capitals", answer(200, granted(), "Application/JSON"), None),
    Case(
        "only what is required",
        answer(200, granted({"access_token": "t", "token_type": "Bearer", "expires_in": 0})),
        None,
        has={"access_token": "t", "customer": None, "user_id": None, "scopes": frozenset({"data"}), "expires_in": 0},
    ),
    Case(
        "gzip",
        answer(200, gzip.compress(granted()), JSON, "Content-Encoding: gzip"),
        None,
        has={"customer": "acmecompany"},
    ),
    Case(
        "Latin-1 that says so",
        answer(200, granted(customer="@").replace(b"@", b"Soci\xe9t\xe9"), "application/json; charset=iso-8859-1"),
        None,
        has={"customer": "Société"},
    ),
    Case(
        "a lifetime of ten years", answer(200, granted(expires_in=315_360_000)), None, has={"expires_in": 315_360_000}
    ),
    Case(
        "a lifetime beyond the calendar",
        answer(200, granted(expires_in=10**15)),
        None,
        has={"expires_at": datetime.max.replace(tzinfo=UTC)},
    ),
]

BROKEN = [
    Case("HTML with status 200", answer(200, HTML, "text/html"), UnexpectedResponseError, "titled 'Domo - Blocked'"),
    Case("HTML that says it is JSON", answer(200, HTML), UnexpectedResponseError, "titled 'Domo - Blocked'"),
    Case("no media type", answer(200, granted(), None), UnexpectedResponseError, "application/json"),
    Case("an empty body", answer(200, b""), UnexpectedResponseError, "answered 200 OK with a broken answer"),
    Case("a list", answer(200, b"[]"), UnexpectedResponseError, "object"),
    Case("null", answer(200, b"null"), UnexpectedResponseError, "object"),
    Case("truncated JSON", answer(200, granted()[:-20]), UnexpectedResponseError, "JSON"),
    Case("100,000 nested brackets", answer(200, b"[" * 100_000), UnexpectedResponseError, "JSON"),
    Case("a number of 5,000 digits", answer(200, b'{"expires_in": ' + b"9" * 5000 + b"}"), UnexpectedResponseError),
    Case(
        "Latin-1 that does not say so",
        answer(200, granted(customer="@").replace(b"@", b"\xe9")),
        UnexpectedResponseError,
    ),
    Case("no access_token", answer(200, granted(access_token=...)), UnexpectedResponseError, "access_token"),
    Case("access_token null", answer(200, granted(access_token=None)), UnexpectedResponseError, "access_token"),
    Case("access_token empty", answer(200, granted(access_token="")), UnexpectedResponseError, "access_token"),
    Case(
        "CR LF in the token",
        answer(200, granted(access_token="canary-token\r\nX: y")),
        UnexpectedResponseError,
        "access_token",
    ),
    Case("a line end after the token", answer(200, granted(access_token="canary-token\n")), UnexpectedResponseError),
    Case("token_type mac", answer(200, granted(token_type="mac")), UnexpectedResponseError, "token_type"),
    Case("expires_in a string", answer(200, granted(expires_in="3599")), UnexpectedResponseError, "expires_in"),
    Case("expires_in true", answer(200, granted(expires_in=True)), UnexpectedResponseError, "expires_in"),
    Case("expires_in a fraction", answer(200, granted(expires_in=3599.5)), UnexpectedResponseError, "expires_in"),
    Case("expires_in negative", answer(200, granted(expires_in=-1)), UnexpectedResponseError, "expires_in"),
    Case("expires_in NaN", answer(200, granted(expires_in=float("nan"))), UnexpectedResponseError, "JSON"),
    Case("userId a string", answer(200, granted(userId="7")), UnexpectedResponseError, "userId"),
    Case(
        "packed twice",
        answer(200, gzip.compress(gzip.compress(granted())), JSON, "Content-Encoding: gzip, gzip"),
        UnexpectedResponseError,
        "Content-Encoding is broken",
    ),
    Case("204", b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", UnexpectedResponseError, "204 No Content"),
    Case("418", answer(418, b"short and stout", "text/plain"), UnexpectedResponseError, "418"),
    Case("999", answer(999, b""), ServerError, "answered 999"),
    Case(
        "a redirect elsewhere",
        answer(302, b"", None, "Location: https://elsewhere.test/"),
        UnexpectedResponseError,
        "no redirect is followed",
        {"status": 302},
    ),
    Case(
        "broken gzip",
        answer(200, b"not gzip at all", JSON, "Content-Encoding: gzip"),
        UnexpectedResponseError,
        "Content-Encoding is broken",
        {"status": None},
    ),
]

REFUSED = [
    Case(
        "the container's 401",
        answer(
            401,
            refused(
                timestamp="2019-02-19T14:23:03.891+0000", status=401, error="Unauthorized", message="Bad credentials"
            ),
        ),
        InvalidClientError,
        "401 Unauthorized: Bad credentials",
        {"timestamp": datetime(2019, 2, 19, 14, 23, 3, 891000, UTC), "error": "Unauthorized", "retryable": False},
    ),
    Case(
        "Domo's 401",
        answer(401, refused(status=401, statusReason="Internal Server Error", message="Full authentication", toe=TOE)),
        InvalidClientError,
        f"toe: {TOE}.",
        {"toe": TOE, "description": "Full authentication"},
    ),
    Case(
        "an empty 401",
        answer(401, b"", None),
        InvalidClientError,
        "does not accept the client id (cana…) and its secret",
    ),
    Case(
        "unauthorized_client",
        answer(400, refused(error="unauthorized_client")),
        InvalidClientError,
        "use the client credentials grant",
    ),
    Case(
        "a refusal that passes",
        answer(429, refused(error="invalid_client")),
        RateLimitedError,
        has={"error": "invalid_client", "retryable": True},
    ),
    Case("503 with a code", answer(503, refused(error="invalid_scope")), ServerError, has={"retryable": True}),
    Case(
        "a time without end",
        answer(401, refused(timestamp="2019-02-19" + " " * 64)),
        InvalidClientError,
        has={"timestamp": None},
    ),
    Case(
        "a time in a zone of many",
        answer(401, refused(timestamp="2019-02-19 14:23:03 IST")),
        InvalidClientError,
        has={"timestamp": None},
    ),
    Case(
        "a time without a zone",
        answer(401, refused(timestamp="2019-02-19 14:23:03")),
        InvalidClientError,
        has={"timestamp": datetime(2019, 2, 19, 14, 23, 3, 0, UTC)},
    ),
    Case("invalid_client with 400", answer(400, refused(error="invalid_client")), InvalidClientError),
    Case(
        "a time in milliseconds",
        answer(401, refused(timestamp=1550586183891, message="Bad credentials", toe=TOE)),
        InvalidClientError,
        "at 2019-02-19T14:23:03.891000+00:00",
        {"timestamp": datetime(2019, 2, 19, 14, 23, 3, 891000, UTC)},
    ),
    Case("an absurd time", answer(401, refused(timestamp=10**300)), InvalidClientError, has={"timestamp": None}),
    Case("a time that is none", answer(401, refused(timestamp="soon")), InvalidClientError, has={"timestamp": None}),
    Case("a time that is true", answer(401, refused(timestamp=True)), InvalidClientError, has={"timestamp": None}),
    Case("fields of wrong types", answer(401, refused(error=7, message=["no"], toe=TOE)), InvalidClientError, TOE),
    Case("a list for a 401", answer(401, b"[]"), InvalidClientError),
    Case(
        "invalid_scope",
        answer(400, refused(error="invalid_scope", error_description="Invalid scope", scope="audit user")),
        InvalidScopeError,
        "Asked for: data. The client has: audit user.",
        {"error": "invalid_scope", "description": "Invalid scope"},
    ),
    Case(
        "missing grant type",
        answer(400, refused(error="invalid_request", error_description="Missing grant type")),
        TokenRequestError,
        "Missing grant type. Domo did not understand",
    ),
    Case("an HTML 403", answer(403, HTML, "text/html"), TokenRequestError, "403 Forbidden: Domo - Blocked"),
    Case(
        "429 in seconds",
        answer(429, b"", None, "Retry-After: 7"),
        RateLimitedError,
        "wait 7 s",
        {"retry_after": 7.0, "retryable": True},
    ),
    Case("429 without a time", answer(429, b""), RateLimitedError, "wait a while", {"retry_after": None}),
    Case(
        "429 with a number below 0",
        answer(429, b"", None, "Retry-After: -5"),
        RateLimitedError,
        has={"retry_after": None},
    ),
    Case(
        "429 with nonsense", answer(429, b"", None, "Retry-After: Soon: 7"), RateLimitedError, has={"retry_after": None}
    ),
    Case("429 with a month", answer(429, b"", None, "Retry-After: May"), RateLimitedError, has={"retry_after": None}),
    Case(
        "429 until a date that has passed",
        answer(429, b"", None, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"),
        RateLimitedError,
        has={"retry_after": 0.0},
    ),
    Case("500", answer(500, refused(error="server_error")), ServerError, "not yours", {"retryable": True}),
    Case("an HTML 502", answer(502, HTML, "text/html"), ServerError, "502 Bad Gateway", {"retryable": True}),
    Case("503", answer(503, b"", None, "Retry-After: 30"), ServerError, has={"retry_after": 30.0, "retryable": True}),
    Case("504", answer(504, b""), ServerError, has={"retryable": True}),
    Case("501", answer(501, b""), ServerError, has={"retryable": False}),
    Case("520", answer(520, b"error code: 520", "text/plain"), ServerError, "answered 520", {"status": 520}),
    Case(
        "an error that breaks off",
        answer(500, refused(toe=TOE)[:-3]),
        ServerError,
        "500 Internal Server Error",
        {"toe": None},
    ),
    Case(
        "control characters and endless words",
        answer(400, refused(error="invalid_request", error_description="a\x1b[31m\r\nb" + "c" * 10_000)),
        TokenRequestError,
        "a [31m bccc",
    ),
    Case(
        "credentials sent back",
        answer(
            401,
            refused(
                error="canary-client-7f3d91",
                message="wrong: canary-secret-c0ffee5ec2e7",
                toe="Basic Y2FuYXJ5LWNsaWVudC03ZjNkOTE6Y2FuYXJ5LXNlY3JldC1jMGZmZWU1ZWMyZTc=",
            ),
        ),
        InvalidClientError,
        "wrong: [redacted]",
    ),
]

NO_ANSWER = [
    Case("reset", b"", TransportError, "the connection broke off", then="reset"),
    Case("closed without an answer", b"", TransportError, "the connection broke off"),
    Case("reset in the body", answer(200, granted())[:-5], TransportError, "broke off", then="reset"),
    Case("closed in the body", answer(200, granted())[:-5], TransportError, "broke off"),
    Case("not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", TransportError, "broke off"),
    Case("no answer in time", b"", TransportError, "no complete answer in time", then="hang"),
    Case("no end of the headers", b"HTTP/1.1 200 OK\r\nX: ", TransportError, "no complete answer in time", then="hang"),
]

TIMEOUT = {"timeout": 5.0}


@pytest.fixture(params=["sync", "asyncio", "trio"])
def ask(request, credentials):
    """Ask for a token in each way that there is."""

    def sync(url: str, scopes: Any = "data", **httpx_args: Any) -> Token:
        return request_token(credentials, scopes, base_url=url, httpx_args=TIMEOUT | httpx_args)

    def in_loop(url: str, scopes: Any = "data", **httpx_args: Any) -> Token:
        async def run() -> Token:
            return await arequest_token(credentials, scopes, base_url=url, httpx_args=TIMEOUT | httpx_args)

        return anyio.run(run, backend=request.param)

    return sync if request.param == "sync" else in_loop


@pytest.mark.parametrize("case", TOKENS, ids=str)
def test_a_good_answer_is_a_token(case, wire, ask):
    server = wire(case.wire)
    before = datetime.now(UTC)
    token = ask(server.url)
    for name, value in case.has.items():
        assert getattr(token, name) == value, name
    if not case.has:
        assert token.access_token == GRANTED["access_token"]
        assert (token.customer, token.role, token.user_id) == ("acmecompany", "Admin", 964382593)
        assert token.scopes == {"data", "user"}
        assert token.token_type == "bearer"
        assert 3598 < (token.expires_at - before).total_seconds() < 3599 + 60
    (request,) = server.requests
    assert request.startswith(b"GET /oauth/token?grant_type=client_credentials&scope=data HTTP/1.1\r\n")
    assert b"\r\nAccept: application/json\r\n" in request
    assert b"\r\nUser-Agent: domo-oauth/" in request


@pytest.mark.parametrize("case", [*BROKEN, *REFUSED, *NO_ANSWER], ids=str)
def test_any_other_answer_is_an_error_that_helps(case, wire, ask):
    httpx_args = {"timeout": 0.2} if case.then == "hang" else {}
    server = wire(case.wire, case.then)
    with pytest.raises(case.error) as caught:
        ask(server.url, **httpx_args)
    error = caught.value
    assert type(error) is case.error
    message = str(error)
    assert message.startswith(f"GET {server.url}/oauth/token ")
    assert case.said in message
    assert len(message) < 1000
    assert message.isprintable()
    for name, value in case.has.items():
        assert getattr(error, name) == value, name
    shown = message + repr(error) + str(vars(error))
    assert not [secret for secret in SECRETS if secret in shown]
    assert error.__context__ is None


def test_retry_after_a_date_to_come_is_counted_from_the_request(wire, ask):
    server = wire(answer(503, b"", None, "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT"))
    with pytest.raises(ServerError) as caught:
        ask(server.url)
    assert caught.value.retry_after > 365 * 86400


def test_without_scopes_the_parameter_is_left_out(wire, ask):
    server = wire(answer(200, granted({"access_token": "t", "token_type": "bearer", "expires_in": 1})))
    assert ask(server.url, None).scopes == frozenset()
    assert server.requests[0].startswith(b"GET /oauth/token?grant_type=client_credentials HTTP/1.1\r\n")


def test_invalid_scope_without_scopes_says_so(wire, ask):
    server = wire(answer(400, refused(error="invalid_scope")))
    with pytest.raises(InvalidScopeError, match="Asked for: all scopes of the client"):
        ask(server.url, None)


def test_an_endless_body_is_cut_off(wire, ask):
    def endless() -> Iterator[bytes]:
        return itertools.repeat(b"x" * 65536)

    server = wire(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", more=endless)
    with pytest.raises(UnexpectedResponseError, match="1048576"):
        ask(server.url)


def test_an_endless_error_page_keeps_its_status(wire, ask):
    server = wire(b"HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\n\r\n", more=lambda: itertools.repeat(b"x" * 65536))
    with pytest.raises(ServerError, match="503 Service Unavailable"):
        ask(server.url)


def test_nobody_listens(wire, ask):
    server = wire(b"")
    url = server.url
    server.close()
    with pytest.raises(TransportError, match="no connection"):
        ask(url)


def test_nobody_accepts(ask):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # fill the queue, so that the system answers no further connection
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        with pytest.raises(TransportError, match="no connection in time"):
            ask(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.2)


def test_a_redirect_is_not_followed_even_if_asked_for(wire, ask):
    target = wire(answer(200, granted()))
    server = wire(answer(307, b"", None, f"Location: {target.url}/oauth/token"))
    with pytest.raises(UnexpectedResponseError, match="no redirect is followed"):
        ask(server.url, follow_redirects=True)
    assert target.requests == []


def test_headers_of_the_caller_are_added(wire, ask):
    server = wire(answer(200, granted()))
    ask(server.url, headers={"X-Trace": "abc", "User-Agent": "mine"})
    assert b"\r\nX-Trace: abc\r\n" in server.requests[0]
    assert b"\r\nUser-Agent: mine\r\n" in server.requests[0]


def test_a_proxy_is_used_where_given_and_not_found_in_the_environment(wire, ask, monkeypatch):
    server = wire(answer(200, granted()))
    proxy = wire(answer(200, granted(customer="by-proxy")))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert ask(server.url).customer == "acmecompany"
    assert ask(server.url, proxy=proxy.url).customer == "by-proxy"
    assert proxy.requests[0].startswith(f"GET {server.url}/oauth/token?".encode())


def test_a_proxy_that_refuses(wire, credentials, ask):
    proxy = wire(answer(407, b"", None))
    with pytest.raises(TransportError, match=r"the proxy refused \(ProxyError: 407"):
        ask("https://api.domo.test", proxy=proxy.url)


@pytest.mark.parametrize(
    ("httpx_args", "said"),
    [
        ({"no_such_argument": 1}, "no_such_argument"),
        ({"proxy": "ftp://user:canary-secret@proxy.test"}, "Unknown scheme"),
        ({"proxy": "http://proxy.test:port"}, "InvalidURL"),
        ({"headers": {"X": "canary-secret\n"}}, "cannot be sent"),
        ({"headers": {"X": "\xe9"}}, "ascii"),
        ({"headers": 5}, "not iterable"),
        ({"proxy": "http://user:canary-secret/x@proxy.test:1"}, "percent-encode"),
        ({"base_url": "http://elsewhere.test"}, "base_url"),
        ({"auth": ("other", "other")}, "auth"),
    ],
)
def test_arguments_that_httpx_does_not_take(httpx_args, said, wire, ask):
    with pytest.raises(ConfigurationError, match=said) as caught:
        ask(wire(answer(200, granted())).url, **httpx_args)
    assert "canary-secret" not in str(caught.value)


OF_THE_ENVIRONMENT = "the proxies of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY)"


@pytest.mark.parametrize(
    ("httpx_args", "said"),
    [
        ({}, f"httpx cannot be set up with {OF_THE_ENVIRONMENT}: "),
        ({"timeout": 1.0}, f"httpx cannot be set up with these httpx_args, or {OF_THE_ENVIRONMENT}: "),
        ({"proxy": "ftp://user:canary-secret@127.0.0.1:1"}, "httpx cannot be set up with these httpx_args: "),
        ({"trust_env": False, "no_such": 1}, "httpx cannot be set up with these httpx_args: "),
    ],
)
@pytest.mark.parametrize("proxy", ["ftp://user:canary-secret@127.0.0.1:1", "socks5://user:canary-secret@127.0.0.1:1"])
def test_a_proxy_of_the_environment_that_httpx_does_not_take(proxy, httpx_args, said, credentials, monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigurationError) as caught:
        request_token(credentials, base_url="https://127.0.0.1:1", httpx_args=httpx_args)
    assert str(caught.value).startswith(said)
    assert "canary-secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://" + "a" * 70_000, "https://xn--"])
def test_a_base_url_that_httpx_does_not_take(url, ask):
    with pytest.raises(ConfigurationError, match="not a URL"):
        ask(url)


def test_the_log_repeats_nothing_of_a_good_answer(wire, ask, caplog):
    caplog.set_level(logging.DEBUG, "domo_oauth")
    assert ask(wire(answer(200, granted(jti="a\nforged"))).url).jti == "a\nforged"
    assert "granted for 3599 s" in caplog.text
    assert "forged" not in caplog.text


def test_a_base_url_with_a_path(wire, ask):
    server = wire(answer(200, granted()))
    ask(f"{server.url}/gateway/")
    assert server.requests[0].startswith(b"GET /gateway/oauth/token?")


def test_a_certificate_that_nobody_vouches_for(ask, tls_server):
    with pytest.raises(TransportError, match="certificate is not trusted") as caught:
        ask(tls_server.url)
    assert not caught.value.retryable
    assert "SSL_CERT_FILE" in str(caught.value)


@pytest.mark.parametrize("way", ["sync", "asyncio", "trio"])
def test_a_hanging_server_is_left_over_tls_too(way, tls_server):
    tls_server.answer, tls_server.then = b"HTTP/1.1 103 Early Hints\r\n\r\n", "hang"
    client = AuthenticatedClient(
        tls_server.url,
        username="id",
        password="secret",
        timeout=None,
        max_header_seconds=0.5,
        verify_ssl=ssl.create_default_context(cafile=tls_server.authority),
    )
    asking = get_access_token.sync if way == "sync" else get_access_token.asyncio
    with pytest.raises(httpx.ReadTimeout):
        asking(client=client) if way == "sync" else anyio.run(partial(asking, client=client), backend=way)


def test_a_certificate_authority_of_ones_own(ask, tls_server):
    context = ssl.create_default_context(cafile=tls_server.authority)
    assert ask(tls_server.url, verify=context).customer == "acmecompany"


def test_a_certificate_authority_by_the_environment(ask, tls_server, monkeypatch):
    from domo_oauth import exchange

    exchange._tls.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", tls_server.authority)
    try:
        assert ask(tls_server.url).customer == "acmecompany"
    finally:
        exchange._tls.cache_clear()


@pytest.mark.anyio
async def test_cancelling_leaves_nothing_of_the_request_behind(wire, credentials, anyio_backend):
    server = wire(b"", "hang")
    kept: list[BaseException] = []

    async def ask_and_keep() -> None:
        try:
            await arequest_token(credentials, "data", base_url=server.url)
        except BaseException as error:
            kept.append(error)
            raise

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask_and_keep)
        while not server.requests:  # noqa: ASYNC110 -- the server is in a thread of its own
            await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    (error,) = kept
    frames = []
    trace = error.__traceback__
    while trace:
        frames.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    assert not [name for name in frames if "httpcore" in name or "httpx" in name or "h11" in name]


def test_a_certificate_authority_that_is_not_there(ask, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    from domo_oauth import exchange

    exchange._tls.cache_clear()
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        ask("https://api.domo.test")


def test_one_tls_context_serves_the_process(monkeypatch, credentials):
    from domo_oauth import exchange

    made = []
    real = httpx.create_ssl_context
    exchange._tls.cache_clear()
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **kwargs: made.append(kwargs) or real(**kwargs))
    for _ in range(3):
        exchange.TokenEndpoint(credentials, base_url="https://api.domo.test")
    assert made == [{"trust_env": True}]
    exchange._tls.cache_clear()


def test_without_tls_no_context_is_made(monkeypatch, wire, credentials):
    monkeypatch.setattr(httpx, "create_ssl_context", lambda verify=True, **kwargs: verify and pytest.fail("made one"))
    assert request_token(credentials, base_url=wire(answer(200, granted())).url).expires_in


def test_a_proxy_keeps_its_tls(monkeypatch, credentials):
    from domo_oauth import exchange

    for args in ({"proxy": "https://localhost:1"}, {"mounts": {}}):
        given = exchange._httpx_args("http://localhost", args)
        assert isinstance(given["verify"], ssl.SSLContext)


def fails(wire, credentials, answered: bytes, scopes: Any = "data") -> TokenRequestError:
    with pytest.raises(TokenRequestError) as caught:
        request_token(credentials, scopes, base_url=wire(answered).url, httpx_args=TIMEOUT)
    return caught.value


def test_a_page_in_place_of_a_token_is_told_of_in_the_fields_too(wire, credentials):
    error = fails(wire, credentials, answer(200, HTML, "text/html"))
    assert (error.status, error.description) == (200, "Domo - Blocked")


def test_the_type_of_the_token_is_as_the_server_wrote_it(wire, credentials):
    server = wire(answer(200, granted(token_type="Bearer")))
    assert request_token(credentials, base_url=server.url, httpx_args=TIMEOUT).token_type == "Bearer"


def test_invalid_scope_names_all_that_was_asked_for(wire, credentials):
    error = fails(wire, credentials, answer(400, refused(error="invalid_scope")), ["user", "data"])
    assert "Asked for: data user. " in str(error)


@pytest.mark.parametrize(("given", "shown"), [("d" * 300, "d" * 300), ("d" * 301, "d" * 300 + "…")])
def test_a_text_of_the_servers_has_300_characters_at_most(given, shown, wire, credentials):
    assert fails(wire, credentials, answer(401, refused(message=given))).description == shown


@pytest.mark.parametrize(
    ("status", "said"),
    [(503, "Repeat the request after a pause."), (501, "Repeating it at once does not help."), (300, "It redirects")],
)
def test_what_a_status_alone_tells(status, said, wire, credentials):
    assert said in str(fails(wire, credentials, answer(status, b"")))


def test_the_reason_beside_the_status_is_the_description_where_there_is_no_other(wire, credentials):
    assert fails(wire, credentials, answer(401, refused(statusReason="Locked"))).description == "Locked"


def test_an_error_body_nested_beyond_reason_keeps_its_status(wire, credentials):
    error = fails(wire, credentials, answer(500, b"[" * 100_000))
    assert (type(error), error.description) == (ServerError, None)


def test_a_title_that_is_no_utf_8_is_told_all_the_same(wire, credentials):
    error = fails(wire, credentials, answer(403, b"<html><title>Caf\xe9 closed</title>", "text/html"))
    assert error.description == "Caf\ufffd closed"


@pytest.mark.parametrize(("before", "found"), [(4096 - 9, "T"), (4096 - 8, None)])
def test_a_title_is_looked_for_in_the_first_4096_bytes(before, found, wire, credentials):
    page = b" " * before + b"<title>T</title>"
    assert fails(wire, credentials, answer(403, page, "text/html")).description == found


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2019-02-19T14:23:03+02:00", datetime(2019, 2, 19, 12, 23, 3, 0, UTC)),
        ("2019-02-19T14:23:03Z".ljust(64), datetime(2019, 2, 19, 14, 23, 3, 0, UTC)),
        (10**20, None),  # which the system's calendar does not reach
    ],
)
def test_the_time_of_an_error_is_in_utc(said, moment, wire, credentials):
    assert fails(wire, credentials, answer(401, refused(timestamp=said))).timestamp == moment


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        (["Retry-After: 7 days"], None),
        (["Retry-After: 1234567890"], None),
        (["Retry-After: Wed, 21 Oct 2099 07:28:30 GMT", "Date: Wed, 21 Oct 2099 07:28:00 GMT"], 30.0),
    ],
)
def test_the_time_to_wait_is_in_seconds_or_counted_by_the_servers_clock(fields, seconds, wire, credentials):
    assert fails(wire, credentials, answer(429, b"", None, *fields)).retry_after == seconds


def test_no_frame_and_no_error_behind_shows_the_arguments_that_were_refused(ask):
    args = {"headers": 5, "proxy": "http://name:canary-password@localhost:1"}
    with pytest.raises(ConfigurationError) as caught:
        ask("http://localhost:1", **args)
    assert caught.value.__context__ is None
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame.locals for frame in told.stack if "domo_oauth" in frame.filename]
    assert ours
    assert "canary-password" not in str(ours)


@pytest.mark.parametrize("headers", [{5: "x"}, "abc"])
def test_header_fields_that_are_none(headers, ask):
    with pytest.raises(ConfigurationError, match="httpx cannot be set up with these httpx_args"):
        ask("http://localhost:1", headers=headers)


@pytest.mark.parametrize(
    ("url", "given", "verify"),
    [
        ("http://localhost:1", {}, False),
        ("http://localhost:1", {"trust_env": True}, ssl.SSLContext),  # a proxy may be reached by TLS
        ("http://localhost:1", {"cert": "client.pem"}, None),
        ("https://api.domo.test", {"cert": "client.pem"}, None),
        ("https://api.domo.test", {"verify": True}, True),
        ("https://api.domo.test", {"trust_env": False}, ssl.SSLContext),
    ],
)
def test_certificates_are_loaded_where_they_are_needed_and_not_said_otherwise(url, given, verify):
    from domo_oauth import exchange

    found = exchange._httpx_args(url, given).get("verify")
    assert isinstance(found, verify) if verify is ssl.SSLContext else found is verify


def test_the_connections_are_closed_in_a_task_too(credentials, anyio_backend):
    closed = []

    class Transport(httpx.MockTransport):
        async def aclose(self) -> None:
            closed.append(True)

    transport = Transport(lambda _: httpx.Response(200, json=GRANTED))

    async def main() -> None:
        await arequest_token(credentials, httpx_args={"transport": transport})
        assert len(closed) == 1
        async with TokenEndpoint(credentials, httpx_args={"transport": transport}) as endpoint:
            assert (await endpoint.arequest()).customer == "acmecompany"

    anyio.run(main, backend=anyio_backend)
    assert len(closed) == 2


def test_the_log_tells_of_a_refusal(wire, credentials, caplog):
    caplog.set_level(logging.DEBUG, "domo_oauth")
    fails(wire, credentials, answer(401, b""))
    assert "/oauth/token: InvalidClientError after " in caplog.text


def test_certificates_of_the_environment_are_none_of_those_who_do_not_trust_it(credentials, monkeypatch):
    from domo_oauth import exchange

    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    exchange._tls.cache_clear()
    try:
        exchange.TokenEndpoint(credentials, base_url="https://api.domo.test", httpx_args={"trust_env": False})
    finally:
        exchange._tls.cache_clear()


@pytest.mark.parametrize(
    "said",
    [
        "canary-client-7f3d91:canary-secret-c0ffee5ec2e7",
        "CANARY-SECRET-C0FFEE5EC2E7",
        "Y2FuYXJ5LWNsaWVudC03ZjNkOTE6Y2FuYXJ5LXNlY3JldC1jMGZmZWU1ZWMyZTc=",
    ],
)
def test_credentials_that_are_sent_back_leave_nothing(said, wire, credentials):
    assert fails(wire, credentials, answer(401, refused(message=said))).description == "[redacted]"


def test_a_time_that_is_too_long_is_none(wire, credentials):
    error = fails(wire, credentials, answer(401, refused(timestamp="2019-02-19T14:23:03Z".ljust(65))))
    assert error.timestamp is None


@pytest.mark.parametrize(("status", "retryable"), [(407, False), (502, True)])
def test_only_a_proxy_that_wants_other_credentials_is_not_asked_again(status, retryable, wire, credentials):
    proxy = wire(answer(status, b"", None))
    with pytest.raises(TransportError, match="the proxy refused") as caught:
        request_token(credentials, base_url="https://api.domo.test", httpx_args=TIMEOUT | {"proxy": proxy.url})
    assert caught.value.retryable is retryable


def breaks_down(error: Exception, credentials) -> BaseException:
    def answering(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises((type(error), TransportError)) as caught:
        request_token(credentials, httpx_args={"transport": httpx.MockTransport(answering)})
    return caught.value


def test_an_error_that_is_none_of_ours_leaves_without_the_frames_of_those_behind_it(credentials):
    behind: list[BaseException] = []
    for kind in (ZeroDivisionError, KeyError, RuntimeError):
        with pytest.raises(kind) as raised:
            raise kind("odd")
        raised.value.__context__ = behind[-1] if behind else None
        behind.append(raised.value)
    first, second, last = behind
    last.__cause__ = second
    caught = breaks_down(last, credentials)
    assert caught is last
    assert caught.__context__ is None
    assert caught.__cause__ is second
    assert second.__context__ is first
    assert [error.__traceback__ for error in (first, second)] == [None, None]


def test_a_sentence_of_the_libraries_ends_once(credentials):
    assert "(ReadError: It broke). " in str(breaks_down(httpx.ReadError("It broke."), credentials))


def test_a_proxys_user_is_not_shown(credentials):
    with pytest.raises(ConfigurationError, match="Unknown scheme") as caught:
        request_token(credentials, httpx_args={"proxy": "ftp://canary-user:password@proxy.test"})
    assert "canary-user" not in str(caught.value)


@pytest.mark.parametrize("location", ["https://elsewhere.test:port/", "https://xn--/"])
def test_a_redirect_to_what_is_no_url(location, wire, credentials):
    error = fails(wire, credentials, answer(302, b"", None, f"Location: {location}"))
    assert "gave a broken answer: it redirects to what is no URL." in str(error)
