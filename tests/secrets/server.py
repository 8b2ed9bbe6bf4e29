"""A server that plays Domo: it grants the token, takes it, and answers as it is told to. One port is one origin."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
import threading
from base64 import b64decode
from collections.abc import Callable
from html import escape
from typing import Self, TypeAlias

from .canaries import ACCESS_TOKEN

Answer: TypeAlias = Callable[[bytes], bytes]
"""What to send for a request. Where that is less than its Content-Length says, the connection is broken off."""

JSON = "Content-Type: application/json"


def answer(status: int, body: str | dict[str, object] = "", *fields: str, missing: int = 0) -> bytes:
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    length = f"Content-Length: {len(content) + missing}"
    head = "\r\n".join([f"HTTP/1.1 {status} -", length, "Connection: close", *fields])
    return f"{head}\r\n\r\n".encode() + content


def authorization(request: bytes) -> tuple[str, str]:
    """The header field of a request, and what it stands for."""
    sent = re.search(rb"(?i)^authorization: *([^\r]*)", request, re.MULTILINE)
    value = sent[1].decode() if sent else ""
    scheme, _, rest = value.partition(" ")
    return value, b64decode(rest).decode() if scheme == "Basic" else rest


def grants(request: bytes) -> bytes:
    granted = {"access_token": ACCESS_TOKEN, "token_type": "bearer", "expires_in": 3599, "customer": "acme"}
    return answer(200, granted, JSON)


def takes(request: bytes) -> bytes:
    return answer(200, "[]", JSON)


def refuses(request: bytes) -> bytes:
    """A 401 that sends back what it refuses, in the fields that errors are read from."""
    value, meaning = authorization(request)
    said = {"error": meaning, "message": f"{value} is wrong", "toe": meaning, "statusReason": value}
    return answer(401, said, JSON)


def is_down(request: bytes) -> bytes:
    """A proxy's page that sends the whole request back. It asks for no retry soon, so that nobody waits for one."""
    value, meaning = authorization(request)
    page = f"<html><title>{escape(value)} {meaning}</title><pre>{escape(request.decode())}</pre></html>"
    return answer(502, page, "Content-Type: text/html", "Retry-After: 3600")


def is_broken(request: bytes) -> bytes:
    """A 200 that is not the contract's, with all that is secret in it."""
    value, meaning = authorization(request)
    said = {"access_token": ACCESS_TOKEN, "token_type": value, "expires_in": value, "customer": [meaning]}
    return answer(200, said, JSON)


def breaks_off(request: bytes) -> bytes:
    """The beginning of an answer, with the token."""
    return answer(200, f'{{"access_token": "{ACCESS_TOKEN}", "expires', JSON, missing=100)


ANSWERS = {
    "good": (grants, takes),
    "refused": (refuses, refuses),
    "down": (is_down, is_down),
    "broken": (is_broken, is_broken),
    "breaks": (breaks_off, breaks_off),
}
"""By name: how the token endpoint answers, and the API."""


class Server:
    """Listens on a port of its own.

    Args:
        grant: How to answer requests for a token.
        api: How to answer all others.
        host: The address to listen at.
        tls: For those who begin with TLS; others are answered in plain text, on the same port.
    """

    def __init__(
        self, grant: Answer = grants, api: Answer = takes, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.grant, self.api, self.host, self.tls = grant, api, host, tls
        self.requests: list[bytes] = []
        self.on_request: Callable[[], object] | None = None
        """Called while the client waits for its answer."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family)
        self.port: int = self._socket.getsockname()[1]
        self._threads: list[threading.Thread] = []

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}"

    @property
    def api_requests(self) -> list[bytes]:
        return [request for request in self.requests if not request.startswith(b"GET /oauth/token")]

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError):  # closing alone does not wake accept() on Linux
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:  # the first is the one that accepts: once it has ended, no other comes
            thread.join()

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            if self.tls and connection.recv(1, socket.MSG_PEEK) == b"\x16":  # how a handshake begins
                with self.tls.wrap_socket(connection, server_side=True) as encrypted:
                    self.converse(encrypted)
            else:
                self.converse(connection)

    def converse(self, connection: socket.socket) -> None:
        request = self.read(connection)
        if not request:
            return
        self.requests.append(request)
        if self.on_request is not None:
            self.on_request()
        given = (self.grant if request.startswith(b"GET /oauth/token") else self.api)(request)
        connection.sendall(given)
        head, _, body = given.partition(b"\r\n\r\n")
        if f"Content-Length: {len(body)}\r\n".encode() not in head + b"\r\n":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset

    @staticmethod
    def read(connection: socket.socket) -> bytes:
        """The head of a request; nothing where none comes. No test sends a body."""
        request = b""
        while b"\r\n\r\n" not in request:
            received = connection.recv(65536)
            if not received:
                return b""
            request += received
        return request
