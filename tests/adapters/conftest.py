"""A fake Domo, and an adapter with its token provider, for each way to send requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.server import Api
from tests.adapters.ways import WAYS, Grants, Way


@pytest.fixture(params=WAYS, ids=str)
def way(request) -> Way:
    return request.param


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        yield server


@pytest.fixture
def grants() -> Grants:
    return Grants()


@pytest.fixture
def auth(way, api, grants):
    return way.auth(grants.provider(api.url))
