"""The search finds what it looks for: a leak of each kind, in each form, planted where the other tests look."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from domo_oauth.contract import Exchange
from domo_oauth.contract.har import har_text
from domo_oauth.stores.file import FileStore
from tests.integration.redis_server import RedisServer, needs_redis
from tests.secrets import show
from tests.secrets.canaries import ACCESS_TOKEN, ALLOWED, CLIENT_ID, CLIENT_SECRET, PIECE, Evidence, forms
from tests.secrets.processes import look
from tests.secrets.test_in_process import all_values

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here: run it on Linux")


@pytest.mark.parametrize("form", forms(CLIENT_SECRET))
def test_each_form_is_found(form):
    evidence = Evidence()
    evidence.add("here", f"before {forms(CLIENT_SECRET)[form]} after")
    (leak, *_) = evidence.leaks()
    assert "here: client secret" in leak


@pytest.mark.parametrize("before", range(6))
def test_a_pair_within_base64_is_found(before):
    from base64 import b64encode

    evidence = Evidence()
    evidence.add("here", b64encode(f"{'x' * before}{CLIENT_ID}:{CLIENT_SECRET}".encode()))
    assert {leak.split(" (")[0] for leak in evidence.leaks()} == {"here: client id", "here: client secret"}


def test_a_part_is_found_and_less_is_not():
    for length, found in (PIECE, 1), (PIECE - 1, 0):
        evidence = Evidence()
        evidence.add("here", ACCESS_TOKEN[5 : 5 + length])
        assert len(evidence.leaks()) == found


def test_nothing_is_found_where_nothing_is(evidence, tmp_path):
    evidence.add("here", "plain text", b"\xff\x00", {"a": 1}, CLIENT_ID[:4])
    (tmp_path / "file").write_text("text")
    evidence.add_files(tmp_path)
    assert evidence.leaks() == []


def test_each_place_that_may_hold_a_secret_says_why():
    assert all(ALLOWED.values())
    evidence = Evidence()
    for place, _ in ALLOWED:
        evidence.add(place, CLIENT_ID, CLIENT_SECRET, ACCESS_TOKEN)
    assert evidence.allowed() == set(ALLOWED)
    assert any(leak.startswith("environment of exec's command: client secret") for leak in evidence.leaks())


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
    from tests.secrets.ways import run_watched

    async def main() -> int:
        asyncio.get_running_loop().call_soon(print, ACCESS_TOKEN)
        await asyncio.sleep(0)
        return 0

    run_watched(main)
    assert "log: token" in evidence.leaks()[0]


class Shows:
    def __init__(self) -> None:
        self.token = ACCESS_TOKEN


@pytest.mark.parametrize("shown", ["text", "object", "nested"])
def test_a_value(shown):
    evidence = Evidence()
    values = {"text": ACCESS_TOKEN, "object": Shows(), "nested": {"nested": [ACCESS_TOKEN]}}
    evidence.add("value", show.value(values[shown]))
    assert len(evidence.leaks()) == 1


def fail(token: str) -> None:
    raise ValueError(len(token))


def fail_at_a_line_that_names_it(shows: Shows) -> None:
    raise ValueError(len(shows.token))


def fail_behind_another(token: str) -> None:
    try:
        fail(token)
    except ValueError:
        raise RuntimeError from None


PLANTED = {
    show.by_traceback: lambda: fail(ACCESS_TOKEN),
    show.by_rich: lambda: fail(ACCESS_TOKEN),
    show.by_sentry: lambda: fail(ACCESS_TOKEN),
    show.by_lookup: lambda: fail_at_a_line_that_names_it(Shows()),
    show.by_stack_data: lambda: fail_at_a_line_that_names_it(Shows()),
    show.by_log: lambda: exec(f"raise ValueError({ACCESS_TOKEN!r})"),
    show.message: lambda: exec(f"raise ValueError({ACCESS_TOKEN!r})"),
}


@pytest.mark.parametrize("tool", PLANTED, ids=lambda tool: tool.__name__)
def test_a_traceback(tool):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- whatever it says
        PLANTED[tool]()
    evidence = Evidence()
    evidence.add("traceback", tool(caught.value))
    assert "traceback: token" in evidence.leaks()[0]


def test_a_frame_of_an_error_behind_an_error():
    with pytest.raises(RuntimeError) as caught:
        fail_behind_another(ACCESS_TOKEN)
    evidence = Evidence()
    evidence.add("traceback", *(text for _, text in show.frames(caught.value)))
    assert "traceback: token" in evidence.leaks()[0]


def test_a_store_file(evidence, tmp_path):
    FileStore(tmp_path / "store").save("0" * 32, ACCESS_TOKEN.encode(), 60.0)
    evidence.add_files(tmp_path)
    assert "file: token" in evidence.leaks()[0]


def test_a_temporary_file(evidence, tmp_path):
    with tempfile.NamedTemporaryFile(delete=False, prefix=ACCESS_TOKEN) as file:
        file.write(CLIENT_SECRET.encode())
    evidence.add_files(tmp_path)
    assert {leak.split(" (")[0] for leak in evidence.leaks()} == {"file name: token", "file: client secret"}


def test_a_recording(evidence, tmp_path):
    exchange = Exchange(
        method="GET",
        url="https://api.domo.com/oauth/token",
        request_headers=(),
        status=200,
        response_headers=(("Content-Type", "application/json"),),
        response_body=json.dumps({"access_token": ACCESS_TOKEN}).encode(),
    )
    about = {"comment": "", "provenance": {"kind": "derived"}, "version": "1", "started": "2026-01-01T00:00:00Z"}
    text = har_text(exchange, milliseconds=1.0, **about)
    (tmp_path / "planted.har").write_text(text)
    evidence.add_files(tmp_path)
    assert "file: token" in evidence.leaks()[0]


@needs_proc
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


@needs_redis
def test_a_value_in_redis(tmp_path):
    evidence = Evidence()
    with RedisServer(tmp_path) as server:
        server.run("SET", "key", ACCESS_TOKEN)
        server.run("XADD", "stream", "*", "field", CLIENT_SECRET)
        evidence.add("redis", *all_values(server))
    assert {leak.split(" (")[0] for leak in evidence.leaks()} == {"redis: token", "redis: client secret"}


def test_what_pytest_prints(tmp_path):
    (tmp_path / "test_it.py").write_text(f"def test():\n    token = {ACCESS_TOKEN[::-1]!r}[::-1]\n    assert False\n")
    command = [sys.executable, "-m", "pytest", "-vv", "--showlocals", "-p", "no:cacheprovider"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    evidence = Evidence()
    evidence.add("output of pytest", ended.stdout)
    assert "output of pytest: token (plain)" in str(evidence.leaks())
