"""Certificates, and searches for what a call leaves behind or shows."""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
import traceback
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

import domo_oauth.request  # noqa: F401 -- imported before any call is measured
from domo_oauth import ClientCredentials
from tests.wire import PATIENCE

from .table import TOKEN

REPORT = Path(__file__).parents[2] / "benchmarks/faults.md"
HEAD = """# Faults of networks, proxies and servers

On {date}, `make faults TIMES={rounds} PUBLISH=1` made {calls:,} calls on real sockets, under {faults} faults. Each call
ended as the tests in `tests/faults` demand. The table shows the worst of all calls. Memory is the most that Python
allocated during a call; threads and sockets are those left after it. If a server stretches its response, the call ends
after {limit:.0f} s here rather than 60 s; pauses between attempts take no time.
"""
HEADER = "fault | calls | longest call, s | peak memory, MiB | threads left | sockets left"
LIMIT = 2.0
"""Seconds that a fetch may take, instead of 60, if a server stretches it; enough for a busy machine to send it."""
ROUNDS = int(os.environ.get("FAULTS_TIMES", "1"))
DESCRIPTORS = Path("/proc/self/fd")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "round_number" in metafunc.fixturenames:
        metafunc.parametrize("round_number", range(1, ROUNDS + 1))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ssl.SSLContext]:
    """Certificates of servers by name, and under "" what clients trust."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, unknown = trustme.CA(), trustme.CA()
    now, day = datetime.now(UTC), timedelta(days=1)
    here = ("127.0.0.1", "domo.invalid")
    made = {
        "good": authority.issue_cert(*here),
        "wrong host": authority.issue_cert("elsewhere.invalid"),
        "expired": authority.issue_cert(*here, not_before=now - 9 * day, not_after=now - day),
        "not yet valid": authority.issue_cert(*here, not_before=now + day, not_after=now + 9 * day),
        "unknown": unknown.issue_cert(*here),
    }
    contexts = {name: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for name in (*made, "self-signed")}
    for name, certificate in made.items():
        certificate.configure_cert(contexts[name])
    unknown.cert_pem.write_to_path(folder / "unknown.pem")
    unknown.private_key_pem.write_to_path(folder / "unknown.pem", append=True)
    contexts["self-signed"].load_cert_chain(folder / "unknown.pem")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return contexts | {"": ssl.create_default_context(cafile=folder / "authority.pem")}


def sockets() -> set[str]:
    """All open sockets of this process; empty where the system does not list them."""
    found = set()
    for descriptor in DESCRIPTORS.iterdir() if DESCRIPTORS.exists() else ():
        try:
            found.add(str(descriptor.readlink()))
        except OSError:  # the one that lists them
            continue
    return {each for each in found if each.startswith("socket:")}


def threads() -> set[threading.Thread]:
    # Trio keeps idle threads.
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Trio thread")}


@contextmanager
def nothing_left_behind(measure: Measure | None = None) -> Iterator[None]:
    """There are no more sockets and threads than before, once PATIENCE is over."""
    sockets_before, threads_before, until = sockets(), threads(), time.monotonic() + PATIENCE
    yield
    for thread in threads() - threads_before:
        thread.join(max(0.0, until - time.monotonic()))
    threads_left, sockets_left = threads() - threads_before, sockets() - sockets_before
    if measure:
        measure.left = len(threads_left), len(sockets_left)
    assert threads_left == sockets_left == set()


class Secrets:
    """The secrets that must not appear, plain and as they are sent."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        basic = b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._forms = (client_id, client_secret, basic, basic[20:40], TOKEN)

    def in_text(self, text: str) -> list[str]:
        return [form for form in self._forms if form in text]

    def in_error(self, error: BaseException, *, frames: bool = True) -> list[str]:
        """In what people print and send of an error, with the locals of all frames."""
        shown = [str(error), repr(error), str(vars(error))]
        if frames:
            shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
        return self.in_text("".join(shown))

    def in_log(self, records: list[logging.LogRecord]) -> list[str]:
        return self.in_text("\n".join(record.getMessage() for record in records))


@pytest.fixture
def secrets(credentials: ClientCredentials) -> Secrets:
    return Secrets(credentials.client_id, credentials.client_secret)


class Measure:
    """How many seconds the last call took, how much memory, and what it left: threads and sockets."""

    seconds = mebibytes = 0.0
    left = 0, 0

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        tracemalloc.start()
        began = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            self.seconds = time.monotonic() - began
            self.mebibytes = tracemalloc.get_traced_memory()[1] / 2**20
            tracemalloc.stop()


@pytest.fixture
def measure(record_property: Callable[[str, object], None], row: object) -> Iterator[Measure]:
    measure = Measure()
    yield measure
    record_property("fault", (str(row), measure.seconds, measure.mebibytes, *measure.left))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the report, if it is asked for and all tests passed. With workers of xdist, only their parent has all."""
    if os.environ.get("PUBLISH") != "1":
        return
    if set(terminalreporter.stats) & {"failed", "error"}:
        terminalreporter.write_line(f"{REPORT.name} is not written, as a test failed.")
        return
    ended = terminalreporter.stats.get("", ())  # set-ups and tear-downs; the latter know what was left
    measured = [what for report in ended for name, what in report.user_properties if name == "fault"]
    REPORT.write_text(table(measured), encoding="utf-8")
    terminalreporter.write_line(f"Wrote {REPORT}")


def table(measured: Iterable[tuple[str, float, float, int, int]]) -> str:
    """The worst of all calls under each fault, and of all faults."""
    from benchmarks.report import markdown  # not needed by the tests

    faults: dict[str, list[tuple[float, float, int, int]]] = {}
    for fault, *numbers in measured:
        faults.setdefault(fault, []).append(tuple(numbers))
    everything = [each for calls in faults.values() for each in calls]
    rows = [("**all**", everything), *sorted(faults.items(), key=lambda item: -max(call[0] for call in item[1]))]
    lines = [
        [name, len(calls), f"{seconds:.2f}", f"{mebibytes:.1f}", threads_left, sockets_left]
        for name, calls in rows
        for seconds, mebibytes, threads_left, sockets_left in [map(max, zip(*calls, strict=True))]
    ]
    today = datetime.now(UTC).date().isoformat()
    return "\n".join(
        [
            HEAD.format(rounds=ROUNDS, limit=LIMIT, date=today, faults=len(faults), calls=len(everything)),
            *markdown(HEADER, lines),
            "",
        ]
    )
