"""The tour of `make demo LIVE=1`, with the sandbox in the place of Domo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domo_oauth.sandbox import Client, running
from tools import demo

ROOT = Path(__file__).parents[2]


def tour(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "demo.py", *arguments]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True, check=False)


def test_it_asks_a_client_with_one_scope_for_no_more():
    client = Client(client_id="canary", client_secret="not-a-secret", scopes=("data",))
    with running(clients=[client], quiet=True) as sandbox:
        ended = tour("--live", **sandbox.env)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "scopes data;" in ended.stdout
    assert "200: Sample: bicycle rentals" in ended.stdout
    assert ended.stdout.count("1 exchange checked (sandbox), 0 faults") == 4


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DOMO_CLIENT_ID": "", "DOMO_CLIENT_SECRET": ""}, "DOMO_CLIENT_ID"),
        ({"DOMO_CLIENT_SECRET": "wrong"}, "answered 401"),
        ({"DOMO_API_URL": "http://127.0.0.1:1"}, "had no answer: no connection"),
        ({"DOMO_API_URL": "http://domo.example"}, "use https://"),
    ],
)
def test_an_error_is_a_message(domo_sandbox, variables, said):
    ended = tour("--live", **domo_sandbox.env | variables)
    assert ended.returncode == 1
    assert ended.stderr.startswith("\ndemo: ")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_resource_that_fails_is_a_message(wire):
    body = b'{"access_token":"t","token_type":"bearer","expires_in":3599}'
    server = wire(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\r\n" + body)

    def then_fail():
        if len(server.requests) == 2:  # one of the wrapper, one of the generated client
            server.answer = b"HTTP/1.1 503 Away\r\n\r\n"
        return iter(())

    server.more = then_fail
    ended = tour("--live", DOMO_API_URL=server.url, DOMO_CLIENT_ID="id", DOMO_CLIENT_SECRET="secret")
    assert ended.returncode == 1
    assert ended.stderr.startswith("\ndemo: HTTPStatusError: Server error '503 Away' for url")
    assert "Traceback" not in ended.stderr


def test_no_proxy_sees_what_goes_to_loopback_and_all_else_goes_its_way():
    ended = tour(HTTP_PROXY="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not demo.trusts_environment("http://127.0.0.1:1")
    assert demo.trusts_environment("https://api.domo.com")
