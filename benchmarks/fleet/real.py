"""Workers that run the real provider, the real vault and the real seal: one process each, and one provider in it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from domo_oauth import ClientCredentials, DomoOAuthError, TokenProvider
from domo_oauth import provider as provider_module
from domo_oauth.fetch import Clock, Fetcher
from domo_oauth.shared import Held
from domo_oauth.single_flight import Flight
from domo_oauth.stores import vault as vault_module
from domo_oauth.stores.seal import Entry, Seal

from . import draws
from .parts import BOOT, LIFETIME, SPREAD, THINK, Endpoint, FileStore, RedisStore, Shelf, Tally, token
from .world import Waiter, World

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from greenlet import greenlet  # type: ignore[import-untyped]

    from domo_oauth.exchange import TokenEndpoint
    from domo_oauth.stores import Store

    from .parts import Fleet, Scenario

__all__ = ["SPENT", "Group", "Process", "Running", "Worker", "simulated"]

SPENT = LIFETIME - 30.0
"""The age at which a token is spent."""
_CREDENTIALS = ClientCredentials("fleet", "secret of the fleet")
_BASE_URL = "http://127.0.0.1:9"  # where nothing is: whatever goes wrong in here, no request leaves


class SimulatedFetcher(Fetcher):
    """The real one, but for the endpoint."""

    __slots__ = ("process",)
    process: Process

    def _open(self) -> TokenEndpoint:
        return cast("TokenEndpoint", self.process.worker.running.endpoint)


class Provider(TokenProvider):
    """The real one, but that its background thread is a greenlet."""

    __slots__ = ("process",)
    process: Process

    def _start(self, flight: Flight[Any]) -> None:
        # Not right now but next, as a thread would: whoever asked has its answer first.
        self._clock_world.at(self._clock_world.now, self.process.fly, flight)

    @property
    def _clock_world(self) -> World:
        return self.process.worker.running.world


@contextmanager
def simulated(world: World) -> Generator[None, None, None]:
    """Give the real code the simulation's time where no clock can be passed, and no thread to wait for."""

    class SimulatedFlight(Flight[Any]):
        """A flight that is waited for in simulated time."""

        def __init__(self, work: Callable[[], Any]) -> None:
            super().__init__(work)
            self.waiters: list[Waiter] = []

        is_flown_here = False  # all greenlets are one thread, and none waits for itself

        def wait(self) -> Any:
            while not self.landed:
                waiter = Waiter(world.now)
                self.waiters.append(waiter)
                world.wait(waiter, float("inf"))
            return self.outcome

        def _land(self) -> None:
            super()._land()
            for waiter in self.waiters:
                world.wake(waiter, world.now)

    log = logging.getLogger("domo_oauth")
    disabled, log.disabled = log.disabled, True  # it would tell of each worker's troubles
    with (
        patch.object(provider_module, "Flight", SimulatedFlight),
        patch.object(vault_module, "monotonic", world.time),
    ):
        try:
            yield
        finally:
            log.disabled = disabled


class Worker:
    """One of the fleet, through all its restarts: its place, and its chance."""

    __slots__ = ("drawn", "key", "process", "running", "shelf")

    def __init__(self, running: Running, index: int, shelf: Shelf) -> None:
        self.running, self.shelf = running, shelf
        self.key, self.drawn = draws.key(running.seed, index), 0
        self.process = Process(self)

    def random(self) -> float:
        """The next number."""
        self.drawn += 1
        return draws.number(self.key, self.drawn - 1)

    def think(self) -> float:
        """How long until the next call."""
        return draws.exponential(self.random(), THINK)


class Process:
    """A worker from one start to the next.

    It calls the API by chance, every ten seconds on average. A call that gets a token from memory changes nothing, and
    such calls are passed over: after any time, the wait for the next call is as long as ever (they have no memory).
    """

    __slots__ = ("busy", "number", "provider", "running", "store", "visit_at", "worker")

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.running: set[greenlet] = set()
        """What would be its threads."""
        self.busy, self.number, self.visit_at = False, 0, 0.0
        self.store = worker.running.store_for(worker)
        self.provider: Provider | None = None

    def random(self) -> float:
        """The worker's chance. That it is this process's own method makes the provider's clock, and all, its own."""
        return self.worker.random()

    def made(self) -> Provider:
        """Its provider, made when it is wanted first."""
        if self.provider is None:
            world = self.worker.running.world
            clock = Clock(world.time, world.time, world.sleep, self.random)
            provider = Provider(_CREDENTIALS, store=cast("Store | None", self.store), base_url=_BASE_URL, clock=clock)
            provider.process = self
            provider._fetcher = SimulatedFetcher(_CREDENTIALS, None, _BASE_URL, {}, clock)
            provider._fetcher.process = self
            self.provider = provider
        return self.provider

    def schedule(self, when: float) -> None:
        """Make the next call that matters then, and not when it was said before."""
        self.number, self.visit_at = self.number + 1, when
        self.worker.running.world.at(when, self._due, self.number)

    def _due(self, number: int) -> None:
        if number == self.number:
            self.worker.running.world.spawn(self._visit, self.running)

    def _visit(self) -> None:
        """A call: get a token."""
        world, tally = self.worker.running.world, self.worker.running.tally
        began, self.busy = world.now, True
        try:
            self.made().get_token()
        except DomoOAuthError:
            tally.failed += 1
        else:
            tally.delayed += world.now > began
        self.busy = False
        self.plan()

    def fly(self, flight: Flight[Any]) -> None:
        """Renew the token in the background."""
        if self.number >= 0:
            self.worker.running.world.spawn(lambda: self._fly(flight), self.running)

    def _fly(self, flight: Flight[Any]) -> None:
        flight.run()
        if not self.busy:
            self.plan()

    def plan(self) -> None:
        """Find the next call that matters: the first after what is at hand changes."""
        now, provider = self.worker.running.world.now, self.made()
        shared = provider._shared
        held, failure = shared.held, shared.failure(provider._route)
        when = now
        if held is not None:
            if now < held.stale_at:
                when = held.stale_at
            elif failure is not None and now < failure.until:
                when = min(failure.until, held.sent + LIFETIME)
            elif shared.flight is not None:
                when = held.sent + held.spent_age
        self.schedule(max(now, when) + self.worker.think())

    @property
    def is_at_work(self) -> bool:
        """Whether a call or a refresh is under way."""
        return any(not thread.dead for thread in self.running)

    def kill(self) -> None:
        """End it, wherever it is."""
        self.number = -1
        if isinstance(self.store, RedisStore):
            self.store.killed = True
        for thread in list(self.running):
            if not thread.dead:
                thread.throw()
        self.provider = None  # which the registry's key would keep alive, by the clock


class Group:
    """The workers that share a token: of a host, of the fleet, or each for itself."""

    __slots__ = ("shelf", "workers")

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.workers: list[Worker] = []

    def is_settled(self, *, stored: bool) -> bool:
        """Whether all have the same token, and nothing is under way."""
        texts = set()
        for worker in self.workers:
            process = worker.process
            shared = process.provider and process.provider._shared
            if not shared or shared.held is None or shared.flight or shared.failures or process.is_at_work:
                return False
            texts.add(shared.held.token.access_token)
        return len(texts) == 1 and (not stored or self._has(texts.pop()))

    def _has(self, text: str) -> bool:
        """Whether this is what is on the shelf."""
        entry, shelf = self.shelf.entry, self.shelf
        opened = entry and SEAL.open(entry[0])
        held = opened.token if opened else None
        return held is not None and shelf.holder is None and held.access_token == text

    @property
    def sent(self) -> float:
        """When the token at hand was asked for."""
        held = self.workers[0].process.made()._shared.held
        assert held
        return held.sent

    def take_out(self) -> None:
        """No call is due any more, until the group is put back."""
        for worker in self.workers:
            worker.process.number += 1

    def put_on_shelf(self, sent: float) -> None:
        """Put the token that was asked for then where a store keeps it."""
        self.shelf.entry = (SEAL.close(Entry(self._token(sent), sent + LIFETIME)), sent + LIFETIME)

    def put_back(self, sent: float, stale_at: list[float], visits: list[float]) -> None:
        """Let the real code go on from here."""
        same = self._token(sent)
        for worker, stale, visit in zip(self.workers, stale_at, visits, strict=True):
            held = Held(same, sent, sent, 0.0, SPENT)
            held._set(same, sent, sent, stale, stale, SPENT)  # to the last bit, where stale - sent would be rounded
            worker.process.made()._shared.held = held
            worker.process.schedule(visit)

    @staticmethod
    def _token(sent: float) -> Any:
        return token(f"quiet-{sent}", sent)


class Running:
    """A fleet under way."""

    def __init__(self, fleet: Fleet, scenario: Scenario, store: str, seed: int) -> None:
        self.fleet, self.scenario, self.store, self.seed = fleet, scenario, store, seed
        self.world, self.tally = World(), Tally(scenario.length)
        self.endpoint = Endpoint(self.world, self.tally, scenario.outages)
        size = {"none": 1, "file": fleet.workers // fleet.hosts, "redis": fleet.workers}[store]
        self.groups = [Group(Shelf()) for _ in range(fleet.workers // size)]
        self.workers: list[Worker] = []
        for index in range(fleet.workers):
            group = self.groups[index // size]
            group.workers.append(Worker(self, index, group.shelf))
        self.workers = [worker for group in self.groups for worker in group.workers]

    def store_for(self, worker: Worker) -> FileStore | None:
        """A store for one process."""
        if self.store == "none":
            return None
        if self.store == "file":
            return FileStore(self.world, worker.shelf)
        return RedisStore(self.world, worker.shelf, self.scenario.redis_outage)

    def begin(self) -> None:
        """Start all hosts, one after the other."""
        hosts = draws.arrivals(self.seed, self.fleet.hosts, self.scenario.arrivals)
        size = self.fleet.workers // self.fleet.hosts
        for index, worker in enumerate(self.workers):
            worker.process.schedule(hosts[index // size] + BOOT * worker.random() + worker.think())

    def restart(self) -> None:
        """End all processes, and start as many."""
        for worker in self.workers:
            worker.process.kill()
            worker.process = Process(worker)
        for worker in self.workers:
            worker.process.schedule(self.world.now + SPREAD * worker.random() + worker.think())

    def end(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.process.kill()


SEAL = Seal(_CREDENTIALS, None, _BASE_URL)
