"""A Redis or Valkey server of the tests' own, and hosts that share it: network namespaces with processes in them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
import redis

SERVERS = [name for name in ("redis-server", "valkey-server") if shutil.which(name)]
PASSWORD = "canary-redis-5f10c8"
PATIENCE = 60.0
"""Seconds after which a test that waits for others gives up; far more than it takes."""

needs_redis = pytest.mark.skipif(not SERVERS, reason="no Redis server here: apt-get install redis-server")


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0)) as listener:
        return listener.getsockname()[1]


@dataclass
class RedisServer:
    """A server of one's own, with a password, which keeps nothing when it stops."""

    folder: Path
    binary: str = field(default_factory=lambda: SERVERS[0])
    host: str = "127.0.0.1"
    options: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.port = self.port or free_port(self.host)
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@{self.host}:{self.port}/0"

    def start(self) -> None:
        command = [self.binary, "--bind", self.host, "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--save", "", "--requirepass", PASSWORD, "--enable-debug-command", "yes", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        log = ""
        while "Ready to accept connections" not in log:
            line = self.process.stdout.readline()
            assert line, log
            log += line

    def stop(self) -> None:
        """End it at once; what it kept is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Hang, from the next moment on that anybody can see."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def client(self, **args: Any) -> redis.Redis:
        return redis.Redis(host=self.host, port=self.port, **{"password": PASSWORD, "protocol": 2, **args})

    def run(self, *command: str | float) -> Any:
        with self.client() as client:
            return client.execute_command(*command)


# --- Hosts -----------------------------------------------------------------------------------------------------------


def no_namespaces() -> str:
    """Why there can be none here; nothing if there can."""
    if not shutil.which("ip"):
        return "no network namespaces here: apt-get install iproute2"
    if subprocess.run(["ip", "netns", "add", f"domo-{os.getpid()}"], capture_output=True, check=False).returncode:
        return "no network namespaces here: they need root and CAP_NET_ADMIN"
    subprocess.run(["ip", "netns", "delete", f"domo-{os.getpid()}"], check=True)
    return ""


@contextlib.contextmanager
def network(number: int) -> Iterator[tuple[str, list[str]]]:
    """As many hosts on one bridge: the bridge's address, and the names of the namespaces.

    The addresses are those for measurements (RFC 2544): no real host has one.
    """
    unique, subnet = os.getpid(), f"198.18.{os.getpid() % 255}"
    bridge, names = f"domo{unique}", [f"domo-{unique}-{each}" for each in range(number)]
    with contextlib.ExitStack() as stack:

        def ip(*words: str, undo: tuple[str, ...] = ()) -> None:
            subprocess.run(["ip", *words], check=True)
            if undo:
                stack.callback(subprocess.run, ["ip", *undo], check=False)

        ip("link", "add", bridge, "type", "bridge", undo=("link", "delete", bridge))
        ip("address", "add", f"{subnet}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for each, name in enumerate(names):
            outer = f"v{each}d{unique}"
            ip("netns", "add", name, undo=("netns", "delete", name))
            ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", outer, "master", bridge, "up")
            ip("-n", name, "address", "add", f"{subnet}.{10 + each}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield f"{subnet}.1", names


# Runs on each host. It makes a listener on the host's loopback, for the relay, and then processes as it is told. A
# process tells what it does in lines; after a fork it has nothing of the store or the provider from before.
HOST = """
import json, logging, os, socket, sys, time
from domo_oauth import ClientCredentials, Clock, RedisStore, TokenProvider
import domo_oauth.request, domo_oauth.stores.sealing, redis.lock
import cryptography.hazmat.primitives.ciphers.aead, cryptography.hazmat.primitives.kdf.hkdf

class Warnings(logging.Handler):
    def emit(self, record):
        warnings.append(record.getMessage())

def say(event, **more):
    os.write(1, (json.dumps({"event": event, "pid": os.getpid()} | more) + "\\n").encode())

def wait_for(pipe):
    os.close(pipe[1])
    os.read(pipe[0], 1)

def one(phases, url, store, store_args):
    later = [0.0]
    clock = Clock(monotonic=lambda: time.monotonic() + later[0], wall=lambda: time.time() + later[0],
                  random=lambda: 0.0)
    hooks = {"event_hooks": {"request": [lambda request: say("asks")]}}
    provider = TokenProvider(ClientCredentials.from_env(), store=RedisStore(store, **store_args), base_url=url,
                             httpx_args=hooks, clock=clock)
    say("ready")
    before = None
    for number, phase in enumerate(phases):
        wait_for(phase)
        began = time.monotonic()
        later[0] = number * 3400.0  # stale for 101 s by then, and not yet spent
        token = then = provider.get_token()
        took = time.monotonic() - began
        while then == before:
            time.sleep(0.01)
            then = provider.get_token()
        before = then
        say("token", token=token.access_token, then=then.access_token, took=took,
            landed=time.monotonic() - began, warnings=list(warnings), waits=provider.stats().waits)
        warnings.clear()

warnings = []
logging.getLogger("domo_oauth").addHandler(Warnings())
at = ("127.0.0.1", int(sys.argv[2]))
with socket.create_server(at, backlog=128) as listener, socket.socket(fileno=int(sys.argv[1])) as test:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    socket.send_fds(test, [b"x"], [listener.fileno()])
for line in sys.stdin:
    told = json.loads(line)
    if "start" in told:
        phases, children = [os.pipe() for _ in range(told["phases"])], []
        for _ in range(told["start"]):
            child = os.fork()
            if not child:
                try:
                    one(phases, url, told["store"], told["store_args"])
                except BaseException as error:
                    say("failed", error=repr(error))
                finally:
                    os._exit(0)
            children.append(child)
        for reader, _ in phases:
            os.close(reader)
    elif "go" in told:
        os.close(phases[told["go"]][1])
    else:
        for child in children:
            os.waitpid(child, 0)
        say("ended")
"""


class Relay:
    """Carries what comes in on the hosts' loopback to the sandbox, which takes loopback only."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.on_answer: Callable[[], object] | None = None
        """Called once, when an answer has come from the sandbox and nobody has it yet."""
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def serve(self, listener: socket.socket) -> None:
        self._listeners.append(listener)
        self._run(self._accept, listener)

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
                self._run(self._converse, client, server)

    def _converse(self, client: socket.socket, server: socket.socket) -> None:
        answers = threading.Thread(target=self._carry, args=(server, client, True), daemon=True)
        with client, server:
            answers.start()
            self._carry(client, server)
            answers.join()

    def _carry(self, source: socket.socket, target: socket.socket, answers: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers:
                    with self._lock:
                        hook, self.on_answer = self.on_answer, None
                    if hook is not None:
                        hook()
                target.sendall(data)
        for each in (source, target):  # the other thread's turn to end
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)


class Host:
    """A host, in a namespace of its own if it has a name, and the processes on it."""

    def __init__(self, relay: Relay, namespace: str | None = None) -> None:
        ours, theirs = socket.socketpair()
        command = ["ip", "netns", "exec", namespace] if namespace else []
        # A token in a store is one for a base URL, so all hosts need the same port.
        command += [sys.executable, "-c", HOST, str(theirs.fileno()), str(relay.port if namespace else 0)]
        with ours, theirs:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[theirs.fileno()]
            )
            theirs.close()
            _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
        relay.serve(socket.socket(fileno=listener))

    def tell(self, **what: object) -> None:
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def read(self) -> Iterator[dict[str, Any]]:
        """What the processes say, until all have ended."""
        for line in self.process.stdout:
            said = json.loads(line)
            if said["event"] == "ended":
                return
            yield said

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class Fleet:
    """Hosts with a number of processes each, which share a server, and what they have said."""

    def __init__(self, port: int, namespaces: list[str | None]) -> None:
        self.relay = Relay(port)
        self.hosts = [Host(self.relay, namespace) for namespace in namespaces]
        self._said: list[dict[str, Any]] = []
        self._heard = threading.Condition()

    def start(self, url: str, processes: int, phases: int = 1, **store_args: object) -> None:
        """Start the processes, up to their first call."""
        self._said.clear()
        self._threads = [threading.Thread(target=self._listen, args=(host,)) for host in self.hosts]
        for host, thread in zip(self.hosts, self._threads, strict=True):
            host.tell(start=processes, phases=phases, store=url, store_args=store_args)
            thread.start()
        self.wait_for("ready", processes * len(self.hosts))

    def go(self, phase: int = 0) -> None:
        for host in self.hosts:
            host.tell(go=phase)

    def end(self) -> list[dict[str, Any]]:
        """Wait until all processes have ended, and give what they said about tokens."""
        for host in self.hosts:
            host.tell(end=True)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), self._said
        assert self.said("failed") == []
        return self.said("token")

    def said(self, event: str) -> list[dict[str, Any]]:
        with self._heard:
            return [each for each in self._said if each["event"] == event]

    def wait_for(self, event: str, number: int = 1) -> list[dict[str, Any]]:
        with self._heard:
            assert self._heard.wait_for(
                lambda: sum(each["event"] == event for each in self._said) >= number, PATIENCE
            ), self._said
        return self.said(event)

    def _listen(self, host: Host) -> None:
        for said in host.read():
            with self._heard:
                self._said.append(said)
                self._heard.notify_all()

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        self.relay.close()
