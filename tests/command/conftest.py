"""Runs the command in this process, against a server that gives one response."""

from __future__ import annotations

import json
import random
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from domo_oauth import cli, provider, request
from tests.conftest import Wire

TOKEN = "canary-token.a_b~c+d/e=="


def answer(status: str = "200 OK", *fields: str, body: str = "{}") -> bytes:
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body.encode()


def granted(token: str = TOKEN, **more: object) -> bytes:
    return answer(body=json.dumps({"access_token": token, "token_type": "bearer", "expires_in": 3599} | more))


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    for name in ("NO_COLOR", "NO_PROXY", "no_proxy", "_DOMO_OAUTH_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setattr("keyring.core._keyring_backend", None)  # as in a new process
    monkeypatch.setattr(random, "random", lambda: 0.0)
    monkeypatch.setattr(provider, "Clock", lambda made=provider.Clock: made(sleep=lambda seconds: None))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGXFSZ)}
    yield
    request.tls_context.cache_clear()  # some tests have certificates of their own
    for number, handler in handlers.items():  # `exec` resets them, and SIGPIPE would then end the tests
        signal.signal(number, handler)


@pytest.fixture
def run(capsys, monkeypatch) -> Run:
    """Run a command as if in a process of its own: `run("token --format json", DOMO_STORE="none")`."""

    def run(line: str | list[str | Path], **env: str) -> Ended:
        provider.forget_tokens()
        request.tls_context.cache_clear()
        words = line.split() if isinstance(line, str) else list(map(str, line))
        with monkeypatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            status = cli.main(words)
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def domo(wire, monkeypatch, tmp_path) -> Wire:
    """A server that grants a token, credentials for it, and an empty store."""
    server = wire(granted(customer="acme", role="Admin", userId=7, scope="user data", jti="jti-1"))
    for name, value in {"API_URL": server.url, "CLIENT_ID": "canary-client", "CLIENT_SECRET": "canary-secret"}.items():
        monkeypatch.setenv(f"DOMO_{name}", value)
    monkeypatch.setenv("DOMO_STORE", str(tmp_path / "store"))
    return server


@pytest.fixture
def secret_file(tmp_path) -> Path:
    path = tmp_path / "secret"
    path.write_text(" file-secret\n")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return path
