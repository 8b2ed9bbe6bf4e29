"""RedisStore against a real server: what any store must do, and what is its own."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import sys
import threading
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
from tests.integration.redis_server import PASSWORD, PATIENCE, SERVERS, RedisServer, free_port, needs_redis

NAME = "0123456789abcdef" * 2
KEY, LOCK = f"domo-oauth:{NAME}", f"domo-oauth:{NAME}:lock"
HOUR = 3600.0
SHORT = 0.3
"""Seconds that a test waits for a lock in vain."""

pytestmark = needs_redis


@pytest.fixture(scope="module", params=SERVERS)
def binary(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def shared_server(binary, tmp_path_factory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), binary) as server:
        yield server


@pytest.fixture
def server(shared_server) -> RedisServer:
    """One that a test must leave as it found it."""
    shared_server.run("FLUSHALL")
    return shared_server


@pytest.fixture
def own_server(binary, tmp_path) -> Iterator[RedisServer]:
    """One that a test may do anything to."""
    with RedisServer(tmp_path, binary) as server:
        yield server


@pytest.fixture
def store(server) -> RedisStore:
    return RedisStore(server.url)


class TestByUrl(StoreTests):
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
def cluster(binary, tmp_path_factory) -> Iterator[RedisServer]:
    folder = tmp_path_factory.mktemp("cluster")
    bus = str(free_port())  # that of the nodes among each other
    with RedisServer(folder, binary, options=("--cluster-enabled", "yes", "--cluster-port", bus)) as server:
        server.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while "cluster_state:ok" not in str(server.run("CLUSTER", "INFO")):
            threading.Event().wait(0.01)
        yield server


class TestInACluster(StoreTests):
    processes = False

    @pytest.fixture
    def store(self, cluster) -> Iterator[RedisStore]:
        with contextlib.closing(RedisCluster.from_url(cluster.url, socket_timeout=20)) as client:
            yield RedisStore(client)

    def test_its_repr(self, store, cluster):
        assert repr(store) == f"RedisStore('the cluster of 127.0.0.1:{cluster.port}', prefix='domo-oauth:')"


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(timing, "LOCK_TRY", SHORT)


def lock(store: RedisStore) -> bool:
    with store.lock(NAME) as obtained:
        return obtained


# --- Keys ------------------------------------------------------------------------------------------------------------


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


def test_a_lock_that_ended_is_not_taken_from_the_next_holder(server, store, impatient):
    with store.lock(NAME) as obtained:
        assert obtained
        server.run("SET", LOCK, "another", "PX", 5000)
    assert server.run("GET", LOCK) == b"another"


def test_who_waited_in_vain_saves_all_the_same(server, store, impatient):
    with store.lock(NAME), RedisStore(server.url).lock(NAME) as obtained:
        assert not obtained
        store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"


def test_clear_removes_the_entries_with_this_prefix(server):
    prefix = "odd[*]?\\:"
    ours, theirs = RedisStore(server.url, prefix=prefix), RedisStore(server.url, prefix="oddx?:")
    names = [f"{number:032x}" for number in range(3)]
    for name in names:
        ours.save(name, b"ours", HOUR)
    theirs.save(NAME, b"theirs", HOUR)
    server.run("SET", f"{prefix}notes", "kept")
    assert ours.clear() == 3
    assert ours.clear() == 0
    assert server.run("DBSIZE") == 2
    assert theirs.load(NAME) == b"theirs"


# --- What others may have written there ------------------------------------------------------------------------------


def test_a_huge_value_is_not_read_and_replaced(server, store):
    server.run("SETRANGE", KEY, 300 * 2**20, "x")
    received = int(server.run("INFO", "stats")["total_net_output_bytes"])
    assert store.load(NAME) is None
    assert int(server.run("INFO", "stats")["total_net_output_bytes"]) - received < 100_000
    store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"


FOREIGN = {
    "list": ("RPUSH", "x"),
    "hash": ("HSET", "x", "y"),
    "set": ("SADD", "x"),
    "stream": ("XADD", "*", "x", "y"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_keys_of_another_type_cost_one_wait_and_one_request(server, store, kind, impatient):
    command, *values = FOREIGN[kind]
    for key in (KEY, LOCK):
        server.run(command, key, *values)
    assert store.load(NAME) is None
    assert not lock(store)
    store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"


def test_a_lock_that_never_ends_is_waited_for_without_a_busy_loop(server, store, impatient):
    server.run("SET", LOCK, "somebody")
    server.run("CONFIG", "RESETSTAT")
    began = time.monotonic()
    assert not lock(store)
    assert time.monotonic() - began < SHORT + 5
    assert server.run("INFO", "commandstats")["cmdstat_set"]["calls"] <= SHORT / timing.REDIS_LOCK_POLL + 1
    store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"


# --- Making one ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://", "localhost:6379/0"),
        ("redis://user:canary@redis.example:6380/3", "redis.example:6380/3"),
        ("rediss://:canary@redis.example?db=2", "redis.example:6379/2"),
        ("unix://user:canary@/run/redis.sock?db=1", "/run/redis.sock/1"),
    ],
)
def test_the_repr_shows_where_and_nothing_else(url, shown):
    assert repr(RedisStore(url, prefix="p:")) == f"RedisStore({shown!r}, prefix='p:')"


def test_the_repr_of_sentinels_service():
    client = Sentinel([("sentinel.example", 26379)]).master_for("main", password="canary")
    assert repr(RedisStore(client)) == "RedisStore(\"Sentinel's main\", prefix='domo-oauth:')"


@pytest.mark.parametrize(
    ("url", "args", "says"),
    [
        ("localhost:6379", {}, "Invalid URL of a Redis server: .*percent-encoded.$"),
        ("redis://user:can/ary@host", {}, "Invalid URL of a Redis server"),
        ("http://host", {}, "Invalid URL of a Redis server"),
        ("redis://host", {"pasword": "canary"}, "one of these: pasword.$"),
        (redis.Redis(), {"password": "canary"}, "Pass arguments for redis-py to the client"),
        (redis.asyncio.Redis(), {}, "not Redis.$"),
        (None, {}, "not NoneType.$"),
    ],
)
def test_what_cannot_be_a_server(url, args, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        RedisStore(url, **args)
    assert "canary" not in shown(caught.value)
    assert "can/ary" not in shown(caught.value)


@pytest.mark.parametrize("module", ["cryptography", "redis"])
def test_without_the_extra_it_can_be_imported_and_says_what_to_install(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"needs {module}: pip install 'domo-oauth\[redis\]'") as caught:
        RedisStore("redis://:canary@host")
    assert "canary" not in shown(caught.value)


def test_importing_it_does_not_import_redis():
    code = "import sys, domo_oauth.stores.redis; print('redis' in sys.modules, 'cryptography' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.split() == [b"False"] * 2
    )


def test_a_client_cannot_be_pickled(server):
    with pytest.raises(ConfigurationError, match="make it from a URL"):
        pickle.dumps(RedisStore(server.client()))


def test_a_pickle_carries_url_arguments_and_prefix():
    copy = pickle.loads(pickle.dumps(RedisStore("redis://:canary@h/4", prefix="p:", socket_timeout=0.5)))
    assert repr(copy) == "RedisStore('h:6379/4', prefix='p:')"
    assert pickle.dumps(copy) == pickle.dumps(RedisStore("redis://:canary@h/4", prefix="p:", socket_timeout=0.5))


# --- Ways in ---------------------------------------------------------------------------------------------------------


def round_trip(store: RedisStore) -> None:
    with store.lock(NAME) as obtained:
        assert obtained
        store.save(NAME, b"sealed", HOUR)
    assert store.load(NAME) == b"sealed"
    store.delete(NAME)
    assert store.load(NAME) is None


ACL = " ".join(RedisStore.__doc__.split("ACL SETUSER domo ")[1].split("\n\n")[0].split())


@pytest.fixture
def permitted(server) -> Iterator[str]:
    """The URL for a user who has the documented rights and no others."""
    server.run("SCRIPT", "FLUSH")
    server.run("ACL", "SETUSER", "domo", "reset", *ACL.replace("PASSWORD", "pass-of-domo").split())
    server.run("ACL", "LOG", "RESET")
    yield f"redis://domo:pass-of-domo@127.0.0.1:{server.port}"
    server.run("ACL", "DELUSER", "domo")


class TestWithTheDocumentedRights(StoreTests):
    @pytest.fixture
    def store(self, permitted) -> RedisStore:
        return RedisStore(permitted)


def test_the_documented_rights_are_what_is_needed(server, permitted):
    store = RedisStore(permitted)
    server.run("CONFIG", "RESETSTAT")
    round_trip(store)
    store.save(NAME, b"sealed", HOUR)
    assert store.clear() == 1
    refused = {entry["object"] for entry in server.run("ACL", "LOG")}
    assert refused <= {"client|setinfo"}
    used = {name.removeprefix("cmdstat_") for name in server.run("INFO", "commandstats")}
    documented = {right[1:] for right in ACL.split() if right.startswith("+")}
    assert documented <= used
    assert used - documented <= {"auth", "client|setinfo", "acl|log", "config|resetstat", "info"}


def test_another_database_needs_select(server, permitted):
    store = RedisStore(f"{permitted}/1")
    with pytest.raises(StoreError, match="does not permit this user enough: the documentation of RedisStore"):
        store.load(NAME)
    server.run("ACL", "SETUSER", "domo", "+select")
    round_trip(store)


def test_another_prefix_is_refused(permitted):
    with pytest.raises(StoreError, match="does not permit this user enough"):
        RedisStore(permitted, prefix="elsewhere:").load(NAME)


def test_a_unix_socket(binary, tmp_path):
    path = str(tmp_path / "redis.sock")
    with RedisServer(tmp_path, binary, options=("--unixsocket", path)):
        round_trip(RedisStore(f"unix://:{PASSWORD}@{path}"))


def test_tls(binary, tmp_path):
    authority, port = trustme.CA(), free_port()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "here.pem")
    authority.issue_cert("another.example").private_key_and_cert_chain_pem.write_to_path(tmp_path / "other.pem")
    options = ["--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(tmp_path / "ca.pem")]
    options += ["--tls-cert-file", str(tmp_path / "here.pem"), "--tls-key-file", str(tmp_path / "here.pem")]
    with RedisServer(tmp_path, binary, options=tuple(options)) as server:
        url = f"rediss://:{PASSWORD}@127.0.0.1:{port}"
        round_trip(RedisStore(url, ssl_ca_certs=str(tmp_path / "ca.pem")))
        with pytest.raises(StoreError, match=r"cannot be reached \(self-signed certificate in certificate chain\)"):
            RedisStore(url).load(NAME)
        server.run(
            "CONFIG", "SET", "tls-cert-file", str(tmp_path / "other.pem"), "tls-key-file", str(tmp_path / "other.pem")
        )
        with pytest.raises(StoreError, match=r"cannot be reached \(IP address mismatch"):
            RedisStore(url, ssl_ca_certs=str(tmp_path / "ca.pem")).load(NAME)


def test_sentinel_finds_the_new_primary(binary, tmp_path):
    for name in ("a", "b", "s"):
        (tmp_path / name).mkdir()
    auth = ("--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(RedisServer(tmp_path / "a", binary, options=auth))
        replica_of = ("--replicaof", f"127.0.0.1 {first.port}")
        second = stack.enter_context(RedisServer(tmp_path / "b", binary, options=(*auth, *replica_of)))
        until(lambda: second.run("INFO", "replication")["master_link_status"] == "up")
        (tmp_path / "s" / "sentinel.conf").write_text(
            f"sentinel monitor main 127.0.0.1 {first.port} 1\nsentinel auth-pass main {PASSWORD}\n"
            "sentinel down-after-milliseconds main 60000\n"
        )
        port = free_port()
        command = [binary, str(tmp_path / "s" / "sentinel.conf"), "--sentinel", "--port", str(port)]
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


def until(true: Callable[[], object], *passes: type[Exception]) -> None:
    """Ask again until it is so; exceptions of these kinds are passed over."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(*passes):
            if true():
                return
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


# --- Errors ----------------------------------------------------------------------------------------------------------


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
        assert PASSWORD not in told
        assert "redis/connection.py" not in told
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_nobody_is_there(own_server):
    own_server.stop()
    store = RedisStore(own_server.url)
    fails(store, rf"^Redis \(127.0.0.1:{own_server.port}/0\) cannot be reached \(.*\): see whether it runs")
    fails(store, "cannot be reached")  # not passed over: it cost no time
    own_server.start()
    round_trip(store)


def test_a_name_that_nobody_knows():
    fails(RedisStore("redis://redis.invalid"), r"cannot be reached \(.+\)")


def test_a_wrong_password(server):
    fails(RedisStore(server.url.replace(PASSWORD, "wrong")), "refused the user or password")
    fails(RedisStore(f"redis://127.0.0.1:{server.port}"), "refused the user or password")


def test_it_is_full(own_server):
    store = RedisStore(own_server.url)
    with store.lock(NAME):
        own_server.run("CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(StoreError, match="is full: see its maxmemory"):
            store.save(NAME, b"sealed", HOUR)
    assert own_server.run("EXISTS", LOCK) == 0, "to free the lock needs no memory"
    fails(store, "is full")
    own_server.run("CONFIG", "SET", "maxmemory", 0)
    round_trip(store)


def test_it_is_a_replica(own_server):
    store = RedisStore(own_server.url)
    store.save(NAME, b"sealed", HOUR)
    own_server.run("REPLICAOF", "127.0.0.1", free_port())
    fails(store, "is a replica")
    assert store.load(NAME) == b"sealed"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "is starting"),
        (b"-MISCONF Redis is configured to save RDB snapshots\r\n", r"failed: ResponseError \(MISCONF\)\."),
        (
            b"-ERR unknown command 'GETRANGE', with args beginning with: 'canary'\r\n",
            r"failed: ResponseError\.$",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "InvalidResponse"),
    ],
)
def test_odd_answers(answer, says, raw_redis):
    store = RedisStore(raw_redis(answer))
    with pytest.raises(StoreError, match=says) as caught:
        store.load(NAME)
    assert "canary" not in shown(caught.value)


@pytest.fixture
def raw_redis() -> Iterator[Callable[[bytes], str]]:
    """A server that greets as Redis does, and answers the first command with the same bytes."""
    with contextlib.ExitStack() as stack:

        def start(answer: bytes) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                connection, _ = listener.accept()
                with connection:
                    while (data := connection.recv(65536)) and b"GETRANGE" not in data:
                        connection.sendall(b"+OK\r\n" * data.count(b"SETINFO"))
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join, PATIENCE)
            return f"redis://127.0.0.1:{listener.getsockname()[1]}"

        yield start


# --- Time ------------------------------------------------------------------------------------------------------------


def test_a_server_that_does_not_answer_is_passed_over_for_a_while(own_server, monkeypatch):
    monkeypatch.setattr(timing, "REDIS_PASSED_OVER", 1.0)
    store = RedisStore(own_server.url, socket_timeout=0.6)
    store.load(NAME)
    own_server.pause()
    with pytest.raises(StoreError, match=r"did not answer in time: it hangs, .*packets\.$"):
        store.load(NAME)
    began = time.monotonic()
    fails(store, r"did not answer in time: it is passed over for another [01]\.[0-9] s\.$")
    assert time.monotonic() - began < 0.5
    own_server.resume()
    fails(store, "is passed over")
    time.sleep(max(0.0, began + 1.0 - time.monotonic()))
    round_trip(store)


def test_a_server_that_hangs_costs_its_time_out_once(own_server, impatient):
    """Without retries, also while somebody waits for the lock."""
    store = RedisStore(own_server.url, socket_timeout=0.5)
    own_server.run("SET", LOCK, "somebody")
    own_server.pause()
    began = time.monotonic()
    with pytest.raises(StoreError, match="did not answer in time"):
        lock(store)
    assert 0.5 <= time.monotonic() - began < 1.5
    own_server.resume()


def test_a_server_that_is_restarted_is_not_passed_over(own_server):
    store = RedisStore(own_server.url)
    store.load(NAME)
    own_server.restart()
    fails_once = contextlib.suppress(StoreError)
    with fails_once:
        store.load(NAME)
    round_trip(store)


def connections(server: RedisServer) -> set[str]:
    """Those of stores."""
    return {client["id"] for client in server.run("CLIENT LIST") if client["cmd"] == "getrange"}


def test_connections_are_kept_for_a_fetch_and_not_for_an_hour(server, store, monkeypatch):
    store.load(NAME)
    (first,) = connections(server)
    store.load(NAME)
    assert connections(server) == {first}
    monkeypatch.setattr(timing, "REDIS_IDLE", 0.0)
    store.load(NAME)
    (second,) = connections(server)
    assert second != first
    store.close()
    assert connections(server) == set()
    store.load(NAME)
    assert len(connections(server)) == 1


def test_a_client_that_was_passed_stays_open(server):
    with server.client() as client:
        store = RedisStore(client)
        store.load(NAME)
        before = connections(server)
        store.close()
        assert connections(server) == before


# --- Processes -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_has_connections_of_its_own_and_no_lock(server, store, impatient):
    store.save(NAME, b"sealed", HOUR)
    with store.lock(NAME):
        server.run("PEXPIRE", LOCK, 60_000)
        before = {client["id"] for client in server.run("CLIENT LIST")}
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                good = store.load(NAME) == b"sealed" and connections(server) - before and not lock(store)
                os.write(writer, b"good" if good else b"bad")
            finally:
                os._exit(0)
        os.close(writer)
        assert os.read(reader, 10) == b"good"
        os.close(reader)
        os.waitpid(child, 0)
        assert store.load(NAME) == b"sealed"
    assert lock(store)


# --- Secrets ---------------------------------------------------------------------------------------------------------


def test_no_attribute_shows_the_password(server):
    store = RedisStore(server.url, password=PASSWORD)
    assert PASSWORD not in repr(vars(store))
    assert PASSWORD not in repr(store)
