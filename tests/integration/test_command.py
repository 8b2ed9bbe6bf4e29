"""The command as a person or a script runs it: a process with arguments, environment and exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from domo_oauth.contract import contract

COMMAND = str(Path(sys.executable).with_name("domo-oauth"))
PAGE = Path(__file__).parents[2] / "openapi/recordings/recorded-2022-documentation-page.har"


def run(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)], env=os.environ | (env or {}), capture_output=True, text=True, check=False
    )


def test_record_asks_redacts_and_verifies(domo_sandbox, tmp_path):
    out = tmp_path / "recordings"
    ended = run("record", "--out", out, env=domo_sandbox.env)
    assert (ended.returncode, ended.stderr) == (0, "")
    written = sorted(out.iterdir())
    assert len(written) == 4
    assert ended.stdout.count("1 exchange checked (sandbox), 0 faults") == 4
    for path in written:
        assert path.stat().st_mode & 0o077 == 0
        text = path.read_text()
        assert domo_sandbox.client_id not in text
        assert domo_sandbox.client_secret not in text
        assert json.loads(text)["log"]["_provenance"]["kind"] == "sandbox"
    assert run("verify", *written).returncode == 0


def test_record_with_a_wrong_secret_says_so_and_writes_nothing(domo_sandbox, tmp_path):
    out = tmp_path / "recordings"
    ended = run("record", "--out", out, env=domo_sandbox.env | {"DOMO_CLIENT_SECRET": "wrong"})
    assert ended.returncode == 3
    assert "granted no token, but answered 401" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.rglob("*.har"))


@pytest.mark.parametrize(("status", "ends"), [("302 Found", 5), ("429 Too Many Requests", 4), ("503 Unavailable", 4)])
def test_record_tells_what_may_pass_from_what_is_not_domos(wire, tmp_path, status, ends):
    server = wire(f"HTTP/1.1 {status}\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".encode())
    env = {"DOMO_API_URL": server.url, "DOMO_CLIENT_ID": "id", "DOMO_CLIENT_SECRET": "secret"}
    ended = run("record", "--out", tmp_path, env=env)
    assert ended.returncode == ends
    assert f"granted no token, but answered {status[:3]}" in ended.stderr
    assert len(server.requests) == 1


def test_record_into_a_file_ends_with_1_and_asks_nothing(domo_sandbox, tmp_path):
    (tmp_path / "file").touch()
    ended = run("record", "--out", tmp_path / "file", env=domo_sandbox.env)
    assert ended.returncode == 1
    assert ended.stderr == f"domo-oauth: {tmp_path / 'file'} cannot be written: File exists. Name another folder.\n"
    assert domo_sandbox.stats().token_requests == 0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("HTTPS_PROXY", "http://user:pa55/word@127.0.0.1:1", "HTTPS_PROXY"), ("SSL_CERT_FILE", "gone", "SSL_CERT_FILE")],
)
def test_record_with_what_httpx_cannot_use_ends_with_2(tmp_path, name, value, said):
    env = {"DOMO_CLIENT_ID": "id", "DOMO_CLIENT_SECRET": "secret", name: value}
    ended = run("record", "--out", tmp_path, env=env)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "pa55" not in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_verify_ends_with_1_and_a_line_per_fault(tmp_path):
    broken = tmp_path / "broken.har"
    har = json.loads((Path(__file__).parents[2] / "openapi/recordings/recorded-2026-guide.har").read_text())
    content = har["log"]["entries"][0]["response"]["content"]
    content["text"] = content["text"].replace("3599", '"3599"')
    broken.write_text(json.dumps(har))
    ended = run("verify", broken)
    assert ended.returncode == 1
    assert "fault: response.body.expires_in: expected" in ended.stdout


def test_nobody_listens_ends_with_4(tmp_path, wire):
    server = wire(b"")
    url = server.url
    server.close()
    env = {"DOMO_API_URL": url, "DOMO_CLIENT_ID": "id", "DOMO_CLIENT_SECRET": "secret"}
    ended = run("record", "--out", tmp_path, env=env)
    assert ended.returncode == 4
    assert ended.stderr.startswith("domo-oauth: ")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [["spec"], ["spec", "--json"], ["verify", PAGE], ["sandbox", "--port", "0"], ["token"], ["whoami"], ["--help"]],
)
def test_a_closed_pipe_is_no_traceback(arguments, domo_sandbox):
    env = os.environ | {"PYTHONUNBUFFERED": ""}  # with it argparse prints its help to nobody without noticing
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        ended = subprocess.run(
            [COMMAND, *arguments], env=env, stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.parametrize("arguments", [["spec"], ["spec", "--json"]])
def test_the_contract_is_utf_8_whatever_the_locale(arguments):
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    printed = subprocess.run([COMMAND, *arguments], env=env, capture_output=True, check=True).stdout
    assert yaml.safe_load(printed.decode()) == contract()


@pytest.mark.parametrize("arguments", [["spec"], ["spec", "--json"], ["token"], ["whoami"], ["--help"], ["doctor"]])
def test_a_full_disk_is_told_in_one_line(arguments, domo_sandbox):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full: Linux")
    env = os.environ | {"PYTHONUNBUFFERED": ""}  # as above
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [COMMAND, *arguments], env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr == "domo-oauth: Standard output cannot be used: No space left on device.\n"


def test_where_even_that_cannot_be_told(domo_sandbox):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full: Linux")
    with Path("/dev/full").open("wb") as full:
        assert subprocess.run([COMMAND, "token"], stdout=full, stderr=full, check=False).returncode == 1
        ended = subprocess.run([COMMAND, "token", "--scope", "x"], stdout=subprocess.PIPE, stderr=full, check=False)
    assert (ended.returncode, ended.stdout) == (2, b"")


@pytest.mark.parametrize(("closed", "status"), [("1", 1), ("2", 0), ("0", 0)])
def test_closed_streams(closed, status, domo_sandbox):
    command = f"exec {COMMAND} token --no-store {closed}>&-"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert ended.returncode == status
    told = "domo-oauth: Standard output cannot be used: Bad file descriptor.\n"
    assert ended.stderr == (told if closed == "1" else "")
    assert ended.stdout.count("\n") == (0 if closed == "1" else 1)


def test_a_message_goes_nowhere_else_if_stderr_is_closed(domo_sandbox):
    command = f"exec {COMMAND} token --scope x 2>&-"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
