"""Shared by all tests: a clean environment, a server that says what it is told to, and no silent skips in CI."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import pytest

from domo_oauth import ClientCredentials

CLIENT_ID = "canary-client-7f3d91"
CLIENT_SECRET = "canary-secret-c0ffee5ec2e7"
ACCESS_TOKEN = "eyJhbGciOiJSUzI1NiJ9.canary-token-5a1e.signature"

Then = Literal["close", "reset", "hang"]


# A shell has what it runs in the background ignore Ctrl-C, and so would all processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET", "DOMO_API_URL", "DOMO_STORE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    # No test meets the tokens of another, or of whoever runs it.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / f"cache-{next(_numbers)}"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """No test changes what another finds in the log, as commands do to that of their process."""
    logger = logging.getLogger("domo_oauth")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.fixture
def credentials() -> ClientCredentials:
    return ClientCredentials(CLIENT_ID, CLIENT_SECRET)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@dataclass
class Wire:
    """A server on loopback that reads a request and answers with the bytes it was given, whatever they are."""

    answer: bytes
    then: Then
    more: Callable[[], Iterator[bytes]] | None = None
    """What to send after the answer, until the client hangs up."""
    requests: list[bytes] = field(default_factory=list)
    sent: int = 0
    tls: ssl.SSLContext | None = None
    authority: str = ""
    """File of the certificate authority that vouches for ``tls``."""
    _socket: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        self._run(self._accept)

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if not self.tls:
                self._converse(connection)
                return
            with self.tls.wrap_socket(connection, server_side=True) as encrypted:
                self._converse(encrypted)

    def _converse(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            received = connection.recv(65536)
            if not received:
                return
            request += received
        self.requests.append(request)
        connection.sendall(self.answer)
        for chunk in self.more() if self.more else ():
            connection.sendall(chunk)
            self.sent += len(chunk)
        if self.then == "hang":
            connection.recv(1)  # until the client hangs up
        if self.then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        # Closing alone does not wake accept() on Linux.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:  # the first is the one that accepts: once it has ended, no other comes
            thread.join()


@pytest.fixture
def wire() -> Iterator[Callable[..., Wire]]:
    """Start a server that answers with raw bytes: ``wire(b"HTTP/1.1 200 OK...", then="close")``."""
    with contextlib.ExitStack() as stack:

        def start(answer: bytes, then: Then = "close", more: Callable[[], Iterator[bytes]] | None = None) -> Wire:
            server = Wire(answer, then, more)
            stack.callback(server.close)
            server.start()
            return server

        yield start


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a test that is skipped is a test that is missing."""
    if not os.environ.get("CI"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
