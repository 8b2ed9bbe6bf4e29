"""What can be done to a client: each function here is a fault, or makes one."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from email.utils import formatdate
from functools import partial

from .server import PATIENCE, Fault, Peer

TOKEN = "eyJ0.canary-token-5a1e"
JSON = "Content-Type: application/json"
HTML = b"<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body>No.</body></html>"
DRIP = 0.02
"""Seconds between the bytes of those who send few."""


def until(seconds: float, skew: float, status: int = 429) -> Fault:
    """Ask to wait so many seconds, as a date of a clock that is wrong by so many."""

    def fault(peer: Peer) -> None:
        peer.request()
        now = time.time() + skew
        date, then = formatdate(now, usegmt=True), formatdate(now + seconds, usegmt=True)
        peer.send(answer(status, b"", f"Date: {date}", f"Retry-After: {then}"))

    return fault


def granted(number: int = 0, **fields: object) -> bytes:
    token = {"access_token": f"{TOKEN}.{number}", "token_type": "bearer", "expires_in": 3599, "customer": "acme"}
    return json.dumps(token | fields).encode()


def answer(status: int | str, body: bytes = b"", *fields: str, length: int | None = None, alive: bool = False) -> bytes:
    """An answer with its length. Not to be kept alive, as who closes a connection never knows who still uses it."""
    length = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} -", *(fields or (JSON,)), f"Content-Length: {length}"]
    lines += [] if alive else ["Connection: close"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def head(status: int | str, *fields: str) -> bytes:
    """The start of an answer that says nothing of its length."""
    return "\r\n".join((f"HTTP/1.1 {status} -", *(fields or (JSON,)))).encode("latin-1") + b"\r\n\r\n"


GRANTED = answer(200, granted())


def grant(peer: Peer) -> None:
    """No fault: a token of its own for each request on this connection."""
    while True:
        peer.request()
        peer.send(answer(200, granted(peer.server.token_requests), alive=True))


# Before a byte is answered


def reset_at_once(peer: Peer) -> None:
    peer.reset()


def close_at_once(peer: Peer) -> None:
    pass


def hang_at_once(peer: Peer) -> None:
    peer.hang()


def close_in_the_handshake(peer: Peer) -> None:
    peer.connection.recv(65536)


def reset_in_the_handshake(peer: Peer) -> None:
    peer.connection.recv(65536)
    peer.reset()


def break_the_handshake(data: bytes) -> Fault:
    def fault(peer: Peer) -> None:
        peer.connection.recv(65536)
        peer.send(data)

    return fault


def say_before_asked(data: bytes) -> Fault:
    """Answer before the request has come."""

    def fault(peer: Peer) -> None:
        peer.send(data)
        peer.request()

    return fault


# Answers, and how they end


def say(*answers: bytes) -> Fault:
    """Answer as many requests on one connection, and close it."""

    def fault(peer: Peer) -> None:
        for data in answers:
            peer.request()
            peer.send(data)

    return fault


def say_and_wait(*answers: bytes) -> Fault:
    """Answer so, and leave the connection open without another word."""

    def fault(peer: Peer) -> None:
        say(*answers)(peer)
        peer.hang()

    return fault


def say_and_reset(data: bytes = b"") -> Fault:
    def fault(peer: Peer) -> None:
        peer.request()
        if data:
            peer.send(data)
            peer.is_gone(DRIP)  # a reset takes along what has not arrived
        peer.reset()

    return fault


def say_and_half_close(data: bytes = b"") -> Fault:
    def fault(peer: Peer) -> None:
        peer.request()
        peer.send(data)
        peer.half_close()
        peer.hang()

    return fault


def say_byte_by_byte(data: bytes) -> Fault:
    def fault(peer: Peer) -> None:
        peer.request()
        for byte in data:
            peer.send(bytes((byte,)))

    return fault


# Answers without an end


def flood(start: bytes, chunk: bytes) -> Fault:
    """Send the same again and again, as fast as it is taken, until the client hangs up."""

    def fault(peer: Peer) -> None:
        peer.request()
        peer.reads_no_more.set()
        peer.send(start)
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            peer.send(chunk)

    return fault


def drip(start: bytes, part: bytes = b" ", *, below_tls: bool = False) -> Fault:
    """Send a little now and then: never so long nothing that a read would time out, and never an end."""

    def fault(peer: Peer) -> None:
        peer.request()
        peer.reads_no_more.set()
        peer.send(start)
        drip_until_gone(peer, part, below_tls=below_tls)

    return fault


def drip_handshake(start: bytes) -> Fault:
    """The same in place of an answer to the first message of a TLS handshake."""

    def fault(peer: Peer) -> None:
        peer.connection.recv(65536)
        peer.reads_no_more.set()
        peer.send(start)
        drip_until_gone(peer, b"x")

    return fault


def drip_until_gone(peer: Peer, part: bytes, *, below_tls: bool = False) -> None:
    send = partial(socket.socket.sendall, peer.connection) if below_tls else peer.send
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up and not peer.is_gone(DRIP):
        send(part)


# Proxies and those who send elsewhere


def redirect(status: int, where: str) -> Fault:
    """Redirect to a path, or, where it says ELSEWHERE, to another server."""

    def fault(peer: Peer) -> None:
        peer.request()
        location = where.replace("ELSEWHERE", peer.server.elsewhere).replace("HERE", peer.server.url)
        peer.send(answer(status, b"", f"Location: {location}"))

    return fault


def through(fault: Fault) -> Fault:
    """Be a proxy that lets a client through to a server with this fault."""

    def proxy(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        fault(peer)

    return proxy


def with_tls(fault: Fault) -> Fault:
    def encrypted(peer: Peer) -> None:
        peer.upgrade()
        fault(peer)

    return encrypted


# Codings


def packed(body: bytes, coding: str = "gzip", status: int = 200) -> bytes:
    return answer(status, body, JSON, f"Content-Encoding: {coding}")


def bomb_block() -> bytes:
    """A mebibyte of zeros, packed to a thousandth, that needs nothing of what came before it."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)


def bomb(mebibytes: int) -> bytes:
    """As many mebibytes of zeros as gzip, without its end."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH) + bomb_block() * mebibytes


def packed_wrongly() -> bytes:
    """gzip whose checksum does not fit."""
    right = gzip.compress(granted())
    return right[:-8] + bytes(4) + right[-4:]


# Chunks


def chunk(data: bytes, size: str | None = None, extension: str = "") -> bytes:
    return f"{size or f'{len(data):x}'}{extension}\r\n".encode() + data + b"\r\n"


CHUNKED = head(200, JSON, "Transfer-Encoding: chunked")
LAST = b"0\r\n\r\n"
