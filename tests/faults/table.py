"""The table of everything that can happen to a request for a token, and what the caller must get."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
from tests.wire import PATIENCE, Fault, Peer

TOKEN = "eyJ0.canary-token-5a1e"
JSON, PAGE = "Content-Type: application/json", "Content-Type: text/html"
HTML = b"<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body>No.</body></html>"
DETAILS = {"scope": "data user", "customer": "acme", "role": "Admin", "userId": 964382593, "jti": "81dece4c-df73"}
WAIT = 0.1
"""Seconds after which a client gives up on a silent server."""
TRIES = 4
"""How many attempts a provider makes, if another one may help."""


# Answers


def granted(number: int = 0, **changes: Any) -> bytes:
    """The body of a granted token. A field that is `...` is left out."""
    fields = {"access_token": f"{TOKEN}.{number}", "token_type": "bearer", "expires_in": 3599} | DETAILS | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def answer(status: int, body: bytes = b"", *fields: str, length: int | None = None, alive: bool = False) -> bytes:
    """A response with its length, or another one."""
    lines = [f"HTTP/1.1 {status} -", *(fields or (JSON,)), f"Content-Length: {len(body) if length is None else length}"]
    lines += [] if alive else ["Connection: close"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def head(status: int, *fields: str) -> bytes:
    """The start of a response without a length."""
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
    """This many mebibytes of zeros as gzip, without the end of the file."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH) + bomb_block() * mebibytes


GRANTED = answer(200, granted())
CHUNKED, LAST = head(200, JSON, "Transfer-Encoding: chunked"), b"0\r\n\r\n"


# Faults


def grant(peer: Peer) -> None:
    """No fault: answer each request on this connection with another token."""
    while True:
        peer.request()
        peer.send(answer(200, granted(peer.server.token_requests), alive=True))


def say(*answers: bytes, then: str = "close") -> Fault:
    """Answer a request with each of these on one connection, then end it. Without answers, end it at once."""

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


def say_byte_by_byte(data: bytes) -> Fault:
    def fault(peer: Peer) -> None:
        peer.request()
        for byte in data:
            peer.send(bytes((byte,)))

    return fault


def flood(start: bytes, part: bytes, *, pause: float = 0.0, handshake: bool = False, below_tls: bool = False) -> Fault:
    """Send `part` again and again until the client hangs up, as fast as it reads or with pauses in seconds."""

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
    """Send a little at a time without end, so often that no read times out."""
    return flood(start, part, pause=0.02, **more)


def until(seconds: float, skew: float) -> Fault:
    """Ask the client to wait until a date, by a clock that is off by `skew` seconds."""

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
    """A proxy in front of a server with this fault."""

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
    """One thing that happens to a request for a token, and what the caller gets.

    Attributes:
        faults: What is done to each connection, in turn; the last one to all further ones.
        once: The result of ``request_token``, which asks once.
        kept: The result of ``get_token``, which asks again where that may help; by default the same.
        tries: How often ``get_token`` asks.
        requests: How many of its requests reach the endpoint; by default one for each try.
        text: A part of the message.
        has: Attributes of what ``request_token`` returns or raises.
        timeout: The timeout of httpx that ends it, "connect" or "read".
        stretched: No read times out, so that only the limit of a fetch ends it.
        certificate: The name of the server's certificate; without one it speaks no TLS.
        place, scheme: See `Server`.
        proxy: The server is a proxy.
        unresolved: DNS does not know the name of the server.
        slept: Seconds that ``get_token`` waits between its tries.
        megabytes: How much memory a call may take.
    """

    name: str
    faults: tuple[Fault, ...]
    once: type
    kept: type | None = None
    tries: int = 1
    requests: int | None = None
    text: str = ""
    has: dict[str, Any] = field(default_factory=dict)
    timeout: str = ""
    stretched: bool = False
    certificate: str = ""
    place: str = "open"
    scheme: str = ""
    proxy: bool = False
    unresolved: bool = False
    slept: float | None = None
    megabytes: float = 8.0

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


def distrusted(name: str, text: str) -> Row:
    lasting = {"retryable": False}
    return no_answer(f"certificate: {name}", grant, certificate=name, tries=1, requests=0, text=text, has=lasting)


def stretched(name: str, fault: Fault, once: type = TransportError, **more: Any) -> Row:
    """It goes on forever, and never so slowly that a read times out."""
    text = "no complete response in time" if once is TransportError else ""
    return row(f"forever: {name}", fault, once, **{"stretched": True, "text": text, **more})


def too_many(*fields: str) -> Fault:
    return say(answer(429, b"", *fields))


NEVER = b"HTTP/1.1 200 OK\r\nX: "
"""A head without an end."""
INFORMED = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
NOTHING = b"\x00\x00\x00\xff\xff"
"""A block of gzip that decodes to nothing."""
GZIP = head(200, JSON, "Content-Encoding: gzip") + bomb(0)
HANDSHAKE, RECORD = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x17\x03\x03\x40\x00"
"""The start of a message of 16 KiB in a TLS handshake, and after it."""
TOO_LARGE: dict[str, Any] = {"megabytes": 16.0, "text": "expected at most 1048576 bytes"}
IN_VAIN: dict[str, Any] = {"timeout": "read", "text": "no complete response in time"}
IN_TLS: dict[str, Any] = {"scheme": "https", "requests": 0}
BY_PROXY: dict[str, Any] = {"proxy": True, "certificate": "good", "scheme": "https", "requests": 0}

NETWORK = [
    no_answer("refused", grant, place="closed", requests=0, text="no connection"),
    no_answer("nobody accepts", grant, place="full", timeout="connect", requests=0, text="no connection in time"),
    no_answer("unknown host name", grant, scheme="https", unresolved=True, requests=0, text="no connection"),
    no_answer("reset on connecting", reset_at_once, requests=0),
    no_answer("closed on connecting", close_at_once, requests=0, text="was lost"),
    token("TLS", grant, certificate="good"),
    no_answer("TLS: no handshake", hang_at_once, **IN_TLS, timeout="connect", text="no connection in time"),
    no_answer("TLS: reset in the handshake", in_handshake(then="reset"), **IN_TLS, text="no connection"),
    no_answer("TLS: answered in clear", in_handshake(answer(400, HTML, PAGE)), **IN_TLS, text="SSL"),
    no_answer("clear where TLS is due", with_tls(grant), certificate="good", scheme="http", requests=0),
    distrusted("wrong host", "mismatch"),
    distrusted("expired", "Check the clock of this machine"),
    distrusted("not yet valid", "Check the clock of this machine"),
    distrusted("self-signed", "self-signed"),
    distrusted("unknown", "unable to get local issuer"),
    broken("TLS: truncated, no length", say(head(200) + granted()[:-9]), certificate="good", text="JSON"),
    token("an answer", grant),
    no_answer("no answer", say_and_wait(b""), **IN_VAIN),
    no_answer("reset in place of an answer", say_and_reset(), text="was lost"),
    no_answer("closed in place of an answer", say(b""), text="was lost"),
    passing("no answer, once", say_and_wait(b""), **IN_VAIN),
    no_answer("not HTTP", say(b"SSH-2.0-OpenSSH_9.2\r\n"), text="was lost"),
    no_answer("a mebibyte that is not HTTP", say(b"x" * 2**20), text="was lost"),
    no_answer("silence in the header fields", say_and_wait(NEVER), **IN_VAIN),
    no_answer("half-closed in the header fields", say_and_half_close(NEVER), text="was lost"),
    token("an answer byte by byte", say_byte_by_byte(GRANTED)),
    no_answer("header fields that never end, at once", flood(NEVER, b"x" * 65536), text="was lost"),
    token("103 Early Hints a thousand times first", say(INFORMED * 1000 + GRANTED)),
    no_answer("103 Early Hints and no answer", say_and_wait(INFORMED), **IN_VAIN),
    no_answer("101 Switching Protocols", say(head(101, "Upgrade: x", "Connection: upgrade")), text="was lost"),
]

BODIES = [
    no_answer("silence in the body", say_and_wait(GRANTED[:-9]), **IN_VAIN),
    no_answer("reset in the body", say_and_reset(GRANTED[:-9]), text="was lost"),
    no_answer("truncated", say(GRANTED[:-9]), text="was lost"),
    passing("truncated, once", say(GRANTED[:-9])),
    broken("more than its length", say(answer(200, granted(), length=20)), text="JSON"),
    token("no length, and closed", say(head(200) + granted())),
    no_answer("no length, and reset", say_and_reset(head(200) + granted()[:-9]), text="was lost"),
    token("HTTP/1.0, kept alive", say_and_wait(GRANTED.replace(b"HTTP/1.1", b"HTTP/1.0"))),
    broken("a body that never ends, at once", flood(head(200), b" " * 65536), **TOO_LARGE),
    row("a refusal that never ends, at once", flood(head(401), b" " * 65536), InvalidClientError, megabytes=16),
    row("a refusal that is reset", say_and_reset(answer(401, b"{", length=50)), InvalidClientError),
    row("503 that never ends, at once", flood(head(503), b" " * 65536), ServerError, tries=TRIES, megabytes=16),
    token("chunks and a trailer", say(CHUNKED + chunk(granted(), extension=";a=b") + b"0\r\nX: y\r\n\r\n")),
    no_answer("a chunk's size that is not a number", say(CHUNKED + chunk(granted(), "xyz")), text="was lost"),
    no_answer("no last chunk", say(CHUNKED + chunk(granted())), text="was lost"),
    no_answer("a chunk's extension that never ends", flood(CHUNKED + b"5;", b"x" * 65536), text="was lost"),
    broken("chunks without end", flood(CHUNKED, chunk(b" " * 4096)), **TOO_LARGE),
    token("gzip", say(packed(gzip.compress(granted())))),
    broken("a gzip bomb of 1 GiB", say(packed(bomb(1024))), **TOO_LARGE),
    row("503 and a gzip bomb", say(packed(bomb(1024), status=503)), ServerError, tries=TRIES, megabytes=16),
    broken("gzip that decodes to nothing, at once", flood(GZIP, NOTHING * 1000), **TOO_LARGE),
    broken("not gzip", say(packed(granted())), text="Content-Encoding gzip"),
    broken("half a gzip", say(packed(gzip.compress(granted())[:40])), text="JSON"),
    broken("gzip twice", say(packed(gzip.compress(gzip.compress(granted())), "gzip, gzip")), text="Content-Encoding"),
    row("503 with broken gzip", say(packed(b"no gzip", status=503)), ServerError, tries=TRIES),
]

RETRIES = [
    row("503", say(answer(503)), ServerError, tries=TRIES),
    passing("503 once", say(answer(503)), ServerError),
    row("503, 502, 500", (*(say(answer(each)) for each in (503, 502, 500)), grant), ServerError, kept=Token, tries=4),
    row("501", say(answer(501)), ServerError, text="Retrying does not help"),
    row("429", too_many(), RateLimitedError, tries=TRIES, text="wait a while", has={"retry_after": None}),
    passing("429 for 7 s", too_many("Retry-After: 7"), RateLimitedError, slept=7.0, has={"retry_after": 7.0}),
    row("429 for 7 s, always", too_many("Retry-After: 7"), RateLimitedError, tries=TRIES, slept=21.0),
    row("429 for an hour", too_many("Retry-After: 3600"), RateLimitedError, has={"retry_after": 3600.0}),
    passing("429 until a date that has passed", until(-60, 0), RateLimitedError, slept=0.0),
    passing("429 until a date, by a clock an hour ahead", until(7, 3600), RateLimitedError, slept=7.0),
    passing("503 for 7 s", say(answer(503, b"", "Retry-After: 7")), ServerError, slept=7.0),
]

BETWEEN = [
    *(
        broken(f"{status} elsewhere", redirect(status, "ELSEWHERE/oauth/token"), text="no redirect is followed")
        for status in (301, 302, 303, 307, 308)
    ),
    broken("302 in a loop", redirect(302, "HERE/oauth/token"), text="no redirect is"),
    broken("302 from TLS to http", redirect(302, "ELSEWHERE/oauth/token"), certificate="good", text="no redirect is"),
    no_answer("proxy: 407", say(answer(407, HTML)), **BY_PROXY, tries=1, text="the proxy refused (ProxyError: 407"),
    no_answer("proxy: 502", say(answer(502, HTML, PAGE)), **BY_PROXY, text="the proxy refused (ProxyError: 502"),
    no_answer("proxy: no answer", say_and_wait(b""), **BY_PROXY, **IN_VAIN),
    no_answer("proxy: connected, and reset", through(in_handshake(then="reset")), **BY_PROXY),
    no_answer(
        "proxy: connected, and no answer", through(with_tls(say_and_wait(b""))), **BY_PROXY | IN_VAIN | {"requests": 4}
    ),
    token("proxy: connected", through(with_tls(grant)), **BY_PROXY | {"requests": 1}),
]

STRETCHED = [
    stretched("a reason", drip(b"HTTP/1.1 200 ", b"x")),
    stretched("header lines of a 503", drip(b"HTTP/1.1 503 Busy\r\nX: ", b"y\r\nX: ")),
    stretched("103 Early Hints, at once", flood(INFORMED, INFORMED * 100)),
    stretched("a body without a length", drip(head(200))),
    stretched("a body of a 401", drip(head(401)), InvalidClientError),
    stretched("the extension of a chunk", drip(CHUNKED + b"1;", b"a")),
    stretched("trailers", drip(CHUNKED + chunk(granted()) + b"0\r\n", b"X: y\r\n")),
    stretched("gzip that decodes to nothing", drip(GZIP, NOTHING)),
    stretched("TLS, a header line", drip(NEVER, b"x"), certificate="good"),
    stretched("TLS, a record", drip(NEVER, RECORD, below_tls=True), certificate="good"),
    stretched("TLS, a handshake", drip(HANDSHAKE, b"x", handshake=True), **IN_TLS, text="no connection in time"),
    stretched("proxy, its answer", drip(NEVER, b"x"), **BY_PROXY),
    stretched(
        "proxy, a handshake",
        through(drip(HANDSHAKE, b"x", handshake=True)),
        **BY_PROXY | {"text": "no connection in time"},
    ),
    stretched("proxy, a header line", through(with_tls(drip(NEVER, b"x"))), **BY_PROXY | {"requests": 1}),
]

# What a response says

TOE = "O6Q67O9N7H-U3ALR-NVA7L"
MOMENT = datetime(2019, 2, 19, 14, 23, 3, 891000, UTC)
SECRETS = (
    "canary-client-7f3d91",
    "canary-secret-c0ffee5ec2e7",
    "Basic Y2FuYXJ5LWNsaWVudC03ZjNkOTE6Y2FuYXJ5LXNlY3JldC1jMGZ=",
)
LASTING, PASSING = {"retryable": False}, {"retryable": True}


def says(status: int, **fields: Any) -> Fault:
    return say(answer(status, json.dumps(fields).encode()))


def grants(**changes: Any) -> Fault:
    return say(answer(200, granted(**changes)))


def title(page: bytes) -> Fault:
    return say(answer(403, page, PAGE))


TOKENS = [
    token(
        "all fields",
        grants(token_type="Bearer"),
        has={
            "token_type": "Bearer",
            "jti": DETAILS["jti"],
            "customer": "acme",
            "role": "Admin",
            "user_id": 964382593,
            "scopes": {"data", "user"},
        },
    ),
    token("a field that Domo added", grants(env="prod1"), has={"extra": {"env": "prod1"}}),
    token("a byte-order mark", say(answer(200, b"\xef\xbb\xbf" + granted()))),
    token("the media type in capitals", say(answer(200, granted(), "Content-Type: Application/JSON"))),
    token("only what is required", grants(**dict.fromkeys(DETAILS, ...)), has={"customer": None, "scopes": {"data"}}),
    token(
        "Latin-1 that says so",
        say(answer(200, granted(customer="@").replace(b"@", b"\xe9"), f"{JSON}; charset=iso-8859-1")),
        has={"customer": "é"},
    ),
    token("more seconds than the calendar has", grants(expires_in=10**15), has={"expires_in": 10**15}),
]

BROKEN = [
    *(
        broken(f"{name}={value!r}"[:30], grants(**{name: value}), text=name)
        for name, value in [
            ("access_token", ...),
            ("access_token", None),
            ("access_token", ""),
            ("access_token", f"{TOKEN}\r\nX: y"),
            ("token_type", "mac"),
            ("expires_in", "3599"),
            ("expires_in", 3599.0),
            ("expires_in", True),
            ("expires_in", -1),
            ("userId", "7"),
        ]
    ),
    broken("NaN", grants(expires_in=float("nan")), text="JSON"),
    broken(
        "a page that says it is JSON",
        say(answer(200, HTML)),
        text="titled 'Sign in to the network'",
        has={"status": 200, "description": "Sign in to the network"},
    ),
    broken("a page", say(answer(200, HTML, PAGE)), text="application/json"),
    broken("no media type", say(answer(200, granted(), "X: y")), text="application/json"),
    broken("an empty body", say(answer(200)), text="returned an invalid response (200 OK)"),
    broken("a list", say(answer(200, b"[]")), text="(200 OK): expected an object. Some"),
    broken("100,000 nested brackets", say(answer(200, b"[" * 100_000)), text="JSON"),
    broken("a number of 5,000 digits", say(answer(200, b'{"expires_in": ' + b"9" * 5000 + b"}"))),
    broken("Latin-1 that does not say so", say(answer(200, granted(customer="@").replace(b"@", b"\xe9")))),
    broken("204", say(head(204)), text="204 No Content"),
    broken("206", say(answer(206, granted()[:30])), text="206"),
    broken("304", say(head(304)), text="304"),
    broken(
        "302 to an invalid port",
        redirect(302, "https://elsewhere.test:port/"),
        text="response: invalid Location header. Som",
    ),
    broken("302 to an invalid host", redirect(302, "https://xn--/"), text="invalid Location header"),
    broken("300", say(answer(300)), text="no redirect is followed"),
    broken("302 without a Location", say(answer(302)), text="no redirect is followed", has=LASTING),
    broken("404 as a page", say(answer(404, HTML, PAGE)), text="404"),
]

REFUSALS = [
    row(
        "an empty 401", say(answer(401)), InvalidClientError, text="does not accept the client id (cana…)", has=LASTING
    ),
    row(
        "Spring's 401",
        says(401, timestamp="2019-02-19T14:23:03.891+0000", error="Unauthorized"),
        InvalidClientError,
        text="returned 401 Unauthorized. Domo does not accept",
        has={"timestamp": MOMENT, "error": "Unauthorized"},
    ),
    row(
        "Domo's 401",
        says(
            401,
            statusReason="Internal",
            message="Full authentication",
            toe=TOE,
            timestamp="2019-02-19T16:23:03.891+02:00",
        ),
        InvalidClientError,
        text=f"toe: {TOE}, at 2019-02-19T14:23:03.891000+00:00.",
        has={"toe": TOE, "description": "Full authentication", "timestamp": MOMENT},
    ),
    row("a statusReason", says(401, statusReason="Locked"), InvalidClientError, has={"description": "Locked"}),
    row("a 401 with a list", say(answer(401, b"[]")), InvalidClientError),
    row(
        "fields of wrong types",
        says(401, error=7, message=["no"], toe=7),
        InvalidClientError,
        has={"error": None, "toe": None},
    ),
    row(
        "credentials sent back",
        says(401, error=SECRETS[0], message=f"wrong: {SECRETS[1]}", toe=SECRETS[2]),
        InvalidClientError,
        text="wrong: [26 characters hidden]",
    ),
    row(
        "unauthorized_client",
        says(400, error="unauthorized_client"),
        InvalidClientError,
        text="use the client credentials",
    ),
    *(
        row(
            f"a grant that the client may not use{grant}",
            says(401, error="invalid_client", error_description=f"Unauthorized grant type{grant}"),
            InvalidClientError,
            text=f"Unauthorized grant type{grant}. Domo does not let the client (cana…) use",
        )
        for grant in (": client_credentials", "")
    ),
    row("invalid_client with 400", says(400, error="invalid_client"), InvalidClientError, has={"status": 400}),
    row(
        "invalid_scope",
        says(400, error="invalid_scope", scope="audit"),
        InvalidScopeError,
        text="Requested: data. The client has: audit.",
    ),
    row(
        "a client without scopes",
        says(400, error="invalid_scope", error_description="Empty scope (either the client or the user is not allowed"),
        InvalidScopeError,
        text="The client (cana…) has no scopes: give it at least one in Domo's developer portal.",
    ),
    row("400 as a page", say(answer(400, HTML, PAGE)), TokenRequestError, text="if a request is too large: shorten"),
    *(
        row(f"400 with {name}", says(400, **{name: "no"}), TokenRequestError, text=": no. Domo did not understand")
        for name in ("error", "error_description", "message", "statusReason")
    ),
    row("an empty 400", say(answer(400)), TokenRequestError, text="if a request is too large: shorten"),
    row(
        "a phrase in the description",
        says(500, error="server_error", error_description="Internal Server Error"),
        ServerError,
        text="returned 500 Internal Server Error. The fault",
    ),
    row(
        "no grant type",
        says(400, error="invalid_request", error_description="Missing grant type."),
        TokenRequestError,
        text="Missing grant type. Domo did not understand",
        has={"error": "invalid_request", **LASTING},
    ),
    row(
        "control characters",
        says(400, error_description="a\x1b[31m\r\nb" + "c" * 9999),
        TokenRequestError,
        text="a [31m …",
    ),
    row("403 as a page", title(HTML), TokenRequestError, text="403 Forbidden: Sign in to the network", has=LASTING),
    row(
        "a title that is not UTF-8",
        title(b"<TITLE>Caf\xe9</TITLE>"),
        TokenRequestError,
        has={"description": "Caf\ufffd"},
    ),
    row("a title far down", title(b" " * 4088 + b"<title>T</title>"), TokenRequestError, has={"description": None}),
    row("429 with an error code", says(429, error="invalid_client"), RateLimitedError, has={"error": "invalid_client"}),
    row(
        "503 with a grant", says(503, error="invalid_client", error_description="Unauthorized grant type"), ServerError
    ),
    row(
        "503 with an error code",
        says(503, error="invalid_scope"),
        ServerError,
        text=". Retry after a pause.",
        has=PASSING,
    ),
    row("511 as a page", say(answer(511, HTML, PAGE)), ServerError, text="Sign in to the network"),
    row("501 of Domo", says(501), ServerError, text="not yours. Retrying does not help."),
    row("999", say(answer(999)), ServerError, text="returned 999. The fault is"),
    row("an error cut short", say(answer(500, b'{"toe": "AB-CD')), ServerError, has={"toe": None}),
    row(
        "an error of nested brackets",
        say(answer(500, b"[" * 100_000)),
        ServerError,
        has={"description": None, **PASSING},
    ),
    row("a toe and more", says(500, toe=f"{TOE}/x"), ServerError, text="by its toe: [24 characters hidden]."),
    *(
        row(f"a time: {value}"[:30], says(401, timestamp=value), InvalidClientError, has={"timestamp": moment})
        for value, moment in [
            (1550586183891, MOMENT),
            ("2019-02-19 14:23:03.891", MOMENT),
            ("soon", None),
            (10**300, None),
            ("2019" * 50_000, None),
        ]
    ),
    *(
        row(
            f"Retry-After: {value}"[:40],
            too_many(f"Retry-After: {value}"),
            RateLimitedError,
            text="Too many requests: wait a while before"
            if seconds is None
            else f"requests: wait {seconds:g} s before",
            has={"retry_after": seconds},
        )
        for value, seconds in [
            ("-5", None),
            ("0.5", None),
            ("7 days", None),
            ("1234567890", None),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
            ("Wed, 21 Oct 2099 07:28:30 GMT\r\nDate: Wed, 21 Oct 2099 07:28:00 GMT", 30.0),
        ]
    ),
]

FAULTS = [*NETWORK, *BODIES, *RETRIES, *BETWEEN, *STRETCHED]
"""What networks, proxies and servers do."""
ANSWERS = [*TOKENS, *BROKEN, *REFUSALS]
"""What a complete response says."""
