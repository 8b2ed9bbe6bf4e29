from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime

import pytest

from domo_oauth import Token

TOKEN = Token(
    "the-token",
    expires_in=3599,
    expires_at=datetime(2026, 1, 1, tzinfo=UTC),
    scopes=frozenset({"data"}),
    customer="acme",
    jti="an-id",
    extra={"env": "prod1", "echo": "the-token"},
)


def test_its_repr_shows_everything_but_the_token():
    assert "the-token" not in repr(TOKEN)
    assert "the-token" not in str(TOKEN)
    assert "customer='acme'" in repr(TOKEN)
    assert "expires_in=3599" in repr(TOKEN)
    assert "prod1" not in repr(TOKEN)  # nobody knows what else Domo may put there


def test_it_is_an_immutable_value():
    assert pickle.loads(pickle.dumps(TOKEN)) == TOKEN
    assert copy.deepcopy(TOKEN) == TOKEN
    assert hash(copy.copy(TOKEN)) == hash(TOKEN)
    with pytest.raises(AttributeError):
        TOKEN.access_token = "another"
    with pytest.raises(TypeError):
        vars(TOKEN)


def test_unknown_fields_are_none():
    bare = Token("t", expires_in=1, expires_at=datetime.now(UTC))
    assert (bare.customer, bare.role, bare.user_id, bare.jti, bare.scopes) == (None, None, None, None, frozenset())
    assert bare.token_type == "bearer"
