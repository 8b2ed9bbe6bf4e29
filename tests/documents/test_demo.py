"""The tour of `make demo`, also LIVE=1 with the sandbox in the place of Domo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domo_oauth.sandbox import Client, running

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def tour(*arguments, **env):
    command = [sys.executable, ROOT / "tools" / "demo.py", *arguments]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True, check=False)


def test_it_needs_no_proxy_for_the_sandbox():
    ended = tour(HTTP_PROXY="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "after 2 requests" in ended.stdout  # the revoked token was replaced
    assert "Stats(requests=0" in ended.stdout  # the second process took the token from the store


def test_a_client_with_one_scope_is_enough():
    client = Client(client_id="canary", client_secret="not-a-secret", scopes=("data",))
    with running(clients=[client], quiet=True) as sandbox:
        ended = tour("--live", **sandbox.env)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "scope='data'" in ended.stdout
    assert ended.stdout.count("1 exchange checked") == 4


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DOMO_CLIENT_ID": "", "DOMO_CLIENT_SECRET": ""}, "DOMO_CLIENT_ID"),
        ({"DOMO_CLIENT_SECRET": "wrong"}, "401"),
        ({"DOMO_API_URL": "http://domo.example"}, "https://"),
    ],
)
def test_an_error_is_a_message(domo_sandbox, variables, said):
    ended = tour("--live", **domo_sandbox.env | variables)
    assert ended.returncode == 1
    assert ended.stderr.startswith("\ndemo: ")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
