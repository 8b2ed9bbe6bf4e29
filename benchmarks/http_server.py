"""A small HTTP/1.1 server for loopback, many times faster than a framework, so that it adds little to what it times."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

__all__ = ["Connection", "Request", "listen", "response"]


class Request(NamedTuple):
    """What a client sent."""

    path: str
    query: str
    fields: dict[str, str]
    """Header fields, by lower-case name."""
    text: str
    """All of it, as it came."""


class Connection(asyncio.Protocol):
    """A connection that is kept alive. Pipelined requests are not supported: no client here sends any."""

    def __init__(self, answer: Callable[[Request, Connection], None], opened: set[Connection]) -> None:
        self._answer, self._opened, self._received = answer, opened, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._opened.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio calls it
        self._opened.discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if not end or len(body) < int(fields.get("content-length", 0)):
            return
        text, self._received = self._received.decode("latin-1"), b""
        target = urlsplit(first.split(" ")[1])
        self._answer(Request(target.path, target.query, fields, text), self)

    def send(self, content: bytes, delay: float = 0.0) -> None:
        """Send a response, if the client is still there, after so many seconds."""
        if delay:
            asyncio.get_running_loop().call_later(delay, self.send, content)
        elif not self.transport.is_closing():
            self.transport.write(content)

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        if not self.transport.is_closing():
            connection: socket.socket = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


async def listen(
    answer: Callable[[Request, Connection], None],
    port: int = 0,
    *,
    opened: set[Connection] | None = None,
    tls: ssl.SSLContext | None = None,
) -> tuple[asyncio.Server, int]:
    """Listen on 127.0.0.1.

    Args:
        answer: Is called with each request and its connection, to send a response.
        port: 0 for any that is free.
        opened: Will hold the connections that are open.
        tls: Makes it an https server.

    Returns:
        The server and its port.
    """
    connections = set[Connection]() if opened is None else opened
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(answer, connections), "127.0.0.1", port, backlog=4096, ssl=tls
    )
    return server, server.sockets[0].getsockname()[1]


def response(status: int, body: object, **fields: str) -> bytes:
    """A response with a JSON body; with HTML, if the body is bytes. An underscore in a field's name becomes a dash."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json;charset=UTF-8"
    fields = {"Content-Type": kind, "Content-Length": str(len(content)), "Cache-Control": "no-store", **fields}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines, "", ""]).encode() + content
