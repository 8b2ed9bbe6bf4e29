"""The API behind the token: ``/v1/datasets``, and which tokens it takes."""

from __future__ import annotations

import math
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from domo_oauth.sandbox import DEMO_CLIENT, Stats
from domo_oauth.sandbox.tokens import InvalidTokenError, TokenIssuer


def test_a_dataset(sandbox):
    first, *others = sandbox.datasets().json()
    assert first == {
        "id": "00000000-0000-4000-8000-000000000001",
        "name": "Sample: bicycle rentals",
        "description": "Sample data of the sandbox",
        "rows": 1204,
        "columns": 9,
        "owner": {"id": 123456789, "name": "Sample Owner"},
        "createdAt": "2024-01-02T03:04:05Z",
        "updatedAt": "2024-06-07T08:09:10Z",
        "pdpEnabled": False,
    }
    assert [each.keys() for each in others] == [first.keys()] * 2


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [1, 2, 3]),
        ("?offset=0&limit=0", []),
        ("?limit=1", [1]),
        ("?offset=1", [2, 3]),
        ("?offset=1&limit=1", [2]),
        ("?offset=9", []),
        ("?limit=x", None),
        ("?offset=-1", None),
        ("?limit=-1", None),
        ("?offset=", None),
    ],
)
def test_pages(sandbox, query, ids):
    answer = sandbox.datasets(query=query)
    if ids is None:
        assert answer.status_code == 400
        assert answer.json()["message"] == "limit and offset must be whole numbers, 0 or more"
    else:
        assert [int(each["id"][-1]) for each in answer.json()] == ids


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        ("*/*", 200),
        ("Application/JSON; q=0.5", 200),
        ("text/html, application/*", 200),
        ("text/html,*/*;q=0.1", 200),
        ("text/html", 406),
        ("application/jsonp, text/*;q=0.5", 406),
    ],
)
def test_who_accepts_no_json_gets_a_page(sandbox, accept, status):
    answer = sandbox.datasets(accept=accept)
    assert answer.status_code == status
    if status == 406:
        assert answer.headers["content-type"] == "text/html;charset=utf-8"
        assert answer.text.startswith("<html>\n<head><title>Error 406 Not Acceptable</title></head>\n")
    assert (sandbox.stats().resource_requests, sandbox.stats().invalid_token) == (1, 0)


def test_a_token_needs_the_scope(sandbox):
    answer = sandbox.datasets(f"BEARER  {sandbox.token(scope='user')} ")
    body = {"error": "insufficient_scope", "error_description": "Insufficient scope for this resource", "scope": "data"}
    assert (answer.status_code, answer.json()) == (403, body)
    assert answer.headers["www-authenticate"] == "Bearer " + ", ".join(f'{key}="{body[key]}"' for key in body)
    assert sandbox.stats() == Stats(token_requests=1, tokens_issued=1, resource_requests=1, insufficient_scope=1)


@pytest.mark.parametrize("authorization", ["Basic ZGVtbzpkZW1v", "x"])
def test_without_a_token_the_answer_has_domos_own_shape(sandbox, authorization):
    answer = sandbox.datasets(authorization)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json() == {
        "status": 401,
        "statusReason": "Internal Server Error",
        "path": "/v1/datasets",
        "message": "com.domo.bedrock.service.exception.UnauthorizedException: Full authentication is required to "
        "access this resource",
        "toe": "SANDBOX000-00000-00000",
    }
    assert sandbox.stats() == Stats(resource_requests=1, invalid_token=1)


FOREIGN = jwt.encode(
    {"exp": 9e9, "client_id": "x", "scope": ["data"]}, rsa.generate_private_key(65537, 2048), algorithm="RS256"
)
SYMMETRIC = jwt.encode({"exp": 9e9, "client_id": "x", "scope": ["data"]}, "k" * 32, "HS256")


@pytest.mark.parametrize("token", ["", "garbage", "a.b.c", FOREIGN, SYMMETRIC])
def test_a_malformed_or_foreign_token_is_refused(sandbox, token):
    answer = sandbox.datasets(f"Bearer {token}")
    description = "Cannot convert access token to JSON"
    assert (answer.status_code, answer.json()["error_description"]) == (401, description)
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    assert answer.headers["www-authenticate"] == challenge
    assert sandbox.stats() == Stats(resource_requests=1, invalid_token=1)


def test_a_revoked_token_is_refused_and_the_next_one_accepted(sandbox):
    old, keys = sandbox.token(), sandbox.get("/_sandbox/jwks.json").json()
    assert sandbox.datasets(f"Bearer {old}").status_code == 200
    sandbox.control("revoke")
    assert sandbox.datasets(f"Bearer {old}").status_code == 401
    assert sandbox.datasets().status_code == 200
    assert sandbox.get("/_sandbox/jwks.json").json() != keys


@pytest.mark.parametrize(("lifetime", "status"), [(0, 401), (2**63 - 1, 200)])
def test_a_lifetime_may_be_as_short_and_as_long_as_the_contract_allows(sandbox, lifetime, status):
    sandbox.control("settings", lifetime=lifetime)
    body = sandbox.get("/oauth/token", params={"grant_type": "client_credentials"}).raise_for_status().json()
    assert body["expires_in"] == lifetime
    assert sandbox.datasets(f"Bearer {body['access_token']}").status_code == status


def test_a_token_is_valid_until_the_second_in_which_it_ends():
    now = 1_772_366_400.25
    issuer = TokenIssuer(lambda: now)
    token = str(issuer.issue(DEMO_CLIENT, ["data"], 3599)["access_token"])
    end = math.ceil(now + 3599)
    now = end - 0.001
    assert issuer.claims(token)["exp"] == end
    now = float(end)
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    with pytest.raises(InvalidTokenError, match=f"^An error .* to decode the Jwt: Jwt expired at {when}$"):
        issuer.claims(token)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/users", 404),
        ("POST", "/v1/datasets", 405),
        ("POST", "/", 405),
        ("GET", "/_sandbox/nothing", 404),
        ("POST", "/_sandbox/nothing", 404),
        ("PUT", "/_sandbox/stats", 405),
    ],
)
def test_other_paths_and_methods_get_the_containers_error(sandbox, method, path, status):
    answer = sandbox.request(method, path)
    assert (answer.status_code, answer.json()["status"], answer.json()["path"]) == (status, status, path)
