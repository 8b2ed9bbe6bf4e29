"""The token endpoint and the API of one group, in a process of its own, which does harm by a plan.

It knows when each token ends, and looks at the token of each request to the API. Clients say who they are and when they
were asked (``X-Soak-...``). The first line on stdout is the port; it ends when stdin does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import struct
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic

from .events import Events
from .plan import ANSWERS, Harm, draw

_KEPT = 1000
"""Tokens that are remembered; the oldest are forgotten."""
_SPENT_SHARE = 1 / 10
_PAGE = b"<html><head><title>Sign in</title></head><body>%s</body></html>" % (b"." * 2000)
_REFUSAL = {"status": 401, "statusReason": "Unauthorized", "message": "The token is not good here."}


class _Token:
    """A token that was granted: when it was asked for, when it ends, and what was already said of it."""

    def __init__(self, asked: float, expires: float) -> None:
        self.asked = asked
        self.expires = expires
        self.revoked = False
        self.told: set[tuple[str, str]] = set()


class _Server:
    def __init__(self, events: Events, lifetime: int, speed: float, timeout: float) -> None:
        self._events = events
        self._lifetime, self._real_lifetime, self._timeout = lifetime, lifetime / speed, timeout
        self._tokens: dict[str, _Token] = {}
        self._granted = 0
        self._refuses_until = 0.0
        self._harm: Harm | None = None
        self._harm_until = 0.0
        self._harm_left = 0
        self._calls = self._spent_calls = 0
        self._connections: set[_Connection] = set()

    async def serve(self, chance: random.Random) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as place:  # bound and not listening, it keeps the port while the server is down
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place.bind(("127.0.0.1", 0))
            port: int = place.getsockname()[1]
            make = partial(_Connection, self, self._connections)
            listener = await loop.create_server(make, "127.0.0.1", port, backlog=1024)
            print(port, flush=True)
            harm = asyncio.create_task(self._do_harm(chance, listener, port))
            await loop.run_in_executor(None, sys.stdin.read)
            harm.cancel()
            with suppress(asyncio.CancelledError):
                await harm
        self._events.write("end", calls=self._calls, spent_calls=self._spent_calls, granted=self._granted)

    async def _do_harm(self, chance: random.Random, listener: asyncio.Server, port: int) -> None:
        while True:
            harm = draw(chance, self._real_lifetime)
            await asyncio.sleep(harm.calm)
            self._events.write("harm", kind=harm.kind, seconds=harm.seconds, requests=harm.requests)
            if harm.kind in ANSWERS:
                self._harm, self._harm_until, self._harm_left = harm, monotonic() + harm.seconds, harm.requests
            elif harm.kind == "revoke":
                for token in self._tokens.values():
                    token.revoked = True
            elif harm.kind == "refuse-all":
                self._refuses_until = monotonic() + harm.seconds
            else:
                began = monotonic()
                listener.close()
                for connection in tuple(self._connections):
                    connection.reset()
                try:
                    await asyncio.sleep(harm.seconds)
                    make = partial(_Connection, self, self._connections)
                    listener = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port, backlog=1024)
                finally:  # it may be down when all ends
                    self._events.write("down", began=began, ended=monotonic())

    def answer(self, target: str, fields: dict[str, str], connection: _Connection) -> None:
        if target.startswith("/oauth/token"):
            self._token(fields, connection)
        else:
            connection.send(self._api(fields))

    def _token(self, fields: dict[str, str], connection: _Connection) -> None:
        now, request = monotonic(), fields["x-soak-id"]
        harm = self._harm if now < self._harm_until and self._harm_left > 0 else None
        if harm is None:
            connection.send(self._grant(now, request))
            return
        self._harm_left -= 1
        self._events.write("fault", kind=harm.kind, id=request)
        match harm.kind:
            case "503" | "500" | "503-retry-after" | "429":
                more = {"Retry-After": str(harm.retry_after)} if harm.kind in {"503-retry-after", "429"} else {}
                status = int(harm.kind[:3])
                connection.send(_response(status, {"status": status, "message": "Not now"}, more))
            case "html-502":
                connection.send(_bytes(502, _PAGE, "text/html", {}))
            case "page":
                connection.send(_bytes(200, _PAGE, "text/html", {}))
            case "reset":
                connection.reset()
            case "truncated":
                connection.send(self._grant(now, request)[:-20])
                connection.close()
            case "slow":
                delay = self._timeout * 0.5

                def later() -> None:
                    connection.send(self._grant(now, request))

                asyncio.get_running_loop().call_later(delay, later)
            case _:  # says nothing; the client hangs up
                pass

    def _grant(self, asked: float, request: str) -> bytes:
        self._granted += 1
        serial, now = str(self._granted), monotonic()
        self._tokens[f"soak-token-{serial}"] = _Token(asked, now + self._real_lifetime)
        if len(self._tokens) > _KEPT:
            del self._tokens[next(iter(self._tokens))]
        self._events.write("grant", token=serial, id=request, expires=now + self._real_lifetime)
        body = {
            "access_token": f"soak-token-{serial}",
            "token_type": "bearer",
            "expires_in": self._lifetime,
            "scope": "data user",
            "customer": "soak",
            "userId": 1,
            "role": "Admin",
            "jti": serial,
        }
        return _response(200, body, {"Cache-Control": "no-store", "X-Soak-Token": serial})

    def _api(self, fields: dict[str, str]) -> bytes:
        name = fields.get("authorization", "").removeprefix("Bearer ")
        who, asked, now = fields["x-soak-who"], float(fields["x-soak-asked"]), monotonic()
        token = self._tokens.get(name)
        self._calls += 1
        if token is None:
            self._events.write("unknown", who=who)
            return _response(401, _REFUSAL, {})
        serial = name.removeprefix("soak-token-")
        if asked > token.asked + (1 - _SPENT_SHARE) * self._real_lifetime:
            self._spent_calls += 1
            self._tell(token, "spent", who, token=serial, asked=asked, expired=asked > token.expires)
        why = ""
        if token.revoked:
            why = "revoked"
        elif now < self._refuses_until:
            why = "all"
        elif now > token.expires:
            why = "expired"
        if why:
            self._tell(token, "refused", why, token=serial)
            return _response(401, _REFUSAL, {})
        return _response(200, [{"id": "1"}], {})

    def _tell(self, granted: _Token, event: str, of: str, /, **what: object) -> None:
        """Write it down the first time, as a thousand calls may meet with the same; but each that had expired."""
        if (event, of) not in granted.told or what.get("expired"):
            granted.told.add((event, of))
            self._events.write(event, of=of, **what)


class _Connection(asyncio.Protocol):
    """One connection, kept open. No client here sends a body, or a request before the last one was answered."""

    def __init__(self, server: _Server, connections: set[_Connection]) -> None:
        self._server = server
        self._connections = connections
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, _ = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        self._received = b""
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._server.answer(first.split(" ", 2)[1], fields, self)

    def send(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)

    def close(self) -> None:
        self._transport.close()

    def reset(self) -> None:
        """Break the connection off (RST)."""
        if not self._transport.is_closing():
            connection: socket.socket = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()


def _response(status: int, body: object, more: dict[str, str]) -> bytes:
    return _bytes(status, json.dumps(body).encode(), "application/json;charset=UTF-8", more)


def _bytes(status: int, content: bytes, kind: str, more: dict[str, str]) -> bytes:
    fields = {"Content-Type": kind, "Content-Length": str(len(content)), **more}
    lines = (f"HTTP/1.1 {status} Soak", *(f"{name}: {value}" for name, value in fields.items()), "", "")
    return "\r\n".join(lines).encode() + content


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak.server", description=__doc__)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--lifetime", type=int, required=True)
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--seed", required=True)
    options = parser.parse_args()
    events = Events(options.events)
    chance = random.Random(options.seed)  # noqa: S311 -- no secret comes of it
    asyncio.run(_Server(events, options.lifetime, options.speed, options.timeout).serve(chance))
    events.close()


if __name__ == "__main__":
    main()
