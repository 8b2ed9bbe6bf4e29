"""For all tests: a clean environment, and a server that sends given bytes."""

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
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from domo_oauth import ClientCredentials
from tests.fakes import GRANTED
from tests.skips import pytest_sessionfinish, pytest_terminal_summary  # noqa: F401 -- hooks of pytest

if hasattr(signal, "SIGALRM"):
    signal.signal(signal.SIGALRM, lambda *_: None)  # a timer that a test leaves behind must not end the process

CLIENT_ID = "canary-client-7f3d91"
CLIENT_SECRET = "canary-secret-c0ffee5ec2e7"
ACCESS_TOKEN = "eyJhbGciOiJSUzI1NiJ9.canary-token-5a1e.signature"

Then = Literal["close", "reset", "hang"]

# Property tests: the same few inputs in each run, or many others with --hypothesis-profile=fuzz (make fuzz).
COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
settings.register_profile("test", COMMON, max_examples=20, derandomize=True, database=None)
settings.register_profile(
    "fuzz", COMMON, max_examples=1000, database=DirectoryBasedExampleDatabase(".cache/hypothesis")
)
settings.load_profile("test")

# A shell makes the processes that it starts in the background ignore Ctrl-C, and those of the tests inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in os.environ:
        if name.startswith(("DOMO_", "SSL_CERT_")) or name.lower() in {"http_proxy", "https_proxy", "all_proxy"}:
            monkeypatch.delenv(name)
    # Each test has its own store of tokens.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / f"cache-{next(_numbers)}"))


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """Restore level and handlers of the log, which commands change."""
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
    """A server on loopback that reads a request and answers with the given bytes."""

    answer: bytes
    then: Then
    more: Callable[[], Iterator[bytes]] | None = None
    """What to send after the answer, until the client hangs up."""
    requests: list[bytes] = field(default_factory=list)
    sent: int = 0
    tls: ssl.SSLContext | None = None
    authority: str = ""
    """File with the certificate authority that issued the certificate of ``tls``."""
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
        for thread in self._threads:  # the first one accepts: once it has ended, no other is added
            thread.join()


@pytest.fixture
def wire() -> Iterator[Callable[..., Wire]]:
    """Start a server that sends raw bytes: ``wire(b"HTTP/1.1 200 OK...", then="close")``."""
    with contextlib.ExitStack() as stack:

        def start(answer: bytes, then: Then = "close", more: Callable[[], Iterator[bytes]] | None = None) -> Wire:
            server = Wire(answer, then, more)
            stack.callback(server.close)
            server.start()
            return server

        yield start


@pytest.fixture
def tls_server(wire: Callable[..., Wire], tmp_path: Path) -> Wire:
    """A token endpoint with a certificate of an authority that no system knows."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = wire(GRANTED)
    server.tls = context
    server.authority = str(tmp_path / "authority.pem")
    authority.cert_pem.write_to_path(server.authority)
    return server
