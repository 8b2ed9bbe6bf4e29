"""A server on loopback that does to its clients what networks, proxies and servers do.

A fault is a function that gets one connection, as a `Peer`, and does the harm. A server gives each connection to the
next of its faults, and all further ones to the last.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

PATIENCE = 30.0
"""Seconds after which the server gives up on a client; far more than a client should take."""

Fault: TypeAlias = Callable[["Peer"], None]
Then: TypeAlias = Literal["close", "reset", "hang", "half-close"]


class HungUpError(OSError):
    """The client hung up."""


class Peer:
    """One connection, as a fault sees it."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self.server = server
        self.connection = connection
        self._received = b""

    def request(self) -> bytes:
        """Read one request, without a body; several may come on one connection."""
        while b"\r\n\r\n" not in self._received:
            received = self.connection.recv(65536)
            if not received:
                raise HungUpError
            self._received += received
        request, end, self._received = self._received.partition(b"\r\n\r\n")
        self.server.requests.append(request + end)
        return request

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def is_gone(self, seconds: float) -> bool:
        """Whether the client hangs up within ``seconds`` seconds."""
        self.connection.settimeout(seconds)
        try:
            return self.connection.recv(65536) == b""
        except TimeoutError:
            return False
        finally:
            self.connection.settimeout(PATIENCE)

    def end(self, how: Then) -> None:
        """Close the connection, reset it (RST), hang (send no more until the client hangs up), or half-close and hang.

        A reset discards what the client has not yet received.
        """
        if how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        if how == "half-close":
            socket.socket.shutdown(self.connection, socket.SHUT_WR)
        while how in {"hang", "half-close"} and not self.is_gone(PATIENCE):
            pass

    def upgrade(self) -> None:
        """Speak TLS from now on."""
        assert self.server.tls
        encrypted = self.server.tls.wrap_socket(self.connection, server_side=True, do_handshake_on_connect=False)
        self.connection = encrypted
        encrypted.do_handshake()


class Server:
    """Listens on a port of its own.

    Args:
        faults: What to do with each connection, in turn.
        tls: The certificate; without a `scheme`, each connection is encrypted from the start.
        place: The port is "open", "closed" (it refuses connections) or "full" (the system leaves them unanswered).
        scheme: That of the URL, if the server does not encrypt from the start.
        elsewhere: The URL of another server, for redirects.
    """

    def __init__(
        self,
        *faults: Fault,
        tls: ssl.SSLContext | None = None,
        place: str = "open",
        scheme: str = "",
        elsewhere: str = "",
    ) -> None:
        self.tls, self.elsewhere = tls, elsewhere
        self.requests: list[bytes] = []
        self.connections = 0
        self._faults = itertools.chain(faults[:-1], itertools.repeat(faults[-1]))
        self._scheme = scheme
        self._threads: list[threading.Thread] = []
        self._last: object = None
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=0 if place == "full" else 128)
        self.address: tuple[str, int] = self._socket.getsockname()
        self._waiting: list[socket.socket] = []
        if place == "open":
            self._run(self._accept)
        elif place == "closed":
            self._socket.close()
        else:
            for _ in range(4):  # fill the queue
                waiting = socket.socket()
                waiting.setblocking(False)
                waiting.connect_ex(self.address)
                self._waiting.append(waiting)

    @property
    def url(self) -> str:
        scheme = self._scheme or ("https" if self.tls else "http")
        return f"{scheme}://{self.address[0]}:{self.address[1]}"

    @property
    def token_requests(self) -> int:
        """How many requests came, without CONNECT to a proxy."""
        return sum(not request.startswith(b"CONNECT ") for request in self.requests)

    def close(self) -> None:
        """Stop listening, once all connections so far are accepted and over. Their clients must have gone, or go."""
        for waiting in self._waiting:
            waiting.close()
        if self._threads:
            with socket.socket() as last:
                last.bind(("127.0.0.1", 0))
                self._last = last.getsockname()
                last.connect(self.address)  # connections are accepted in order
                self._threads[0].join(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        self._threads.clear()
        self._socket.close()

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, address = self._socket.accept()
            if address == self._last:
                connection.close()
                return
            connection.settimeout(PATIENCE)
            self.connections += 1
            self._run(self._serve, Peer(self, connection), next(self._faults))

    def _serve(self, peer: Peer, fault: Fault) -> None:
        try:
            with contextlib.suppress(OSError):
                if self.tls and not self._scheme:
                    peer.upgrade()
                fault(peer)
        finally:
            peer.connection.close()


class Wire(Server):
    """A server that reads one request on each connection and answers with the given bytes.

    Attributes:
        answer: The bytes.
        then: How it ends the connection.
        more: What to send after the answer, until the client hangs up.
        sent: How many bytes of that were sent.
        authority: The file of the authority that issued its certificate.
    """

    def __init__(self, answer: bytes, then: Then = "close", more: Callable[[], Iterator[bytes]] | None = None) -> None:
        self.answer, self.then, self.more, self.sent, self.authority = answer, then, more, 0, ""
        super().__init__(self._say)

    def _say(self, peer: Peer) -> None:
        peer.request()
        peer.send(self.answer)
        for chunk in self.more() if self.more else ():
            peer.send(chunk)
            self.sent += len(chunk)
        peer.end(self.then)
