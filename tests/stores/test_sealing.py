"""One client's entry in a store: what is sealed, what is believed, and what a store may do wrong."""

from __future__ import annotations

import base64
import json
import logging
import math
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from attrs import evolve

from domo_oauth import (
    ClientCredentials,
    ConfigurationError,
    InvalidClientError,
    InvalidScopeError,
    RateLimitedError,
    ServerError,
    Token,
    timing,
)
from domo_oauth.stores import StoreError
from domo_oauth.stores.sealing import Entry, Refusal, Seal, SealedStore

BASE_URL = "https://api.domo.com"
NOW, HOUR = 1_700_000_000.0, 3600.0
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


class Recorder:
    """A store in memory that notes what it is asked, and fails if it is told to."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.ttls: list[float] = []
        self.asked: list[str] = []
        self.broken: set[str] = set()
        self.error: Exception = StoreError("The canary store is broken.")
        self.obtained = True

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if what in self.broken:
            raise self.error

    def load(self, name: str) -> bytes | None:
        self._note("load")
        return self.entries.get(name)

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        self._note("save")
        self.entries[name] = sealed
        self.ttls.append(ttl)

    @contextmanager
    def lock(self, name: str):
        self._note("enter")
        try:
            yield self.obtained
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


SMALL = Token("canary-token-0", expires_in=3600, expires_at=MOMENT)
TOKEN = evolve(
    SMALL,
    scopes=frozenset({"data", "user"}),
    customer="acmecompany",
    role="Admin",
    user_id=27,
    jti="jti",
    extra={"env": ["prod1", {"a": None}]},
)
ERRORS = [
    InvalidClientError("Wrong secret.", status=401, error="invalid_client"),
    InvalidScopeError("No such scope.", status=400, error="invalid_scope", description="No."),
    RateLimitedError("Too many.", status=429, retryable=True, retry_after=60.5),
    ServerError("Out.", status=503, toe="TOE-7F3D91", timestamp=MOMENT, retryable=True),
]


def refusal(left: float = 60.0, error: ServerError = ERRORS[-1]) -> Refusal:
    return Refusal(error, 4.0, NOW + left)


# The seal.


@pytest.mark.parametrize("token", [SMALL, TOKEN])
@pytest.mark.parametrize("error", [None, *ERRORS], ids=lambda error: type(error).__name__)
def test_token_and_refusal_come_back(sealed, token, error):
    sealed.save(Entry(token, NOW + HOUR, error and refusal(error=error)), NOW)
    entry = sealed.load(NOW)
    assert (entry.token, entry.expires_at) == (token, NOW + HOUR)
    assert entry.token.expires_at.tzinfo is UTC
    if error:
        back = entry.refusal.error
        assert (entry.refusal.pause, entry.refusal.until) == (4.0, NOW + 60.0)
        assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


OTHERS = {
    "scopes": ("", "", ("data",), BASE_URL),
    "base URL": ("", "", None, "https://api.example.com"),
    "secret": ("", "another", None, BASE_URL),
    "client": ("another", "", None, BASE_URL),
    "nothing": ("", "", None, BASE_URL),
}


@pytest.mark.parametrize("other", OTHERS)
def test_each_client_secret_scope_and_base_url_has_its_own_entry(other, seal, credentials):
    client_id, secret, scopes, base_url = OTHERS[other]
    them = ClientCredentials(client_id or credentials.client_id, secret or credentials.client_secret)
    theirs, same = Seal(them, scopes, base_url), other == "nothing"
    assert (theirs.name == seal.name) == same
    assert theirs.open(seal.close(Entry(TOKEN, NOW))) == (Entry(TOKEN, NOW) if same else Entry())


def test_sealed_bytes_and_name_reveal_nothing(seal, credentials):
    closed = seal.close(Entry(TOKEN, NOW))
    assert closed != seal.close(Entry(TOKEN, NOW))
    for secret in (TOKEN.access_token, credentials.client_id, credentials.client_secret, "expires_at", "acmecompany"):
        for form in (secret.encode(), base64.b64encode(secret.encode()), secret[::-1].encode()):
            assert form not in closed
            assert form.hex() not in seal.name
    assert len(closed) == len(seal.close(Entry(SMALL, NOW)))
    assert len(set(closed)) > 200
    assert len(seal.name) == 32


def test_no_repr_shows_a_secret(sealed, credentials):
    shown = repr(vars(sealed)) + repr(Entry(TOKEN, NOW, refusal())) + repr(sealed)
    assert credentials.client_secret not in shown
    assert TOKEN.access_token not in shown


def foreign(seal: Seal) -> dict[str, object]:
    def sealed(content: object) -> bytes:
        return b"0" * 12 + seal._cipher.encrypt(b"0" * 12, json.dumps(content).encode(), None)

    whole = seal.close(Entry(TOKEN, NOW + HOUR))
    return {
        "nothing": b"",
        "a nonce": whole[:12],
        "cut off": whole[:-1],
        "too long": whole + b"x",
        "another nonce": b"x" * 12 + whole[12:],
        "a bit": whole[:50] + bytes([whole[50] ^ 1]) + whole[51:],
        "garbage": b"garbage " * 100,
        "text": "garbage " * 100,
        "a number": 5,
        "no list": sealed({}),
        "a short list": sealed([1]),
        "an unknown field": sealed([{"new": 1}, NOW + HOUR, None]),
        "an error that concerns one machine": sealed([None, 0.0, ["TransportError", "", {}, 1.0, 2.0]]),
    }


@pytest.mark.parametrize("what", foreign(Seal(ClientCredentials("a", "b"), None, BASE_URL)))
def test_anything_else_is_an_empty_entry(what, sealed, seal, store, caplog):
    store.entries[sealed.name] = foreign(seal)[what]
    assert sealed.load(NOW) == Entry()
    assert not caplog.records
    sealed.save(Entry(TOKEN, NOW + HOUR), NOW)
    assert sealed.load(NOW).token == TOKEN


# Time.


@pytest.mark.parametrize(
    ("left", "believed"),
    [
        (-1.0, 0.0),
        (0.0, 0.0),
        (0.5, 0.5),
        (HOUR, HOUR),
        (HOUR + timing.CLOCK_SKEW, HOUR),  # the clock of the machine that wrote it is ahead
        (HOUR + timing.CLOCK_SKEW + 1, 0.0),
        (math.inf, 0.0),
        (math.nan, 0.0),
    ],
)
def test_a_token_is_believed_for_its_lifetime_at_most(sealed, store, seal, left, believed):
    store.entries[seal.name] = seal.close(Entry(TOKEN, NOW + left))
    assert sealed.load(NOW) == (Entry(TOKEN, NOW + believed) if believed else Entry())


@pytest.mark.parametrize(
    ("left", "believed"),
    [(-1.0, False), (0.0, False), (0.5, True), (300.0, True), (361.0, False), (math.inf, False), (math.nan, False)],
)
def test_a_refusal_is_believed_for_five_minutes_at_most(sealed, store, seal, left, believed):
    store.entries[seal.name] = seal.close(Entry(None, 0.0, refusal(left)))
    assert bool(sealed.load(NOW).refusal) == believed


@pytest.mark.parametrize(
    ("entry", "ttl"),
    [
        (Entry(TOKEN, NOW + HOUR), HOUR),
        (Entry(None, 0.0, refusal(60.0)), 60.0),
        (Entry(TOKEN, NOW + 10.0, refusal(60.0)), 60.0),
        (Entry(TOKEN, NOW + HOUR, refusal(60.0)), HOUR),
        (Entry(TOKEN, 1e300), 30 * 86400.0),
        (Entry(TOKEN, NOW), None),
        (Entry(None, NOW + HOUR), None),
        (Entry(TOKEN, math.nan), None),
    ],
)
def test_an_entry_is_kept_as_long_as_it_is_good(sealed, store, entry, ttl):
    sealed.save(entry, NOW)
    assert store.ttls == ([] if ttl is None else [ttl])


# Stores that fail.


def use(sealed: SealedStore) -> bool:
    """All that a fetch does with a store; whether it had the lock."""
    assert sealed.load(NOW) == Entry()
    with sealed.lock() as obtained:
        sealed.load(NOW)
        sealed.save(Entry(TOKEN, NOW + HOUR), NOW)
    return obtained


EVERYTHING = ["load", "enter", "load", "save", "exit"]


@pytest.mark.parametrize("obtained", [True, False])
def test_a_store_that_works_is_asked_in_this_order(obtained, sealed, store, caplog):
    store.obtained = obtained
    assert use(sealed) is obtained
    assert store.asked == EVERYTHING
    assert not caplog.records


@pytest.mark.parametrize("error", [StoreError("The canary store is broken."), OSError("canary-password")])
@pytest.mark.parametrize(
    ("broken", "asked"),
    [
        ("load", ["load"]),
        ("enter", ["load", "enter"]),
        ("save", EVERYTHING),
        ("exit", EVERYTHING),
        ("save exit", EVERYTHING),
    ],
)
def test_a_store_that_fails_costs_one_warning_and_is_not_asked_again(sealed, store, caplog, broken, asked, error):
    store.broken, store.error = set(broken.split()), error
    assert use(sealed) is (asked == EVERYTHING)
    sealed.load(NOW)
    assert store.asked == asked
    (warning,) = caplog.records
    told = "The canary store is broken." if isinstance(error, StoreError) else "OSError"
    assert (warning.levelno, warning.name) == (logging.WARNING, "domo_oauth.stores.sealing")
    assert warning.getMessage() == f"Going on without the store {store!r}: {told}"
    assert warning.exc_info is None


@pytest.mark.parametrize("raises", [True, False])
def test_an_error_of_the_block_gets_through(sealed, store, raises):
    class Lock:
        def __enter__(self) -> bool:
            return True

        def __exit__(self, *exc_info: object) -> bool:
            freed.append(exc_info)
            if raises:
                raise OSError
            return True  # would swallow it

    freed = []
    store.lock = lambda name: Lock()
    with pytest.raises(KeyboardInterrupt), sealed.lock():
        raise KeyboardInterrupt
    assert freed == [(None, None, None)]


@pytest.mark.parametrize("lock", [None, 5])
def test_a_lock_that_is_none_is_not_obtained(lock, sealed, store):
    store.lock = lambda name: lock
    with sealed.lock() as obtained:
        assert not obtained


def test_what_json_cannot_carry_is_not_saved(sealed, store, caplog):
    sealed.save(Entry(evolve(TOKEN, extra={"x": 1j}), NOW + HOUR), NOW)
    assert store.asked == []
    assert "TypeError" in caplog.text


# Without the extras.


def test_without_cryptography_it_says_what_to_install(monkeypatch, credentials, store):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ConfigurationError, match=r"needs cryptography: pip install 'domo-oauth\[file\]'"):
        SealedStore(store, credentials, None, BASE_URL)


BASE_INSTALL = """
import sys
for name in ("cryptography", "filelock", "platformdirs", "redis"):
    sys.modules[name] = None
old = set(sys.modules)
import domo_oauth, domo_oauth.stores.file, domo_oauth.stores.redis
slow = {"httpx", "tempfile", "subprocess", "asyncio"} & (set(sys.modules) - old)
assert not slow, slow
from domo_oauth import *
for make in (FileStore, lambda: FileStore("folder"), lambda: RedisStore("redis://:canary@host")):
    try:
        make()
    except domo_oauth.ConfigurationError as error:
        print(error)
"""


def test_on_a_base_install_stores_can_be_imported_and_say_what_to_install():
    done = subprocess.run([sys.executable, "-c", BASE_INSTALL], capture_output=True, text=True, check=True)
    assert done.stdout.count("pip install 'domo-oauth[file]'") == 2
    assert done.stdout.count("needs cryptography and redis: pip install 'domo-oauth[redis]'") == 1
    assert "canary" not in done.stdout
