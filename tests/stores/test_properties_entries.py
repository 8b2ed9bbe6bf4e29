"""An entry comes back to whoever sealed it; anything else that a store holds is ignored."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC

from hypothesis import example, given
from hypothesis import strategies as st

from domo_oauth import ClientCredentials, Token
from domo_oauth.errors import SHARED_REFUSALS
from domo_oauth.stores.sealing import Entry, Refusal, SealedStore
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
    st.sampled_from(SHARED_REFUSALS),
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
    """A store of one entry, whatever its name."""

    def __init__(self) -> None:
        self.sealed: bytes | None = None
        self.names = set[str]()

    def load(self, name):
        self.names.add(name)
        return self.sealed

    def save(self, name, sealed, ttl):
        self.sealed = sealed

    def lock(self, name):
        return nullcontext(enter_result=True)


def sealed_in(store, credentials=CREDENTIALS, scopes=("data",), base_url=API):
    return SealedStore(store, credentials, scopes, base_url)


@given(tokens, st.floats(0.001, 1), st.none() | refusals, st.data())
def test_an_entry_comes_back_and_with_any_change_does_not(token, share, refusal, data):
    memory = Memory()
    store = sealed_in(memory)
    store.save(Entry(token, NOW + share * token.expires_in, refusal), NOW)
    opened = store.load(NOW)
    assert (opened.token, opened.expires_at) == (token, NOW + share * token.expires_in)
    assert opened.token.expires_at.tzinfo is UTC
    assert (opened.refusal is None) == (refusal is None)
    if refusal:
        back, error = opened.refusal.error, refusal.error
        assert (opened.refusal.pause, opened.refusal.until) == (refusal.pause, refusal.until)
        assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))
    sealed = memory.sealed
    assert token.access_token.encode() not in sealed or len(token.access_token) < 4
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    shorter, longer = sealed[: data.draw(st.integers(0, len(sealed) - 1))], sealed + data.draw(st.binary(min_size=1))
    for memory.sealed in (bytes(flipped), shorter, longer):
        assert store.load(NOW) == Entry()


@given(
    tokens,
    visible.filter(lambda word: ":" not in word),
    st.none() | st.lists(text).map(tuple).filter(lambda names: names != ("data",)),
)
def test_another_client_secret_scope_or_base_url_has_another_entry(token, word, scopes):
    memory, (client_id, secret) = Memory(), (CREDENTIALS.client_id, CREDENTIALS.client_secret)
    ours = sealed_in(memory)
    ours.save(Entry(token, NOW + 1), NOW)
    for other in (
        sealed_in(memory, ClientCredentials(client_id + word, secret)),
        sealed_in(memory, ClientCredentials(client_id, secret + word)),
        sealed_in(memory, scopes=scopes),
        sealed_in(memory, base_url=API + word),
    ):
        assert other.load(NOW) == Entry()
    assert sealed_in(memory).load(NOW) == Entry(token, NOW + 1)
    assert len(memory.names) == 5


@given(st.binary() | values.map(as_json))
@example(b"")
@example(bytes(12))
@example(bytes(28))
def test_other_bytes_are_an_empty_entry(data):
    memory = Memory()
    memory.sealed = data
    assert sealed_in(memory).load(NOW) == Entry()
