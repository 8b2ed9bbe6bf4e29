"""A provider under greenlets, other event loops and subinterpreters, and in dying or frozen processes.

Each program runs in a process of its own, as it changes that process for good. It finds `provider` and `credentials`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from textwrap import dedent

import pytest

from tests.fakes import GRANTED, PATIENCE, freeze, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs the signals of POSIX: Linux or macOS")
MAKE = """
from domo_oauth import ClientCredentials, Clock, DomoOAuthError, TokenProvider, arequest_token, request_token
credentials = ClientCredentials("canary-id", "canary-secret")
provider = TokenProvider(credentials, base_url={url!r})
"""


class Slow:
    """A server that responds after some seconds, or when `may_answer` is set."""

    def __init__(self, wire, seconds=0.3):
        self.may_answer = threading.Event()
        self.wire = wire(b"", "close", self._answer)
        self._seconds = seconds

    def _answer(self):
        self.may_answer.wait(self._seconds)
        yield GRANTED

    @property
    def requests(self):
        return len(self.wire.requests)


@pytest.fixture
def slow(wire):
    server = Slow(wire)
    yield server
    server.may_answer.set()


def start(url, program, first="", *, measured=True):
    """Start a program: what comes first, the provider, and the rest.

    One that a signal handler interrupts is not measured: coverage has a lock, which the interrupt could leave locked.
    """
    code = dedent(first) + MAKE.format(url=url) + dedent(program)
    env = {name: value for name, value in os.environ.items() if measured or name != "COVERAGE_PROCESS_CONFIG"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=env
    )


def end(process):
    """Wait for a program, with a timeout. Return its output."""
    try:
        return process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()


def run(url, program, first="", *, measured=True):
    process = start(url, program, first, measured=measured)
    out, err = end(process)
    assert (process.returncode, err) == (0, "")
    return out.strip()


# Greenlets

GREENLETS = """
import {library} as library
ticks = []
def tick():
    while True:
        ticks.append(1)
        library.sleep(0.01)
library.spawn(tick)
tokens = []
asked = [library.spawn(lambda: tokens.append(provider.get_token())) for _ in range(10)]
while len(tokens) < 10:
    library.sleep(0.01)
print(len(tokens), "tokens,", "loop runs" if len(ticks) > 10 else "loop stands still")
"""
GEVENT = "from gevent import monkey; monkey.patch_all({})"
# httpcore imports trio if it is installed, and trio cannot be imported after eventlet's patch.
EVENTLET = "import sys; sys.modules['trio'] = None; import eventlet; eventlet.monkey_patch({})"
FETCH = "provider.get_token(); provider.reset()"
PATCHES = {
    "gevent": (GEVENT.format(""), "", 1),
    "gevent, late": ("", GEVENT.format(""), 1),
    "gevent, after a fetch": ("", f"{FETCH}; {GEVENT.format('')}", 2),
    "gevent without threads": (GEVENT.format("thread=False, select=False"), "", 1),
    "eventlet": (EVENTLET.format(""), "", 1),
    "eventlet without threads": (EVENTLET.format("thread=False"), "", 1),
}


@pytest.mark.parametrize("name", PATCHES)
def test_greenlets_get_one_token_and_the_others_run_meanwhile(wire, name):
    slow = Slow(wire, 1.0)  # on a busy machine, too, the others have many turns meanwhile
    first, then, requests = PATCHES[name]
    program = f"{then}\n{GREENLETS.format(library=name.partition(',')[0].partition(' ')[0])}"
    # Without its threads, eventlet does not patch the queue that a caller waits on.
    loop = "stands still" if name == "eventlet without threads" else "runs"
    assert run(slow.wire.url, program, first) == f"10 tokens, loop {loop}"
    assert slow.requests == requests


# Event loops

TASKS = """
import asyncio
async def main():
    tokens = await asyncio.gather(*(provider.aget_token() for _ in range(10)))
    return f"{len(set(map(id, tokens)))} token"
"""
LOOPS = {
    "uvloop": "import uvloop; print(uvloop.run(main()))",
    "nest_asyncio": """
import nest_asyncio
nest_asyncio.apply()
async def outer():
    return asyncio.run(main())  # in a running loop, as in a notebook
print(asyncio.run(outer()))
""",
}


@pytest.mark.parametrize("name", LOOPS)
def test_event_loops(slow, name):
    if name == "uvloop":
        pytest.importorskip("uvloop", reason="needs uvloop: Linux or macOS")
    assert run(slow.wire.url, TASKS + LOOPS[name]) == "1 token"
    assert slow.requests == 1


# Isolated subinterpreters, which have no daemon threads

WAYS = """
import asyncio
for name, ask in {
    "get_token": provider.get_token,
    "aget_token": lambda: asyncio.run(TokenProvider(credentials, scopes="user", base_url=URL).aget_token()),
    "request_token": lambda: request_token(credentials, base_url=URL),
    "arequest_token": lambda: asyncio.run(arequest_token(credentials, base_url=URL)),
}.items():
    try:
        print(name, type(ask()).__name__, flush=True)
    except BaseException as error:
        print(name, type(error).__name__, error, flush=True)
"""


def an_isolated_subinterpreter(slow):
    url = slow.wire.url
    code = f"import sys; sys.path[:] = {sys.path!r}\nURL = {url!r}\n{MAKE.format(url=url)}{WAYS}"
    program = "import _interpreters as interpreters\nisolated = interpreters.create('isolated')\n"
    printed = run(url, f"{program}print(interpreters.exec(isolated, {code!r}) or 'no error')")
    names = ("get_token", "aget_token", "request_token", "arequest_token")
    assert printed.splitlines() == [*(f"{name} Token" for name in names), "no error"]


# Python 3.12.1 aborts after `asyncio.run` in an isolated subinterpreter, whatever runs there.
if sys.version_info >= (3, 13):
    test_an_isolated_subinterpreter = an_isolated_subinterpreter


# The end of a process

ENDS = {
    "atexit": """
import atexit, asyncio
def ask():
    print(provider.get_token().customer)
    print(asyncio.run(TokenProvider(credentials, scopes="user", base_url=provider.base_url).aget_token()).customer)
atexit.register(ask)
""",
    "a thread that the process waits for": """
import threading
threading.Thread(target=lambda: print(provider.get_token().customer, provider.get_token().customer, sep="\\n")).start()
""",
    "a finalizer": """
import logging, sys
logging.disable()
class Late:
    def __del__(self, provider=provider, error=DomoOAuthError, sys=sys):
        for _ in range(2):
            try:
                assert sys.is_finalizing()
                provider.get_token()
            except error:
                pass
            print("acmecompany")
late = Late()
""",
}


@pytest.mark.parametrize("name", ENDS)
def test_a_process_may_ask_for_a_token_while_it_ends(slow, name):
    assert run(slow.wire.url, ENDS[name]).splitlines() == ["acmecompany"] * 2


@pytest.mark.parametrize("ask", ["provider.get_token(0)", "asyncio.run(provider.aget_token(0))"])
def test_a_fetch_keeps_no_process_from_ending(wire, ask):
    slow = Slow(wire, PATIENCE)
    began = time.monotonic()
    assert run(slow.wire.url, f"import asyncio\ntry: {ask}\nexcept DomoOAuthError: print('late')") == "late"
    assert time.monotonic() - began < PATIENCE / 2
    slow.may_answer.set()


# A frozen process

FROZEN = {
    "get_token": "print(provider.get_token(6).customer)",
    "aget_token under asyncio": "import asyncio; print(asyncio.run(provider.aget_token(6)).customer)",
    "aget_token under trio": "import trio; print(trio.run(provider.aget_token, 6).customer)",
    "request_token": "print(request_token(credentials, base_url=provider.base_url, timeout=6).customer)",
}


@POSIX
def test_a_process_that_was_frozen_within_a_fetch_gets_its_token(wire):
    """Frozen for longer than its callers wait, while the response comes."""
    servers = [Slow(wire, PATIENCE) for _ in FROZEN]
    processes = [
        start(slow.wire.url, f"import domo_oauth.request\n{code}")
        for slow, code in zip(servers, FROZEN.values(), strict=True)
    ]
    for slow, process in zip(servers, processes, strict=True):
        until(lambda slow=slow: slow.requests)
        freeze(process.pid)
        slow.may_answer.set()
    time.sleep(7)
    for process in processes:
        process.send_signal(signal.SIGCONT)
    assert [end(process) for process in processes] == [("acmecompany\n", "")] * len(FROZEN)


# Timeouts raised by signals

INTERRUPTS = """
import random, signal, time
import httpx
class SignalTimeout(Exception): pass
def handler(*_): raise SignalTimeout
signal.signal(signal.SIGALRM, handler)
random.seed(1)
body = {"access_token": "token", "token_type": "bearer", "expires_in": 3599}
hit = late = more = 0
for _ in range(200):
    asked = []
    def endpoint(request):
        asked.append(1)
        time.sleep(0.002)
        return httpx.Response(200, json=body)
    provider = TokenProvider(credentials, clock=Clock(), httpx_args={"transport": httpx.MockTransport(endpoint)})
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 0.008))
            provider.get_token()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except SignalTimeout:
        hit += 1
    try:
        provider.get_token(30)
    except DomoOAuthError:
        late += 1
    more += len(asked) != 1
print("hit" if hit > 50 else hit, late, "held up,", more, "with more requests")
"""
IMPORTS = """
import signal
class SignalTimeout(Exception): pass
def handler(*_): raise SignalTimeout
signal.signal(signal.SIGALRM, handler)
try:
    signal.setitimer(signal.ITIMER_REAL, {seconds})
    provider.get_token()
except SignalTimeout:
    pass
signal.setitimer(signal.ITIMER_REAL, 0)
print(provider.get_token(30).customer)
"""


@POSIX
def test_timeouts_raised_by_signals_at_random_moments_block_no_caller_and_cost_no_request():
    printed = run("http://127.0.0.1:9", INTERRUPTS, measured=False)
    assert printed == "hit 0 held up, 0 with more requests"


@POSIX
def test_timeouts_raised_by_signals_while_httpx_is_imported_block_no_caller(slow):
    slow.may_answer.set()
    processes = [
        start(slow.wire.url, IMPORTS.format(seconds=0.05 + number * 0.1), measured=False) for number in range(3)
    ]
    printed = [end(process) for process in processes]
    assert [out.strip() or err for out, err in printed] == ["acmecompany"] * 3
