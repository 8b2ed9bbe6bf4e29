"""`make demo` works offline and (against a stand-in) live; other targets are only dry-run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domo_oauth.sandbox import Client, running

ROOT = Path(__file__).parents[2]


def tour(*arguments, **env):
    command = [sys.executable, ROOT / "tools" / "demo.py", *arguments]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_tour_needs_no_proxy_for_the_sandbox():
    ended = tour(HTTP_PROXY="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "after 2 requests" in ended.stdout  # the revoked token was replaced
    assert "Stats(requests=0" in ended.stdout  # the second process took the token from the store


@pytest.mark.slow
def test_the_live_tour_needs_one_scope_and_an_error_is_a_message():
    client = Client(client_id="canary", client_secret="not-a-secret", scopes=("data",))
    with running(clients=[client], quiet=True) as sandbox:
        ended = tour("--live", **sandbox.env)
        refused = tour("--live", **sandbox.env | {"DOMO_CLIENT_SECRET": "wrong"})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "scope='data'" in ended.stdout
    assert ended.stdout.count("1 exchange checked") == 4
    assert refused.returncode == 1
    assert refused.stderr.startswith("\ndemo: ")
    assert "401" in refused.stderr
    assert "Traceback" not in refused.stderr


def make(folder, *arguments, **env):
    """Run make as if the environment were set up, without the flags and variables of an outer make."""
    command = ["make", "--no-print-directory", "-f", ROOT / "Makefile", "-o", ".venv/.ready", "VENV=.venv", *arguments]
    env = os.environ | {"MAKEFLAGS": ""} | env
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("target", "variable", "option"),
    [
        ("interop", "PUBLISH=1", "--update-readme"),
        ("sdk", "FORCE=1", "--force"),
        ("lock", "UPGRADE=1", "--upgrade"),
        ("audit", "DRY=1", "--dry-run"),
    ],
)
def test_variables_turn_options_on(tmp_path, target, variable, option):
    assert option in make(tmp_path, "-n", target, variable).stdout
    assert option not in make(tmp_path, "-n", target, variable.replace("1", "0")).stdout


def test_drift_says_that_it_needs_git(tmp_path):
    ended = make(tmp_path, "drift", GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert ended.returncode != 0
    assert ended.stderr.startswith("drift: needs git")
