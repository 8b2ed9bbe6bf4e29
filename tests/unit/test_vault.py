"""How the provider uses a store: one process at a time, and never at the caller's cost. And the seal."""

from __future__ import annotations

import base64
import importlib
import itertools
import logging
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from domo_oauth import (
    ClientCredentials,
    ConfigurationError,
    DomoOAuthError,
    ServerError,
    Token,
    TokenProvider,
    TokenRequestError,
)
from domo_oauth.provider import Clock, forget_tokens
from domo_oauth.stores import StoreError
from domo_oauth.stores import vault as vault_module
from domo_oauth.stores.seal import Entry, Refusal, Seal
from domo_oauth.stores.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

BASE_URL = "https://api.domo.com"
HOUR = 3600
PATIENCE = 20.0


class MemoryStore:
    """A store in memory, with a clock that the test sets, which notes what it is asked."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.entries: dict[str, tuple[bytes, float]] = {}
        self.leases: dict[str, object] = {}
        self.asked: list[str] = []
        self.broken: set[str] = set()
        self.error: Exception = StoreError("The canary store is broken.")
        self.waited: list[float] = []
        self.meanwhile: Callable[[], object] = lambda: None
        """What happens while somebody waits."""

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if what in self.broken:
            raise self.error

    def load(self, name: str) -> tuple[bytes | None, float]:
        self._note("load")
        sealed, expires_at = self.entries.get(name, (None, 0.0))
        return (sealed if expires_at > self.now else None), self.now

    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        self._note("save")
        if self.leases.get(name) is lease:
            self.entries[name] = sealed, expires_at

    def delete(self, name: str) -> None:
        self._note("delete")
        self.entries.pop(name, None)

    def lease(self, name: str) -> object | None:
        self._note("lease")
        lease = object()
        return lease if self.leases.setdefault(name, lease) is lease else None

    def release(self, name: str, lease: object) -> None:
        self._note("release")
        if self.leases.get(name) is lease:
            del self.leases[name]

    def wait(self, name: str, seconds: float) -> None:
        self._note("wait")
        self.waited.append(seconds)
        self.meanwhile()


class Process:
    """What a process has for itself: a clock, a provider, and a count of its requests."""

    numbers = itertools.count(1)

    def __init__(self, store: object, credentials: ClientCredentials, **args: object) -> None:
        self.now, self.now_wall = 1_000.0, 1_700_000_000.0
        self.lifetime, self.requests = HOUR, 0
        self.status = 200
        self.in_flight: Callable[[], object] = lambda: None
        clock = Clock(lambda: self.now, lambda: self.now_wall, self.advance, lambda: 0.0)
        httpx_args = {"transport": httpx.MockTransport(self.answer)}
        self.provider = TokenProvider(credentials, store=store, clock=clock, httpx_args=httpx_args, **args)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.now_wall += seconds

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        self.in_flight()
        number = next(self.numbers)
        fields = {"access_token": f"canary-token-{number}", "token_type": "bearer", "expires_in": self.lifetime}
        return httpx.Response(self.status, json=fields | {"customer": "acmecompany", "scope": "data user", "env": "x"})

    def get(self) -> Token:
        return self.provider.get_token()

    def background(self) -> None:
        """Wait for a refresh."""
        flight = self.provider._shared.flight
        if flight is not None:
            flight.wait()


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch) -> None:
    monkeypatch.setattr(vault_module, "monotonic", lambda: 0.0)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def process(store, credentials) -> Callable[..., Process]:
    return lambda **args: Process(store, credentials, **args)


@pytest.fixture
def vault(store, credentials) -> Vault:
    return Vault(store, credentials, None, BASE_URL)


@pytest.fixture(params=["all fields", "required fields"])
def token(request) -> Token:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    if request.param == "required fields":
        return Token("canary-token-0", expires_in=HOUR, expires_at=moment)
    return Token(
        "canary-token-0",
        expires_in=HOUR,
        expires_at=moment,
        token_type="Bearer",
        scopes=frozenset({"data", "user"}),
        customer="acmecompany",
        role="Admin",
        user_id=27,
        jti="jti",
        extra={"env": ["prod1", {"a": None}]},
    )


# Two processes, one store.


def test_the_second_takes_what_the_first_left(process, store):
    one, two = process(), process()
    granted = one.get()
    store.now += 600
    two.advance(600)
    assert two.get() == granted
    assert two.get() is two.get()
    assert (one.requests, two.requests) == (1, 0)
    assert two.provider.stats() == (0, 0, 1, 0, 0, HOUR - 600)
    assert store.asked == ["load", "lease", "load", "save", "release", "load"]
    assert not store.leases


def test_age_goes_by_the_clock_of_the_store(process, store):
    one, two = process(), process()
    one.get()
    store.now += 600
    two.now_wall -= 86400
    two.get()
    assert two.provider.stats().expires_in == HOUR - 600


def test_age_counts_from_before_the_request_was_sent(process, store):
    one, two = process(), process()
    one.in_flight = lambda: one.advance(50)  # nobody else's time runs
    one.get()
    two.get()
    assert two.provider.stats().expires_in == HOUR - 50


def test_a_token_about_to_expire_is_left_there(process, store):
    one, two = process(), process()
    one.get()
    store.now += HOUR - 30
    assert two.get().access_token != one.get().access_token
    assert two.requests == 1


def test_a_stale_token_of_the_store_is_handed_out_and_renewed(process, store):
    one, two = process(), process()
    granted = one.get()
    store.now += HOUR - 100
    assert two.get() == granted
    assert two.requests == 0
    assert two.get() == granted
    two.background()
    assert two.requests == 1
    assert two.get() != granted


def test_when_it_is_time_to_renew_one_asks_and_the_others_take_it(process, store):
    processes = [process() for _ in range(5)]
    first = {each.get().access_token for each in processes}
    store.now += HOUR - 100
    for each in processes:
        each.advance(HOUR - 100)
        assert {each.get().access_token} == first
        each.background()
    assert len({each.get().access_token for each in processes} - first) == 1
    assert sum(each.requests for each in processes) == 2
    assert [each.provider.stats().stored for each in processes] == [0, 2, 2, 2, 2]


def test_a_token_that_an_api_refused_is_not_taken_from_the_store(process, store):
    one, two = process(), process()
    two_had = one.get(), two.get()
    two.provider.invalidate(two_had[1])
    fresh = two.get()
    assert fresh not in two_had
    one.provider.invalidate(two_had[0])
    assert one.get() == fresh
    assert (one.requests, two.requests) == (1, 1)


def test_an_older_token_of_the_store_is_left_there(process, store):
    one, two = process(), process()
    older = one.get()
    store.now += 100
    store.broken = {"load"}
    mine = two.get()
    store.broken.clear()
    store.now += HOUR - 250
    two.advance(HOUR - 250)
    assert two.get() == mine
    two.background()
    assert two.get() not in {older, mine}
    assert two.requests == 2


@pytest.mark.parametrize(
    "other",
    [
        {"scopes": "data"},
        {"base_url": "https://api.example.com"},
        {"credentials": ClientCredentials("canary-client-7f3d91", "another-secret")},
        {"credentials": ClientCredentials("another-client", "canary-secret-c0ffee5ec2e7")},
    ],
)
def test_another_client_secret_scope_or_base_url_has_an_entry_of_its_own(store, process, credentials, other):
    one, two = process(), Process(store, **({"credentials": credentials} | other))
    assert one.get() != two.get()
    assert (one.requests, two.requests, len(store.entries)) == (1, 1, 2)


# What the endpoint answers one of them.


SERVER_ERROR = {
    "status": 503,
    "statusReason": "Service Unavailable",
    "message": "Out for an hour",
    "toe": "TOE-7F3D91",
    "timestamp": "2026-01-02T03:04:05.000+0000",
}


def refuse(process: Process, answer: httpx.Response | Exception) -> Exception:
    def answers(request: httpx.Request) -> httpx.Response:
        process.requests += 1
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    process.provider._route.httpx_args["transport"] = httpx.MockTransport(answers)
    with pytest.raises(DomoOAuthError) as caught:
        process.get()
    return caught.value


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (httpx.Response(401, json={"error": "invalid_client"}), 1.0),
        (httpx.Response(400, json={"error": "invalid_scope", "error_description": "No."}), 1.0),
        (httpx.Response(429, headers={"Retry-After": "60"}), 60.0),
        (httpx.Response(429, headers={"Retry-After": "86400"}), 300.0),
        (httpx.Response(503, json=SERVER_ERROR), 1.0),
    ],
    ids=["client", "scope", "rate limit", "rate limit for a day", "server"],
)
def test_what_one_is_told_holds_for_all(process, store, caplog, answer, pause):
    caplog.set_level(logging.INFO, "domo_oauth")
    one, two = process(), process()
    told = refuse(one, answer)
    caplog.clear()
    with pytest.raises(type(told)) as caught:
        two.get()
    assert vars(caught.value) == vars(told)
    assert str(caught.value) == str(told)
    assert [record.getMessage() for record in caplog.records] == [
        "Not asked: another process was given an error that holds for this one, too",
        f"No token; nobody asks again for {pause:.1f} s: {told}",
    ]
    assert two.requests == two.provider.stats().failures == 0
    store.now += pause
    two.advance(pause - 0.1)
    with pytest.raises(type(told)):
        two.get()
    two.advance(0.1)
    assert two.get()
    assert not store.leases


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(403),
        httpx.Response(200, text="<html>Log in to the hotel's network</html>"),
        httpx.ConnectError("No route to host"),
    ],
    ids=["an allow list", "a captive portal", "no network"],
)
def test_what_is_one_hosts_business_is_kept_from_the_others(process, store, answer):
    one, two = process(), process()
    refuse(one, answer)
    assert not store.entries
    assert not store.leases
    assert two.get()


def test_the_pause_grows_from_one_process_to_the_next(process, store):
    processes = [process() for _ in range(4)]
    for each, pause in zip(processes, (1.0, 2.0, 4.0, 8.0), strict=True):
        for other in processes:
            other.status = 503
            with pytest.raises(ServerError):
                other.get()
        assert each.provider._vault.read()[1].pause == pause
        store.now += pause
        for other in processes:
            other.advance(pause)
    assert sum(each.requests for each in processes) == 16


def test_a_token_that_is_there_stays_when_the_next_is_refused(process, store):
    one, two, new = process(), process(), process()
    granted = one.get()
    assert two.get() == granted
    for each in (one, two):
        each.advance(HOUR - 60)
        each.status = 503
    store.now += HOUR - 60
    for each in (one, two, two):
        assert each.get() == granted
        each.background()
    assert (one.requests, two.requests) == (5, 0)
    assert new.get() == granted
    assert new.provider._vault.load().left == 60
    store.now += 60
    assert new.provider._vault.load() is None


def test_a_reset_passes_over_what_another_was_told(process, store):
    one, two = process(), process()
    refuse(one, httpx.Response(503))
    with pytest.raises(ServerError):
        two.get()
    two.provider.reset()
    granted = two.get()
    assert two.requests == 1
    two.provider.reset()
    assert two.get() == granted  # from the store
    assert two.requests == 1
    assert one.provider._vault.read()[1] is None


def test_a_reset_holds_for_one_fetch(process, store):
    one, two = process(), process()
    two.provider.reset()
    two.status = 503
    with pytest.raises(ServerError):
        two.get()
    store.now += 1
    two.advance(1)
    refuse(one, httpx.Response(503))
    with pytest.raises(ServerError):
        two.get()
    assert two.requests == 4


def test_who_waits_for_its_turn_is_told_the_same(process, store):
    one, two = process(), process()
    store.leases[one.provider._vault.seal.name] = "of one"

    def released() -> None:
        store.leases.clear()
        refuse(one, httpx.Response(503))

    store.meanwhile = released
    with pytest.raises(ServerError):
        two.get()
    assert two.requests == 0
    assert store.waited == [15.0]


def test_it_is_told_what_came_between_its_look_and_its_lease(process, store):
    one, two = process(), process()
    lease = store.lease
    seldom = iter([True])

    def late(name: str) -> object | None:
        if next(seldom, False):
            refuse(one, httpx.Response(503))
        return lease(name)

    store.lease = late
    with pytest.raises(ServerError):
        two.get()
    assert two.requests == 0
    assert not store.leases


def test_without_its_turn_nobody_tells_the_others(process, store, vault):
    with vault.turn(lambda _: False) as turn:
        store.leases[vault.seal.name] = "of another by now"
        turn.refuse(ServerError("503", status=503), 1.0, 1.0)
    assert not store.entries


def test_a_store_that_does_not_keep_it_does_not_keep_it_from_the_caller(process, store, caplog):
    one = process()
    store.broken = {"save"}
    assert "503" in str(refuse(one, httpx.Response(503)))
    assert "Doing without the store" in caplog.text


@pytest.mark.parametrize("left", [-1.0, 0.0, 301.1, float("inf"), float("nan")])
def test_a_pause_that_is_over_or_was_never_made_is_passed_over(process, store, vault, left):
    refusal = Refusal(ServerError("503", status=503), 1.0, store.now + left)
    store.entries[vault.seal.name] = vault.seal.close(Entry(None, 0.0, refusal)), store.now + HOUR
    assert vault.read()[1] is None
    assert process().get()


def test_a_turn_heeds_it_unless_told_otherwise(store, vault):
    refusal = Refusal(ServerError("503", status=503), 1.0, store.now + 1)
    store.entries[vault.seal.name] = vault.seal.close(Entry(None, 0.0, refusal)), store.now + HOUR
    with vault.turn(lambda _: True) as turn:
        assert turn.refusal.left == 1.0
    with vault.turn(lambda _: True, anew=True) as turn:
        assert turn.refusal is None


def test_the_time_that_the_store_takes_is_taken_off(store, vault, token, monkeypatch):
    ticks = itertools.count(0, 5)
    monkeypatch.setattr(vault_module, "monotonic", lambda: float(next(ticks)))
    refusal = Refusal(ServerError("503", status=503), 1.0, store.now + 20)
    store.entries[vault.seal.name] = vault.seal.close(Entry(token, store.now + 60, refusal)), store.now + HOUR
    stored, refused, now = vault.read()
    assert (stored.left, refused.left, now) == (55, 15, store.now)  # what is saved is not to be too young either


def test_and_the_time_that_a_turn_takes(store, vault, token, monkeypatch):
    now = 0.0
    monkeypatch.setattr(vault_module, "monotonic", lambda: now)
    with vault.turn(lambda _: False) as turn:
        now = 7.0
        turn.save(token, 3.0)
    assert vault.seal.open(store.entries[vault.seal.name][0]).expires_at == store.now + 7.0 - 3.0 + HOUR


@pytest.mark.parametrize("left", [0.1, 300.0, 301.0])
def test_until_it_is_over_it_is_believed(process, store, vault, left):
    refusal = Refusal(ServerError("503", status=503), 1.0, store.now + left)
    store.entries[vault.seal.name] = vault.seal.close(Entry(None, 0.0, refusal)), store.now + HOUR
    assert vault.read()[1].left == pytest.approx(left)


# Waiting for one's turn.


def test_within_the_pause_after_an_error_the_store_is_looked_into(process, store):
    one, two = process(), process()
    two.status = 403
    for _ in range(2):  # the second call looks into the store, in the background, and once a second
        with pytest.raises(TokenRequestError):
            two.get()
        two.background()
    assert store.asked.count("load") == 3
    shared = two.provider._shared
    shared.fail(shared.failures[0]._replace(until=two.now + 30))
    granted = one.get()
    with pytest.raises(TokenRequestError):
        two.get()
    assert store.asked.count("load") == 5  # the other process looked twice, this one not yet again
    two.advance(1)
    with pytest.raises(TokenRequestError):
        two.get()
    two.background()
    assert two.get() == granted
    assert (one.requests, two.requests) == (1, 1)
    assert two.provider.stats().failures == 1
    assert two.provider.stats().stored == 1


@pytest.mark.parametrize("what", ["broken", "refused token"])
def test_what_is_no_good_in_the_store_does_not_end_the_pause(process, store, caplog, what):
    one, two = process(), process()
    granted = one.get()
    if what == "refused token":
        two.get()
        two.provider.invalidate(granted)
    two.status = 403
    if what == "broken":
        store.broken = {"load"}
    with pytest.raises(TokenRequestError):
        two.get()
    complaints = len(caplog.records)
    for _ in range(3):
        with pytest.raises(TokenRequestError):
            two.get()
        two.background()
    assert two.requests == 1
    assert two.provider.stats().failures == 1
    assert len(caplog.records) == complaints


def test_who_comes_second_waits_for_the_first(process, store):
    one, two = process(), process()
    store.meanwhile = one.get
    store.leases[one.provider._vault.seal.name] = "of one"

    def released() -> None:
        store.leases.clear()
        one.get()

    store.meanwhile = released
    assert two.get() == one.get()
    assert (one.requests, two.requests) == (1, 0)
    assert store.waited == [15.0]


def test_what_comes_between_the_look_and_the_lease_is_seen(process, store):
    one, two = process(), process()
    lease = store.lease

    def late(name: str) -> object | None:
        store.lease = lease
        one.get()
        return lease(name)

    store.lease = late
    assert two.get() == one.get()
    assert two.requests == 0
    assert not store.leases


def test_who_has_waited_long_enough_asks_without_its_turn(process, store, monkeypatch):
    one = process()
    now = [0.0]
    monkeypatch.setattr(vault_module, "monotonic", lambda: now[0])
    name = one.provider._vault.seal.name
    store.leases[name] = "of somebody who is gone"
    store.meanwhile = lambda: now.__setitem__(0, now[0] + 4.0)
    one.get()
    assert one.requests == 1
    assert store.waited == [15.0, 11.0, 7.0, 3.0]
    assert store.leases == {name: "of somebody who is gone"}
    assert not store.entries


def test_a_leader_that_is_interrupted_gives_the_lease_back(process, store):
    one = process()

    def interrupt() -> None:
        raise KeyboardInterrupt

    one.in_flight = interrupt
    with pytest.raises(KeyboardInterrupt):
        one.get()
    assert not store.leases


def test_who_is_interrupted_while_it_waits_for_its_turn_gives_the_lease_back(process, store):
    one = process()
    load = store.load

    def interrupted(name: str) -> tuple[bytes | None, float]:
        if name in store.leases:
            raise KeyboardInterrupt
        return load(name)

    store.load = interrupted
    with pytest.raises(KeyboardInterrupt):
        one.get()
    assert not store.leases


def test_threads_of_two_processes_and_one_request(process, store):
    one, two = process(), process()
    gate = threading.Barrier(16)

    def ask(each: Process) -> Token:
        gate.wait(PATIENCE)
        return each.get()

    with ThreadPoolExecutor(16) as threads:
        asked = [threads.submit(ask, each) for each in (one, two) for _ in range(8)]
        assert len({each.result(PATIENCE).access_token for each in asked}) == 1
    assert one.requests + two.requests == 1


# A store that does not work.


@pytest.mark.parametrize("error", [StoreError("The canary store is broken."), OSError("canary-password")])
@pytest.mark.parametrize("what", ["load", "lease", "save", "release"])
def test_a_broken_store_costs_a_warning_and_a_request(process, store, caplog, what, error):
    store.broken, store.error = {what}, error
    one = process()
    one.get()
    assert one.get() is one.get()
    assert one.requests == 1
    (warning,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    told = "The canary store is broken." if isinstance(error, StoreError) else "OSError"
    assert warning.getMessage().startswith("Doing without the store <")
    assert warning.getMessage().endswith(f": {told}")
    assert "canary-password" not in caplog.text


def test_a_store_that_breaks_while_it_waits(process, store):
    one = process()
    store.leases[one.provider._vault.seal.name] = "of another"
    store.broken = {"wait"}
    one.get()
    assert one.requests == 1


def test_nothing_is_asked_of_a_store_that_is_broken(process, store, caplog):
    store.broken = {"load", "lease", "save", "release"}
    process().get()
    assert store.asked == ["load"]
    store.broken, store.asked = {"save", "release"}, []
    process().get()
    assert store.asked == ["load", "lease", "load", "save", "release"]
    assert len(caplog.records) == 2


# What is in the store.


def test_an_entry_that_expired_by_itself_is_passed_over(vault, store, token):
    """However long whoever put it back says that it lives."""
    name = vault.seal.name
    for left in (-1, 0, HOUR + 1.5):
        store.entries[name] = vault.seal.close(Entry(token, store.now + left)), store.now + HOUR
        assert vault.load() is None
    for left in (1, HOUR - 1, HOUR + 1):
        store.entries[name] = vault.seal.close(Entry(token, store.now + left)), store.now + HOUR
        assert vault.load() == (token, min(left, HOUR))


def test_what_is_sealed_is_opened(vault, token):
    sealed = vault.seal.close(Entry(token, 1234.5))
    assert vault.seal.open(sealed) == (token, 1234.5, None)
    assert vault.seal.open(sealed)[0].expires_at.tzinfo is UTC
    assert vault.seal.close(Entry(token, 1234.5)) != sealed


def test_load_and_delete(vault, store, token):
    assert vault.load() is None
    store.entries[vault.seal.name] = vault.seal.close(Entry(token, store.now + 60)), store.now + 60
    stored = vault.load()
    assert stored.token == token
    assert stored.left == 60
    vault.delete()
    assert vault.load() is None


def broken_entries() -> dict[str, bytes]:
    seal = Seal(ClientCredentials("canary-client-7f3d91", "canary-secret-c0ffee5ec2e7"), None, BASE_URL)

    def sealed(text: bytes) -> bytes:
        return b"0" * 12 + seal._cipher.encrypt(b"0" * 12, text, None)

    fields = b'"expires_at": "2026-01-01T00:00:00+00:00", "scopes": [], "access_token": "t", "expires_in": 1'
    whole = seal.close(Entry(Token("t", expires_in=1, expires_at=datetime.now(UTC)), 1.0))
    return {
        "nothing": b"",
        "a nonce": whole[:12],
        "cut off": whole[:-1],
        "too long": whole + b"x",
        "another nonce": b"x" * 12 + whole[12:],
        "a bit": whole[:50] + bytes([whole[50] ^ 1]) + whole[51:],
        "text": b"garbage " * 100,
        "no JSON": sealed(b"{"),
        "no UTF-8": sealed(b"\xff"),
        "no list": sealed(b"{}"),
        "a short list": sealed(b"[1]"),
        "a long list": sealed(b"[1, null, null, 2]"),
        "an empty token": sealed(b"[1, {}, null]"),
        "no fields": sealed(b'[1, {"expires_at": "2026-01-01T00:00:00+00:00", "scopes": []}, null]'),
        "no date": sealed(b'[1, {"expires_at": "never", "scopes": []}, null]'),
        "an unknown field": sealed(b'[1, {"expires_at": "2026-01-01T00:00:00+00:00", "scopes": [], "new": 1}, null]'),
        "no time": sealed(b'["x", {%s}, null]' % fields),
        "no text for a token": sealed(b"[1, {%s}, null]" % fields.replace(b'"t"', b"1")),
        "no whole seconds": sealed(b"[1, {%s}, null]" % fields.replace(b": 1", b": 1.5")),
        "a time beyond all": sealed(b"[1%s, null, null]" % (b"0" * 400)),
        "an error of no kind": sealed(b'[1, null, ["Error", "", {"timestamp": null}, 1, 2]]'),
        "an error without fields": sealed(b'[1, null, ["ServerError", "", {}, 1, 2]]'),
        "an unknown field of an error": sealed(b'[1, null, ["ServerError", "", {"timestamp": null, "new": 1}, 1, 2]]'),
        "no date of an error": sealed(b'[1, null, ["ServerError", "", {"timestamp": "never"}, 1, 2]]'),
        "an empty error": sealed(b"[1, null, []]"),
        "nested": sealed(b"[" * 100_000),
    }


@pytest.mark.parametrize("what", broken_entries())
def test_anything_else_is_passed_over(vault, store, process, what):
    assert vault.seal.open(broken_entries()[what]) is None
    store.entries[vault.seal.name] = broken_entries()[what], store.now + 60
    assert vault.read() == (None, None, store.now)
    assert process().get()


def test_the_seal_of_another_does_not_open(vault, token, credentials):
    sealed = vault.seal.close(Entry(token, 1.0))
    for other in (
        Seal(credentials, ("data",), BASE_URL),
        Seal(credentials, None, "https://api.example.com"),
        Seal(ClientCredentials(credentials.client_id, "another"), None, BASE_URL),
        Seal(ClientCredentials("another", credentials.client_secret), None, BASE_URL),
    ):
        assert other.open(sealed) is None
        assert other.name != vault.seal.name
    assert Seal(credentials, None, BASE_URL).open(sealed) == (token, 1.0, None)


def test_nothing_tells_what_is_in_it(vault, token, credentials):
    sealed = vault.seal.close(Entry(token, 1.0))
    for secret in (token.access_token, credentials.client_id, credentials.client_secret, "expires_at", "acmecompany"):
        for form in (secret.encode(), base64.b64encode(secret.encode()), secret[::-1].encode()):
            assert form not in sealed
            assert form.hex() not in vault.seal.name
    assert len(sealed) == 12 + 512 + 16
    assert len(vault.seal.name) == 32
    shown = repr(vault) + repr(vault.seal) + repr(vault.store)
    assert credentials.client_secret not in shown


def test_without_cryptography(monkeypatch, credentials):
    for name in ("domo_oauth.stores.vault", "domo_oauth.stores.seal"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'domo-oauth\[file\]'"):
        TokenProvider(credentials, store=MemoryStore())
    with pytest.raises(ConfigurationError, match="cryptography"):
        importlib.import_module("domo_oauth.stores.seal")


class Picklable:
    """A store that is told apart by its name."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_a_pickle_carries_the_store(credentials):
    provider = pickle.loads(pickle.dumps(TokenProvider(credentials, store=Picklable("here"))))
    assert provider._store.name == "here"
    assert provider._vault.store is provider._store
    forget_tokens()


def test_within_a_second_the_store_is_looked_into_once(process, store):
    two = process()
    two.status = 403
    for _ in range(5):
        with pytest.raises(TokenRequestError):
            two.get()
        two.background()
    assert store.asked.count("load") == 3  # two for the request, and one within the pause
    assert two.requests == 1


def test_the_pause_after_an_error_has_its_end(process, store):
    two = process()
    two.status = 403
    with pytest.raises(TokenRequestError):
        two.get()
    two.status = 200
    two.advance(1.0)
    assert two.get()
    assert two.requests == 2


def test_the_age_of_what_was_stored_counts_by_either_clock(process, store, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    one, two = process(), process()
    one.get()
    store.now += 600
    two.get()
    two.now_wall -= 86400
    assert two.provider.stats().expires_in == HOUR - 600
    two.now_wall += 86400
    two.now -= 900
    assert two.provider.stats().expires_in == HOUR - 600
    assert "Took a token from the store, good for 3000 s" in caplog.text


def test_a_token_that_is_as_old_is_left_there(process, store):
    one, two = process(), process()
    first = two.get()
    store.entries.clear()
    one.get()
    store.now += HOUR - 200
    two.advance(HOUR - 200)
    assert two.get() is first
    two.background()
    assert two.requests == 2


@pytest.mark.parametrize("by_reference", [False, True])
def test_a_pickle_carries_all_that_it_was_made_of(monkeypatch, credentials, by_reference):
    args = {"store": Picklable("here"), "scopes": "data", "base_url": "https://api.elsewhere.test"}
    args["httpx_args"] = {"timeout": 7.0}
    if by_reference:
        monkeypatch.setenv("DOMO_CLIENT_ID", credentials.client_id)
        monkeypatch.setenv("DOMO_CLIENT_SECRET", credentials.client_secret)
        made = TokenProvider.from_env(**args)
    else:
        made = TokenProvider(credentials, **args)
    copy = pickle.loads(pickle.dumps(made))
    assert repr(copy) == repr(made)
    assert copy._store.name == "here"
    assert copy._route.httpx_args == {"timeout": 7.0}
    forget_tokens()
