"""Processes that share a store, all ready to ask for a token at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes import PATIENCE


def in_child(work: Callable[[], object]) -> int:
    """Fork, and run a function in the child. The exit status is 0 if it returns something true."""
    child = os.fork()
    if not child:
        status = 1
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(PATIENCE))  # ends a child that waits forever
        try:
            status = not work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# They are forked from a process that has loaded all they need, and write what they do as lines of JSON.
FLEET = """
import json, os, sys, time
from domo_oauth import TokenProvider
from domo_oauth.stores import open_store
import domo_oauth.request, domo_oauth.stores.sealing, filelock, redis.lock
import cryptography.hazmat.primitives.ciphers.aead, cryptography.hazmat.primitives.kdf.hkdf

number, where, pause = int(sys.argv[1]), sys.argv[2], sys.argv[3]

def write(event, **details):
    os.write(1, json.dumps({"event": event, "pid": os.getpid(), **details}).encode() + b"\\n")

def answered(response):
    if os.path.exists(pause):
        write("answered")
        while os.path.exists(pause):  # until the test says so, or forever
            time.sleep(0.01)

def run():
    provider = TokenProvider.from_env(store=open_store(where), httpx_args={"event_hooks": {"response": [answered]}})
    write("ready")
    os.read(0, 1)  # until the test closes it, for all at once
    began = time.monotonic()
    token = provider.get_token()
    write("done", token=token.access_token, waited=time.monotonic() - began)

for _ in range(number):
    if os.fork() == 0:
        try:
            run()
        finally:
            os._exit(0)
for _ in range(number):
    os.wait()
"""


class Fleet:
    """Processes that are ready to ask for a token."""

    def __init__(self, process: subprocess.Popen[bytes], number: int) -> None:
        self._process = process
        for _ in range(number):
            self.until("ready")

    def until(self, event: str) -> dict[str, Any]:
        """The next event of this kind; others are skipped."""
        found: dict[str, Any] = {}
        while found.get("event") != event:
            line = self._process.stdout.readline()
            assert line, "all have ended"
            found = json.loads(line)
        return found

    def start(self) -> None:
        self._process.stdin.close()

    def done(self, number: int) -> list[dict[str, Any]]:
        return [self.until("done") for _ in range(number)]


@contextmanager
def fleet(number: int, where: str, pause: Path | str = "") -> Iterator[Fleet]:
    """Start processes that use a store. As long as the file `pause` exists, nobody gets a response."""
    command = [sys.executable, "-c", FLEET, str(number), where, str(pause)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield Fleet(process, number)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
