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


def in_child(work: Callable[[], object]) -> int:
    """Fork, and run a function in the child. The exit status is 0 if it returns something true."""
    child = os.fork()
    if not child:
        status = 1
        try:
            status = not work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# They are forked from a process that has loaded all they need, and tell what they do in lines of JSON.
FLEET = """
import hashlib, json, logging, os, sys, threading, time
from domo_oauth import ClientCredentials, Clock, DomoOAuthError, TokenProvider
from domo_oauth.stores import open_store
import domo_oauth.request, domo_oauth.stores.sealing, filelock, redis.lock
import cryptography.hazmat.primitives.ciphers.aead, cryptography.hazmat.primitives.kdf.hkdf

number, where, stale, pause = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "stale", sys.argv[4]
shift, warnings = 0.0, []
clock = Clock(lambda: time.monotonic() + shift, lambda: time.time() + shift, random=lambda: 0.0)

class Warnings(logging.Handler):
    def emit(self, record):
        warnings.append(record.getMessage())

def tell(event, **what):
    os.write(1, json.dumps({"event": event, "pid": os.getpid(), **what}).encode() + b"\\n")

def answered(response):
    if os.path.exists(pause) and (shift or not stale):
        tell("answered")
        while os.path.exists(pause):  # until the test says so, or for ever
            time.sleep(0.01)

def name_of(token):
    return hashlib.sha256(token.access_token.encode()).hexdigest()[:8]

def run():
    global shift
    args = {"event_hooks": {"response": [answered]}}
    provider = TokenProvider(ClientCredentials.from_env(), store=open_store(where), httpx_args=args, clock=clock)
    old = None
    if stale:
        old = provider.get_token()
        shift = old.expires_in - 200.0
    waits, requests = provider.stats().waits, provider.stats().requests
    tell("ready", token=old and name_of(old))
    os.read(0, 1)  # until the test closes it, for all at once
    began = time.monotonic()
    try:
        token = provider.get_token()
    except DomoOAuthError as error:
        tell("refused", error=repr(error))
        return
    waited, renewed = time.monotonic() - began, token
    while old is not None and renewed.access_token == old.access_token:
        time.sleep(0.05)
        renewed = provider.get_token()
    tell("done", token=name_of(token), renewed=name_of(renewed), waited=waited, took=time.monotonic() - began,
         waits=provider.stats().waits - waits, requests=provider.stats().requests - requests, warnings=warnings)

logging.getLogger("domo_oauth").addHandler(Warnings(logging.WARNING))
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
        self._process, self._number = process, number
        self._told: list[dict[str, Any]] = []
        self.ready = [self.until("ready") for _ in range(number)]

    def until(self, event: str) -> dict[str, Any]:
        """The next event of this kind; those before it are kept for later."""
        for each in self._told:
            if each["event"] == event:
                self._told.remove(each)
                return each
        while True:
            line = self._process.stdout.readline()
            assert line, f"all have ended, and nobody was {event}: {self._told}"
            self._told.append(json.loads(line))
            if self._told[-1]["event"] == event:
                return self._told.pop()

    def start(self) -> None:
        self._process.stdin.close()

    def done(self, number: int | None = None) -> list[dict[str, Any]]:
        return [self.until("done") for _ in range(number or self._number)]


@contextmanager
def fleet(number: int, where: str, mode: str = "cold", pause: Path | str = "") -> Iterator[Fleet]:
    """Start processes that use a store.

    Args:
        mode: "cold", or "stale" for processes that have a token which is about to expire.
        pause: As long as there is this file, the process that gets an answer keeps it to itself.
    """
    command = [sys.executable, "-c", FLEET, str(number), where, mode, str(pause)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield Fleet(process, number)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
