"""Failures on demand, and the rest of the control: what tests of a program that uses Domo set up."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx
import pytest

from domo_oauth.errors import ConfigurationError
from domo_oauth.sandbox import Client, Failure, Stats

GRANT = {"grant_type": "client_credentials"}
PATHS = {"token": "/oauth/token", "api": "/v1/datasets"}


@pytest.mark.parametrize("at", PATHS)
@pytest.mark.parametrize(
    ("failure", "status", "headers", "text"),
    [
        ({"status": 503}, 503, {}, '"error": "Service Unavailable"'),
        ({"status": 599}, 599, {"content-type": "application/json;charset=utf-8"}, '"status": 599'),
        ({"status": 429, "headers": {"Retry-After": "7"}}, 429, {"retry-after": "7"}, '"error": "Too Many Requests"'),
        ({"status": 200, "body": "<html>"}, 200, {}, "<html>"),
        ({"status": 400, "body": {"error": "odd"}}, 400, {}, '{"error": "odd"}'),
        ({"status": 204, "body": "none"}, 204, {}, ""),
        ({"status": 502, "body": "", "headers": {"Content-Type": "text/html"}}, 502, {"content-type": "text/html"}, ""),
    ],
)
def test_the_next_requests_get_the_answer_asked_for(sandbox, at, failure, status, headers, text):
    assert sandbox.control("fail", at=at, times=2, **failure).status_code == 200
    other = PATHS["api" if at == "token" else "token"]
    assert sandbox.get(other).status_code in (400, 401)  # as ever
    for _ in range(2):
        answer = sandbox.get(PATHS[at])  # whatever the credentials
        assert (answer.status_code, text in answer.text, not answer.text) == (status, True, not text)
        assert {name: answer.headers[name] for name in headers} == headers
    assert sandbox.get(PATHS[at]).status_code in (400, 401)
    assert sandbox.stats().failed == 2
    assert [each["outcome"] for each in sandbox.get("/_sandbox/requests").json()].count("failed") == 2


def test_every_path_of_the_api_can_fail(sandbox):
    sandbox.control("fail", status=500, at="api")
    assert [sandbox.put("/v1/users/1").status_code for _ in range(2)] == [500, 404]


@pytest.mark.parametrize("at", PATHS)
def test_a_failure_can_come_late_and_byte_by_byte(sandbox, at):
    sandbox.control("fail", status=500, at=at, delay=30.5, body="drops")
    sandbox.control("fail", status=500, at=at, drip=0.25, body="drops")
    headers = {"Accept-Encoding": "identity"}
    assert [sandbox.get(PATHS[at], headers=headers).text for _ in range(2)] == ["drops"] * 2
    assert [seconds for seconds in sandbox.in_process.slept if seconds] == [30.5, *[0.25] * 5]


def test_failures_come_in_the_order_asked_for_and_from_the_start(serve):
    sandbox = serve(failures=(Failure(status=503), Failure(status=500, at="api")))
    sandbox.control("fail", status=429)
    assert [sandbox.get("/oauth/token", params=GRANT).status_code for _ in range(3)] == [503, 429, 200]
    assert [sandbox.datasets().status_code for _ in range(2)] == [500, 200]


def test_exactly_so_many_of_many_requests_at_once_fail(sandbox):
    sandbox.control("fail", status=503, times=7, delay=0.001)

    async def ask() -> Counter[int]:
        seen: Counter[int] = Counter()

        async def one() -> None:
            seen[(await http.get("/oauth/token", params=GRANT, auth=sandbox.auth)).status_code] += 1

        transport = sandbox.in_process.app
        http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        async with http, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(one)
        return seen

    assert anyio.run(ask) == {503: 7, 200: 13}
    assert sandbox.stats() == Stats(token_requests=20, tokens_issued=13, failed=7)


def test_the_token_endpoint_waits_as_long_as_set(sandbox):
    sandbox.control("settings", delay=0.5)
    sandbox.token()
    assert sandbox.in_process.slept == [0.5]


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("fail", {}, "missing 1 required keyword-only argument: 'status'"),
        ("fail", {"status": 199}, "status: must be an HTTP status from 200 to 599."),
        ("fail", {"status": "503"}, "status: must be"),
        ("fail", {"status": 503, "time": 1}, "must be a table with no other keys than status, times, at, headers"),
        ("fail", {"status": 503, "times": 0}, "times: must be 1 or more."),
        ("fail", {"status": 503, "times": True}, "times: must be"),
        ("fail", {"status": 503, "at": "page"}, 'at: must be "token" or "api".'),
        ("fail", {"status": 503, "at": []}, "at: must be"),
        ("fail", {"status": 503, "headers": {"Retry-After": 1}}, "headers: must be names with texts."),
        ("fail", {"status": 503, "headers": ["a"]}, "headers: must be"),
        ("fail", {"status": 503, "delay": -1}, "delay: must be 0 seconds or more."),
        ("fail", {"status": 503, "drip": "canary"}, "drip: must be"),
        ("clients", {"client_id": "a", "client_secret": "canary"}, "argument: 'scopes'"),
        ("clients", {"client_id": "a", "client_secret": "canary", "scopes": "data"}, "scopes: must be a list"),
        ("clients", {"client_id": "demo-client", "client_secret": "canary", "scopes": ["data"]}, "another client has"),
        ("settings", {"lifetime": -1}, "lifetime: must be 0 to 2**63 - 1 seconds, as in the contract."),
        ("settings", {"port": 80}, "Only lifetime, delay and datasets can change."),
        ("settings", {"datasets": [1]}, "datasets: must be a list of objects."),
    ],
)
def test_a_wrong_order_is_explained_and_changes_nothing(sandbox, name, body, said):
    before = sandbox.get("/_sandbox/settings").json()
    answer = sandbox.control(name, **body)
    assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
    assert "canary" not in answer.text
    assert sandbox.get("/_sandbox/settings").json() == before
    assert sandbox.token()


def test_an_order_must_be_json(sandbox):
    for content in ("{", b"\xff", "[" * 100_000):
        answer = sandbox.post("/_sandbox/fail", content=content)
        assert (answer.status_code, answer.json()) == (400, {"error": "The body is not JSON."})
    assert sandbox.post("/_sandbox/settings", content="[]").status_code == 400


class TestFixture:
    """The attributes of the fixture, over a socket."""

    def test_what_it_sets_holds_until_the_next_test(self, domo_sandbox):
        mine = Client(client_id="mine", client_secret="canary", scopes=("data",), role="Owner")
        domo_sandbox.add_client(mine)
        domo_sandbox.lifetime, domo_sandbox.delay = 60, 0.001
        domo_sandbox.datasets = [{"id": "1"}]
        body = httpx.get(f"{domo_sandbox.url}/oauth/token", params=GRANT, auth=("mine", "canary")).json()
        assert (body["role"], body["expires_in"]) == ("Owner", 60)
        headers = {"Authorization": f"Bearer {body['access_token']}"}
        assert httpx.get(f"{domo_sandbox.url}/v1/datasets", headers=headers).json() == [{"id": "1"}]
        assert (domo_sandbox.lifetime, domo_sandbox.delay, domo_sandbox.datasets) == (60, 0.001, [{"id": "1"}])
        assert [(each.path, each.client_id, each.scope) for each in domo_sandbox.requests] == [
            ("/oauth/token", "mine", "data"),
            ("/v1/datasets", "mine", "data"),
        ]
        with pytest.raises(ConfigurationError, match="another client has the same"):
            domo_sandbox.add_client(mine)
        domo_sandbox.fail_next(503)
        domo_sandbox.reset()
        assert (domo_sandbox.lifetime, domo_sandbox.delay, len(domo_sandbox.datasets)) == (3599, 0.0, 3)
        assert (domo_sandbox.stats(), domo_sandbox.requests) == (Stats(), [])
        assert httpx.get(f"{domo_sandbox.url}/oauth/token", params=GRANT, auth=("mine", "canary")).status_code == 401

    def test_it_fails_on_demand(self, domo_sandbox):
        domo_sandbox.fail_next(429, times=3, retry_after=7, headers={"X-A": "b"}, body="slow", drip=0.001)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: httpx.get(f"{domo_sandbox.url}/oauth/token"), range(8)))
        failed = [answer for answer in answers if answer.status_code == 429]
        assert [(each.headers["retry-after"], each.headers["x-a"], each.text) for each in failed] == [
            ("7", "b", "slow")
        ] * 3
        with pytest.raises(ConfigurationError, match="status: must be"):
            domo_sandbox.fail_next(99)

    @pytest.mark.slow
    def test_a_delay_and_a_drip_take_their_time(self, domo_sandbox):
        domo_sandbox.fail_next(503, at="api", body="1234", delay=0.2, drip=0.1)
        started = time.monotonic()
        httpx.get(f"{domo_sandbox.url}/v1/datasets", headers={"Accept-Encoding": "identity"})
        assert time.monotonic() - started >= 0.6
