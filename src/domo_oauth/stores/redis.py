"""Tokens in Redis or Valkey, for processes on many hosts."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from domo_oauth import timing
from domo_oauth.errors import ConfigurationError

from . import LARGEST_ENTRY, StoreError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from redis import Redis, RedisCluster

__all__ = ["RedisStore"]

T = TypeVar("T")

_PROBLEMS = {
    "TimeoutError": "did not respond in time: it hangs, is overloaded, does not speak TLS (with rediss://), or the "
    "network drops packets",
    "AuthenticationError": "refused the user or password, or wants one: compare the URL with the server's settings",
    "NoPermissionError": "does not give this user enough rights: the documentation of RedisStore has the ACL",
    "OutOfMemoryError": "is full: see its maxmemory and maxmemory-policy",
    "ReadOnlyError": "is a replica: use the address of the primary, or wait until the failover is over",
    "BusyLoadingError": "is starting: it is still loading its data",
    "ConnectionError": "cannot be reached{reason}: check that it is running and that the address is right",
}
"""What is wrong and what to do, by the name of redis-py's exception or of one of its base classes."""


class RedisStore:
    """Keeps tokens in Redis 6 or newer, or in Valkey, for all processes on all hosts that use the same server.

    The constructor does no I/O. Threads, providers and the child after a fork can share a store. A store made from a
    URL can be pickled; the pickle holds the password. With a client that you pass, do not fork while another thread
    uses it: the child may wait forever for a lock of redis-py.

    A server that hangs costs at most 1 s to connect and 2 s for a reply. If it restarts, fails over or loses its data,
    that costs a token request. The lock of a process that dies ends after 6 s.

    A user needs these rights, and `+select` for a database other than 0::

        ACL SETUSER domo on >PASSWORD ~domo-oauth:* resetchannels -@all
            +getrange +set +get +del +evalsha +script|load +scan

    Releasing the lock takes `get`; `clear()` takes `scan`. redis-py also sends `CLIENT SETINFO`, and ignores a refusal.
    Clusters and Sentinel need what redis-py sends to find the right server.

    Args:
        url: `redis://`, `rediss://` (TLS, the certificate is checked) or `unix://`, with user, password, database and
            options as in redis-py, such as `?ssl_ca_certs=/path/ca.pem` or `?socket_timeout=5` (seconds), or
            `valkey://` and `valkeys://`. For Sentinel and clusters, a client:
            `RedisStore(Sentinel([("host", 26379)], socket_timeout=1).master_for("main", socket_timeout=2))` or
            `RedisStore(RedisCluster.from_url(...))`. A client has its own timeouts and retries: keep them short.
        prefix: What the names of all keys begin with.

    Raises:
        ConfigurationError: The extra `redis` is not installed, or redis-py does not take the URL.
    """

    def __init__(self, url: str | Redis | RedisCluster, /, *, prefix: str = "domo-oauth:") -> None:
        self._prefix, self._where = prefix, "Redis"  # for the repr, if this fails
        client, self._from_url = _connect(url), isinstance(url, str)
        self._clients, self._url = {self._owner(): _hide(client)}, _hide(url)
        del url  # tracebacks can show locals
        if isinstance(client, str):
            raise ConfigurationError(client)
        self._where = _where(client) if self._from_url else type(client).__name__
        self._used_at = time.monotonic()

    def load(self, name: str) -> bytes | None:
        """See `Store.load`."""
        key, last = self._prefix + name, LARGEST_ENTRY  # GETRANGE: somebody may have put something huge there
        # The caller's own client may decode replies, and sealed bytes are not text.
        sealed = self._ask(lambda client: client.execute_command("GETRANGE", key, 0, last, NEVER_DECODE=True))
        return sealed if sealed and len(sealed) <= LARGEST_ENTRY else None

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        """See `Store.save`."""
        self._ask(lambda client: client.set(self._prefix + name, sealed, px=int(ttl * 1000)))

    @contextmanager
    def lock(self, name: str) -> Generator[bool]:
        """See `Store.lock`."""
        from redis.exceptions import LockError

        times = {"timeout": timing.REDIS_LEASE, "sleep": timing.REDIS_LOCK_POLL, "blocking_timeout": timing.LOCK_TRY}
        lock = self._client().lock(f"{self._prefix}{name}:lock", thread_local=False, **times)
        obtained = self._ask(lambda _: lock.acquire())
        try:
            yield bool(obtained)
        finally:
            if obtained:
                self._ask(lambda _: lock.release(), LockError)  # it has ended; another process may hold it now

    def delete(self, name: str) -> None:
        """See `Store.delete`."""
        self._ask(lambda client: client.delete(self._prefix + name))

    def clear(self) -> int:
        """See `Store.clear`. Reads the names of all keys on the server, a thousand at a time."""
        names = re.sub(r"([*?\[\]\\])", r"\\\1", self._prefix) + "[0-9a-f]" * 32
        return self._ask(lambda client: sum(map(client.delete, list(client.scan_iter(names, count=1000))))) or 0

    def close(self) -> None:
        """Close the connections, unless they belong to a client that you passed. The next call opens another one."""
        if self._from_url:
            self._client().close()

    def _client(self) -> Any:
        """The client of this process. That of the parent is kept, but not used.

        A thread of the parent may have held the lock of its pool during the fork. Then its methods and its finalizer
        would wait forever.
        """
        owner = self._owner()
        own = self._clients.get(owner) or self._clients.setdefault(owner, _hide(_connect(self._url())))
        return own()

    def _owner(self) -> int:
        """The process that uses a client; any process uses one that was passed."""
        return os.getpid() if self._from_url else 0

    def _ask(self, ask: Callable[[Any], T], *expected: type[Exception]) -> T | None:
        """Call a function with the client. Returns None if it raises an expected error; raises a StoreError for others.

        The frames of redis-py's errors show passwords, so the StoreError is raised outside of their `except` clause.
        """
        try:
            if self._from_url and time.monotonic() > self._used_at + timing.REDIS_IDLE:
                self._client().connection_pool.disconnect(inuse_connections=False)
            return ask(self._client())
        except expected:
            return None
        except Exception as error:  # noqa: BLE001 -- redis-py, and whatever it calls
            kinds = [kind.__name__ for kind in type(error).__mro__]
            problem = next((_PROBLEMS[kind] for kind in kinds if kind in _PROBLEMS), f"failed: {kinds[0]}{{reason}}")
            message = f"Redis ({self._where}) {problem.format(reason=_reason(error))}."
        finally:
            self._used_at = time.monotonic()
        raise StoreError(message)

    def __repr__(self) -> str:
        return f"RedisStore({self._where!r}, prefix={self._prefix!r})"

    def __reduce__(self) -> tuple[object, ...]:
        if not self._from_url:
            raise ConfigurationError("A RedisStore made from a client cannot be pickled: make it from a URL.")
        return partial(RedisStore, prefix=self._prefix), (self._url(),)


def _hide(value: T) -> Callable[[], T]:
    """Keep a value out of `vars()` and frames: a URL shows a password, and so does a client before redis-py 7."""
    return lambda: value


def _connect(url: Any) -> Any:
    """Return the client that was passed or a new one, not connected; a `str` says what is wrong."""
    if missing := missing_extra("redis", "cryptography", "redis"):
        return missing
    from redis import Redis, RedisCluster

    if isinstance(url, Redis | RedisCluster):
        return url
    times = {"socket_connect_timeout": timing.REDIS_CONNECT_TIMEOUT, "socket_timeout": timing.REDIS_TIMEOUT}
    try:
        scheme, _, rest = url.partition("://")
        scheme = scheme.lower().replace("valkey", "redis")  # redis-py does not know valkey://
        # Every server speaks RESP 2, and redis-py makes no retries then, which would multiply the timeouts.
        client: Any = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] -- redis-py types it in part
            f"{scheme}://{rest}", protocol=2, **times
        )
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)  # checks the options
    except Exception:  # noqa: BLE001 -- what redis-py says may show a password
        return (
            "Invalid URL of a Redis server: it must look like redis://host:6379/0, rediss://user:password@host or "
            "unix:///path, with special characters percent-encoded and only options that redis-py knows."
        )
    return client


def _where(client: Any) -> str:
    """Where the server is, without user and password."""
    at = {"host": "localhost", "port": 6379} | client.connection_pool.connection_kwargs
    where = at["path"] if "path" in at else f"{at['host']}:{at['port']}"
    return f"{where}/{at.get('db') or 0}"


def _reason(error: BaseException) -> str:
    """The system's error, or the first word of the server's: more of it may quote a command with a password."""
    code, cause = re.match(r"[A-Z]{3,}\b", str(error)), error.__context__  # an OSError, if there is one
    reason = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None) or (code and code[0])
    return f" ({reason})" if reason else ""
