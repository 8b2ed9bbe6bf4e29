"""The token endpoint and API of all measurements, in its own process: ``python -m benchmarks.endpoint FOLDER``.

Any path that ends in ``/token`` grants a token; all others are the API. ``/_bench`` sets how both answer, and returns
what came since. It prints its port, and ends with its stdin. Another port is for TLS. A second origin, which should see
no secret and no token, records what strays to it. Each of `FAULTS` has an origin of its own, too.
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import ssl
import sys
import time
from base64 import urlsafe_b64encode
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from .http_server import HTTPServer, grant, reset, response

if TYPE_CHECKING:
    from .http_server import Request

__all__ = ["FAULTS", "LIFETIME", "RETRY_AFTER", "SIGNATURE", "Endpoint"]

SIGNATURE = "t" * 342
"""The end of each token, to recognize tokens."""
LIFETIME = 3599
"""Seconds that a token lasts, as Domo's do."""
RETRY_AFTER = 2
"""Seconds that a busy endpoint asks for; longer than the first pause of any library."""
FAULTS = (
    "no answer",
    "a byte of a header field every 0.5 s",
    "silence after the header fields",
    "a byte of the body every 0.5 s",
    "half an answer",
    "a reset",
    "503 with Retry-After 3600",
)
"""What an endpoint may do in place of granting a token."""
_HTTPS = "https://localhost/tenant"  # two libraries insist on https; their transports rewrite it to this server


class Endpoint:
    """A client of the endpoint: sets how it answers, and asks what came."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        seen = self.seen()
        self.other_origin: str = seen["other_origin"]
        self.faulty: dict[str, str] = seen["faulty"]
        """The origin with each fault."""
        self.tls: dict[str, str] = seen["tls"]
        """Environment variables for the port with TLS."""

    def answers(self, delay: float = 0.0, **how: Any) -> None:
        """Set how it answers from now on, and start counting anew.

        Args:
            delay: Seconds before a token is granted.
            **how: ``refuses`` (bool) all credentials; ``lifetime`` of tokens (s); ``busy``: number of token requests
                that get a 503 first; ``moved`` (bool): redirects token requests to the other origin; ``outdated``:
                number of API requests that get a 401 first.
        """
        self._ask(f"/_bench?{quote(json.dumps({'delay': delay, **how}))}")

    def requests(self) -> int:
        """How many token requests came."""
        return int(self.seen()["requests"])

    def seen(self) -> dict[str, Any]:
        """What came: token ``requests``, the last (``asked``) and the ``pause`` (s) before it; API ``calls``, those
        with a token (``bearers``); all that ``strayed`` to the ``other_origin``."""
        return self._ask("/_bench")  # type: ignore[no-any-return]

    def close(self) -> None:
        self._connection.close()

    def _ask(self, target: str) -> Any:
        self._connection.request("GET", target)
        return json.loads(self._connection.getresponse().read())


class _Server:
    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.seen: dict[str, Any] = {}
        self._reset({})

    def _reset(self, how: dict[str, Any]) -> None:
        default = {"delay": 0.0, "refuses": False, "lifetime": LIFETIME, "busy": 0, "moved": False, "outdated": 0}
        self._how, self._last = default | how, 0.0
        self.seen |= {"requests": 0, "pause": 0.0, "asked": "", "calls": 0, "bearers": 0, "strayed": ""}

    async def answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/_bench":
            writer.write(response(200, self.seen))
            if request.query:
                self._reset(json.loads(unquote(request.query)))
        elif request.path.endswith("/token"):
            content = self._token(request)
            await asyncio.sleep(self._how["delay"])
            writer.write(content)
        elif request.path.endswith("/openid-configuration"):
            found = {"issuer": f"{_HTTPS}/v2.0", "authorization_endpoint": f"{_HTTPS}/authorize"}
            writer.write(response(200, {**found, "token_endpoint": f"{_HTTPS}/token"}))
        else:
            writer.write(self._api(request))

    async def stray(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.seen["strayed"] += request.text
        writer.write(response(200, self._grant() if request.path.endswith("/token") else []))

    async def fail(self, fault: str, request: Request, writer: asyncio.StreamWriter) -> None:
        """Do harm to a request for a token."""
        if not request.path.endswith("/token"):
            await self.answer(request, writer)
            return
        head, body = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", b"Content-Length: 1000\r\n\r\n"
        match FAULTS.index(fault):
            case 0:
                await self._drip(writer, b"", b"")
            case 1:
                await self._drip(writer, head + b"X-Drip: ", b"x")
            case 2:
                await self._drip(writer, head + body, b"")
            case 3:
                await self._drip(writer, head + body, b" ")
            case 4:
                writer.write(head + body + b"{")
                writer.close()
            case 5:
                reset(writer)
            case _:
                writer.write(response(503, {}, Retry_After="3600"))

    @staticmethod
    async def _drip(writer: asyncio.StreamWriter, start: bytes, part: bytes) -> None:
        writer.write(start)
        while not writer.is_closing():
            await asyncio.sleep(0.5)
            writer.write(part)

    def _api(self, request: Request) -> bytes:
        self.seen["calls"] += 1
        self.seen["bearers"] += SIGNATURE in request.text
        if self.seen["calls"] <= self._how["outdated"]:
            return response(401, {}, WWW_Authenticate='Bearer error="invalid_token"')
        if request.path.endswith("/moved"):
            return response(307, {}, Location=f"{self.seen['other_origin']}/v1/datasets")
        return response(200, [{"id": "1"}])

    def _token(self, request: Request) -> bytes:
        now = time.monotonic()
        self.seen |= {"requests": self.seen["requests"] + 1, "pause": now - (self._last or now), "asked": request.text}
        self._last = now
        if self._how["moved"]:
            return response(307, {}, Location=f"{self.seen['other_origin']}/oauth/token")
        if self.seen["requests"] <= self._how["busy"]:
            return response(503, {}, Retry_After=str(RETRY_AFTER))
        if self._how["refuses"]:
            return response(401, {"error": "invalid_client", "error_description": "Bad client credentials"})
        return response(200, self._grant())

    def _grant(self) -> dict[str, object]:
        """A token in the shape and length of a JWT: pydomo reads from it when it expires."""
        number, lifetime = str(next(self._numbers)), self._how["lifetime"]
        claims = {"exp": int(time.time()) + lifetime, "jti": number, "scope": ["data", "user"], "customer": "bench"}
        parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
        token = ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), SIGNATURE])
        return grant(token, lifetime, number)


async def _serve(folder: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "server.pem")
    server = _Server()
    origin = await HTTPServer(server.answer).start(tls)
    server.seen["tls"] = {"DOMO_API_URL": origin, "SSL_CERT_FILE": str(folder / "authorities.pem")}
    server.seen["other_origin"] = await HTTPServer(server.stray).start()
    server.seen["faulty"] = {fault: await HTTPServer(partial(server.fail, fault)).start() for fault in FAULTS}
    plain = HTTPServer(server.answer)
    await plain.start()
    print(plain.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
