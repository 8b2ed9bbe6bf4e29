"""Every way to break the contract that anybody thought of is reported, and at the right place."""

import base64
import copy
import itertools
import json
from dataclasses import replace

import pytest
from jsonschema_path import SchemaPath

from domo_oauth.contract import check_exchange, check_request, check_response, contract, validation

URL = "https://api.domo.com/oauth/token"
GRANT = "?grant_type=client_credentials"
SECRET = "canary-secret-8a6f0c3e5d"


def field(name, value):
    return lambda it: body(json.dumps({**json.loads(it.response_body), name: value}).encode())(it)


def without_field(name):
    def mutate(it):
        members = json.loads(it.response_body)
        del members[name]
        return body(json.dumps(members).encode())(it)

    return mutate


def body(content):
    return lambda it: replace(it, response_body=content)


def text(old, new):
    return lambda it: replace(it, response_body=it.response_body.replace(old, new))


def header(name, *values):
    """Give the answer these header lines in place of those it has."""
    return lambda it: replace(it, response_headers=lines(it.response_headers, name, values))


def sent(name, *values):
    return lambda it: replace(it, request_headers=lines(it.request_headers, name, values))


def lines(headers, name, values):
    return (*((line, value) for line, value in headers if line != name), *((name, value) for value in values))


def query(text):
    return lambda it: replace(it, url=URL + text)


def status(number):
    return lambda it: replace(it, status=number)


def basic(user_pass):
    return sent("Authorization", "Basic " + base64.b64encode(user_pass).decode())


def both(*mutations):
    def mutate(it):
        for mutation in mutations:
            it = mutation(it)
        return it

    return mutate


BODY, HEADERS, QUERY = "response.body", "response.headers", "request.query"
AUTHORIZATION = "request.headers.Authorization"
FAULTS = {
    # expires_in
    "expires_in true": (field("expires_in", True), f"{BODY}.expires_in"),
    "expires_in with a fraction": (field("expires_in", 3599.5), f"{BODY}.expires_in"),
    "expires_in with a fraction of nothing": (text(b"3599", b"3599.0"), f"{BODY}.expires_in"),
    "expires_in a string": (field("expires_in", "3599"), f"{BODY}.expires_in"),
    "expires_in negative": (field("expires_in", -1), f"{BODY}.expires_in"),
    "expires_in null": (field("expires_in", None), f"{BODY}.expires_in"),
    "expires_in NaN": (text(b"3599", b"NaN"), BODY),
    "expires_in Infinity": (text(b"3599", b"Infinity"), BODY),
    "expires_in beyond 64 bits": (text(b"3599", b"9" * 30), f"{BODY}.expires_in"),
    "expires_in of 5000 digits": (text(b"3599", b"9" * 5000), BODY),
    "expires_in missing": (without_field("expires_in"), f"{BODY}.expires_in"),
    # the other fields
    "access_token missing": (without_field("access_token"), f"{BODY}.access_token"),
    "access_token null": (field("access_token", None), f"{BODY}.access_token"),
    "access_token empty": (field("access_token", ""), f"{BODY}.access_token"),
    "access_token a number": (field("access_token", 7), f"{BODY}.access_token"),
    "access_token an array": (field("access_token", [SECRET]), f"{BODY}.access_token"),
    "access_token with a line end": (field("access_token", f"{SECRET}\n"), f"{BODY}.access_token"),
    "access_token with CR LF inside": (field("access_token", f"{SECRET}\r\nX: y"), f"{BODY}.access_token"),
    "access_token with a space": (field("access_token", f"{SECRET} x"), f"{BODY}.access_token"),
    "token_type missing": (without_field("token_type"), f"{BODY}.token_type"),
    "token_type unknown": (field("token_type", "mac"), f"{BODY}.token_type"),
    "token_type with a line end": (field("token_type", "bearer\n"), f"{BODY}.token_type"),
    "token_type a long string": (field("token_type", SECRET * 3), f"{BODY}.token_type"),
    "scope an array": (field("scope", ["data", "user"]), f"{BODY}.scope"),
    "customer null": (field("customer", None), f"{BODY}.customer"),
    "userId a string": (field("userId", "964382593"), f"{BODY}.userId"),
    "role a number": (field("role", 1), f"{BODY}.role"),
    "jti an object": (field("jti", {}), f"{BODY}.jti"),
    # the body as a whole
    "HTML": (body(b"<!doctype html><title>Domo - Blocked</title>"), BODY),
    "empty body": (body(b""), BODY),
    "white space": (body(b" \n"), BODY),
    "cut off": (lambda it: body(it.response_body[:-9])(it), BODY),
    "null": (body(b"null"), BODY),
    "array": (body(b"[]"), BODY),
    "string": (body(b'"token"'), BODY),
    "two objects": (lambda it: body(it.response_body * 2)(it), BODY),
    "Latin-1": (text(b"acmecompany", b"acm\xe9"), BODY),
    "UTF-16": (lambda it: body(it.response_body.decode().encode("utf-16"))(it), BODY),
    "100,000 nested brackets": (body(b"[" * 100_000), BODY),
    # media type, headers and status
    "media type HTML": (header("Content-Type", "text/html;charset=utf-8"), f"{HEADERS}.Content-Type"),
    "media type missing": (header("Content-Type"), f"{HEADERS}.Content-Type"),
    "media type empty": (header("Content-Type", ""), f"{HEADERS}.Content-Type"),
    "media type twice": (header("Content-Type", *["application/json"] * 2), f"{HEADERS}.Content-Type"),
    "media type of another JSON": (header("Content-Type", "application/problem+json"), f"{HEADERS}.Content-Type"),
    "Cache-Control missing": (header("Cache-Control"), f"{HEADERS}.Cache-Control"),
    "Cache-Control without no-store": (header("Cache-Control", "private", "max-age=0"), f"{HEADERS}.Cache-Control"),
    "status 201": (status(201), "response.status"),
    "status 204": (both(status(204), body(b"")), "response.status"),
    "status 302": (status(302), "response.status"),
    "status 418": (status(418), "response.status"),
    "status 0": (status(0), "response.status"),
    # the request
    "grant_type missing": (query("?scope=data"), f"{QUERY}.grant_type"),
    "grant_type empty": (query("?grant_type="), f"{QUERY}.grant_type"),
    "grant_type wrong": (query("?grant_type=password"), f"{QUERY}.grant_type"),
    "grant_type in capitals": (query("?grant_type=CLIENT_CREDENTIALS"), f"{QUERY}.grant_type"),
    "grant_type twice": (query(GRANT + "&grant_type=client_credentials"), f"{QUERY}.grant_type"),
    "scopes with commas": (query(GRANT + "&scope=account,%20dashboard,%20data"), f"{QUERY}.scope"),
    "scopes with doubled spaces": (query(GRANT + "&scope=data++user"), f"{QUERY}.scope"),
    "scope with a line end": (query(GRANT + "&scope=data%0A"), f"{QUERY}.scope"),
    "scope unknown": (query(GRANT + "&scope=everything"), f"{QUERY}.scope"),
    "scope empty": (query(GRANT + "&scope="), f"{QUERY}.scope"),
    "scope twice": (query(GRANT + "&scope=data&scope=user"), f"{QUERY}.scope"),
    "wrong path": (lambda it: replace(it, url=it.url.replace("/token", "/tokens")), "request.path"),
    "path with a slash more": (lambda it: replace(it, url=it.url.replace("/token", "/token/")), "request.path"),
    "not a URL": (lambda it: replace(it, url="http://[::1"), "request.path"),
    "wrong method": (lambda it: replace(it, method="POST"), "request.method"),
    "Authorization missing": (sent("Authorization"), AUTHORIZATION),
    "Authorization empty": (sent("Authorization", ""), AUTHORIZATION),
    "Bearer in place of Basic": (sent("Authorization", f"Bearer {SECRET}"), AUTHORIZATION),
    "Basic without credentials": (sent("Authorization", "Basic "), AUTHORIZATION),
    "Basic with what is not base64": (sent("Authorization", "Basic undefined?"), AUTHORIZATION),
    "Basic without a colon": (basic(SECRET.encode()), AUTHORIZATION),
    "Authorization twice": (sent("Authorization", "Basic aTpz", "Basic aTpz"), AUTHORIZATION),
}
ERROR_FAULTS = {
    "Retry-After in words": (header("Retry-After", "soon"), f"{HEADERS}.Retry-After"),
    "Retry-After with a fraction": (header("Retry-After", "1.5"), f"{HEADERS}.Retry-After"),
    "Retry-After negative": (header("Retry-After", "-1"), f"{HEADERS}.Retry-After"),
    "Retry-After with a line end": (header("Retry-After", "30\n"), f"{HEADERS}.Retry-After"),
    "error an array": (body(b"[]"), BODY),
    "error an object": (field("error", {}), f"{BODY}.error"),
    "error null": (field("error", None), f"{BODY}.error"),
    "status a string": (field("status", "429"), f"{BODY}.status"),
    "toe a number": (field("toe", 7), f"{BODY}.toe"),
    "HTML": (both(header("Content-Type", "text/html"), body(b"<html>")), f"{HEADERS}.Content-Type"),
    "JSON without media type": (header("Content-Type"), f"{HEADERS}.Content-Type"),
    "empty, yet called JSON": (body(b""), BODY),
    "wrong grant_type that nobody refused": (query("?grant_type=password"), f"{QUERY}.grant_type"),
}
FINE = {
    "a byte-order mark": lambda it: body(b"\xef\xbb\xbf" + it.response_body)(it),
    "Bearer in capitals": field("token_type", "Bearer"),
    "a lifetime of nothing": field("expires_in", 0),
    "only the required fields": body(b'{"access_token":"t","token_type":"bearer","expires_in":1}'),
    "JSON without a charset": header("Content-Type", "application/json"),
    "JSON in capitals, with an odd parameter": header("Content-Type", "Application/JSON ; charset"),
    "headers in lower case": lambda it: replace(
        it, response_headers=tuple((name.lower(), value) for name, value in it.response_headers)
    ),
    "no-store in a second line": header("Cache-Control", "no-cache", "no-store"),
    "headers that the contract does not name": header("X-Request-Id", "1"),
    "another server": lambda it: replace(it, url=it.url.replace("https://api.domo.com", "http://127.0.0.1:8765")),
    "scopes": query(GRANT + "&scope=data%20user+workflow"),
    "credentials": basic(b"id:se:cr:et"),
    "basic in lower case": sent("Authorization", "basic aTpz"),
}


@pytest.mark.parametrize(("mutate", "where"), FAULTS.values(), ids=FAULTS)
def test_a_broken_success_is_reported(page, mutate, where):
    found = check_exchange(mutate(page))
    assert ("fault", where) in [(finding.kind, finding.where) for finding in found], found
    assert SECRET not in str(found)
    assert "GhX52tNtsnyQQybNBtjrc9KbH4DhKTx" not in str(found)


@pytest.mark.parametrize(("mutate", "where"), ERROR_FAULTS.values(), ids=ERROR_FAULTS)
def test_a_broken_error_is_reported(the, mutate, where):
    found = check_exchange(mutate(the("derived-429-too-many-requests")))
    assert ("fault", where) in [(finding.kind, finding.where) for finding in found], found


@pytest.mark.parametrize("mutate", FINE.values(), ids=FINE)
def test_what_keeps_the_contract_is_not_reported(page, mutate):
    assert check_exchange(mutate(page), strict=True) == []


@pytest.mark.parametrize("date", ["0", "120", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_every_form_of_retry_after(the, date):
    assert check_exchange(header("Retry-After", date)(the("derived-429-too-many-requests")), strict=True) == []


def test_every_fault_is_reported_not_just_the_first(page):
    broken = both(
        query("?scope=x"), sent("Authorization"), header("Cache-Control"), field("jti", 1), without_field("token_type")
    )(page)
    assert {finding.where for finding in check_exchange(broken)} == {
        f"{QUERY}.grant_type",
        f"{QUERY}.scope",
        AUTHORIZATION,
        f"{HEADERS}.Cache-Control",
        f"{BODY}.jti",
        f"{BODY}.token_type",
    }


@pytest.mark.parametrize(
    ("mutate", "where"),
    [
        (field("no_such_field", "x"), f"{BODY}.no_such_field"),
        (query(GRANT + "&client_id=x"), f"{QUERY}.client_id"),
        (lambda it: replace(it, request_body=SECRET.encode()), "request.body"),
    ],
    ids=["field", "parameter", "content"],
)
def test_what_the_contract_does_not_name_is_news_and_a_fault_if_strict(page, mutate, where):
    (news,) = check_exchange(mutate(page))
    assert (news.kind, news.where) == ("news", where)
    (fault,) = check_exchange(mutate(page), strict=True)
    assert (fault.kind, fault.where) == ("fault", where)
    assert SECRET not in f"{news}{news!r}"


def test_what_the_contract_does_not_name_is_news_by_default(page):
    exchange = both(field("env", "prod1"), query(f"{GRANT}&x=1"))(page)
    for check, number in ((check_exchange, 2), (check_request, 1), (check_response, 1)):
        assert [finding.kind for finding in check(exchange)] == ["news"] * number


def test_an_operation_without_parameters_names_none(page, monkeypatch):
    document = copy.deepcopy(contract())
    del document["paths"]["/oauth/token"]["get"]["parameters"]
    monkeypatch.setattr(validation, "contract", lambda: document)
    monkeypatch.setattr(validation, "_document", lambda: SchemaPath.from_dict(document))
    assert [(finding.kind, finding.where) for finding in check_request(page)] == [("news", f"{QUERY}.grant_type")]


def test_an_empty_error_is_news(the):
    found = check_response(the("derived-401-empty"), strict=True)
    assert [(finding.kind, finding.where) for finding in found] == [("news", BODY)]


def test_a_body_that_was_not_kept_is_news(page):
    found = check_response(body(None)(page), strict=True)
    assert [(finding.kind, finding.where) for finding in found] == [("news", BODY)]


@pytest.mark.parametrize("refusal", ["derived-400-invalid-scope", "derived-401-full-authentication-required"])
def test_a_request_that_the_server_refused_is_news(the, refusal):
    (news,) = check_exchange(the(refusal), strict=True)
    assert news.kind == "news"
    assert "; refused with 40" in news.message
    (fault,) = check_request(the(refusal))
    assert fault.kind == "fault"


def test_a_wrong_path_stays_a_fault_even_where_it_is_refused(the):
    found = check_exchange(replace(the("derived-400-invalid-scope"), url="https://api.domo.com/token"))
    assert [(finding.kind, finding.where) for finding in found] == [("fault", "request.path")]


def test_messages_say_what_was_expected_and_found(page):
    broken = both(
        query("?grant_type=password"), field("expires_in", True), field("token_type", SECRET * 3), status(200)
    )(page)
    bearer = "a string that matches ^[Bb][Ee][Aa][Rr][Ee][Rr]$"
    assert [str(finding) for finding in check_exchange(broken)] == [
        'request.query.grant_type: expected one of client_credentials; found "password"',
        f"response.body.token_type: expected {bearer}; found a string of 72 characters",
        "response.body.expires_in: expected integer; found true",
    ]


def method(name):
    return lambda it: replace(it, method=name)


SCOPES = "(account|audit|buzz|dashboard|data|user|workflow)"
STATUSES = "200, 400, 401, 403, 429, 500, 502, 503, 504"
BASIC = "base64 of the client id, a colon and the client secret (RFC 7617)"
SAID = [
    (method("DELETE"), 'request.method: expected GET; found "DELETE"'),
    (lambda it: replace(it, url="https://api.domo.com/oauth"), 'request.path: expected /oauth/token; found "/oauth"'),
    (query(""), "request.query.grant_type: required; found none"),
    (
        query(f"{GRANT}&scope=data&scope=user"),
        f"{QUERY}.scope: expected once (RFC 6749, section 3.2); found more than once",
    ),
    (query(f"{GRANT}&x=1"), f"{QUERY}.x: the contract does not name this parameter"),
    (
        query(f"{GRANT}&scope=data,user"),
        f'{QUERY}.scope: expected a string that matches ^{SCOPES}( {SCOPES})*$; found "data,user"',
    ),
    (sent("Authorization"), "request.headers.Authorization: expected HTTP Basic credentials (RFC 7617); found none"),
    (sent("Authorization", "Basic !!!"), f"request.headers.Authorization: expected {BASIC}; found something else"),
    (sent("Authorization", "Basic YWJj"), f"request.headers.Authorization: expected {BASIC}; found something else"),
    (lambda it: replace(it, request_body=b"abc"), "request.body: expected none, found 3 bytes"),
    (status(418), f"response.status: expected one of {STATUSES}; found 418"),
    (header("Content-Type"), "response.headers.Content-Type: expected application/json; found none"),
    (
        header("Content-Type", "text/html", "text/plain"),
        'response.headers.Content-Type: expected application/json; found "text/html, text/plain"',
    ),
    (body(b""), "response.body: expected a value; found nothing"),
    (body(b'{"expires_in": NaN}'), "response.body: expected JSON (RFC 8259); found something else: NaN is not JSON"),
    (body(b"[" * 100_000), "response.body: expected JSON (RFC 8259); found something else: nested too deeply"),
    (without_field("access_token"), "response.body.access_token: required; found none"),
    (field("env", "prod1"), "response.body.env: the contract does not name this field"),
    (field("access_token", 5), "response.body.access_token: expected string; found something else, which is not shown"),
    (field("expires_in", -1), "response.body.expires_in: expected at least 0; found -1"),
    (field("expires_in", None), "response.body.expires_in: expected integer; found null"),
    (field("expires_in", [1]), "response.body.expires_in: expected integer; found an array"),
    (field("expires_in", {}), "response.body.expires_in: expected integer; found an object"),
    (field("expires_in", "x" * 40), f'response.body.expires_in: expected integer; found "{"x" * 40}"'),
    (field("expires_in", "x" * 41), "response.body.expires_in: expected integer; found a string of 41 characters"),
]


@pytest.mark.parametrize(("mutate", "said"), SAID, ids=itertools.count())
def test_each_message(page, mutate, said):
    assert [str(finding) for finding in check_exchange(mutate(page))] == [said]


def test_a_media_type_is_one_in_capitals_too(page):
    assert check_exchange(header("Content-Type", "Application/JSON ; charset=utf-8")(page)) == []


@pytest.mark.parametrize(("number", "kind"), [(200, "fault"), (401, "news")])
def test_only_an_error_may_have_no_body(page, number, kind):
    empty = both(status(number), body(b""), header("Content-Type"))(page)
    assert [finding.kind for finding in check_response(empty)] == [kind]


def test_the_repr_of_an_exchange_holds_no_secret(page):
    exchange = both(basic(f"id:{SECRET}".encode()), body(SECRET.encode()), query(f"?{SECRET}"))(page)
    assert repr(exchange) == "<Exchange GET api.domo.com/oauth/token 200>"
