"""Tokens in files, for the processes of one user on one machine.

Three files may belong to a name: the entry itself; ``NAME.lock``, which whoever renews the entry holds locked; and for
a moment ``NAME.*.tmp``, which becomes the next entry. The lock is the kernel's (``flock``), which frees it when its
holder dies, however it dies; that the file is there means nothing. All is sealed before it comes here.

Nothing is forced to the disk (``fsync``): what is lost with the machine is a token, and Domo gives another.
"""

# pathlib cannot work within an open folder, and takes as long to import as all of this.
# ruff: noqa: PTH100, PTH103, PTH111, PTH116, PTH117, PTH118, PTH208
from __future__ import annotations

import errno
import os
import stat
import sys
import time
from _thread import RLock  # threading would be one more import
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from domo_oauth.errors import ConfigurationError

from .protocol import StoreError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["FileStore"]

_POLL = 0.05
"""Seconds between two looks of one who waits. The kernel tells nobody when a lock is free but those who queue for it,
and they would take it one after the other, when all that they want is to read the new entry."""
_LARGEST = 65536
"""Bytes; no entry is a tenth as long."""
_LATEST = 253_402_300_799.0
"""The last second of the year 9999, for tokens that a server grants for ever."""
_LEFT_OVER = 60.0
"""Seconds after which nobody is at a temporary file any more: it takes milliseconds to write."""
_SLACK = 60.0
"""Seconds by which the clocks of this machine and of its file server may differ."""
_TRIES = 100
"""Locks that may be swept away, one after the other, before they are locked; two would be a rare thing."""
_NAME_LENGTH, _HEX = 32, frozenset("0123456789abcdef")
_REMEDY = "name another folder, FileStore(path)"

if sys.platform == "win32":  # pragma: no cover -- there is no Windows to try it on
    import msvcrt

    _FOLDER = _FILE = os.O_BINARY | os.O_NOINHERIT

    def _lock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(fd: int) -> None:
        with suppress(OSError):  # it was not locked
            msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    # A link is not followed, a pipe not waited for, and a program that is started gets none of it.
    _FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    _FOLDER = _FILE | os.O_DIRECTORY

    def _lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)


class FileStore:
    """Keeps tokens in a folder of the user's own, for all processes of that user on this machine.

    The folder has mode 0700 and its files 0600. What belongs to somebody else, can be used by others, or is a link is
    refused with an error that says what to do, and is never changed. It is made when the first token is saved; making
    a ``FileStore`` costs no I/O. The folders above are trusted, as they come.

    A process that dies gives its lease back at once, also by ``kill -9`` or when the machine loses power. Over NFS that
    is as good as the server's locks are.

    On Windows modes and owners say nothing, so they are not checked: the default folder is the user's alone there.
    Windows was not tried.

    Args:
        path: The folder; ``~`` stands for the home folder. None for ``domo-oauth`` in the user's cache folder:
            ``$XDG_CACHE_HOME`` or ``~/.cache``, on macOS ``~/Library/Caches``, on Windows ``%LOCALAPPDATA%``.

    Raises:
        ConfigurationError: There is no home folder.
    """

    __slots__ = ("path",)

    path: str
    """The folder, absolute."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        chosen = os.path.expanduser(_default() if path is None else path)
        if chosen.startswith("~"):
            raise ConfigurationError(f"Nobody knows what {chosen} stands for here: set HOME, or {_REMEDY}.")
        self.path = os.path.abspath(chosen)

    def load(self, name: str) -> tuple[bytes | None, float]:
        """Read what was saved under this name, if it has not expired; and the time by this machine's clock.

        Raises:
            StoreError: The folder or the file cannot be used.
        """
        with suppress(FileNotFoundError), _opened(self.path) as folder:
            return folder.read(name), time.time()
        return None, time.time()

    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        """Replace the entry of this name, in one step, and sweep away what has expired.

        Raises:
            StoreError: The folder cannot be used or written to, or the disk is full; the old entry is still there.
        """
        with _opened(self.path, create=True) as folder:
            mine = lease if isinstance(lease, _Lease) and folder.is_held(name, lease) else None
            taken = folder.take(name) if mine is None else None  # there was none, or it went with its folder
            if mine is None and taken is None:
                return
            try:
                folder.write(name, sealed, expires_at)
            finally:
                if taken is not None:
                    taken.close()
            folder.sweep()

    def delete(self, name: str) -> None:
        """Remove the entry of this name, if there is one.

        Raises:
            StoreError: It cannot be removed.
        """
        with suppress(FileNotFoundError), _opened(self.path) as folder:
            folder.remove(name)

    def clear(self) -> int:
        """Remove all entries, with what belongs to them and what was left over by those who were killed.

        Returns:
            How many entries there were.

        Raises:
            StoreError: The folder cannot be read, or something in it cannot be removed.
        """
        with suppress(FileNotFoundError), _opened(self.path) as folder:
            return folder.clear()
        return 0

    def lease(self, name: str) -> object | None:
        """Lock the entry of this name; None if another has. It can be loaded all the same.

        Raises:
            StoreError: The folder cannot be used or written to.
        """
        with _opened(self.path, create=True) as folder:
            return folder.take(name)

    def release(self, name: str, lease: object) -> None:  # noqa: ARG002 -- the lease knows its file
        """Unlock it."""
        if isinstance(lease, _Lease):
            lease.close()

    def wait(self, name: str, seconds: float) -> None:  # noqa: ARG002 -- the caller looks what has happened to it
        """Sleep until it is worth another look."""
        time.sleep(max(0.0, min(seconds, _POLL)))

    def __repr__(self) -> str:
        return f"FileStore({self.path!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path,)


class _Lease:
    """A lock file that is open, and that this process has locked, or is about to."""

    __slots__ = ("_pid", "fd")

    def __init__(self, path: str, folder: int | None) -> None:
        self.fd, self._pid = -1, os.getpid()
        with _forking:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | _FILE, 0o600, dir_fd=folder)
            _open_locks.add(self.fd)

    def is_open(self) -> bool:
        """Whether it is this process's, and has not been closed."""
        return self.fd >= 0 and self._pid == os.getpid()

    def close(self) -> None:
        """Unlock and close it. Nothing happens the second time, or in a child, which has no copy of it."""
        with _forking:
            if not self.is_open():
                return
            fd, self.fd = self.fd, -1
            _open_locks.discard(fd)
            try:
                _unlock(fd)  # closing would do, but for a child that is just about to start a program
            finally:
                os.close(fd)

    def __del__(self) -> None:
        self.close()


_forking = RLock()
"""Held while a lock file is opened, and while this process forks, so that each one that a child gets is known."""
_open_locks: set[int] = set()
"""The file descriptors of the lock files. What was locked stays so until all copies of its descriptor are closed."""


def _is_entry_name(name: str) -> bool:
    """Whether this is the name of an entry, as a vault makes it, and not somebody else's file."""
    return len(name) == _NAME_LENGTH and _HEX.issuperset(name)


def _before_fork() -> None:
    _forking.acquire()


def _after_fork_in_parent() -> None:
    with suppress(RuntimeError):  # an interrupt came while it waited for the lock, and Python forks all the same
        _forking.release()


def _after_fork_in_child() -> None:
    global _forking  # noqa: PLW0603 -- the one that another thread may have held
    for fd in _open_locks:
        with suppress(OSError):
            os.close(fd)
    _open_locks.clear()
    _forking = RLock()


if sys.platform != "win32":  # pragma: no branch -- which has no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


class _Folder:
    """A folder that is open and was looked at: wherever its path leads by now, all happens in this one.

    On Windows it cannot be opened, and each file goes by its whole path.
    """

    def __init__(self, path: str, fd: int | None) -> None:
        self._path, self._fd = path, fd
        self._prefix = "" if fd is not None else path + os.sep

    def read(self, name: str) -> bytes | None:
        """The entry of this name; None if it has expired."""
        fd = os.open(self._prefix + name, os.O_RDONLY | _FILE, dir_fd=self._fd)
        try:
            info = os.fstat(fd)
            _check(info, f"{self._path}{os.sep}{name}", stat.S_IFREG)
            if _is_over(info):
                return None
            if info.st_size > _LARGEST:
                raise StoreError(f"{self._path}{os.sep}{name} is no token, as it has {info.st_size} bytes: remove it.")
            return os.read(fd, _LARGEST)
        finally:
            os.close(fd)

    def write(self, name: str, sealed: bytes, expires_at: float) -> None:
        """Put another entry in the place of this one. Whoever reads meanwhile gets the old or the new one, whole."""
        if len(sealed) > _LARGEST:
            raise StoreError(f"{len(sealed)} bytes are too many for a token: Domo's answer was far longer than usual.")
        temporary = f"{name}.{os.urandom(8).hex()}.tmp"
        path, fd = self._prefix + temporary, self._fd
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o600, dir_fd=fd)
        try:
            try:
                rest = memoryview(sealed)
                while rest:
                    rest = rest[os.write(file, rest) :]
            finally:
                os.close(file)
            # Its time of change says when it expires, so that nobody has to open the seal for that.
            until = min(expires_at, _LATEST)
            os.utime(path, (until, until), dir_fd=fd)
            os.replace(path, self._prefix + name, src_dir_fd=fd, dst_dir_fd=fd)
        except BaseException:
            with suppress(OSError):
                os.unlink(path, dir_fd=fd)
            raise

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self._prefix + name, dir_fd=self._fd)

    def take(self, name: str) -> _Lease | None:
        """Lock the lock file of this name; None if another has."""
        for _ in range(_TRIES):
            lease = _Lease(f"{self._prefix}{name}.lock", self._fd)
            try:
                _check(os.fstat(lease.fd), f"{self._path}{os.sep}{name}.lock", stat.S_IFREG)
                locked = _lock(lease.fd)
                here = locked and self.is_held(name, lease)  # and not swept away before it was locked
            except BaseException:
                lease.close()
                raise
            if here:
                return lease
            lease.close()
            if not locked:
                return None
        raise StoreError(f"{self._path} is on a file system where no file stays the same: {_REMEDY}.")

    def is_held(self, name: str, lease: _Lease) -> bool:
        """Whether the lock file of this name is the one that was locked, and not another in its place."""
        info = self._stat(f"{name}.lock")
        return info is not None and lease.is_open() and os.path.samestat(info, os.fstat(lease.fd))

    def sweep(self) -> None:
        """Remove entries that have expired, with their lock files, and what was left over by those who were killed."""
        for file in self._files():
            name, _, kind = file.partition(".")
            with suppress(OSError, StoreError):  # what cannot be swept away stays
                if kind.endswith("tmp"):
                    self._sweep_temporary(file)
                elif self._is_gone(name):
                    self._sweep_entry(name)

    def clear(self) -> int:
        """Remove all of ours; how many entries there were."""
        files = self._files()
        for file in files:
            with suppress(FileNotFoundError):  # another process was quicker
                self.remove(file)
        return sum(map(_is_entry_name, files))

    def _files(self) -> list[str]:
        """The files that are an entry, or belong to one."""
        files = os.listdir(self._path if self._fd is None else self._fd)
        return [file for file in files if _is_entry_name(file.partition(".")[0])]

    def _sweep_temporary(self, file: str) -> None:
        info = self._stat(file)
        if info is not None and abs(time.time() - info.st_ctime) > _LEFT_OVER:
            self.remove(file)

    def _sweep_entry(self, name: str) -> None:
        lease = self.take(name)
        if lease is None:
            return
        try:
            if self._is_gone(name):  # it may have been renewed a moment ago
                with suppress(FileNotFoundError):
                    self.remove(name)
                self.remove(f"{name}.lock")  # last: from here on, another may lock another
        finally:
            lease.close()

    def _is_gone(self, name: str) -> bool:
        info = self._stat(name)
        return info is None or _is_over(info)

    def _stat(self, file: str) -> os.stat_result | None:
        try:
            return os.stat(self._prefix + file, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None


@contextmanager
def _opened(path: str, *, create: bool = False) -> Generator[_Folder, None, None]:
    """Open the folder for as long as the block.

    Raises:
        FileNotFoundError: There is no such folder, or no such file in it, and none is to be made.
        StoreError: Anything else.
    """
    try:
        if create and not os.path.lexists(path):
            with suppress(FileExistsError):  # another process was quicker
                os.makedirs(path, 0o700)
        if sys.platform == "win32":  # pragma: no cover -- there is no Windows to try it on
            os.stat(path)
            yield _Folder(path, None)
            return
        fd = os.open(path, os.O_RDONLY | _FOLDER)
        try:
            _check(os.fstat(fd), path, stat.S_IFDIR)
            yield _Folder(path, fd)
        finally:
            os.close(fd)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not create:
            raise
        raise StoreError(_why(error, path)) from error


def _why(error: OSError, path: str) -> str:
    where = os.path.join(path, error.filename) if isinstance(error.filename, str) else path
    if where == path and isinstance(error, NotADirectoryError):  # what Linux says of a link, too
        return f"{path} is a symbolic link or a file, and no folder for tokens: {_REMEDY}."
    if error.errno == errno.ELOOP:
        return f"{where} is a symbolic link: remove it, or {_REMEDY}."
    return f"{where} cannot be used as a store for tokens ({error.strerror}): mend that, or {_REMEDY}."


def _check(info: os.stat_result, path: str, kind: int) -> None:
    """Refuse what others may have written, or may read. That it is opened already leaves no time to exchange it."""
    if sys.platform == "win32":  # pragma: no cover -- there is no Windows to try it on
        return
    mode, user = stat.S_IMODE(info.st_mode), os.geteuid()
    if stat.S_IFMT(info.st_mode) != kind:
        raise StoreError(f"{path} is not a regular file: remove it.")
    if info.st_uid != user:
        raise StoreError(
            f"{path} belongs to the user with the id {info.st_uid}, and this process runs as {user}: "
            f"remove it, give it to that user with chown, or {_REMEDY}."
        )
    if mode & 0o077:
        narrow = "700" if kind == stat.S_IFDIR else "600"
        raise StoreError(f"{path} is open to other users (mode {mode:04o}): chmod {narrow} it, or remove it.")
    if kind == stat.S_IFREG and info.st_nlink > 1:
        raise StoreError(f"{path} goes by {info.st_nlink} names (hard links): remove it.")


def _is_over(info: os.stat_result) -> bool:
    """Whether an entry has expired, or was saved in what is the future now, as the clock has been set back since."""
    return not info.st_ctime - _SLACK <= time.time() < info.st_mtime


def _default() -> str:
    """The user's cache folder, by the same rule as platformdirs, which takes longer to import than all of this."""
    if sys.platform == "win32":  # pragma: no cover -- there is no Windows to try it on
        caches = os.environ.get("LOCALAPPDATA", "~\\AppData\\Local")
    elif sys.platform == "darwin":  # pragma: no cover -- there is no macOS to try it on
        caches = "~/Library/Caches"
    else:
        caches = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(caches):  # the XDG Base Directory Specification has it passed over
            caches = "~/.cache"
    return os.path.join(caches, "domo-oauth")
