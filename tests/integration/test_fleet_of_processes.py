"""Many processes with one file store, against a real server: how many requests they make, and who waits.

The processes are forked off one that has loaded all they need, so that a hundred of them can start at once. They tell
what they do in lines of JSON. All that a test waits for is told; nothing depends on how quick the machine is.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import time
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from domo_oauth import ClientCredentials, Clock, FileStore, TokenProvider, timing
from domo_oauth.sandbox import Sandbox, running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"), pytest.mark.once]

FLEET = """
import hashlib, json, os, sys, threading, time
from domo_oauth import ClientCredentials, Clock, DomoOAuthError, FileStore, TokenProvider
import domo_oauth.request, domo_oauth.stores.sealing, filelock, httpx
import cryptography.hazmat.primitives.ciphers.aead, cryptography.hazmat.primitives.kdf.hkdf

number, folder, mode, pause = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
shift = 0.0
clock = Clock(lambda: time.monotonic() + shift, lambda: time.time() + shift, random=lambda: 0.0)

def tell(**what):
    os.write(1, json.dumps({"pid": os.getpid(), **what}).encode() + b"\\n")

def asks(request):
    if shift or mode == "cold":
        tell(event="asks")

def answered(response):
    if not os.path.exists(pause) or not (shift or mode == "cold"):
        return
    try:
        os.mkdir(pause + ".taken")
    except FileExistsError:
        return
    tell(event="answered")
    while os.path.exists(pause):  # until the test says so, or for ever
        time.sleep(0.01)

def name_of(token):
    return hashlib.sha256(token.access_token.encode()).hexdigest()[:8]

def run():
    global shift
    hooks = {"request": [asks], "response": [answered]}
    provider = TokenProvider(
        ClientCredentials.from_env(), store=FileStore(folder), httpx_args={"event_hooks": hooks}, clock=clock
    )
    old = None
    if mode == "stale":
        old = provider.get_token()
        shift = old.expires_in - 200.0
    waits = provider.stats().waits
    tell(event="ready", token=old and name_of(old))
    os.read(0, 1)  # until the test closes it, for all at once
    began = time.monotonic()
    try:
        token = provider.get_token()
    except DomoOAuthError as error:
        tell(event="refused", error=repr(error), requests=provider.stats().requests)
        return
    waited = time.monotonic() - began
    renewed = token
    while old is not None and renewed.access_token == old.access_token:
        time.sleep(0.05)
        renewed = provider.get_token()
    tell(
        event="done", token=name_of(token), renewed=name_of(renewed), waited=waited,
        took=time.monotonic() - began, requests=provider.stats().requests, waits=provider.stats().waits - waits,
    )

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

    def __init__(self, process: subprocess.Popen, number: int) -> None:
        self._process, self._number, self._told = process, number, []
        self.ready = [self.until("ready") for _ in range(number)]

    def until(self, event: str) -> dict:
        """The next event of this kind; those before it are kept for later."""
        for each in self._told:
            if each["event"] == event:
                self._told.remove(each)
                return each
        while True:
            line = self._process.stdout.readline()
            assert line, f"all have ended, and nobody was {event}"
            told = json.loads(line)
            if told["event"] == event:
                return told
            self._told.append(told)

    def start(self) -> None:
        self._process.stdin.close()

    def done(self, number: int | None = None) -> list[dict]:
        return [self.until("done") for _ in range(number or self._number)]


@contextmanager
def fleet(number: int, folder: Path, mode: str = "cold", pause: Path | str = "") -> Iterator[Fleet]:
    with subprocess.Popen(
        [sys.executable, "-c", FLEET, str(number), str(folder), mode, str(pause)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            yield Fleet(process, number)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def slow_sandbox() -> Iterator[Sandbox]:
    with running(delay=0.2, quiet=True) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(slow_sandbox, monkeypatch) -> Sandbox:
    slow_sandbox.reset()
    for name, value in slow_sandbox.env.items():
        monkeypatch.setenv(name, value)
    return slow_sandbox


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def pause(tmp_path) -> Path:
    """As long as this file is there, the first that is answered keeps the answer to itself."""
    (tmp_path / "pause").touch()
    return tmp_path / "pause"


def one_token(done: list[dict]) -> bool:
    return len({each["renewed"] for each in done}) == 1


def report(what: str, done: list[dict], sandbox: Sandbox) -> None:
    slowest, took = max(each["waited"] for each in done), max(each["took"] for each in done)
    requests = sandbox.stats().token_requests
    print(f"FIGURES {what}: {requests} requests, slowest wait {slowest:.3f} s, all renewed after {took:.3f} s")


# How many requests.


@pytest.mark.parametrize("number", [8, 32, 100])
def test_processes_that_start_at_once_make_one_request(sandbox, folder, number):
    with fleet(number, folder) as processes:
        processes.start()
        done = processes.done()
    report(f"{number} cold", done, sandbox)
    assert sandbox.stats().token_requests == 1
    assert one_token(done)
    assert max(each["waited"] for each in done) < timing.LOCK_WAIT


@pytest.mark.parametrize("number", [8, 32, 100])
def test_processes_that_renew_at_once_make_one_request_and_nobody_waits(sandbox, folder, number):
    with fleet(number, folder, "stale") as processes:
        assert sandbox.stats().token_requests == 1
        (old,) = {each["token"] for each in processes.ready}
        processes.start()
        done = processes.done()
    report(f"{number} stale", done, sandbox)
    assert sandbox.stats().token_requests == 2
    assert one_token(done)
    assert {each["token"] for each in done} == {old}, "somebody waited for the new one"
    assert {each["waits"] for each in done} == {0}


def test_processes_that_start_at_once_share_a_refusal(folder, wire, monkeypatch):
    server = wire(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("DOMO_API_URL", server.url)
    monkeypatch.setenv("DOMO_CLIENT_ID", "canary-client")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "canary-secret")
    with fleet(32, folder) as processes:
        processes.start()
        told = [processes.until("refused") for _ in range(32)]
    assert len(server.requests) == sum(each["requests"] for each in told) == 1
    assert len({each["error"] for each in told}) == 1
    assert "RateLimitedError" in told[0]["error"]


@pytest.mark.parametrize("mode", ["cold", "stale"])
@pytest.mark.parametrize("number", [8, 32, 100])
def test_when_the_one_that_asks_is_killed_another_asks(sandbox, folder, pause, mode, number):
    with fleet(number, folder, mode, pause) as processes:
        before = sandbox.stats().token_requests
        processes.start()
        os.kill(processes.until("answered")["pid"], signal.SIGKILL)  # it has the answer, and the lease
        done = processes.done(number - 1)
    report(f"{number} {mode}, kill -9", done, sandbox)
    assert sandbox.stats().token_requests == before + 2
    assert one_token(done)
    assert max(each["took"] for each in done) < timing.LOCK_WAIT
    if mode == "stale":
        assert {each["waits"] for each in done} == {0}
        assert {each["token"] for each in done} == {processes.ready[0]["token"]}


def test_when_it_is_killed_before_it_has_an_answer_another_asks(monkeypatch, folder):
    with running(delay=2.0, quiet=True) as slower:
        for name, value in slower.env.items():
            monkeypatch.setenv(name, value)
        with fleet(8, folder) as processes:
            processes.start()
            pid = processes.until("asks")["pid"]
            while not slower.stats().token_requests:
                pass
            os.kill(pid, signal.SIGKILL)
            done = processes.done(7)
        assert slower.stats().token_requests == 2
    assert one_token(done)
    assert max(each["waited"] for each in done) < timing.LOCK_WAIT


def test_waiters_that_are_killed_take_nothing_along(sandbox, folder, pause):
    with fleet(16, folder, pause=pause) as processes:
        processes.start()
        holder = processes.until("answered")["pid"]
        for each in [ready["pid"] for ready in processes.ready if ready["pid"] != holder][:8]:
            os.kill(each, signal.SIGKILL)
        pause.unlink()
        done = processes.done(8)
    assert sandbox.stats().token_requests == 1
    assert one_token(done)


def test_a_process_that_was_stopped_is_waited_for_once(monkeypatch, folder):
    """Ctrl-Z, a debugger, docker pause, a laptop's lid: it holds the lock, and does not die."""
    with running(delay=1.0, quiet=True) as slower:
        for name, value in slower.env.items():
            monkeypatch.setenv(name, value)
        with fleet(3, folder) as processes:
            processes.start()
            stopped = processes.until("asks")["pid"]
            os.kill(stopped, signal.SIGSTOP)
            waited = sorted(each["waited"] for each in processes.done(2))
            assert timing.LOCK_WAIT <= waited[0] <= waited[1] < timing.LOCK_WAIT + 5
            with TokenProvider(ClientCredentials.from_env(), store=FileStore(folder)) as later:
                began = time.monotonic()
                later.get_token()
                assert time.monotonic() - began < 5
                assert later.stats().stored == 1
            os.kill(stopped, signal.SIGCONT)
            assert processes.until("done")["pid"] == stopped
        assert slower.stats().token_requests <= 3


# In one process, as one after the other uses the store.


@pytest.fixture
def provider(sandbox, folder):
    """Make a provider like that of a process which has just started."""

    def make() -> TokenProvider:
        return TokenProvider(ClientCredentials.from_env(), store=FileStore(folder), clock=Clock(random=lambda: 0.0))

    return make


def test_the_next_process_makes_no_request(provider, sandbox):
    with provider() as first, provider() as second:
        assert first.get_token() == second.get_token()
        assert second.stats().stored == 1
    assert sandbox.stats().token_requests == 1


def forms(text: str) -> set[bytes]:
    """What would show it, too."""
    plain = text.encode()
    shown = {plain, plain[::-1], text.encode("utf-16-le"), plain.hex().encode(), plain.hex().upper().encode()}
    for shift in range(3):  # base64 looks different for each place it may start at
        shown |= {each(b"x" * shift + plain)[4:-4] for each in (base64.b64encode, base64.urlsafe_b64encode)}
    return {form for form in shown if len(form) > 3}


def test_nothing_shows_at_rest(provider, sandbox, folder):
    with provider() as first:
        token = first.get_token()
    secrets = [token.access_token, *token.access_token.split("."), sandbox.client_id, sandbox.client_secret]
    secrets += [sandbox.url, token.customer, "access_token", "expires_at"]
    rest = b"".join(os.fsencode(each) + b"\n" + each.read_bytes() for each in folder.iterdir())
    for secret in secrets:
        for form in forms(secret):
            assert form not in rest
            assert form in form + rest  # the search finds what is there
    (entry,) = [each.read_bytes() for each in folder.iterdir() if each.stat().st_size]
    assert len(zlib.compress(entry, 9)) >= len(entry), "it has a structure"
    assert len(set(entry)) > 200
    with provider() as second:
        assert second.get_token() == token
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}


def spoil_garbage(entry: Path, old: bytes) -> None:
    entry.write_bytes(os.urandom(1000))


def spoil_truncated(entry: Path, old: bytes) -> None:
    entry.write_bytes(old[:-1])


def spoil_emptied(entry: Path, old: bytes) -> None:
    entry.write_bytes(b"")


def spoil_one_bit(entry: Path, old: bytes) -> None:
    entry.write_bytes(old[:40] + bytes([old[40] ^ 1]) + old[41:])


def spoil_longer(entry: Path, old: bytes) -> None:
    entry.write_bytes(old + b"\0")


@pytest.mark.parametrize("spoil", [spoil_garbage, spoil_truncated, spoil_emptied, spoil_one_bit, spoil_longer])
def test_what_is_no_entry_is_passed_over_and_replaced(provider, sandbox, folder, spoil, caplog):
    with provider() as first:
        first.get_token()
    (entry,) = [each for each in folder.iterdir() if each.stat().st_size]
    spoil(entry, entry.read_bytes())
    os.utime(entry, (time.time() + 3000,) * 2)
    with provider() as second, provider() as third:
        assert second.get_token() == third.get_token()
    assert sandbox.stats().token_requests == 2
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def clock(shift: float) -> Clock:
    return Clock(wall=lambda: time.time() + shift, random=lambda: 0.0)


def test_an_old_entry_that_is_put_back_is_passed_over(provider, sandbox, folder):
    with provider() as first:
        first.get_token()
    (entry,) = [each for each in folder.iterdir() if each.stat().st_size]
    os.utime(entry, (time.time() + 9000,) * 2)
    with TokenProvider(ClientCredentials.from_env(), store=FileStore(folder), clock=clock(4000.0)) as second:
        second.get_token()
    assert sandbox.stats().token_requests == 2


@pytest.mark.parametrize(("back", "requests"), [(10.0, 1), (1000.0, 2), (86400.0, 2)])
def test_after_the_clock_was_set_back_nothing_lasts_longer_than_it_can(
    provider, sandbox, folder, back, requests, caplog
):
    with provider() as first:
        first.get_token()
    with TokenProvider(ClientCredentials.from_env(), store=FileStore(folder), clock=clock(-back)) as second:
        second.get_token()
        assert second.stats().expires_in <= second.get_token().expires_in
    assert sandbox.stats().token_requests == requests
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def fault_wide(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)


def fault_link(folder: Path) -> None:
    folder.symlink_to(folder.parent)


def fault_file(folder: Path) -> None:
    folder.touch()


def fault_file_above(folder: Path) -> None:
    folder.parent.joinpath("moved").touch()
    folder.symlink_to(folder.parent / "moved" / "store")


@pytest.mark.parametrize("fault", [fault_wide, fault_link, fault_file, fault_file_above])
def test_a_store_that_cannot_be_used_costs_a_warning_and_a_request(provider, sandbox, folder, fault, caplog):
    fault(folder)
    with provider() as first, provider() as second:
        assert first.get_token().customer == second.get_token().customer == "sandbox"
        assert first.get_token() is first.get_token()
    assert sandbox.stats().token_requests == 2
    warnings = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(warnings) == 2
    assert all(str(folder) in each for each in warnings)


def test_a_folder_that_is_removed_while_somebody_asks_is_made_again(sandbox, folder, caplog):
    def remove(response) -> None:
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()

    hooks = {"event_hooks": {"response": [remove]}}
    store, credentials = FileStore(folder), ClientCredentials.from_env()
    with TokenProvider(credentials, store=store, httpx_args=hooks, clock=Clock(random=lambda: 0.0)) as first:
        token = first.get_token()
    with TokenProvider(credentials, store=store, clock=Clock(random=lambda: 0.5)) as second:
        assert second.get_token() == token
    assert sandbox.stats().token_requests == 1
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
