"""The tests that any store must pass, for pytest.

Example::

    from domo_oauth.stores.testing import StoreTests


    class TestMyStore(StoreTests):
        @pytest.fixture
        def store(self):
            return MyStore(...)

Each test uses names of its own, so that all can share one server.
"""

# ruff: noqa: S101, D102 -- these are tests, and their names say what they check
from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import Store

__all__ = ["StoreTests"]

_HOUR = 3600.0
_PATIENCE = 10.0
"""Seconds to wait for an entry to expire."""


class StoreTests:
    """Inherit from this class and give it a fixture `store`."""

    processes = True
    """Whether other processes can share the store. It is pickled for them, so its class must be importable."""

    def test_the_last_save_is_loaded(self, store: Store) -> None:
        name = _name()
        store.delete(name)
        assert store.load(name) is None
        for sealed in (b"a long first entry", bytes(range(256)) * 32, b"\r\n", b"\0\xff", b" 0 "):
            store.save(name, sealed, _HOUR)
            loaded = store.load(name)
            assert type(loaded) is bytes
            assert loaded.hex() == sealed.hex()

    def test_each_name_has_its_own_entry_and_lock(self, store: Store) -> None:
        one, other = _name(), _name()
        store.save(one, b"one", _HOUR)
        store.save(other, b"other", _HOUR)
        store.delete(other)
        assert (store.load(one), store.load(other)) == (b"one", None)
        with store.lock(one), store.lock(other) as obtained:
            assert obtained
            assert store.load(one) == b"one", "a lock must not keep anybody from reading"

    def test_an_entry_expires(self, store: Store) -> None:
        name, deadline = _name(), time.monotonic() + _PATIENCE
        store.save(name, b"sealed", 1.0)
        assert store.load(name) == b"sealed"
        while store.load(name) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_one_thread_at_a_time_holds_the_lock(self, store: Store) -> None:
        name, holders = _name(), list[int]()

        def hold(number: int) -> tuple[bool, list[int]]:
            with store.lock(name) as obtained:
                holders.append(number)
                time.sleep(0.05)
                seen = holders.copy()
                holders.remove(number)
                return obtained, seen

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(hold, range(4))) == [(True, [number]) for number in range(4)]

    def test_an_error_frees_the_lock(self, store: Store) -> None:
        name = _name()
        with suppress(ZeroDivisionError), store.lock(name):
            _ = 1 / 0
        with store.lock(name) as obtained:
            assert obtained

    def test_processes_share_entries_and_locks(self, store: Store) -> None:
        if not self.processes:
            return
        name = _name()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            process.submit(store.save, name, b"sealed", _HOUR).result()
            with store.lock(name):
                obtained = process.submit(_lock, store, name)
                time.sleep(0.5)
                assert not obtained.done()
                assert store.load(name) == b"sealed"
            assert obtained.result()


def _name() -> str:
    return os.urandom(16).hex()


def _lock(store: Store, name: str) -> bool:
    with store.lock(name) as obtained:
        return obtained
