"""The public `StoreTests` passes a correct store and fails each broken one."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import pytest

from domo_oauth.stores.file import FileStore
from domo_oauth.stores.testing import StoreTests


class MemoryStore:
    """A store for the threads of one process: as little as passes."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[bytes, float]] = {}
        self.locks: dict[str, threading.Lock] = {}

    def load(self, name: str) -> bytes | None:
        sealed, expires_at = self.entries.get(name, (None, 0.0))
        return sealed if time.time() < expires_at else None

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        self.entries[name] = (sealed, time.time() + ttl)

    @contextmanager
    def lock(self, name: str):
        lock = self.locks.setdefault(name, threading.Lock())
        obtained = lock.acquire(timeout=1.0)
        try:
            yield obtained
        finally:
            if obtained:
                lock.release()

    def delete(self, name: str) -> None:
        self.entries.pop(name, None)


class TestMemoryStore(StoreTests):
    processes = False

    @pytest.fixture
    def store(self):
        return MemoryStore()


@contextmanager
def no_lock(store, name):
    yield True


@contextmanager
def lock_that_an_error_keeps(store, name):
    lock = store.locks.setdefault(name, threading.Lock())
    yield lock.acquire(timeout=0.1)
    with suppress(RuntimeError):
        lock.release()


def load_unlocked(store, name):
    return None if name in store.locks and store.locks[name].locked() else MemoryStore.load(store, name)


BROKEN = {
    "the_last_save_is_loaded": {"save": lambda store, name, *entry: store.entries.setdefault(name, entry)},
    "each_name_has_its_own_entry_and_lock": {"load": load_unlocked},
    "an_entry_expires": {"load": lambda store, name: store.entries.get(name, (None, 0.0))[0]},
    "one_thread_at_a_time_holds_the_lock": {"lock": no_lock},
    "an_error_frees_the_lock": {"lock": lock_that_an_error_keeps},
}


@pytest.mark.parametrize("test", BROKEN)
def test_each_test_can_turn_red(test, monkeypatch):
    monkeypatch.setattr("domo_oauth.stores.testing._PATIENCE", 1.1)
    store = type("Broken", (MemoryStore,), BROKEN[test])()
    with pytest.raises(AssertionError):
        getattr(StoreTests(), f"test_{test}")(store)


class LonelyStore(FileStore):
    """Only this process knows its lock."""

    def lock(self, name: str):
        return MemoryStore().lock(name)


@pytest.mark.slow
def test_the_test_of_processes_can_turn_red(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)  # so that the other process can import the class
    store = import_module(Path(__file__).stem).LonelyStore(tmp_path / "store")
    with pytest.raises(AssertionError):
        StoreTests().test_processes_share_entries_and_locks(store)
