"""A fake Domo: grants a token, accepts it, and answers as the test says."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from io import BufferedReader
from typing import NamedTuple, Self, TypeAlias

Answer: TypeAlias = Callable[[bytes], bytes]
"""What to send for a request. If it is shorter than its Content-Length, the connection is reset."""

JSON = "Content-Type: application/json"
GRANTED = {"token_type": "bearer", "expires_in": 3599, "customer": "acme"}


def answer(status: int, body: str | bytes | dict[str, object] = "", *fields: str, missing: int = 0) -> bytes:
    text = json.dumps(body) if isinstance(body, dict) else body
    content = text.encode() if isinstance(text, str) else text
    head = "\r\n".join([f"HTTP/1.1 {status} -", f"Content-Length: {len(content) + missing}", *fields])
    return f"{head}\r\n\r\n".encode() + content


def accepts(request: bytes) -> bytes:
    return answer(200, "[]", JSON)


class Server:
    """Listens on a port of its own, which makes it an origin of its own.

    Args:
        grant: How to answer requests for a token.
        api: How to answer all others.
        tls: For clients that begin with TLS; others are answered in plain text, on the same port.
    """

    def __init__(self, grant: Answer, api: Answer = accepts, *, tls: ssl.SSLContext | None = None) -> None:
        self.grant, self.api, self.tls = grant, api, tls
        self.requests: list[bytes] = []
        self.on_request: Callable[[], object] | None = None
        """Called while the client waits for its response."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.connections = 0
        """How many were made."""
        self.open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.authority}"

    @property
    def api_requests(self) -> list[bytes]:
        return [request for request in self.requests if not request.startswith(b"GET /oauth/token")]

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for each in (self._socket, *self.open):  # closing alone does not wake accept() on Linux
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join()

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._run(self._serve, self._socket.accept()[0])

    def _serve(self, connection: socket.socket) -> None:
        self.connections += 1
        self.open.add(connection)
        with connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(60)
            if self.tls and connection.recv(1, socket.MSG_PEEK) == b"\x16":  # how a handshake begins
                with self.tls.wrap_socket(connection, server_side=True) as encrypted:
                    self.converse(encrypted)
            else:
                self.converse(connection)
        self.open.discard(connection)

    def converse(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as file:
            while (head := read_head(file)).endswith(b"\r\n\r\n"):
                given = self.early(head)
                connection.sendall(given)
                self.requests.append(head + read_body(head, file))
                if self.on_request is not None:
                    self.on_request()
                if not given:
                    given = (self.grant if head.startswith(b"GET /oauth/token") else self.api)(self.requests[-1])
                    connection.sendall(given)
                    sent, _, body = given.partition(b"\r\n\r\n")
                    if f"Content-Length: {len(body)}\r\n".encode() not in sent + b"\r\n":
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
                        return

    def early(self, head: bytes) -> bytes:
        """What to answer before the body has come."""
        return b""


def read_head(file: BufferedReader) -> bytes:
    head = b""
    while (line := file.readline()) not in {b"", b"\r\n"}:
        head += line
    return head + line


def read_body(head: bytes, file: BufferedReader) -> bytes:
    if re.search(rb"(?im)^transfer-encoding: chunked", head):
        body = b""
        while size := int(file.readline(), 16):
            body += file.read(size)
            file.readline()
        file.readline()
        return body
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return file.read(int(length[1])) if length else b""


class Seen(NamedTuple):
    path: str
    token: str | None
    body: bytes


class Api(Server):
    """Answers 200, but 401 to the next ``refuse`` requests, and 307 to the paths in ``redirects``."""

    def __init__(self, grant: Answer = accepts, **args) -> None:
        super().__init__(grant, self.respond, **args)
        self.refuse = 0
        self.is_hasty = False
        """Refuses before it reads the body."""
        self.redirects: dict[str, str] = {}

    def respond(self, request: bytes) -> bytes:
        location = self.redirects.get(request.split()[1].decode())
        if location:
            return answer(307, "{}", f"Location: {location}")
        self.refuse -= 1
        return answer(401 if self.refuse >= 0 else 200, "{}")

    def early(self, head: bytes) -> bytes:
        return self.respond(head) if self.is_hasty and self.refuse > 0 else b""

    @property
    def seen(self) -> list[Seen]:
        found = []
        for request in self.requests:
            head, _, body = request.partition(b"\r\n\r\n")
            token = re.search(rb"(?im)^authorization: *bearer ([^\r]*)", head)
            found.append(Seen(head.split()[1].decode(), token and token[1].decode(), body))
        return found

    @property
    def tokens(self) -> list[str | None]:
        return [request.token for request in self.seen]


class Domo(Api):
    """Grants tokens for the secret of the moment, and accepts those that were not revoked."""

    def __init__(self, lifetime: int = 3599) -> None:
        super().__init__(self.decide)
        self.secret, self.lifetime, self.valid = "canary-old", lifetime, set[bytes]()
        self.granted = self.refused = 0
        self.on_refusal: Callable[[], object] = lambda: None

    def decide(self, request: bytes) -> bytes:
        sent = re.search(rb"(?i)authorization: basic (\S+)", request)
        if not base64.b64decode(sent[1]).endswith(self.secret.encode()):
            self.refused += 1
            self.on_refusal()
            return answer(401, {"error": "invalid_client"}, JSON)
        self.granted += 1
        token = f"canary-{self.granted}"
        self.valid.add(token.encode())
        return answer(200, GRANTED | {"access_token": token, "expires_in": self.lifetime}, JSON)

    def respond(self, request: bytes) -> bytes:
        sent = re.search(rb"(?i)authorization: bearer ([^\r]*)", request)
        return answer(200 if sent and sent[1] in self.valid else 401, "{}")
