"""Tokens in Redis or Valkey, for processes on many hosts.

redis-py shows passwords in the locals of its frames, and before version 7 in the repr of a client. So only
`RedisStore._try` sends commands, and it raises nothing.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from attrs import field, frozen

from domo_oauth import timing
from domo_oauth.errors import ConfigurationError

from . import LARGEST_ENTRY, StoreError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from redis import Redis, RedisCluster

__all__ = ["RedisStore"]

_PROBLEMS = {
    "TimeoutError": "did not answer in time: it hangs, is overloaded, or the network in between drops packets",
    "AuthenticationError": "refused the user or password: compare them with the server's",
    "NoPermissionError": "does not permit this user enough: the documentation of RedisStore has the ACL",
    "OutOfMemoryError": "is full: see its maxmemory and maxmemory-policy",
    "ReadOnlyError": "is a replica: use the address of the primary, or wait until the failover is over",
    "BusyLoadingError": "is starting: it still loads its data",
    "ConnectionError": "cannot be reached{reason}: see whether it runs, and whether the address is right",
}
"""What is wrong and what to do, by the name of redis-py's exception or of one of its base classes."""


@frozen
class _Server:
    """A client, and the URL and arguments that it was made from, if any. The repr of each may show a password."""

    client: Any = field(repr=False)
    url: str | None = field(default=None, repr=False)
    redis_args: dict[str, Any] = field(factory=dict[str, Any], repr=False)


class RedisStore:
    """Keeps tokens in Redis 6 or newer, or in Valkey, for all processes on all hosts that use the same server.

    The constructor does no I/O. One store serves any number of threads and providers, and the child after a fork. It
    can be pickled if it was made from a URL; the pickle then holds the password.

    A server that does not answer costs 1 s to connect or 2 s for an answer, and is then passed over for 5 s. The
    server may restart, fail over or lose its data at any time: that costs a request for a token. The lock of a process
    that dies ends after 6 s.

    A user needs no more than this, and `+select` for a database other than 0::

        ACL SETUSER domo on >PASSWORD ~domo-oauth:* resetchannels -@all
            +getrange +set +get +del +evalsha +script|load +scan

    `get` is part of releasing the lock; `scan` is for `clear()`. redis-py also sends `CLIENT SETINFO`, and does without
    it if it is refused. Clusters and Sentinel need what redis-py sends to find the right server.

    Args:
        url: Where the server is: `redis://`, `rediss://` (TLS, the certificate is checked) or `unix://`, with user,
            password and database as redis-py takes them; `valkey://` and `valkeys://` mean the same. Or a client, for
            Sentinel and clusters:
            `RedisStore(Sentinel([("host", 26379)], socket_timeout=1).master_for("main", socket_timeout=2))` or
            `RedisStore(RedisCluster.from_url(...))`. A client has its own time-outs and retries: keep them short.
        prefix: What the names of all keys begin with.
        redis_args: More arguments for `redis.Redis.from_url`, such as `ssl_ca_certs` or `socket_timeout` in seconds.

    Raises:
        ConfigurationError: The extra `redis` is not installed, or redis-py does not take the URL or an argument.
    """

    def __init__(self, url: str | Redis | RedisCluster, /, *, prefix: str = "domo-oauth:", **redis_args: Any) -> None:
        self._prefix, self._where = prefix, "Redis"  # for the repr in a traceback that shows locals
        server = _connect(url, redis_args)
        del url, redis_args  # they may hold a password, and a traceback that shows locals shows this frame
        if isinstance(server, str):
            raise ConfigurationError(server)
        self._server, self._where = server, _where(server.client)
        self._used_at, self._passed_over_until = time.monotonic(), 0.0

    def load(self, name: str) -> bytes | None:
        """See `Store.load`."""
        key, last = self._prefix + name, LARGEST_ENTRY  # GETRANGE, as others may have put something huge there
        # The client may be one that decodes answers for others, and sealed bytes are no text.
        sealed = self._ask(lambda client: client.execute_command("GETRANGE", key, 0, last, NEVER_DECODE=True))
        return sealed if isinstance(sealed, bytes) and 0 < len(sealed) <= LARGEST_ENTRY else None

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        """See `Store.save`."""
        self._ask(lambda client: client.set(self._prefix + name, sealed, px=max(1, int(ttl * 1000))))

    @contextmanager
    def lock(self, name: str) -> Generator[bool]:
        """See `Store.lock`."""
        from redis.exceptions import LockError
        from redis.lock import Lock

        key, lease, wait = f"{self._prefix}{name}:lock", timing.REDIS_LEASE, timing.LOCK_TRY
        poll = timing.REDIS_LOCK_POLL
        lock = self._ask(lambda client: Lock(client, key, lease, poll, blocking_timeout=wait, thread_local=False))
        obtained = self._ask(lambda _: lock.acquire())
        try:
            yield obtained
        finally:
            if obtained:
                self._ask(lambda _: lock.release(), expected=LockError)  # it has ended, and may be another's by now

    def delete(self, name: str) -> None:
        """See `Store.delete`."""
        self._ask(lambda client: client.delete(self._prefix + name))

    def clear(self) -> int:
        """See `Store.clear`. Asks for the names of all keys on the server, a thousand at a time."""
        names = re.sub(r"([*?\[\]\\])", r"\\\1", self._prefix) + "[0-9a-f]" * 32
        removed: int = self._ask(lambda client: sum(map(client.delete, list(client.scan_iter(names, count=1000)))))
        return removed

    def close(self) -> None:
        """Close the connections, unless they belong to a client that you passed. The next call opens another one."""
        if self._server.url is not None:
            self._try(lambda client: client.close())

    def _ask(self, ask: Callable[[Any], Any], expected: type[Exception] | tuple[()] = ()) -> Any:
        """Call a function with the client; None if it raises an error that is expected. Raises a StoreError."""
        left = self._passed_over_until - time.monotonic()
        problem = f"did not answer in time: it is passed over for another {left:.1f} s" if left > 0 else None
        answer = None
        if problem is None:
            answer, problem = self._try(ask, expected)
        if problem is not None:
            raise StoreError(f"Redis ({self._where}) {problem}.")
        return answer

    def _try(self, ask: Callable[[Any], Any], expected: type[Exception] | tuple[()] = ()) -> tuple[Any, str | None]:
        """The answer, and what is wrong if there is none."""
        try:
            if self._server.url is not None and time.monotonic() > self._used_at + timing.REDIS_IDLE:
                self._server.client.connection_pool.disconnect(inuse_connections=False)
            return ask(self._server.client), None
        except expected:
            return None, None
        except Exception as error:  # noqa: BLE001 -- whatever it is, its frames and its text must not leave
            if str(error).startswith("WRONGTYPE"):  # no entry, so the next one replaces it
                return None, None
            kinds = [kind.__name__ for kind in type(error).__mro__]
            if "TimeoutError" in kinds:
                self._passed_over_until = time.monotonic() + timing.REDIS_PASSED_OVER
            problem = next((_PROBLEMS[kind] for kind in kinds if kind in _PROBLEMS), f"failed: {kinds[0]}{{reason}}")
            return None, problem.format(reason=_reason(error))
        finally:
            self._used_at = time.monotonic()

    def __repr__(self) -> str:
        return f"RedisStore({self._where!r}, prefix={self._prefix!r})"

    def __reduce__(self) -> tuple[object, ...]:
        if self._server.url is None:
            raise ConfigurationError("A RedisStore made from a client cannot be pickled: make it from a URL.")
        return partial(RedisStore, prefix=self._prefix, **self._server.redis_args), (self._server.url,)


def _connect(url: object, redis_args: dict[str, Any]) -> _Server | str:
    """The client that was passed, or one that has not connected yet; or what is wrong with the arguments."""
    if missing := missing_extra("redis", "cryptography", "redis"):
        return missing
    from redis import Redis, RedisCluster

    if isinstance(url, Redis | RedisCluster):
        return "Pass arguments for redis-py to the client: they have no effect here." if redis_args else _Server(url)
    if not isinstance(url, str):
        return f"A RedisStore is made from a URL, a redis.Redis or a redis.RedisCluster, not {type(url).__name__}."
    scheme, separator, rest = url.partition("://")
    url = f"{scheme.lower().replace('valkey', 'redis')}{separator}{rest}"  # redis-py does not know valkey://
    # RESP 2 does all that is needed, on every server. There are no retries unless asked for: they multiply time-outs.
    times = {"socket_connect_timeout": timing.REDIS_CONNECT_TIMEOUT, "socket_timeout": timing.REDIS_TIMEOUT}
    args: dict[str, Any] = {**times, "protocol": 2, **redis_args}
    try:
        client: Any = cast("Any", Redis).from_url(url, **args)
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)  # checks the arguments
    except Exception:  # noqa: BLE001 -- what redis-py says may show a password
        hint = f" It may also be one of these: {', '.join(redis_args)}." if redis_args else ""
        return (
            "Invalid URL of a Redis server: it must look like redis://host:6379/0, rediss://user:password@host or "
            f"unix:///path, with special characters percent-encoded.{hint}"
        )
    return _Server(client, url, redis_args)


def _where(client: Any) -> str:
    """Where the server is, without user and password."""
    if hasattr(client, "get_default_node"):
        return f"the cluster of {client.get_default_node().name}"
    at, service = client.connection_pool.connection_kwargs, getattr(client.connection_pool, "service_name", None)
    if service is not None:
        return f"Sentinel's {service}"
    where = at["path"] if "path" in at else f"{at.get('host', 'localhost')}:{at.get('port', 6379)}"
    return f"{where}/{at.get('db') or 0}"


def _reason(error: BaseException) -> str:
    """What the system says, or the server's first word. Never more, as it may quote a command with a password."""
    code, cause = re.match(r"[A-Z]{3,}\b", str(error)), error.__context__  # an OSError, if there is one
    reason = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None) or (code and code[0])
    return f" ({reason})" if reason else ""
