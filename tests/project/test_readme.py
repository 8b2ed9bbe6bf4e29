"""Every code example in README.md and docs/ runs as written, against the sandbox."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import domo_oauth
from domo_oauth.sandbox import Client, running
from tests.stores.redis_server import RedisServer, needs_redis

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STANDINS = {"PYTHONPATH": str(ROOT / "tests/standins"), "PYTHON_KEYRING_BACKEND": "environment_keyring.Keyring"}
NEEDS = {"REDIS_URL": needs_redis}
NEEDS["curl"] = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl: apt-get install curl")


def blocks(language):
    """The blocks of code in a language: the code, and what it needs."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(rf"^ *```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            needs = [mark for word, mark in NEEDS.items() if word in match[1]]
            found.append(pytest.param(dedent(match[1]), id=f"{page.relative_to(ROOT)}:{line}", marks=needs))
    return found


@pytest.fixture(scope="module")
def sandbox():
    # A secret that has to be quoted in shells and in curl's configuration.
    client = Client(client_id="id", client_secret='a"b\\c\\"%s&$x', scopes=("data", "user"))
    with running(clients=[client], quiet=True) as sandbox:
        yield sandbox


@pytest.fixture
def run(sandbox, tmp_path):
    def run(command, code, server=sandbox, **env):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            input=code,
            env=os.environ | STANDINS | server.env | {"PATH": path} | env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_python(code, run, tmp_path):
    if "\ndef test_" in code:
        (tmp_path / "test_it.py").write_text(code, encoding="utf-8")
        ended = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."], "")
    elif "REDIS_URL" in code:
        with RedisServer(tmp_path) as redis:
            ended = run([sys.executable, "-"], code, REDIS_URL=redis.url)
    else:
        ended = run([sys.executable, "-"], code)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("sh"))
def test_shell(code, run):
    ended = run(["sh"], code)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("code", [block for block in blocks("sh") if "set -e" in block.values[0]])
def test_a_script_ends_where_it_gets_no_token(code, run):
    client = Client(client_id="reader-of-users", client_secret="not-a-secret", scopes=("user",))
    with running(clients=[client], quiet=True) as sandbox:
        assert run(["sh"], code, sandbox).returncode == 3  # of domo-oauth; curl's for a 401 would be 22
        assert sandbox.stats().resource_requests == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_errors_and_links_exist(page):
    text = page.read_text(encoding="utf-8")
    errors = {name for name in re.findall(r"`(\w+Error)`", text) if name != "ResponseValidationError"}
    assert errors <= set(dir(domo_oauth)) | {"StoreError"}
    links = [link for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text) if not (page.parent / link).exists()]
    assert links == []
