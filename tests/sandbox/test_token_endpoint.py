"""The token endpoint: whom it grants what, and how it refuses."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import httpx
import jwt
import pytest
from attrs import asdict

from domo_oauth.sandbox import Client, Stats, app
from domo_oauth.sandbox.tokens import TokenIssuer

GRANT = {"grant_type": "client_credentials"}
FORM = "Application/X-WWW-Form-URLencoded"
ALL = "audit dashboard data user"
ACME = Client(client_id="id-ü", client_secret="s:ü", scopes=("user", "data", "data"), customer="acme", user_id=7)
DOCUMENTATION = Path(__file__).parents[2] / "openapi/recordings/recorded-2022-documentation-page.har"


def basic(text: bytes, scheme: str = "Basic ") -> bytes:
    return scheme.encode() + base64.b64encode(text)


RIGHT = basic(b"demo-client:not-a-secret")


def test_a_token_has_the_documented_fields_and_a_verifiable_signature(serve):
    sandbox = serve(clients=(ACME,))
    before = int(time.time())
    body = sandbox.get("/oauth/token", params=GRANT, auth=httpx.BasicAuth("id-ü", "s:ü")).json()
    (key,) = sandbox.get("/_sandbox/jwks.json").json()["keys"]
    user = {"customer": "acme", "env": "sandbox", "role": "Admin", "userId": 7, "jti": body["jti"]}
    access_token = body.pop("access_token")
    assert body == {"token_type": "bearer", "expires_in": 3599, "scope": "data user", **user}
    claims = jwt.decode(access_token, jwt.PyJWK(key), ["RS256"])
    assert jwt.get_unverified_header(access_token)["kid"] == key["kid"]
    assert "d" not in key
    issued, expires = claims.pop("iat"), claims.pop("exp")
    assert claims == user | {"client_id": "id-ü", "scope": ["data", "user"]}
    assert before <= issued <= time.time()
    assert issued + 3599 <= expires <= issued + 3600


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0.01", True),
        ("", False),
        ("identity", False),
        ("xgzip", False),
        ("gzip;q=0", False),
        ("br, gzip ; q=0.000, deflate", False),
    ],
)
def test_an_answer_has_the_documented_headers(sandbox, accepted, compressed):
    answer = sandbox.get("/oauth/token", params=GRANT, headers={"Accept-Encoding": accepted})
    documented = json.loads(DOCUMENTATION.read_text())["log"]["entries"][0]["response"]["headers"]
    expected = {each["name"].lower(): each["value"] for each in documented}
    # The server adds these two.
    assert dict(answer.headers) | {"date": expected["date"], "transfer-encoding": "chunked"} == {
        name: value for name, value in expected.items() if compressed or name != "content-encoding"
    }
    assert answer.json()["token_type"] == "bearer"


@pytest.mark.parametrize(
    ("scope", "granted"),
    [("data", "data"), ("user data", "data user"), ("data data", "data"), ("user audit data dashboard", ALL)],
)
def test_scopes_are_granted_in_a_fixed_order(sandbox, scope, granted):
    assert sandbox.get("/oauth/token", params=GRANT | {"scope": scope}).json()["scope"] == granted
    assert sandbox.stats() == Stats(token_requests=1, tokens_issued=1)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GET", {"params": GRANT | {"scope": ""}}),
        ("GET", {"params": GRANT | {"scope": "  "}}),
        ("GET", {"params": GRANT | {"prompt": "none"}}),
        ("GET", {"params": [*GRANT.items(), ("scope", "data"), ("scope", "nonsense")]}),
        ("POST", {"data": GRANT}),
        ("POST", {"data": GRANT | {"scope": "data"}, "params": {"scope": "nonsense"}}),
        ("POST", {"content": b"grant_type=client_credentials", "headers": {"Content-Type": f" {FORM} ; charset=x"}}),
    ],
)
def test_the_endpoint_serves_and_counts_what_the_contract_does_not_describe(sandbox, method, request_):
    answer = sandbox.request(method, "/oauth/token", **request_)
    assert (answer.status_code, answer.json()["scope"] in (ALL, "data")) == (200, True)
    assert sandbox.stats() == Stats(token_requests=1, tokens_issued=1, outside_contract=1)


@pytest.mark.parametrize(
    ("method", "request_", "outcome", "description"),
    [
        ("GET", {}, "invalid_request", "Missing grant type"),
        ("GET", {"params": {"grant_type": ""}}, "invalid_request", "Missing grant type"),
        ("POST", {"params": GRANT}, "invalid_request", "Missing grant type"),
        ("POST", {"json": GRANT}, "invalid_request", "Missing grant type"),
        ("POST", {"data": {"a": b"\xff"}}, "invalid_request", "Missing grant type"),
        ("GET", {"params": {"grant_type": "password"}}, "unsupported_grant_type", "Unsupported grant type"),
        ("GET", {"params": {"scope": "buzz", "grant_type": "password"}}, "invalid_scope", "Invalid scope"),
        *(
            ("GET", {"params": GRANT | {"scope": scope}}, "invalid_scope", "Invalid scope")
            for scope in ("account, dashboard, data", "data,user", "data  user", " data", "buzz", "DATA", "nonsense")
        ),
    ],
)
def test_a_wrong_request_gets_400(sandbox, method, request_, outcome, description):
    answer = sandbox.request(method, "/oauth/token", **request_)
    body = {"error": outcome, "error_description": description}
    assert answer.status_code == 400
    assert answer.json() == body | ({"scope": ALL} if outcome == "invalid_scope" else {})
    counts = asdict(sandbox.stats())
    assert (counts["token_requests"], counts[outcome], counts["tokens_issued"]) == (1, 1, 0)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"Basic",
        b"Basic %%%",
        b"Basic Z",
        "Basic ä".encode("latin-1"),
        RIGHT + b"!",
        basic(b"no-colon"),
        basic(b"demo-client:"),
        basic(b"demo-client:wrong"),
        basic(b"demo-client:not-a-secret:"),
        basic(b"nobody:not-a-secret"),
        basic(b"\xff:\xff"),
        basic(b"demo-client:not-a-secret", "Bearer "),
    ],
)
@pytest.mark.parametrize(("method", "parameters"), [("GET", GRANT), ("PUT", {})])
def test_wrong_credentials_get_the_same_401_whatever_is_wrong(sandbox, authorization, method, parameters):
    headers = {b"Authorization": authorization} if authorization else {}
    answer = sandbox.request(method, "/oauth/token", params=parameters, headers=headers, auth=None)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="oauth2/client"')
    body = answer.json()
    assert time.strptime(body.pop("timestamp"), "%Y-%m-%dT%H:%M:%S.%f%z")
    assert body == {"status": 401, "error": "Unauthorized", "message": "Bad credentials", "path": "/oauth/token"}
    assert sandbox.stats().invalid_client == 1


@pytest.mark.parametrize("authorization", [basic(b"demo-client:not-a-secret", "bASIC "), RIGHT.replace(b" ", b"   ")])
def test_the_scheme_may_have_any_case_and_more_spaces(sandbox, authorization):
    headers = {b"Authorization": authorization}
    assert sandbox.get("/oauth/token", params=GRANT, headers=headers, auth=None).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PURGE"])
def test_other_methods_get_405(sandbox, method):
    answer = sandbox.request(method, "/oauth/token", params=GRANT)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert (sandbox.stats().method_not_allowed, sandbox.stats().tokens_issued) == (1, 0)


def test_an_answer_that_breaks_the_contract_is_loud(serve, monkeypatch):
    monkeypatch.setattr(TokenIssuer, "issue", lambda *_: {"access_token": "t", "token_type": "mac"})
    answer = serve(validate_responses=True).get("/oauth/token", params=GRANT)
    assert answer.status_code == 500
    assert answer.text.startswith("THE SANDBOX BREAKS THE CONTRACT: ")
    assert "response.body.expires_in" in answer.text
    assert serve().get("/oauth/token", params=GRANT).status_code == 200


def test_a_bug_in_the_sandbox_is_a_server_error(serve, monkeypatch):
    monkeypatch.setattr(TokenIssuer, "issue", lambda *_: 1 / 0)
    answer = serve().get("/oauth/token", params=GRANT)
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")


def test_the_log_and_the_recorded_requests_hold_no_secret_token_or_query(sandbox, caplog, monkeypatch):
    monkeypatch.setattr(app._LOG, "propagate", True)
    caplog.set_level("INFO", logger="domo_oauth.sandbox")
    body = sandbox.get("/oauth/token", params=GRANT | {"client_secret": "canary-query", "line\nend": "x"}).json()
    sandbox.get("/oauth/token?a=canary-query", auth=("canary-id", "canary-secret"))
    sandbox.datasets(f"Bearer {body['access_token']}", query="?a=canary-query")
    log = [record.getMessage() for record in caplog.records]
    assert log[0].startswith("  outside the contract: ")
    assert "request.query.client_secret: " in log[0]
    assert log[1] == "GET /oauth/token 200 tokens_issued"
    assert log[-2:] == ["GET /oauth/token 401 invalid_client", "GET /v1/datasets 200"]
    recorded = sandbox.get("/_sandbox/requests").json()
    token = {"method": "GET", "path": "/oauth/token", "client_id": "demo-client", "scope": ALL}
    assert recorded == [
        token | {"status": 200, "outcome": "tokens_issued"},
        token | {"status": 401, "outcome": "invalid_client", "client_id": "", "scope": ""},
        token | {"path": "/v1/datasets", "status": 200, "outcome": ""},
    ]
    for secret in ("canary", "not-a-secret", body["access_token"], body["jti"], "line\nend"):
        assert secret not in "\n".join(log) + str(recorded)
