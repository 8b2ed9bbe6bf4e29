"""RedisStore: what any store must do, and what is its own. Tests with `fake` also run without a Redis server."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator

import pytest
import redis
import redis.asyncio
import stack_data
import trustme
from redis.cluster import RedisCluster
from redis.sentinel import Sentinel

from domo_oauth import timing
from domo_oauth.errors import ConfigurationError
from domo_oauth.stores import StoreError
from domo_oauth.stores.redis import RedisStore
from domo_oauth.stores.testing import StoreTests
from tests.stores.processes import in_child
from tests.stores.redis_server import PASSWORD, PATIENCE, SERVERS, RedisServer, free_port, needs_redis

NAME = "0123456789abcdef" * 2
KEY, LOCK = f"domo-oauth:{NAME}", f"domo-oauth:{NAME}:lock"
HOUR = 3600.0


@pytest.fixture
def store(server) -> RedisStore:
    return RedisStore(server.url)


class TestByUrl(StoreTests):
    processes = False  # below

    @pytest.fixture
    def store(self, server) -> RedisStore:
        return RedisStore(server.url)


class TestByClient(StoreTests):
    """A client that others use, too, and for whom it decodes what it reads."""

    processes = False

    @pytest.fixture
    def store(self, server) -> Iterator[RedisStore]:
        with server.client(decode_responses=True, socket_timeout=20, protocol=3) as client:
            yield RedisStore(client)
            assert client.ping()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[RedisServer]:
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with RedisServer(tmp_path_factory.mktemp("cluster"), options) as server:
        server.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: "cluster_state:ok" in str(server.run("CLUSTER", "INFO")))
        yield server


@pytest.mark.slow
@needs_redis
class TestInACluster(StoreTests):
    processes = False

    @pytest.fixture
    def store(self, cluster) -> Iterator[RedisStore]:
        with contextlib.closing(RedisCluster.from_url(cluster.url, socket_timeout=20)) as client:
            store = RedisStore(client)
            assert repr(store) == f"RedisStore('the cluster of 127.0.0.1:{cluster.port}', prefix='domo-oauth:')"
            yield store


def until(true: Callable[[], object], *passes: type[Exception]) -> None:
    """Ask again until it is so; exceptions of these kinds are ignored."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(*passes):
            if true():
                return
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


# Keys.


def test_everything_that_is_kept_expires(server, store):
    with store.lock(NAME):
        store.save(NAME, b"sealed", 50.0)
        assert {key.decode() for key in server.run("KEYS", "*")} == {KEY, LOCK}
        assert 49_000 < server.run("PTTL", KEY) <= 50_000
        assert 0 < server.run("PTTL", LOCK) <= timing.REDIS_LEASE * 1000
    assert server.run("KEYS", "*") == [KEY.encode()]


def test_the_lock_of_a_holder_that_is_gone_ends(server, store, impatient):
    server.run("SET", LOCK, "somebody", "PX", 100)
    assert lock(store)


def test_a_lock_that_ended_is_not_taken_from_the_next_holder(server, store):
    with store.lock(NAME) as obtained:
        assert obtained
        server.run("SET", LOCK, "another", "PX", 5000)
    assert server.run("GET", LOCK) == b"another"


def test_a_lock_that_never_ends_is_waited_for_without_a_busy_loop(server, store, impatient):
    server.run("SET", LOCK, "somebody")
    server.run("CONFIG", "RESETSTAT")
    began = time.monotonic()
    with store.lock(NAME) as obtained:
        assert not obtained
        store.save(NAME, b"sealed", HOUR)
    assert time.monotonic() - began < impatient + 5
    assert server.run("INFO", "commandstats")["cmdstat_set"]["calls"] <= impatient / timing.REDIS_LOCK_POLL + 2
    assert store.load(NAME) == b"sealed"


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


# What others may have written there.


def test_a_huge_value_is_not_read_and_replaced(server, store):
    server.run("SETRANGE", KEY, 100 * 2**20, "x")
    received = int(server.run("INFO", "stats")["total_net_output_bytes"])
    assert store.load(NAME) is None
    assert int(server.run("INFO", "stats")["total_net_output_bytes"]) - received < 100_000
    store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"


@pytest.mark.parametrize("command", ["RPUSH key x", "HSET key x y", "SADD key x", "XADD key * x y"])
def test_keys_of_another_type_cost_one_wait_and_one_request(server, store, command, impatient):
    for key in (KEY, LOCK):
        server.run(*[key if word == "key" else word for word in command.split()])
    assert store.load(NAME) is None
    assert not lock(store)
    store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"


# Making one.


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://", "localhost:6379/0"),
        ("redis://user:canary@redis.example:6380/3", "redis.example:6380/3"),
        ("valkeys://:canary@redis.example?db=2", "redis.example:6379/2"),
        ("unix://user:canary@/run/redis.sock?db=1", "/run/redis.sock/1"),
        (lambda: Sentinel([("sentinel.example", 1)]).master_for("main", password="canary"), "Sentinel's main"),
    ],
)
def test_the_repr_shows_where_and_nothing_else(url, shown):
    store = RedisStore(url() if callable(url) else url, prefix="p:")
    assert repr(store) == f"RedisStore({shown!r}, prefix='p:')"
    assert "canary" not in repr(vars(store))


INVALID = "Invalid URL of a Redis server: .*percent-encoded"


@pytest.mark.parametrize(
    ("url", "args", "says"),
    [
        ("localhost:6379", {}, rf"{INVALID}\.$"),
        ("redis://user:can/ary@host", {}, INVALID),
        ("http://host", {}, INVALID),
        ("redis://host", {"pasword": "canary"}, rf"{INVALID}.* one of these is wrong: pasword\.$"),
        (redis.Redis(), {"password": "canary"}, "Pass arguments for redis-py to the client"),
        (redis.asyncio.Redis(), {}, INVALID),
        (None, {}, INVALID),
    ],
)
def test_what_cannot_be_a_server(url, args, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        RedisStore(url, **args)
    assert "canary" not in shown(caught.value)
    assert "can/ary" not in shown(caught.value)


@pytest.mark.parametrize("module", ["cryptography", "redis"])
def test_without_the_extra_it_says_what_to_install(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"needs {module}: pip install 'domo-oauth\[redis\]'") as caught:
        RedisStore("redis://:canary@host")
    assert "canary" not in shown(caught.value)


def test_a_pickle_carries_url_arguments_and_prefix():
    store = RedisStore("redis://:canary@h/4", prefix="p:", socket_timeout=0.5)
    copy = pickle.loads(pickle.dumps(store))
    assert repr(copy) == "RedisStore('h:6379/4', prefix='p:')"
    assert pickle.dumps(copy) == pickle.dumps(store)
    with pytest.raises(ConfigurationError, match="make it from a URL"):
        pickle.dumps(RedisStore(redis.Redis()))


# Ways in.


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
    assert {entry["object"] for entry in server.run("ACL", "LOG")} <= {"client|setinfo"}
    used = {name.removeprefix("cmdstat_") for name in server.run("INFO", "commandstats")}
    documented = {right[1:] for right in ACL.split() if right.startswith("+")}
    assert documented <= used
    assert used - documented <= {"auth", "client|setinfo", "acl|log", "config|resetstat", "info"}


def test_other_databases_and_prefixes_need_other_rights(server, permitted):
    told = "does not permit this user enough: the documentation of RedisStore"
    for store in (RedisStore(f"{permitted}/1"), RedisStore(permitted, prefix="elsewhere:")):
        with pytest.raises(StoreError, match=told):
            store.load(NAME)
    server.run("ACL", "SETUSER", "domo", "+select")
    round_trip(RedisStore(f"{permitted}/1"))


@pytest.mark.slow
@needs_redis
def test_unix_sockets_and_tls(tmp_path):
    authority, port, unix = trustme.CA(), free_port(), str(tmp_path / "redis.sock")
    ca, here, other = (str(tmp_path / name) for name in ("ca.pem", "here.pem", "other.pem"))
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(here)
    authority.issue_cert("another.example").private_key_and_cert_chain_pem.write_to_path(other)
    options = ("--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", ca)
    options += ("--tls-cert-file", here, "--tls-key-file", here, "--unixsocket", unix)
    with RedisServer(tmp_path, options) as server:
        round_trip(RedisStore(f"unix://:{PASSWORD}@{unix}"))
        url = f"rediss://:{PASSWORD}@127.0.0.1:{port}"
        round_trip(RedisStore(url, ssl_ca_certs=ca))
        with pytest.raises(StoreError, match=r"cannot be reached \(self-signed certificate in certificate chain\)"):
            RedisStore(url).load(NAME)
        server.run("CONFIG", "SET", "tls-cert-file", other, "tls-key-file", other)
        with pytest.raises(StoreError, match=r"cannot be reached \(IP address mismatch"):
            RedisStore(url, ssl_ca_certs=ca).load(NAME)


@pytest.mark.slow
@needs_redis
def test_sentinel_finds_the_new_primary(tmp_path):
    for name in ("a", "b", "s"):
        (tmp_path / name).mkdir()
    auth = ("--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(RedisServer(tmp_path / "a", auth))
        replica_of = ("--replicaof", f"127.0.0.1 {first.port}")
        second = stack.enter_context(RedisServer(tmp_path / "b", (*auth, *replica_of)))
        until(lambda: second.run("INFO", "replication")["master_link_status"] == "up")
        (tmp_path / "s" / "sentinel.conf").write_text(
            f"sentinel monitor main 127.0.0.1 {first.port} 1\nsentinel auth-pass main {PASSWORD}\n"
            "sentinel down-after-milliseconds main 60000\n"
        )
        port = free_port()
        command = [SERVERS[0], str(tmp_path / "s" / "sentinel.conf"), "--sentinel", "--port", str(port)]
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        stack.callback(process.kill)
        watch = stack.enter_context(redis.Redis(port=port))
        until(lambda: watch.sentinel_slaves("main"), redis.RedisError)
        sentinel = Sentinel([("127.0.0.1", port)], socket_timeout=20)
        stack.enter_context(sentinel.sentinels[0])
        store = RedisStore(stack.enter_context(sentinel.master_for("main", password=PASSWORD)))
        round_trip(store)
        until(lambda: watch.execute_command("SENTINEL", "FAILOVER", "main"), redis.RedisError)
        until(lambda: second.run("INFO", "replication")["role"] == "master")
        until(lambda: first.run("INFO", "replication")["role"] == "slave", redis.RedisError)
        until(lambda: store.load(NAME) is None, StoreError)
        round_trip(store)
        assert second.run("INFO", "commandstats")["cmdstat_getrange"]["calls"]


# Errors.


def shown(error: BaseException) -> str:
    """What tools show of an exception: the locals of each frame, and the values of what its line names."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next  # the test knows the password
    report = traceback.TracebackException(type(error), error, frames, capture_locals=True)
    infos = stack_data.FrameInfo.stack_data(frames) if frames else ()
    return "".join(report.format()) + repr([variable.value for info in infos for variable in info.variables])


def fails(store: RedisStore, says: str) -> None:
    for use in (lock, lambda store: store.save(NAME, b"sealed", HOUR)):
        with pytest.raises(StoreError, match=says) as caught:
            use(store)
        told = shown(caught.value)
        assert not {part for part in (PASSWORD, "canary", "redis/connection.py") if part in told}
        assert caught.value.__cause__ is caught.value.__context__ is None


ANSWERS = {
    "-LOADING Redis is loading the dataset in memory": "is starting",
    "-READONLY You can't write against a read only replica.": "is a replica",
    "-OOM command not allowed when used memory > 'maxmemory'.": "is full: see its maxmemory",
    "-NOPERM this user has no permissions to run the 'set' command": "does not permit this user enough",
    "-NOAUTH Authentication required.": "refused the user or password",
    "-MISCONF Redis is configured to save RDB snapshots": r"failed: ResponseError \(MISCONF\)\.",
    "-ERR unknown command 'SET', with args beginning with: 'canary'": r"failed: ResponseError\.$",
    "HTTP/1.1 400 Bad Request": "InvalidResponse",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_refuses(answer, fake):
    fake.answers["set"] = f"{answer}\r\n".encode()
    store = RedisStore(fake.url)
    fails(store, rf"^Redis \({fake.url[8:]}/0\) .*{ANSWERS[answer]}")
    fake.answers.clear()
    round_trip(store)


def test_without_a_real_server(fake, impatient):
    """What the tests with a real server guarantee, for machines without one."""
    store = RedisStore(fake.url)
    round_trip(store)
    with store.lock(NAME):
        assert not lock(store)
        fake.entries[LOCK.encode()] = b"another", time.monotonic() + 60
    store.save(NAME, b"x" * 65537, HOUR)
    assert store.load(NAME) is None
    assert (store.clear(), store.clear()) == (1, 0)
    fake.answers["getrange"] = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
    assert store.load(NAME) is None
    store.close()


def test_no_server(fake):
    fails(RedisStore("redis://redis.invalid"), r"cannot be reached \(.+\)")
    port = free_port()
    store = RedisStore(f"redis://:{PASSWORD}@127.0.0.1:{port}")
    fails(store, rf"^Redis \(127.0.0.1:{port}/0\) cannot be reached \(.*\): see whether it runs")
    fails(store, "cannot be reached")  # not skipped: it cost no time


def test_a_wrong_password(server):
    fails(RedisStore(server.url.replace(PASSWORD, "wrong")), "refused the user or password")
    fails(RedisStore(f"redis://127.0.0.1:{server.port}"), "refused the user or password")


def test_a_full_server_still_frees_the_lock(own_server):
    store = RedisStore(own_server.url)
    with store.lock(NAME):
        own_server.run("CONFIG", "SET", "maxmemory", 1)
        fails(store, "is full")
    assert own_server.run("EXISTS", LOCK) == 0
    own_server.run("CONFIG", "SET", "maxmemory", 0)
    round_trip(store)


def test_a_server_that_is_restarted_is_used_again_at_once(own_server):
    store = RedisStore(own_server.url)
    store.load(NAME)
    own_server.restart()
    with contextlib.suppress(StoreError):
        store.load(NAME)
    round_trip(store)


# Time.


def test_a_server_that_does_not_answer_costs_its_time_out_once_and_is_skipped_for_a_while(fake, monkeypatch, impatient):
    monkeypatch.setattr(timing, "REDIS_PASSED_OVER", 1.0)
    store, began = RedisStore(fake.url, socket_timeout=0.4), time.monotonic()
    fake.answers["set"] = b""
    with pytest.raises(StoreError, match=r"did not answer in time: it hangs, .*packets\.$"):
        lock(store)
    assert 0.4 <= time.monotonic() - began < 1.2
    began = time.monotonic()
    fails(store, r"did not answer in time: it is skipped for another [01]\.[0-9] s\.$")
    assert time.monotonic() - began < 0.5
    fake.answers.clear()
    time.sleep(max(0.0, began + 1.0 - time.monotonic()))
    round_trip(store)


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
    store.load(NAME)
    (second,) = connections(server) - others
    assert second != first
    with server.client() as client:
        theirs = RedisStore(client)
        theirs.load(NAME)
        for each in (store, theirs):
            each.close()
        assert len(connections(server) - others) == 1, "a client that was passed stays open"


def test_connections_that_are_too_old_are_not_used(fake, monkeypatch):
    monkeypatch.setattr(timing, "REDIS_IDLE", -1.0)
    round_trip(RedisStore(fake.url))


# Processes.


@pytest.mark.slow
def test_processes_share_entries_and_locks(store):
    StoreTests().test_processes_share_entries_and_locks(store)


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
