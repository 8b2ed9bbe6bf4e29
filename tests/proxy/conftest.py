"""`domo-oauth proxy`, the local gateway that adds the token: run on a thread, in front of a fake Domo."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from domo_oauth import ClientCredentials, TokenProvider, serving
from domo_oauth.proxy import Access, create_app
from tests.adapters.server import GRANTED, JSON, Api, answer
from tests.fakes import PATIENCE, until

SECRET = "canary-secret"
KEY = "canary-key-of-the-proxy"
HEAD = f"Host: localhost\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n"
"""Of a request that `raw` sends."""


class Grants:
    """Grants a new token for each request."""

    number = 0

    def __call__(self, _request: bytes) -> bytes:
        self.number += 1
        token = {"access_token": f"canary-token-{self.number}", **GRANTED}
        return answer(200, token, JSON)


@pytest.fixture
def api() -> Iterator[Api]:
    with Api(Grants()) as server:
        yield server


@contextmanager
def running(access: Access, base_url: str, **httpx_args: object) -> Iterator[httpx.Client]:
    """Run the proxy on a thread. Yields a client of it, which sends the key and nothing that httpx adds."""
    provider = TokenProvider(ClientCredentials("canary-id", SECRET), base_url=base_url, httpx_args=httpx_args)
    server = serving.server(create_app(provider, access), grace=1, date_header=False)
    listener = serving.listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=[[listener]])
    thread.start()
    try:
        until(lambda: server.started)
        headers = {"Authorization": f"Bearer {access.key}"} if access.key else {}
        url = serving.url_of(listener)
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=PATIENCE) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def proxy(api):
    """A running proxy: ``proxy(Access(...))``, by default with a key."""
    with ExitStack() as stack:
        yield lambda access=None, url=api.url: stack.enter_context(running(access or Access(KEY), url))


def raw(client: httpx.Client, request: str) -> bytes:
    """Send a request as it is, and return all that comes until the connection closes."""
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=60) as connection:
        connection.sendall(request.encode())
        received = b""
        while data := connection.recv(65536):
            received += data
    return received


@pytest.fixture
def env(api, monkeypatch) -> None:
    for name, value in {"API_URL": api.url, "CLIENT_ID": "canary-id", "CLIENT_SECRET": SECRET}.items():
        monkeypatch.setenv(f"DOMO_{name}", value)


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Start the command. Yields the process, and the variables that its first line sets."""
    with tempfile.TemporaryFile("w+") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "domo_oauth", "proxy", *arguments], stdout=subprocess.PIPE, stderr=log, text=True
        )
        started.stderr = log
        with started:
            try:
                words = started.stdout.readline().split()
                yield started, dict(word.split("=", 1) for word in words if "=" in word)
            finally:
                started.kill()


def end(process: subprocess.Popen[str]) -> str:
    """Stop it as a service manager does. Returns its log."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert process.stdout.read() == ""
    log = log_of(process)
    assert "canary" not in log
    return log


def log_of(process: subprocess.Popen[str]) -> str:
    process.stderr.seek(0)
    return process.stderr.read()


def peak(pid: int) -> int:
    """The most memory that a process had, in bytes."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024
