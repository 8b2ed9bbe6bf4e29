"""A server on loopback that does to its clients what networks, proxies and servers do.

A fault is a function that is given one connection, as a `Peer`, and does the harm. A server gives its connections to
its faults in turn, and all that come after to the last one. It counts connections, and keeps the requests.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import TypeAlias

PATIENCE = 30.0
"""Seconds after which the server gives up on a client that does not; far more than a client should take."""

Fault: TypeAlias = Callable[["Peer"], None]


class HungUpError(OSError):
    """The client hung up."""


class Peer:
    """One connection, as a fault sees it."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self.server = server
        self.connection = connection
        self.reads_no_more = threading.Event()
        """Set by those who only send from now on, as the end of a connection may reach them late."""
        self._received = b""

    def request(self) -> bytes:
        """Read one request, which has no body; several may come on one connection."""
        while b"\r\n\r\n" not in self._received:
            received = self.connection.recv(65536)
            if not received:
                raise HungUpError
            self._received += received
        request, _, self._received = self._received.partition(b"\r\n\r\n")
        self.server.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def is_gone(self, seconds: float) -> bool:
        """Whether the client hangs up within so many seconds."""
        self.connection.settimeout(seconds)
        try:
            return self.connection.recv(65536) == b""
        except TimeoutError:
            return False
        finally:
            self.connection.settimeout(PATIENCE)

    def hang(self) -> None:
        """Say nothing more until the client hangs up."""
        while not self.is_gone(PATIENCE):
            pass

    def half_close(self) -> None:
        """Say that nothing more comes, and go on listening."""
        socket.socket.shutdown(self.connection, socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection off (RST), so that what is still under way is lost."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def upgrade(self) -> None:
        """Speak TLS from now on, as behind a CONNECT."""
        assert self.server.tls
        encrypted = self.server.tls.wrap_socket(self.connection, server_side=True, do_handshake_on_connect=False)
        self.connection = encrypted
        encrypted.do_handshake()


class Server:
    """Listens on a port of its own.

    Args:
        faults: What to do with each connection, in turn; the last one holds for all that follow.
        tls: Encrypt each connection before a fault is given it.
        place: "open"; "closed", where connections are refused; "full", where the system answers none any more.
        scheme: That of the URL; else what `tls` says.
        elsewhere: The URL of another server, for those who redirect.
    """

    def __init__(
        self,
        *faults: Fault,
        tls: ssl.SSLContext | None = None,
        place: str = "open",
        scheme: str | None = None,
        elsewhere: str = "",
    ) -> None:
        self.tls = tls
        self.elsewhere = elsewhere
        self.requests: list[bytes] = []
        self.connections = 0
        self._faults = itertools.chain(faults[:-1], itertools.repeat(faults[-1]))
        self._encrypts = tls is not None and scheme is None
        self._scheme = scheme or ("https" if tls else "http")
        self._peers: list[Peer] = []
        self._open: set[Peer] = set()
        self._threads: list[threading.Thread] = []
        self._accepted: set[tuple[str, int]] = set()
        self._changed = threading.Condition()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        self._waiting: list[socket.socket] = []
        if place == "open":
            self._listen()
        elif place == "full":
            self._fill()

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self.address[0]}:{self.address[1]}"

    @property
    def token_requests(self) -> int:
        """How many requests came, but for those to a proxy to let one through."""
        return sum(not request.startswith(b"CONNECT ") for request in self.requests)

    def settle(self) -> None:
        """Wait until all has been done that clients who are gone left behind, and all of them are gone."""
        with socket.create_connection(self.address) as last:  # connections are accepted in the order that they came
            name = last.getsockname()
            with self._changed:
                assert self._changed.wait_for(lambda: name in self._accepted, PATIENCE)
        assert all(peer.reads_no_more.wait(PATIENCE) for peer in self._peers)
        self.connections -= 1

    def close(self) -> None:
        """Stop listening, and break off what is under way."""
        for waiting in self._waiting:
            waiting.close()
        # Closing alone does not wake accept() on Linux.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads[:1]:  # who accepts: once it has ended, no other connection comes
            thread.join(PATIENCE)
        with self._changed:
            for peer in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(peer.connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        self._threads.clear()

    def restart(self) -> None:
        """Listen on the same port again, after `close`."""
        self._socket = socket.create_server(self.address)
        self._listen()

    def _listen(self) -> None:
        self._socket.listen(128)
        self._run(self._accept)

    def _fill(self) -> None:
        """Fill the queue of connections that nobody accepts, so that the system leaves the next one unanswered."""
        self._socket.listen(0)
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(self.address)
            self._waiting.append(waiting)

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self._socket.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            peer = Peer(self, connection)
            with self._changed:
                self.connections += 1
                self._peers.append(peer)
                self._open.add(peer)
            self._run(self._serve, peer, next(self._faults))
            with self._changed:
                self._accepted.add(address)
                self._changed.notify_all()

    def _serve(self, peer: Peer, fault: Fault) -> None:
        try:
            with contextlib.suppress(OSError):
                if self._encrypts:
                    peer.upgrade()
                fault(peer)
        finally:
            with self._changed:
                self._open.discard(peer)
            peer.connection.close()
            peer.reads_no_more.set()
