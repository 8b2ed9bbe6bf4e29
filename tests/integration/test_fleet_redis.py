"""Processes on several hosts that share a token by a real Redis server, and what happens when that fails."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

import anyio
import pytest

from domo_oauth import ClientCredentials, Clock, TokenProvider, timing
from domo_oauth.provider import Stats
from domo_oauth.sandbox import Sandbox, running
from domo_oauth.stores.redis import RedisStore
from tests.integration.redis_server import SERVERS, Fleet, RedisServer, needs_redis, network, no_namespaces

HOSTS, PROCESSES = 4, 8
UNHURRIED = {"socket_connect_timeout": 30.0, "socket_timeout": 30.0}
"""For counts that must not depend on how busy this machine is."""

pytestmark = [needs_redis, pytest.mark.once]


@pytest.fixture(scope="module", params=SERVERS)
def binary(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def slow_sandbox() -> Iterator[Sandbox]:
    with running(delay=0.2, quiet=True) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(slow_sandbox) -> Sandbox:
    slow_sandbox.reset()
    return slow_sandbox


@contextlib.contextmanager
def fleet_of(sandbox: Sandbox, namespaces: list[str | None]) -> Iterator[Fleet]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.env.items():
            patch.setenv(name, value)
        fleet = Fleet(urlsplit(sandbox.url).port, namespaces)
    with contextlib.closing(fleet):
        yield fleet


@pytest.fixture(scope="module")
def one_host(slow_sandbox) -> Iterator[Fleet]:
    with fleet_of(slow_sandbox, [None]) as fleet:
        yield fleet


@pytest.fixture
def server(binary, tmp_path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path, binary) as server:
        yield server


# --- Four hosts ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hosts(binary, slow_sandbox, tmp_path_factory) -> Iterator[tuple[RedisServer, Fleet]]:
    """Four hosts, each with an address of its own, and a server at the address of the bridge between them."""
    if reason := no_namespaces():
        pytest.skip(reason)
    with (
        network(HOSTS) as (address, names),
        RedisServer(tmp_path_factory.mktemp("redis"), binary, address) as server,
        fleet_of(slow_sandbox, names) as fleet,
    ):
        yield server, fleet


@pytest.fixture
def four_hosts(hosts, sandbox) -> tuple[RedisServer, Fleet]:
    hosts[0].run("FLUSHALL")
    return hosts


def test_32_processes_on_4_hosts(four_hosts, sandbox):
    server, fleet = four_hosts
    fleet.start(server.url, PROCESSES, **UNHURRIED)
    fleet.go()
    seen = fleet.end()
    assert len(seen) == HOSTS * PROCESSES
    assert len({each["token"] for each in seen}) == 1
    assert sandbox.stats().token_requests == 1
    assert not [each["warnings"] for each in seen if each["warnings"]]


def test_each_host_has_its_own_address(four_hosts, sandbox):
    server, fleet = four_hosts
    fleet.start(server.url, 1, phases=2, **UNHURRIED)
    fleet.go()
    fleet.wait_for("token", HOSTS)
    addresses = {client["addr"].rsplit(":", 1)[0] for client in server.run("CLIENT LIST")}
    fleet.go(1)
    fleet.end()
    assert len(addresses) == HOSTS + 1  # and the test itself


def test_the_holder_is_killed_in_mid_fetch(four_hosts, sandbox):
    """One more request, and nobody waits for longer than the lease lasts, and that request."""
    server, fleet = four_hosts

    def kill() -> None:
        (holder,) = fleet.wait_for("asks")
        os.kill(holder["pid"], signal.SIGKILL)

    fleet.relay.on_answer = kill
    fleet.start(server.url, PROCESSES, **UNHURRIED)
    fleet.go()
    seen = fleet.end()
    assert len(seen) == HOSTS * PROCESSES - 1
    assert len({each["token"] for each in seen}) == 1
    assert sandbox.stats().token_requests == 2
    assert timing.REDIS_LEASE - 1 < max(each["took"] for each in seen) < timing.LOCK_WAIT


def test_renewal(four_hosts, sandbox):
    """All have a token that gets old: one request, and all are given the old one meanwhile."""
    server, fleet = four_hosts
    fleet.start(server.url, PROCESSES, phases=2, **UNHURRIED)
    fleet.go()
    first = fleet.wait_for("token", HOSTS * PROCESSES)
    fleet.go(1)
    second = fleet.end()[len(first) :]
    assert len(first) == len(second) == HOSTS * PROCESSES
    (old,), (new,) = {each["then"] for each in first}, {each["then"] for each in second}
    assert {each["token"] for each in second} == {old} != {new}
    assert sandbox.stats().token_requests == 2


# --- At rest ---------------------------------------------------------------------------------------------------------


def forms(secret: str) -> set[bytes]:
    """The ways in which somebody would look for it."""
    plain = secret.encode()
    ways = {plain, plain.hex().encode(), plain.hex().upper().encode(), quote(secret, safe="").encode()}
    for start in range(3):  # wherever it begins in a longer text; the last characters depend on what follows
        encoded = base64.b64encode(b" " * start + plain)
        ways |= {each.rstrip(b"=")[4 if start else 0 : -2] for each in (encoded, encoded.translate(URL_SAFE))}
    return ways | {way[::-1] for way in ways}


URL_SAFE = bytes.maketrans(b"+/", b"-_")


def test_nothing_at_rest_tells_anything(server, one_host, sandbox, tmp_path):
    """Keys and values, and what the server writes to its disk, in mid-fetch and then."""
    kept = []

    def look() -> None:
        keys = server.run("KEYS", "*")
        kept.extend(keys + [server.run("DUMP", key) for key in keys])
        server.run("SAVE")
        kept.append((tmp_path / "dump.rdb").read_bytes())

    server.run("CONFIG", "SET", "rdbcompression", "no")
    one_host.relay.on_answer = look
    one_host.start(server.url, 1)
    one_host.go()
    (seen,) = one_host.end()
    mid_fetch = len(kept)
    look()
    assert any(each.endswith(b":lock") for each in kept[:mid_fetch])
    assert any(each.startswith(b"domo-oauth:") and not each.endswith(b":lock") for each in kept[mid_fetch:])
    claims = seen["token"].split(".")[1]
    secrets = [seen["token"], claims, sandbox.client_id, sandbox.client_secret, sandbox.url, "access_token", "customer"]
    for secret in secrets:
        assert not [each for each in kept for form in forms(secret) if form in each]


def test_the_ways_to_look_for_a_secret_find_it():
    for hidden in (b"xxsecret-1/2?", base64.b64encode(b"a secret-1/2? b"), b"secret-1/2?".hex().encode()):
        assert any(form in hidden for form in forms("secret-1/2?"))
        assert any(form in hidden[::-1] for form in forms("secret-1/2?"))


# --- Event loops -----------------------------------------------------------------------------------------------------


def test_event_loops_share_a_token_with_others(server, sandbox, anyio_backend):
    """One asks, and another finds it; they have clocks of their own, so that they share nothing within the process."""
    store, credentials = RedisStore(server.url), ClientCredentials(sandbox.client_id, sandbox.client_secret)

    async def ask() -> tuple[str, Stats]:
        clock = Clock(random=lambda: 0.0)
        async with TokenProvider(credentials, store=store, base_url=sandbox.url, clock=clock) as provider:
            return (await provider.aget_token()).access_token, provider.stats()

    (first, asked), (second, found) = anyio.run(ask, backend=anyio_backend), anyio.run(ask, backend=anyio_backend)
    assert first == second
    assert (asked.requests, asked.stored, found.requests, found.stored) == (1, 0, 0, 1)
    assert sandbox.stats().token_requests == 1


# --- Faults ----------------------------------------------------------------------------------------------------------


FEW = 4


def is_accepted(sandbox: Sandbox, token: str) -> bool:
    connection = HTTPConnection(urlsplit(sandbox.url).netloc, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/v1/datasets", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status == 200


def debug_sleep(server: RedisServer) -> None:
    """Leave the server busy for longer than anybody waits for it."""
    with server.client() as client:
        connection = client.connection_pool.get_connection()
        connection.send_command("DEBUG", "SLEEP", "8")
        connection.disconnect()


def change_password(server: RedisServer) -> None:
    server.run("CONFIG", "SET", "requirepass", "another")
    with server.client(password="another") as client:
        client.client_kill_filter(_type="normal", skipme=True)


def become_a_replica(server: RedisServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    server.run("REPLICAOF", "127.0.0.1", port)


def fill_up(server: RedisServer) -> None:
    server.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.run("CONFIG", "SET", "maxmemory", 1)


FAULTS = {
    "stopped": RedisServer.stop,
    "restarted": RedisServer.restart,
    "flushed": lambda server: server.run("FLUSHALL"),
    "busy": debug_sleep,
    "hangs": RedisServer.pause,
    "full": fill_up,
    "password": change_password,
    "replica": become_a_replica,
}
HEALTHY = {"restarted", "flushed"}
"""After these the server is as good as new."""
NOTICED = {
    "stopped": ("cannot be reached",),
    "restarted": ("cannot be reached",),
    "busy": ("did not answer in time",),
    "hangs": ("did not answer in time",),
    "full": ("is full",),
    "password": ("refused the user or password", "cannot be reached"),
    "replica": ("is a replica",),
}
"""What the warnings say, or one of them; who waits while the password is changed sees only that the line is cut."""
MOST = timing.LOCK_WAIT
"""Seconds in which all is over: more than an answer that does not come, twice, and less than to wait for a lease."""


def check(sandbox: Sandbox, seen: list[dict[str, object]], fault: str, requests: int) -> None:
    """All have a token, and none has cost more than a request and a warning of his own."""
    assert len(seen) == FEW
    for each in seen:
        assert is_accepted(sandbox, each["then"])
        assert len(each["warnings"]) <= 1
        assert all(any(text in told for text in NOTICED[fault]) for told in each["warnings"])
        assert each["landed"] < MOST
    assert 1 <= requests <= FEW


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_before_anybody_asks(fault, server, one_host, sandbox):
    one_host.start(server.url, FEW)
    FAULTS[fault](server)
    one_host.go()
    seen = one_host.end()
    requests = sandbox.stats().token_requests
    check(sandbox, seen, fault, requests)
    assert sum(len(each["warnings"]) for each in seen) == (0 if fault in HEALTHY else FEW)
    assert requests == (1 if fault in HEALTHY else FEW)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_while_one_asks_and_the_others_wait(fault, server, one_host, sandbox):
    one_host.relay.on_answer = lambda: FAULTS[fault](server)
    one_host.start(server.url, FEW)
    one_host.go()
    check(sandbox, one_host.end(), fault, sandbox.stats().token_requests)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_before_a_renewal(fault, server, one_host, sandbox):
    one_host.start(server.url, FEW, phases=2)
    one_host.go()
    first = one_host.wait_for("token", FEW)
    assert sandbox.stats().token_requests == 1
    FAULTS[fault](server)
    one_host.go(1)
    second = one_host.end()[FEW:]
    check(sandbox, second, fault, sandbox.stats().token_requests - 1)
    assert {each["token"] for each in second} == {first[0]["token"]}  # the old one meanwhile
    assert first[0]["token"] not in {each["then"] for each in second}
    assert sandbox.stats().token_requests - 1 == (1 if fault in HEALTHY else FEW)
