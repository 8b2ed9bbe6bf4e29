"""A Redis server that is killed and started again, at times that a seed decides. What it kept is gone each time."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from .history import Span

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BINARY", "Redis"]

BINARY = shutil.which("redis-server") or shutil.which("valkey-server")
_LONGEST_DOWN = 4.0
"""Seconds."""
_PATIENCE = 30.0
"""Seconds for it to start or to stop; far more than it takes."""


class Redis:
    """Runs until it is stopped, but for its outages."""

    def __init__(self, folder: Path, seed: str, seconds_between: float) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port: int = listener.getsockname()[1]
        self._folder = folder
        self._chance = random.Random(seed)  # noqa: S311 -- no secret comes of it
        self._seconds_between = seconds_between
        self._outages: list[Span] = []
        self._ended = threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._do_harm)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def outages(self) -> tuple[Span, ...]:
        return tuple(self._outages)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self._stop()

    def _start(self) -> subprocess.Popen[bytes]:
        assert BINARY
        command = [BINARY, "--bind", "127.0.0.1", "--port", str(self._port), "--save", "", "--dir", str(self._folder)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + _PATIENCE
        while not self._answers():
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                raise SystemExit("The Redis server does not start: see whether another has taken its port.")
            time.sleep(0.01)
        return process

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def _stop(self) -> None:
        if self._chance.random() < 0.5:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(_PATIENCE)

    def _do_harm(self) -> None:
        while not self._ended.wait(self._chance.expovariate(1 / self._seconds_between)):
            began = time.monotonic()
            self._stop()
            self._ended.wait(self._chance.uniform(0.1, _LONGEST_DOWN))
            self._process = self._start()
            self._outages.append(Span(began, time.monotonic()))
