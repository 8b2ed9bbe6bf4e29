"""When the command takes the token of the store, when it asks for another, and what it leaves there: to the second."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from domo_oauth import (
    ClientCredentials,
    DomoOAuthError,
    InvalidClientError,
    RateLimitedError,
    ServerError,
    Token,
    TransportError,
    exchange,
    provider,
)
from domo_oauth.cli import obtain
from domo_oauth.stores.vault import Stored, StoredRefusal

WHO = ClientCredentials("canary-client", "canary-secret")
NEW = Token("canary-new", expires_in=3599, expires_at=datetime.now(UTC) + timedelta(hours=1))
UNAVAILABLE = ServerError("unavailable", status=503, retryable=True)


def stored(left: float, expires_in: int = 3600) -> Stored:
    return Stored(Token("canary-old", expires_in=expires_in, expires_at=datetime.now(UTC)), left)


@dataclass
class Store:
    path: str = "/the/store"


@dataclass
class Vault:
    """A store, as it is found each time that somebody looks."""

    found: list[Stored | None] = field(default_factory=list)
    refusal: StoredRefusal | None = None
    store: Store = field(default_factory=Store)
    saved: list[tuple[Token, float]] = field(default_factory=list)
    refused: list[tuple[Exception, float, float]] = field(default_factory=list)

    @contextmanager
    def turn(self, wanted):
        turn = Turn(self)
        looks = [(there is not None and wanted(there), there) for there in self.found]
        turn.found = next((there for good, there in looks if good), None)
        turn.refusal = None if turn.found else self.refusal
        yield turn


class Turn:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def save(self, token, age):
        self._vault.saved.append((token, age))

    def refuse(self, error, pause, seconds):
        self._vault.refused.append((error, pause, seconds))


def wish(min_lifetime: float | None = None) -> obtain._Wish:
    return obtain._Wish(WHO, None, "https://api.domo.com", min_lifetime)


@pytest.fixture
def domo(monkeypatch):
    """What Domo answers, and how it was asked."""

    @dataclass
    class Domo:
        answer: Token | DomoOAuthError = NEW
        left: float = 3598.5
        patient: list[bool] = field(default_factory=list)

        def ask(self, wished, *, patient=True):
            assert wished.credentials == WHO
            self.patient.append(patient)
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer, self.left

    domo = Domo()
    monkeypatch.setattr(obtain, "_ask", domo.ask)
    monkeypatch.setattr(obtain, "monotonic", lambda: 0.0)
    return domo


@pytest.mark.parametrize(
    ("left", "expires_in", "min_lifetime", "good"),
    [
        (300.0, 3600, None, False),
        (300.1, 3600, None, True),
        (120.0, 600, None, False),
        (120.1, 600, None, True),
        (599.9, 3600, 600.0, False),
        (600.0, 3600, 600.0, True),
        (1.0, 3600, 0.0, True),
    ],
)
def test_what_is_good_for_long_enough(left, expires_in, min_lifetime, good):
    assert obtain._is_good(stored(left, expires_in), min_lifetime) is good


def test_a_new_token_is_kept_with_its_age(domo):
    vault = Vault()
    assert obtain._renew(vault, None, wish()) == (NEW, 3598.5, "Domo")
    assert vault.saved == [(NEW, 0.5)]
    assert vault.refused == []


@pytest.mark.parametrize(
    ("left", "min_lifetime", "patient"), [(59.9, None, True), (60.0, None, False), (100.0, 200.0, True)]
)
def test_nobody_waits_for_retries_where_the_old_one_will_do(left, min_lifetime, patient, domo):
    obtain._renew(Vault(), stored(left), wish(min_lifetime))
    obtain._renew(Vault(), None, wish(min_lifetime))
    assert domo.patient == [patient, True]


def test_what_another_has_left_is_taken(domo):
    for left in (301.0, 400.0):
        found = stored(left)
        assert obtain._renew(Vault([found]), None, wish()) == (found.token, left, "the store /the/store")
    assert domo.patient == []


@pytest.mark.parametrize(
    ("left", "looks", "min_lifetime", "taken"),
    [
        (60.0, 3, None, True),  # the third look is while another renews it
        (60.0, 2, None, False),
        (59.9, 3, None, False),
        (100.0, 3, 200.0, False),
        (200.0, 1, 200.0, True),
    ],
)
def test_a_minute_will_do_where_another_is_at_it(left, looks, min_lifetime, taken, domo):
    token, _, origin = obtain._renew(Vault([stored(left)] * looks), None, wish(min_lifetime))
    assert (token.access_token, origin) == (("canary-old", "the store /the/store") if taken else ("canary-new", "Domo"))


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (InvalidClientError("refused", status=401), 1.0),
        (RateLimitedError("slower", status=429, retry_after=7.5), 7.5),
        (RateLimitedError("slower", status=429, retry_after=0.5), 1.0),
        (TransportError("no answer", retryable=True), 1.0),
    ],
)
def test_the_others_are_told_of_an_error(error, pause, domo):
    domo.answer, vault = error, Vault()
    with pytest.raises(type(error)) as caught:
        obtain._renew(vault, None, wish())
    assert caught.value is error
    assert vault.refused == [(error, 1.0, pause)]
    assert vault.saved == []


def test_what_another_was_told_is_told_and_not_left_again(domo, capsys):
    vault = Vault(refusal=StoredRefusal(UNAVAILABLE, 2.0, 1.26))
    with pytest.raises(ServerError) as caught:
        obtain._renew(vault, None, wish())
    assert caught.value is UNAVAILABLE
    assert capsys.readouterr().err == "domo-oauth: Not asked again for 1.3 s: another process was told what follows.\n"
    assert (domo.patient, vault.refused) == ([], [])


@pytest.mark.parametrize("of_another", [False, True])
@pytest.mark.parametrize(
    ("left", "min_lifetime", "used"), [(60.0, None, True), (59.9, None, False), (90.0, 91.0, False)]
)
def test_the_old_one_is_used_once_more_where_it_is_good_for_a_minute(
    left, min_lifetime, used, of_another, domo, capsys
):
    domo.answer = UNAVAILABLE
    vault, old = Vault(refusal=StoredRefusal(UNAVAILABLE, 2.0, 1.0) if of_another else None), stored(left)
    if not used:
        with pytest.raises(ServerError):
            obtain._renew(vault, old, wish(min_lifetime))
        return
    assert obtain._renew(vault, old, wish(min_lifetime)) == (old.token, left, "the store /the/store")
    assert capsys.readouterr().err.endswith(
        "domo-oauth: The stored token is used once more, as no other can be had. unavailable\n"
    )


def test_nor_where_domo_refuses_the_client(domo):
    domo.answer = InvalidClientError("refused", status=401)
    with pytest.raises(InvalidClientError):
        obtain._renew(Vault(), stored(200.0), wish())


def test_the_time_that_a_request_took_is_taken_off_the_old_one(domo, monkeypatch):
    domo.answer, times = UNAVAILABLE, iter([100.0, 130.0])
    monkeypatch.setattr(obtain, "monotonic", lambda: next(times))
    assert obtain._renew(Vault(), stored(95.0), wish())[1] == 65.0


@pytest.mark.parametrize("patient", [True, False])
@pytest.mark.parametrize(("age", "left"), [(100, 500.0), (-100, 600.0)])  # the clock may have been put back meanwhile
def test_how_long_a_new_one_is_good(age, left, patient, monkeypatch, capsys):
    token = Token("canary", expires_in=600, expires_at=datetime.now(UTC) + timedelta(seconds=600 - age))
    monkeypatch.setattr(provider.TokenProvider, "get_token", lambda _: token if patient else None)
    monkeypatch.setattr(exchange, "request_token", lambda *_, **__: None if patient else token)
    found, good = obtain._ask(wish(left - 5), patient=patient)
    assert found is token
    assert good == pytest.approx(left, abs=5)
    assert capsys.readouterr().err == ""
    _, obtained = obtain._ask(wish(1200.5), patient=patient)
    assert capsys.readouterr().err == (
        f"domo-oauth: This token is good for {int(obtained)} s, and --min-lifetime asks for "
        "1200.5: Domo granted it for 600 s. Ask for less, or each call makes a request for a token.\n"
    )
