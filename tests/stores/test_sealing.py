"""One client's entry in a store: what its bytes reveal, how long it is believed, and what a store may do wrong.

test_properties_entries.py shows that an entry comes back to whoever sealed it, and to nobody else.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import sys
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from attrs import evolve

from domo_oauth import ClientCredentials, ConfigurationError, FileStore, RedisStore, ServerError, Token, timing
from domo_oauth.stores import StoreError
from domo_oauth.stores.sealing import Entry, Refusal, Seal, SealedStore

BASE_URL = "https://api.domo.com"
NOW, HOUR = 1_700_000_000.0, 3600.0
TOKEN = Token("canary-token-0", expires_in=3600, expires_at=datetime(2026, 1, 2, tzinfo=UTC), customer="acmecompany")
REFUSAL = Refusal(ServerError("Out.", status=503), 4.0, NOW + 60.0)


class Recorder:
    """A store in memory that notes what it is asked, and fails if it is told to."""

    def __init__(self) -> None:
        self.entry: object = None
        self.ttls: list[float] = []
        self.asked: list[str] = []
        self.broken: set[str] = set()
        self.error: Exception = StoreError("The canary store is broken.")

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if what in self.broken:
            raise self.error

    def load(self, name: str) -> object:
        self._note("load")
        return self.entry

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        self._note("save")
        self.entry = sealed
        self.ttls.append(ttl)

    @contextmanager
    def lock(self, name: str):
        self._note("enter")
        try:
            yield True
        finally:
            self._note("exit")


@pytest.fixture
def store() -> Recorder:
    return Recorder()


@pytest.fixture
def sealed(store, credentials) -> SealedStore:
    return SealedStore(store, credentials, None, BASE_URL)


@pytest.fixture
def seal(credentials) -> Seal:
    return Seal(credentials, None, BASE_URL)


def test_nothing_reveals_a_secret(sealed, seal, credentials):
    closed = seal.close(Entry(TOKEN, NOW))
    assert closed != seal.close(Entry(TOKEN, NOW))
    shown = repr(vars(sealed)) + repr(Entry(TOKEN, NOW, REFUSAL)) + repr(sealed)
    for secret in (TOKEN.access_token, credentials.client_id, credentials.client_secret):
        assert secret not in shown
        for form in (secret.encode(), base64.b64encode(secret.encode()), secret[::-1].encode()):
            assert form not in closed
            assert form.hex() not in seal.name


CONTENTS = {
    "no list": {},
    "a short list": [1],
    "an unknown field": [{"new": 1}, NOW + HOUR, None],
    "an error that concerns one machine": [None, 0.0, ["TransportError", "", {}, 1.0, 2.0]],
}


@pytest.mark.parametrize("entry", [*CONTENTS, "text", 5])
def test_what_this_version_does_not_know_is_an_empty_entry(entry, sealed, seal, store, caplog):
    store.entry = entry
    if entry in CONTENTS:
        store.entry = b"0" * 12 + seal._cipher.encrypt(b"0" * 12, json.dumps(CONTENTS[entry]).encode(), None)
    assert sealed.load(NOW) == Entry()
    assert not caplog.records


@pytest.mark.parametrize(
    ("left", "believed"),
    [
        (0.0, None),
        (0.5, 0.5),
        (HOUR, HOUR),
        (HOUR + timing.CLOCK_SKEW, HOUR),  # the clock of the machine that wrote it is ahead
        (HOUR + timing.CLOCK_SKEW + 1, None),
        (math.inf, None),
        (math.nan, None),
    ],
)
def test_a_token_is_believed_for_its_lifetime_at_most(sealed, store, seal, left, believed):
    store.entry = seal.close(Entry(TOKEN, NOW + left))
    assert sealed.load(NOW) == (Entry(TOKEN, NOW + believed) if believed else Entry())


@pytest.mark.parametrize(
    ("left", "believed"), [(0.0, False), (0.5, True), (360.0, True), (361.0, False), (math.nan, False)]
)
def test_a_refusal_is_believed_for_five_minutes_at_most(sealed, store, seal, left, believed):
    store.entry = seal.close(Entry(None, 0.0, evolve(REFUSAL, until=NOW + left)))
    assert (sealed.load(NOW).refusal is not None) == believed


@pytest.mark.parametrize(
    ("entry", "ttls"),
    [
        (Entry(TOKEN, NOW + HOUR, REFUSAL), [HOUR]),
        (Entry(TOKEN, NOW + 10.0, REFUSAL), [60.0]),
        (Entry(None, 0.0, REFUSAL), [60.0]),
        (Entry(TOKEN, 1e300), [30 * 86400.0]),
        (Entry(TOKEN, NOW), []),
        (Entry(TOKEN, math.nan), []),
        (Entry(), []),
    ],
)
def test_an_entry_is_kept_as_long_as_it_is_good(sealed, store, entry, ttls):
    sealed.save(entry, NOW)
    assert store.ttls == ttls


# Stores that fail.

EVERYTHING = ["load", "enter", "load", "save", "exit"]


@pytest.mark.parametrize("error", [StoreError("The canary store is broken."), OSError("canary-password")])
@pytest.mark.parametrize(
    ("broken", "asked"),
    [
        ("", EVERYTHING),
        ("load", ["load"]),
        ("enter", ["load", "enter"]),
        ("save", EVERYTHING),
        ("save exit", EVERYTHING),
    ],
)
def test_a_store_that_fails_costs_one_warning_and_is_not_used_again(sealed, store, caplog, broken, asked, error):
    store.broken, store.error = set(broken.split()), error
    assert sealed.load(NOW) == Entry()
    with sealed.lock() as obtained:
        sealed.load(NOW)
        sealed.save(Entry(TOKEN, NOW + HOUR), NOW)
    if broken:
        sealed.load(NOW)
    assert obtained is (asked == EVERYTHING)
    assert store.asked == asked
    told = "The canary store is broken." if isinstance(error, StoreError) else "OSError"
    warning = ("domo_oauth.stores.sealing", logging.WARNING, f"Continuing without the store {store!r}: {told}")
    assert caplog.record_tuples == [warning] * bool(broken)
    assert [record.event for record in caplog.records] == ["store_failed"] * bool(broken)
    assert not [record for record in caplog.records if record.exc_info]


def test_an_error_raised_inside_the_lock_block_propagates(sealed, store):
    class Lock:
        def __enter__(self) -> bool:
            return True

        def __exit__(self, *exc_info: object) -> bool:
            freed.append(exc_info)
            return True  # would swallow it

    freed = []
    store.lock = lambda name: Lock()
    with pytest.raises(KeyboardInterrupt), sealed.lock():
        raise KeyboardInterrupt
    assert freed == [(None, None, None)]


@pytest.mark.parametrize("lock", [None, 5])
def test_something_that_is_not_a_lock_counts_as_not_obtained(lock, sealed, store):
    store.lock = lambda name: lock
    with sealed.lock() as obtained:
        assert not obtained


# Without the extras.


@pytest.mark.parametrize(
    ("make", "extra", "needs"),
    [
        (lambda: SealedStore(Recorder(), ClientCredentials("a", "b"), None, BASE_URL), "file", ["cryptography"]),
        (FileStore, "file", ["cryptography", "filelock", "platformdirs"]),
        (lambda: RedisStore("redis://:canary@host"), "redis", ["cryptography", "redis"]),
    ],
)
def test_without_its_extra_a_store_says_what_to_install(make, extra, needs, monkeypatch):
    for name in needs:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert str(caught.value) == f"This store needs {' and '.join(needs)}: pip install 'domo-oauth[{extra}]'"


def test_where_cryptography_cannot_be_imported_the_store_is_not_used(monkeypatch, store, caplog):
    """As in an isolated subinterpreter."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    sealed = SealedStore(store, ClientCredentials("client", "secret"), None, BASE_URL)
    assert sealed.load(NOW) == Entry()
    with sealed.lock() as obtained:
        sealed.save(Entry(TOKEN, NOW + HOUR), NOW)
    assert (obtained, store.asked) == (False, [])
    [record] = caplog.records
    assert f"the store {store!r}: cryptography cannot be imported here" in record.getMessage()
