"""`StoreTests`: green for a store that works, red for each that does one thing wrong."""

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
        obtained = lock.acquire(timeout=self.patience)
        try:
            yield obtained
        finally:
            if obtained:
                lock.release()

    patience = 1.0

    def delete(self, name: str) -> None:
        self.entries.pop(name, None)

    def clear(self) -> int:
        count = len(self.entries)
        self.entries.clear()
        return count


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
    yield lock.acquire(timeout=1.0)
    with suppress(RuntimeError):
        lock.release()


def save_by_absolute_time(store, name, sealed, ttl):
    store.entries[name] = (sealed, ttl)


def load_unlocked(store, name):
    return None if name in store.locks and store.locks[name].locked() else MemoryStore.load(store, name)


def changed(change):
    def load(store, name):
        sealed = MemoryStore.load(store, name)
        return sealed and change(sealed)

    return load


ONE_ENTRY = {
    "load": lambda store, name: MemoryStore.load(store, ""),
    "save": lambda store, name, *args: MemoryStore.save(store, "", *args),
}
BROKEN = [
    ("nothing_is_there_at_first", {"delete": lambda store, name: store.entries.pop(name)}),
    ("what_was_saved_last_is_loaded", {"save": lambda store, name, *it: store.entries.setdefault(name, it)}),
    ("what_was_saved_last_is_loaded", {"load": changed(lambda it: it.decode("ascii", "replace").encode())}),
    ("what_was_saved_last_is_loaded", {"load": changed(bytes.strip)}),
    ("each_name_has_its_own_entry_and_lock", ONE_ENTRY),
    ("each_name_has_its_own_entry_and_lock", {"delete": lambda store, name: None}),
    ("each_name_has_its_own_entry_and_lock", {"lock": lambda store, name: MemoryStore.lock(store, "")}),
    ("an_entry_expires", {"load": lambda store, name: store.entries.get(name, (None, 0.0))[0]}),
    ("an_entry_expires", {"save": save_by_absolute_time}),
    ("one_thread_at_a_time_holds_the_lock", {"lock": no_lock}),
    ("one_thread_at_a_time_holds_the_lock", {"patience": 0.0}),
    ("an_error_frees_the_lock", {"lock": lock_that_an_error_keeps}),
    ("others_can_load_and_save_while_the_lock_is_held", {"load": load_unlocked}),
]


@pytest.mark.parametrize(("test", "wrong"), BROKEN)
def test_what_is_wrong_turns_it_red(test, wrong, monkeypatch):
    monkeypatch.setattr("domo_oauth.stores.testing.PATIENCE", 1.2)
    store = type("Broken", (MemoryStore,), wrong)()
    with pytest.raises((AssertionError, KeyError)):
        getattr(StoreTests(), f"test_{test}")(store)


class LonelyStore(FileStore):
    """Only this process knows its lock."""

    def lock(self, name: str):
        return MemoryStore().lock(name)


class ForgetfulStore(FileStore):
    """A pickle moves it to another folder."""

    def __setstate__(self, state):
        self.path = Path(f"{state['path']}-of-another")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LonelyStore", "ForgetfulStore"])
def test_what_processes_do_not_share_turns_it_red(name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)  # so that the other process can import it
    store = getattr(import_module(Path(__file__).stem), name)(tmp_path / "store")
    with pytest.raises(AssertionError):
        StoreTests().test_processes_share_entries_and_locks(store)


def test_each_test_can_turn_red():
    tests = {name.removeprefix("test_") for name in dir(StoreTests) if name.startswith("test_")}
    assert tests == {test for test, _ in BROKEN} | {"processes_share_entries_and_locks"}
