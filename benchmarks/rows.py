"""The rows of the table: each is a function that takes one sample. To add a row, add a function.

It runs in the library's environment and is given its `Subject` and the `Endpoint`, which grants tokens. It raises
``NotImplementedError`` for what a library cannot do by itself. All times are in milliseconds.
"""

from __future__ import annotations

import ast
import asyncio
import io
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import timeit
import token
import tokenize
from importlib import import_module as load
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .endpoint import FAULTS
from .subjects import OURS, SCOPES, SUBJECTS, How, Keeper, first_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier

    from .endpoint import Endpoint
    from .subjects import Subject

Sample = dict[str, float]
INSTALLED = "installed"
"""The folder of an environment that has the library with what it requires, and nothing else."""
_COLD, _REQUESTS = 20, 100  # repetitions within a sample
_TOKEN = "t" * 700  # as long as the endpoint's
_THREADS, _TASKS, _PROCESSES = 64, 1000, 8
_ANSWER, _SLOW_ANSWER = 0.1, 0.5  # s that the endpoint takes
_LOOP_SECONDS = 10.0
_HAMMERED = 1000  # requests that show well enough how many there would be
_REFUSED = "1 request, all have the error within 150 ms"
_TIMEOUT, _STOPPED = 5.0, 30.0  # s that a caller is willing to wait, and that it may
_IMPATIENT = 4  # callers under each fault
_NO_CODE = {token.ENCODING, token.COMMENT, token.NL, token.NEWLINE, token.INDENT, token.DEDENT, token.ENDMARKER}
_TICK = 0.005  # s between two looks at how late an event loop is
_spawn = multiprocessing.get_context("spawn")


class Row(NamedTuple):
    """A row of the table."""

    key: str
    what: str
    goal: str
    kind: str
    """What its samples hold: ``ratio`` and ``more`` compare a ``value`` to a ``floor`` that was timed with it;
    ``burst`` counts ``requests``, callers that ``failed`` and their waits; ``value`` stands for itself; ``probe`` has a
    ``mark``, whether the library does a thing, and what was ``seen``."""
    limits: dict[str, float]
    """The most that a number may be for the goal to be reached."""
    measure: Callable[[Subject, Endpoint], dict[str, Any]]
    alone: bool
    """Whether it needs a process of its own."""
    once: bool
    """Whether one sample is enough."""
    unit: str
    stopped: float
    """A sample that reaches this was ended, and could have been anything more."""


Measure = TypeVar("Measure", bound="Callable[..., dict[str, Any]]")
ROWS: dict[str, Row] = {}


def row(
    what: str,
    goal: str = "informational",
    kind: str = "ratio",
    *,
    alone: bool = False,
    once: bool = False,
    unit: str = "ms",
    stopped: float = math.inf,
    **limits: float,
) -> Callable[[Measure], Measure]:
    """Add a row to the table; ``limits`` are the goal in numbers."""

    def add(measure: Measure) -> Measure:
        key = measure.__name__
        ROWS[key] = Row(key, what, goal, kind, limits, measure, alone, once, unit, stopped)
        return measure

    return add


def burst(what: str, goal: str, **options: Any) -> Callable[[Measure], Measure]:
    """Add a row in which many callers make one request and none fails."""
    return row(what, goal, "burst", **{"requests": 1, "failed": 0, **options})


@row("`get_token()`, fresh", "≤ 2 × the inline floor", ratio=2.0)
def fresh(subject: Subject, endpoint: Endpoint) -> Sample:
    """Floor: a clock, a comparison and an attribute, inline."""
    get = subject.make(How(endpoint.base_url)).get
    get()
    names = {"time": time, "it": SimpleNamespace(token="token", expires_at=float("inf")), "get": get}
    floor = timeit.Timer("it.token if time.monotonic() < it.expires_at else None", globals=names)
    return _quickest(floor, timeit.Timer("get()", globals=names))


@row("`await aget_token()`, fresh", "≤ 1.5 × an awaited floor", ratio=1.5)
def awaited(subject: Subject, endpoint: Endpoint) -> Sample:
    """Floor: the inline floor in a coroutine."""
    held = SimpleNamespace(token="token", expires_at=float("inf"))

    async def floor() -> object:
        return held.token if time.monotonic() < held.expires_at else None

    async def each(get: Callable[[], Awaitable[object]], number: int) -> float:
        began = time.perf_counter()
        for _ in range(number):
            await get()
        return (time.perf_counter() - began) / number * 1e3

    async def main() -> Sample:
        get = subject.make(How(endpoint.base_url, "tasks")).aget
        await get()
        number = max(10, int(20 / max(await each(get, 10), 1e-4)))  # as many as take 20 ms
        pairs = [(await each(floor, number), await each(get, number)) for _ in range(5)]
        return _compared(min, pairs)

    return asyncio.run(main())


@row("httpx step, up to the request", "≤ 2 × the smallest `httpx.Auth`", ratio=2.0)
def step(subject: Subject, endpoint: Endpoint) -> Sample:
    """Floor: the smallest auth flow that sets a header."""
    httpx, how = load("httpx"), How(endpoint.base_url)
    keeper, request = subject.make(how), httpx.Request("GET", how.api_url)
    prepare = keeper.step(request)
    keeper.get()

    class Smallest(httpx.Auth):  # type: ignore[misc, name-defined] # httpx is loaded late
        def sync_auth_flow(self, request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {_TOKEN}"
            yield request

    smallest = Smallest()
    return _quickest(timeit.Timer(lambda: first_of(smallest.sync_auth_flow, request)), timeit.Timer(prepare))


@row("a whole request, kept alive", "≤ 1.03 × a static header", ratio=1.03)
def request(subject: Subject, endpoint: Endpoint) -> Sample:
    """Floor: httpx with a static header."""
    how = How(endpoint.base_url)
    keeper = subject.make(how)
    send = keeper.sender(how.api_url)
    keeper.get()
    with load("httpx").Client(headers={"Authorization": f"Bearer {_TOKEN}"}) as client:
        return _in_turn(lambda: client.get(how.api_url), send, _REQUESTS)


@row("cold fetch", "≤ 2.5 ms more than a GET by a new httpx client", "more", more=2.5)
def cold_fetch(subject: Subject, endpoint: Endpoint) -> Sample:
    """Make an object and fetch a token. Floor: a GET by a new httpx client that has its TLS context already."""
    if not subject.requests_tokens:
        raise NotImplementedError
    httpx, how = load("httpx"), How(endpoint.base_url)
    context, parameters = httpx.create_ssl_context(), {"grant_type": "client_credentials", "scope": SCOPES}

    def bare_get() -> None:
        with httpx.Client(verify=context) as client:
            client.get(how.token_url, params=parameters, auth=("bench", "s" * 64)).json()["access_token"]

    def make_and_get() -> None:
        subject.make(how).get()

    make_and_get()  # loads what a process loads once
    return _in_turn(bare_get, make_and_get, _COLD)


@row("`import domo_oauth`", "≤ 15 ms more than bare Python", "more", more=15.0)
def import_alone(subject: Subject, endpoint: Endpoint) -> Sample:  # noqa: ARG001 -- nothing is asked
    """Floor: Python that does nothing."""
    if subject.name != OURS:
        raise NotImplementedError
    return {"floor": _run("-c", "pass"), "value": _run("-c", "import domo_oauth")}


@row("`from domo_oauth import TokenProvider`", kind="more")
def import_names(subject: Subject, endpoint: Endpoint) -> Sample:  # noqa: ARG001
    """Floor: Python that does nothing."""
    return {"floor": _run("-c", "pass"), "value": _run("-c", subject.imports)}


_COMMAND = str(Path(sys.executable).with_name("domo-oauth")), "token"


@row("a process that prints a token from a file", "≤ 8.5 × bare Python", ratio=8.5)
def command_stored(subject: Subject, endpoint: Endpoint) -> Sample:
    """``domo-oauth token``, and scripts over libraries that can keep a token in a file. Floor: bare Python."""
    if subject.name != OURS and not subject.script:
        raise NotImplementedError
    program = _COMMAND if subject.name == OURS else ("-c", subject.script)
    with tempfile.TemporaryDirectory() as folder:
        variables = {"DOMO_API_URL": endpoint.base_url, "DOMO_STORE": str(Path(folder, "tokens"))}
        _run(*program, **variables)
        return {"floor": _run("-I", "-c", "pass", **variables), "value": _run(*program, **variables)}


_BARE = """\
import os
import httpx
answer = httpx.get(
    os.environ["DOMO_API_URL"] + "/oauth/token",
    params={"grant_type": "client_credentials"},
    auth=(os.environ["DOMO_CLIENT_ID"], os.environ["DOMO_CLIENT_SECRET"]),
)
print(answer.raise_for_status().json()["access_token"])
"""


@row("a process that fetches and prints a token, over TLS", "≤ 1.2 × the smallest httpx script", ratio=1.2)
def command_cold(subject: Subject, endpoint: Endpoint) -> Sample:
    """Floor: the smallest script that fetches a token with httpx."""
    if subject.name != OURS:
        raise NotImplementedError  # their scripts rewrite URLs to the plain server
    with tempfile.TemporaryDirectory() as folder:
        variables = {**endpoint.tls, "DOMO_STORE": str(Path(folder, "tokens"))}
        return {"floor": _run("-c", _BARE, **variables), "value": _run(*_COMMAND, **variables)}


@row("memory of a process with a token", kind="more", unit="MiB", alone=True)
def memory(subject: Subject, endpoint: Endpoint) -> Sample:
    """Floor: the process before it loads the library."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        raise NotImplementedError
    floor = int(statm.read_text(encoding="ascii").split()[1])
    keeper = subject.make(How(endpoint.base_url))
    keeper.get()
    return {"floor": floor / 256, "value": int(statm.read_text(encoding="ascii").split()[1]) / 256}


@burst("64 threads, cold, endpoint at 100 ms", "1 request, slowest ≤ 150 ms", slowest=150)
def threads(subject: Subject, endpoint: Endpoint) -> Sample:
    endpoint.answers(_ANSWER)
    return _at_once(subject.make(How(endpoint.base_url)).get) | {"requests": endpoint.requests()}


@burst("1,000 asyncio tasks, cold, endpoint at 100 ms", "1 request, loop lag ≤ 40 ms", lag=40)
def tasks(subject: Subject, endpoint: Endpoint, backend: str = "asyncio") -> Sample:
    endpoint.answers(_ANSWER)
    return _tasks(subject.make, How(endpoint.base_url, "tasks"), backend, _TASKS) | {"requests": endpoint.requests()}


@burst("1,000 trio tasks, cold, endpoint at 100 ms", "1 request, loop lag ≤ 40 ms", lag=40)
def trio_tasks(subject: Subject, endpoint: Endpoint) -> Sample:
    if not subject.on_trio:
        raise NotImplementedError
    return tasks(subject, endpoint, "trio")


@burst("8 threads and 2 loops × 100 tasks at once, cold, endpoint at 100 ms", "1 request, loop lag ≤ 40 ms", lag=40)
def mixed(subject: Subject, endpoint: Endpoint) -> Sample:
    if not subject.one_for_all:
        raise NotImplementedError
    endpoint.answers(_ANSWER)
    how, samples = How(endpoint.base_url), list[Sample]()
    how = how._replace(it=subject.make(how).it)
    loop = lambda: samples.append(_tasks(subject.make, how, "asyncio", 100))  # noqa: E731
    _run_threads([loop, loop, lambda: samples.append(_at_once(subject.make(how).get, 8) | {"lag": 0.0})])
    worst = {key: max(sample[key] for sample in samples) for key in ("slowest", "lag")}
    return worst | {"failed": sum(sample["failed"] for sample in samples), "requests": endpoint.requests()}


@burst("8 processes at once, cold, endpoint at 100 ms", "1 request")
def processes(subject: Subject, endpoint: Endpoint) -> Sample:
    gate, waits = _spawn.Barrier(_PROCESSES + 1), _spawn.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        how = How(endpoint.base_url, "filed", Path(folder)) if subject.files else How(endpoint.base_url)
        crowd = [_spawn.Process(target=_crowd, args=(subject.name, how, gate, waits)) for _ in range(_PROCESSES)]
        for process in crowd:
            process.start()
        endpoint.answers(_ANSWER)
        gate.wait()
        slowest, failed = zip(*(waits.get() for _ in crowd), strict=True)
        for process in crowd:
            process.join()
    return {"slowest": max(slowest), "failed": sum(failed), "requests": endpoint.requests()}


def _crowd(name: str, how: How, gate: Barrier, waits: SimpleQueue[tuple[float, bool]]) -> None:
    get = SUBJECTS[name].make(how).get
    gate.wait()
    began = time.perf_counter()
    failed = _failed(get)
    waits.put(((time.perf_counter() - began) * 1e3, failed))


@burst("64 threads, stale token, endpoint at 500 ms", "1 request, nobody waits more than 5 ms", longest=5)
def stale(subject: Subject, endpoint: Endpoint) -> Sample:
    keeper = subject.make(How(endpoint.base_url, "aged"))
    keeper.get()
    keeper.make_stale()
    endpoint.answers(_SLOW_ANSWER)
    sample = _at_once(keeper.get)
    time.sleep(_SLOW_ANSWER + _ANSWER)  # for a renewal in the background
    return sample | {"requests": endpoint.requests()}


@row("64 threads, endpoint refuses after 100 ms", _REFUSED, "burst", requests=1, slowest=150)
def refused(subject: Subject, endpoint: Endpoint) -> Sample:
    endpoint.answers(_ANSWER, refuses=True)
    return _at_once(subject.make(How(endpoint.base_url)).get) | {"requests": endpoint.requests()}


@row("a loop against wrong credentials, 10 s", "≤ 6 requests", "burst", once=True, requests=6)
def wrong_credentials(subject: Subject, endpoint: Endpoint) -> Sample:
    """A library that hammers the endpoint is stopped early, and its requests are extrapolated."""
    endpoint.answers(refuses=True)
    get, began, failed = subject.make(How(endpoint.base_url)).get, time.monotonic(), 0
    while (spent := time.monotonic() - began) < _LOOP_SECONDS:
        failed += _failed(get)
        if not failed % 100 and endpoint.requests() > _HAMMERED:
            break
    return {"failed": failed, "requests": round(endpoint.requests() * _LOOP_SECONDS / spent)}


@row(
    f"the longest wait with a timeout of {_TIMEOUT:.0f} s, under each of {len(FAULTS)} faults",
    "≤ 5.5 s",
    "value",
    once=True,
    unit="s",
    stopped=_STOPPED,
    value=5.5,
)
def longest_wait(subject: Subject, endpoint: Endpoint) -> Sample:
    """Each fault has a process with a few callers, so that none affects another. The timeout is given to each library
    in its own way: to a call, an object or its HTTP client."""
    if not subject.requests_tokens:
        raise NotImplementedError
    faulty = endpoint.faulty
    with _spawn.Pool(len(faulty)) as pool:  # ends what still waits
        arguments = [(subject.name, endpoint.base_url, origin) for origin in faulty.values()]
        waits = dict(zip(faulty, pool.starmap(_held, arguments, chunksize=1), strict=True))
    return {"value": max(waits.values()), **waits}


def _held(name: str, url: str, faulty: str) -> float:
    """The longest wait of some callers, in seconds."""
    subject = SUBJECTS[name]
    subject.make(How(url)).get()  # loads what a process loads once
    get, waits = subject.make(How(faulty, timeout=_TIMEOUT)).get, [_STOPPED] * _IMPATIENT
    began = time.monotonic()

    def caller(number: int) -> None:
        _failed(get)
        waits[number] = time.monotonic() - began

    threads = [threading.Thread(target=caller, args=(number,), daemon=True) for number in range(_IMPATIENT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, began + _STOPPED - time.monotonic()))
    return min(max(waits), _STOPPED)


@row("size of an installation, with its dependencies", kind="value", once=True, unit="MiB")
def size(subject: Subject, endpoint: Endpoint) -> Sample:  # noqa: ARG001
    """Of its files, without byte code."""
    paths = Path(sys.prefix, INSTALLED).rglob("*")
    return {"value": sum(path.stat().st_size for path in paths if path.is_file()) / 2**20}


@row(
    "code that a process loads to get a token, of the package itself", kind="value", alone=True, once=True, unit="lines"
)
def code_loaded(subject: Subject, endpoint: Endpoint) -> Sample:
    """Lines of Python that are neither blank nor comment nor docstring, of modules loaded after the first token."""
    subject.make(How(endpoint.base_url)).get()
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return {"value": count_lines(path for path in _modules(subject) if str(path) in loaded)}


@row("code of the package itself", kind="value", once=True, unit="lines")
def code(subject: Subject, endpoint: Endpoint) -> Sample:  # noqa: ARG001
    """The same of all its modules, without tests."""
    tests = {"test", "tests", "testing"}
    return {"value": count_lines(path for path in _modules(subject) if not tests & {*path.parts})}


def _modules(subject: Subject) -> list[Path]:
    paths = [Path(str(file.locate())) for file in metadata.files(subject.name) or ()]
    return [path for path in paths if path.suffix == ".py" and path.exists()]


def count_lines(paths: Iterable[Path]) -> int:
    """Lines with a token of Python that is not a comment, without docstrings."""
    total = 0
    for path in paths:
        content = path.read_bytes()
        spans = [
            (each.start[0], each.end[0])
            for each in tokenize.tokenize(io.BytesIO(content).readline)
            if each.type not in _NO_CODE
        ]
        lines = {line for first, last in spans for line in range(first, last + 1)}
        for node in ast.walk(ast.parse(content)):
            match node:
                case ast.Expr(value=ast.Constant(value=str()), end_lineno=int(last)):  # a docstring
                    lines -= {*range(node.lineno, last + 1)}
        total += len(lines)
    return total


def _run(*arguments: str, **variables: str) -> float:
    """Run this environment's Python, and return how many milliseconds that took.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    env = {**os.environ, "DOMO_CLIENT_ID": "bench", "DOMO_CLIENT_SECRET": "secret", **variables}
    null, began = subprocess.DEVNULL, time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, env=env, stdout=null, stderr=null)
    return (time.perf_counter() - began) * 1e3


def _failed(get: Callable[[], object]) -> bool:
    try:
        get()
    except Exception:  # noqa: BLE001 -- each library has its own
        return True
    return False


def _quickest(floor: timeit.Timer, value: timeit.Timer) -> Sample:
    """The quickest of some batches of each, in turn: a slower one was held up by something else."""
    sizes = {timer: max(1, int(timer.autorange()[0] / 10)) for timer in (floor, value)}  # some 20 ms
    return _compared(min, [[timer.timeit(size) / size * 1e3 for timer, size in sizes.items()] for _ in range(5)])


def _in_turn(floor: Callable[[], object], value: Callable[[], object], repetitions: int) -> Sample:
    """Medians of two things done in turn, so that both meet the same machine."""
    floor()
    pairs = [[timeit.timeit(call, number=1) * 1e3 for call in (floor, value)] for _ in range(repetitions)]
    return _compared(statistics.median, pairs)


def _compared(which: Callable[[Iterable[float]], float], pairs: Iterable[Sequence[float]]) -> Sample:
    floors, values = zip(*pairs, strict=True)
    return {"floor": which(floors), "value": which(values)}


def _at_once(get: Callable[[], object], callers: int = _THREADS) -> Sample:
    """How long the last of many threads waits, since the first began (``slowest``) and since its own start."""
    gate, spans = threading.Barrier(callers), list[tuple[float, float, bool]]()

    def caller() -> None:
        gate.wait()
        began = time.perf_counter()
        failed = _failed(get)
        spans.append((began, time.perf_counter(), failed))

    _run_threads([caller] * callers)
    first = min(began for began, _, _ in spans)
    return {
        "slowest": max(ended - first for _, ended, _ in spans) * 1e3,
        "longest": max(ended - began for began, ended, _ in spans) * 1e3,
        "failed": sum(failed for _, _, failed in spans),
    }


def _run_threads(bodies: Sequence[Callable[[], object]]) -> None:
    running = [threading.Thread(target=body) for body in bodies]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def _tasks(make: Callable[[How], Keeper], how: How, backend: str, number: int) -> Sample:
    """How long the last of many tasks waits, and how late their event loop runs meanwhile."""
    anyio = load("anyio")
    waits, lags, failed = list[float](), [0.0], 0

    async def caller(get: Callable[[], Awaitable[object]], gate: Any) -> None:
        nonlocal failed
        await gate.wait()
        try:
            await get()
        except Exception:  # noqa: BLE001 -- each library has its own
            failed += 1
        waits.append(time.perf_counter())

    async def main() -> float:
        get, gate = make(how).aget, anyio.Event()
        async with anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(caller, get, gate)
            await anyio.sleep(_TICK)  # all are at the gate
            began = time.perf_counter()
            gate.set()
            while len(waits) < number:
                before = time.perf_counter()
                await anyio.sleep(_TICK)
                lags.append(time.perf_counter() - before - _TICK)
        return began

    began = anyio.run(main, backend=backend)
    return {"slowest": (max(waits) - began) * 1e3, "lag": max(lags) * 1e3, "failed": failed}
