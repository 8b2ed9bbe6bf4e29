"""The file store: what it makes, what it refuses, what it sweeps away, and who has the lock."""

from __future__ import annotations

import errno
import gc
import os
import pickle
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from domo_oauth import ConfigurationError
from domo_oauth.stores import StoreError, file
from domo_oauth.stores.file import FileStore

NAME, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
HOUR = 3600.0


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder) -> FileStore:
    return FileStore(folder)


@pytest.fixture
def saved(store) -> FileStore:
    save(store)
    return store


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The store's clock, to be moved."""
    clock = SimpleNamespace(shift=0.0, slept=[])
    real = time.time
    fake = SimpleNamespace(time=lambda: real() + clock.shift, sleep=clock.slept.append)
    monkeypatch.setattr(file, "time", fake)
    return clock


def save(store: FileStore, sealed: bytes = b"sealed", name: str = NAME, seconds: float = HOUR) -> None:
    store.save(name, sealed, time.time() + seconds, None)


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# Where it is.


def test_making_one_touches_nothing(store, folder):
    assert store.load(NAME)[0] is None
    store.delete(NAME)
    assert not folder.exists()


def test_the_default_is_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert FileStore().path == str(tmp_path / "domo-oauth")


@pytest.mark.parametrize("value", ["", "not/absolute", None])
def test_the_default_is_in_the_home_folder(monkeypatch, tmp_path, value):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert FileStore().path == str(tmp_path / ".cache" / "domo-oauth")


def test_without_a_home_folder_it_says_so(monkeypatch):
    import pwd

    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(ConfigurationError, match="HOME"):
        FileStore()


def test_its_path_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert FileStore("tokens").path == str(tmp_path / "tokens")
    assert FileStore(Path("~/tokens")).path == "/home/somebody/tokens"


def test_the_repr_and_the_pickle_hold_its_path(store, folder):
    assert repr(store) == f"FileStore({str(folder)!r})"
    assert pickle.loads(pickle.dumps(store)).path == str(folder)


def test_importing_it_loads_nothing_slow():
    slow = ("pathlib", "tempfile", "logging", "shutil", "threading", "subprocess", "json", "httpx", "cryptography")
    code = "import sys; old = set(sys.modules); import domo_oauth.stores.file; print(*set(sys.modules) - old)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "domo_oauth.stores.file" in loaded
    assert not set(slow) & set(loaded)


# What it makes.


def test_all_is_the_users_alone(store, folder):
    old = os.umask(0)
    try:
        save(store)
    finally:
        os.umask(old)
    assert mode(folder) == 0o700
    assert {mode(each) for each in folder.iterdir()} == {0o600}
    assert names(folder) == {NAME, f"{NAME}.lock"}


def test_folders_above_are_made(tmp_path):
    deep = FileStore(tmp_path / "a" / "b" / "c")
    save(deep)
    assert deep.load(NAME)[0] == b"sealed"


def test_another_process_may_make_the_folder_first(store, folder, monkeypatch):
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    folder.mkdir(0o700)
    save(store)
    assert store.load(NAME)[0] == b"sealed"


def test_no_descriptor_stays_open(store, folder):
    def descriptors() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    before = descriptors()
    lease = store.lease(NAME)
    assert store.lease(NAME) is None
    save(store)
    store.save(NAME, b"sealed", time.time() + HOUR, lease)
    store.release(NAME, lease)
    store.load(NAME)
    store.load(OTHER)
    store.delete(NAME)
    (folder / f"{NAME}.lock").chmod(0o666)
    folder.joinpath(NAME).mkdir()
    for refused in (store.lease, store.load, store.delete, lambda name: save(store)):
        with pytest.raises(StoreError):
            refused(NAME)
    folder.chmod(0o777)
    with pytest.raises(StoreError):
        store.load(NAME)
    assert descriptors() == before


# What it refuses.


def widen(path: Path) -> None:
    path.chmod(0o644 if path.is_file() else 0o755)


def widen_to_the_group(path: Path) -> None:
    path.chmod(0o660 if path.is_file() else 0o710)


def widen_to_others(path: Path) -> None:
    path.chmod(0o604 if path.is_file() else 0o701)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def link_hard(path: Path) -> None:
    os.link(path, path.parent.parent / "another-name")


def fill(path: Path) -> None:
    path.write_bytes(b"x" * 65537)
    os.utime(path, (time.time() + HOUR,) * 2)  # it has not expired


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


def to_file(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.touch(0o600)


ENTRY, LOCK = NAME, f"{NAME}.lock"
REFUSED = [
    ("", widen, "chmod 700"),
    ("", widen_to_the_group, "chmod 700"),
    ("", widen_to_others, "chmod 700"),
    ("", link, "symbolic link"),
    ("", to_file, "a file"),
    (ENTRY, widen, "chmod 600"),
    (ENTRY, widen_to_the_group, "chmod 600"),
    (ENTRY, widen_to_others, "chmod 600"),
    (ENTRY, link, "is a symbolic link: remove it"),
    (ENTRY, link_hard, r"2 names \(hard links\): remove it"),
    (ENTRY, fill, "65537 bytes: remove it"),
    (ENTRY, to_pipe, "not a regular file: remove it"),
    (ENTRY, to_folder, "not a regular file: remove it"),
    (LOCK, widen, "chmod 600"),
    (LOCK, link, "is a symbolic link: remove it"),
    (LOCK, link_hard, r"2 names \(hard links\): remove it"),
    (LOCK, to_pipe, "not a regular file: remove it"),
    (LOCK, to_folder, "directory"),
]


@pytest.mark.parametrize(
    ("which", "spoil", "told"), REFUSED, ids=[f"{which[32:] or which[:1]}{how.__name__}" for which, how, _ in REFUSED]
)
def test_what_is_not_the_users_alone_is_refused(saved, folder, which, spoil, told):
    path = folder / which if which else folder
    spoil(path)
    before = path.lstat()
    uses = [saved.load] if which == ENTRY else [saved.lease, lambda name: save(saved, b"new")]
    if not which:
        uses += [saved.load, saved.delete]
    for use in uses:
        with pytest.raises(StoreError, match=told) as caught:
            use(NAME)
        assert str(path) in str(caught.value)
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)


@pytest.mark.parametrize("which", ["", ENTRY, LOCK])
def test_what_belongs_to_another_user_is_refused(saved, folder, which, monkeypatch):
    path = folder / which if which else folder
    use = saved.lease if which == LOCK else saved.load
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:  # the same from the other side: it is this process that is somebody else, when it comes to this file
        users = [os.geteuid()] * bool(which) + [12345]
        monkeypatch.setattr(os, "geteuid", lambda: users.pop(0))
    with pytest.raises(StoreError, match=r"belongs to the user with the id \d+.*chown") as caught:
        use(NAME)
    assert str(path) in str(caught.value)


def test_a_link_without_an_end_is_refused(folder, store, tmp_path):
    folder.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="symbolic link"):
        save(store)
    assert not (tmp_path / "nowhere").exists()


def test_a_file_above_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="a file"):
        save(FileStore(tmp_path / "file" / "store"))


@pytest.mark.parametrize("use", ["load", "lease", "save", "delete"])
def test_the_folder_that_was_looked_at_is_the_one_that_is_used(saved, folder, tmp_path, monkeypatch, use):
    """However quickly somebody exchanges it after the look."""
    theirs, moved, check = tmp_path / "theirs", tmp_path / "moved", file._check
    theirs.mkdir()
    (theirs / NAME).write_bytes(b"theirs")
    (theirs / NAME).chmod(0o600)

    def check_and_exchange(info, path, kind):
        check(info, path, kind)
        if kind == stat.S_IFDIR:
            folder.rename(moved)
            folder.symlink_to(theirs)

    monkeypatch.setattr(file, "_check", check_and_exchange)
    if use == "load":
        assert saved.load(NAME)[0] == b"sealed"
    if use == "lease":
        assert saved.lease(NAME) is not None
    if use == "save":
        save(saved, b"new")
        assert (moved / NAME).read_bytes() == b"new"
    if use == "delete":
        saved.delete(NAME)
        assert not (moved / NAME).exists()
    assert names(theirs) == {NAME}
    assert (theirs / NAME).read_bytes() == b"theirs"


# A disk that takes nothing.


@contextmanager
def tmpfs(options: str):
    """A folder that is a file system of its own, and whether it is one: not everybody may mount."""
    # Not in pytest's folder, which pytest could not remove if this were ever left behind.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"mode=0700,uid={os.geteuid()},{options}", "tmpfs", folder]
        mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
        try:
            yield Path(folder), mounted
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", folder], check=True)


def refuse(number: int):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return refuse


def test_on_a_full_disk_the_old_entry_stays(monkeypatch):
    with tmpfs("size=128k") as (folder, mounted):
        store = FileStore(folder)
        save(store, b"old")
        if mounted:
            with pytest.raises(OSError, match="No space"):
                (folder / "big").write_bytes(b"x" * 1024 * 1024)
        else:
            monkeypatch.setattr(os, "write", refuse(errno.ENOSPC))
        with pytest.raises(StoreError, match="No space left on device") as caught:
            save(store, b"new" * 10000)
        assert str(folder) in str(caught.value)
        assert store.load(NAME)[0] == b"old"
        assert names(folder) - {"big"} == {NAME, f"{NAME}.lock"}
        assert store.lease(NAME) is not None, "the lock has not been given back"


def test_a_folder_that_cannot_be_written_can_be_read(monkeypatch):
    with tmpfs("size=128k") as (folder, mounted):
        store = FileStore(folder)
        save(store)
        if mounted:
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        else:
            real = os.open
            no = refuse(errno.EROFS)
            monkeypatch.setattr(
                os, "open", lambda path, flags, *a, **k: (no if flags & os.O_CREAT else real)(path, flags, *a, **k)
            )
        assert store.load(NAME)[0] == b"sealed"
        for use in (store.lease, lambda name: save(store)):
            with pytest.raises(StoreError, match="Read-only file system"):
                use(NAME)


def test_a_write_may_be_short(store, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:100]))
    save(store, b"0123456789" * 100)
    assert store.load(NAME)[0] == b"0123456789" * 100


def test_an_interrupt_leaves_nothing_behind(saved, folder, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(saved, b"new")
    assert names(folder) == {NAME, f"{NAME}.lock"}
    assert saved.load(NAME)[0] == b"sealed"


def test_a_folder_that_is_removed_in_flight_is_made_again(store, folder):
    lease = store.lease(NAME)
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()
    store.save(NAME, b"sealed", time.time() + HOUR, lease)
    assert store.load(NAME)[0] == b"sealed"
    store.release(NAME, lease)


def test_a_folder_that_is_removed_in_the_midst_of_it_is_told(saved, folder, monkeypatch):
    real = os.replace

    def replace(*args, **kwargs):
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()
        real(*args, **kwargs)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(StoreError, match="No such file"):
        save(saved, b"new")


# Time.


def test_an_entry_expires_by_its_time_of_change(store, folder, clock):
    save(store, seconds=10.0)
    assert store.load(NAME)[0] == b"sealed"
    clock.shift = 11.0
    assert store.load(NAME) == (None, pytest.approx(time.time() + 11.0, abs=5))


def test_what_has_expired_is_swept_away(store, folder, clock):
    save(store, seconds=10.0)
    save(store, name=OTHER)
    assert names(folder) == {NAME, f"{NAME}.lock", OTHER, f"{OTHER}.lock"}
    clock.shift = 11.0
    save(store, name=OTHER)
    assert names(folder) == {OTHER, f"{OTHER}.lock"}


def test_what_somebody_is_about_to_renew_is_not_swept_away(store, folder, clock):
    save(store, seconds=10.0)
    lease = store.lease(NAME)
    clock.shift = 11.0
    save(store, name=OTHER)
    assert {NAME, f"{NAME}.lock"} <= names(folder)
    store.save(NAME, b"new", time.time() + HOUR, lease)
    assert store.load(NAME)[0] == b"new"


def test_what_was_renewed_a_moment_ago_is_not_swept_away(store, folder, clock, monkeypatch):
    save(store, seconds=10.0)
    clock.shift = 11.0
    real = file._Folder.take

    def renew_and_take(self, name):
        if name == NAME:
            monkeypatch.setattr(file._Folder, "take", real)
            save(store, b"new")
        return real(self, name)

    monkeypatch.setattr(file._Folder, "take", renew_and_take)
    save(store, name=OTHER)
    assert store.load(NAME)[0] == b"new"


def test_what_the_killed_left_behind_is_swept_away(saved, folder, clock):
    temporary, lock = folder / f"{NAME}.00ff00ff00ff00ff.tmp", folder / f"{OTHER}.lock"
    temporary.touch(0o600)
    lock.touch(0o600)
    save(saved)
    assert names(folder) == {NAME, f"{NAME}.lock", temporary.name}, "a temporary file may be in use"
    clock.shift = 61.0
    save(saved)
    assert names(folder) == {NAME, f"{NAME}.lock"}


def test_a_temporary_file_from_the_future_is_swept_away(saved, folder, clock):
    temporary = folder / f"{NAME}.00ff00ff00ff00ff.tmp"
    temporary.touch(0o600)
    clock.shift = -61.0
    save(saved)
    assert not temporary.exists()


def test_a_temporary_file_may_be_gone_before_the_sweep(saved, monkeypatch):
    monkeypatch.setattr(os, "listdir", lambda fd: [f"{NAME}.00ff00ff00ff00ff.tmp"])
    save(saved, b"new")
    assert saved.load(NAME)[0] == b"new"


def test_what_is_not_of_the_store_is_left_alone(saved, folder, clock):
    foreign = {"notes.txt", "x.lock", "0123.tmp", "g" * 32, NAME.upper()}
    for each in foreign:
        (folder / each).touch()
        os.utime(folder / each, (0, 0))
    (folder / OTHER).mkdir()
    os.utime(folder / OTHER, (0, 0))
    clock.shift = 61.0
    save(saved)
    assert foreign | {OTHER} <= names(folder)


def test_a_clock_that_is_set_back_keeps_nothing_for_ever(store, folder, clock):
    save(store, seconds=HOUR)
    clock.shift = -2 * HOUR
    assert store.load(NAME)[0] is None
    store.save(OTHER, b"sealed", time.time() + HOUR, None)
    assert NAME not in names(folder)


def test_a_file_server_may_be_a_little_ahead(saved, clock):
    clock.shift = -30.0
    assert saved.load(NAME)[0] == b"sealed"


def test_a_token_for_ever_is_kept(saved, folder):
    saved.save(NAME, b"new", 1e300, None)
    assert saved.load(NAME)[0] == b"new"
    assert names(folder) == {NAME, f"{NAME}.lock"}


def test_what_is_too_large_to_be_read_is_not_written(saved, folder):
    with pytest.raises(StoreError, match="65537 bytes are too many for a token"):
        save(saved, b"x" * 65537)
    assert saved.load(NAME)[0] == b"sealed"
    save(saved, b"x" * 65536)
    assert saved.load(NAME)[0] == b"x" * 65536


def test_what_is_too_large_and_over_is_written_over(saved, folder, clock):
    fill(folder / NAME)
    os.utime(folder / NAME, (1, 1))
    assert saved.load(NAME)[0] is None
    save(saved, b"new")
    assert saved.load(NAME)[0] == b"new"


def test_waiting_is_a_short_sleep(store, clock):
    for seconds in (10.0, 0.005, -1.0):
        store.wait(NAME, seconds)
    assert clock.slept == [0.05, 0.005, 0.0]


# The lock.


def test_a_lock_file_that_is_swept_away_before_it_is_locked_is_no_lock(store, folder, monkeypatch):
    real = file._lock

    def sweep_and_lock(fd):
        monkeypatch.setattr(file, "_lock", real)
        (folder / LOCK).unlink()
        return real(fd)

    monkeypatch.setattr(file, "_lock", sweep_and_lock)
    lease = store.lease(NAME)
    assert os.path.samestat(os.fstat(lease.fd), (folder / LOCK).stat())
    assert store.lease(NAME) is None


def test_a_file_system_where_no_file_stays_the_same_is_told(store, monkeypatch):
    monkeypatch.setattr(os.path, "samestat", lambda one, other: False)
    with pytest.raises(StoreError, match="no file stays the same"):
        store.lease(NAME)


def test_a_file_system_without_locks_is_told(store, monkeypatch):
    monkeypatch.setattr(file, "_lock", refuse(errno.ENOLCK))
    with pytest.raises(StoreError, match="No locks available"):
        store.lease(NAME)


def test_a_lease_that_nobody_has_any_more_is_free(store):
    lease = store.lease(NAME)
    assert store.lease(NAME) is None
    del lease
    gc.collect()
    assert store.lease(NAME) is not None


def test_what_is_no_lease_is_none(saved):
    lease = saved.lease(NAME)
    saved.release(NAME, object())
    saved.save(NAME, b"new", time.time() + HOUR, object())
    assert saved.load(NAME)[0] == b"sealed"
    saved.release(NAME, lease)


def test_a_child_closes_its_copies(store, monkeypatch):
    lease = store.lease(NAME)
    parents = os.dup(lease.fd)
    with monkeypatch.context() as patch:  # from here on as in the child
        patch.setattr(os, "getpid", lambda: -1)
        file._forking.acquire()
        file._open_locks.add(9999)  # closed already by somebody else
        file._after_fork_in_child()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(lease.fd)
        store.release(NAME, lease)
        store.save(NAME, b"by the child", time.time() + HOUR, lease)
        assert store.load(NAME)[0] is None
        assert store.lease(NAME) is None
        lease.fd = -1
    os.close(parents)
    assert store.lease(NAME) is not None


HOLDER = """
import os, subprocess, sys, time
from domo_oauth.stores.file import FileStore
store, name, how = FileStore(sys.argv[1]), sys.argv[2], sys.argv[3]
lease = store.lease(name)
if how == "fork":
    child = os.fork()
    if not child:
        os.write(1, b"child\\n")
        time.sleep(3600)
else:
    sleeps = "import time; print('child', flush=True); time.sleep(3600)"
    child = subprocess.Popen([sys.executable, "-c", sleeps], close_fds=False).pid
os.write(1, f"{child}\\n".encode())
time.sleep(3600)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("how", ["fork", "program"])
def test_a_child_does_not_keep_the_lock_of_a_parent_that_was_killed(store, folder, how):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), NAME, how], stdout=subprocess.PIPE) as holder:
        lines = {holder.stdout.readline().strip() for _ in range(2)}
        (child,) = lines - {b"child"}
        try:
            assert store.lease(NAME) is None
            holder.kill()
            holder.wait()
            os.kill(int(child), 0)  # it lives
            assert store.lease(NAME) is not None
        finally:
            os.kill(int(child), 9)
