"""FileStore: where it is, what it makes, what it refuses, what it removes, and who holds the lock."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from domo_oauth import ConfigurationError
from domo_oauth.stores import StoreError
from domo_oauth.stores.file import FileStore
from domo_oauth.stores.testing import StoreTests
from tests.stores.processes import in_child

NAME, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
TEMPORARY = f"{NAME}.00ff00ff00ff00ff.tmp"
HOUR = 3600.0

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork, modes and owners")


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


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def expire(folder: Path, name: str, ago: float = 1.0) -> None:
    os.utime(folder / name, (time.time() - ago,) * 2)


def lock(store: FileStore) -> bool:
    with store.lock(NAME) as obtained:
        return obtained


READS = {"load": lambda store: store.load(NAME), "delete": lambda store: store.delete(NAME), "clear": FileStore.clear}
WRITES = {"save": lambda store: store.save(NAME, b"new", HOUR), "lock": lock}
USES = READS | WRITES


# Where it is.


@pytest.mark.parametrize(
    ("path", "cache", "expected"),
    [
        (None, None, "/home/somebody/.cache/domo-oauth"),
        (None, "", "/home/somebody/.cache/domo-oauth"),
        (None, "relative", "/home/somebody/.cache/domo-oauth"),
        (None, "/caches", "/caches/domo-oauth"),
        ("~/tokens", "/caches", "/home/somebody/tokens"),
        (Path("tokens"), "/caches", "tokens"),
    ],
)
def test_its_folder(path, cache, expected, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("XDG_CACHE_HOME")
    if cache is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
    store, expected = FileStore(path), tmp_path / expected
    assert store.path == pickle.loads(pickle.dumps(store)).path == expected
    assert repr(store) == f"FileStore({str(expected)!r})"


@pytest.mark.parametrize("path", [None, "~/tokens"])
def test_without_a_home_folder_it_says_so(monkeypatch, path):
    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(ConfigurationError, match="Set HOME"):
        FileStore(path)


@pytest.mark.parametrize("module", ["cryptography", "filelock", "platformdirs"])
def test_without_the_extra_it_says_what_to_install(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"needs {module}: pip install 'domo-oauth\[file\]'"):
        FileStore()


# What it makes.


def test_making_one_touches_nothing(store, folder):
    for read in READS.values():
        assert not read(store)
    assert not folder.exists()


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
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


def test_another_process_may_make_the_folder_first(store, folder, monkeypatch):
    folder.mkdir(0o700)
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda self: self != folder and exists(self))
    store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"


def test_no_descriptor_stays_open(saved, folder, impatient):
    before = os.listdir("/dev/fd")  # noqa: PTH208 -- a path would list itself
    with saved.lock(NAME), saved.lock(NAME) as again:
        assert not again
        for use in (WRITES["save"], *READS.values()):
            use(saved)
    folder.chmod(0o777)
    for use in USES.values():
        with pytest.raises(StoreError):
            use(saved)
    assert os.listdir("/dev/fd") == before  # noqa: PTH208


# What it refuses.


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


@pytest.mark.parametrize("use", USES)
def test_a_folder_of_another_user_is_refused(saved, use, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StoreError, match=r"belongs to user \d+, and this process runs as user 12345: use chown"):
        USES[use](saved)


@pytest.mark.parametrize("use", USES)
def test_a_path_through_a_file_is_refused(tmp_path, use):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be used for tokens \(Not a directory\)"):
        USES[use](FileStore(tmp_path / "file" / "store"))


def test_a_link_that_leads_nowhere_is_refused(folder, store, tmp_path):
    folder.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError):
        store.save(NAME, b"sealed", HOUR)
    assert not (tmp_path / "nowhere").exists()


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


def refuse(number: int):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("use", WRITES)
def test_a_disk_that_takes_nothing_can_be_read(number, use, saved, folder, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", refuse(number))
    monkeypatch.setattr(os, "open", refuse(number))
    with pytest.raises(StoreError, match=rf"^{folder}.* cannot be used for tokens \({os.strerror(number)}\): fix that"):
        WRITES[use](saved)
    monkeypatch.undo()
    assert saved.load(NAME) == b"sealed"
    assert names(folder) == {NAME}


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
    for age, kept in (50.0, True), (61.0, False):
        expire(folder, TEMPORARY, age)  # at 50 s a process may still write to it
        saved.save(OTHER, b"sealed", HOUR)
        assert (TEMPORARY in names(folder)) == kept


def test_what_cannot_be_removed_is_skipped(saved, folder):
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
        assert impatient <= time.monotonic() - began < impatient + 5.0
    assert lock(store)


def test_a_thread_that_waits_gets_the_lock_soon(store):
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
store, how, sleep = FileStore(sys.argv[1]), sys.argv[3], "import time; time.sleep(3600)"
with store.lock(sys.argv[2]):
    child = 0
    if how == "fork" and not (child := os.fork()):
        time.sleep(3600)
    if how == "program":
        child = subprocess.Popen([sys.executable, "-c", sleep], close_fds=False, stdout=subprocess.DEVNULL).pid
    os.write(1, f"{child}\\n".encode())
    time.sleep(3600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["alone", "fork", "program"])
def test_the_lock_of_a_killed_process_is_free_at_once(store, folder, how, impatient):
    """Although its child lives on."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), NAME, how], stdout=subprocess.PIPE) as process:
        child = int(process.stdout.readline())
        assert not lock(store)
        process.kill()
        process.wait()
        assert lock(store)
        if child:
            os.kill(child, signal.SIGKILL)


def test_a_child_neither_holds_nor_frees_the_lock_of_its_parent(store, impatient):
    with store.lock(NAME):
        assert in_child(lambda: not store.save(NAME, b"by the child", HOUR) and not lock(store)) == 0
        assert not lock(FileStore(store.path))
        assert store.load(NAME) == b"by the child"
        child = os.fork()
    if not child:
        os._exit(0)  # it has left the block, too
    os.waitpid(child, 0)
    assert lock(store)
