"""The token endpoint: whom it grants what, and how it refuses."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import httpx
import jwt
import pytest

from domo_oauth.sandbox import Client, Stats, app

GRANT = {"grant_type": "client_credentials"}
FORM = "Application/X-WWW-Form-URLencoded"
ALL = "audit dashboard data user"
ACME = Client(client_id="id-ü", client_secret="s:ü", scopes=("user", "data", "data"), customer="acme", user_id=7)
UNCACHED = ("no-cache, no-store, max-age=0, must-revalidate", "0")
DOCUMENTATION = Path(__file__).parents[2] / "openapi/recordings/recorded-2022-documentation-page.har"


def basic(text: bytes, scheme: str = "Basic ") -> bytes:
    return scheme.encode() + base64.b64encode(text)


RIGHT = basic(b"demo-client:not-a-secret")


def test_a_token_has_the_documented_fields(serve):
    sandbox = serve(clients=(ACME,))
    before = int(time.time())
    body = sandbox.get("/oauth/token", params=GRANT, auth=httpx.BasicAuth("id-ü", "s:ü")).json()
    user = {"customer": "acme", "env": "sandbox", "role": "Admin", "userId": 7, "jti": body["jti"]}
    access_token = body.pop("access_token")
    assert body == {"token_type": "bearer", "expires_in": 3599, "scope": "data user", **user}
    assert jwt.get_unverified_header(access_token)["alg"] == "RS256"
    claims = jwt.decode(access_token, options={"verify_signature": False})
    issued, expires = claims.pop("iat"), claims.pop("exp")
    assert claims == user | {"client_id": "id-ü", "scope": ["data", "user"]}
    assert before <= issued <= time.time()
    assert issued + 3599 <= expires <= issued + 3600


@pytest.mark.parametrize("compressed", [True, False])
def test_a_response_has_the_documented_headers(sandbox, compressed):
    headers = {"Accept-Encoding": "br, gzip" if compressed else "identity"}
    answer = sandbox.get("/oauth/token", params=GRANT, headers=headers)
    documented = json.loads(DOCUMENTATION.read_text())["log"]["entries"][0]["response"]["headers"]
    expected = {each["name"].lower(): each["value"] for each in documented}
    # The server adds these two.
    assert dict(answer.headers) | {"date": expected["date"], "transfer-encoding": "chunked"} == {
        name: value for name, value in expected.items() if compressed or name != "content-encoding"
    }
    assert answer.json()["token_type"] == "bearer"


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("data", "data"),
        ("user data", "data user"),
        ("user+data", "data user"),
        ("data data", "data"),
        ("user audit data dashboard", ALL),
    ],
)
def test_scopes_are_granted_in_a_fixed_order(sandbox, scope, granted):
    assert sandbox.get("/oauth/token", params=GRANT | {"scope": scope}).json()["scope"] == granted
    assert sandbox.stats() == Stats(token_requests=1, tokens_issued=1)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        *(("GET", {"params": GRANT | {"scope": scope}}) for scope in ("  ", "data ", "data\tuser", "data\nuser")),
        ("GET", {"params": GRANT | {"prompt": "none"}}),
        ("GET", {"params": GRANT | {"client_id": "demo-client"}}),
        ("GET", {"params": [*GRANT.items(), ("scope", "data"), ("scope", "nonsense")]}),
        ("POST", {"params": GRANT}),
        ("POST", {"data": GRANT | {"scope": "data"}}),
        ("POST", {"data": GRANT | {"scope": "nonsense"}, "params": {"scope": "data"}}),
        ("POST", {"content": b"grant_type=client_credentials", "headers": {"Content-Type": f" {FORM} ; charset=x"}}),
    ],
)
def test_the_endpoint_serves_and_counts_what_the_contract_does_not_describe(sandbox, method, request_):
    answer = sandbox.request(method, "/oauth/token", **request_)
    assert (answer.status_code, answer.json()["scope"] in (ALL, "data", "data user")) == (200, True)
    assert sandbox.stats() == Stats(token_requests=1, tokens_issued=1, outside_contract=1)


@pytest.mark.parametrize(
    ("method", "request_", "status", "outcome", "description"),
    [
        ("GET", {"params": {"grant_type": " "}}, 400, "invalid_request", "Missing grant type"),
        ("GET", {"data": GRANT}, 400, "invalid_request", "Missing grant type"),
        ("POST", {"json": GRANT}, 400, "invalid_request", "Missing grant type"),
        ("POST", {"data": {"a": b"\xff"}}, 400, "invalid_request", "Missing grant type"),
        ("GET", {"params": {"grant_type": "password"}}, 400, "unsupported_grant_type", "Unsupported grant type"),
        (
            *("GET", {"params": {"grant_type": "implicit"}}, 400, "invalid_grant"),
            "Implicit grant type not supported from token endpoint",
        ),
        *(
            ("GET", {"params": {"grant_type": grant}}, 401, "invalid_client", f"Unauthorized grant type: {grant}")
            for grant in ("authorization_code", "refresh_token")
        ),
        *(
            (
                *("GET", {"params": {"scope": "buzz", "client_id": client_id}}, 401, "invalid_client"),
                "Given client ID does not match authenticated client",
            )
            for client_id in ("other", "")
        ),
        *(
            (
                "GET",
                {"params": {"grant_type": "password", "scope": scope}},
                400,
                "invalid_scope",
                f"Invalid scope: {name}",
            )
            for scope, name in (
                *(("account, dashboard, data", "account,"), ("data nonsense account", "account"), ("DATA", "DATA")),
                *(("data  user", ""), (" data", ""), ("data user\xa0", "user\xa0")),
            )
        ),
    ],
)
def test_a_wrong_request_is_refused(sandbox, method, request_, status, outcome, description):
    answer = sandbox.request(method, "/oauth/token", **request_)
    body = {"error": outcome, "error_description": description}
    assert answer.status_code == status
    assert answer.json() == body | ({"scope": ALL} if outcome == "invalid_scope" else {})
    challenge = f'Bearer error="{outcome}", error_description="{description}"'
    assert answer.headers.get("www-authenticate") == (challenge if status == 401 else None)
    assert answer.headers["cache-control"] == "no-store"
    stats = sandbox.stats()
    counted = outcome.replace("invalid_grant", "unsupported_grant_type")
    assert (stats.token_requests, getattr(stats, counted), stats.tokens_issued) == (1, 1, 0)


@pytest.mark.parametrize(
    "authorization",
    [
        b"",
        b"Basic",
        b"Basic %%%",
        "Basic ä".encode("latin-1"),
        RIGHT + b"!",
        RIGHT.replace(b" ", b"  "),
        basic(b"no-colon"),
        basic(b"demo-client:wrong"),
        basic(b"demo%2Dclient:not%2Da%2Dsecret"),
        basic(b"demo-client:not-a-secret:"),
        basic(b"nobody:not-a-secret"),
        basic(b"\xff:\xff"),
        basic(b"demo-client:not-a-secret", "Bearer "),
    ],
)
def test_wrong_credentials_get_the_same_401_whatever_is_wrong(sandbox, authorization):
    for method, parameters in [("GET", GRANT), ("PUT", {})]:
        headers = {b"Authorization": authorization}
        answer = sandbox.request(method, "/oauth/token", params=parameters, headers=headers, auth=None)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="oauth2/client"')
        assert (answer.headers["cache-control"], answer.headers["expires"]) == UNCACHED
        body = answer.json()
        assert time.strptime(body.pop("timestamp"), "%Y-%m-%dT%H:%M:%S.%f%z")
        assert body == {"status": 401, "error": "Unauthorized", "message": "Unauthorized", "path": "/oauth/token"}
    assert sandbox.stats().invalid_client == 2


def test_the_scheme_may_have_any_case(sandbox):
    headers = {b"Authorization": basic(b"demo-client:not-a-secret", "bASIC ")}
    assert sandbox.get("/oauth/token", params=GRANT, headers=headers, auth=None).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PURGE"])
def test_other_methods_get_405(sandbox, method):
    answer = sandbox.request(method, "/oauth/token", params=GRANT)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert (answer.headers["cache-control"], answer.headers["expires"]) == UNCACHED
    assert answer.json()["message"] == f"Request method '{method}' not supported"
    assert (sandbox.stats().method_not_allowed, sandbox.stats().tokens_issued) == (1, 0)


def test_head_is_a_get_without_the_body(sandbox):
    answer = sandbox.request("HEAD", "/oauth/token", params=GRANT)
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, b"", "no-store")
    assert sandbox.stats() == Stats(token_requests=1, tokens_issued=1, outside_contract=1)


def test_options_lists_the_methods(sandbox):
    answer = sandbox.request("OPTIONS", "/oauth/token")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (200, "GET,HEAD,POST,OPTIONS", b"")
    assert sandbox.stats() == Stats(token_requests=1, outside_contract=1)


def test_the_log_and_the_recorded_requests_hold_no_secret_token_or_query(sandbox, caplog, monkeypatch):
    monkeypatch.setattr(app._LOG, "propagate", True)
    caplog.set_level("INFO", logger="domo_oauth.sandbox")
    body = sandbox.get("/oauth/token", params=GRANT | {"client_secret": "canary-query", "line\nend": "x"}).json()
    sandbox.get("/oauth/token?a=canary-query", auth=("canary-id", "canary-secret"))
    sandbox.api("/v1/datasets?a=canary-query", f"Bearer {body['access_token']}")
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
