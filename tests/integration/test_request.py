"""request_token and arequest_token: every answer gives the right token or the right error, soon, and no secret."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from domo_oauth import (
    ClientCredentials,
    ConfigurationError,
    DomoOAuthError,
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
        "compressed twice",
        answer(200, gzip.compress(gzip.compress(granted())), JSON, "Content-Encoding: gzip, gzip"),
        UnexpectedResponseError,
        "Content-Encoding gzip",
    ),
    Case("204", b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", UnexpectedResponseError, "204 No Content"),
    Case("418", answer(418, b"short and stout", "text/plain"), UnexpectedResponseError, "418"),
    Case("999", answer(999, b""), ServerError, "answered 999"),
    Case(
        "a redirect",
        answer(302, b"", None, "Location: https://elsewhere.test/"),
        UnexpectedResponseError,
        "no redirect is followed",
        {"status": 302},
    ),
    Case(
        "broken gzip",
        answer(200, b"not gzip at all", JSON, "Content-Encoding: gzip"),
        UnexpectedResponseError,
        "Content-Encoding gzip",
        {"status": 200},
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
        "429 with an error code",
        answer(429, refused(error="invalid_client")),
        RateLimitedError,
        has={"error": "invalid_client", "retryable": True},
    ),
    Case("503 with a code", answer(503, refused(error="invalid_scope")), ServerError, has={"retryable": True}),
    Case(
        "a time followed by spaces",
        answer(401, refused(timestamp="2019-02-19" + " " * 64)),
        InvalidClientError,
        has={"timestamp": None},
    ),
    Case(
        "a time in an ambiguous zone",
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
    Case(
        "a time that makes no sense",
        answer(401, refused(timestamp="soon")),
        InvalidClientError,
        has={"timestamp": None},
    ),
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
        "an error cut short",
        answer(500, refused(toe=TOE)[:-3]),
        ServerError,
        "500 Internal Server Error",
        {"toe": None},
    ),
    Case(
        "control characters and endless words",
        answer(400, refused(error="invalid_request", error_description="a\x1b[31m\r\nb" + "c" * 10_000)),
        TokenRequestError,
        "a [31m",
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
        "wrong: [26 characters hidden]",
    ),
]

NO_ANSWER = [
    Case("reset", b"", TransportError, "the connection was lost", then="reset"),
    Case("closed without an answer", b"", TransportError, "the connection was lost"),
    Case("reset in the body", answer(200, granted())[:-5], TransportError, "was lost", then="reset"),
    Case("closed in the body", answer(200, granted())[:-5], TransportError, "was lost"),
    Case("not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", TransportError, "was lost"),
    Case("no answer in time", b"", TransportError, "no complete answer in time", then="hang"),
    Case("no end of the headers", b"HTTP/1.1 200 OK\r\nX: ", TransportError, "no complete answer in time", then="hang"),
]


WAYS = ["sync", "asyncio", "trio"]
CREDENTIALS = ClientCredentials("canary-client-7f3d91", "canary-secret-c0ffee5ec2e7")


def ask(url: str | None, scopes: Any = "data", *, way: str = "sync", wait: Any = 60.0, **httpx_args: Any) -> Token:
    args = {"base_url": url, "httpx_args": httpx_args, "timeout": wait}
    if way == "sync":
        return request_token(CREDENTIALS, scopes, **args)
    return anyio.run(partial(arequest_token, CREDENTIALS, scopes, **args), backend=way)


def fails(wire, answered: bytes, scopes: Any = "data") -> TokenRequestError:
    with pytest.raises(TokenRequestError) as caught:
        ask(wire(answered).url, scopes)
    return caught.value


# Answers


@pytest.mark.parametrize("case", TOKENS, ids=str)
def test_a_good_answer_is_a_token(case, wire):
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
def test_any_other_answer_is_an_error_that_helps(case, wire):
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
    assert error.__cause__ is error.__context__ is None


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_ask_gives_the_same(way, wire):
    assert ask(wire(answer(200, granted())).url, way=way).customer == "acmecompany"
    with pytest.raises(InvalidClientError, match="401 Unauthorized"):
        ask(wire(answer(401, b"{}")).url, way=way)
    with pytest.raises(TransportError, match="no complete answer in time"):
        ask(wire(b"", "hang").url, way=way, timeout=0.2)


def test_no_scope_parameter_without_scopes(wire):
    server = wire(answer(200, granted({"access_token": "t", "token_type": "bearer", "expires_in": 1})))
    assert ask(server.url, None).scopes == frozenset()
    assert server.requests[0].startswith(b"GET /oauth/token?grant_type=client_credentials HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("scopes", "asked"), [(None, "all scopes of the client"), (["user", "data"], "data user")], ids=["all", "some"]
)
def test_invalid_scope_names_what_was_asked_for(scopes, asked, wire):
    assert f"Asked for: {asked}. " in str(fails(wire, answer(400, refused(error="invalid_scope")), scopes))


@pytest.mark.parametrize(("status", "kind"), [(200, UnexpectedResponseError), (503, ServerError)])
def test_an_endless_body_is_cut_off(status, kind, wire):
    start = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n\r\n".encode()
    server = wire(start, more=lambda: itertools.repeat(b"x" * 65536))
    with pytest.raises(kind, match=f" answered {status} "):
        ask(server.url)


@pytest.mark.parametrize(
    ("answered", "description"),
    [
        (answer(200, HTML, "text/html"), "Domo - Blocked"),
        (answer(401, refused(statusReason="Locked")), "Locked"),
        (answer(401, refused(message="d" * 301)), "d" * 300 + "…"),
        (answer(500, b"[" * 100_000), None),
        (answer(403, b"<html><title>Caf\xe9 closed</title>", "text/html"), "Caf\ufffd closed"),
        (answer(403, b" " * (4096 - 9) + b"<title>T</title>", "text/html"), "T"),
        (answer(403, b" " * (4096 - 8) + b"<title>T</title>", "text/html"), None),
        (answer(401, refused(message="CANARY-SECRET-C0FFEE5EC2E7")), "[26 characters hidden]"),
        (answer(401, refused(message="no Y2FuYXJ5LWNsaWVudC03ZjNkOTE6Y2FuYXJ5LXM=")), "no [40 characters hidden]"),
        (answer(401, refused(message="caught Ⓒⓐⓝⓐⓡⓨ%20%20%20%20%20")), "caught [21 characters hidden]"),
    ],
)
def test_the_description_is_what_the_server_says(answered, description, wire):
    assert fails(wire, answered).description == description


@pytest.mark.parametrize(
    ("toe", "shown"),
    [(TOE, TOE), (f"{TOE}/x", "[24 characters hidden]"), ("A1" * 12, "[24 characters hidden]"), (7, None)],
)
def test_a_toe_is_shown_whole_and_nothing_else_in_its_place(toe, shown, wire):
    assert fails(wire, answer(500, refused(toe=toe))).toe == shown


@pytest.mark.parametrize(
    ("status", "said"),
    [(503, "Repeat the request after a pause."), (501, "Repeating it at once does not help."), (300, "It redirects")],
)
def test_advice_for_a_status_alone(status, said, wire):
    assert said in str(fails(wire, answer(status, b"")))


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2019-02-19T14:23:03+02:00", datetime(2019, 2, 19, 12, 23, 3, 0, UTC)),
        ("2019-02-19T14:23:03Z", datetime(2019, 2, 19, 14, 23, 3, 0, UTC)),
        ("2019-02-19T14:23:03Z" * 50_000, None),
        (10**20, None),
    ],
)
def test_the_time_of_an_error_is_in_utc(said, moment, wire):
    assert fails(wire, answer(401, refused(timestamp=said))).timestamp == moment


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        (["Retry-After: 7 days"], None),
        (["Retry-After: 1234567890"], None),
        (["Retry-After: Wed, 21 Oct 2099 07:28:30 GMT", "Date: Wed, 21 Oct 2099 07:28:00 GMT"], 30.0),
    ],
)
def test_retry_after_is_in_seconds_by_the_clock_of_the_server(fields, seconds, wire):
    assert fails(wire, answer(429, b"", None, *fields)).retry_after == seconds


def test_retry_after_a_date_counts_from_the_request_where_the_server_tells_no_time(wire):
    error = fails(wire, answer(503, b"", None, "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT"))
    assert error.retry_after > 365 * 86400


@pytest.mark.parametrize("location", ["https://elsewhere.test:port/", "https://xn--/"])
def test_a_redirect_to_an_invalid_url(location, wire):
    error = fails(wire, answer(302, b"", None, f"Location: {location}"))
    assert "gave a broken answer: invalid Location header." in str(error)


def test_no_redirect_is_followed_even_if_asked_for(wire):
    target = wire(answer(200, granted()))
    server = wire(answer(307, b"", None, f"Location: {target.url}/oauth/token"))
    with pytest.raises(UnexpectedResponseError, match="no redirect is followed"):
        ask(server.url, follow_redirects=True)
    assert target.requests == []


# Connections


def test_nobody_listens(wire):
    server = wire(b"")
    url = server.url
    server.close()
    with pytest.raises(TransportError, match="no connection"):
        ask(url)


def test_nobody_accepts():
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # fill the queue, so that the system answers no further connection
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        with pytest.raises(TransportError, match="no connection in time"):
            ask(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.2)


def test_the_connection_is_closed_after_the_answer(wire):
    server = wire(answer(200, granted()).replace(b"Connection: close", b"Connection: keep-alive"), "hang")
    ask(server.url)
    server.close()  # waits until the client has hung up


def test_a_base_url_with_a_path(wire):
    server = wire(answer(200, granted()))
    ask(f"{server.url}/gateway/")
    assert server.requests[0].startswith(b"GET /gateway/oauth/token?")


@pytest.mark.parametrize("url", ["https://" + "a" * 70_000, "https://xn--"])
def test_a_base_url_that_httpx_does_not_take(url):
    with pytest.raises(ConfigurationError, match="base URL is not valid"):
        ask(url)


# TLS


def test_an_untrusted_certificate(tls_server):
    with pytest.raises(TransportError, match="certificate is not trusted") as caught:
        ask(tls_server.url)
    assert not caught.value.retryable
    assert "SSL_CERT_FILE" in str(caught.value)


def test_a_certificate_authority_of_ones_own(tls_server):
    context = ssl.create_default_context(cafile=tls_server.authority)
    assert ask(tls_server.url, verify=context).customer == "acmecompany"


PROCESS = """
import ssl, sys
import httpx
from domo_oauth import ClientCredentials, DomoOAuthError, request_token

made, create = [], ssl.create_default_context
ssl.create_default_context = lambda *args, **kwargs: made.append(kwargs) or create(*args, **kwargs)
for _ in range(2):
    try:
        said = request_token(ClientCredentials("id", "s"), base_url=sys.argv[1], httpx_args=eval(sys.argv[2])).customer
    except DomoOAuthError as error:
        said = str(error)
print(said, len(made))
"""


@pytest.mark.parametrize(
    ("authority", "httpx_args", "said", "contexts"),
    [
        ("own", {}, "acmecompany", 1),
        ("missing", {}, "The certificate authorities cannot be loaded", 2),
        ("missing", {"trust_env": False}, "certificate is not trusted", 1),
        ("missing", {"verify": False}, "acmecompany", 0),
    ],
)
def test_one_tls_context_serves_the_process(authority, httpx_args, said, contexts, tls_server):
    env = os.environ | {"SSL_CERT_FILE": tls_server.authority if authority == "own" else "/no/such/file"}
    command = [sys.executable, "-c", PROCESS, tls_server.url, repr(httpx_args)]
    printed = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert said in printed
    assert printed.rstrip().endswith(f" {contexts}")


def test_no_tls_context_is_made_where_none_is_needed(monkeypatch, wire):
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: pytest.fail("made one"))
    assert ask(wire(answer(200, granted())).url).expires_in


# Proxies


def test_a_proxy_that_was_passed_is_used(wire):
    proxy = wire(answer(200, granted(customer="by-proxy")))
    assert ask("http://127.0.0.1:1", proxy=proxy.url).customer == "by-proxy"
    assert proxy.requests[0].startswith(b"GET http://127.0.0.1:1/oauth/token?")


@pytest.mark.parametrize(("status", "retryable"), [(407, False), (502, True)])
def test_a_proxy_that_refuses(status, retryable, wire):
    proxy = wire(answer(status, b"", None))
    with pytest.raises(TransportError, match=rf"the proxy refused \(ProxyError: {status}") as caught:
        ask("https://api.domo.test", proxy=proxy.url)
    assert caught.value.retryable is retryable


def test_a_proxy_by_tls_is_not_trusted_blindly(tls_server):
    proxy = tls_server.url
    with pytest.raises(TransportError, match="certificate is not trusted"):
        ask("http://127.0.0.1:1", proxy=proxy)
    assert tls_server.requests == []


@pytest.fixture
def environment(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_of_the_environment_is_used(name, scheme, wire, environment):
    proxy = wire(answer(407, b"", None))
    environment.setenv(name, f"{scheme}{proxy.url.removeprefix('http://')}")
    with pytest.raises(TransportError, match="the proxy refused"):
        ask("https://api.domo.test")


@pytest.mark.parametrize(
    ("variables", "httpx_args"),
    [
        ({"NO_PROXY": "127.0.0.1"}, {}),
        ({"no_proxy": "localhost,127.0.0.1,::1/128"}, {}),
        ({}, {"trust_env": False}),
    ],
)
def test_a_proxy_of_the_environment_is_passed_by(variables, httpx_args, wire, environment):
    proxy = wire(answer(407, b"", None))
    environment.setenv("HTTPS_PROXY", proxy.url)
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(TransportError, match="no connection"):
        ask("https://127.0.0.1:1", **httpx_args)
    assert proxy.requests == []


def test_a_proxy_of_the_environment_is_not_used_within_this_machine(wire, environment):
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        environment.setenv(name, "http://127.0.0.1:1")
    assert ask(wire(answer(200, granted())).url).customer == "acmecompany"


@pytest.mark.parametrize(
    "value", ["localhost,127.0.0.0/8", "localhost,::1", "localhost,::1/128", "localhost,[::1]", "fd00:1:2::/64"]
)
def test_any_no_proxy_will_do(value, environment):
    environment.setenv("NO_PROXY", value)
    with pytest.raises(TransportError, match="no connection"):
        ask("https://127.0.0.1:1")


@pytest.mark.parametrize("proxy", ["ftp://user:canary-secret@127.0.0.1:1", "http://user:canary-secret/x@127.0.0.1:1"])
@pytest.mark.parametrize("httpx_args", [{}, {"timeout": 1.0}])
def test_an_invalid_proxy_of_the_environment(proxy, httpx_args, environment):
    environment.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigurationError, match=r"Invalid proxy URL in the environment: check HTTPS_PROXY") as caught:
        ask("https://127.0.0.1:1", **httpx_args)
    assert "canary" not in str(caught.value)


# Arguments


def test_headers_of_the_caller_are_added(wire):
    server = wire(answer(200, granted()))
    ask(server.url, headers={"X-Trace": "abc", "User-Agent": "mine"})
    assert b"\r\nX-Trace: abc\r\n" in server.requests[0]
    assert b"\r\nUser-Agent: mine\r\n" in server.requests[0]


@pytest.mark.parametrize(
    ("httpx_args", "said"),
    [
        ({"no_such_argument": 1}, "no_such_argument"),
        ({"proxy": "ftp://user:canary-secret@127.0.0.1:1"}, "Unknown scheme"),
        ({"proxy": "ftp://canary-client:password@proxy.test"}, "Unknown scheme"),
        ({"proxy": "http://127.0.0.1:port"}, "InvalidURL"),
        ({"headers": {"X": "canary-secret\n"}}, "cannot be sent"),
        ({"headers": {"X": "\xe9"}}, "ascii"),
        ({"headers": 5}, "not iterable"),
        ({"headers": {5: "x"}}, "httpx cannot be set up with these httpx_args"),
        ({"headers": "abc"}, "httpx cannot be set up with these httpx_args"),
        ({"event_hooks": 5}, "httpx cannot be set up with these httpx_args"),
        ({"transport": 5}, "httpx cannot be set up with these httpx_args"),
        ({"transport": httpx.AsyncHTTPTransport()}, "httpx cannot be set up with these httpx_args"),
        ({"proxy": "http://user:canary-secret/x@127.0.0.1:1"}, "InvalidURL"),
        ({"base_url": "http://127.0.0.1:1"}, "base_url"),
        ({"auth": ("other", "other")}, "auth"),
    ],
)
@pytest.mark.parametrize("way", ["sync", "asyncio"])
def test_invalid_arguments_for_httpx(httpx_args, said, way, wire):
    server = wire(answer(200, granted()))
    with pytest.raises(ConfigurationError, match=said) as caught:
        ask(server.url, way=way, **httpx_args)
    assert not [secret for secret in ("canary", "password") if secret in str(caught.value)]
    assert caught.value.__context__ is None
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame.locals for frame in told.stack if "domo_oauth" in frame.filename]
    assert ours
    assert "canary-" not in str(ours)
    assert server.requests == []


class Transport(httpx.MockTransport):
    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("way", WAYS)
def test_a_transport_of_the_caller_is_used_and_not_closed(way):
    transport = Transport(lambda _: httpx.Response(200, json=GRANTED))
    for args in ({"transport": transport}, {"mounts": {"https://": transport, "http://": None}}):
        assert ask(None, way=way, **args).customer == "acmecompany"
    assert not transport.closed


def test_hooks_of_the_caller_are_called(wire):
    called: list[object] = []
    hooks = {"request": [called.append], "response": [called.append]}
    server = wire(answer(200, granted()))
    ask(server.url, event_hooks=hooks)
    assert [type(each) for each in called] == [httpx.Request, httpx.Response]
    assert [len(each) for each in hooks.values()] == [1, 1]


def breaks_down(error: Exception, way: str) -> DomoOAuthError:
    def answering(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(DomoOAuthError) as caught:
        ask(None, way=way, transport=httpx.MockTransport(answering))
    assert caught.value.__cause__ is caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_foreign_code_is_told_by_its_type_and_place(way):
    error = breaks_down(ZeroDivisionError("canary-secret"), way)
    assert type(error) is DomoOAuthError
    assert f"failed with ZeroDivisionError, raised in {__name__}, line " in str(error)
    assert "canary-secret" not in str(error)


def test_an_error_text_of_httpx_ends_once():
    assert "(ReadError: It broke). " in str(breaks_down(httpx.ReadError("It broke."), "sync"))


# Deadlines


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wait", [0, 0.3])
def test_a_caller_waits_no_longer_than_it_wants(wait, way, wire):
    server = wire(b"", "hang")
    began = time.monotonic()
    with pytest.raises(TransportError, match=f"No token within {wait} s: ") as caught:
        ask(server.url, way=way, wait=wait, timeout=1.0)
    assert time.monotonic() - began < wait + 1
    assert caught.value.retryable
    assert not wait or f"GET {server.url}/oauth/token has not been answered" in str(caught.value)


@pytest.mark.parametrize("timeout", [-1, "5", float("nan"), b"canary"])
def test_an_invalid_timeout(timeout):
    with pytest.raises(ConfigurationError, match="timeout must be a number of seconds"):
        ask("http://127.0.0.1:1", wait=timeout)


def test_no_timeout_is_the_default(wire):
    assert ask(wire(answer(200, granted())).url, wait=None).customer == "acmecompany"


@pytest.mark.anyio
async def test_a_cancelled_caller_leaves_at_once(wire, anyio_backend):
    server = wire(b"", "hang")
    with anyio.move_on_after(0.2) as scope:
        await arequest_token(CREDENTIALS, base_url=server.url, httpx_args={"timeout": 1.0})
    assert scope.cancelled_caught
