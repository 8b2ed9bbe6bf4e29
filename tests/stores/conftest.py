"""The stores that all tests of this folder use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domo_oauth import timing
from tests.stores.redis_server import NO_REDIS, SERVERS, RedisServer, StandIn, stand_in


@pytest.fixture(scope="session")
def redis_session(tmp_path_factory) -> Iterator[RedisServer]:
    if not SERVERS:
        pytest.skip(NO_REDIS)
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(redis_session) -> RedisServer:
    """A real server, empty. A test must leave it as it found it."""
    redis_session.run("FLUSHALL")
    return redis_session


@pytest.fixture
def own_server(tmp_path) -> Iterator[RedisServer]:
    """A real server that a test may do anything to."""
    if not SERVERS:
        pytest.skip(NO_REDIS)
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def fake() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture
def impatient(monkeypatch) -> float:
    """Seconds that a test waits for a lock in vain."""
    monkeypatch.setattr(timing, "LOCK_TRY", 0.3)
    return 0.3
