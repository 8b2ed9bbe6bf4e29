"""The code in README.md and docs/ runs as written, against the sandbox, and prints what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from fnmatch import fnmatchcase
from itertools import zip_longest
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest
import yaml

import domo_oauth
from domo_oauth.sandbox import Client, running
from tests.stores.redis_server import RedisServer, needs_redis

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STANDINS = {"PYTHONPATH": str(ROOT / "tests/standins"), "PYTHON_KEYRING_BACKEND": "environment_keyring.Keyring"}
NEEDS = {"REDIS_URL": needs_redis}
NEEDS["curl"] = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl: apt-get install curl")
BLOCK = re.compile(r"^( *)```(\S*)(?: title=\"(.*?)\")?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
NOT_RUN = {"", "text", "{eval-rst}", "{toctree}", "{drawn}"}
"""Output of the block before, if it is text; and what the build of the site checks."""


class Block(NamedTuple):
    """A block of code, what it prints according to the page, and the files that the page says to save."""

    language: str
    code: str
    output: str | None
    files: dict[str, str]


def blocks_of(page):
    files, found = {}, list(BLOCK.finditer(page.read_text(encoding="utf-8")))
    for match, after in zip_longest(found, found[1:]):
        code = dedent(match[4])
        if match[3]:
            files[match[3]] = code
        is_output = after is not None and after[2] == "text" and not match.string[match.end() : after.start()].strip()
        line = match.string.count("\n", 0, match.start()) + 1
        yield line, Block(match[2], code, after[4] if is_output else None, dict(files))


def blocks(language):
    """The blocks of code in a language, marked with what they need."""
    return [
        pytest.param(
            block,
            id=f"{page.relative_to(ROOT)}:{line}",
            marks=[mark for word, mark in NEEDS.items() if word in block.code],
        )
        for page in PAGES
        for line, block in blocks_of(page)
        if block.language == language
    ]


def matches(output, told):
    """Whether a program printed what the page says, in which `...` stands for anything."""
    pattern = re.sub(r"([*?[])", r"[\1]", told).replace("...", "*")
    return fnmatchcase(output, pattern)


@pytest.fixture(scope="module")
def sandbox():
    # A secret that has to be quoted in shells and in curl's configuration.
    client = Client(client_id="id", client_secret='a"b\\c\\"%s&$x', scopes=("audit", "dashboard", "data", "user"))
    with running(clients=[client], quiet=True) as sandbox:
        yield sandbox


@pytest.fixture
def run(sandbox, tmp_path):
    def run(command, block, server=sandbox, **env):
        for name, code in block.files.items():
            (tmp_path / name).write_text(code, encoding="utf-8")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            input=block.code,
            env=os.environ | STANDINS | server.env | {"PATH": path} | env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("python"))
def test_python(block, run, tmp_path):
    if "\ndef test_" in block.code:
        (tmp_path / "test_it.py").write_text(block.code, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
        ended = run(command, block._replace(code=""))
    elif "REDIS_URL" in block.code:
        with RedisServer(tmp_path) as redis:
            ended = run([sys.executable, "-"], block, REDIS_URL=redis.url)
    else:
        ended = run([sys.executable, "-"], block)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout
    assert block.output is None or matches(ended.stdout, block.output), ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("sh"))
def test_shell(block, run, tmp_path):
    with RedisServer(tmp_path) if "REDIS_URL" in block.code else nullcontext() as redis:
        # Without the trap, a server that a failed block leaves running would hold the pipes open.
        block = block._replace(code=f"trap 'kill $! 2>/dev/null || true' EXIT\n{block.code}")
        ended = run(["sh", "-e"], block, **({"REDIS_URL": redis.url} if redis else {}))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout
    assert block.output is None or matches(ended.stdout, block.output), ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in blocks("sh") if "config=$(" in block.values[0].code])
def test_a_script_ends_where_it_gets_no_token(block, run):
    client = Client(client_id="reader-of-users", client_secret="not-a-secret", scopes=("user",))
    with running(clients=[client], quiet=True) as sandbox:
        assert run(["sh"], block, sandbox).returncode == 3  # of domo-oauth; curl's for a 401 would be 22
        assert sandbox.stats().resource_requests == 0


@pytest.mark.parametrize("block", blocks("yaml"))
def test_yaml(block):
    assert yaml.safe_load(block.code)


@pytest.mark.parametrize("block", blocks("console"))
def test_what_to_type_at_a_prompt(block):
    """Installing and publishing are not run here, so that each kind is listed, and its names exist."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in re.findall(r"^\$ (.*)$", block.code, re.MULTILINE):
        command = re.sub(r"^(\w+=\S+ )+", "", line)
        if extras := re.search(r"pip install '\.\[(.*?)\]'", command):
            assert set(extras[1].split(",")) <= set(project["optional-dependencies"])
        elif target := re.match(r"make ([\w-]+)", command):
            assert f"\n{target[1]}: " in (ROOT / "Makefile").read_text()
        else:
            assert command.startswith(("python3 -m venv ", "domo-oauth sandbox", "export DOMO_", "python table.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_run_and_errors_and_links_exist(page):
    assert {block.language for _, block in blocks_of(page)} <= NOT_RUN | {"python", "sh", "console", "yaml"}
    text = page.read_text(encoding="utf-8")
    errors = {name for name in re.findall(r"`(\w+Error)`", text) if name != "ResponseValidationError"}
    assert errors <= set(dir(domo_oauth)) | {"StoreError"}
    links = [link for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text) if not (page.parent / link).exists()]
    assert links == []


def test_the_readme_is_one_page():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_errors_in_the_readme_are_those_of_the_reference():
    readme, reference = (
        [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
        for name in ("README.md", "docs/reference/errors.md")
    )
    assert [row for row in readme if row not in reference] == []
    assert readme
