"""Providers that share nothing but a store, as processes do: who fetches, and what a provider believes."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import anyio
import pytest

from domo_oauth import Clock, FileStore, RedisStore, TokenProvider
from tests.fakes import Endpoint


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
def warnings(caplog):
    return lambda: [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.mark.parametrize("backend", ["", "asyncio", "trio"])
def test_the_next_process_makes_no_request(backend, store, provider, endpoint):
    first, second = provider(store), provider(store)
    for each in (first, second):
        assert (anyio.run(each.aget_token, backend=backend) if backend else each.get_token()) == first.get_token()
    assert (first.stats().stored, second.stats().stored) == (0, 1)
    assert endpoint.requests == 1


@pytest.mark.parametrize(("wrong", "requests"), [(-10.0, 1), (-1000.0, 2), (-86400.0, 2), (4000.0, 2)])
def test_a_clock_that_is_wrong_makes_no_token_last_longer(wrong, requests, store, provider, endpoint, warnings):
    provider(store).get_token()
    if isinstance(store, FileStore):  # which believes the entry
        (entry,) = (each for each in store.path.iterdir() if not each.suffix)
        os.utime(entry, (time.time() + 9000,) * 2)
    second = provider(store, wrong)
    assert second.stats().expires_in is None
    assert second.get_token().expires_in >= second.stats().expires_in
    assert endpoint.requests == requests
    assert warnings() == []


FAULTS = {
    "open to others": lambda folder: (folder.mkdir(), folder.chmod(0o755)),
    "a link": lambda folder: folder.symlink_to(folder.parent),
    "a file": Path.touch,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_cannot_be_used_costs_a_warning_and_a_request(fault, provider, endpoint, tmp_path, warnings):
    folder = tmp_path / "store"
    FAULTS[fault](folder)
    first, second = provider(FileStore(folder)), provider(FileStore(folder))
    assert first.get_token() != second.get_token()
    assert first.get_token() is first.get_token()
    assert endpoint.requests == 2
    assert [str(folder) in each for each in warnings()] == [True] * 2
