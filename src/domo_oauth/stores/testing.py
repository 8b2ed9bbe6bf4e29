"""The tests that any store must pass, for pytest.

Use them like this::

    from domo_oauth.stores.testing import StoreTests


    class TestMyStore(StoreTests):
        @pytest.fixture
        def store(self):
            return MyStore(...)

Each test gets a store and names of its own, so that they may all use one server. For the tests with more than one
process, the store is pickled, and its class must be one that another process can import.
"""

# ruff: noqa: S101, D102 -- these are tests, which tell their story by their names
from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, cast

from .protocol import LEASE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .protocol import Store

__all__ = ["StoreTests"]

_HOUR, _DAY = 3600.0, 86400.0  # seconds
_THREADS, _ROUNDS = 8, 20
_PROCESSES = 3


class StoreTests:
    """Inherit from this and give a fixture ``store``. Each ``test_`` method can be called by itself, too."""

    processes = True
    """Whether several processes can share the store; the tests for that pass all else."""
    patience = LEASE_SECONDS + 5
    """Seconds to wait for what must come by itself: an entry to expire, the lease of a dead process to come back."""
    soon = LEASE_SECONDS / 2
    """Seconds within which all else must be done, on a machine however slow."""

    def test_there_is_nothing_at_first(self, store: Store) -> None:
        name = _name()
        assert store.load(name)[0] is None
        store.delete(name)

    def test_the_time_is_in_seconds_since_1970(self, store: Store) -> None:
        before, after = store.load(_name())[1], store.load(_name())[1]
        assert abs(before - time.time()) < _DAY
        assert before <= after < before + _HOUR

    def test_what_was_saved_is_loaded(self, store: Store) -> None:
        name = _name()
        _save(store, name, b"sealed")
        assert store.load(name)[0] == b"sealed"

    def test_all_bytes_come_back(self, store: Store) -> None:
        name, sealed = _name(), bytes(range(256)) * 32
        for each in (sealed, b"\0", b"\r\n", b"\xff\xfe", b" ", b"None", b"0"):
            _save(store, name, each)
            loaded = store.load(name)[0]
            assert isinstance(loaded, bytes)
            is_whole = loaded == each  # not within the assertion: pytest would look for minutes how they differ
            assert is_whole, f"{len(each)} bytes were saved, and others came back"

    def test_the_latest_is_loaded(self, store: Store) -> None:
        name = _name()
        for sealed in (b"a long first one", b"second", b"the third"):
            _save(store, name, sealed)
        assert store.load(name)[0] == b"the third"

    def test_names_do_not_meet(self, store: Store) -> None:
        names = [_name() for _ in range(40)]
        names += [f"{number:032x}" for number in range(10)]
        for name in names:
            _save(store, name, name.encode())
        store.delete(names.pop())
        assert [store.load(name)[0] for name in names] == [name.encode() for name in names]

    def test_what_was_deleted_is_gone(self, store: Store) -> None:
        name = _name()
        _save(store, name, b"sealed")
        store.delete(name)
        assert store.load(name)[0] is None
        _save(store, name, b"again")
        assert store.load(name)[0] == b"again"

    def test_what_has_expired_is_gone(self, store: Store) -> None:
        name = _name()
        _save(store, name, b"sealed", 1.0)
        assert _until(lambda: store.load(name)[0] is None, self.patience), "it has not expired"
        _save(store, name, b"lasts", _HOUR)
        _save(store, name, b"expired when it was saved", -1.0)
        assert store.load(name)[0] is None

    def test_nobody_loads_half_of_it(self, store: Store) -> None:
        name, written = _name(), [b"a" * 9000, b"b" * 4000]
        _save(store, name, written[0])
        with ThreadPoolExecutor(1) as thread:
            writer = thread.submit(_save_in_turns, store, name, written)
            while not writer.done():
                assert store.load(name)[0] in written
            writer.result()

    def test_one_has_the_lease_until_it_is_given_back(self, store: Store) -> None:
        name = _name()
        for _ in range(3):
            lease = store.lease(name)
            assert lease is not None
            assert store.lease(name) is None
            store.release(name, lease)

    def test_each_name_has_a_lease_of_its_own(self, store: Store) -> None:
        one, other = _name(), _name()
        leases = store.lease(one), store.lease(other)
        assert None not in leases
        store.release(one, leases[0])
        assert store.lease(other) is None
        store.release(other, leases[1])

    def test_one_of_many_threads_has_the_lease(self, store: Store) -> None:
        name, barrier = _name(), threading.Barrier(_THREADS)

        def run() -> list[bool]:
            taken: list[bool] = []
            for _ in range(_ROUNDS):
                barrier.wait(self.patience)
                lease = store.lease(name)
                taken.append(lease is not None)
                barrier.wait(self.patience)
                if lease is not None:
                    store.release(name, lease)
            return taken

        with ThreadPoolExecutor(_THREADS) as threads:
            runs = [threads.submit(run) for _ in range(_THREADS)]
        rounds = zip(*(each.result() for each in runs), strict=True)
        assert [sum(taken) for taken in rounds] == [1] * _ROUNDS

    def test_who_has_no_lease_can_load(self, store: Store) -> None:
        name = _name()
        _save(store, name, b"sealed")
        lease = store.lease(name)
        assert store.load(name)[0] == b"sealed"
        store.release(name, lease)

    def test_saving_keeps_the_lease(self, store: Store) -> None:
        name = _name()
        lease = store.lease(name)
        _save(store, name, b"sealed", lease=lease)
        assert store.load(name)[0] == b"sealed"
        assert store.lease(name) is None
        store.release(name, lease)

    def test_saving_without_a_lease_takes_none(self, store: Store) -> None:
        name = _name()
        _save(store, name, b"sealed")
        lease = store.lease(name)
        assert lease is not None
        store.release(name, lease)

    def test_nothing_is_saved_without_the_lease_while_another_has_it(self, store: Store) -> None:
        name = _name()
        _save(store, name, b"before")
        lease = store.lease(name)
        _save(store, name, b"without")
        assert store.load(name)[0] == b"before"
        _save(store, name, b"with", lease=lease)
        store.release(name, lease)
        assert store.load(name)[0] == b"with"

    def test_a_lease_is_worth_nothing_once_another_has_it(self, store: Store) -> None:
        name = _name()
        _save(store, name, b"before")
        old = store.lease(name)
        store.release(name, old)
        lease = store.lease(name)
        assert lease is not None
        store.release(name, old)
        assert store.lease(name) is None, "the lease was given back by one who did not have it any more"
        _save(store, name, b"too late", lease=old)
        assert store.load(name)[0] == b"before"
        store.release(name, lease)

    def test_waiting_ends_in_time(self, store: Store) -> None:
        name = _name()
        lease = store.lease(name)
        began = time.monotonic()
        for seconds in (0.0, 0.001, 0.1):
            store.wait(name, seconds)
        assert time.monotonic() - began < self.soon
        store.release(name, lease)

    def test_giving_the_lease_back_wakes_those_who_wait(self, store: Store) -> None:
        name, waiting, taken = _name(), threading.Barrier(3), [0.0, 0.0]
        lease = store.lease(name)

        def run(number: int) -> None:
            waiting.wait(self.patience)
            while (mine := store.lease(name)) is None:
                store.wait(name, 2 * self.soon)
            taken[number] = time.monotonic()
            store.release(name, mine)

        with ThreadPoolExecutor(2) as threads:
            runs = [threads.submit(run, number) for number in range(2)]
            waiting.wait(self.patience)
            store.wait(name, 0.1)  # so that they wait already, most of the time; either way they must be woken
            released = time.monotonic()
            store.release(name, lease)
            for each in runs:
                each.result()
        assert max(taken) - released < self.soon

    def test_what_was_given_back_before_is_not_waited_for(self, store: Store) -> None:
        name = _name()
        lease = store.lease(name)
        assert store.lease(name) is None
        store.release(name, lease)
        began = time.monotonic()
        store.wait(name, 2 * self.soon)
        assert time.monotonic() - began < self.soon

    def test_a_copy_by_pickle_shares_all(self, store: Store) -> None:
        if not self.processes:
            return
        name, copy = _name(), cast("Store", pickle.loads(pickle.dumps(store)))  # noqa: S301 -- our own bytes
        _save(store, name, b"sealed")
        assert copy.load(name)[0] == b"sealed"
        lease = copy.lease(name)
        assert store.lease(name) is None
        copy.release(name, lease)

    def test_processes_share_all(self, store: Store) -> None:
        if not self.processes:
            return
        name = _name()
        with _process(store) as other:
            _save(store, name, b"ours")
            assert other("load", name) == b"ours"
            assert other("lease", name) is True
            assert store.lease(name) is None
            _save(store, name, b"without")
            assert store.load(name)[0] == b"ours"
            other("save", name, b"theirs")
            assert store.load(name)[0] == b"theirs"
            other("release", name)
            lease = store.lease(name)
            assert lease is not None
            assert other("lease", name) is False
            store.release(name, lease)

    def test_a_child_after_a_fork_shares_all_but_the_lease(self, store: Store) -> None:
        if not self.processes or not hasattr(os, "fork"):
            return
        name = _name()
        with _process(store) as other:
            _save(store, name, b"sealed")
            assert other("lease", name) is True
            assert other("load", name, fork=True) == b"sealed"
            assert other("lease", name, fork=True) is False
            assert store.lease(name) is None, "the lease ended with a child that did not have it"
            other("save", name, b"theirs")
            assert other("load", name, fork=True) == b"theirs"

    def test_one_of_many_processes_has_the_lease(self, store: Store) -> None:
        if not self.processes:
            return
        with ExitStack() as stack:
            others = [stack.enter_context(_process(store)) for _ in range(_PROCESSES)]
            for name in [_name() for _ in range(_ROUNDS)]:
                with ThreadPoolExecutor(_PROCESSES) as threads:
                    asked = [threads.submit(other, "lease", name) for other in others]
                    assert sorted(cast("bool", each.result()) for each in asked) == [False] * (_PROCESSES - 1) + [True]

    def test_the_lease_of_a_process_that_was_killed_comes_back(self, store: Store) -> None:
        if not self.processes:
            return
        name = _name()
        _save(store, name, b"before")
        with _process(store) as other:
            assert other("lease", name) is True
            other.kill()
        taken: list[object] = []

        def take() -> bool:
            taken.append(store.lease(name))
            if taken[-1] is None:
                store.wait(name, 1.0)
            return taken[-1] is not None

        assert _until(take, self.patience), "the lease has not come back"
        assert store.load(name)[0] == b"before"
        _save(store, name, b"after", lease=taken[-1])
        store.release(name, taken[-1])
        assert store.load(name)[0] == b"after"


def _name() -> str:
    return os.urandom(16).hex()


def _save(store: Store, name: str, sealed: bytes, seconds: float = _HOUR, lease: object | None = None) -> None:
    store.save(name, sealed, store.load(name)[1] + seconds, lease)


def _save_in_turns(store: Store, name: str, written: list[bytes]) -> None:
    for _ in range(50):
        for sealed in written:
            _save(store, name, sealed)


def _until(happened: Callable[[], bool], seconds: float) -> bool:
    """Whether it happens within so many seconds."""
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


class _Process:
    """Another process with the same store, which does what it is told."""

    def __init__(self, store: Store) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- Python itself
            [sys.executable, "-c", f"from {__name__} import obey; obey()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._stdout = cast("IO[bytes]", self._process.stdout)
        self._tell(store)

    def __call__(self, method: str, name: str, *arguments: object, fork: bool = False) -> object:
        """Call a method of its store, in that process or in a child of it."""
        self._tell((method, name, arguments, fork))
        return pickle.load(self._stdout)  # noqa: S301 -- our own process

    def _tell(self, what: object) -> None:
        pickle.dump(what, self._stdin)
        self._stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._stdin.close()  # at which it ends
        self._process.wait()
        self._stdout.close()


@contextmanager
def _process(store: Store) -> Generator[_Process, None, None]:
    process = _Process(store)
    try:
        yield process
    finally:
        process.close()


def obey() -> None:
    """Do what the process of the tests tells through a pipe, until it is closed; for these tests only."""
    told, leases = sys.stdin.buffer, dict[str, object]()
    store: Store = pickle.load(told)  # noqa: S301 -- our own process
    while True:
        try:
            method, name, arguments, fork = pickle.load(told)  # noqa: S301 -- our own process
        except EOFError:
            return
        child = 0
        if sys.platform != "win32" and fork:
            child = os.fork()
        if child:
            os.waitpid(child, 0)
            continue
        os.write(1, pickle.dumps(_do(store, leases, method, name, *arguments)))
        if fork:
            os._exit(0)  # pragma: no cover -- it leaves before the coverage is written


def _do(store: Store, leases: dict[str, object], method: str, name: str, *arguments: bytes) -> object:
    if method == "load":
        return store.load(name)[0]
    if method == "save":
        _save(store, name, arguments[0], lease=leases.get(name))
    elif method == "release":
        store.release(name, leases.pop(name))
    else:
        lease = store.lease(name)
        leases |= {} if lease is None else {name: lease}
        return lease is not None
    return None
