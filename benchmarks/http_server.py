"""A small HTTP/1.1 server for loopback, many times faster than a framework, so that it adds little to what it times."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

__all__ = ["HTTPServer", "Request", "grant", "reset", "response"]


class Request(NamedTuple):
    """What a client sent."""

    path: str
    query: str
    fields: dict[str, str]
    """Header fields, by lower-case name."""
    text: str
    """All of it, as it came."""


class HTTPServer:
    """Listens on 127.0.0.1 and keeps connections alive.

    Args:
        answer: Is called with each request, and writes the response.
    """

    def __init__(self, answer: Callable[[Request, asyncio.StreamWriter], Awaitable[None]]) -> None:
        self.port = 0
        self._answer, self._opened = answer, set[asyncio.StreamWriter]()

    async def start(self, tls: ssl.SSLContext | None = None) -> str:
        """Listen on the port of the last time; the first time on one that is free. Return the origin."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=4096, ssl=tls)
        self.port = self._listener.sockets[0].getsockname()[1]
        return f"https://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop listening, and reset all connections."""
        self._listener.close()
        for writer in tuple(self._opened):
            reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._opened.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                target = urlsplit(first.split(" ")[1])
                await self._answer(Request(target.path, target.query, fields, head + body.decode("latin-1")), writer)
        self._opened.discard(writer)
        writer.close()


def grant(token: str, lifetime: int, serial: str) -> dict[str, object]:
    """The body of an answer that grants a token."""
    granted = {"access_token": token, "token_type": "bearer", "expires_in": lifetime, "scope": "data user"}
    return {**granted, "customer": "bench", "userId": 1, "role": "Admin", "jti": serial}


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection with a TCP reset."""
    if not writer.is_closing():
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


def response(status: int, body: object, **fields: str) -> bytes:
    """A response with a JSON body, or with HTML if it is bytes. An underscore in a field's name becomes a dash."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json;charset=UTF-8"
    fields = {"Content-Type": kind, "Content-Length": str(len(content)), "Cache-Control": "no-store", **fields}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines, "", ""]).encode() + content
