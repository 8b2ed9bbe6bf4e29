"""Failures on demand, and the rest of the control: what tests of a program that uses Domo set up."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
from attrs import evolve

from domo_oauth.errors import ConfigurationError
from domo_oauth.sandbox import Client, Failure, Stats
from tests.fakes import PATIENCE

GRANT = {"grant_type": "client_credentials"}
get = partial(httpx.get, timeout=PATIENCE)  # pytest runs several tests at once
PATHS = {"token": "/oauth/token", "api": "/v1/datasets"}


@pytest.mark.parametrize(
    ("failure", "status", "headers", "text"),
    [
        ({"status": 503, "at": "api"}, 503, {}, '"error": "Service Unavailable"'),
        ({"status": 599}, 599, {"content-type": "application/json;charset=utf-8"}, '"status": 599'),
        ({"status": 429, "headers": {"Retry-After": "7"}}, 429, {"retry-after": "7"}, '"error": "Too Many Requests"'),
        ({"status": 200, "body": "<html>"}, 200, {}, "<html>"),
        ({"status": 400, "body": {"error": "odd"}, "at": "api"}, 400, {}, '{"error": "odd"}'),
        ({"status": 204, "body": "none"}, 204, {}, ""),
        ({"status": 502, "body": "", "headers": {"Content-Type": "text/html"}}, 502, {"content-type": "text/html"}, ""),
    ],
)
def test_the_next_requests_get_the_chosen_failure(sandbox, failure, status, headers, text):
    assert sandbox.control("fail", times=2, **failure).status_code == 200
    at = failure.get("at", "token")
    other = PATHS["api" if at == "token" else "token"]
    assert sandbox.get(other).status_code in (400, 401)  # as ever
    for _ in range(2):
        answer = sandbox.get(PATHS[at])  # whatever the credentials
        assert (answer.status_code, text in answer.text, not answer.text) == (status, True, not text)
        assert {name: answer.headers[name] for name in headers} == headers
    assert sandbox.get(PATHS[at]).status_code in (400, 401)
    assert sandbox.stats().failed == 2


def test_every_path_of_the_api_can_fail(sandbox):
    sandbox.control("fail", status=500, at="api", delay=30.5)
    assert [sandbox.put("/v1/users/1").status_code for _ in range(2)] == [500, 401]
    assert sandbox.slept == [30.5]


def test_failures_come_in_the_given_order_and_from_the_start(serve):
    sandbox = serve(failures=(Failure(status=503), Failure(status=500, at="api")))
    sandbox.control("fail", status=429)
    assert [sandbox.get("/oauth/token", params=GRANT).status_code for _ in range(3)] == [503, 429, 200]
    assert [sandbox.api(authorization="x").status_code for _ in range(2)] == [500, 401]


def test_the_token_endpoint_waits_as_long_as_set(sandbox):
    sandbox.control("settings", delay=0.5)
    sandbox.token()
    assert sandbox.slept == [0.5]


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("fail", {}, "missing 1 required keyword-only argument: 'status'."),
        ("fail", {"status": 199}, "status: must be an HTTP status from 200 to 599."),
        ("fail", {"status": 503, "time": 1}, "got an unexpected keyword argument 'time'."),
        ("fail", {"status": 503, "times": True}, "times: must be 1 or more."),
        ("fail", {"status": 503, "at": []}, 'at: must be "token" or "api".'),
        ("fail", {"status": 503, "headers": {"Retry-After": 1}}, "headers: must be names and their values, as text"),
        ("fail", {"status": 503, "headers": ["a"]}, "headers: must be names and their values, as text"),
        ("fail", {"status": 503, "headers": {"A b": "c"}}, "headers: must be names and their values, as text"),
        ("fail", {"status": 503, "headers": {"A": "b\r\nC: d"}}, "as text without line ends."),
        ("fail", {"status": 503, "delay": "canary"}, "delay: must be 0 seconds or more."),
        *(
            ("clients", {"client_id": "a", "client_secret": "canary", "scopes": ["data"]} | odd, said)
            for odd, said in (
                ({"scopes": "data"}, "scopes: must be a list of one or more names"),
                ({"scopes": []}, "scopes: must be a list of one or more names"),
                ({"scopes": [1]}, "A scope must be of the type str, not int."),
                ({"client_id": "a:"}, "The client id has a colon"),
                ({"client_secret": 1}, "The client secret must be a str"),
                ({"user_id": True}, "user_id: must be a whole number, 0 or more."),
                ({"role": 1}, "role: must be text."),
                ({"\x1b[2J": 1}, "got an unexpected keyword argument ' [2J'."),
            )
        ),
        ("settings", {"lifetime": -1}, "lifetime: must be 0 to 2**63 - 1 seconds."),
        ("settings", {"port": 80}, "Only lifetime, delay and datasets can change."),
        *(
            (
                "settings",
                {"datasets": odd},
                "datasets: must be a list of objects like those of Domo's API, each with an id",
            )
            for odd in (
                {},
                "",
                [1],
                [{}],
                [{"id": 1}],
                [{"id": ""}],
                [{"id": "a"}, {"id": "a"}],
                [{"id": "a", "name": 1}],
                [{"id": "a", "data": ["b"]}],
                [{"id": "a", "schema": {}}],
                [{"id": "a", "schema": {"columns": ["b"]}}],
                [{"id": "a", "schema": {"columns": [{"type": "STRING"}]}}],
            )
        ),
    ],
)
def test_wrong_input_is_explained_and_changes_nothing(sandbox, name, body, said):
    before = sandbox.get("/_sandbox/settings").json()
    answer = sandbox.control(name, **body)
    assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
    assert "canary" not in answer.text
    assert sandbox.get("/_sandbox/settings").json() == before
    assert sandbox.token()


@pytest.mark.parametrize(
    "content", ["{", b"\xff", "[]", "[" * 5000, "1", '"status"', '{"status": 503, "headers": [1]}']
)
def test_a_body_must_be_a_json_object(sandbox, content):
    assert sandbox.post("/_sandbox/fail", content=content).status_code == 400


class TestFixture:
    """The attributes of the fixture, over a socket."""

    def test_what_it_sets_holds_until_the_next_test(self, domo_sandbox):
        mine = Client(client_id="mine", client_secret="canary", scopes=("data",), role="Owner")
        domo_sandbox.add_client(mine)
        domo_sandbox.lifetime, domo_sandbox.delay = 60, 0.001
        domo_sandbox.datasets = [{"id": "1"}]
        body = get(f"{domo_sandbox.url}/oauth/token", params=GRANT, auth=("mine", "canary")).json()
        assert (body["role"], body["expires_in"]) == ("Owner", 60)
        headers = {"Authorization": f"Bearer {body['access_token']}"}
        assert get(f"{domo_sandbox.url}/v1/datasets", headers=headers).json() == [{"id": "1", "rows": 0, "columns": 0}]
        assert (domo_sandbox.lifetime, domo_sandbox.delay, domo_sandbox.datasets) == (60, 0.001, [{"id": "1"}])
        assert [(each.path, each.client_id, each.scope) for each in domo_sandbox.requests] == [
            ("/oauth/token", "mine", "data"),
            ("/v1/datasets", "mine", "data"),
        ]
        domo_sandbox.revoke_tokens()
        assert get(f"{domo_sandbox.url}/v1/datasets", headers=headers).status_code == 401
        domo_sandbox.add_client(evolve(mine, client_secret="rotated"))
        for secret, status in (("canary", 401), ("rotated", 200)):
            answer = get(f"{domo_sandbox.url}/oauth/token", params=GRANT, auth=("mine", secret))
            assert answer.status_code == status
        with pytest.raises(ConfigurationError, match="lifetime: must be 0 to"):
            domo_sandbox.lifetime = -1
        for odd in ({"id": "1"}, [1]):
            with pytest.raises(ConfigurationError, match="datasets: must be a list of objects"):
                domo_sandbox.datasets = odd
        domo_sandbox.fail_next(503)
        domo_sandbox.reset()
        assert (domo_sandbox.lifetime, domo_sandbox.delay, len(domo_sandbox.datasets)) == (3599, 0.0, 3)
        assert (domo_sandbox.stats(), domo_sandbox.requests) == (Stats(), [])
        assert get(f"{domo_sandbox.url}/oauth/token", params=GRANT, auth=("mine", "canary")).status_code == 401

    def test_exactly_the_requested_number_of_concurrent_requests_fails(self, domo_sandbox):
        domo_sandbox.fail_next(429, times=3, headers={"Retry-After": "7"}, body="slow", delay=0.001)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: get(f"{domo_sandbox.url}/oauth/token"), range(8)))
        assert Counter(each.status_code for each in answers) == {429: 3, 401: 5}
        failed = next(each for each in answers if each.status_code == 429)
        assert (failed.headers["retry-after"], failed.text) == ("7", "slow")
        assert domo_sandbox.stats() == Stats(token_requests=8, outside_contract=8, invalid_client=5, failed=3)
        with pytest.raises(ConfigurationError, match="status: must be"):
            domo_sandbox.fail_next(99)
