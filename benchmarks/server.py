"""The endpoint of all measurements, in a process of its own: answers in a fraction of the sandbox's time.

It grants a token to whoever asks for a path that ends in ``/token``, by GET or POST, and answers all else alike; or as
``Manner`` says. The argument is the folder of its certificate. Two lines on stdout are its ports, that of TLS last; it
ends when stdin does. A third port is another origin, where no secret and no token has any business.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from .endpoint import RETRY_AFTER, SIGNATURE, Manner

if TYPE_CHECKING:
    from collections.abc import Callable

_JSON = "application/json;charset=UTF-8"
# Two of the libraries take nothing but https; their transport turns it into the URL of this server.
_DISCOVERY = {
    "issuer": "https://localhost/tenant/v2.0",
    "authorization_endpoint": "https://localhost/tenant/authorize",
    "token_endpoint": "https://localhost/tenant/token",
}
_TOLD = ("requests", "calls", "bearers", "pause", "asked", "strayed", "other_origin")
_DATASETS = [{"id": "1"}]
_REFUSAL = {"error": "invalid_client", "error_description": "Bad client credentials"}


class _Endpoint:
    """How tokens are answered, and what was asked for since that was said last."""

    def __init__(self) -> None:
        self.other_origin = ""
        self._numbers = itertools.count()
        self._begin(Manner())

    def _begin(self, manner: Manner) -> None:
        self.manner = manner
        self.requests = self.calls = self.bearers = 0
        self.pause = self.last = 0.0
        self.asked = self.strayed = ""

    def answer(self, received: bytes) -> tuple[bytes, float]:
        """The response, and for how many seconds it is held back."""
        target = urlsplit(received.split(b" ", 2)[1].decode())
        if target.path == "/_bench":
            told = {key: getattr(self, key) for key in _TOLD}
            if target.query:
                self._begin(Manner(**json.loads(unquote(target.query))))
            return _response("200 OK", told), 0.0
        if target.path.endswith("/token"):
            self.asked = received.decode("latin-1")
            return self._token_response(), self.manner.delay
        if target.path.endswith("/openid-configuration"):
            return _response("200 OK", _DISCOVERY), 0.0
        self.calls += 1
        self.bearers += SIGNATURE.encode() in received
        if self.calls <= self.manner.outdated:
            return _response("401 Unauthorized", {}, 'WWW-Authenticate: Bearer error="invalid_token"'), 0.0
        if target.path.endswith("/moved"):
            return _response("307 Temporary Redirect", {}, f"Location: {self.other_origin}/v1/datasets"), 0.0
        return _response("200 OK", _DATASETS), 0.0

    def stray(self, received: bytes) -> tuple[bytes, float]:
        """The response of the other origin, which takes whatever it is sent."""
        self.strayed += received.decode("latin-1")
        path = urlsplit(received.split(b" ", 2)[1].decode()).path
        return _response("200 OK", self._grant() if path.endswith("/token") else _DATASETS), 0.0

    def _token_response(self) -> bytes:
        self.requests += 1
        now = time.monotonic()
        self.pause, self.last = now - (self.last or now), now
        if self.manner.moved:
            return _response("307 Temporary Redirect", {}, f"Location: {self.other_origin}/oauth/token")
        if self.requests <= self.manner.busy:
            return _response("503 Service Unavailable", {}, f"Retry-After: {RETRY_AFTER}")
        if self.manner.refuses:
            return _response("401 Unauthorized", _REFUSAL)
        return _response("200 OK", self._grant())

    def _grant(self) -> dict[str, object]:
        number = str(next(self._numbers))
        return {
            "access_token": _token(number, self.manner.lifetime),
            "token_type": "bearer",
            "expires_in": self.manner.lifetime,
            "scope": "data user",
            "customer": "bench",
            "userId": 1,
            "role": "Admin",
            "jti": number,
        }


def _token(number: str, lifetime: int) -> str:
    """A JWT by its form and length: Domo's own SDK reads from it when it expires."""
    claims = {"exp": int(time.time()) + lifetime, "jti": number, "scope": ["data", "user"], "customer": "bench"}
    parts = (json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), SIGNATURE])


def _response(status: str, body: object, *more: str) -> bytes:
    content = json.dumps(body).encode()
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {_JSON}",
        "Cache-Control: no-store",
        f"Content-Length: {len(content)}",
        *more,
    )
    return "\r\n".join([*lines, "", ""]).encode() + content


class _Connection(asyncio.Protocol):
    """One connection, kept open; no pipelining, which no client here does."""

    def __init__(self, answer: Callable[[bytes], tuple[bytes, float]]) -> None:
        self._answer = answer
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        received, self._received = self._received, b""
        response, delay = self._answer(received)
        if delay:
            asyncio.get_running_loop().call_later(delay, self._transport.write, response)
        else:
            self._transport.write(response)


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    endpoint = _Endpoint()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(Path(sys.argv[1], "server.pem"))
    other = await loop.create_server(lambda: _Connection(endpoint.stray), "127.0.0.1", 0)
    endpoint.other_origin = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
    for context in (None, tls):
        server = await loop.create_server(
            lambda: _Connection(endpoint.answer), "127.0.0.1", 0, backlog=4096, ssl=context
        )
        print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
