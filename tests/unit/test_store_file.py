"""FileStore: what it makes, what it refuses, what it removes, and who holds the lock."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from domo_oauth import ConfigurationError, timing
from domo_oauth.stores import StoreError
from domo_oauth.stores.file import FileStore
from domo_oauth.stores.testing import StoreTests

NAME, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
TEMPORARY = f"{NAME}.00ff00ff00ff00ff.tmp"
HOUR = 3600.0
SHORT = 0.3
"""Seconds that a test waits for a lock in vain."""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


class TestFileStore(StoreTests):
    @pytest.fixture
    def store(self, tmp_path) -> FileStore:
        return FileStore(tmp_path / "store")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder) -> FileStore:
    return FileStore(folder)


@pytest.fixture
def saved(store) -> FileStore:
    store.save(NAME, b"sealed", HOUR)
    return store


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(timing, "LOCK_TRY", SHORT)


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def expire(folder: Path, name: str, ago: float = 1.0) -> None:
    os.utime(folder / name, (time.time() - ago,) * 2)


# Where it is.


def test_making_one_touches_nothing(store, folder):
    assert store.load(NAME) is None
    store.delete(NAME)
    assert store.clear() == 0
    assert not folder.exists()


@pytest.mark.parametrize("value", ["", "not/absolute", None, "/caches"])
def test_the_default_is_in_the_users_cache_folder(monkeypatch, tmp_path, value):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    where = Path(value) if value == "/caches" else tmp_path / ".cache"
    assert FileStore().path == where / "domo-oauth"


@pytest.mark.parametrize("path", [None, "~/tokens"])
def test_without_a_home_folder_it_says_so(monkeypatch, path):
    import pwd

    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(ConfigurationError, match="Set HOME"):
        FileStore(path)


def test_its_path_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert FileStore("tokens").path == tmp_path / "tokens"
    assert FileStore(Path("~/tokens")).path == Path("/home/somebody/tokens")


def test_the_repr_and_the_pickle_hold_its_path(store, folder):
    assert repr(store) == f"FileStore({str(folder)!r})"
    assert pickle.loads(pickle.dumps(store)).path == folder


def test_importing_it_loads_nothing_slow():
    slow = {"filelock", "platformdirs", "cryptography", "redis", "httpx", "tempfile", "json", "subprocess"}
    code = "import sys; old = set(sys.modules); import domo_oauth.stores.file; print(*set(sys.modules) - old)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "domo_oauth.stores.file" in loaded
    assert not slow & set(loaded)


@pytest.mark.parametrize("module", ["cryptography", "filelock", "platformdirs"])
def test_without_the_extra_it_can_be_imported_and_says_what_to_install(monkeypatch, module, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    for path in (None, tmp_path):
        with pytest.raises(ConfigurationError, match=rf"needs {module}: pip install 'domo-oauth\[file\]'"):
            FileStore(path)


# What it makes.


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_everything_is_for_the_user_alone(folder, umask):
    deep = folder / "a" / "b"
    store, old = FileStore(deep), os.umask(umask)
    try:
        with store.lock(NAME) as obtained:
            store.save(NAME, b"sealed", HOUR)
    finally:
        os.umask(old)
    assert obtained
    assert {mode(each) for each in (folder, folder / "a", deep)} == {0o700}
    assert {mode(each) for each in deep.iterdir()} == {0o600}
    assert names(deep) == {NAME, f"{NAME}.lock"}
    assert store.load(NAME) == b"sealed"


def test_another_process_may_make_the_folder_first(store, folder, monkeypatch):
    folder.mkdir(0o700)
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda self: self != folder and exists(self))
    store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"


def test_no_descriptor_stays_open(saved, folder, impatient):
    def descriptors() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    before = descriptors()
    with saved.lock(NAME), saved.lock(NAME) as again:
        assert not again
        saved.save(NAME, b"sealed", HOUR)
        saved.load(NAME)
        saved.load(OTHER)
        saved.delete(NAME)
    (folder / NAME).mkdir()
    folder.chmod(0o777)
    for use in USES.values():
        with pytest.raises(StoreError):
            use(saved)
    assert descriptors() == before


# What it refuses.


def lock(store: FileStore) -> bool:
    with store.lock(NAME) as obtained:
        return obtained


READS = {"load": lambda store: store.load(NAME), "delete": lambda store: store.delete(NAME), "clear": FileStore.clear}
WRITES = {"save": lambda store: store.save(NAME, b"new", HOUR), "lock": lock}
USES = READS | WRITES


def link(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")


def replace_by_file(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.touch(0o600)


FOLDERS = {
    "readable": (lambda folder: folder.chmod(0o755), r"is open to other users \(mode 0755\): use chmod 700"),
    "writable": (lambda folder: folder.chmod(0o1777), r"is open to other users \(mode 1777\): use chmod 700"),
    "group": (lambda folder: folder.chmod(0o710), r"is open to other users \(mode 0710\): use chmod 700"),
    "others": (lambda folder: folder.chmod(0o701), r"is open to other users \(mode 0701\)"),
    "link": (link, "is a symbolic link: remove it"),
    "file": (replace_by_file, "is a file: remove it"),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("problem", FOLDERS)
def test_a_folder_that_is_not_the_users_alone_is_refused(saved, folder, problem, use):
    spoil, told = FOLDERS[problem]
    spoil(folder)
    before, inside = folder.lstat(), folder.is_dir() and names(folder)
    with pytest.raises(StoreError, match=rf"^{folder} {told}.*, or name another folder, FileStore\(path\)\.$"):
        USES[use](saved)
    after = folder.lstat()
    assert (after.st_ino, after.st_mode, folder.is_dir() and names(folder)) == (before.st_ino, before.st_mode, inside)


def test_a_folder_of_another_user_is_refused(saved, folder, monkeypatch):
    told = r"belongs to user \d+, and this process runs as user \d+: use chown"
    if os.geteuid() == 0:
        os.chown(folder, 12345, -1)
    else:  # the other way round
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    for use in USES.values():
        with pytest.raises(StoreError, match=told):
            use(saved)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_who_may_not_write_there_is_told(tmp_path):
    code = (
        "import filelock, os, sys; from domo_oauth.stores.file import FileStore, StoreError\n"
        "store = FileStore(sys.argv[1]); os.seteuid(12345)\n"
        "for use in (lambda: store.save('0' * 32, b'', 1.0), lambda: store.lock('0' * 32).__enter__()):\n"
        "    try: use()\n"
        "    except StoreError as error: print(error)\n"
    )
    with tempfile.TemporaryDirectory() as above:  # pytest's own folder cannot be entered by others
        Path(above).chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", code, f"{above}/store"], capture_output=True, text=True, check=True
        )
        assert done.stdout.count("cannot be used for tokens (Permission denied): fix that, or name another folder") == 2
        assert not Path(above, "store").exists()


def test_a_link_that_leads_nowhere_is_refused(folder, store, tmp_path):
    folder.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="symbolic link"):
        store.save(NAME, b"sealed", HOUR)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("use", USES)
def test_a_file_above_is_refused(tmp_path, use):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be used for tokens \(Not a directory\)"):
        USES[use](FileStore(tmp_path / "file" / "store"))


@pytest.mark.parametrize("suffix", ["", ".lock"])
def test_links_within_the_folder_are_not_followed_for_writing(saved, folder, tmp_path, suffix):
    (tmp_path / "theirs").write_bytes(b"theirs")
    (folder / f"{NAME}{suffix}").unlink(missing_ok=True)
    (folder / f"{NAME}{suffix}").symlink_to(tmp_path / "theirs")
    if suffix:
        with pytest.raises(StoreError, match="symbolic links"):
            lock(saved)
    else:
        saved.save(NAME, b"new", HOUR)
        assert saved.load(NAME) == b"new"
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


# Disks that take nothing.


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
        store.save(NAME, b"old", HOUR)
        if mounted:
            with pytest.raises(OSError, match="No space"):
                (folder / "big").write_bytes(b"x" * 1024 * 1024)
        else:
            monkeypatch.setattr(Path, "write_bytes", refuse(errno.ENOSPC))
        with pytest.raises(StoreError, match=rf"^{folder}.* \(No space left on device\)"):
            store.save(NAME, b"new" * 10000, HOUR)
        assert store.load(NAME) == b"old"
        assert names(folder) - {"big"} == {NAME}


def test_a_read_only_disk_can_be_read(monkeypatch):
    with tmpfs("size=128k") as (folder, mounted):
        store = FileStore(folder)
        store.save(NAME, b"sealed", HOUR)
        if mounted:
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        else:
            for module, name in ((Path, "touch"), (os, "open")):
                monkeypatch.setattr(module, name, refuse(errno.EROFS))
        for use in WRITES.values():
            with pytest.raises(StoreError, match="Read-only file system"):
                use(store)
        monkeypatch.undo()
        assert store.load(NAME) == b"sealed"


def test_an_interrupt_leaves_nothing_behind(saved, folder, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        saved.save(NAME, b"new", HOUR)
    assert names(folder) == {NAME}
    assert saved.load(NAME) == b"sealed"


def test_a_folder_that_is_removed_in_between_is_made_again(store, folder):
    with store.lock(NAME):
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()
        store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"


# Time and size.


def test_what_has_expired_is_removed_and_the_lock_file_stays(saved, folder):
    lock(saved)
    expire(folder, NAME)
    assert saved.load(NAME) is None
    saved.save(OTHER, b"sealed", HOUR)
    assert names(folder) == {f"{NAME}.lock", OTHER}


def test_what_a_killed_process_left_behind_is_removed_later(saved, folder):
    (folder / TEMPORARY).touch(0o600)
    expire(folder, TEMPORARY, 50.0)
    saved.save(OTHER, b"sealed", HOUR)
    assert TEMPORARY in names(folder), "somebody may still write to it"
    expire(folder, TEMPORARY, 61.0)
    saved.save(OTHER, b"sealed", HOUR)
    assert TEMPORARY not in names(folder)


def test_what_cannot_be_removed_is_passed_over(saved, folder):
    (folder / OTHER).mkdir()
    expire(folder, OTHER)
    saved.save(NAME, b"new", HOUR)
    assert saved.load(NAME) == b"new"


def test_foreign_files_are_left_alone(saved, folder):
    foreign = {"notes.txt", "x.lock", "0123.tmp", "g" * 32, NAME.upper(), NAME + "0", f"{NAME}.tmp"}
    for each in foreign:
        (folder / each).touch()
        expire(folder, each, HOUR)
    saved.save(OTHER, b"sealed", HOUR)
    (folder / TEMPORARY).touch()
    assert saved.clear() == 2
    assert names(folder) == foreign


def test_a_huge_file_is_not_read_and_replaced(saved, folder):
    with (folder / NAME).open("r+b") as file:
        file.truncate(2**40)
    os.utime(folder / NAME, (time.time() + HOUR,) * 2)
    assert saved.load(NAME) is None
    saved.save(NAME, b"x" * 65536, HOUR)
    assert saved.load(NAME) == b"x" * 65536


# The lock.


def test_two_stores_in_one_process_exclude_each_other(store, folder, impatient):
    began = time.monotonic()
    with store.lock(NAME) as first, FileStore(folder).lock(NAME) as second:
        assert (first, second) == (True, False)
        assert SHORT <= time.monotonic() - began < SHORT + 5.0
    assert lock(store)


def test_who_waits_gets_the_lock_soon(store):
    taken = []
    with store.lock(NAME):
        thread = threading.Thread(target=lambda: taken.append((lock(store), time.monotonic())))
        thread.start()
        time.sleep(0.2)
        freed = time.monotonic()
    thread.join()
    ((obtained, when),) = taken
    assert obtained
    assert freed <= when < freed + 1.0


HOLDER = """
import os, subprocess, sys, time
from domo_oauth.stores.file import FileStore
store, how = FileStore(sys.argv[1]), sys.argv[3]
with store.lock(sys.argv[2]):
    child = 0
    if how == "fork":
        child = os.fork()
        if not child:
            time.sleep(3600)
    if how == "program":
        sleeps = "import time; time.sleep(3600)"
        child = subprocess.Popen([sys.executable, "-c", sleeps], close_fds=False, stdout=subprocess.DEVNULL).pid
    os.write(1, f"{child}\\n".encode())
    time.sleep(3600)
"""


@contextmanager
def holder(folder: Path, how: str = ""):
    """Another process that holds the lock, and the id of its child if it has one."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), NAME, how], stdout=subprocess.PIPE) as process:
        child = int(process.stdout.readline())
        try:
            yield process, child
        finally:
            process.kill()
            if child:
                os.kill(child, signal.SIGKILL)


@needs_fork
@pytest.mark.parametrize("how", ["", "fork", "program"])
def test_the_lock_of_a_killed_process_is_free_at_once(store, folder, how, impatient):
    with holder(folder, how) as (process, child):
        assert not lock(store)
        process.kill()
        process.wait()
        if child:
            os.kill(child, 0)  # it lives
        assert lock(store)


@needs_fork
def test_behind_a_stopped_process_others_wait_once_and_save_all_the_same(store, folder, impatient):
    """Ctrl-Z, a debugger, docker pause: it holds the lock, and does not run."""
    with holder(folder) as (process, _):
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        with store.lock(NAME) as obtained:
            assert not obtained
            store.save(NAME, b"sealed", HOUR)
        assert store.load(NAME) == b"sealed"


@needs_fork
def test_a_child_neither_holds_nor_frees_the_lock_of_its_parent(store, impatient):
    with store.lock(NAME):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                store.save(NAME, b"by the child", HOUR)
                os.write(writer, b"held" if lock(store) else b"waited")
            finally:
                os._exit(0)
        os.close(writer)
        assert os.read(reader, 10) == b"waited"
        os.close(reader)
        os.waitpid(child, 0)
        assert not lock(FileStore(store.path))
        assert store.load(NAME) == b"by the child"


@needs_fork
def test_a_child_that_leaves_its_parents_block_frees_nothing(store, impatient):
    with store.lock(NAME):
        child = os.fork()
    if not child:
        os._exit(0)  # it has left the block, too
    os.waitpid(child, 0)
    with store.lock(NAME) as obtained:
        assert obtained
        child = os.fork()
        if not child:
            os._exit(0 if not lock(store) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
