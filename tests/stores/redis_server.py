"""A Redis or Valkey server for the tests, and a stand-in that speaks as much of its protocol as `RedisStore` needs."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import redis

SERVERS = [name for name in (os.environ.get("REDIS_SERVER", ""), "redis-server", "valkey-server") if shutil.which(name)]
"""The first one is used. `REDIS_SERVER=/path/valkey-server` tries another one."""
PASSWORD = "canary-redis-5f10c8"
READY = "Ready to accept connections"

NO_REDIS = "no Redis server here: apt-get install redis-server"
needs_redis = pytest.mark.skipif(not SERVERS, reason=NO_REDIS)


@dataclass
class RedisServer:
    """A server with a password, which keeps nothing when it stops. Its options may name the `OTHER_PORT`."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        log = "Address already in use"
        while "Address already in use" in log:
            self.stop()
            # Both ports are below those of outgoing connections, one of which could take them before the server does.
            self.port = random.SystemRandom().randrange(10_000, 20_000)
            log = self.start()
        assert READY in log, log
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> str:
        """Return what the server says until it is ready, or ends."""
        command = [SERVERS[0], "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--save", "", "--requirepass", PASSWORD, "--masterauth", PASSWORD]
        command += [option.replace("OTHER_PORT", str(self.port + 10_000)) for option in self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        log = ""
        while READY not in log and (line := self.process.stdout.readline()):
            log += line
        return log

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

    def client(self, **args: Any) -> redis.Redis:
        return redis.Redis(host="127.0.0.1", port=self.port, **{"password": PASSWORD, "protocol": 2, **args})

    def run(self, *command: str | float) -> Any:
        with self.client() as client:
            return client.execute_command(*command)


class StandIn(socketserver.ThreadingTCPServer):
    """For machines without Redis, and for responses that are hard to get from a real one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.url = f"redis://127.0.0.1:{self.server_address[1]}"
        self.entries: dict[bytes, tuple[bytes, float]] = {}
        self.answers: dict[str, bytes] = {}
        """What to answer to commands, in place of the right response."""

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
        elif command in {"del", "evalsha"}:
            return b":%d\r\n" % (self.entries.pop(key, None) is not None)
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
