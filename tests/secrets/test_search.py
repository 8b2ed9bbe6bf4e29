"""The search finds what it looks for: a leak of each kind, in each form, planted where the other tests look."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
from base64 import b64encode
from pathlib import Path

import pytest

from domo_oauth.stores.file import FileStore
from tests.secrets import show
from tests.secrets.canaries import ACCESS_TOKEN, ALLOWED, CLIENT_ID, CLIENT_SECRET, PIECE, Evidence, forms
from tests.secrets.processes import look
from tests.secrets.test_in_process import all_values
from tests.stores.redis_server import RedisServer, needs_redis


def found(*contents: object) -> set[str]:
    """What is found in a place that may not hold a secret."""
    evidence = Evidence()
    evidence.add("here", *contents)
    return {leak.split(" (")[0] for leak in evidence.leaks()}


@pytest.mark.parametrize("form", forms(CLIENT_SECRET))
def test_each_form_is_found(form):
    assert "here: client secret" in found(f"before {forms(CLIENT_SECRET)[form]} after")


@pytest.mark.parametrize("before", range(6))
def test_a_pair_within_base64_is_found(before):
    pair = b64encode(f"{'x' * before}{CLIENT_ID}:{CLIENT_SECRET}".encode())
    assert found(pair) == {"here: client id", "here: client secret"}


def test_a_part_is_found_and_less_is_not():
    assert found(ACCESS_TOKEN[5 : 5 + PIECE]) == {"here: token"}
    assert found(ACCESS_TOKEN[5 : 4 + PIECE], "plain text", b"\xff\x00", {"a": 1}, CLIENT_ID[:4]) == set()


def test_each_place_that_may_hold_a_secret_says_why():
    assert all(ALLOWED.values())
    evidence = Evidence()
    for place, _ in ALLOWED:
        evidence.add(place, CLIENT_ID, CLIENT_SECRET, ACCESS_TOKEN)
    assert evidence.allowed() == set(ALLOWED)
    assert any(leak.startswith("environment of exec's command: client secret") for leak in evidence.leaks())


class Shows:
    def __init__(self) -> None:
        self.token = ACCESS_TOKEN


@pytest.mark.parametrize("shown", [ACCESS_TOKEN, Shows(), {"nested": [ACCESS_TOKEN]}], ids=["text", "object", "nested"])
def test_a_value(shown):
    assert found(show.value(shown)) == {"here: token"}


# Errors.


def fail(token: str) -> None:
    raise ValueError(len(token))


def fail_at_a_line_that_names_it(shows: Shows) -> None:
    raise ValueError(len(shows.token))


def fail_behind_another(token: str) -> None:
    try:
        fail(token)
    except ValueError:
        raise RuntimeError from None


def fail_with_it() -> None:
    exec(f"raise ValueError({ACCESS_TOKEN!r})")


SLOW = pytest.mark.slow
PLANTED = [
    (show.by_traceback, lambda: fail(ACCESS_TOKEN)),
    (show.by_rich, lambda: fail(ACCESS_TOKEN)),
    pytest.param(show.by_sentry, lambda: fail(ACCESS_TOKEN), marks=SLOW),
    (show.by_lookup, lambda: fail_at_a_line_that_names_it(Shows())),
    pytest.param(show.by_stack_data, lambda: fail_at_a_line_that_names_it(Shows()), marks=SLOW),
    (show.message, fail_with_it),
    (lambda error: [text for _, text in show.frames(error)], lambda: fail_behind_another(ACCESS_TOKEN)),
]


@pytest.mark.parametrize(("tool", "plant"), PLANTED, ids=range(len(PLANTED)))
def test_an_error(tool, plant):
    with pytest.raises((ValueError, RuntimeError)) as caught:
        plant()
    assert "here: token" in found(tool(caught.value))


# What a process says and writes.

LOGGED = {
    "argument": {"msg": "%s", "args": (ACCESS_TOKEN,)},
    "field": {"msg": "hidden", "planted": ACCESS_TOKEN},
    "error": {"msg": "hidden", "exc_info": (ValueError, ValueError(ACCESS_TOKEN), None)},
}


@pytest.mark.parametrize("part", LOGGED)
def test_a_log(part, evidence):
    logging.getLogger("planted").handle(logging.makeLogRecord({"name": "planted", "levelno": 10} | LOGGED[part]))
    assert "log: token" in evidence.leaks()[0]


def test_the_debug_mode_of_asyncio(evidence):
    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = 0.0
        asyncio.get_running_loop().call_soon(print, ACCESS_TOKEN)
        await asyncio.sleep(0)

    asyncio.run(main(), debug=True)
    assert "log: token" in evidence.leaks()[0]


def test_files(evidence, tmp_path):
    FileStore(tmp_path / "store").save("0" * 32, ACCESS_TOKEN.encode(), 60.0)
    with tempfile.NamedTemporaryFile(delete=False, prefix=ACCESS_TOKEN) as file:
        file.write(json.dumps({"text": CLIENT_SECRET}).encode())
    evidence.add_files(tmp_path)
    leaks = {leak.split(" (")[0] for leak in evidence.leaks()}
    assert leaks == {"file: token", "file: client secret", "file name: token"}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here: run it on Linux")
@pytest.mark.parametrize("place", ["process list", "environment of a child"])
def test_a_child_process(place):
    evidence, listed = Evidence(), place == "process list"
    child = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", ACCESS_TOKEN if listed else ""]
    env = os.environ | ({} if listed else {"PLANTED": ACCESS_TOKEN})
    with subprocess.Popen(child, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        look(evidence, os.getpid())
        process.stdin.close()
    assert f"{place}: token" in str(evidence.leaks())


@pytest.mark.slow
@needs_redis
def test_a_value_in_redis(tmp_path):
    with RedisServer(tmp_path) as server:
        server.run("SET", "key", ACCESS_TOKEN)
        server.run("XADD", "stream", "*", "field", CLIENT_SECRET)
        assert found(*all_values(server)) == {"here: token", "here: client secret"}


@pytest.mark.slow
def test_what_pytest_prints(tmp_path):
    (tmp_path / "test_it.py").write_text(f"def test():\n    token = {ACCESS_TOKEN[::-1]!r}[::-1]\n    assert False\n")
    command = [sys.executable, "-m", "pytest", "-vv", "--showlocals", "-p", "no:cacheprovider"]
    assert "here: token" in found(subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout)
