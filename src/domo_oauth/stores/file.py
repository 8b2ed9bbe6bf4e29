"""Tokens in files, for all processes of one user on one machine."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from domo_oauth import timing
from domo_oauth.errors import ConfigurationError
from domo_oauth.redact import one_line
from domo_oauth.state import fork_lock

from . import LARGEST_ENTRY, StoreError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["FileStore"]

_OURS = re.compile(r"[0-9a-f]{32}(\.[0-9a-f]{16}\.tmp)?")
"""An entry, or the temporary file that becomes one. All other files in the folder are left alone."""


class FileStore:
    """Keeps tokens in a folder, for all processes of this user on this machine.

    The first `save` makes the folder, with mode 0700; its files have mode 0600. A folder that other users can read or
    write, that belongs to another user, or that is a link is refused and left as it is. Parent folders are trusted.

    The operating system frees the lock of a process that ends, however it ends. The empty lock files stay: if one is
    removed while a process waits for it, two processes can hold the lock. Over NFS the locks are as good as the
    server's. Windows has no modes and owners to check; it is untested.

    Args:
        path: The folder; `~` is your home folder. By default `domo-oauth` in your cache folder: `$XDG_CACHE_HOME` or
            `~/.cache`, on macOS `~/Library/Caches`, on Windows in `%LOCALAPPDATA%`.

    Raises:
        ConfigurationError: The extra `file` is not installed, or the home folder is unknown.
    """

    path: Path
    """The folder, absolute."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        if missing := missing_extra("file", "cryptography", "filelock", "platformdirs"):
            raise ConfigurationError(missing)
        try:
            self.path = Path(default_folder() if path is None else path).expanduser().absolute()
        except RuntimeError:
            message = "Your home folder is unknown. Set HOME, or name a folder, FileStore(path)."
            raise ConfigurationError(message) from None

    def load(self, name: str) -> bytes | None:
        """See `Store.load`."""
        with self._folder():
            entry = self.path / name
            if entry.stat().st_mtime > time.time():
                with entry.open("rb") as file:
                    sealed = file.read(LARGEST_ENTRY + 1)
                return sealed if len(sealed) <= LARGEST_ENTRY else None
        return None

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        """See `Store.save`. Also removes entries that expired more than a minute ago."""
        with self._folder(make=True):
            # No fsync: a power failure costs a token request.
            temporary = self.path / f"{name}.{os.urandom(8).hex()}.tmp"
            try:
                temporary.touch(0o600)
                temporary.write_bytes(sealed)
                expires_at = time.time() + ttl  # kept as the mtime, as this store cannot read sealed entries
                os.utime(temporary, (expires_at, expires_at))
                temporary.replace(self.path / name)
            finally:
                temporary.unlink(missing_ok=True)
            for file in self._files():
                with suppress(OSError):  # another process was faster
                    if file.stat().st_mtime + timing.LEFT_OVER < time.time():
                        file.unlink()

    @contextmanager
    def lock(self, name: str) -> Generator[bool]:
        """See `Store.lock`."""
        with fork_lock:
            from filelock import FileLock, Timeout

        lock = FileLock(self.path / f"{name}.lock", mode=0o600, thread_local=False)
        with self._folder(make=True), suppress(Timeout):
            lock.acquire(timeout=timing.LOCK_TRY, poll_interval=timing.FILE_LOCK_POLL)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def delete(self, name: str) -> None:
        """See `Store.delete`."""
        with self._folder():
            (self.path / name).unlink()

    def clear(self) -> int:
        """See `Store.clear`."""
        removed = 0
        with self._folder():
            for file in self._files():
                file.unlink(missing_ok=True)
                removed += not file.suffix
        return removed

    def _files(self) -> Iterator[Path]:
        return (file for file in self.path.iterdir() if _OURS.fullmatch(file.name))

    @contextmanager
    def _folder(self, *, make: bool = False) -> Generator[None]:
        """Check the folder, and turn system errors within the block into a StoreError that says what to do.

        If the folder need not be made, a missing folder or file ends the block quietly.
        """
        where = self.path
        try:
            for each in (*reversed(self.path.parents), self.path) if make else ():
                if not each.exists():
                    each.mkdir(0o700, exist_ok=True)  # mkdir(parents=True) would give parents the mode of the umask
            problem = _problem(self.path)
            if problem is None:
                yield
                return
        except OSError as error:
            if not make and isinstance(error, FileNotFoundError):
                return
            where, problem = error.filename or self.path, f"cannot be used for tokens ({error.strerror}): fix that"
        raise StoreError(f"{one_line(str(where))} {problem}, or name another folder, FileStore(path).")

    def __repr__(self) -> str:
        return f"FileStore({str(self.path)!r})"


def _problem(folder: Path) -> str | None:
    """Why other users can change or read the folder, and what to do; None if they cannot."""
    try:
        info = folder.lstat()
    except FileNotFoundError:
        return None
    mode = stat.S_IMODE(info.st_mode)
    if not stat.S_ISDIR(info.st_mode):
        return f"is a {'symbolic link' if stat.S_ISLNK(info.st_mode) else 'file'}: remove it"
    if sys.platform != "win32" and info.st_uid != os.geteuid():
        return f"belongs to user {info.st_uid}, and this process runs as user {os.geteuid()}: use chown"
    if sys.platform != "win32" and mode & 0o077:
        return f"is open to other users (mode {mode:04o}): use chmod 700"
    return None


def default_folder() -> str:
    """The folder of a store without a path. The fixture ``domo_sandbox`` replaces this function."""
    from platformdirs import user_cache_dir

    return user_cache_dir("domo-oauth", appauthor=False)
