"""Every way to break the contract is reported at its place, without secrets; and nothing else is."""

import base64
from dataclasses import replace

import pytest

from domo_oauth.contract import Exchange, check_exchange, check_request, check_response

from .conftest import GRANT, REMOVED, URL, page, recorded

SECRET = "canary-secret-8a6f0c3e5d"
BODY, HEADERS, QUERY = "response.body", "response.headers", "request.query"
AUTHORIZATION, CONTENT_TYPE = "request.headers.Authorization", "response.headers.Content-Type"
HIDDEN = "found another value, not shown"
GRANTED = page().response_body


def limited(**changes):
    return recorded("derived-429-too-many-requests", **changes)


def basic(user_pass):
    return page(sent={"Authorization": f"Basic {base64.b64encode(user_pass).decode()}"})


ERRORS = [
    (page(fields={"expires_in": True}), f"{BODY}.expires_in: expected type integer; found true"),
    (page(body=GRANTED.replace(b"3599", b"3599.0")), f"{BODY}.expires_in: expected type integer; found 3599.0"),
    (page(fields={"expires_in": "an hour"}), f'{BODY}.expires_in: expected type integer; found "an hour"'),
    (page(fields={"expires_in": "y" * 16}), f"{BODY}.expires_in: expected type integer; found a string of 16 char"),
    (page(fields={"expires_in": "a7f3"}), f"{BODY}.expires_in: expected type integer; found a string of 4 char"),
    (page(fields={"expires_in": "y " * 20}), f"{BODY}.expires_in: expected type integer; found a string of 40 char"),
    (page(fields={"expires_in": None}), f"{BODY}.expires_in: expected type integer; found null"),
    (page(fields={"expires_in": [1]}), f"{BODY}.expires_in: expected type integer; found an array"),
    (page(fields={"expires_in": -1}), f"{BODY}.expires_in: expected minimum 0; found -1"),
    (page(fields={"expires_in": 2**63}), f"{BODY}.expires_in: expected format int64; found a number of 19 char"),
    (page(fields={"expires_in": REMOVED}), f"{BODY}.expires_in: required; found none"),
    (page(fields={"access_token": [SECRET]}), f"{BODY}.access_token: expected type string; {HIDDEN}"),
    (page(fields={"access_token": f"{SECRET}\n"}), f"{BODY}.access_token: expected pattern ^[!-~]+$; {HIDDEN}"),
    (page(fields={"token_type": "mac"}), f"{BODY}.token_type: expected pattern ^[Bb][Ee][Aa][Rr][Ee][Rr]$; found "),
    (page(body=b"<html><title>removed</title>" + b" " * 99), f"{BODY}: expected JSON (RFC 8259): Expecting value"),
    (page(body=GRANTED.decode().encode("utf-16")), f"{BODY}: expected JSON (RFC 8259): 'utf-8' codec can't decode"),
    (page(body=GRANTED.replace(b"3599", b"NaN")), f"{BODY}: expected JSON (RFC 8259): NaN is not JSON"),
    (page(body=b"[" * 100_000), f"{BODY}: expected JSON (RFC 8259): nested too deeply"),
    (page(body=b"[]"), f"{BODY}: expected type object; found an array"),
    (page(body=b'"canary-7f3d"'), f"{BODY}: expected type object; found a string of 11 characters"),
    (page(headers={"Content-Type": ["a/b", "c/d"]}), f'{CONTENT_TYPE}: expected application/json; found "a/b, c/d"'),
    (page(headers={"Content-Type": []}), f'{CONTENT_TYPE}: expected application/json; found ""'),
    (page(status=302), "response.status: expected one of 200, 400, 401, 403, 429, 500, 502, 503, 504; found 302"),
    (page(query="?scope=data"), f"{QUERY}.grant_type: required; found none"),
    (page(query="?grant_type="), f'{QUERY}.grant_type: expected enum client_credentials; found ""'),
    (page(query=f"{GRANT}&scope=data&scope=user"), f"{QUERY}.scope: expected once (RFC 6749, section 3.2); found"),
    (page(query=f"{GRANT}&scope=data++user"), f"{QUERY}.scope: expected pattern ^["),
    (page(url=f"{URL}/"), 'request.path: expected /oauth/token; found "/oauth/token/"'),
    (page(url="http://[::1"), 'request.path: expected /oauth/token; found ""'),
    (page(method="DELETE"), 'request.method: expected GET; found "DELETE"'),
    (page(sent={"Authorization": []}), f"{AUTHORIZATION}: required; found none"),
    (page(sent={"Authorization": f"Bearer {SECRET}"}), f"{AUTHORIZATION}: expected Basic credentials; {HIDDEN}"),
    (page(sent={"Authorization": f"Basic {SECRET}?"}), f"{AUTHORIZATION}: expected base64 of client id, colon and"),
    (basic(SECRET.encode()), f"{AUTHORIZATION}: expected base64 of client id, colon and client secret; {HIDDEN}"),
    (limited(fields={"error": None}), f"{BODY}.error: expected type string; found null"),
    (limited(body=b""), f"{BODY}: expected JSON (RFC 8259): Expecting value: line 1 column 1"),
    (limited(query="?grant_type=password"), f'{QUERY}.grant_type: expected enum client_credentials; found "password"'),
]
FINE = {
    "as it is": page(),
    "byte order mark": page(body=b"\xef\xbb\xbf" + GRANTED),
    "only the required fields, at their limits": page(
        body=b'{"access_token":"t","token_type":"BEARER","expires_in":0}'
    ),
    "JSON in capitals, with an odd parameter": page(headers={"Content-Type": "Application/JSON ; charset"}),
    "headers in lower case": page(response_headers=[(name.lower(), value) for name, value in page().response_headers]),
    "other headers": page(headers={"Cache-Control": ["private", "max-age=0"], "Pragma": []}),
    "headers outside the contract": page(headers={"X-Request-Id": "1"}, sent={":authority": "api.domo.com"}),
    "another server": page(url=f"http://127.0.0.1:8765/oauth/token{GRANT}"),
    "scopes": page(query=f"{GRANT}&scope=data%20user+workflow"),
    "colons in the secret": basic(b"id:se:cr:et"),
    "Basic in lower case": page(sent={"Authorization": "basic aTpz"}),
    "Basic with masked credentials": page(sent={"Authorization": "Basic ****"}),
    "odd Retry-After": limited(headers={"Retry-After": "soon"}),
    "a number as timestamp": limited(fields={"timestamp": 1767225600000}),
    "a scope that the contract does not name": page(query=f"{GRANT}&scope=data+appstore:read"),
}
UNKNOWN = {
    f"{BODY}.no_such_field": page(fields={"no_such_field": SECRET}),
    f"{QUERY}.client_secret": page(query=f"{GRANT}&client_secret={SECRET}"),
    "request.body": page(request_body=SECRET.encode()),
}
MASKED = [
    *(
        (page(sent={"Authorization": mask}), AUTHORIZATION)
        for mask in ("***", "[REDACTED]", "<hidden>", "xxxx", "----")
    ),
    (page(fields={"expires_in": "redacted"}), f"{BODY}.expires_in"),
    (page(fields={"access_token": "[the token was removed]"}), f"{BODY}.access_token"),
    (page(body=b"[REDACTED BODY]"), BODY),
    (page(query="?[redacted]"), QUERY),
]


@pytest.mark.parametrize(("exchange", "message"), ERRORS, ids=[message for _, message in ERRORS])
def test_an_error_is_reported(exchange, message):
    (error,) = check_exchange(exchange)
    assert (error.kind, str(error)[: len(message)]) == ("error", message)
    assert SECRET not in repr(error)


@pytest.mark.parametrize("exchange", FINE.values(), ids=FINE)
def test_what_keeps_the_contract_is_not_reported(exchange):
    assert check_exchange(exchange) == []


def test_every_error_is_reported_not_just_the_first():
    broken = page(query="?scope=+x", sent={"Authorization": []}, body=b'{"jti": 1}')
    assert [finding.where for finding in check_exchange(broken)] == [
        AUTHORIZATION,
        *(f"{QUERY}.{name}" for name in ("grant_type", "scope")),
        *(f"{BODY}.{name}" for name in ("access_token", "token_type", "expires_in", "jti")),
    ]


@pytest.mark.parametrize(("where", "exchange"), UNKNOWN.items(), ids=UNKNOWN)
def test_what_the_contract_does_not_name_is_an_unknown_field(where, exchange):
    (unknown,) = check_exchange(exchange)
    assert (unknown.kind, unknown.where) == ("unknown field", where)
    assert SECRET not in repr(unknown)


@pytest.mark.parametrize(("exchange", "where"), MASKED)
def test_a_masked_value_is_not_checked(exchange, where):
    assert [(finding.kind, finding.where) for finding in check_exchange(exchange)] == [("not checked", where)]


@pytest.mark.parametrize("place", ["request", "response.status", "response.headers", BODY, AUTHORIZATION])
def test_a_missing_place_is_not_checked(place):
    broken = page(query="?grant_type=x", sent={"Authorization": []}, headers={"Content-Type": []}, body=b"{}")
    everywhere = {finding.where for finding in check_exchange(broken)}
    found = check_exchange(replace(broken, missing=(place,)))
    (missing,) = [finding for finding in found if finding.kind == "not checked"]
    assert (missing.where, missing.message) == (place, "not kept")
    errors = {finding.where for finding in found if finding.kind == "error"}
    assert errors == {where for where in everywhere if not f"{where}.".startswith(f"{place}.")}


REFUSED = {
    "doubled space": (recorded("observed-400-invalid-scope", query=f"{GRANT}&scope=data++user"), ["note"]),
    "another grant type": (recorded("observed-400-unsupported-grant-type"), ["note"]),
    "unknown parameter": (recorded("observed-400-missing-grant-type", query="?client_id=x"), ["note", "note"]),
    "masked parameter": (recorded("observed-400-missing-grant-type", query="?grant_type=***"), ["not checked"]),
    "no credentials": (recorded("observed-401-wrong-secret", sent={"Authorization": []}), ["note"]),
    "wrong path": (recorded("observed-400-invalid-scope", url="https://api.domo.com/token"), ["error"]),
}


@pytest.mark.parametrize(("exchange", "kinds"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_parameter_is_a_note_if_the_server_refused_it(exchange, kinds):
    found = check_exchange(exchange)
    assert [finding.kind for finding in found] == kinds
    ending = f"; refused with {exchange.status}"
    assert all(finding.message.endswith(ending) for finding in found if finding.kind == "note")
    assert "note" not in [finding.kind for finding in check_request(exchange)]


@pytest.mark.parametrize(("status", "kind"), [(200, "error"), (401, "note")])
def test_only_an_error_may_have_no_body(status, kind):
    (finding,) = check_response(page(status=status, body=b"", headers={"Content-Type": []}))
    assert finding.kind == kind


def test_a_response_is_checked_whatever_the_request_was():
    assert check_response(page(method="POST", url="http://127.0.0.1/elsewhere")) == []


def test_names_in_a_body_are_printed_on_one_line_of_ascii():
    names = rb'"a\nb": 1, "\u001b[31m": 2, "\ud800": 3, "\u00e9": 4, '
    found = check_exchange(page(body=GRANTED.replace(b"{", b"{" + names)))
    places = [str(finding).partition(": ")[0] for finding in found]
    assert places == [f"{BODY}.{name}" for name in ("a b", " [31m", " ", r"\xe9")]


def test_the_repr_of_an_exchange_holds_no_secret():
    sent = (("Authorization", SECRET),)
    exchange = Exchange("GET", f"{URL}?{SECRET}", sent, SECRET.encode(), 200, sent, SECRET.encode())
    assert repr(exchange) == "<Exchange GET api.domo.com/oauth/token 200>"
