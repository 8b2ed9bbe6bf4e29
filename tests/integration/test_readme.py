"""What the README shows is run as it stands, with the sandbox in Domo's place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import pytest

import domo_oauth
from domo_oauth.sandbox import Client, running

from .redis_server import RedisServer, needs_redis

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl: apt-get install curl")


def blocks(language: str) -> list[str]:
    return [dedent(found) for found in re.findall(rf"^ *```{language}\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)]


def execute(command: list[str], code: str, sandbox) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=code.replace("https://api.domo.com", sandbox.url),
        env=os.environ | sandbox.env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def run(command: list[str], code: str, sandbox) -> str:
    ended = execute(command, code, sandbox)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


HTTPX, REQUESTS, AIOHTTP, HTTPX2, STORE, WRAPPER, GENERATED, FLEET, TEST = blocks("python")
SCRIPT, CI, CURL = blocks("sh")


def test_httpx(domo_sandbox):
    assert run([sys.executable, "-"], HTTPX, domo_sandbox).startswith("['Sample: ")


@pytest.mark.parametrize("code", [REQUESTS, AIOHTTP, HTTPX2], ids=["requests", "aiohttp", "httpx2"])
def test_the_other_clients(code, domo_sandbox):
    assert run([sys.executable, "-"], code, domo_sandbox) == "200\n"


def test_aiohttp_is_done_with_an_answer_that_has_not_ended(wire):
    grant = b'{"access_token": "t", "token_type": "bearer", "expires_in": 3599}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ends = iter([[b"0\r\n\r\n"]])  # that of the token only
    server = wire(head + b"%x\r\n%s\r\n" % (len(grant), grant), "hang", lambda: iter(next(ends, [])))
    env = {"DOMO_API_URL": server.url, "DOMO_CLIENT_ID": "id", "DOMO_CLIENT_SECRET": "secret"}
    ended = execute([sys.executable, "-X", "dev", "-"], AIOHTTP, SimpleNamespace(url=server.url, env=env))
    assert (ended.stdout, ended.stderr) == ("200\n", "")
    assert len(server.requests) == 2


def test_a_store(domo_sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        assert run([sys.executable, "-"], STORE, domo_sandbox) == "sandbox\n"
    assert domo_sandbox.stats().token_requests == 1


def test_the_wrapper(domo_sandbox):
    assert run([sys.executable, "-"], WRAPPER, domo_sandbox).startswith("sandbox ['data', 'user'] ")


def test_the_generated_client(domo_sandbox):
    assert run([sys.executable, "-"], GENERATED, domo_sandbox).startswith("200 AccessTokenResponse(")


@needs_curl
def test_a_script(domo_sandbox):
    said = run(["sh"], SCRIPT, domo_sandbox)
    assert "sandbox" in said
    assert "Sample: " in said
    assert re.search(r"\D[0-9]{3,}\n$", said)  # characters of a token
    assert domo_sandbox.stats().token_requests == 2  # one for all scopes, one for data


@needs_curl
def test_a_script_ends_where_it_is_given_no_token():
    client = Client(client_id="reader-of-users", client_secret="not-a-secret", scopes=("user",))
    with running(clients=[client], quiet=True) as sandbox:
        ended = execute(["sh"], SCRIPT, sandbox)
        assert ended.returncode == 3  # that of domo-oauth, and not curl's for a 401
        assert "Asked for: data. The client has: user." in ended.stderr
        assert sandbox.stats().resource_requests == 0


def test_in_ci(domo_sandbox):
    assert "credentials" in run(["sh", "-e"], CI, domo_sandbox)


@needs_curl
def test_curl_alone(domo_sandbox):
    assert '"token_type":"bearer"' in run(["sh"], CURL, domo_sandbox).replace(" ", "")


@needs_curl
def test_curl_alone_with_a_secret_that_has_to_be_quoted():
    client = Client(client_id="id", client_secret='a"b\\c\\"%s&$x', scopes=("data", "user"))
    with running(clients=[client], quiet=True) as sandbox:
        assert '"token_type":"bearer"' in run(["sh"], CURL, sandbox).replace(" ", "")


@needs_redis
def test_a_fleet(domo_sandbox, tmp_path, monkeypatch):
    with RedisServer(tmp_path) as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        for _ in range(2):
            assert run([sys.executable, "-"], FLEET, domo_sandbox) == "200\n"
    assert domo_sandbox.stats().token_requests == 1


def test_the_test_of_a_user(domo_sandbox, tmp_path):
    (tmp_path / "test_it.py").write_text(TEST)
    said = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)], "", domo_sandbox)
    assert "1 passed" in said


def test_every_error_is_in_the_table():
    named = set(re.findall(r"^\| `(\w+Error)` \|", README, re.MULTILINE))
    assert named == {name for name in domo_oauth.__all__ if name.endswith("Error")} - {"DomoOAuthError"}


def test_links_lead_somewhere():
    root = Path(__file__).parents[2]
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (root / link).exists()] == []
