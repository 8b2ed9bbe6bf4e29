"""The same fleet without this project, as a model: each process has a token of its own, and fetches it when it must.

``pydomo`` stands for Domo's official SDK, 0.3.0.16, by what the source of its ``pydomo/Transport.py`` shows:

- line 25: the constructor fetches a token; so each start is a request, before the first call;
- lines 79 to 82: a call after the time that the token itself says it expires (lines 108 to 123) fetches another first,
  and waits for it; no call fetches it any sooner, and nothing is shared with other processes;
- lines 100 to 106: one request, no other try, no pause; a refusal is an exception, and the next call asks again;
- line 84: the API's answer is given back as it is, so that a 401 fetches nothing. No call is refused here.

``plain`` stands for a few lines that many programs have: a token in a variable, fetched by the first call that finds
none or an expired one. The one difference in here is that a start asks for nothing.

Both are given the best of worlds: their clock is the server's, and no token expires on its way to the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import draws
from .parts import BOOT, LATENCY, LIFETIME, SPREAD, THINK, Tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .draws import Floats
    from .parts import Fleet, Scenario

__all__ = ["run"]


def run(fleet: Fleet, scenario: Scenario, peer: str, seed: int) -> dict[str, int]:
    """Let a fleet run with ``pydomo`` or with a ``plain`` cache, and count."""
    keys, tally = draws.keys(seed, fleet.workers), Tally(scenario.length)
    drawn = np.zeros(fleet.workers, np.uint64)
    hosts = np.array(draws.arrivals(seed, fleet.hosts, scenario.arrivals))

    def think(of: slice | NDArray[np.intp] = slice(None)) -> Floats:
        drawn[of] += np.uint64(1)
        return draws.exponentials(draws.numbers(keys[of], drawn[of] - np.uint64(1)), THINK)

    def started(since: Floats | float, within: float) -> Floats:
        nonlocal drawn
        drawn += np.uint64(1)
        up = since + within * draws.numbers(keys, drawn - np.uint64(1))
        first = think()
        return up if peer == "pydomo" else up + first

    asks = started(np.repeat(hosts, fleet.workers // fleet.hosts), BOOT)  # when each worker fetches next
    for end in (*scenario.restarts, scenario.length):
        while len(due := np.nonzero(asks < end)[0]):
            now = asks[due]
            tally.requests_at(now)
            refused = np.zeros(len(due), np.bool_)
            for outage in scenario.outages:
                refused |= (now >= outage.start) & (now < outage.end)
            tally.failed += int(refused.sum())
            tally.delayed += int((~refused).sum())
            asks[due] = now + np.where(refused, LATENCY, LIFETIME) + think(due)
        if end != scenario.length:
            asks = started(end, SPREAD)
    return tally.told()
