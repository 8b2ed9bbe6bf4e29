"""Providers that share nothing but a store, as processes do: who fetches, what they believe, and what a fault costs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx
import pytest

from domo_oauth import Clock, FileStore, RateLimitedError, RedisStore, TokenProvider
from tests.fakes import PATIENCE, Endpoint, until
from tests.stores.redis_server import RedisServer


@pytest.fixture(params=["file", "redis"])
def store(request, tmp_path):
    return FileStore(tmp_path / "store") if request.param == "file" else RedisStore(request.getfixturevalue("fake").url)


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def provider(credentials, endpoint):
    """Make a provider like that of a process which has just started; its clock may be wrong by some seconds."""

    def make(store, wrong: float = 0.0) -> TokenProvider:
        clock = Clock(wall=lambda: time.time() + wrong, random=lambda: 0.0)
        return TokenProvider(credentials, store=store, httpx_args={"transport": endpoint}, clock=clock)

    return make


@pytest.fixture
def warnings(caplog) -> Callable[[], list[str]]:
    return lambda: [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_the_next_process_makes_no_request(store, provider, endpoint):
    first, second = provider(store), provider(store)
    assert first.get_token() == anyio.run(second.aget_token)
    assert [first.stats().stored, second.stats().stored] == [0, 1]
    assert endpoint.requests == 1


def test_processes_that_renew_at_once_make_one_request_and_nobody_waits(store, credentials, endpoint):
    late = 0.0
    clock = Clock(lambda: time.monotonic() + late, lambda: time.time() + late, random=lambda: 0.0)
    args = {"store": store, "httpx_args": {"transport": endpoint}, "clock": clock}
    providers = [TokenProvider(credentials, **args) for _ in range(4)]
    (old,) = {each.get_token() for each in providers}
    late = old.expires_in - 200.0
    assert {each.get_token() for each in providers} == {old}
    until(lambda: {each.get_token().access_token for each in providers} == {"canary-token-2"})
    assert [each.stats().waits for each in providers] == [1] * 4, "when there was none yet"
    assert endpoint.requests == 2


def test_processes_share_a_refusal(store, provider, endpoint):
    endpoint.always = lambda: httpx.Response(429, headers={"Retry-After": "60"})
    for each in [provider(store) for _ in range(4)]:
        for _ in range(2):
            with pytest.raises(RateLimitedError):
                each.get_token()
        assert (each.stats().failures, type(each.stats().last_error)) == (1, RateLimitedError)
    assert endpoint.requests == 1


@pytest.mark.parametrize(("wrong", "requests"), [(-10.0, 1), (-1000.0, 2), (-86400.0, 2), (4000.0, 2)])
def test_a_clock_that_is_wrong_makes_no_token_last_longer(wrong, requests, store, provider, endpoint, warnings):
    provider(store).get_token()
    if isinstance(store, FileStore):  # which believes the entry
        (entry,) = (each for each in store.path.iterdir() if not each.suffix)
        os.utime(entry, (time.time() + 9000,) * 2)
    second = provider(store, wrong)
    assert second.get_token().expires_in >= second.stats().expires_in
    assert endpoint.requests == requests
    assert warnings() == []


def test_a_folder_that_cannot_be_used_costs_a_warning_and_a_request(provider, endpoint, tmp_path, warnings):
    tmp_path.chmod(0o755)
    first, second = provider(FileStore(tmp_path)), provider(FileStore(tmp_path))
    assert first.get_token() != second.get_token()
    assert first.get_token() is first.get_token()
    first.reset()
    first.get_token()
    assert endpoint.requests == 3
    assert [each.stats().store_failures for each in (first, second)] == [2, 1]
    assert [f"{tmp_path} is open to other users" in warning for warning in warnings()] == [True] * 3


def change_password(server: RedisServer) -> None:
    server.run("CONFIG", "SET", "requirepass", "another")
    with server.client(password="another") as client:
        client.client_kill_filter(_type="normal", skipme=True)


FAULTS: dict[str, tuple[Callable[[RedisServer], object], str]] = {
    "stopped": (RedisServer.stop, "cannot be reached"),
    "restarted": (RedisServer.restart, ""),
    "flushed": (lambda server: server.run("FLUSHALL"), ""),
    "hangs": (RedisServer.pause, "did not respond in time"),
    "full": (lambda server: server.run("CONFIG", "SET", "maxmemory", 1), "is full"),
    "password": (change_password, "refused the user or password"),
    "replica": (lambda server: server.run("REPLICAOF", "127.0.0.1", 1), "is a replica"),
}
"""What happens to the server, and what the warnings say; nothing if it is as good as new."""


@pytest.mark.slow
@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_redis_costs_a_request_and_a_warning(fault, within, own_server, provider, endpoint, warnings):
    cause, told = FAULTS[fault]
    providers = [provider(RedisStore(own_server.url)) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        if within:
            endpoint.open.clear()
            tokens = [threads.submit(each.get_token) for each in providers]
            endpoint.wait_until_asked()
            cause(own_server)
            endpoint.open.set()
        else:
            assert providers[0]._store.load("0" * 32) is None, "it is connected"
            cause(own_server)
            tokens = [threads.submit(each.get_token) for each in providers]
        assert [each.result(PATIENCE).access_token[:12] for each in tokens] == ["canary-token"] * 4
    if within:  # who waits while the connections are cut sees only that
        assert 1 <= endpoint.requests <= 4
        assert len(warnings()) <= 4
        assert all(told in warning or "cannot be reached" in warning for warning in warnings())
    else:
        assert endpoint.requests == (4 if told else 1)
        assert [told in warning for warning in warnings()] == [True] * (4 if told else 0)
