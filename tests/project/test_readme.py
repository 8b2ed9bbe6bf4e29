"""The code in README.md and docs/ runs as written, prints what the page says, and shows no secret."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import zip_longest
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest
import yaml

import domo_oauth
from domo_oauth.sandbox import Client, running
from tests.adapters.server import Server, answer
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, Evidence
from tests.secrets.conftest import grants, is_broken, refuses
from tests.stores.redis_server import PASSWORD, RedisServer, needs_redis

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STANDINS = {"PYTHONPATH": str(ROOT / "tests/standins"), "PYTHON_KEYRING_BACKEND": "environment_keyring.Keyring"}
NEEDS = {"REDIS_": needs_redis}
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


WRAPPER = """#!/bin/sh
{ printf '%s ' "$0" "$@"; echo; } >>"$TEST_ARGUMENTS"
exec "COMMAND" "$@"
"""
"""In place of each command of a block: notes its arguments, which `ps` shows to everybody."""
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")  # the sandbox's tokens are JSON Web Tokens, with the client id in them


@pytest.fixture(scope="module")
def sandbox():
    # A secret that has to be quoted in shells and in curl's configuration.
    secret = f'{CLIENT_SECRET}a"b\\c\\"%s&$x'
    client = Client(client_id=CLIENT_ID, client_secret=secret, scopes=("audit", "dashboard", "data", "user"))
    with running(clients=[client], quiet=True) as sandbox:
        yield sandbox


@pytest.fixture
def evidence():
    kept = Evidence()
    kept.look_for("Redis password", PASSWORD)
    return kept


@pytest.fixture
def run(sandbox, evidence, tmp_path):
    folders = work, home, temporary = [tmp_path / name for name in ("work", "home", "temporary")]
    commands, arguments = tmp_path / "commands", tmp_path / "arguments"
    for folder in (*folders, commands):
        folder.mkdir()
    arguments.touch()

    def run(command, block, server=sandbox, **env):
        for name, code in block.files.items():
            (work / name).write_text(code, encoding="utf-8")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        for word in set(re.findall(r"[\w-]+", block.code)) if block.language == "sh" else ():
            if found := shutil.which(word, path=path):
                (commands / word).write_text(WRAPPER.replace("COMMAND", found))
                (commands / word).chmod(0o700)
        variables = {"PATH": f"{commands}{os.pathsep}{path}", "TEST_ARGUMENTS": str(arguments)}
        variables |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TMPDIR": str(temporary)}
        ended = subprocess.run(
            command,
            input=block.code,
            env=os.environ | STANDINS | server.env | variables | env,
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
        )
        place = "output of token" if "curl" in block.code and "/oauth/token" in block.code else "output"
        evidence.add(place, TOKEN.sub(ACCESS_TOKEN, ended.stdout))
        evidence.add("messages", TOKEN.sub(ACCESS_TOKEN, ended.stderr))
        for line in TOKEN.sub(ACCESS_TOKEN, arguments.read_text()).splitlines():
            evidence.add("command line with --client-id" if "--client-id" in line else "process list", line)
        for path in filter(Path.is_file, (each for folder in folders for each in folder.rglob("*"))):
            is_private = stat.S_IMODE(path.stat().st_mode) == 0o600 and path.name == "domo-secret"
            content = path.read_bytes().decode(errors="replace")
            evidence.add("file of the secret" if is_private else "file", TOKEN.sub(ACCESS_TOKEN, content))
        return ended

    return run


NO_REDIS = {"REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1"}


def addresses(redis):
    return {"REDIS_URL": redis.url, "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port), "REDISCLI_AUTH": PASSWORD}


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("python"))
def test_python(block, run, evidence, tmp_path):
    if "\ndef test_" in block.code:
        (tmp_path / "work" / "test_it.py").write_text(block.code, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
        ended = run(command, block._replace(code=""))
    elif "REDIS_" in block.code:
        with RedisServer(tmp_path) as redis:
            ended = run([sys.executable, "-"], block, **addresses(redis))
    else:
        ended = run([sys.executable, "-"], block)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout
    assert block.output is None or matches(ended.stdout, block.output), ended.stdout
    assert evidence.leaks() == []


SHOW_FRAMES = """
import sys, traceback
block = {"__name__": "__main__"}
try:
    exec(compile(sys.stdin.read(), "block.py", "exec"), block)
except BaseException as error:
    while error is not None:
        print(repr(error), vars(error))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_globals is block or frame.f_globals["__name__"].startswith("domo_oauth"):
                print({name: value for name, value in frame.f_locals.items() if value is not frame.f_builtins})
        error = error.__cause__ or error.__context__
"""
"""Runs a block, and shows the locals of its frames and ours, as rich does; those of an HTTP client show the token."""
PROGRAMS = [block for block in blocks("python") if "\ndef test_" not in block.values[0].code]


@pytest.mark.slow
@pytest.mark.parametrize("block", PROGRAMS)
@pytest.mark.parametrize("grant", [grants, is_broken])
def test_python_that_fails_shows_no_secret(block, grant, run, evidence, sandbox):
    """The API redirects to another host, which refuses; or there is no token."""
    with Server(refuses, refuses) as other:
        redirect = answer(302, "", f"Location: {other.url}/other")
        with Server(grant, lambda request: redirect) as domo:
            given = replace(sandbox, url=domo.url)
            ended = run([sys.executable, "-c", SHOW_FRAMES], block, given, DOMO_STORE="none", **NO_REDIS)
    assert ended.returncode == 0, ended.stderr
    evidence.add("another host", *other.requests)
    assert evidence.leaks() == []


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("sh"))
def test_shell(block, run, evidence, tmp_path):
    with RedisServer(tmp_path) if "REDIS_" in block.code else nullcontext() as redis:
        # Without the trap, a server that a failed block leaves running would hold the pipes open.
        block = block._replace(code=f"trap 'kill $! 2>/dev/null || true' EXIT\n{block.code}")
        ended = run(["sh", "-e"], block, **(addresses(redis) if redis else {}))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout
    assert block.output is None or matches(ended.stdout, block.output), ended.stdout
    assert evidence.leaks() == []


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
