"""Only what is known to be harmless is kept, in whatever shape a secret comes."""

import base64
import json
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domo_oauth.contract import Exchange, check_exchange, har_text
from domo_oauth.contract.redact import Redactor

from .conftest import URL, page

TOKEN = "eyJhbGciOiJSUzI1NiJ9.canary-token.c2ln"
CREDENTIALS = ("canary-id", "canary-secret-42")
ESCAPED = "".join(f"\\u{ord(each):04x}" for each in TOKEN)
BODIES = {
    "known fields": json.dumps(dict.fromkeys(["error", "message", "scope", "path", "role"], TOKEN)),
    "other fields": json.dumps({"access_token": TOKEN, "data": {"result": [{"accessToken": TOKEN}]}}),
    "member": json.dumps({TOKEN: 1}),
    "list": json.dumps([TOKEN, [TOKEN]]),
    "string": json.dumps(TOKEN),
    "in pieces": json.dumps({"parts": TOKEN.split("."), "error_description": [TOKEN]}),
    "within a text": json.dumps({"error_description": f"Invalid token: {TOKEN}; granted '{TOKEN}'."}),
    "JSON in JSON": json.dumps({"message": json.dumps({"access_token": TOKEN})}),
    "escaped": f'{{"error": "{ESCAPED}"}}',
    "twice": f'{{"error": "invalid_scope", "error": "{TOKEN}"}}',
    "base64": json.dumps({"message": base64.b64encode(TOKEN.encode()).decode()}),
    "form": f"access_token={quote(TOKEN)}&token_type=bearer",
    "XML": f"<token>{TOKEN}</token>",
    "cut off": f'{{"access_token": "{TOKEN}", "cut',
    "deep": "[" * 400 + json.dumps(TOKEN) + "]" * 400,
    "too deep": "[" * 100_000 + json.dumps(TOKEN),
}
HEADERS = [
    ("Location", f"https://app.example.com/#access_token={TOKEN}"),
    ("WWW-Authenticate", f'Bearer realm="{TOKEN}"'),
    ("X-Token", TOKEN),
    (TOKEN, "1"),
]


def written(exchange, secrets=CREDENTIALS):
    return har_text(Redactor(secrets).redact(exchange), comment="", provenance={"kind": "sandbox"})


def response(body=b"{}", *headers, url=URL, sent=()):
    content = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return Exchange("GET", url, sent, b"", 400, (("Content-Type", "application/json"), *headers), content)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_token_in_a_body_of_any_shape_is_not_kept(body):
    text = written(response(body))
    assert not [part for part in (TOKEN, *TOKEN.split(".")) if part in text]


@pytest.mark.parametrize("header", HEADERS)
def test_a_token_in_a_header_is_not_kept(header):
    assert "canary" not in written(response(b"{}", header, header))


@pytest.mark.parametrize("name", ["Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key"])
def test_what_was_sent_is_not_kept(name):
    sent = ((name, f"Basic {base64.b64encode(TOKEN.encode()).decode()}"), ("User-Agent", TOKEN))
    text = written(response(url=f"{URL}?scope={TOKEN}&{TOKEN}=1", sent=sent))
    assert "canary" not in text
    assert "Y2FuYXJ5" not in text


def test_a_body_that_is_not_utf_8_is_missing():
    redacted = Redactor([]).redact(response(b"\xff\xfe\x00"))
    assert (redacted.response_body, redacted.missing) == (b"", ("response.body",))
    assert Redactor([]).redact(response(b"")).missing == ()


KEPT = {
    "an error": {"error": "invalid_scope", "error_description": "Invalid scope: no_such_scope", "scope": "data user"},
    "a container's error": {
        "timestamp": "2019-02-19T14:23:03.891+0000",
        "status": 401,
        "error": "Unauthorized",
        "message": "Full authentication is required to access this resource",
        "path": "/oauth/token",
    },
    "types and structure": {"error": None, "scope": True, "message": [], "path": {"status": 4.5, "new_field": {}}},
}
MASKED = [
    ({"error_description": "Bad credentials of zorblax"}, {"error_description": "Bad credentials of [redacted]"}),
    (
        {"customer": "data", "jti": "81dece4c-df73", "toe": "DV3ET"},
        dict.fromkeys(("customer", "jti", "toe"), "redacted"),
    ),
    ({"userId": 964382593, "status": 10**7, "expires_in": -1e300}, {"userId": 0, "status": 0, "expires_in": 0}),
    ({"a_name_of_more_than_15": 1, "x1": 2}, {"redacted-0": 0, "redacted-1": 0}),
]


@pytest.mark.parametrize("body", KEPT.values(), ids=KEPT)
def test_what_is_known_to_be_harmless_is_kept(body):
    assert json.loads(Redactor(CREDENTIALS).redact(response(json.dumps(body))).response_body) == body


@pytest.mark.parametrize(("body", "masked"), MASKED)
def test_everything_else_is_masked_and_keeps_its_type(body, masked):
    assert json.loads(Redactor(CREDENTIALS).redact(response(json.dumps(body))).response_body) == masked


def test_a_recording_without_secrets_changes_in_its_body_only():
    kept = Redactor(CREDENTIALS).redact(page())
    assert replace(kept, response_body=b"") == page(body=b"")
    assert check_exchange(kept) == []


@pytest.mark.parametrize("secret", ["data", "Unauthorized", "x9", "new_field"])
def test_not_even_a_word_of_the_contract_is_kept_if_it_is_a_secret(secret):
    encoded = base64.b64encode(secret.encode()).decode()
    body = {secret: 1, "message": f"is {secret}", "error": secret.upper(), "path": encoded}
    kept = json.loads(Redactor([secret]).redact(response(json.dumps(body))).response_body)
    assert secret.lower() not in json.dumps(kept).lower()
    assert encoded not in json.dumps(kept)


secrets = st.text("abcXYZ019-._~+/", min_size=16, max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | secrets,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["error", "x"]) | st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(secrets, values, st.lists(st.tuples(st.text(), st.text()), max_size=2))
def test_no_secret_survives_in_any_json_and_redacting_again_changes_nothing(secret, value, headers):
    body = json.dumps({"error": [value, secret, {"scope": secret, "y": value}]})
    exchange = response(body, *headers, ("X", secret))
    assert secret not in written(exchange)
    redactor = Redactor([])
    assert redactor.redact(redactor.redact(exchange)) == redactor.redact(exchange)
