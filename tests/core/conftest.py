"""A provider with a clock that the test moves and an endpoint that returns what the test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from domo_oauth import Token, TokenProvider
from tests.fakes import GET, Endpoint, Time, ask


@pytest.fixture(name="time")
def _time() -> Time:
    return Time()


@pytest.fixture
def endpoint(time: Time) -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.open.set()
    time.settle()


@pytest.fixture
def make(credentials, time, endpoint) -> Callable[..., TokenProvider]:
    return lambda **args: TokenProvider(
        args.pop("credentials", credentials), **{"clock": time.clock, "httpx_args": {"transport": endpoint}} | args
    )


@pytest.fixture
def provider(make) -> TokenProvider:
    return make()


@pytest.fixture(params=GET)
def get(request: pytest.FixtureRequest) -> Callable[..., Token]:
    """Asks a provider, in each way."""
    return partial(ask, request.param)
