"""Of a response only what is known to be harmless is kept, whatever the shape that a secret comes in."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domo_oauth.contract import Exchange, check_exchange, har_text
from domo_oauth.contract.redact import Redactor

URL = "https://api.domo.com/oauth/token"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.canary-token.c2ln"
CREDENTIALS = ("canary-id", "canary-secret-42")


def plain(name):
    return lambda secret: json.dumps({name: secret})


def jwt_parts(secret):
    return json.dumps({"parts": secret.split("."), "error_description": [secret, {"message": secret}]})


BODIES = {
    **{
        name: plain(name)
        for name in ("access_token", "accessToken", "error", "message", "scope", "toe", "path", "role")
    },
    "member": lambda secret: json.dumps({secret: 1}),
    "nested": lambda secret: json.dumps({"data": {"result": [{"token": secret}]}}),
    "list": lambda secret: json.dumps([secret, [secret]]),
    "string": json.dumps,
    "in pieces": jwt_parts,
    "within a text": lambda secret: json.dumps({"error_description": f"Invalid token: {secret}; granted '{secret}'."}),
    "JSON in JSON": lambda secret: json.dumps({"message": json.dumps({"access_token": secret})}),
    "escaped": lambda secret: plain("error")("".join(f"\\u{ord(each):04x}" for each in secret)).replace("\\\\", "\\"),
    "twice": lambda secret: f'{{"error": "invalid_scope", "error": "{secret}"}}',
    "base64": lambda secret: json.dumps({"message": base64.b64encode(secret.encode()).decode()}),
    "hex": lambda secret: json.dumps({"message": secret.encode().hex()}),
    "form": lambda secret: f"access_token={quote(secret)}&token_type=bearer",
    "XML": lambda secret: f"<token>{secret}</token>",
    "HTML": lambda secret: f"<!doctype html><title>{secret}</title>",
    "text": str,
    "cut off": lambda secret: f'{{"access_token": "{secret}", "cut',
    "deep": lambda secret: "[" * 400 + json.dumps(secret) + "]" * 400,
    "too deep": lambda secret: "[" * 100_000 + json.dumps(secret),
}
HEADERS = {
    "Set-Cookie": lambda secret: ("Set-Cookie", f"session={secret}"),
    "Location": lambda secret: ("Location", f"https://app.example.com/#access_token={secret}"),
    "a known header": lambda secret: ("WWW-Authenticate", f'Bearer realm="{secret}"'),
    "Server": lambda secret: ("Server", f"nginx/{secret}"),
    "another header": lambda secret: ("X-Token", secret),
    "name": lambda secret: (secret, "1"),
}


def written(exchange, secrets=CREDENTIALS):
    return har_text(Redactor(secrets).redact(exchange), comment="", provenance={"kind": "sandbox"}, version="1")


def response(body=b"{}", *headers, url=URL, sent=()):
    content = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return Exchange("GET", url, sent, b"", 400, (("Content-Type", "application/json"), *headers), content)


@pytest.mark.parametrize("shape", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_token_in_a_body_of_any_shape_is_not_kept(shape, encoding):
    text = written(response(shape(TOKEN).encode(encoding)))
    assert not [part for part in (TOKEN, *TOKEN.split(".")) if part in text]


@pytest.mark.parametrize("shape", HEADERS.values(), ids=HEADERS)
def test_a_token_in_a_header_is_not_kept(shape):
    assert "canary" not in written(response(b"{}", shape(TOKEN), shape(TOKEN)))


@pytest.mark.parametrize("name", ["Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key"])
def test_what_was_sent_is_not_kept(name):
    sent = ((name, f"Basic {base64.b64encode(TOKEN.encode()).decode()}"), ("User-Agent", TOKEN))
    text = written(response(url=f"{URL}?scope={TOKEN}&{TOKEN}=1", sent=sent))
    assert "canary" not in text
    assert "Y2FuYXJ5" not in text


@pytest.mark.parametrize("body", [b"\xe9", b"\xff\xfe\x00"])
def test_a_body_that_is_not_utf_8_is_missing(body):
    redacted = Redactor([]).redact(response(body))
    assert (redacted.response_body, redacted.missing) == (b"", ("response.body",))
    assert Redactor([]).redact(response(b"")).missing == ()


KEPT = {
    "an error": {"error": "invalid_scope", "error_description": "Invalid scope: no_such_scope", "scope": "data user"},
    "a page of the contract": {"error_uri": "https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"},
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
    (
        {"error_description": "Bad client credentials of zorblax"},
        {"error_description": "Bad client credentials of [redacted]"},
    ),
    (
        {"customer": "data", "env": "prod1", "domain": "audit"},
        {"customer": "redacted", "env": "redacted", "domain": "redacted"},
    ),
    ({"userId": 964382593, "status": 10**7, "expires_in": -1e300}, {"userId": 0, "status": 0, "expires_in": 0}),
    (
        {"jti": "81dece4c-df73-4569-853c-2d1a328897fd", "toe": "DV3ET85U1V-GQ837"},
        {"jti": "redacted", "toe": "redacted"},
    ),
    ({"a_name_of_more_than_15": 1, "x1": 2}, {"redacted-0": 0, "redacted-1": 0}),
]


@pytest.mark.parametrize("body", KEPT.values(), ids=KEPT)
def test_what_is_known_to_be_harmless_is_kept(body):
    assert json.loads(Redactor(CREDENTIALS).redact(response(json.dumps(body))).response_body) == body


@pytest.mark.parametrize(("body", "masked"), MASKED)
def test_everything_else_is_masked_and_keeps_its_type(body, masked):
    assert json.loads(Redactor(CREDENTIALS).redact(response(json.dumps(body))).response_body) == masked


def test_headers_of_the_contract_are_kept(page):
    kept = Redactor(CREDENTIALS).redact(page)
    assert kept.response_headers == page.response_headers
    assert kept.request_headers == page.request_headers
    assert kept.url == page.url
    assert [finding.kind for finding in check_exchange(kept)] == []


@pytest.mark.parametrize("secret", ["data", "Unauthorized", "x9", "new_field"])
def test_not_even_a_word_of_the_contract_is_kept_if_it_is_a_secret(secret):
    encoded = base64.b64encode(secret.encode()).decode()
    body = {secret: 1, "message": f"is {secret}", "error": secret.upper(), "path": encoded}
    kept = json.loads(Redactor([secret]).redact(response(json.dumps(body))).response_body)
    assert secret.lower() not in json.dumps(kept).lower()
    assert encoded not in json.dumps(kept)


secrets = st.text("abcXYZ019-._~+/", min_size=16, max_size=40)
shapes = st.sampled_from([*BODIES.values(), *HEADERS.values()])


@settings(deadline=None)
@given(secrets, shapes)
def test_no_secret_survives_and_redacting_again_changes_nothing(secret, shape):
    made = shape(secret)
    exchange = response(b"{}", made) if isinstance(made, tuple) else response(made)
    redactor = Redactor([])
    redacted = redactor.redact(exchange)
    assert secret not in written(exchange)
    assert redactor.redact(redacted) == redacted


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | secrets,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["error", "x"]) | st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(secrets, values, st.lists(st.tuples(st.text(), st.text()), max_size=2))
def test_any_json_around_it_and_any_headers(secret, value, headers):
    body = json.dumps({"error": [value, secret, {"scope": secret, "y": value}]})
    assert secret not in written(response(body, *headers, ("X", secret)))
