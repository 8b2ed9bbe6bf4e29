"""The endpoint of all measurements, in a process of its own: answers in a fraction of the sandbox's time.

It grants a token to whoever asks for a path that ends in ``/token``, by GET or POST, and answers all else alike. The
argument is the folder of its certificate. Two lines on stdout are its ports, that of TLS last; it ends when stdin does.
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
from urllib.parse import parse_qs, urlsplit

_LIFETIME = 3599  # s, as Domo's
_JSON = "application/json;charset=UTF-8"
# Two of the libraries take nothing but https; their transport turns it into the URL of this server.
_DISCOVERY = {
    "issuer": "https://localhost/tenant/v2.0",
    "authorization_endpoint": "https://localhost/tenant/authorize",
    "token_endpoint": "https://localhost/tenant/token",
}
_REFUSAL = {"error": "invalid_client", "error_description": "Bad client credentials"}


class _Endpoint:
    """How tokens are answered, and how many were asked for since that was said last."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.refuses = False
        self.requests = 0
        self._numbers = itertools.count()

    def answer(self, target: str) -> tuple[bytes, float]:
        """The response, and for how many seconds it is held back."""
        path = urlsplit(target).path
        if path == "/_bench":
            told = {"requests": self.requests}
            wanted = parse_qs(urlsplit(target).query)
            if wanted:
                self.delay, self.refuses = float(wanted["delay"][0]), wanted["refuses"] == ["True"]
                self.requests = 0
            return _response("200 OK", told), 0.0
        if path.endswith("/token"):
            self.requests += 1
            if self.refuses:
                return _response("401 Unauthorized", _REFUSAL), self.delay
            return _response("200 OK", self._grant()), self.delay
        if path.endswith("/openid-configuration"):
            return _response("200 OK", _DISCOVERY), 0.0
        return _response("200 OK", [{"id": "1"}]), 0.0

    def _grant(self) -> dict[str, object]:
        number = str(next(self._numbers))
        return {
            "access_token": _token(number),
            "token_type": "bearer",
            "expires_in": _LIFETIME,
            "scope": "data user",
            "customer": "bench",
            "userId": 1,
            "role": "Admin",
            "jti": number,
        }


def _token(number: str) -> str:
    """A JWT by its form and length: Domo's own SDK reads from it when it expires."""
    claims = {"exp": int(time.time()) + _LIFETIME, "jti": number, "scope": ["data", "user"], "customer": "bench"}
    parts = (json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "s" * 342])


def _response(status: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {_JSON}",
        "Cache-Control: no-store",
        f"Content-Length: {len(content)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + content


class _Connection(asyncio.Protocol):
    """One connection, kept open; no pipelining, which no client here does."""

    def __init__(self, endpoint: _Endpoint) -> None:
        self._endpoint = endpoint
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        self._received = b""
        response, delay = self._endpoint.answer(head.split(b" ", 2)[1].decode())
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
    for context in (None, tls):
        server = await loop.create_server(lambda: _Connection(endpoint), "127.0.0.1", 0, backlog=4096, ssl=context)
        print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
