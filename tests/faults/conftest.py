"""Certificates, the search for what a call leaves behind, and the table that is written at the end of a run."""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
import traceback
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
import trustme

from domo_oauth import ClientCredentials

from .faults import TOKEN
from .server import PATIENCE

ROUNDS = int(os.environ.get("FAULTS_TIMES", "1"))
OUT = Path(__file__).parents[2] / "build" / "faults.md"
DESCRIPTORS = Path("/proc/self/fd")
MEBIBYTE = 2**20


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "round_number" in metafunc.fixturenames:
        metafunc.parametrize("round_number", range(1, ROUNDS + 1))


@dataclass
class Certificates:
    """What servers show, each under its name, and what clients trust."""

    shown: dict[str, ssl.SSLContext]
    trusting: ssl.SSLContext


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority, nobody = trustme.CA(), trustme.CA()
    now, day = datetime.now(UTC), timedelta(days=1)
    here = ("127.0.0.1", "domo.invalid")
    made = {
        "good": authority.issue_cert(*here),
        "wrong host": authority.issue_cert("elsewhere.invalid"),
        "expired": authority.issue_cert(*here, not_before=now - 9 * day, not_after=now - day),
        "not yet valid": authority.issue_cert(*here, not_before=now + day, not_after=now + 9 * day),
        "unknown": nobody.issue_cert(*here),
    }
    shown = {name: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for name in (*made, "self-signed")}
    for name, certificate in made.items():
        certificate.configure_cert(shown[name])
    nobody.cert_pem.write_to_path(folder / "nobody.pem")
    nobody.private_key_pem.write_to_path(folder / "nobody.key")
    shown["self-signed"].load_cert_chain(folder / "nobody.pem", folder / "nobody.key")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return Certificates(shown, ssl.create_default_context(cafile=folder / "authority.pem"))


def sockets() -> set[str]:
    """All sockets that this process has open; none where the system does not tell."""
    found = set()
    for descriptor in DESCRIPTORS.iterdir() if DESCRIPTORS.exists() else ():
        try:
            target = str(descriptor.readlink())
        except OSError:  # it was the one that lists them
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def threads() -> set[threading.Thread]:
    # Trio keeps threads that have nothing to do for the next call.
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Trio thread")}


@contextmanager
def nothing_left_behind(within: float = PATIENCE) -> Iterator[None]:
    """No socket and no thread is there that was not there before, after so many seconds at most."""
    sockets_before, threads_before, began = sockets(), threads(), time.monotonic()
    yield
    for thread in threads() - threads_before:
        thread.join(max(0.0, began + within - time.monotonic()))
        assert not thread.is_alive(), thread
    assert sockets() - sockets_before == set()


class Secrets:
    """What nothing may show: neither as it stands nor as it is sent."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        basic = b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._forms = (client_id, client_secret, basic, basic[20:40], TOKEN)

    def in_text(self, text: str) -> list[str]:
        return [form for form in self._forms if form in text]

    def in_error(self, error: BaseException, *, frames: bool = True) -> list[str]:
        """Those in what people print and send of an error; with all locals of its frames, and of those behind it."""
        shown = [str(error), repr(error), str(vars(error))]
        if frames:
            shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
        return self.in_text("".join(shown))

    def in_log(self, records: list[logging.LogRecord], *, own: bool = False) -> list[str]:
        """Those in the log; only in this package's, if wanted."""
        said = [record.getMessage() for record in records if not own or record.name.startswith("domo_oauth")]
        return self.in_text("\n".join(said))


class Measure:
    """How long a call takes, and how much memory at most."""

    seconds = 0.0
    megabytes = 0.0

    def __enter__(self) -> Self:
        tracemalloc.start()
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
        self.megabytes = tracemalloc.get_traced_memory()[1] / MEBIBYTE
        tracemalloc.stop()


@dataclass
class Measured:
    """What came of one row, in all ways and rounds."""

    results: dict[str, str] = field(default_factory=dict)
    """By the way to ask."""
    requests: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    megabytes: float = 0.0


class Report:
    """The tables of a run, which are written where the run was whole."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Measured]] = {}

    def add(self, table: str, row: str, way: str, result: str, requests: str, measure: Measure) -> None:
        measured = self.tables.setdefault(table, {}).setdefault(row, Measured())
        measured.results[way], measured.requests[way] = result, requests
        measured.seconds = max(measured.seconds, measure.seconds)
        measured.megabytes = max(measured.megabytes, measure.megabytes)

    def text(self) -> str:
        parts = []
        for table, rows in self.tables.items():
            ways = list(dict.fromkeys(way for row in rows.values() for way in row.results))
            parts += [f"## {table}", "", _line("fault", *ways, "requests", "longest (s)", "largest (MiB)")]
            parts += [_line(*["---"] * (len(ways) + 4))]
            for name, row in rows.items():
                requests = ", ".join(dict.fromkeys(row.requests[way] for way in ways if way in row.requests))
                results = [row.results.get(way, "") for way in ways]
                parts.append(_line(name, *results, requests, f"{row.seconds:.2f}", f"{row.megabytes:.2f}"))
            parts.append("")
        return "\n".join(parts)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


REPORT = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = Report()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the tables, and show them where somebody asked for more than one round."""
    text = config.stash[REPORT].text()
    if not text:
        return
    if ROUNDS > 1:
        terminalreporter.write_line(text)
    if config.getoption("keyword") or config.getoption("maxfail"):
        return  # some rows are missing, perhaps
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(f"# What is done to a client, and what comes of it ({ROUNDS} x)\n\n{text}", encoding="utf-8")
    terminalreporter.write_line(f"The table of faults is in {os.path.relpath(OUT)}")


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    return request.config.stash[REPORT]


@pytest.fixture
def secrets(credentials: ClientCredentials) -> Secrets:
    return Secrets(credentials.client_id, credentials.client_secret)
