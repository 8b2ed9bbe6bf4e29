"""Every way to break the contract is reported at its place, in words that show no secret; and nothing else is."""

import base64
import json
from dataclasses import replace
from itertools import count

import pytest

from domo_oauth.contract import Exchange, check_exchange, check_request, check_response

from .conftest import the

URL = "https://api.domo.com/oauth/token"
GRANT = "?grant_type=client_credentials"
SECRET = "canary-secret-8a6f0c3e5d"
BODY, HEADERS, QUERY = "response.body", "response.headers", "request.query"
AUTHORIZATION = "request.headers.Authorization"


def field(name, value):
    return lambda it: body(json.dumps({**json.loads(it.response_body), name: value}).encode())(it)


def without(name):
    def change(it):
        members = json.loads(it.response_body)
        del members[name]
        return body(json.dumps(members).encode())(it)

    return change


def body(content):
    return lambda it: replace(it, response_body=content)


def text(old, new):
    return lambda it: replace(it, response_body=it.response_body.replace(old, new))


def header(name, *values):
    """Give the response these header lines instead of its own."""
    return lambda it: replace(it, response_headers=lines(it.response_headers, name, values))


def sent(name, *values):
    return lambda it: replace(it, request_headers=lines(it.request_headers, name, values))


def lines(headers, name, values):
    return (*((line, value) for line, value in headers if line != name), *((name, value) for value in values))


def basic(user_pass):
    return sent("Authorization", "Basic " + base64.b64encode(user_pass).decode())


def query(text):
    return having(url=URL + text)


def having(**changes):
    return lambda it: replace(it, **changes)


def both(*changes):
    def change(it):
        for each in changes:
            it = each(it)
        return it

    return change


SCOPES = "(account|audit|buzz|dashboard|data|user|workflow)"
STATUSES = "200, 400, 401, 403, 429, 500, 502, 503, 504"
HIDDEN = "expected string; found something else, which is not shown"
NO_JSON = "expected JSON (RFC 8259); found something else"
NOT_BASIC = "expected base64 of the client id, a colon and the client secret (RFC 7617); found something else"
OTHER_TYPE = "expected application/json; found"
ERRORS = [
    (field("expires_in", True), f"{BODY}.expires_in: expected integer; found true"),
    (field("expires_in", 3599.5), f"{BODY}.expires_in: expected integer; found 3599.5"),
    (text(b"3599", b"3599.0"), f"{BODY}.expires_in: expected integer; found 3599.0"),
    (field("expires_in", "y" * 40), f'{BODY}.expires_in: expected integer; found "{"y" * 40}"'),
    (field("expires_in", "y" * 41), f"{BODY}.expires_in: expected integer; found a string of 41 characters"),
    (field("expires_in", -1), f"{BODY}.expires_in: expected at least 0; found -1"),
    (field("expires_in", None), f"{BODY}.expires_in: expected integer; found null"),
    (field("expires_in", [1]), f"{BODY}.expires_in: expected integer; found an array"),
    (field("expires_in", {}), f"{BODY}.expires_in: expected integer; found an object"),
    (text(b"3599", b"9" * 30), f"{BODY}.expires_in: expected the format int64; found {'9' * 30}"),
    (without("expires_in"), f"{BODY}.expires_in: required; found none"),
    (without("access_token"), f"{BODY}.access_token: required; found none"),
    (field("access_token", None), f"{BODY}.access_token: {HIDDEN}"),
    (field("access_token", [SECRET]), f"{BODY}.access_token: {HIDDEN}"),
    (field("access_token", ""), f"{BODY}.access_token: expected a string that matches ^[!-~]+$; found something"),
    (field("access_token", f"{SECRET}\n"), f"{BODY}.access_token: expected a string that matches ^[!-~]+$; found some"),
    (field("access_token", f"{SECRET} x"), f"{BODY}.access_token: expected a string that matches ^[!-~]+$; found some"),
    (without("token_type"), f"{BODY}.token_type: required; found none"),
    (
        field("token_type", "mac"),
        f'{BODY}.token_type: expected a string that matches ^[Bb][Ee][Aa][Rr][Ee][Rr]$; found "',
    ),
    (field("token_type", "bearer\n"), f"{BODY}.token_type: expected a string that matches"),
    (field("scope", ["data", "user"]), f"{BODY}.scope: expected string; found an array"),
    (field("userId", "964382593"), f'{BODY}.userId: expected integer; found "964382593"'),
    (field("jti", {}), f"{BODY}.jti: expected string; found an object"),
    (body(b"<html><title>removed</title>" + b" " * 99), f"{BODY}: {NO_JSON}: Expecting value"),
    (body(b"<!doctype html><title>Domo - Blocked</title>"), f"{BODY}: {NO_JSON}: Expecting value"),
    (body(b""), f"{BODY}: expected JSON (RFC 8259); found nothing"),
    (lambda it: body(it.response_body[:-9])(it), f"{BODY}: {NO_JSON}"),
    (lambda it: body(it.response_body * 2)(it), f"{BODY}: {NO_JSON}"),
    (lambda it: body(it.response_body.decode().encode("utf-16"))(it), f"{BODY}: {NO_JSON}"),
    (text(b"acmecompany", b"acm\xe9"), f"{BODY}: {NO_JSON}"),
    (text(b"3599", b"NaN"), f"{BODY}: {NO_JSON}: NaN is not JSON"),
    (text(b"3599", b"9" * 5000), f"{BODY}: {NO_JSON}"),
    (body(b"[" * 100_000), f"{BODY}: {NO_JSON}: nested too deeply"),
    (body(b"null"), f"{BODY}: expected object; found null"),
    (body(b"[]"), f"{BODY}: expected object; found an array"),
    (
        header("Content-Type", "text/html", "text/plain"),
        f'{HEADERS}.Content-Type: {OTHER_TYPE} "text/html, text/plain"',
    ),
    (header("Content-Type"), f"{HEADERS}.Content-Type: {OTHER_TYPE} none"),
    (header("Content-Type", *["application/json"] * 2), f"{HEADERS}.Content-Type: {OTHER_TYPE}"),
    (header("Content-Type", "application/problem+json"), f"{HEADERS}.Content-Type: {OTHER_TYPE}"),
    (header("Cache-Control"), f"{HEADERS}.Cache-Control: required; found none"),
    (
        header("Cache-Control", "private", "max-age=0"),
        f"{HEADERS}.Cache-Control: expected a string that matches no-store",
    ),
    (having(status=201), f"response.status: expected one of {STATUSES}; found 201"),
    (having(status=302), f"response.status: expected one of {STATUSES}; found 302"),
    (query("?scope=data"), f"{QUERY}.grant_type: required; found none"),
    (query("?grant_type="), f'{QUERY}.grant_type: expected one of client_credentials; found ""'),
    (query("?grant_type=CLIENT_CREDENTIALS"), f'{QUERY}.grant_type: expected one of client_credentials; found "CLIENT'),
    (
        query(GRANT + "&grant_type=client_credentials"),
        f"{QUERY}.grant_type: expected once (RFC 6749, section 3.2); found",
    ),
    (
        query(GRANT + "&scope=data,user"),
        f'{QUERY}.scope: expected a string that matches ^{SCOPES}( {SCOPES})*$; found "data',
    ),
    (query(GRANT + "&scope=data++user"), f"{QUERY}.scope: expected a string that matches"),
    (query(GRANT + "&scope=data%0A"), f"{QUERY}.scope: expected a string that matches"),
    (query(GRANT + "&scope="), f"{QUERY}.scope: expected a string that matches"),
    (query(GRANT + "&scope=data&scope=user"), f"{QUERY}.scope: expected once"),
    (having(url=f"{URL}/"), 'request.path: expected /oauth/token; found "/oauth/token/"'),
    (having(url="http://[::1"), 'request.path: expected /oauth/token; found ""'),
    (having(method="DELETE"), 'request.method: expected GET; found "DELETE"'),
    (sent("Authorization"), f"{AUTHORIZATION}: expected HTTP Basic credentials (RFC 7617); found none"),
    (
        sent("Authorization", f"Bearer {SECRET}"),
        f"{AUTHORIZATION}: expected HTTP Basic credentials (RFC 7617); found some",
    ),
    (
        sent("Authorization", "Bearer [redacted]"),
        f"{AUTHORIZATION}: expected HTTP Basic credentials (RFC 7617); found some",
    ),
    (sent("Authorization", "Basic "), f"{AUTHORIZATION}: {NOT_BASIC}"),
    (sent("Authorization", "Basic undefined?"), f"{AUTHORIZATION}: {NOT_BASIC}"),
    (sent("Authorization", "Basic aTpz", "Basic aTpz"), f"{AUTHORIZATION}: {NOT_BASIC}"),
    (basic(SECRET.encode()), f"{AUTHORIZATION}: {NOT_BASIC}"),
]
REFUSED = [
    (header("Retry-After", "soon"), f"{HEADERS}.Retry-After: expected a string that matches"),
    (header("Retry-After", "30\n"), f"{HEADERS}.Retry-After: expected a string that matches"),
    (body(b"[]"), f"{BODY}: expected object; found an array"),
    (field("error", None), f"{BODY}.error: expected string; found null"),
    (field("status", "429"), f'{BODY}.status: expected integer; found "429"'),
    (both(header("Content-Type", "text/html"), body(b"<html>")), f'{HEADERS}.Content-Type: {OTHER_TYPE} "text/html"'),
    (header("Content-Type"), f"{HEADERS}.Content-Type: {OTHER_TYPE} none"),
    (body(b""), f"{BODY}: expected JSON (RFC 8259); found nothing"),
    (query("?grant_type=password"), f'{QUERY}.grant_type: expected one of client_credentials; found "password"'),
]
FINE = {
    "a byte order mark": lambda it: body(b"\xef\xbb\xbf" + it.response_body)(it),
    "Bearer in capitals": field("token_type", "Bearer"),
    "a lifetime of zero": field("expires_in", 0),
    "only the required fields": body(b'{"access_token":"t","token_type":"bearer","expires_in":1}'),
    "JSON without a charset": header("Content-Type", "application/json"),
    "JSON in capitals, with an odd parameter": header("Content-Type", "Application/JSON ; charset"),
    "headers in lower case": lambda it: having(
        response_headers=tuple((name.lower(), value) for name, value in it.response_headers)
    )(it),
    "no-store in a second line": header("Cache-Control", "no-cache", "no-store"),
    "headers outside the contract": header("X-Request-Id", "1"),
    "pseudo-headers of HTTP/2": sent(":authority", "api.domo.com"),
    "another server": having(url=f"http://127.0.0.1:8765/oauth/token{GRANT}"),
    "scopes": query(GRANT + "&scope=data%20user+workflow"),
    "colons in the secret": basic(b"id:se:cr:et"),
    "basic in lower case": sent("Authorization", "basic aTpz"),
}
MASKED = {
    f"Authorization {value}": (sent("Authorization", value), AUTHORIZATION)
    for value in ("***", "[REDACTED]", "<hidden>", "[Authorization redacted]", "xxxxxx", "-----")
} | {
    "a field": (field("expires_in", "redacted"), f"{BODY}.expires_in"),
    "the token": (field("access_token", "[the token was removed]"), f"{BODY}.access_token"),
    "the body": (body(b"[REDACTED BODY]"), BODY),
    "the query": (query("?[redacted]"), QUERY),
    "a parameter": (query(GRANT + "&scope=***"), f"{QUERY}.scope"),
    "a header": (header("Cache-Control", "[FILTERED]"), f"{HEADERS}.Cache-Control"),
}


@pytest.mark.parametrize(("change", "message"), ERRORS, ids=count())
def test_an_error_in_a_granted_request_is_reported(page, change, message):
    (error,) = check_exchange(change(page))
    assert (error.kind, str(error)[: len(message)]) == ("error", message)
    assert SECRET not in repr(error)


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=count())
def test_an_error_in_a_refused_request_is_reported(change, message):
    (error,) = check_exchange(change(the("derived-429-too-many-requests")))
    assert (error.kind, str(error)[: len(message)]) == ("error", message)


@pytest.mark.parametrize("change", FINE.values(), ids=FINE)
def test_what_keeps_the_contract_is_not_reported(page, change):
    assert check_exchange(change(page)) == []


@pytest.mark.parametrize("value", ["0", "120", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_every_form_of_retry_after(value):
    assert check_exchange(header("Retry-After", value)(the("derived-429-too-many-requests"))) == []


def test_every_error_is_reported_not_just_the_first(page):
    broken = both(query("?scope=x"), sent("Authorization"), header("Cache-Control"), body(b'{"jti": 1}'))(page)
    assert [finding.where for finding in check_exchange(broken)] == [
        AUTHORIZATION,
        *(f"{QUERY}.{name}" for name in ("grant_type", "scope")),
        f"{HEADERS}.Cache-Control",
        *(f"{BODY}.{name}" for name in ("access_token", "token_type", "expires_in", "jti")),
    ]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (field("no_such_field", SECRET), f"{BODY}.no_such_field"),
        (query(f"{GRANT}&client_secret={SECRET}"), f"{QUERY}.client_secret"),
        (having(request_body=SECRET.encode()), "request.body"),
    ],
    ids=["field", "parameter", "body"],
)
def test_what_the_contract_does_not_name_is_an_unknown_field(page, change, where):
    (unknown,) = check_exchange(change(page))
    assert (unknown.kind, unknown.where) == ("unknown field", where)
    assert SECRET not in repr(unknown)


@pytest.mark.parametrize(("change", "where"), MASKED.values(), ids=MASKED)
def test_a_value_that_somebody_masked_is_not_checked(page, change, where):
    assert [(finding.kind, finding.where) for finding in check_exchange(change(page))] == [("not checked", where)]


@pytest.mark.parametrize("credentials", ["[redacted]", "****", "XXXXXXXX"])
def test_masked_credentials_of_the_right_scheme_are_fine(page, credentials):
    assert check_exchange(sent("Authorization", f"Basic {credentials}")(page)) == []


@pytest.mark.parametrize("place", ["request", "response.status", "response.headers", "response.body", AUTHORIZATION])
def test_a_missing_place_is_not_checked(page, place):
    broken = both(query("?grant_type=password"), sent("Authorization"), header("Cache-Control"), body(b"{}"))(page)
    (missing,) = [finding for finding in check_exchange(having(missing=(place,))(broken)) if finding.where == place]
    assert (missing.kind, missing.message) == ("not checked", "not kept")
    errors = [finding.where for finding in check_exchange(having(missing=(place,))(broken)) if finding.kind == "error"]
    assert errors
    assert not [where for where in errors if f"{where}.".startswith(f"{place}.")]


@pytest.mark.parametrize("refusal", ["derived-400-invalid-scope", "derived-400-unsupported-grant-type"])
def test_a_wrong_parameter_that_the_server_refused_is_a_note(refusal):
    (note,) = check_exchange(the(refusal))
    assert (note.kind, note.message[-18:]) == ("note", "; refused with 400")
    (error,) = check_request(the(refusal))
    assert error.kind == "error"


@pytest.mark.parametrize(
    ("parameters", "kinds"), [("?client_id=x", ["note", "note"]), ("?grant_type=***", ["not checked"])]
)
def test_an_unknown_or_a_masked_parameter_that_the_server_refused(parameters, kinds):
    refused = query(parameters)(the("derived-400-missing-grant-type"))
    assert [finding.kind for finding in check_exchange(refused)] == kinds


def test_a_wrong_path_is_an_error_even_if_it_is_refused():
    (finding,) = check_exchange(having(url="https://api.domo.com/token")(the("derived-400-invalid-scope")))
    assert (finding.kind, finding.where) == ("error", "request.path")


@pytest.mark.parametrize(("status", "kind"), [(200, "error"), (401, "note")])
def test_only_an_error_may_have_no_body(page, status, kind):
    (finding,) = check_response(both(having(status=status), body(b""), header("Content-Type"))(page))
    assert finding.kind == kind


def test_the_response_to_a_request_outside_the_contract_is_checked(page):
    assert check_response(having(method="POST", url="http://127.0.0.1/elsewhere")(page)) == []


def test_names_that_somebody_else_chose_are_printed_on_one_line_of_ascii(page):
    names = r'"a\nb": 1, "\u001b[31m": 2, "\ud800": 3, "\u00e9": 4, '
    found = check_exchange(text(b"{", b"{" + names.encode())(page))
    assert [str(finding).split(": ")[0] for finding in found] == [
        *(f"response.body.{name}" for name in ("a b", " [31m", " ", r"\xe9")),
    ]


def test_the_repr_of_an_exchange_holds_no_secret():
    sent = (("Authorization", SECRET),)
    exchange = Exchange("GET", f"{URL}?{SECRET}", sent, SECRET.encode(), 200, sent, SECRET.encode())
    assert repr(exchange) == "<Exchange GET api.domo.com/oauth/token 200>"
