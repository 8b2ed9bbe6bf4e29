"""A Redis or Valkey server for the tests, and a stand-in that speaks as much of its protocol as `RedisStore` needs."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
import redis

SERVERS = [name for name in ("redis-server", "valkey-server") if shutil.which(name)]
PASSWORD = "canary-redis-5f10c8"
PATIENCE = 60.0
"""Seconds after which a test that waits gives up."""

NO_REDIS = "no Redis server here: apt-get install redis-server"
needs_redis = pytest.mark.skipif(not SERVERS, reason=NO_REDIS)


def free_port() -> int:
    """A port below those of outgoing connections, one of which could take it before the server does."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@dataclass
class RedisServer:
    """A server with a password, which keeps nothing when it stops."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [SERVERS[0], "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--save", "", "--requirepass", PASSWORD, "--enable-debug-command", "yes", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        log = ""
        while "Ready to accept connections" not in log:
            line = self.process.stdout.readline()
            assert line, log
            log += line

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def client(self, **args: Any) -> redis.Redis:
        return redis.Redis(host="127.0.0.1", port=self.port, **{"password": PASSWORD, "protocol": 2, **args})

    def run(self, *command: str | float) -> Any:
        with self.client() as client:
            return client.execute_command(*command)


class StandIn(socketserver.ThreadingTCPServer):
    """For machines without Redis, and for answers that are hard to get from a real one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.url = f"redis://127.0.0.1:{self.server_address[1]}"
        self.entries: dict[bytes, tuple[bytes, float]] = {}
        self.answers: dict[str, bytes] = {}
        """What to answer to commands, in place of the right answer."""

    def answer(self, command: str, key: bytes, *words: bytes) -> bytes:
        if command in self.answers:
            return self.answers[command]
        if command == "evalsha":  # releases a lock; after the hash come the number of keys, the key and its value
            key = words[1]
        value, expires_at = self.entries.get(key, (b"", 0.0))
        value = value if time.monotonic() < expires_at else b""
        if command == "set" and not (value and b"NX" in words):
            self.entries[key] = words[0], time.monotonic() + int(words[words.index(b"PX") + 1]) / 1000
        elif command == "set":
            return b"$-1\r\n"
        elif command == "getrange":
            return b"$%d\r\n%b\r\n" % (len(value), value)
        elif command == "scan":
            keys = [each for each in self.entries if b":lock" not in each]
            return b"*2\r\n$1\r\n0\r\n*%d\r\n" % len(keys) + b"".join(b"$%d\r\n%b\r\n" % (len(e), e) for e in keys)
        elif command in {"del", "evalsha"}:
            free = command == "del" or value == words[2]
            return b":%d\r\n" % (free and self.entries.pop(key, None) is not None)
        return b"+OK\r\n"


class _Connection(socketserver.StreamRequestHandler):
    server: StandIn

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while head := self.rfile.readline():
                words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
                self.wfile.write(self.server.answer(words[0].decode().lower(), *words[1:]))


@contextlib.contextmanager
def stand_in() -> Iterator[StandIn]:
    with StandIn() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
