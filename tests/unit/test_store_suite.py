"""The tests for stores: green for a store that works, red for each that does one thing wrong."""

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

    def clear(self) -> int:
        count = len(self.entries)
        self.entries.clear()
        return count


class TestMemoryStore(StoreTests):
    processes = False

    @pytest.fixture
    def store(self):
        return MemoryStore()


class ParticularStore(MemoryStore):
    def delete(self, name: str) -> None:
        del self.entries[name]


class FirstWinsStore(MemoryStore):
    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        self.entries.setdefault(name, (sealed, time.time() + ttl))


class TextStore(MemoryStore):
    def load(self, name: str) -> bytes | None:
        sealed = super().load(name)
        return sealed and sealed.decode("ascii", "replace").encode()


class StrippingStore(MemoryStore):
    def load(self, name: str) -> bytes | None:
        sealed = super().load(name)
        return sealed and sealed.strip()


class OneEntryStore(MemoryStore):
    def load(self, name: str) -> bytes | None:
        return super().load("")

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        super().save("", sealed, ttl)


class KeepingStore(MemoryStore):
    def delete(self, name: str) -> None:
        pass


class OneLockStore(MemoryStore):
    def lock(self, name: str):
        return super().lock("")


class EternalStore(MemoryStore):
    def load(self, name: str) -> bytes | None:
        return self.entries.get(name, (None, 0.0))[0]


class AbsoluteStore(MemoryStore):
    """It takes the seconds to live for a point in time."""

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        self.entries[name] = (sealed, ttl)


class GenerousStore(MemoryStore):
    @contextmanager
    def lock(self, name: str):
        yield True


class ImpatientStore(MemoryStore):
    @contextmanager
    def lock(self, name: str):
        lock = self.locks.setdefault(name, threading.Lock())
        obtained = lock.acquire(blocking=False)
        try:
            yield obtained
        finally:
            if obtained:
                lock.release()


class CarelessStore(MemoryStore):
    @contextmanager
    def lock(self, name: str):
        lock = self.locks.setdefault(name, threading.Lock())
        obtained = lock.acquire(timeout=1.0)
        yield obtained
        with suppress(RuntimeError):
            lock.release()


class JealousStore(MemoryStore):
    def load(self, name: str) -> bytes | None:
        lock = self.locks.get(name)
        return None if lock is not None and lock.locked() else super().load(name)


class LonelyStore(FileStore):
    """Its lock is known to this process only."""

    def lock(self, name: str):
        return MemoryStore().lock(name)


class ForgetfulStore(FileStore):
    """It is in another folder after it was pickled."""

    def __setstate__(self, state):
        self.path = Path(f"{state['path']}-of-another")


BROKEN = [
    (ParticularStore, "nothing_is_there_at_first"),
    (FirstWinsStore, "what_was_saved_last_is_loaded"),
    (TextStore, "what_was_saved_last_is_loaded"),
    (StrippingStore, "what_was_saved_last_is_loaded"),
    (OneEntryStore, "each_name_has_its_own_entry_and_lock"),
    (KeepingStore, "each_name_has_its_own_entry_and_lock"),
    (OneLockStore, "each_name_has_its_own_entry_and_lock"),
    (EternalStore, "an_entry_expires"),
    (AbsoluteStore, "an_entry_expires"),
    (GenerousStore, "one_thread_at_a_time_holds_the_lock"),
    (ImpatientStore, "one_thread_at_a_time_holds_the_lock"),
    (CarelessStore, "an_error_frees_the_lock"),
    (JealousStore, "others_can_load_and_save_while_the_lock_is_held"),
    (LonelyStore, "processes_share_entries_and_locks"),
    (ForgetfulStore, "processes_share_entries_and_locks"),
]


@pytest.mark.parametrize(("broken", "test"), BROKEN)
def test_what_is_wrong_turns_it_red(broken, test, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)  # for the other process, which does not know pytest's way
    monkeypatch.setattr("domo_oauth.stores.testing.PATIENCE", 1.5)
    broken = getattr(import_module(Path(__file__).stem), broken.__name__)
    store = broken(tmp_path / "store") if issubclass(broken, FileStore) else broken()
    with pytest.raises((AssertionError, KeyError)):
        getattr(StoreTests(), f"test_{test}")(store)


def test_each_test_can_turn_red():
    tests = {name.removeprefix("test_") for name in dir(StoreTests) if name.startswith("test_")}
    assert tests == {test for _, test in BROKEN}
