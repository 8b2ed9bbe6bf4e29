"""Tokens in Redis or Valkey, for a fleet of processes on many hosts.

What belongs together is changed by a script, which the server runs as a whole, and all times are the server's. Whoever
waits blocks in ``XREAD`` on a stream that the holder of the lease writes to when he gives it back. The numbers of
leases grow, and are the ids of that stream, too: what came between a look and the wait is seen all the same.

No exception leaves with the frames of redis-py on its traceback: their locals hold the password.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from domo_oauth.errors import ConfigurationError
from domo_oauth.interrupts import is_interrupt
from domo_oauth.values import Value

from .protocol import LEASE_SECONDS, StoreError

try:
    from redis import Redis, RedisCluster
    from redis import exceptions as redis_errors
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ModuleNotFoundError as error:
    raise ConfigurationError(
        "A RedisStore needs redis, which is not installed here: pip install 'domo-oauth[redis]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RedisStore"]

# Seconds.
_CONNECT_TIMEOUT, _ANSWER_TIMEOUT = 1.0, 2.0
_LONGEST_BLOCK = 1.0
"""A waiter asks again after so long, as a server that hangs must be told from one that has nothing to say."""
_SLOW, _PASSED_OVER = 0.5, 5.0
"""A failure that took so long is not waited for again, by any thread, for a while. Others cost nothing."""
_IDLE = 30.0
"""Connections that were idle for longer may be dead without a sign: firewalls drop them, and a token lasts an hour."""
_FENCE_SECONDS = 86400.0
"""Longer than any token lives, so that none is saved by a lease that nobody remembers."""

_USES = "+eval +get +set +del +time +pttl +pexpire +pexpireat +xadd +xread"

# The keys of each script.
_KEYS = ("token", "lease", "fence", "released")

_LOAD = "return {redis.call('GET', KEYS[1]), redis.call('TIME')}"

# ARGV: the sealed token, when it expires (ms), the number of the lease or nothing.
_SAVE = """
if ARGV[3] == '' then
  if redis.call('GET', KEYS[2]) then return 0 end
else
  local last = redis.call('GET', KEYS[3])
  if last and last ~= ARGV[3] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return 1
"""

# ARGV: how long the lease and its number last (ms). The number is the time in microseconds, so that it grows even where
# the last one was lost: after FLUSHALL, or with a replica that had not heard of it when it took over.
_LEASE = """
local now = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[3]) or 0)
local number = string.format('%.0f', math.max(now[1] * 1000000 + now[2], last + 1))
if not redis.call('SET', KEYS[2], number, 'NX', 'PX', ARGV[1]) then return false end
redis.call('SET', KEYS[3], number, 'PX', ARGV[2])
return number
"""

# ARGV: the number of the lease, how long those who wait may take to hear of it (ms).
_RELEASE = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2], KEYS[4])
redis.call('XADD', KEYS[4], ARGV[1] .. '-1', 'number', ARGV[1])
redis.call('PEXPIRE', KEYS[4], ARGV[2])
return 1
"""

_LOOK = "return {redis.call('GET', KEYS[2]), redis.call('PTTL', KEYS[2])}"


class RedisStore:
    """Keeps tokens in Redis 6 or newer, or in Valkey, for all processes on all hosts that use the same server.

    The constructor does no I/O. One store serves any number of threads, event loops and providers, and the child after
    a fork. It can be pickled if it was made from a URL: the pickle holds what the URL holds, so its password too.

    A server that does not answer costs 1 s to connect or 2 s for an answer, and is passed over for 5 s then. It may
    restart, fail over or lose all that it keeps at any time: that costs a request for a token, as does one that is full
    or takes no writes. A name server that does not answer costs what the system's resolver takes.

    A user of its own needs no more than::

        ACL SETUSER domo on >PASSWORD ~domo-oauth:* resetchannels -@all
            +eval +get +set +del +time +pttl +pexpire +pexpireat +xadd +xread

    Args:
        url: Where the server is: ``redis://``, ``rediss://`` (TLS, the certificate is checked) or ``unix://``, with
            user, password and database as redis-py takes them. Or a client, for Sentinel and clusters:
            ``RedisStore(Sentinel([("host", 26379)], socket_timeout=1).master_for("main", socket_timeout=2))`` or
            ``RedisStore(RedisCluster.from_url(...))``; its time-outs and retries are its own, and want to be short.
        prefix: What the names of all keys begin with.
        redis_args: More for ``redis.Redis.from_url``, such as ``ssl_ca_certs`` or ``socket_timeout`` in seconds.

    Raises:
        ConfigurationError: The URL, the client or an argument is not one that redis-py takes, or redis-py is missing.
    """

    def __init__(self, url: str | Redis | RedisCluster, /, *, prefix: str = "domo-oauth:", **redis_args: Any) -> None:
        self._made_from: _MadeFrom | None = None
        self._prefix, self._where = prefix, "Redis"  # for a repr in a traceback with locals
        try:
            if isinstance(url, str):
                self._made_from = _MadeFrom(url, redis_args)
            self._client = _client(url, redis_args)
        finally:
            del url, redis_args  # a password may be in them, and a traceback with locals shows this frame
        self._where = _where(self._client)
        self._block = _longest_block(self._client)
        self._monotonic = time.monotonic
        self._used_at = self._monotonic()
        self._passed_over: tuple[float, str] | None = None

    def load(self, name: str) -> tuple[bytes | None, float]:
        """See :meth:`Store.load`."""
        sealed, (seconds, microseconds) = self._run(_LOAD, name)
        return sealed, int(seconds) + int(microseconds) / 1e6

    def save(self, name: str, sealed: bytes, expires_at: float, lease: object | None) -> None:
        """See :meth:`Store.save`."""
        self._run(_SAVE, name, sealed, _milliseconds(expires_at), "" if lease is None else cast("bytes", lease))

    def delete(self, name: str) -> None:
        """See :meth:`Store.delete`."""
        self._ask(lambda: self._client.delete(self._keys(name)[0]))

    def lease(self, name: str) -> object | None:
        """See :meth:`Store.lease`."""
        return cast(
            "bytes | None", self._run(_LEASE, name, _milliseconds(LEASE_SECONDS), _milliseconds(_FENCE_SECONDS))
        )

    def release(self, name: str, lease: object) -> None:
        """See :meth:`Store.release`."""
        self._run(_RELEASE, name, cast("bytes", lease), _milliseconds(LEASE_SECONDS))

    def wait(self, name: str, seconds: float) -> None:
        """See :meth:`Store.wait`."""
        number, left = self._run(_LOOK, name)
        if number is None:
            return
        # One more: the server still has the lease in the millisecond in which it expires. 0 would mean for ever.
        block = max(1, min(left + 1, _milliseconds(min(seconds, self._block))))
        released = {self._keys(name)[-1]: number + b"-0"}
        self._ask(lambda: self._client.xread(cast("Any", released), count=1, block=block), block / 1000)

    def close(self) -> None:
        """Close the connections, unless they belong to a client that was given. The next call opens another."""
        if self._made_from is not None:
            self._client.close()

    def __del__(self) -> None:
        with suppress(Exception):  # it may have been half made
            self.close()

    def __repr__(self) -> str:
        return f"RedisStore({self._where!r}, prefix={self._prefix!r})"

    def __reduce__(self) -> tuple[object, ...]:
        if self._made_from is None:
            raise ConfigurationError(
                "A RedisStore that was made from a client cannot be pickled, as the client cannot: make it from a URL, "
                "or make another in the other process."
            )
        return _unpickled, (self._made_from.url, self._made_from.redis_args, self._prefix)

    def _keys(self, name: str) -> list[str]:
        # A cluster keeps keys in one place that have the same text in braces.
        return [f"{self._prefix}{{{name}}}:{key}" for key in _KEYS]

    def _run(self, script: str, name: str, *args: bytes | float | str) -> Any:
        """Run a script. It goes along each time: it is short, seldom used, and no restart can make it unknown."""
        command = ("EVAL", script, len(_KEYS), *self._keys(name), *args)
        # The client may be one that decodes answers for others; sealed bytes are no text.
        return self._ask(lambda: cast("Any", self._client).execute_command(*command, NEVER_DECODE=True))

    def _ask(self, ask: Callable[[], Any], patience: float = 0.0) -> Any:
        """Ask the server, which may take so many seconds longer than usual."""
        began = self._monotonic()
        if self._passed_over is not None and began < self._passed_over[0]:
            until, told = self._passed_over
            raise StoreError(f"{told} It is passed over for {until - began:.1f} s yet.")
        if self._made_from is not None and began > self._used_at + _IDLE:
            cast("Redis", self._client).connection_pool.disconnect(inuse_connections=False)
        try:
            return ask()
        except Exception as error:  # whatever it is, its frames must not leave
            if is_interrupt(error):
                raise
            told = _told(error, self._where)
        finally:
            self._used_at = self._monotonic()
        if self._used_at > began + patience + _SLOW:
            self._passed_over = (self._used_at + _PASSED_OVER, told)
        raise StoreError(told)


class _MadeFrom(Value):
    """What a pickle carries. It may hold a password."""

    __slots__ = ("redis_args", "url")
    _hidden = ("redis_args", "url")

    url: str
    redis_args: dict[str, Any]

    def __init__(self, url: str, redis_args: dict[str, Any]) -> None:
        self._set(redis_args, url)


def _unpickled(url: str, redis_args: dict[str, Any], prefix: str) -> RedisStore:
    try:
        return RedisStore(url, prefix=prefix, **redis_args)
    finally:
        del url, redis_args  # see RedisStore.__init__


def _client(url: object, redis_args: dict[str, Any]) -> Redis | RedisCluster:
    """The client that was given, or one that has not connected yet."""
    client, fault = url, ""
    if isinstance(url, str):
        client = _from_url(url, redis_args)
        fault = (
            "This is no URL of a Redis server: it must look like redis://host:6379/0, rediss://user:password@host or "
            "unix:///path, with special characters percent-encoded"
        )
        fault += f"; or redis-py does not take one of: {', '.join(redis_args)}." if redis_args else "."
    elif not isinstance(url, Redis | RedisCluster):
        fault = (
            f"A RedisStore is made from a URL, a redis.Redis or a redis.RedisCluster, not from {type(url).__name__}."
        )
        client = None
    elif redis_args:
        fault = "Arguments for redis-py make no sense beside a client: give them to the client."
        client = None
    del url, redis_args  # see RedisStore.__init__
    if client is None:
        raise ConfigurationError(fault)
    return cast("Redis | RedisCluster", client)


def _from_url(url: str, redis_args: dict[str, Any]) -> Redis | None:
    """A client; None if redis-py does not take the URL or the arguments, as what it says may show a password."""
    # No retries, which would multiply the time-outs. RESP 2 does all that is needed, on every server.
    defaults: dict[str, Any] = {"socket_connect_timeout": _CONNECT_TIMEOUT, "socket_timeout": _ANSWER_TIMEOUT}
    defaults |= {"retry": Retry(NoBackoff(), 0), "protocol": 2}
    try:
        client: Redis = cast("Any", Redis).from_url(url, **(defaults | redis_args))
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)  # takes the arguments?
    except Exception:  # noqa: BLE001 -- whatever it is
        return None
    return client


def _where(client: Any) -> str:
    """Where the server is, without user and password."""
    if isinstance(client, RedisCluster):
        return f"the cluster of {cast('Any', client).get_default_node().name}"
    at, service = client.connection_pool.connection_kwargs, getattr(client.connection_pool, "service_name", None)
    if service is not None:
        return f"Sentinel's {service}"
    where = at["path"] if "path" in at else f"{at.get('host', 'localhost')}:{at.get('port', 6379)}"
    return f"{where}/{at.get('db') or 0}"


def _longest_block(client: Any) -> float:
    """How long a waiter may block, in seconds: well within the client's own time-out."""
    in_cluster = isinstance(client, RedisCluster)
    at = cast("Any", client).get_connection_kwargs() if in_cluster else client.connection_pool.connection_kwargs
    return min(_LONGEST_BLOCK, float(at.get("socket_timeout") or _ANSWER_TIMEOUT) / 2)


def _told(error: Exception, where: str) -> str:
    """What is wrong, and what to do. Never the server's own words: they may quote a command, and so a password."""
    if str(error).startswith("UNBLOCKED"):  # what those get who wait when the server is made a replica
        error = redis_errors.ReadOnlyError()
    for kinds, text in _TEXTS:
        if isinstance(error, kinds):
            return text.format(where=where, reason=_reason(error))
    return f"Redis ({where}): {type(error).__name__}."


_TEXTS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (
        redis_errors.TimeoutError,
        "Redis ({where}) did not answer in time: it hangs, is overloaded, or the network in between drops packets.",
    ),
    (
        (redis_errors.AuthenticationError, redis_errors.AuthenticationWrongNumberOfArgsError),
        "Redis ({where}) refused user or password: compare those of the store with the server's.",
    ),
    (
        (redis_errors.NoPermissionError, redis_errors.AuthorizationError),
        f"Redis ({{where}}) lets this user do too little: it needs {_USES} on the keys of the store.",
    ),
    (redis_errors.OutOfMemoryError, "Redis ({where}) is full: see its maxmemory and maxmemory-policy."),
    (
        redis_errors.ReadOnlyError,
        "Redis ({where}) takes no writes: it is a replica, and a failover is under way or the URL is wrong.",
    ),
    (redis_errors.BusyLoadingError, "Redis ({where}) is starting: it still loads its data."),
    (
        redis_errors.ConnectionError,
        "Redis ({where}) cannot be reached{reason}: see whether it runs, and whether the address is right.",
    ),
    (redis_errors.ResponseError, "Redis ({where}) answered with an error{reason}."),
)


def _reason(error: BaseException) -> str:
    """What the system, or the first word of the server, has to say."""
    if isinstance(error, redis_errors.ResponseError):
        code = re.match(r"[A-Z]{3,}\b", str(error))
        return f" ({code[0]})" if code else ""
    cause = error.__context__  # an OSError, if there is one
    reason = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
    return f" ({reason})" if reason else ""


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
