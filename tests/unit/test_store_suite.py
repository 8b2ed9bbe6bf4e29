"""The suite of tests for stores: green for those that are right, red for each that has one thing wrong."""

from __future__ import annotations

import threading
import time
from importlib import import_module
from pathlib import Path

import pytest

from domo_oauth.stores.file import FileStore
from domo_oauth.stores.testing import StoreTests


class MemoryStore:
    """A store for the threads of one process: as little as passes."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.entries: dict[str, tuple[bytes, float]] = {}
        self.leases: dict[str, object] = {}

    def load(self, name: str) -> tuple[bytes | None, float]:
        now = time.time()
        sealed, expires_at = self.entries.get(name, (None, 0.0))
        return (sealed if now < expires_at else None), now

    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        with self.changed:
            if self.leases.get(name) is lease:
                self.entries[name] = (sealed, expires_at)

    def delete(self, name: str) -> None:
        self.entries.pop(name, None)

    def lease(self, name: str) -> object | None:
        with self.changed:
            lease = object()
            return lease if self.leases.setdefault(name, lease) is lease else None

    def release(self, name: str, lease: object) -> None:
        with self.changed:
            if self.leases.get(name) is lease:
                del self.leases[name]
                self.changed.notify_all()

    def wait(self, name: str, seconds: float) -> None:
        with self.changed:
            self.changed.wait_for(lambda: name not in self.leases, seconds)


class TestFileStore(StoreTests):
    @pytest.fixture
    def store(self, tmp_path):
        return FileStore(tmp_path / "store")


class TestMemoryStore(StoreTests):
    processes = False

    @pytest.fixture
    def store(self):
        return MemoryStore()


class Sleepy(MemoryStore):
    def wait(self, name: str, seconds: float) -> None:
        time.sleep(seconds)


class Stubborn(MemoryStore):
    def wait(self, name: str, seconds: float) -> None:
        super().wait(name, 0.2)


class Deaf(MemoryStore):
    """Waits to be woken, also where nobody is left to do so."""

    def wait(self, name: str, seconds: float) -> None:
        with self.changed:
            self.changed.wait(seconds)


class InMilliseconds(MemoryStore):
    def load(self, name: str) -> tuple[bytes | None, float]:
        sealed, now = super().load(name)
        return sealed, now * 1000


class AsText(MemoryStore):
    def load(self, name: str) -> tuple[bytes | None, float]:
        sealed, now = super().load(name)
        return sealed and sealed.decode("ascii", "replace").encode(), now


class Stripped(MemoryStore):
    def load(self, name: str) -> tuple[bytes | None, float]:
        sealed, now = super().load(name)
        return sealed and sealed.strip(), now


class Empty(MemoryStore):
    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        pass


class OneForAll(MemoryStore):
    def load(self, name: str) -> tuple[bytes | None, float]:
        return super().load("")

    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        if self.leases.get(name) is lease:
            self.entries[""] = (sealed, expires_at)


class Everlasting(MemoryStore):
    def load(self, name: str) -> tuple[bytes | None, float]:
        return self.entries.get(name, (None, 0.0))[0], time.time()


class FirstWins(MemoryStore):
    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        if self.leases.get(name) is lease:
            self.entries.setdefault(name, (sealed, expires_at))


class Particular(MemoryStore):
    def delete(self, name: str) -> None:
        del self.entries[name]


class Keeping(MemoryStore):
    def delete(self, name: str) -> None:
        pass


class Generous(MemoryStore):
    def lease(self, name: str) -> object | None:
        return object()


class OneLease(MemoryStore):
    def lease(self, name: str) -> object | None:
        return super().lease("")

    def release(self, name: str, lease: object) -> None:
        super().release("", lease)


class Hasty(MemoryStore):
    """Looks whether anybody has the lease, and takes it a moment later."""

    def lease(self, name: str) -> object | None:
        if name in self.leases:
            return None
        time.sleep(0.001)
        lease = self.leases[name] = object()
        return lease


class Careless(MemoryStore):
    def release(self, name: str, lease: object) -> None:
        with self.changed:
            self.leases.pop(name, None)
            self.changed.notify_all()


class Heedless(MemoryStore):
    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        self.entries[name] = (sealed, expires_at)


class Fenceless(MemoryStore):
    """Believes whoever says that he has the lease."""

    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        super().save(name, sealed, expires_at, lease and self.leases.get(name))


class Jealous(MemoryStore):
    def load(self, name: str) -> tuple[bytes | None, float]:
        return (None, time.time()) if name in self.leases else super().load(name)


class Grasping(MemoryStore):
    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        if lease is None:
            lease = self.lease(name)
        super().save(name, sealed, expires_at, lease)


class Spent(MemoryStore):
    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        super().save(name, sealed, expires_at, lease)
        if lease is not None:
            self.release(name, lease)


class InPieces(MemoryStore):
    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        super().save(name, sealed[:1], expires_at, lease)
        time.sleep(0.001)
        super().save(name, sealed, expires_at, lease)


class Forgetful(FileStore):
    """Its lock is a file that is there, which a killed process leaves behind."""

    def lease(self, name: str) -> object | None:
        Path(self.path).mkdir(0o700, exist_ok=True)
        try:
            Path(self.path, f"{name}.taken").touch(exist_ok=False)
        except FileExistsError:
            return None
        return name


class Lonely(FileStore):
    """Its lock is in memory."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self.memory = MemoryStore()

    def lease(self, name: str) -> object | None:
        return self.memory.lease(name)

    def release(self, name: str, lease: object) -> None:
        self.memory.release(name, lease)


BROKEN = [
    (Particular, "there_is_nothing_at_first"),
    (InMilliseconds, "the_time_is_in_seconds_since_1970"),
    (Empty, "what_was_saved_is_loaded"),
    (AsText, "all_bytes_come_back"),
    (Stripped, "all_bytes_come_back"),
    (FirstWins, "the_latest_is_loaded"),
    (OneForAll, "names_do_not_meet"),
    (Keeping, "what_was_deleted_is_gone"),
    (Everlasting, "what_has_expired_is_gone"),
    (InPieces, "nobody_loads_half_of_it"),
    (Generous, "one_has_the_lease_until_it_is_given_back"),
    (OneLease, "each_name_has_a_lease_of_its_own"),
    (Hasty, "one_of_many_threads_has_the_lease"),
    (Jealous, "who_has_no_lease_can_load"),
    (Spent, "saving_keeps_the_lease"),
    (Grasping, "saving_without_a_lease_takes_none"),
    (Heedless, "nothing_is_saved_without_the_lease_while_another_has_it"),
    (Careless, "a_lease_is_worth_nothing_once_another_has_it"),
    (Fenceless, "a_lease_is_worth_nothing_once_another_has_it"),
    (Stubborn, "waiting_ends_in_time"),
    (Sleepy, "giving_the_lease_back_wakes_those_who_wait"),
    (Deaf, "what_was_given_back_before_is_not_waited_for"),
    (Lonely, "a_copy_by_pickle_shares_all"),
    (Lonely, "processes_share_all"),
    (Lonely, "a_child_after_a_fork_shares_all_but_the_lease"),
    (Lonely, "one_of_many_processes_has_the_lease"),
    (Forgetful, "the_lease_of_a_process_that_was_killed_comes_back"),
]


class Impatient(StoreTests):
    patience = 1.5
    soon = 0.5


@pytest.mark.parametrize(("broken", "test"), BROKEN)
def test_what_is_wrong_turns_it_red(broken, test, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)  # for the other processes, which do not know pytest's way
    broken = getattr(import_module(Path(__file__).stem), broken.__name__)
    store = broken(tmp_path / "store") if issubclass(broken, FileStore) else broken()
    with pytest.raises((AssertionError, KeyError)):
        getattr(Impatient(), f"test_{test}")(store)


def test_each_test_can_turn_red():
    tests = {name.removeprefix("test_") for name in dir(StoreTests) if name.startswith("test_")}
    assert tests == {test for _, test in BROKEN}
