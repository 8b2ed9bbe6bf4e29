from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime

import pytest

import domo_oauth
from domo_oauth import ConfigurationError, DomoOAuthError, RateLimitedError, TokenRequestError, TransportError

ERRORS = [
    ConfigurationError("text"),
    TransportError("text", retryable=False),
    RateLimitedError("text", status=429, retry_after=3.0, retryable=True, timestamp=datetime(2026, 1, 1, tzinfo=UTC)),
    TokenRequestError("text", status=400, error="invalid_request", description="words", toe="AB-CD"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_can_be_copied_and_pickled(error, duplicate):
    twin = duplicate(error)
    assert twin is not error
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


def test_one_base_class_catches_all():
    errors = [name for name in domo_oauth.__all__ if name.endswith("Error")]
    assert len(errors) == 10
    assert all(issubclass(getattr(domo_oauth, name), DomoOAuthError) for name in errors)


def test_only_transport_errors_are_retryable_by_default():
    assert TransportError("text").retryable
    assert not ConfigurationError("text").retryable
    assert not TokenRequestError("text").retryable
