"""The token endpoint and the API of one group, which causes faults, and keeps what the rules need to know."""

from __future__ import annotations

import asyncio
import random
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.http_server import HTTPServer, grant, reset, response

from .rules import SPENT, Seen, SpentCall

if TYPE_CHECKING:
    from benchmarks.http_server import Request

    from . import Kind

__all__ = ["FAULTS", "Fault", "Server", "draw"]

_OF_REQUESTS = ("503", "503-retry-after", "429", "500", "html-502", "page", "reset", "truncated", "slow", "hang")
FAULTS = (*_OF_REQUESTS, "restart", "revoke", "revoke", "refuse-all")
"""Those of token requests; then of the server as a whole, of all tokens so far, and of all tokens for a while."""
_PAGE = b"<html><head><title>Sign in</title></head><body>%s</body></html>" % (b"." * 2000)


class Fault(NamedTuple):
    kind: str
    calm: float
    """Seconds before it."""
    seconds: float
    """How long it lasts at most."""
    requests: int
    """How many token requests it affects at most."""
    retry_after: int


def draw(chance: random.Random, lifetime: float) -> Fault:
    """The next fault, for tokens that last ``lifetime`` real seconds."""
    kind = chance.choice(FAULTS)
    longest = {"restart": 1.0, "refuse-all": 2.0}.get(kind, 4.0)
    return Fault(
        kind,
        calm=chance.expovariate(1 / (4 * lifetime)),
        seconds=chance.uniform(0.1, longest) * lifetime,
        requests=chance.choice((1, 1, 2, 3, 5, 8, 20)),
        retry_after=chance.choice((1, 2, 5, 12, 25)),
    )


class Server(HTTPServer):
    """Runs within the caller's event loop."""

    def __init__(self, kind: Kind, seed: str) -> None:
        super().__init__(self._respond)
        self.seen = Seen()
        self._kind, self._chance = kind, random.Random(seed)  # noqa: S311 -- not for secrets
        self._granted = list[tuple[float, float]]()
        """When each token was asked for, and expires; its serial number is its place."""
        self._revoked, self._refuses_until = 0, 0.0
        self._fault, self._fault_until, self._affected = draw(self._chance, 1.0), 0.0, 0

    async def run(self) -> None:
        """Cause faults until cancelled."""
        while True:
            fault = draw(self._chance, self._kind.real_lifetime)
            await asyncio.sleep(fault.calm)
            match fault.kind:
                case "revoke":
                    self._revoked = len(self._granted)
                case "refuse-all":
                    self._refuses_until = monotonic() + fault.seconds
                case "restart":
                    await self._restart(fault.seconds)
                case _:
                    self._fault, self._fault_until, self._affected = fault, monotonic() + fault.seconds, 0

    async def _restart(self, seconds: float) -> None:
        began = monotonic()
        self.stop()
        try:
            await asyncio.sleep(seconds)
            await self.start()
        finally:  # the soak may end meanwhile
            self.seen.downs.append((began, monotonic()))

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path != "/oauth/token":
            writer.write(self._api(request))
            return
        now = monotonic()
        if now >= self._fault_until or self._affected >= self._fault.requests:
            writer.write(self._grant(now))
            return
        self._affected += 1
        match self._fault.kind:
            case "503" | "500":
                writer.write(response(int(self._fault.kind), {"message": "Not now"}))
            case "503-retry-after" | "429":
                after = str(self._fault.retry_after)
                writer.write(response(int(self._fault.kind[:3]), {"message": "Not now"}, Retry_After=after))
            case "html-502" | "page":
                writer.write(response(502 if self._fault.kind == "html-502" else 200, _PAGE))
            case "reset":
                reset(writer)
            case "truncated":
                writer.write(self._grant(now)[:-20])
                writer.close()
            case "slow":
                content = self._grant(now)
                await asyncio.sleep(self._kind.timeout / 2)
                writer.write(content)
            case "hang":
                pass

    def _grant(self, asked: float) -> bytes:
        serial = str(len(self._granted))
        self._granted.append((asked, monotonic() + self._kind.real_lifetime))
        return response(200, grant(f"soak-token-{serial}", self._kind.lifetime, serial))

    def _api(self, request: Request) -> bytes:
        now, asked = monotonic(), float(request.fields["x-soak-asked"])
        token = request.fields.get("authorization", "").removeprefix("Bearer soak-token-")
        if not token.isdecimal():
            self.seen.unknown += 1
            return response(401, {"status": 401})
        began, expires = self._granted[int(token)]
        if asked > began + SPENT * self._kind.real_lifetime:
            self.seen.spent.append(SpentCall(request.fields["x-soak-who"], token, asked, now, expired=asked > expires))
        if int(token) < self._revoked or now < self._refuses_until or now > expires:
            self.seen.refused.setdefault(token, now)
            return response(401, {"status": 401, "message": "The token is not good here."})
        return response(200, [{"id": "1"}])
