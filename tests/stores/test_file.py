"""FileStore: where it is, what it makes, what it refuses, what it removes, and who holds the lock."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from domo_oauth import ConfigurationError
from domo_oauth.stores import StoreError
from domo_oauth.stores.file import FileStore
from domo_oauth.stores.testing import StoreTests
from tests.stores.processes import in_child

NAME, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
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


def lock(store: FileStore) -> bool:
    with store.lock(NAME) as obtained:
        return obtained


READS = {"load": lambda store: store.load(NAME), "delete": lambda store: store.delete(NAME), "clear": FileStore.clear}
WRITES = {"save": lambda store: store.save(NAME, b"new", HOUR), "lock": lock}
USES = READS | WRITES


@pytest.mark.parametrize(
    ("path", "cache", "expected"),
    [
        (None, "", "/home/somebody/.cache/domo-oauth"),
        (None, "/caches", "/caches/domo-oauth"),
        ("~/tokens", "/caches", "/home/somebody/tokens"),
        (Path("tokens"), "/caches", "tokens"),
    ],
)
def test_the_folder(path, cache, expected, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
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


def test_reading_makes_nothing(store, folder):
    for read in READS.values():
        assert not read(store)
    assert not folder.exists()


@pytest.mark.parametrize("umask", [0, 0o077])
def test_everything_is_for_the_user_alone(folder, umask):
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.lstat().st_mode)

    deep = folder / "a" / "b"
    store, old = FileStore(deep), os.umask(umask)
    try:
        with store.lock(NAME):
            store.save(NAME, b"sealed", HOUR)
    finally:
        os.umask(old)
    assert {mode(each) for each in (folder, folder / "a", deep)} == {0o700}
    assert {mode(each) for each in deep.iterdir()} == {0o600}
    assert names(deep) == {NAME, f"{NAME}.lock"}


# What it refuses.


def replace(folder: Path, target: str | None = None) -> None:
    """Put a link or a file in the place of the folder."""
    folder.rename(folder.with_name("elsewhere"))
    if target:
        folder.symlink_to(target)
    else:
        folder.touch(0o600)


PROBLEMS = {
    "readable": (lambda folder: folder.chmod(0o755), r"is open to other users \(mode 0755\): use chmod 700"),
    "writable": (lambda folder: folder.chmod(0o1777), r"is open to other users \(mode 1777\): use chmod 700"),
    "group": (lambda folder: folder.chmod(0o710), r"is open to other users \(mode 0710\): use chmod 700"),
    "link": (lambda folder: replace(folder, "elsewhere"), "is a symbolic link: remove it"),
    "file": (replace, "is a file: remove it"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_folder_that_is_not_the_users_alone_is_refused_and_left_as_it_is(saved, folder, problem):
    spoil, told = PROBLEMS[problem]
    spoil(folder)
    before, inside = folder.lstat(), folder.is_dir() and names(folder)
    for use in USES.values():
        with pytest.raises(StoreError, match=rf"^{folder} {told}, or name another folder, FileStore\(path\)\.$"):
            use(saved)
    after = folder.lstat()
    assert (after.st_ino, after.st_mode, folder.is_dir() and names(folder)) == (before.st_ino, before.st_mode, inside)


def test_a_folder_of_another_user_is_refused(saved, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    for use in USES.values():
        with pytest.raises(StoreError, match=r"belongs to user \d+, and this process runs as user 12345: use chown"):
            use(saved)


def test_messages_show_no_control_characters_of_a_path(tmp_path):
    file, folder = tmp_path / "a\x1b[2Jb", tmp_path / "c\nd\u202ee"
    file.touch()
    folder.mkdir()
    folder.chmod(0o755)
    for use in USES.values():
        with pytest.raises(StoreError, match=r"/a \[2Jb/store cannot be used for tokens \(Not a directory\): fix that"):
            use(FileStore(file / "store"))
        with pytest.raises(StoreError, match="/c d e is open to other users"):
            use(FileStore(folder))


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


@pytest.mark.parametrize("use", WRITES)
def test_stored_tokens_can_still_be_read_when_the_disk_is_full(use, saved, folder, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((Path, "write_bytes") if use == "save" else (os, "open")), full)
    with pytest.raises(StoreError, match=rf"^{folder}.* cannot be used for tokens \(No space left on device\): fix"):
        WRITES[use](saved)
    monkeypatch.undo()
    assert saved.load(NAME) == b"sealed"
    assert names(folder) == {NAME}


# What it removes.


def test_saving_removes_what_expired_a_minute_ago_and_nothing_else(saved, folder):
    lock(saved)
    young, old = f"{NAME}.{'0' * 16}.tmp", f"{NAME}.{'f' * 16}.tmp"  # a process may still write to the young one
    for name in (OTHER, "a" * 32):
        saved.save(name, b"sealed", HOUR)
    for name in (young, old, "notes.txt"):
        (folder / name).touch()
    (folder / ("b" * 32)).mkdir()  # cannot be removed
    for name in names(folder):
        os.utime(folder / name, (time.time() - (50.0 if name in {OTHER, young} else 70.0),) * 2)
    assert saved.load(OTHER) is saved.load(NAME) is None
    saved.save("c" * 32, b"sealed", HOUR)
    assert names(folder) == {OTHER, young, "b" * 32, "c" * 32, f"{NAME}.lock", "notes.txt"}
    (folder / ("b" * 32)).rmdir()
    assert saved.clear() == 2
    assert names(folder) == {f"{NAME}.lock", "notes.txt"}


def test_what_a_killed_process_was_writing_is_removed_later(store, folder):
    def save() -> None:
        Path.replace = lambda *_: os._exit(0)
        store.save(NAME, b"sealed", HOUR)

    assert in_child(save) == 0
    (left,) = folder.iterdir()
    os.utime(left, (time.time() - 70.0,) * 2)
    store.save(OTHER, b"sealed", HOUR)
    assert names(folder) == {OTHER}


def test_a_huge_file_is_replaced_without_being_read(saved, folder):
    with (folder / NAME).open("r+b") as file:
        file.truncate(2**40)
    os.utime(folder / NAME, (time.time() + HOUR,) * 2)
    assert saved.load(NAME) is None
    saved.save(NAME, b"x" * 65536, HOUR)
    assert saved.load(NAME) == b"x" * 65536


def test_clear_goes_on_if_another_process_was_faster(saved, monkeypatch):
    gone = saved.path / OTHER
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([gone, folder / NAME]))
    saved.clear()
    assert saved.load(NAME) is None


# The lock.

HOLDER = """
import os, subprocess, sys, time
from domo_oauth.stores.file import FileStore
store, how, sleep = FileStore(sys.argv[1]), sys.argv[3], "import time; time.sleep(3600)"
with store.lock(sys.argv[2]):
    child = os.fork() if how == "fork" else None
    if child == 0:
        time.sleep(3600)
    if how == "program":
        child = subprocess.Popen([sys.executable, "-c", sleep], close_fds=False, stdout=subprocess.DEVNULL).pid
    os.write(1, f"{child}\\n".encode())
    time.sleep(3600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fork", "program"])
def test_the_lock_of_a_killed_process_is_free_at_once_although_its_child_lives(store, folder, how, impatient):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), NAME, how], stdout=subprocess.PIPE) as process:
        child = int(process.stdout.readline())
        assert not lock(store)
        process.kill()
        process.wait()
        assert lock(store)
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
