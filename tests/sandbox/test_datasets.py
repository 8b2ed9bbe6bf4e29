"""The API behind the token: which tokens it takes, and the DataSets that it keeps."""

from __future__ import annotations

import math
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from domo_oauth.sandbox import DEMO_CLIENT, Stats
from domo_oauth.sandbox.tokens import TokenIssuer

FIRST = "/v1/datasets/00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [1, 2, 3]),
        ("?offset=0&limit=0", []),
        ("?limit=1", [1]),
        ("?offset=1", [2, 3]),
        ("?offset=1&limit=1", [2]),
        ("?offset=9", []),
        ("?nameLike=ICE", [2]),
        ("?limit=x", None),
        ("?offset=-1", None),
        ("?offset=", None),
    ],
)
def test_pages(sandbox, query, ids):
    answer = sandbox.api(f"/v1/datasets{query}")
    if ids is None:
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("limit and offset must be whole numbers, 0 or more, not ")
    else:
        assert [int(each["id"][-1]) for each in answer.json()] == ids


def test_listed_datasets_have_domos_fields_and_a_single_one_also_its_schema(sandbox):
    listed = sandbox.api().json()[0]
    assert listed == {
        "id": "00000000-0000-4000-8000-000000000001",
        "name": "Sample: bicycle rentals",
        "description": "Sample data of the sandbox",
        "rows": 2,
        "columns": 2,
        "owner": {"id": 123456789, "name": "Sample Owner"},
        "createdAt": "2024-01-02T03:04:05Z",
        "updatedAt": "2024-06-07T08:09:10Z",
        "pdpEnabled": False,
    }
    schema = {"columns": [{"type": "DATE", "name": "Day"}, {"type": "LONG", "name": "Rented"}]}
    assert sandbox.api(FIRST).json() == listed | {"schema": schema}


def test_a_dataset_can_be_created_changed_filled_and_deleted(sandbox):
    columns = [{"type": "STRING", "name": "Région"}, {"type": "LONG", "name": "Sold, net"}]
    answer = sandbox.api(method="POST", json={"name": "Sales", "rows": 0, "schema": {"columns": columns}})
    created = answer.json()
    path = f"/v1/datasets/{created['id']}"
    assert (answer.status_code, created["name"], created["rows"], created["columns"]) == (201, "Sales", 0, 2)
    assert sandbox.api(f"{path}/data").text == ""
    for csv, query in (
        ("old,1\n", ""),
        ("north,1\n", "?updateMethod=REPLACE"),
        ('"so\nuth",2', "?updateMethod=APPEND"),
    ):
        answer = sandbox.api(f"{path}/data{query}", method="PUT", content=csv, headers={"Content-Type": "text/csv"})
        assert (answer.status_code, answer.text) == (204, "")
    exported = sandbox.api(f"{path}/data?includeHeader=true", headers={"Accept": "text/csv"})
    assert exported.headers["content-type"] == "text/csv;charset=utf-8"
    assert exported.text == 'Région,"Sold, net"\nnorth,1\n"so\nuth",2\n'
    changed = sandbox.api(path, method="PUT", json={"name": "Sold", "id": "x"}).json()
    assert changed == created | {"name": "Sold", "rows": 2, "updatedAt": changed["updatedAt"]}
    assert sandbox.get("/_sandbox/settings").json()["datasets"][-1]["data"] == 'north,1\n"so\nuth",2\n'
    sandbox.api(f"{path}/data", method="PUT", content="")
    assert (sandbox.api(path).json()["rows"], sandbox.api(f"{path}/data").text) == (0, "")
    assert sandbox.api(path, method="DELETE").status_code == 204
    assert sandbox.api(path).status_code == 404
    sandbox.api(FIRST, method="DELETE")
    sandbox.control("reset")
    assert sandbox.api(FIRST).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/v1/datasets", "{", 400),
        ("POST", "/v1/datasets", "1", 400),
        ("POST", "/v1/datasets", '{"schema": {"columns": [{"type": "LONG"}]}}', 400),
        ("PUT", FIRST, '{"schema": 1}', 400),
        ("PUT", f"{FIRST}/data", b"\xff", 400),
        ("PUT", f"{FIRST}/data", "x" * 200_000, 400),
        ("PUT", f"{FIRST}/data", '2024-06-03,"1"1\n', 400),
        ("PATCH", FIRST, "", 405),
        ("POST", f"{FIRST}/data", "", 405),
        ("GET", f"{FIRST}/rows", "", 404),
        ("GET", "/v1/datasets/nothing/data", "", 404),
        ("GET", "/v1/users", "", 404),
    ],
)
def test_wrong_requests_are_refused_and_change_nothing(sandbox, method, path, content, status):
    before = sandbox.get("/_sandbox/settings").json()
    answer = sandbox.api(path, method=method, content=content)
    assert (answer.status_code, answer.json()["path"]) == (status, path)
    assert ("GET, HEAD, PUT" in answer.headers.get("allow", "")) == (status == 405)
    assert sandbox.get("/_sandbox/settings").json() == before


@pytest.mark.parametrize(
    ("csv", "problem"),
    [
        ("2024-06-03,1,2", "too many columns. Expected 2. Row 1, column 3."),
        ("2024-06-03,1\n2024-06-04", "too few columns. Expected 2. Row 2, column 2."),
        ("2024-06-03,1\n\n", "too few columns. Expected 2. Row 2, column 2."),
    ],
)
def test_rows_must_have_the_columns_of_the_schema(sandbox, csv, problem):
    """In the words that users of Domo reported in issues of domoinc/domo-python-sdk and openstax/domo."""
    answer = sandbox.api(f"{FIRST}/data?updateMethod=APPEND", method="PUT", content=csv)
    assert answer.json() == {
        "status": 400,
        "statusReason": "Bad Request",
        "path": f"{FIRST}/data",
        "message": f"Invalid CSV provided during upload. msg=There are {problem}",
        "toe": "SANDBOX000-00000-00000",
    }


def test_a_dataset_of_one_column_can_have_empty_rows(sandbox):
    schema = {"columns": [{"type": "STRING", "name": "Note"}]}
    path = f"/v1/datasets/{sandbox.api(method='POST', json={'schema': schema}).json()['id']}"
    assert sandbox.api(f"{path}/data", method="PUT", content="a\n\n").status_code == 204
    assert sandbox.api(path).json()["rows"] == 2


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/v1/datasets", "", 200),
        ("/v1/datasets", "*/*", 200),
        ("/v1/datasets", "text/html, Application/*;q=0.5", 200),
        ("/v1/datasets", "application/jsonp, text/*;q=0.5", 406),
        (f"{FIRST}/data", "text/*", 200),
        (f"{FIRST}/data", "application/json", 406),
    ],
)
def test_a_client_that_accepts_another_type_gets_406(sandbox, path, accept, status):
    answer = sandbox.api(path, headers={"Accept": accept})
    assert answer.status_code == status
    if status == 406:
        assert answer.headers["content-type"] == "text/html;charset=utf-8"
        assert answer.text.startswith("<html>\n<head><title>Error 406 Not Acceptable</title></head>\n")
    assert (sandbox.stats().resource_requests, sandbox.stats().invalid_token) == (1, 0)


def test_pydomo_creates_fills_and_exports_a_dataset(domo_sandbox):
    pydomo = pytest.importorskip("pydomo")
    host = domo_sandbox.url.removeprefix("http://")
    domo = pydomo.Domo(domo_sandbox.client_id, domo_sandbox.client_secret, api_host=host, use_https=False)
    schema = {"columns": [{"type": "STRING", "name": "Region"}, {"type": "LONG", "name": "Sold"}]}
    created = domo.datasets.create({"name": "Sales", "schema": schema})
    domo.datasets.data_import(created["id"], "north,1\n")
    domo.datasets.data_import(created["id"], "south,2\n", "APPEND")
    assert domo.ds_get(created["id"]).to_dict("list") == {"Region": ["north", "south"], "Sold": [1, 2]}
    assert domo.datasets.data_export(created["id"], include_csv_header=False) == "north,1\nsouth,2\n"
    assert domo_sandbox.datasets[-1]["data"] == "north,1\nsouth,2\n"
    domo.datasets.delete(created["id"])
    assert len(list(domo.datasets.list(per_page=2))) == 3


def test_a_token_needs_the_scope(sandbox):
    answer = sandbox.api(authorization=f"BEARER  {sandbox.token(scope='user')} ")
    body = {"error": "insufficient_scope", "error_description": "Insufficient scope for this resource", "scope": "data"}
    assert (answer.status_code, answer.json()) == (403, body)
    assert answer.headers["www-authenticate"] == "Bearer " + ", ".join(f'{key}="{body[key]}"' for key in body)
    assert sandbox.stats() == Stats(token_requests=1, tokens_issued=1, resource_requests=1, insufficient_scope=1)


def test_without_a_token_the_response_has_domos_own_shape(sandbox):
    answer = sandbox.api(authorization="Basic ZGVtbzpkZW1v")
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


CLAIMS = {"exp": 9e9, "client_id": "x", "scope": ["data"]}
FOREIGN = jwt.encode(CLAIMS, rsa.generate_private_key(65537, 2048), algorithm="RS256")


@pytest.mark.parametrize("token", ["", "a.b.c", FOREIGN, jwt.encode(CLAIMS, "k" * 32, "HS256")])
def test_a_malformed_or_foreign_token_is_refused(sandbox, token):
    answer = sandbox.api(authorization=f"Bearer {token}")
    description = "Cannot convert access token to JSON"
    assert (answer.status_code, answer.json()["error_description"]) == (401, description)
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    assert answer.headers["www-authenticate"] == challenge
    assert sandbox.stats() == Stats(resource_requests=1, invalid_token=1)


def test_a_revoked_token_is_refused_and_the_next_one_accepted(sandbox):
    old = f"Bearer {sandbox.token()}"
    assert sandbox.api(authorization=old).status_code == 200
    sandbox.control("revoke")
    assert sandbox.api(authorization=old).status_code == 401
    assert sandbox.api().status_code == 200


@pytest.mark.parametrize(("lifetime", "status"), [(0, 401), (2**63 - 1, 200)])
def test_a_lifetime_may_be_as_short_and_as_long_as_the_contract_allows(sandbox, lifetime, status):
    sandbox.control("settings", lifetime=lifetime)
    assert sandbox.api().status_code == status


def test_a_token_is_valid_until_the_second_in_which_it_ends():
    now = 1_772_366_400.25
    issuer = TokenIssuer(lambda: now)
    token = str(issuer.issue(DEMO_CLIENT, ["data"], 3599)["access_token"])
    end = math.ceil(now + 3599)
    now = end - 0.001
    assert issuer.claims(token)["exp"] == end
    now = float(end)
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    with pytest.raises(jwt.InvalidTokenError, match=f"^An error .* to decode the Jwt: Jwt expired at {when}$"):
        issuer.claims(token)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/", 405), ("GET", "/_sandbox/x", 404), ("POST", "/_sandbox/x", 404)],
)
def test_other_paths_get_the_containers_error(sandbox, method, path, status):
    answer = sandbox.request(method, path)
    assert (answer.status_code, answer.json()["status"], answer.json()["path"]) == (status, status, path)
