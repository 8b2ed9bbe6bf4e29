"""gunicorn: workers that were forked after a token was fetched share it, and each renewal, through a FileStore."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import checks

WORKERS = 4
CALLS = 40
LOG = Path("gunicorn.log")


@contextmanager
def serving(*command: str) -> Iterator[str]:
    """Run the page's command on a free port; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = (
        f"--bind 127.0.0.1:{port} --access-logfile {LOG} --access-logformat 'worker=%(p)s %(s)s' --log-level debug"
    )
    LOG.unlink(missing_ok=True)
    process = subprocess.Popen(command, env=os.environ | {"GUNICORN_CMD_ARGS": arguments})
    try:
        checks.wait_for(lambda: is_open(port))
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def ask(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 -- http:// to loopback
            assert b"Sample" in answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


def ask_all(url: str) -> dict[str, int]:
    """Ask until each worker has answered. Returns what the sandbox counted."""
    before, workers = checks.sandbox.stats(), set[str]()
    already = len(LOG.read_text().splitlines()) if LOG.exists() else 0
    with ThreadPoolExecutor(8) as pool:
        while len(workers) < WORKERS:
            assert set(pool.map(ask, [url] * CALLS)) == {200}
            workers = set(re.findall(r"worker=<?(\d+)", "\n".join(LOG.read_text().splitlines()[already:])))
    return checks.since(before)


with serving("sh", "serve.sh") as url:
    assert checks.sandbox.stats().token_requests == 1  # by the main process
    counted = ask_all(url)
    assert counted["token_requests"] == 0, counted
    checks.row["calls"] = f"1 for {counted['resource_requests']} calls by {WORKERS} workers"
    checks.sandbox.lifetime = 20
    checks.sandbox.revoke_tokens()
    counted = ask_all(url)
    assert counted["token_requests"] == 1, counted
    assert 1 <= counted["invalid_token"] <= 8 * WORKERS, counted
    checks.row["revoked"] = "renewed, 401 replayed; 1 request by all"
    time.sleep(20.2)
    counted = ask_all(url)
    assert counted["token_requests"] == 1, counted
    assert counted["invalid_token"] == 0, counted
    checks.row["expired"] = "renewed, no 401; 1 request by all"
    checks.sandbox.lifetime = 3599
    checks.sandbox.fail_next(500, at="api")
    assert ask(url) == HTTPStatus.BAD_GATEWAY

(stored,) = [path for path in Path(".cache").rglob("*") if path.is_file() and path.stat().st_size]
shutil.copy(stored, "searched")  # the runner searches it
shutil.rmtree(".cache")
before = checks.sandbox.stats()
with serving("gunicorn", "--workers", str(WORKERS), "web:app") as url:  # each worker imports the program
    ask_all(url)
    assert checks.since(before)["token_requests"] == 1, checks.since(before)

before = checks.sandbox.stats()
wrong = checks.WRONG | {"GUNICORN_CMD_ARGS": "--bind 127.0.0.1:0"}
output = checks.run("sh", "serve.sh", env=wrong, fails=True)
assert "Domo does not accept the client id" in output, output
assert checks.WRONG["DOMO_CLIENT_SECRET"] not in output, output
assert checks.since(before)["token_requests"] == 1
checks.row["wrong"] = "1 request; does not start, says why"
checks.versions("gunicorn")
checks.done("fork after a fetch; with and without `--preload`; an API that fails: 502")
