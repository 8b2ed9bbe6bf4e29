"""What the README shows is run as it stands, with the sandbox in Domo's place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import domo_oauth

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def run(command: list[str], code: str, sandbox) -> str:
    ended = subprocess.run(
        command,
        input=code.replace("https://api.domo.com", sandbox.url),
        env=os.environ | sandbox.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


HTTPX, REQUESTS, AIOHTTP, HTTPX2, WRAPPER, GENERATED, TEST = blocks("python")
(SHELL,) = blocks("sh")


def test_httpx(domo_sandbox):
    assert run([sys.executable, "-"], HTTPX, domo_sandbox).startswith("['Sample: ")


@pytest.mark.parametrize("code", [REQUESTS, AIOHTTP, HTTPX2], ids=["requests", "aiohttp", "httpx2"])
def test_the_other_clients(code, domo_sandbox):
    assert run([sys.executable, "-"], code, domo_sandbox) == "200\n"


def test_the_wrapper(domo_sandbox):
    assert run([sys.executable, "-"], WRAPPER, domo_sandbox).startswith("sandbox ['data', 'user'] ")


def test_the_generated_client(domo_sandbox):
    assert run([sys.executable, "-"], GENERATED, domo_sandbox).startswith("200 AccessTokenResponse(")


def test_the_shell(domo_sandbox):
    if not shutil.which("curl"):
        pytest.skip("needs curl: apt-get install curl")
    assert '"token_type":"bearer"' in run(["sh"], SHELL, domo_sandbox).replace(" ", "")


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
