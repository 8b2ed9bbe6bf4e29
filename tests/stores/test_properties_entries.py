"""Whatever a store holds: an entry comes back to whoever sealed it, and anything else is passed over."""

from __future__ import annotations

import time
from contextlib import nullcontext
from datetime import UTC

from hypothesis import example, given
from hypothesis import strategies as st

from domo_oauth import (
    ClientCredentials,
    FileStore,
    InvalidClientError,
    InvalidScopeError,
    RateLimitedError,
    ServerError,
    Token,
)
from domo_oauth.stores.sealing import Entry, Refusal, Seal, SealedStore
from tests.properties import API, CREDENTIALS, LARGEST, as_json, extra, text, values, visible

NOW = 1_800_000_000.0
LONGEST_PAUSE = 300.0
"""Seconds for which a store may keep others from asking."""

times = st.datetimes(timezones=st.just(UTC))
tokens = st.builds(
    Token,
    visible,
    expires_in=st.integers(1, LARGEST),
    expires_at=times,
    scopes=st.frozensets(text),
    customer=st.none() | text,
    role=st.none() | text,
    user_id=st.none() | st.integers(),
    jti=st.none() | text,
    extra=extra,
)
errors = st.builds(
    lambda kind, *args, **fields: kind(*args, **fields),
    st.sampled_from([InvalidClientError, InvalidScopeError, RateLimitedError, ServerError]),
    text,
    status=st.none() | st.integers(),
    error=st.none() | text,
    description=st.none() | text,
    toe=st.none() | text,
    timestamp=st.none() | times,
    retryable=st.booleans(),
    retry_after=st.none() | st.floats(allow_nan=False),
)
refusals = st.builds(Refusal, errors, st.floats(allow_nan=False), st.floats(0.001, LONGEST_PAUSE).map(NOW.__add__))


class Memory:
    """A store of one entry."""

    sealed: bytes | None = None

    def load(self, name):
        return self.sealed

    def save(self, name, sealed, ttl):
        self.sealed = sealed

    def lock(self, name):
        return nullcontext(enter_result=True)


def sealed_in(store, credentials=CREDENTIALS, scopes=("data",), base_url=API):
    return SealedStore(store, credentials, scopes, base_url)


@given(tokens, st.floats(0.001, 1), st.data())
def test_a_token_comes_back_and_with_any_change_does_not(token, share, data):
    entry, memory = Entry(token, NOW + share * token.expires_in), Memory()
    store = sealed_in(memory)
    store.save(entry, NOW)
    assert store.load(NOW) == entry
    sealed = memory.sealed
    assert token.access_token.encode() not in sealed or len(token.access_token) < 4
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    shorter, longer = sealed[: data.draw(st.integers(0, len(sealed) - 1))], sealed + data.draw(st.binary(min_size=1))
    for memory.sealed in (bytes(flipped), shorter, longer):
        assert store.load(NOW) == Entry()


@given(refusals, st.none() | tokens)
def test_an_error_comes_back(refusal, token):
    store, error = sealed_in(Memory()), refusal.error
    store.save(Entry(token, NOW + 1 if token else 0.0, refusal), NOW)
    opened = store.load(NOW)
    assert (opened.token, opened.refusal.pause, opened.refusal.until) == (token, refusal.pause, refusal.until)
    assert (type(opened.refusal.error), str(opened.refusal.error)) == (type(error), str(error))
    assert vars(opened.refusal.error) == vars(error)


@given(
    tokens,
    visible.filter(lambda word: ":" not in word),
    st.none() | st.lists(text).map(tuple).filter(lambda names: names != ("data",)),
    st.sampled_from(["client id", "client secret", "scopes", "base URL"]),
)
def test_nobody_opens_the_seal_of_another(token, word, scopes, differs):
    memory, more = Memory(), {differs: word}
    ours = sealed_in(memory)
    ours.save(Entry(token, NOW + 1), NOW)
    client_id, secret = more.get("client id", ""), more.get("client secret", "")
    credentials = ClientCredentials(CREDENTIALS.client_id + client_id, CREDENTIALS.client_secret + secret)
    names = scopes if differs == "scopes" else ("data",)
    other = sealed_in(memory, credentials, names, API + more.get("base URL", ""))
    assert other.name != ours.name
    assert other.load(NOW) == Entry()


@given(st.binary() | values.map(as_json))
@example(bytes(28))
def test_any_other_bytes_in_a_store_are_passed_over(tmp_path, data):
    store = FileStore(tmp_path / "store")
    store.save(sealed_in(store).name, data, 60.0)
    assert sealed_in(store).load(time.time()) == Entry()


@given(tokens, st.floats() | st.floats(NOW - 10, NOW + 10000), errors, st.floats() | st.floats(NOW - 10, NOW + 1000))
def test_no_entry_is_believed_for_longer_than_it_can_last(token, expires_at, error, until):
    memory = Memory()
    memory.sealed = Seal(CREDENTIALS, ("data",), API).close(Entry(token, expires_at, Refusal(error, 1.0, until)))
    found = sealed_in(memory).load(NOW)
    assert found.token is None or NOW < found.expires_at <= NOW + found.token.expires_in
    assert found.refusal is None or NOW < found.refusal.until <= NOW + 2 * LONGEST_PAUSE  # clocks may differ
