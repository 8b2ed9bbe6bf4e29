"""Greenlets, other event loops, subinterpreters, and processes that end, are interrupted, or are frozen.

Each program runs in a process of its own, as it changes that process for good. It finds `provider` and `credentials`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest

from tests.fakes import GRANTED, PATIENCE, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs the signals of POSIX: Linux or macOS")
MAKE = """
from domo_oauth import ClientCredentials, Clock, DomoOAuthError, TokenProvider, arequest_token, request_token
credentials = ClientCredentials("canary-id", "canary-secret")
provider = TokenProvider(credentials, base_url={url!r})
"""


class Slow:
    """A server that answers after so many seconds, or when it is told to."""

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
    """Wait for a program, but not for ever. Return what it wrote."""
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
    "gevent without threads, late": ("", GEVENT.format("thread=False"), 1),
    "eventlet": (EVENTLET.format(""), "", 1),
    "eventlet, late": ("", EVENTLET.format(""), 1),
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
    "trio as a guest of asyncio": """
import trio
async def in_trio():
    token = await provider.aget_token()
    assert token is provider.get_token()
    return "1 token"
async def host():
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    outcomes = []
    trio.lowlevel.start_guest_run(
        in_trio,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        done_callback=lambda outcome: (outcomes.append(outcome), done.set()),
    )
    await done.wait()
    return outcomes[0].unwrap()
print(asyncio.run(host()))
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
    told = run(url, f"{program}print(interpreters.exec(isolated, {code!r}) or 'no error')")
    names = ("get_token", "aget_token", "request_token", "arequest_token")
    assert told.splitlines() == [*(f"{name} Token" for name in names), "no error"]


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


@POSIX
def test_ctrl_c_ends_a_process_that_waits(wire):
    slow = Slow(wire, PATIENCE)
    process = start(slow.wire.url, "provider.get_token()")
    until(lambda: slow.requests)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = end(process)
    slow.may_answer.set()
    assert process.returncode == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert time.monotonic() - began < PATIENCE / 2


# A frozen process

FROZEN = {
    "get_token": "print(provider.get_token(3).customer)",
    "aget_token under asyncio": "import asyncio; print(asyncio.run(provider.aget_token(3)).customer)",
    "aget_token under trio": "import trio; print(trio.run(provider.aget_token, 3).customer)",
    "request_token": "print(request_token(credentials, base_url=provider.base_url, timeout=3).customer)",
    "in the background": """
import time
late = 0
clock = Clock(lambda: time.monotonic() + late, lambda: time.time() + late, random=lambda: 0.0)
provider = TokenProvider(credentials, base_url=provider.base_url, clock=clock)
first = provider.get_token()
late = 3599 - 200
assert provider.get_token() is first
while provider.stats().refreshes == 0:
    time.sleep(0.01)
print(provider.get_token().customer)
""",
}
WITHOUT_PAUSES = "provider = TokenProvider(credentials, base_url=provider.base_url, clock=Clock(random=lambda: 0.0))\n"


@POSIX
def test_a_process_that_was_frozen_within_a_fetch_gets_its_token(wire):
    """Frozen for longer than its callers wait, while the answer comes or the connection is lost."""
    processes = {}
    for name, lost in [*((name, False) for name in FROZEN), ("get_token", True), ("in the background", True)]:
        server = Freezer(wire, at=2 if name == "in the background" else 1, lost=lost)
        processes[name, lost] = (server, start(server.wire.url, f"{WITHOUT_PAUSES}\n{FROZEN[name]}"))
    for server, process in processes.values():
        assert server.reached.wait(PATIENCE)
        process.send_signal(signal.SIGSTOP)
        server.stopped.set()
    time.sleep(4)
    for _, process in processes.values():
        process.send_signal(signal.SIGCONT)
    told = {key: end(process) for key, (_, process) in processes.items()}
    assert {key: out.strip() or err for key, (out, err) in told.items()} == dict.fromkeys(processes, "acmecompany")


class Freezer:
    """A server that says when a request has come, and answers it, or not, once the client is frozen."""

    def __init__(self, wire, at, lost):
        self.reached, self.stopped = threading.Event(), threading.Event()
        self.wire = wire(b"", "close", partial(self._answer, at, lost))

    def _answer(self, at, lost):
        if len(self.wire.requests) == at:
            self.reached.set()
            assert self.stopped.wait(PATIENCE)
            if lost:
                return
        yield GRANTED


# Signals at random moments

INTERRUPTS = """
import random, signal, threading, time
import httpx
class Limit(Exception): pass
def handler(*_): raise Limit
signal.signal(signal.SIGALRM, handler)
random.seed(1)
body = {{"access_token": "token", "token_type": "bearer", "expires_in": 3599, "customer": "acmecompany"}}
hit = late = more = 0
for _ in range({rounds}):
    asked = []
    def endpoint(request):
        asked.append(1)
        time.sleep(0.002)
        return httpx.Response(200, json=body)
    provider = TokenProvider(credentials, clock=Clock(), httpx_args={{"transport": httpx.MockTransport(endpoint)}})
    other = threading.Thread(target=provider.get_token)
    with_other = random.random() < 0.2
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 0.008))
            provider.get_token()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Limit:
        hit += 1
    try:
        if with_other:
            other.start()
        provider.get_token(30)
    except DomoOAuthError:
        late += 1
    if with_other:
        other.join()
    more += len(asked) != 1
print("hit" if hit > {rounds} / 4 else hit, late, "held up,", more, "with more requests")
"""
IMPORTS = """
import signal
class Limit(Exception): pass
def handler(*_): raise Limit
signal.signal(signal.SIGALRM, handler)
try:
    signal.setitimer(signal.ITIMER_REAL, {seconds})
    provider.get_token()
except Limit:
    pass
signal.setitimer(signal.ITIMER_REAL, 0)
print(provider.get_token(30).customer)
"""


@POSIX
def test_limits_at_random_moments_hold_nobody_up_and_cost_no_request():
    assert (
        run("http://127.0.0.1:9", INTERRUPTS.format(rounds=200), measured=False)
        == "hit 0 held up, 0 with more requests"
    )


@POSIX
def test_a_limit_while_httpx_is_imported_holds_nobody_up(slow):
    slow.may_answer.set()
    processes = [
        start(slow.wire.url, IMPORTS.format(seconds=0.05 + number * 0.1), measured=False) for number in range(3)
    ]
    told = [end(process) for process in processes]
    assert [out.strip() or err for out, err in told] == ["acmecompany"] * 3
