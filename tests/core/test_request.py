"""Each answer of the endpoint gives the right token or one error that says what to do, and shows no secret."""

from __future__ import annotations

import gzip
import itertools
import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from domo_oauth import (
    ClientCredentials,
    InvalidClientError,
    InvalidScopeError,
    RateLimitedError,
    ServerError,
    TokenRequestError,
    TransportError,
    UnexpectedResponseError,
    request_token,
)
from tests.fakes import GET, REQUEST, ask

CREDENTIALS = ClientCredentials("canary-client-7f3d91", "canary-secret-c0ffee5ec2e7")
SECRETS = ("canary-token", "canary-secret", "canary-client", "Y2FuYXJ5LWNsaWVudC03ZjNkOTE6")
JSON = "application/json;charset=utf-8"
FIELDS = {
    "access_token": "eyJ0.canary-token-5a1e.c2ln",
    "token_type": "bearer",
    "expires_in": 3599,
    "scope": "data user",
    "customer": "acmecompany",
    "role": "Admin",
    "userId": 964382593,
    "jti": "81dece4c-df73-4569-853c-2d1a328897fd",
}
HTML = b"<!DOCTYPE html><html><head><title>Domo - Blocked</title></head><body>No.</body></html>"
TOE = "O6Q67O9N7H-U3ALR-NVA7L"
MOMENT = datetime(2019, 2, 19, 14, 23, 3, 891000, UTC)
MISSING = ...  # no such field


def answer(status: int, body: bytes = b"", content_type: str | None = JSON, *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status} -"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    lines += [f"Content-Length: {len(body)}", "Connection: close", *fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def granted(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in (FIELDS | changes).items() if value is not MISSING}).encode()


def ok(content_type: str = JSON, *fields: str, **changes: Any) -> bytes:
    return answer(200, granted(**changes), content_type, *fields)


def says(status: int, /, **fields: Any) -> bytes:
    return answer(status, json.dumps(fields).encode())


def packed(body: bytes, coding: str = "gzip") -> bytes:
    return answer(200, body, JSON, f"Content-Encoding: {coding}")


def error_of(server, scopes: Any = "data", **httpx_args: Any) -> TokenRequestError:
    with pytest.raises((TokenRequestError, TransportError)) as caught:
        request_token(CREDENTIALS, scopes, base_url=server.url, httpx_args=httpx_args)
    return caught.value


# Tokens

MINIMAL = b'{"access_token": "t", "token_type": "Bearer", "expires_in": 0}'
TOKENS = {
    "the documented answer": (ok(), {}),
    "a field that Domo added": (ok(env="prod1"), {"extra": {"env": "prod1"}}),
    "a byte-order mark": (answer(200, b"\xef\xbb\xbf" + granted()), {}),
    "the media type in capitals": (ok("Application/JSON"), {}),
    "gzip": (packed(gzip.compress(granted())), {}),
    "only what is required": (answer(200, MINIMAL), {"customer": None, "user_id": None, "scopes": {"data"}}),
    "Latin-1 that says so": (
        answer(200, granted(customer="@").replace(b"@", b"\xe9"), "application/json; charset=iso-8859-1"),
        {"customer": "é"},
    ),
    "ten years": (ok(expires_in=315_360_000), {"expires_in": 315_360_000}),
    "more than the calendar has": (ok(expires_in=10**15), {"expires_in": 10**15}),
}


@pytest.mark.parametrize("name", TOKENS)
def test_a_token(name, wire):
    sent, has = TOKENS[name]
    server, before = wire(sent), datetime.now(UTC)
    token = request_token(CREDENTIALS, "data", base_url=server.url)
    assert {field: getattr(token, field) for field in has} == has
    if not has:
        assert (token.access_token, token.token_type) == (FIELDS["access_token"], "bearer")
        assert (token.customer, token.role, token.user_id) == ("acmecompany", "Admin", 964382593)
        assert token.scopes == {"data", "user"}
        assert 3598 < (token.expires_at - before).total_seconds() < 3599 + 60
    (request,) = server.requests
    assert request.startswith(b"GET /oauth/token?grant_type=client_credentials&scope=data HTTP/1.1\r\n")
    assert b"\r\nAccept: application/json\r\n" in request
    assert b"\r\nUser-Agent: domo-oauth/" in request


def test_without_scopes_there_is_no_scope_parameter_and_a_path_in_the_base_url_stays(wire):
    server = wire(answer(200, MINIMAL))
    assert request_token(CREDENTIALS, base_url=f"{server.url}/gateway/").scopes == frozenset()
    assert server.requests[0].startswith(b"GET /gateway/oauth/token?grant_type=client_credentials HTTP/1.1\r\n")


# Errors

SPRING = {"timestamp": "2019-02-19T14:23:03.891+0000", "status": 401, "error": "Unauthorized"}
DOMO = {"status": 401, "statusReason": "Internal Server Error", "message": "Full authentication", "toe": TOE}
SCOPE = {"error": "invalid_scope", "error_description": "Invalid scope"}
ECHO = {
    "error": CREDENTIALS.client_id,
    "message": f"wrong: {CREDENTIALS.client_secret}",
    "toe": "Basic Y2FuYXJ5LWNsaWVudC03ZjNkOTE6Y2FuYXJ5LXNlY3JldC1jMGZmZWU1ZWMyZTc=",
}
Broken, Client, Rate = UnexpectedResponseError, InvalidClientError, RateLimitedError
passing, lasting = {"retryable": True}, {"retryable": False}
FIELD_FAULTS = {
    "access_token": [MISSING, None, "", "canary-token\r\nX: y", "canary-token\n"],
    "token_type": ["mac"],
    "expires_in": ["3599", True, 3599.5, -1],
    "userId": ["7"],
}
ERRORS = {
    # What is sent, the error, what its message says, and what the error has.
    **{
        f"{field}={value!r}"[:40]: (ok(**{field: value}), Broken, field, {})
        for field, values in FIELD_FAULTS.items()
        for value in values
    },
    "expires_in NaN": (ok(expires_in=float("nan")), Broken, "JSON", {}),
    "HTML with 200": (answer(200, HTML, "text/html"), Broken, "titled 'Domo - Blocked'", {"status": 200}),
    "HTML that says it is JSON": (answer(200, HTML), Broken, "titled 'Domo - Blocked'", {}),
    "no media type": (answer(200, granted(), None), Broken, "application/json", {}),
    "an empty body": (answer(200), Broken, "answered 200 OK with a broken answer", {}),
    "a list": (answer(200, b"[]"), Broken, "object", {}),
    "null": (answer(200, b"null"), Broken, "object", {}),
    "truncated JSON": (answer(200, granted()[:-20]), Broken, "JSON", {}),
    "100,000 nested brackets": (answer(200, b"[" * 100_000), Broken, "JSON", {}),
    "a number of 5,000 digits": (answer(200, b'{"expires_in": ' + b"9" * 5000 + b"}"), Broken, "", {}),
    "Latin-1 that does not say so": (answer(200, granted(customer="@").replace(b"@", b"\xe9")), Broken, "", {}),
    "gzip twice": (packed(gzip.compress(gzip.compress(granted())), "gzip, gzip"), Broken, "Content-Encoding gzip", {}),
    "broken gzip": (packed(b"not gzip at all"), Broken, "Content-Encoding gzip", {"status": 200}),
    "204": (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", Broken, "204 No Content", {}),
    "300": (answer(300), Broken, "It redirects", {}),
    "302": (answer(302, b"", None, "Location: https://elsewhere.test/"), Broken, "no redirect is followed", lasting),
    "an invalid port in Location": (answer(302, b"", None, "Location: https://e.test:port/"), Broken, "Location", {}),
    "an invalid host in Location": (answer(302, b"", None, "Location: https://xn--/"), Broken, "Location header", {}),
    "418": (answer(418, b"short and stout", "text/plain"), Broken, "418", {}),
    "Spring's 401": (says(401, **SPRING), Client, "401 Unauthorized: ", {"timestamp": MOMENT, "error": "Unauthorized"}),
    "Domo's 401": (says(401, **DOMO), Client, f"toe: {TOE}.", {"toe": TOE, "description": "Full authentication"}),
    "an empty 401": (answer(401, b"", None), Client, "does not accept the client id (cana…) and its secret", lasting),
    "a list for a 401": (answer(401, b"[]"), Client, "", {}),
    "a statusReason": (says(401, statusReason="Locked"), Client, "", {"description": "Locked"}),
    "fields of wrong types": (says(401, error=7, message=["no"], toe=TOE), Client, TOE, {"error": None}),
    "credentials sent back": (says(401, **ECHO), Client, "wrong: [26 characters hidden]", {}),
    "unauthorized_client": (says(400, error="unauthorized_client"), Client, "use the client credentials grant", {}),
    "invalid_client with 400": (says(400, error="invalid_client"), Client, "", {"status": 400}),
    "invalid_scope": (says(400, **SCOPE), InvalidScopeError, "Asked for: data.", {"description": "Invalid scope"}),
    "the client's scopes": (
        says(400, **SCOPE, scope="audit"),
        InvalidScopeError,
        "Asked for: data. The client has: audit.",
        {},
    ),
    "no grant type": (
        says(400, error="invalid_request", error_description="Missing grant type"),
        TokenRequestError,
        "Missing grant type. Domo did not understand",
        {"error": "invalid_request"},
    ),
    "a long text with control characters": (
        says(400, error_description="a\x1b[31m\r\nb" + "c" * 10_000),
        TokenRequestError,
        "a [31m",
        {},
    ),
    "403 as a page": (answer(403, HTML, "text/html"), TokenRequestError, "403 Forbidden: Domo - Blocked", lasting),
    "429": (answer(429), Rate, "wait a while", {"retry_after": None, "retryable": True}),
    "429 with an error code": (says(429, error="invalid_client"), Rate, "", {"error": "invalid_client"}),
    "500": (says(500, error="server_error"), ServerError, "not yours", passing),
    "501": (answer(501), ServerError, "Repeating ", lasting),
    "502 as a page": (answer(502, HTML, "text/html"), ServerError, "502 Bad Gateway", passing),
    "503": (answer(503, b"", None, "Retry-After: 30"), ServerError, "after a pause", {"retry_after": 30.0, **passing}),
    "503 with an error code": (says(503, error="invalid_scope"), ServerError, "", passing),
    "504": (answer(504), ServerError, "", passing),
    "520": (answer(520, b"error code: 520", "text/plain"), ServerError, "answered 520", {"status": 520}),
    "999": (answer(999), ServerError, "answered 999", {}),
    "an error cut short": (answer(500, b'{"toe": "AB-CD'), ServerError, "500 Internal Server Error", {"toe": None}),
    "nested brackets": (answer(500, b"[" * 100_000), ServerError, "", {"description": None}),
    "nothing": (b"", TransportError, "the connection was lost", passing),
    "half a body": (ok()[:-5], TransportError, "the connection was lost", passing),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", TransportError, "the connection was lost", passing),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error(name, wire):
    sent, kind, said, has = ERRORS[name]
    server = wire(sent)
    error = error_of(server)
    assert type(error) is kind
    message = str(error)
    assert message.startswith(f"GET {server.url}/oauth/token ")
    assert said in message
    assert len(message) < 1000
    assert message.isprintable()
    assert {field: getattr(error, field) for field in has} == has
    assert not [secret for secret in SECRETS if secret in message + repr(error) + str(vars(error))]
    assert error.__cause__ is error.__context__ is None


@pytest.mark.parametrize("then", ["reset", "hang"])
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nX: ", ok()[:-5]], ids=["nothing", "a head", "half"])
def test_a_reset_or_silence_is_a_transport_error(then, sent, wire):
    error = error_of(wire(sent, then), timeout=0.1)
    assert type(error) is TransportError
    assert ("the connection was lost" if then == "reset" else "no complete answer in time") in str(error)


@pytest.mark.parametrize(("status", "kind"), [(200, UnexpectedResponseError), (503, ServerError)])
def test_an_endless_body_is_cut_off(status, kind, wire):
    start = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n\r\n".encode()
    error = error_of(wire(start, more=lambda: itertools.repeat(b"x" * 65536)))
    assert (type(error), f" answered {status} " in str(error)) == (kind, True)


@pytest.mark.parametrize("way", [*GET, *REQUEST])
def test_every_way_to_ask_gives_the_same(way, make, wire):
    def get(sent, **args):
        server = wire(sent)
        args |= {"base_url": server.url}
        return ask(way, make(httpx_args=None, **args)) if way in GET else ask(way, CREDENTIALS, **args)

    assert get(ok()).customer == "acmecompany"
    with pytest.raises(InvalidClientError, match="401 Unauthorized"):
        get(says(401))
    with pytest.raises(UnexpectedResponseError, match="titled 'Domo - Blocked'"):
        get(answer(200, HTML))


@pytest.mark.parametrize(("scopes", "asked"), [(None, "all scopes of the client"), (["user", "data"], "data user")])
def test_invalid_scope_names_the_scopes_that_were_requested(scopes, asked, wire):
    assert f"Asked for: {asked}. " in str(error_of(wire(says(400, **SCOPE)), scopes))


def test_no_redirect_is_followed_even_if_asked_for(wire):
    target = wire(ok())
    server = wire(answer(307, b"", None, f"Location: {target.url}/oauth/token"))
    assert "no redirect is followed" in str(error_of(server, follow_redirects=True))
    assert target.requests == []


# Attributes of errors

NO_TIMES = ("soon", 10**20, 10**300, "2019-02-19" + " " * 64, "2019-02-19 14:23:03 IST", "2019" * 50_000)
PAGE = partial(answer, 403, content_type="text/html")
ATTRIBUTES = [
    (PAGE(b"<html><title>Caf\xe9 closed</title>"), "description", "Caf\ufffd closed"),
    (PAGE(b" " * (4096 - 9) + b"<title>T</title>"), "description", "T"),
    (PAGE(b" " * (4096 - 8) + b"<title>T</title>"), "description", None),
    (says(500, toe=f"{TOE}/x"), "toe", "[24 characters hidden]"),
    (says(500, toe="A1" * 12), "toe", "[24 characters hidden]"),
    (says(500, toe=7), "toe", None),
    (says(401, timestamp=1550586183891), "timestamp", MOMENT),
    (says(401, timestamp="2019-02-19T16:23:03.891+02:00"), "timestamp", MOMENT),
    (says(401, timestamp="2019-02-19T14:23:03.891Z"), "timestamp", MOMENT),
    (says(401, timestamp="2019-02-19 14:23:03.891"), "timestamp", MOMENT),
    *((says(401, timestamp=value), "timestamp", None) for value in NO_TIMES),
    *(
        (answer(429, b"", None, f"Retry-After: {value}"), "retry_after", seconds)
        for value, seconds in {
            "7": 7.0,
            "-5": None,
            "0.5": None,
            "Soon: 7": None,
            "May": None,
            "7 days": None,
            "1234567890": None,
            "Wed, 21 Oct 2015 07:28:00 GMT": 0.0,
            "Wed, 21 Oct 2099 07:28:30 GMT\r\nDate: Wed, 21 Oct 2099 07:28:00 GMT": 30.0,
        }.items()
    ),
]


@pytest.mark.parametrize(("sent", "name", "value"), ATTRIBUTES, ids=itertools.count())
def test_an_attribute_of_an_error(sent, name, value, wire):
    assert getattr(error_of(wire(sent)), name) == value


def test_a_toe_comes_with_the_time_of_the_error(wire):
    error = error_of(wire(says(401, timestamp=1550586183891, toe=TOE)))
    assert f"toe: {TOE}, at 2019-02-19T14:23:03.891000+00:00." in str(error)


def test_retry_after_a_date_counts_from_the_request_if_the_server_sends_no_date(wire):
    error = error_of(wire(answer(503, b"", None, "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT")))
    assert error.retry_after > 365 * 86400
