"""Workers that run the real provider: one process each, and one provider in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from domo_oauth import ClientCredentials, Clock, DomoOAuthError, TokenProvider
from domo_oauth.timing import stale_after

from . import draws
from .parts import BOOT, LIFETIME, SPREAD, THINK, Endpoint, FileStore, RedisStore, Shelf, Tally, grant
from .world import Inbox, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenlet import greenlet  # type: ignore[import-untyped]

    from .parts import Fleet, Scenario

__all__ = ["Group", "Process", "Running", "Worker"]

_CREDENTIALS = ClientCredentials("fleet", "secret of the fleet")
_BASE_URL = "http://127.0.0.1:9"  # where nothing is: whatever goes wrong in here, no request leaves


class Worker:
    """One of the fleet, through all its restarts: its place, and its chance."""

    __slots__ = ("chance", "drawn", "key", "process", "running", "shelf", "thought")

    def __init__(self, running: Running, index: int, shelf: Shelf) -> None:
        self.running, self.shelf = running, shelf
        self.key, self.thought = draws.key(running.seed, index), 0
        self.chance, self.drawn = draws.chance_key(running.seed, index), 0
        """What its providers draw from, and how often they have."""
        self.process = Process(self)

    def number(self) -> float:
        """The next number of its own."""
        self.thought += 1
        return draws.number(self.key, self.thought - 1)

    def think(self) -> float:
        """How long until the next call."""
        return draws.exponential(self.number(), THINK)


class Process:
    """A worker from one start to the next.

    It calls the API by chance, every ten seconds on average. Calls with a fresh token change nothing, and are passed
    over: after any time, the wait for the next call is as long as ever (they have no memory).
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.running: set[greenlet] = set()
        """What would be its threads."""
        self.token = ""
        """The last that a call was given; when it was asked for, and when it gets stale."""
        self.sent = self.stale_at = 0.0
        self.visit_at = 0.0
        """When the next call is due."""
        self._schedule = 0
        """The number of what is due; -1 in a process that has ended."""
        self._last_chance = 0.0
        self._then: float | None = None
        """The time, in place of the world's."""
        self._store: FileStore | None = None
        self._provider: TokenProvider | None = None

    def provider(self) -> TokenProvider:
        """Its provider, made when it is wanted first."""
        if self._provider is None:
            clock = Clock(self._time, self._time, self._sleep, self._random, self._start, self._inbox)
            self._store = self.worker.running.store_for(self.worker, clock)
            transport = httpx.MockTransport(self._answer)
            args = {"transport": transport, "trust_env": False}
            self._provider = TokenProvider(
                _CREDENTIALS, store=self._store, base_url=_BASE_URL, httpx_args=args, clock=clock
            )
        return self._provider

    def schedule(self, when: float) -> None:
        """Make the next call then, and not when it was said before."""
        self._schedule, self.visit_at = self._schedule + 1, when
        self.worker.running.world.at(when, self._due, self._schedule)

    def take_out(self) -> None:
        """Make no call, until it is put back."""
        self._schedule += 1
        self._provider = None

    def put_back(self, sent: float) -> None:
        """Bring its provider to where it was: let it get the token then, by the same chance."""
        self.worker.drawn -= 1
        self._then = sent
        self._get_token()
        self._then = None

    def kill(self) -> None:
        """End it, wherever it is."""
        self._schedule = -1
        if isinstance(self._store, RedisStore):
            self._store.killed = True
        for thread in tuple(self.running):
            thread.throw()
        self._provider = None

    def _due(self, number: int) -> None:
        if number == self._schedule:
            self.worker.running.world.spawn(self._visit, self.running)

    def _visit(self) -> None:
        """A call: get a token."""
        world, tally = self.worker.running.world, self.worker.running.tally
        began = world.now
        try:
            self._get_token()
        except DomoOAuthError:
            tally.failed += 1
        else:
            tally.delayed += world.now > began
        self.schedule(max(world.now, self.stale_at) + self.worker.think())

    def _get_token(self) -> None:
        provider = self.provider()
        token = provider.get_token().access_token
        left = provider.stats().expires_in
        if token != self.token and left is not None:
            # The last that a provider draws for a token is when it gets stale.
            self.token, self.sent = token, self._time() + left - LIFETIME
            self.stale_at = self.sent + stale_after(LIFETIME, self._last_chance)

    # The provider's seams.

    def _time(self) -> float:
        return self.worker.running.world.now if self._then is None else self._then

    def _sleep(self, seconds: float) -> None:
        self.worker.running.world.sleep(seconds)

    def _random(self) -> float:
        self.worker.drawn += 1
        self._last_chance = draws.number(self.worker.chance, self.worker.drawn - 1)
        return self._last_chance

    def _start(self, run: Callable[[], object]) -> None:
        if self._then is not None:
            run()
            return
        # Not right now but next, as a thread would: whoever asked has its answer first.
        world = self.worker.running.world
        world.at(world.now, self._fly, run)

    def _fly(self, run: Callable[[], object]) -> None:
        if self._schedule >= 0:
            self.worker.running.world.spawn(run, self.running)

    def _inbox(self) -> Inbox:
        return Inbox(self.worker.running.world)

    def _answer(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 -- there is but one
        if self._then is not None:
            return grant(f"of-{self._then}")
        return self.worker.running.endpoint.answer()


class Group:
    """The workers that share a token: of a host, of the fleet, or each for itself."""

    __slots__ = ("shelf", "workers")

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.workers: list[Worker] = []

    def is_settled(self, now: float, *, stored: bool) -> bool:
        """Whether all have the same fresh token, and nothing is under way."""
        processes = [worker.process for worker in self.workers]
        first = processes[0]
        if any(each.token != first.token or now >= each.stale_at or each.running for each in processes):
            return False
        return not stored or (self.shelf.saved_at >= first.sent and not self.shelf.is_held(now))

    def put_back(self, workers: list[Worker], sent: float) -> None:
        """Bring some workers, and the store if there is one, to where they were when all had this token."""
        self.shelf.entry = None
        for worker in workers:
            worker.process.put_back(sent)


class Running:
    """A fleet under way."""

    def __init__(self, fleet: Fleet, scenario: Scenario, store: str, seed: int) -> None:
        self.fleet, self.scenario, self.store, self.seed = fleet, scenario, store, seed
        self.world, self.tally = World(), Tally(scenario.length)
        self.endpoint = Endpoint(self.world, self.tally, scenario.outages)
        size = {"none": 1, "file": fleet.workers // fleet.hosts, "redis": fleet.workers}[store]
        self.groups = [Group(Shelf()) for _ in range(fleet.workers // size)]
        for index in range(fleet.workers):
            group = self.groups[index // size]
            group.workers.append(Worker(self, index, group.shelf))
        self.workers = [worker for group in self.groups for worker in group.workers]

    def store_for(self, worker: Worker, clock: Clock) -> FileStore | None:
        """A store for one process."""
        if self.store == "none":
            return None
        if self.store == "file":
            return FileStore(self.world, worker.shelf, clock)
        return RedisStore(self.world, worker.shelf, clock, self.scenario.redis_outage)

    def begin(self) -> None:
        """Start all hosts, one after the other."""
        hosts = draws.arrivals(self.seed, self.fleet.hosts, self.scenario.arrivals)
        size = self.fleet.workers // self.fleet.hosts
        for index, worker in enumerate(self.workers):
            worker.process.schedule(hosts[index // size] + BOOT * worker.number() + worker.think())

    def restart(self) -> None:
        """End all processes, and start as many."""
        self.end()
        for worker in self.workers:
            worker.process = Process(worker)
            worker.process.schedule(self.world.now + SPREAD * worker.number() + worker.think())

    def end(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.process.kill()
