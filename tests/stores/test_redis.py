"""RedisStore: what any store must do, and what is its own. Tests with `fake` also run without a Redis server."""

from __future__ import annotations

import os
import pickle
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import pairwise
from typing import Any

import pytest
import redis
import redis.asyncio
import trustme
from redis.cluster import RedisCluster
from redis.sentinel import Sentinel

from domo_oauth import timing
from domo_oauth.errors import ConfigurationError
from domo_oauth.stores import StoreError
from domo_oauth.stores.redis import RedisStore
from domo_oauth.stores.testing import StoreTests
from tests.fakes import until
from tests.stores.processes import in_child
from tests.stores.redis_server import PASSWORD, SERVERS, RedisServer, needs_redis

NAME = "0123456789abcdef" * 2
KEY, LOCK = f"domo-oauth:{NAME}", f"domo-oauth:{NAME}:lock"
HOUR = 3600.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[RedisCluster]:
    options, slots = ("--cluster-enabled", "yes", "--cluster-port", "OTHER_PORT"), (0, 5461, 10923, 16384)
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp("cluster") for _ in slots[1:]]
        nodes = [stack.enter_context(RedisServer(folder, options)) for folder in folders]
        for node, (first, after) in zip(nodes, pairwise(slots), strict=True):
            node.run("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            node.run("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].port + 10_000)
        for node in nodes:
            until(lambda node=node: "cluster_state:ok" in str(node.run("CLUSTER", "INFO")))
            until(lambda node=node: "cluster_known_nodes:3" in str(node.run("CLUSTER", "INFO")))
        yield stack.enter_context(closing(RedisCluster.from_url(nodes[0].url, socket_timeout=20)))


@pytest.fixture
def replica(own_server, tmp_path) -> Iterator[RedisServer]:
    options = ("--replicaof", "127.0.0.1", str(own_server.port), "--replica-announce-ip", "127.0.0.1")
    own_server.run("CONFIG", "SET", "repl-diskless-sync-delay", 0)
    with RedisServer(tmp_path, options) as server:
        until(lambda: b"connected" in server.run("ROLE"))
        yield server


@pytest.fixture
def sentinel(own_server, replica, tmp_path) -> Iterator[Sentinel]:
    """It watches over a server and its replica."""
    conf, port = tmp_path / "sentinel.conf", replica.port + 10_000
    conf.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor main 127.0.0.1 {own_server.port} 1\n"
        f"sentinel auth-pass main {PASSWORD}\nsentinel down-after-milliseconds main 500\n"
        "sentinel failover-timeout main 2000\n"
    )
    null = subprocess.DEVNULL
    process = subprocess.Popen([SERVERS[0], str(conf), "--sentinel"], stdout=null, stderr=null)
    try:
        made = Sentinel([("127.0.0.1", port)], socket_timeout=20)
        until(lambda: found(made.discover_slaves))
        yield made
        for client in made.sentinels:
            client.close()
    finally:
        process.kill()
        process.wait()


def found(discover: Callable[[str], Any]) -> Any:
    """What Sentinel finds, or nothing while it starts or fails over."""
    try:
        return discover("main")
    except redis.RedisError:
        return ()


class TestRedisStore(StoreTests):
    processes = False  # below

    @pytest.fixture(params=["url", "client", pytest.param("cluster", marks=[pytest.mark.slow, needs_redis])])
    def store(self, request) -> Iterator[RedisStore]:
        if request.param == "client":  # others use it, too, and it decodes what it reads for them
            with request.getfixturevalue("server").client(decode_responses=True, socket_timeout=20) as client:
                yield RedisStore(client)
        else:
            url = request.param == "url"
            yield RedisStore(request.getfixturevalue("server").url if url else request.getfixturevalue("cluster"))


@pytest.mark.slow
def test_processes_share_entries_and_locks(server):
    StoreTests().test_processes_share_entries_and_locks(RedisStore(server.url))


@pytest.mark.slow
def test_a_store_follows_sentinel_to_the_next_primary(sentinel, own_server, replica):
    with closing(sentinel.master_for("main", password=PASSWORD, socket_timeout=20)) as client:
        store = RedisStore(client)
        round_trip(store)
        own_server.stop()
        with pytest.raises(StoreError, match=r"^Redis \(Redis\) cannot be reached"):
            store.load(NAME)
        until(lambda: replica.run("ROLE")[0] == b"master")
        until(lambda: replica.port in found(sentinel.discover_master))
        round_trip(store)


@pytest.mark.slow
def test_each_node_of_a_cluster_keeps_entries(cluster):
    store, names = RedisStore(cluster), [f"{number:032x}" for number in range(32)]
    store.clear()
    for name in names:
        with store.lock(name) as obtained:
            assert obtained
            store.save(name, name.encode(), HOUR)
    assert len({cluster.get_node_from_key(f"domo-oauth:{name}").name for name in names}) == 3
    assert [store.load(name) for name in names] == [name.encode() for name in names]
    assert store.clear() == len(names)


def lock(store: RedisStore) -> bool:
    with store.lock(NAME) as obtained:
        return obtained


def round_trip(store: RedisStore) -> None:
    with store.lock(NAME) as obtained:
        assert obtained
        store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"
    store.delete(NAME)
    assert store.load(NAME) is None


@pytest.fixture
def store(server) -> RedisStore:
    return RedisStore(server.url)


# Keys.


def test_everything_that_is_kept_expires(server, store):
    with store.lock(NAME):
        store.save(NAME, b"sealed", 50.0)
        assert {key.decode() for key in server.run("KEYS", "*")} == {KEY, LOCK}
        assert 49_000 < server.run("PTTL", KEY) <= 50_000
        assert 0 < server.run("PTTL", LOCK) <= timing.REDIS_LEASE * 1000
    assert server.run("KEYS", "*") == [KEY.encode()]


def test_a_lock_that_ended_is_not_taken_from_the_next_holder(server, store, impatient):
    server.run("SET", LOCK, "a dead process", "PX", 100)
    with store.lock(NAME) as obtained:
        assert obtained
        server.run("SET", LOCK, "the next", "PX", 5000)
    assert server.run("GET", LOCK) == b"the next"
    assert not lock(store)


def test_clear_removes_the_entries_with_this_prefix(server):
    prefix = "odd[*]?\\:"
    ours, theirs = RedisStore(server.url, prefix=prefix), RedisStore(server.url, prefix="oddx?:")
    for number in range(3):
        ours.save(f"{number:032x}", b"ours", HOUR)
    theirs.save(NAME, b"theirs", HOUR)
    server.run("SET", f"{prefix}notes", "kept")
    assert (ours.clear(), ours.clear()) == (3, 0)
    assert server.run("DBSIZE") == 2
    assert theirs.load(NAME) == b"theirs"


def test_a_huge_value_is_replaced_without_being_read(server, store):
    server.run("SETRANGE", KEY, 100 * 2**20, "x")
    received = int(server.run("INFO", "stats")["total_net_output_bytes"])
    assert store.load(NAME) is None
    assert int(server.run("INFO", "stats")["total_net_output_bytes"]) - received < 100_000
    for size in (65536, 65537):
        store.save(NAME, b"x" * size, HOUR)
        assert store.load(NAME) == (b"x" * size if size == 65536 else None)


# Construction.


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:canary@redis.example:6380/3", "redis.example:6380/3"),
        ("unix://user:canary@/run/redis.sock?db=1", "/run/redis.sock/1"),
        (Sentinel([("sentinel.example", 1)]).master_for("main", password="canary"), "Redis"),
    ],
)
def test_the_repr_shows_where_and_nothing_else(url, shown):
    store = RedisStore(url, prefix="p:")
    assert repr(store) == f"RedisStore({shown!r}, prefix='p:')"
    assert "canary" not in repr(vars(store))


URLS = ["localhost:6379", "redis://user:can/ary@host", "http://host", "redis://host?pasword=x", None]


@pytest.mark.parametrize("url", [*URLS, redis.asyncio.Redis()])
def test_an_invalid_url_is_refused(url):
    with pytest.raises(ConfigurationError, match=r"^Invalid URL of a Redis server: .*percent-encoded"):
        RedisStore(url)


def test_a_pickle_carries_url_and_prefix():
    store = RedisStore("redis://:canary@h/4?socket_timeout=0.5", prefix="p:")
    copy = pickle.loads(pickle.dumps(store))
    assert repr(copy) == "RedisStore('h:6379/4', prefix='p:')"
    assert pickle.dumps(copy) == pickle.dumps(store)
    with pytest.raises(ConfigurationError, match="make it from a URL"):
        pickle.dumps(RedisStore(redis.Redis()))


# Rights, TLS and Unix sockets.

ACL = " ".join(RedisStore.__doc__.split("ACL SETUSER domo ")[1].split("\n\n")[0].split())


@pytest.fixture
def permitted(server) -> Iterator[str]:
    """The URL for a user who has the documented rights and no others."""
    server.run("SCRIPT", "FLUSH")
    server.run("ACL", "SETUSER", "domo", "reset", *ACL.replace("PASSWORD", "pass-of-domo").split())
    server.run("ACL", "LOG", "RESET")
    yield f"redis://domo:pass-of-domo@127.0.0.1:{server.port}"
    server.run("ACL", "DELUSER", "domo")


def test_the_documented_rights_are_what_is_needed(server, permitted, impatient):
    store = RedisStore(permitted)
    server.run("CONFIG", "RESETSTAT")
    round_trip(store)
    with store.lock(NAME):
        assert not lock(RedisStore(permitted))
    store.save(NAME, b"sealed", HOUR)
    assert store.clear() == 1
    with server.client() as client:  # Redis 7.2 and Valkey know the command, and the user may not use it
        assert {entry["object"] for entry in client.acl_log()} <= {"client|setinfo"}
    used = {name.removeprefix("cmdstat_") for name in server.run("INFO", "commandstats")}
    documented = {right[1:] for right in ACL.split() if right.startswith("+")}
    assert documented <= used
    assert used - documented <= {"auth", "client|setinfo", "acl|log", "config|resetstat", "info"}
    for other in (RedisStore(f"{permitted}/1"), RedisStore(permitted, prefix="elsewhere:")):
        with pytest.raises(StoreError, match="does not give this user enough rights: the documentation of RedisStore"):
            other.load(NAME)
    server.run("ACL", "SETUSER", "domo", "+select")
    round_trip(RedisStore(f"{permitted}/1"))


@pytest.mark.slow
@needs_redis
def test_unix_sockets_and_tls(tmp_path):
    authority, unix = trustme.CA(), str(tmp_path / "redis.sock")
    ca, here, other = (str(tmp_path / name) for name in ("ca.pem", "here.pem", "other.pem"))
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(here)
    authority.issue_cert("another.example").private_key_and_cert_chain_pem.write_to_path(other)
    options = ("--tls-port", "OTHER_PORT", "--tls-auth-clients", "no", "--tls-ca-cert-file", ca)
    options += ("--tls-cert-file", here, "--tls-key-file", here, "--unixsocket", unix)
    with RedisServer(tmp_path, options) as server:
        round_trip(RedisStore(f"unix://:{PASSWORD}@{unix}"))
        url = f"rediss://:{PASSWORD}@127.0.0.1:{server.port + 10_000}"
        round_trip(RedisStore(f"{url}?ssl_ca_certs={ca}"))
        with pytest.raises(StoreError, match=r"cannot be reached \(self-signed certificate in certificate chain\)"):
            RedisStore(url).load(NAME)
        server.run("CONFIG", "SET", "tls-cert-file", other, "tls-key-file", other)
        with pytest.raises(StoreError, match=r"cannot be reached \(IP address mismatch"):
            RedisStore(f"{url}?ssl_ca_certs={ca}").load(NAME)


# Errors.


def fails(store: RedisStore, says: str) -> None:
    for use in (lock, lambda store: store.save(NAME, b"sealed", HOUR)):
        with pytest.raises(StoreError, match=says) as caught:
            use(store)
        assert caught.value.__cause__ is caught.value.__context__ is None, "its frames show the password"
        assert not {part for part in (PASSWORD, "canary") if part in str(caught.value)}


ANSWERS = {
    "-LOADING Redis is loading the dataset in memory": "is starting",
    "-READONLY You can't write against a read only replica.": "is a replica",
    "-OOM command not allowed when used memory > 'maxmemory'.": "is full: see its maxmemory",
    "-NOPERM this user has no permissions to run the 'set' command": "does not give this user enough rights",
    "-NOAUTH Authentication required.": "refused the user or password",
    "-MISCONF Redis is configured to save RDB snapshots": r"failed: ResponseError \(MISCONF\)\.",
    "-ERR unknown command 'SET', with args beginning with: 'canary'": r"failed: ResponseError\.$",
    "HTTP/1.1 400 Bad Request": "InvalidResponse",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_response_that_refuses(answer, fake):
    fake.answers["set"] = f"{answer}\r\n".encode()
    store = RedisStore(fake.url)
    fails(store, rf"^Redis \({fake.url[8:]}/0\) .*{ANSWERS[answer]}")
    fake.answers.clear()
    round_trip(store)


def test_a_server_that_cannot_be_reached(tls_server):
    fails(RedisStore("redis://redis.invalid"), r"cannot be reached \(.+\)")
    fails(RedisStore("unix:///nowhere/redis.sock"), r"^Redis \(/nowhere/redis.sock/0\) cannot be reached \(No such")
    fails(RedisStore(tls_server.url.replace("https", "rediss")), r"cannot be reached \(.*issuer certificate\)")


def test_a_server_that_hangs_costs_its_timeout(fake):
    store, began = RedisStore(f"{fake.url}?socket_timeout=0.4"), time.monotonic()
    fake.answers["set"] = b""
    with pytest.raises(StoreError, match=r"did not respond in time: it hangs, .*packets\.$"):
        lock(store)
    assert 0.4 <= time.monotonic() - began < 1.2
    fake.answers.clear()
    round_trip(store)


def test_a_full_server_still_frees_the_lock(own_server):
    store = RedisStore(own_server.url)
    with store.lock(NAME):
        own_server.run("CONFIG", "SET", "maxmemory", 1)
        fails(store, "is full")
    assert own_server.run("EXISTS", LOCK) == 0
    own_server.run("CONFIG", "SET", "maxmemory", 0)
    round_trip(store)


# Connections.


def connections(server: RedisServer) -> set[str]:
    """Those of stores."""
    return {client["id"] for client in server.run("CLIENT LIST") if client["cmd"] == "getrange"}


def test_connections_are_kept_for_a_fetch_and_not_for_an_hour(server, store, monkeypatch):
    others = connections(server)  # of tests before, which may not have been closed yet
    store.load(NAME)
    (first,) = connections(server) - others
    store.load(NAME)
    assert connections(server) - others == {first}
    monkeypatch.setattr(timing, "REDIS_IDLE", 0.0)
    with store._client().pubsub() as in_use:
        in_use.subscribe("by another thread")
        store.load(NAME)
        assert in_use.connection._sock
    (second,) = connections(server) - others
    assert second != first
    with server.client() as client:
        theirs = RedisStore(client)
        theirs.load(NAME)
        for each in (store, theirs):
            each.close()
        assert len(connections(server) - others) == 1, "a client that was passed stays open"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_has_connections_of_its_own_and_no_lock(server, store, impatient):
    store.save(NAME, b"sealed", HOUR)
    with store.lock(NAME):
        server.run("PEXPIRE", LOCK, 60_000)
        before = {client["id"] for client in server.run("CLIENT LIST")}
        code = in_child(lambda: store.load(NAME) == b"sealed" and connections(server) - before and not lock(store))
        assert code == 0
        assert store.load(NAME) == b"sealed"
    assert lock(store)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_waits_for_no_lock_that_a_thread_of_its_parent_held(server, store):
    pool_lock = store._client().connection_pool._lock  # each command takes it for a moment
    store.save(NAME, b"sealed", HOUR)
    with ThreadPoolExecutor(1) as thread, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork of a process with threads
        thread.submit(pool_lock.acquire).result()
        code = in_child(lambda: store.load(NAME) == b"sealed")
        thread.submit(pool_lock.release).result()
    assert code == 0
