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
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import redis.asyncio
import trustme
from redis.cluster import RedisCluster
from redis.sentinel import Sentinel

from domo_oauth.errors import ConfigurationError
from domo_oauth.stores import StoreError
from domo_oauth.stores.protocol import LEASE_SECONDS
from domo_oauth.stores.redis import RedisStore
from domo_oauth.stores.testing import StoreTests
from tests.integration.redis_server import PASSWORD, PATIENCE, SERVERS, RedisServer, free_port, needs_redis

NAME = "0123456789abcdef" * 2
KEYS = {f"domo-oauth:{{{NAME}}}:{key}" for key in ("token", "lease", "fence", "released")}

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


# --- Leases ----------------------------------------------------------------------------------------------------------


def later(store: RedisStore, seconds: float) -> float:
    return store.load(NAME)[1] + seconds


def expire(server: RedisServer, key: str) -> None:
    server.run("DEL", f"domo-oauth:{{{NAME}}}:{key}")


def test_keys_are_in_one_slot_and_expire(server, store):
    lease = store.lease(NAME)
    assert 0 < server.run("PTTL", f"domo-oauth:{{{NAME}}}:lease") <= LEASE_SECONDS * 1000
    store.save(NAME, b"sealed", later(store, 50), lease)
    store.release(NAME, lease)
    other = store.lease(NAME)
    assert {key.decode() for key in server.run("KEYS", "*")} == KEYS
    assert all(0 < server.run("PTTL", key) <= 86400_000 for key in KEYS)
    assert 49_000 < server.run("PTTL", f"domo-oauth:{{{NAME}}}:token") <= 50_000
    assert int(other) > int(lease)


def test_who_let_the_lease_run_out_may_save_while_nobody_else_has_it(server, store):
    lease = store.lease(NAME)
    expire(server, "lease")
    store.save(NAME, b"slow", later(store, 50), lease)
    assert store.load(NAME)[0] == b"slow"


def test_who_let_the_lease_run_out_saves_nothing_once_another_had_it(server, store):
    slow = store.lease(NAME)
    expire(server, "lease")
    quick = store.lease(NAME)
    store.save(NAME, b"quick", later(store, 50), quick)
    store.release(NAME, quick)
    store.save(NAME, b"slow", later(store, 50), slow)
    store.release(NAME, slow)
    assert store.load(NAME)[0] == b"quick"


def test_the_holder_saves_where_all_was_lost_in_between(server, store):
    lease = store.lease(NAME)
    server.run("FLUSHALL")
    store.save(NAME, b"sealed", later(store, 50), lease)
    assert store.load(NAME)[0] == b"sealed"


def test_numbers_grow_even_if_the_last_is_lost(server, store):
    before = store.lease(NAME)
    server.run("FLUSHALL")
    after = store.lease(NAME)
    assert int(after) > int(before)
    store.save(NAME, b"late", later(store, 50), before)
    store.release(NAME, before)
    assert store.load(NAME)[0] is None
    assert store.lease(NAME) is None


def test_numbers_grow_even_if_the_clock_is_set_back(server, store):
    far = str(4_000_000_000_000_000)  # in the year 2096
    server.run("SET", f"domo-oauth:{{{NAME}}}:fence", far)
    lease = store.lease(NAME)
    assert int(lease) == int(far) + 1
    store.release(NAME, lease)


def waiting(server: RedisServer) -> bool:
    return any(client["cmd"] == "xread" and "b" in client["flags"] for client in server.run("CLIENT LIST"))


def test_who_waits_is_told_and_asks_once(server, store):
    lease = store.lease(NAME)
    with ThreadPoolExecutor(1) as thread:
        server.run("CONFIG", "RESETSTAT")
        waits = thread.submit(store.wait, NAME, LEASE_SECONDS)
        while not waiting(server):
            assert not waits.done()
        store.release(NAME, lease)
        waits.result(PATIENCE)
    assert server.run("INFO", "commandstats")["cmdstat_xread"]["calls"] == 1


def test_a_lease_given_back_between_look_and_wait_is_seen(server, store, monkeypatch):
    lease = store.lease(NAME)
    xread, told = store._client.xread, []

    def late(*args, **kwargs):
        store.release(NAME, lease)
        told.append(xread(*args, **kwargs))

    monkeypatch.setattr(store._client, "xread", late)
    store.wait(NAME, LEASE_SECONDS)
    assert len(told[0]) == 1


def test_a_wait_ends_when_the_lease_does(server, store):
    lease = store.lease(NAME)
    server.run("PEXPIRE", f"domo-oauth:{{{NAME}}}:lease", 50)
    while store.lease(NAME) is None:
        store.wait(NAME, LEASE_SECONDS)
    assert int(lease)


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
        ("localhost:6379", {}, "no URL of a Redis server"),
        ("redis://user:can/ary@host", {}, "no URL of a Redis server"),
        ("http://host", {}, "no URL of a Redis server"),
        ("redis://host", {"pasword": "canary"}, "does not take one of: pasword."),
        (redis.Redis(), {"password": "canary"}, "give them to the client"),
        (redis.asyncio.Redis(), {}, "not from Redis"),
        (None, {}, "not from NoneType"),
    ],
)
def test_what_cannot_be_a_server(url, args, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        RedisStore(url, **args)
    assert "canary" not in shown(caught.value)
    assert "can/ary" not in shown(caught.value)


def test_redis_py_is_missing(monkeypatch):
    script = "import sys; sys.modules['redis'] = None; import domo_oauth.stores.redis"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "ConfigurationError: A RedisStore needs redis" in done.stderr
    assert "pip install 'domo-oauth[redis]'" in done.stderr


def test_a_client_cannot_be_pickled(server):
    with pytest.raises(ConfigurationError, match="make it from a URL"):
        pickle.dumps(RedisStore(server.client()))


def test_a_pickle_carries_url_arguments_and_prefix():
    copy = pickle.loads(pickle.dumps(RedisStore("redis://:canary@h/4", prefix="p:", socket_timeout=0.5)))
    assert repr(copy) == "RedisStore('h:6379/4', prefix='p:')"
    assert copy._client.connection_pool.connection_kwargs["password"] == "canary"
    assert copy._block == 0.25


def test_waits_are_within_the_clients_own_time_out():
    assert RedisStore("redis://")._block == 1.0
    assert RedisStore(redis.Redis(socket_timeout=0.2))._block == 0.1
    assert RedisStore(redis.Redis(socket_timeout=None))._block == 1.0


# --- Ways in ---------------------------------------------------------------------------------------------------------


def round_trip(store: RedisStore) -> None:
    lease = store.lease(NAME)
    assert store.lease(NAME) is None
    store.wait(NAME, 0.01)
    store.save(NAME, b"sealed", later(store, 50), lease)
    store.release(NAME, lease)
    assert store.load(NAME)[0] == b"sealed"
    store.delete(NAME)
    assert store.load(NAME)[0] is None


def test_a_user_with_no_more_rights_than_the_docstring_gives(server):
    rights = " ".join(RedisStore.__doc__.split("ACL SETUSER domo ")[1].split("\n\n")[0].split())
    server.run("ACL", "SETUSER", "domo", *rights.replace("PASSWORD", "pass-of-domo").split())
    url = f"redis://domo:pass-of-domo@127.0.0.1:{server.port}"
    round_trip(RedisStore(url))
    elsewhere = RedisStore(url, prefix="elsewhere:")
    with pytest.raises(StoreError, match=r"lets this user do too little: it needs \+eval"):
        elsewhere.load(NAME)


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
        until(lambda: store.load(NAME), StoreError)
        round_trip(store)
        assert second.run("INFO", "commandstats")["cmdstat_eval"]["calls"]


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
    """All that a tool could show of an exception but what the test knows: the locals of each frame, too."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    report = traceback.TracebackException(type(error), error, frames, capture_locals=True)
    return "".join(report.format())


def fails(store: RedisStore, says: str) -> None:
    for ask in (lambda: store.lease(NAME), lambda: store.save(NAME, b"sealed", 4e9, None)):
        with pytest.raises(StoreError, match=says) as caught:
            ask()
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
    fails(RedisStore(server.url.replace(PASSWORD, "wrong")), "refused user or password")
    fails(RedisStore(f"redis://127.0.0.1:{server.port}"), "refused user or password")


def test_it_is_full(own_server):
    store = RedisStore(own_server.url)
    lease = store.lease(NAME)
    own_server.run("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(StoreError, match="is full: see its maxmemory"):
        store.save(NAME, b"sealed", 4e9, lease)
    store.release(NAME, lease)  # needs no memory, and others must not wait for it
    fails(store, "is full")
    own_server.run("CONFIG", "SET", "maxmemory", 0)
    assert store.lease(NAME) is not None


def test_it_is_a_replica(own_server):
    store = RedisStore(own_server.url)
    store.lease(NAME)
    with ThreadPoolExecutor(1) as thread:
        waits = thread.submit(store.wait, NAME, LEASE_SECONDS)
        while not waiting(own_server):
            assert not waits.done()
        own_server.run("REPLICAOF", "127.0.0.1", free_port())
        with pytest.raises(StoreError, match="takes no writes: it is a replica"):
            waits.result(PATIENCE)
    with pytest.raises(StoreError, match="takes no writes: it is a replica"):
        store.lease(NAME)
    assert store.load(NAME)[0] is None  # which needs no writing


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "is starting"),
        (b"-MISCONF Redis is configured to save RDB snapshots\r\n", r"answered with an error \(MISCONF\)\."),
        (b"-ERR unknown command 'EVAL', with args beginning with: 'canary'\r\n", r"answered with an error\."),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", r"InvalidResponse\.$"),
    ],
)
def test_odd_answers(answer, says, raw_redis):
    store = RedisStore(raw_redis(answer))
    with pytest.raises(StoreError, match=says) as caught:
        store.load(NAME)
    assert "canary" not in shown(caught.value)


@pytest.fixture
def raw_redis() -> Iterator[Callable[[bytes], str]]:
    """A server that greets as Redis does, and answers each script with the same bytes."""
    with contextlib.ExitStack() as stack:

        def start(answer: bytes) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                connection, _ = listener.accept()
                with connection:
                    while (data := connection.recv(65536)) and b"EVAL" not in data:
                        connection.sendall(b"+OK\r\n" * data.count(b"SETINFO"))
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join, PATIENCE)
            return f"redis://127.0.0.1:{listener.getsockname()[1]}"

        yield start


# --- Time ------------------------------------------------------------------------------------------------------------


def test_who_does_not_answer_is_passed_over_for_a_while(own_server):
    store = RedisStore(own_server.url, socket_timeout=0.6)
    store.load(NAME)
    now, clock = [0.0], time.monotonic
    store._monotonic = lambda: clock() + now[0]
    own_server.pause()
    with pytest.raises(StoreError, match=r"did not answer in time: .*packets\.$"):
        store.load(NAME)
    began = clock()
    fails(store, r"did not answer in time: .* It is passed over for [0-5]\.[0-9] s yet\.")
    assert clock() - began < 0.5
    own_server.resume()
    fails(store, "It is passed over")
    now[0] += 5.1
    round_trip(store)


def test_a_server_that_is_restarted_is_not_passed_over(own_server):
    """Even if somebody had waited for a lease, which takes long without being slow."""
    now, store = [0.0], RedisStore(own_server.url)
    store._monotonic = lambda: now[0]
    store.lease(NAME)
    with ThreadPoolExecutor(1) as thread:
        waits = thread.submit(store.wait, NAME, LEASE_SECONDS)
        while not waiting(own_server):
            assert not waits.done()
        now[0] += 0.9
        own_server.restart()
        with pytest.raises(StoreError, match="cannot be reached"):
            waits.result(PATIENCE)
    round_trip(store)


def connections(server: RedisServer) -> set[str]:
    """Those that are not this test's."""
    return {client["id"] for client in server.run("CLIENT LIST") if client["cmd"] == "eval"}


def test_connections_are_kept_for_a_turn_and_not_for_an_hour(server, store):
    now, clock = [0.0], time.monotonic
    store._monotonic = lambda: clock() + now[0]
    store.load(NAME)
    (first,) = connections(server)
    store.load(NAME)
    assert connections(server) == {first}
    now[0] += 60
    store.load(NAME)
    (second,) = connections(server)
    assert second != first
    store.close()
    assert connections(server) == set()
    store.load(NAME)
    assert len(connections(server)) == 1


# --- Processes -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_has_connections_of_its_own(server, store):
    """Also where it was forked while another thread waited."""
    lease = store.lease(NAME)
    with ThreadPoolExecutor(1) as thread:
        waits = thread.submit(store.wait, NAME, LEASE_SECONDS)
        while not waiting(server):
            assert not waits.done()
        before = {client["id"] for client in server.run("CLIENT LIST")}
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                mine = store.lease(NAME) is None and store.load(NAME)[0] is None
                ids = {client["id"] for client in server.run("CLIENT LIST") if client["cmd"] == "eval"}
                os.write(writer, b"good" if mine and ids - before else b"bad")
            finally:
                os._exit(0)
        os.close(writer)
        assert os.read(reader, 10) == b"good"
        os.close(reader)
        os.waitpid(child, 0)
        assert store.load(NAME)[0] is None
        store.release(NAME, lease)
        waits.result(PATIENCE)
