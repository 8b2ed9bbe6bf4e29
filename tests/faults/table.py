"""The table: what is done to a client that asks for a token, and what must come of it."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import Any

from domo_oauth import (
    InvalidClientError,
    InvalidScopeError,
    RateLimitedError,
    ServerError,
    Token,
    TokenRequestError,
    TransportError,
    UnexpectedResponseError,
)

from .server import PATIENCE, Fault, Peer

TOKEN = "eyJ0.canary-token-5a1e"
JSON, PAGE = "Content-Type: application/json", "Content-Type: text/html"
HTML = b"<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body>No.</body></html>"
WAIT = 0.1
"""Seconds that a client waits for nothing."""
TRIES = 4
"""How often a provider asks where that may help."""


# Answers


def granted(number: int = 0) -> bytes:
    token = {"access_token": f"{TOKEN}.{number}", "token_type": "bearer", "expires_in": 3599, "customer": "acme"}
    return json.dumps(token).encode()


def answer(status: int, body: bytes = b"", *fields: str, length: int | None = None, alive: bool = False) -> bytes:
    """An answer with its length, or another one."""
    lines = [f"HTTP/1.1 {status} -", *(fields or (JSON,)), f"Content-Length: {len(body) if length is None else length}"]
    lines += [] if alive else ["Connection: close"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def head(status: int, *fields: str) -> bytes:
    """The start of an answer without a length."""
    return "\r\n".join((f"HTTP/1.1 {status} -", *(fields or (JSON,)))).encode("latin-1") + b"\r\n\r\n"


def chunk(data: bytes, size: str | None = None, extension: str = "") -> bytes:
    return f"{size or f'{len(data):x}'}{extension}\r\n".encode() + data + b"\r\n"


def packed(body: bytes, coding: str = "gzip", status: int = 200) -> bytes:
    return answer(status, body, JSON, f"Content-Encoding: {coding}")


def bomb_block() -> bytes:
    """A mebibyte of zeros, packed to a thousandth; it needs nothing of what came before it."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)


def bomb(mebibytes: int) -> bytes:
    """So many mebibytes of zeros as gzip, without its end."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH) + bomb_block() * mebibytes


def packed_wrongly() -> bytes:
    """gzip with a wrong checksum."""
    right = gzip.compress(granted())
    return right[:-8] + bytes(4) + right[-4:]


GRANTED = answer(200, granted())
CHUNKED, LAST = head(200, JSON, "Transfer-Encoding: chunked"), b"0\r\n\r\n"


# Faults


def grant(peer: Peer) -> None:
    """No fault: answer each request on this connection with another token."""
    while True:
        peer.request()
        peer.send(answer(200, granted(peer.server.token_requests), alive=True))


def say(*answers: bytes, then: str = "close") -> Fault:
    """Answer so many requests on one connection, without waiting for any if there is no answer, and end it."""

    def fault(peer: Peer) -> None:
        for data in answers:
            peer.request()
            peer.send(data)
        if any(answers) and then == "reset":
            peer.is_gone(0.02)
        peer.end(then)

    return fault


def say_and(then: str, *answers: bytes) -> Fault:
    return say(*(answers or (b"",)), then=then)


say_and_wait, say_and_reset, say_and_half_close = (partial(say_and, then) for then in ("hang", "reset", "half-close"))
close_at_once, reset_at_once, hang_at_once = (say(then=then) for then in ("close", "reset", "hang"))


def in_handshake(data: bytes = b"", then: str = "close") -> Fault:
    """Answer the first message of a TLS handshake with this."""

    def fault(peer: Peer) -> None:
        peer.connection.recv(65536)
        peer.send(data)
        peer.end(then)

    return fault


def say_before_asked(data: bytes) -> Fault:
    def fault(peer: Peer) -> None:
        peer.send(data)
        peer.request()

    return fault


def say_byte_by_byte(data: bytes) -> Fault:
    def fault(peer: Peer) -> None:
        peer.request()
        for byte in data:
            peer.send(bytes((byte,)))

    return fault


def flood(start: bytes, part: bytes, *, pause: float = 0.0, handshake: bool = False, below_tls: bool = False) -> Fault:
    """Send the same again and again until the client hangs up: as fast as it reads, or after pauses of seconds."""

    def fault(peer: Peer) -> None:
        if handshake:
            peer.connection.recv(65536)
        else:
            peer.request()
        peer.send(start)
        send = partial(socket.socket.sendall, peer.connection) if below_tls else peer.send
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and not (pause and peer.is_gone(pause)):
            send(part)

    return fault


def drip(start: bytes, part: bytes = b" ", **more: bool) -> Fault:
    """Send a little now and then, so that no read times out, and never an end."""
    return flood(start, part, pause=0.02, **more)


def until(seconds: float, skew: float) -> Fault:
    """Ask to wait until a date, by a clock that is wrong by so many seconds."""

    def fault(peer: Peer) -> None:
        peer.request()
        now = time.time() + skew
        date, then = formatdate(now, usegmt=True), formatdate(now + seconds, usegmt=True)
        peer.send(answer(429, b"", f"Date: {date}", f"Retry-After: {then}"))

    return fault


def redirect(status: int, where: str) -> Fault:
    """Redirect, HERE or ELSEWHERE."""

    def fault(peer: Peer) -> None:
        peer.request()
        location = where.replace("ELSEWHERE", peer.server.elsewhere).replace("HERE", peer.server.url)
        peer.send(answer(status, b"", f"Location: {location}"))

    return fault


def through(fault: Fault) -> Fault:
    """Be a proxy that connects to a server with this fault."""

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


# Rows


@dataclass(frozen=True)
class Row:
    """One thing that is done to the clients of the token endpoint, and what comes of it.

    Attributes:
        faults: What is done to each connection, in turn; the last one to all further ones.
        once: The result of ``request_token``, which asks once.
        kept: The result of ``get_token``, which asks again where that may help; by default the same.
        tries: How often ``get_token`` asks.
        requests: How many of its requests reach the endpoint; by default one for each try.
        asked: How many requests of ``request_token`` do; by default one, if any of the others does.
        said: A part of the message.
        has: Attributes of what ``request_token`` returns or raises.
        timeout: The time-out of httpx that ends it, "connect" or "read".
        stretched: No read times out, so that only the limit of a fetch ends it.
        certificate: The name of the server's certificate; without one it speaks no TLS.
        place, scheme: See `Server`.
        proxy: The server is a proxy.
        resolve: Called instead of the system's resolver.
        slept: Seconds that ``get_token`` waits between its tries.
        megabytes: How much memory a call may take.
        repeats: httpcore's own log repeats what came, such as an invalid status line.
    """

    name: str
    faults: tuple[Fault, ...]
    once: type
    kept: type | None = None
    tries: int = 1
    requests: int | None = None
    asked: int | None = None
    said: str = ""
    has: dict[str, Any] = field(default_factory=dict)
    timeout: str = ""
    stretched: bool = False
    certificate: str = ""
    place: str = "open"
    scheme: str = ""
    proxy: bool = False
    resolve: Callable[..., Any] | None = None
    slept: float | None = None
    megabytes: float = 4.0
    repeats: bool = False

    def __str__(self) -> str:
        return self.name


def row(name: str, fault: Fault | tuple[Fault, ...], once: type, **more: Any) -> Row:
    faults = fault if isinstance(fault, tuple) else (fault,)
    return Row(name, faults, once, **more)


def token(name: str, fault: Fault | tuple[Fault, ...], **more: Any) -> Row:
    return row(name, fault, Token, **more)


def no_answer(name: str, fault: Fault | tuple[Fault, ...], **more: Any) -> Row:
    return row(name, fault, TransportError, **{"tries": TRIES, **more})


def broken(name: str, fault: Fault | tuple[Fault, ...], **more: Any) -> Row:
    return row(name, fault, UnexpectedResponseError, **more)


def passing(name: str, fault: Fault, once: type = TransportError, **more: Any) -> Row:
    """It happens once, and then a token comes."""
    return row(name, (fault, grant), once, **{"kept": Token, "tries": 2, **more})


def distrusted(name: str, said: str) -> Row:
    return no_answer(
        f"a certificate: {name}", grant, certificate=name, tries=1, requests=0, said=said, has={"retryable": False}
    )


def unknown_name(*_: object, **__: object) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def slow_and_in_vain(*_: object, **__: object) -> Any:
    time.sleep(WAIT * 1.5)  # as the system's resolver does, which knows no time-out but its own
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


NEVER = b"HTTP/1.1 200 OK\r\nX: "
"""A head without an end."""
INFORMED = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LONG = f"X: {'x' * 1_000_000}"
MANY = [f"X-{number}: {'x' * 90}" for number in range(10_000)]
TOO_LARGE = "expected at most 1048576 bytes"
ENDLESS: dict[str, Any] = {"megabytes": 16.0, "said": TOO_LARGE}
IN_VAIN: dict[str, Any] = {"timeout": "read", "said": "no complete answer in time"}
IN_TLS: dict[str, Any] = {"scheme": "https", "requests": 0}
BY_PROXY: dict[str, Any] = {"proxy": True, "certificate": "good", "scheme": "https", "requests": 0}


def too_many(*fields: str) -> Fault:
    return say(answer(429, b"", *fields))


CONNECTION = [
    no_answer("refused", grant, place="closed", requests=0, said="no connection"),
    no_answer("nobody accepts", grant, place="full", timeout="connect", requests=0, said="no connection in time"),
    no_answer("a name that DNS does not know", grant, scheme="https", resolve=unknown_name, requests=0),
    no_answer("DNS gives up", grant, scheme="https", resolve=slow_and_in_vain, timeout="connect", requests=0),
    no_answer("reset on connecting", reset_at_once, requests=0),
    no_answer("closed on connecting", close_at_once, said="was lost", requests=0),
    passing("reset on connecting, once", reset_at_once, requests=1, asked=0),
    passing("closed on connecting, once", close_at_once, requests=1, asked=0),
]

TLS = [
    token("TLS", grant, certificate="good"),
    no_answer("TLS: no handshake", hang_at_once, **IN_TLS, timeout="connect", said="no connection in time"),
    no_answer("TLS: reset in the handshake", in_handshake(then="reset"), **IN_TLS, said="no connection"),
    no_answer("TLS: closed in the handshake", in_handshake(), **IN_TLS, said="no connection"),
    no_answer("TLS: answered in clear", in_handshake(answer(400, HTML, PAGE)), **IN_TLS, said="SSL"),
    no_answer("TLS: garbage", in_handshake(b"\x16\x03\x03" + bytes(range(256))), **IN_TLS, said="SSL"),
    no_answer("TLS: an alert", in_handshake(b"\x15\x03\x03\x00\x02\x02\x28"), **IN_TLS, said="SSL"),
    no_answer("spoken to in clear where TLS is due", with_tls(grant), certificate="good", scheme="http", requests=0),
    distrusted("wrong host", "mismatch"),
    distrusted("expired", "expired"),
    distrusted("not yet valid", "not yet valid"),
    distrusted("self-signed", "self-signed"),
    distrusted("unknown", "unable to get local issuer"),
    no_answer("TLS: no answer", say_and_wait(b""), certificate="good", **IN_VAIN),
    no_answer("TLS: reset in place of an answer", say_and_reset(), certificate="good", said="was lost"),
    no_answer("TLS: truncated", say(GRANTED[:-9]), certificate="good", said="was lost"),
    broken("TLS: truncated, and no length said", say(head(200) + granted()[:-9]), certificate="good", said="JSON"),
]

FIRST_BYTE = [
    token("an answer", grant),
    no_answer("no answer", say_and_wait(b""), **IN_VAIN),
    no_answer("reset in place of an answer", say_and_reset(), said="was lost"),
    no_answer("closed in place of an answer", say(b""), said="was lost"),
    no_answer("half-closed in place of an answer", say_and_half_close(), said="was lost"),
    passing("no answer, once", say_and_wait(b""), **IN_VAIN),
    passing("reset in place of an answer, once", say_and_reset()),
    token("answered before it was asked", say_before_asked(GRANTED), requests=1),
    no_answer("not HTTP", say(b"SSH-2.0-OpenSSH_9.2\r\n"), said="was lost"),
    no_answer("a status line of another protocol", say(b"HTTP/2 200\r\n\r\n"), said="was lost"),
    no_answer("a status of four digits", say(b"HTTP/1.1 2000 OK\r\n\r\n"), said="was lost"),
    no_answer("HTTP/0.9", say(granted()), said="was lost", repeats=True),
    no_answer("a mebibyte that is no HTTP", say(b"x" * 2**20), said="was lost"),
]

HEADER_FIELDS = [
    no_answer("silence in the header fields", say_and_wait(NEVER), **IN_VAIN),
    no_answer("reset in the header fields", say_and_reset(NEVER), said="was lost"),
    no_answer("closed in the header fields", say(NEVER), said="was lost"),
    no_answer("half-closed in the header fields", say_and_half_close(NEVER), said="was lost"),
    token("an answer byte by byte", say_byte_by_byte(GRANTED)),
    no_answer("header fields that never end, at once", flood(NEVER, b"x" * 65536), said="was lost"),
    no_answer("a header field of 1 MB", say(head(200, JSON, LONG) + granted()), said="was lost"),
    no_answer("10,000 header fields of 1 MB", say(head(200, JSON, *MANY) + granted()), said="was lost"),
    no_answer("a header field with NUL", say(head(200, JSON, "X: \0") + granted()), said="was lost"),
    no_answer("a header field without a name", say(head(200, JSON, ": x") + granted()), said="was lost"),
    token("a folded header field", say(answer(200, granted(), JSON, "X: a\r\n b"))),
    token("100 Continue first", say(CONTINUE + GRANTED)),
    token("103 Early Hints first", say(INFORMED + GRANTED)),
    token("103 Early Hints a thousand times first", say(INFORMED * 1000 + GRANTED)),
    no_answer("103 Early Hints and no answer", say_and_wait(INFORMED), **IN_VAIN),
    no_answer("103 Early Hints and closed", say(INFORMED), said="was lost"),
    no_answer(
        "101 Switching Protocols", say(b"HTTP/1.1 101 -\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), said="was lost"
    ),
]

LENGTH = [
    no_answer("silence in the body", say_and_wait(GRANTED[:-9]), **IN_VAIN),
    no_answer("reset in the body", say_and_reset(GRANTED[:-9]), said="was lost"),
    no_answer("truncated", say(GRANTED[:-9]), said="was lost"),
    no_answer("half-closed in the body", say_and_half_close(GRANTED[:-9]), said="was lost"),
    passing("truncated, once", say(GRANTED[:-9])),
    no_answer("longer than it is", say(answer(200, granted(), length=5000)), said="was lost"),
    broken("shorter than it is", say(answer(200, granted(), length=20)), said="JSON"),
    broken("length 0, and a body", say(answer(200, granted(), length=0)), said="JSON"),
    no_answer("a negative length", say(head(200, JSON, "Content-Length: -1") + granted()), said="was lost"),
    no_answer("a length of 30 digits", say(answer(200, granted(), length=10**30)), said="was lost"),
    no_answer("two lengths", say(answer(200, granted(), JSON, "Content-Length: 7")), said="was lost"),
    token("the same length twice", say(answer(200, granted(), JSON, f"Content-Length: {len(granted())}"))),
    token("no length, and closed", say(head(200) + granted())),
    token("no length, and half-closed", say_and_half_close(head(200) + granted())),
    broken("no length, and truncated", say(head(200) + granted()[:-9]), said="JSON"),
    no_answer("no length, and reset", say_and_reset(head(200) + granted()[:-9]), said="was lost"),
    broken("a body that never ends, at once", flood(head(200), b" " * 65536), **ENDLESS),
    broken("a body of 2 MiB", say(answer(200, b" " * 2**21)), **ENDLESS),
    row("a refusal that never ends, at once", flood(head(401), b" " * 65536), InvalidClientError, megabytes=16),
    row("a refusal that is truncated", say(answer(401, b"{", length=50)), InvalidClientError),
    row("a refusal that is reset", say_and_reset(answer(401, b"{", length=50)), InvalidClientError),
    row("503 that never ends", flood(head(503), b" " * 65536), ServerError, tries=TRIES, megabytes=16),
    passing(
        "503 with more than its length, once",
        say(answer(503, b"{}", length=0)),
        ServerError,
    ),
]

CHUNKS = [
    token("chunks", say(CHUNKED + chunk(granted()[:9]) + chunk(granted()[9:]) + LAST)),
    token("chunks of one byte", say(CHUNKED + b"".join(chunk(bytes((byte,))) for byte in granted()) + LAST)),
    token(
        "chunks with extensions and a trailer", say(CHUNKED + chunk(granted(), extension=";a=b") + b"0\r\nX: y\r\n\r\n")
    ),
    token(
        "chunks and a length",
        say(head(200, JSON, "Content-Length: 3", "Transfer-Encoding: chunked") + chunk(granted()) + LAST),
    ),
    no_answer("a chunk's size that is no number", say(CHUNKED + chunk(granted(), "xyz")), said="was lost"),
    no_answer("a chunk's size that is negative", say(CHUNKED + chunk(granted(), "-5")), said="was lost"),
    no_answer("a chunk's size of 30 digits", say(CHUNKED + chunk(granted(), "f" * 30)), said="was lost"),
    no_answer("a chunk that is longer than it is", say(CHUNKED + chunk(granted(), "fff")), said="was lost"),
    no_answer("a chunk that is shorter than it is", say(CHUNKED + chunk(granted(), "5") + LAST), said="was lost"),
    no_answer("no last chunk", say(CHUNKED + chunk(granted())), said="was lost"),
    no_answer("no last chunk, and silence", say_and_wait(CHUNKED + chunk(granted())), **IN_VAIN),
    no_answer("a chunk's extension that never ends", flood(CHUNKED + b"5;", b"x" * 65536), said="was lost"),
    no_answer(
        "a trailer that never ends", flood(CHUNKED + chunk(granted()) + b"0\r\n", b"X: y\r\n" * 999), said="was lost"
    ),
    broken("chunks without end", flood(CHUNKED, chunk(b" " * 4096)), **ENDLESS),
    no_answer(
        "an unknown transfer coding", say(head(200, JSON, "Transfer-Encoding: gzip") + granted()), said="was lost"
    ),
]

CODINGS = [
    token("gzip", say(packed(gzip.compress(granted())))),
    token("deflate", say(packed(zlib.compress(granted()), "deflate"))),
    broken("a gzip bomb of 1 GiB", say(packed(bomb(1024))), **ENDLESS),
    row("a gzip bomb of 1 GiB for a 503", say(packed(bomb(1024), status=503)), ServerError, tries=TRIES, megabytes=16),
    row("a gzip bomb of 1 GiB for a 401", say(packed(bomb(1024), status=401)), InvalidClientError, megabytes=16),
    broken(
        "a gzip bomb without end",
        flood(head(200, JSON, "Content-Encoding: gzip") + bomb(0), bomb_block() * 64),
        **ENDLESS,
    ),
    broken(
        "gzip that stands for nothing, without end",
        flood(head(200, JSON, "Content-Encoding: gzip") + bomb(0), b"\x00\x00\x00\xff\xff" * 1000),
        **ENDLESS,
    ),
    broken(
        "gzip that goes on after its end, without end",
        flood(head(200, JSON, "Content-Encoding: gzip") + gzip.compress(granted()), b" " * 65536),
        **ENDLESS,
    ),
    broken("no gzip at all", say(packed(granted())), said="Content-Encoding gzip"),
    broken("gzip with a wrong checksum", say(packed(packed_wrongly())), said="Content-Encoding gzip"),
    broken("half a gzip", say(packed(gzip.compress(granted())[:40])), said="JSON"),
    broken("gzip twice", say(packed(gzip.compress(gzip.compress(granted())), "gzip, gzip")), said="Content-Encoding"),
    broken("a coding that was not asked for", say(packed(granted(), "br")), said="Content-Encoding gzip"),
    row("503 with broken gzip", say(packed(b"no gzip", status=503)), ServerError, tries=TRIES),
]

VERSIONS_AND_STATUSES = [
    token("HTTP/1.0", say(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + granted())),
    token("HTTP/1.0, kept alive", say_and_wait(GRANTED.replace(b"HTTP/1.1", b"HTTP/1.0"))),
    broken("HTTP/1.0, truncated", say(head(200).replace(b"1.1", b"1.0", 1) + granted()[:-9]), said="JSON"),
    broken("204", say(b"HTTP/1.1 204 No Content\r\n\r\n"), said="204 No Content"),
    broken("204 with a body", say(answer(204, granted())), said="204 No Content"),
    broken("205 with a body", say(answer(205, granted())), said="205"),
    broken("206 with a part of a token", say(answer(206, granted()[:30])), said="206"),
    broken("304", say(b"HTTP/1.1 304 Not Modified\r\n\r\n"), said="304"),
    row("400", say(answer(400, b"{}")), TokenRequestError),
    row("400 invalid_scope", say(answer(400, b'{"error": "invalid_scope"}')), InvalidScopeError),
    row("401", say(answer(401, b"{}")), InvalidClientError),
    row("401 as a page", say(answer(401, HTML, PAGE)), InvalidClientError),
    row("403 as a page", say(answer(403, HTML, PAGE)), TokenRequestError, said="Sign in to the network"),
    broken("404 as a page", say(answer(404, HTML, PAGE)), said="404"),
    row("500", say(answer(500, b"{}")), ServerError, tries=TRIES),
    row("501", say(answer(501, b"{}")), ServerError),
    row("502 as a page", say(answer(502, HTML, PAGE)), ServerError, tries=TRIES, said="Sign in to the network"),
    row("503", say(answer(503)), ServerError, tries=TRIES),
    row("504", say(answer(504)), ServerError, tries=TRIES),
    passing("503 once", say(answer(503)), ServerError),
    row(
        "503 three times",
        (say(answer(503)), say(answer(502)), say(answer(500)), grant),
        ServerError,
        kept=Token,
        tries=4,
    ),
]

LIMITS_OF_RATE = [
    row("429", too_many(), RateLimitedError, tries=TRIES, has={"retry_after": None}),
    passing("429 for 7 s", too_many("Retry-After: 7"), RateLimitedError, slept=7.0, has={"retry_after": 7.0}),
    row("429 for 7 s, always", too_many("Retry-After: 7"), RateLimitedError, tries=TRIES, slept=21.0),
    row("429 for an hour", too_many("Retry-After: 3600"), RateLimitedError, has={"retry_after": 3600.0}),
    row("429 for 30 years", too_many("Retry-After: 999999999"), RateLimitedError),
    passing("429 for ever", too_many("Retry-After: 9999999999"), RateLimitedError, has={"retry_after": None}),
    passing("429 for a negative time", too_many("Retry-After: -7"), RateLimitedError, has={"retry_after": None}),
    passing("429 for a fraction", too_many("Retry-After: 0.5"), RateLimitedError, has={"retry_after": None}),
    passing("429 for words", too_many("Retry-After: soon"), RateLimitedError, has={"retry_after": None}),
    passing(
        "429 for a megabyte", too_many(f"Retry-After: {'7' * 90_000}"), RateLimitedError, has={"retry_after": None}
    ),
    row("429 until a date next year", until(365 * 86400, 0), RateLimitedError),
    passing("429 until a date that has passed", until(-60, 0), RateLimitedError, slept=0.0),
    passing("429 until a date", until(7, 0), RateLimitedError, slept=7.0),
    passing("429 until a date, by a clock an hour ahead", until(7, 3600), RateLimitedError, slept=7.0),
    passing("429 until a date, by a clock an hour behind", until(7, -3600), RateLimitedError, slept=7.0),
    passing("503 for 7 s", say(answer(503, b"", "Retry-After: 7")), ServerError, slept=7.0),
]

REDIRECTS = [
    *(
        broken(f"{status} to the same server", redirect(status, "/other"), said="redirects")
        for status in (301, 302, 303, 307, 308)
    ),
    *(
        broken(f"{status} elsewhere", redirect(status, "ELSEWHERE/oauth/token"), said="redirects")
        for status in (301, 302, 303, 307, 308)
    ),
    broken("302 in a loop", redirect(302, "HERE/oauth/token"), said="redirects"),
    broken("302 from TLS to http", redirect(302, "ELSEWHERE/oauth/token"), certificate="good", said="redirects"),
    broken("302 to an invalid URL", redirect(302, "http://[::1"), said="invalid Location"),
    broken("302 without saying where", say(answer(302)), said="redirects"),
]

IN_BETWEEN = [
    no_answer("a proxy: 407 for a CONNECT", say(answer(407, HTML)), **BY_PROXY, tries=1, said="the proxy refused"),
    no_answer("a proxy: 502 for a CONNECT", say(answer(502, HTML, PAGE)), **BY_PROXY, said="the proxy refused"),
    no_answer("a proxy: no answer", say_and_wait(b""), **BY_PROXY, **IN_VAIN),
    no_answer("a proxy: reset", say_and_reset(), **BY_PROXY),
    no_answer("a proxy: let through, and reset", through(in_handshake(then="reset")), **BY_PROXY),
    no_answer("a proxy: let through, and no handshake", through(hang_at_once), **BY_PROXY, timeout="connect"),
    no_answer(
        "a proxy: let through, and no answer",
        through(with_tls(say_and_wait(b""))),
        **{**BY_PROXY, "requests": 4},
        **IN_VAIN,
    ),
    token("a proxy: let through", through(with_tls(grant)), **{**BY_PROXY, "requests": 1}),
    broken("a proxy: 407 without being asked", say(answer(407, HTML, PAGE)), said="407"),
    broken("a portal: a page with 200", say(answer(200, HTML, PAGE)), said="Sign in to the network"),
    broken("a portal: a page that says it is JSON", say(answer(200, HTML)), said="Sign in to the network"),
    broken("a portal: 302", redirect(302, "ELSEWHERE/login"), said="redirects"),
    row("a portal: 511", say(answer(511, HTML, PAGE)), ServerError, said="Sign in to the network"),
]


def stretched(name: str, fault: Fault, once: type = TransportError, **more: Any) -> Row:
    """It goes on for ever, and never so slowly that a read would time out."""
    said = "no complete answer in time" if once is TransportError else ""
    return row(name, fault, once, **{"stretched": True, "said": said, **more})


TRAILER = CHUNKED + chunk(granted()) + b"0\r\n"
NOTHING = b"\x00\x00\x00\xff\xff"
"""A block of gzip that decodes to nothing."""
GZIP = head(200, JSON, "Content-Encoding: gzip") + bomb(0)
HANDSHAKE, RECORD = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x17\x03\x03\x40\x00"
"""The start of a message of 16 KiB in a TLS handshake, and after it."""
DRIPPED_HANDSHAKE = drip(HANDSHAKE, b"x", handshake=True)
BY_PROXY_FOR_EVER: dict[str, Any] = {**BY_PROXY, "tries": 1}

STRETCHED = [
    stretched("for ever: a reason", drip(b"HTTP/1.1 200 ", b"x")),
    stretched("for ever: a header line", drip(NEVER, b"x")),
    stretched("for ever: header lines", drip(NEVER, b"y\r\nX: ")),
    stretched("for ever: header lines of a 503", drip(b"HTTP/1.1 503 Busy\r\nX: ", b"y\r\nX: ")),
    stretched("for ever: 100 Continue", drip(CONTINUE, CONTINUE)),
    stretched("for ever: 103 Early Hints", drip(INFORMED, INFORMED)),
    stretched("for ever: 103 Early Hints, at once", flood(INFORMED, INFORMED * 100)),
    stretched("for ever: a body without a length", drip(head(200))),
    stretched("for ever: a body with a length", drip(answer(200, length=1_000_000))),
    stretched("for ever: a body of a 401", drip(head(401)), InvalidClientError),
    stretched("for ever: a body of a 503", drip(head(503)), ServerError),
    stretched("for ever: chunks", drip(CHUNKED, chunk(b" "))),
    stretched("for ever: the size of a chunk", drip(CHUNKED, b"0")),
    stretched("for ever: the extension of a chunk", drip(CHUNKED + b"1;", b"a")),
    stretched("for ever: the extensions of the last chunk", drip(CHUNKED + chunk(granted()) + b"0;", b"a;")),
    stretched("for ever: a trailer", drip(TRAILER + b"X: ", b"y")),
    stretched("for ever: trailers", drip(TRAILER, b"X: y\r\n")),
    stretched("for ever: gzip that decodes to nothing", drip(GZIP, NOTHING)),
    stretched(
        "for ever: chunks that decode to nothing",
        drip(CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n" + chunk(bomb(0)), chunk(NOTHING)),
    ),
    stretched("for ever: TLS, a header line", drip(NEVER, b"x"), certificate="good"),
    stretched("for ever: TLS, the extension of a chunk", drip(CHUNKED + b"1;", b"a"), certificate="good"),
    stretched("for ever: TLS, a record", drip(NEVER, RECORD, below_tls=True), certificate="good"),
    stretched(
        "for ever: TLS, a handshake", drip(HANDSHAKE, b"x", handshake=True), **IN_TLS, said="no connection in time"
    ),
    stretched("for ever: a proxy, its answer", drip(NEVER, b"x"), **BY_PROXY_FOR_EVER),
    stretched("for ever: a proxy, 103 Early Hints", drip(INFORMED, INFORMED), **BY_PROXY_FOR_EVER),
    stretched(
        "for ever: a proxy, a handshake behind it",
        through(DRIPPED_HANDSHAKE),
        **{**BY_PROXY_FOR_EVER, "said": "no connection in time"},
    ),
    stretched(
        "for ever: a proxy, a header line behind it",
        through(with_tls(drip(NEVER, b"x"))),
        **{**BY_PROXY_FOR_EVER, "requests": 1},
    ),
]

ROWS = [
    *CONNECTION,
    *TLS,
    *FIRST_BYTE,
    *HEADER_FIELDS,
    *LENGTH,
    *CHUNKS,
    *CODINGS,
    *VERSIONS_AND_STATUSES,
    *LIMITS_OF_RATE,
    *REDIRECTS,
    *IN_BETWEEN,
    *STRETCHED,
]
