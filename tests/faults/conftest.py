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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from domo_oauth import ClientCredentials
from tests.wire import PATIENCE

from .table import TOKEN

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
def nothing_left_behind(within: float = PATIENCE) -> Iterator[None]:
    """Within this many seconds, there are no more sockets and threads than before."""
    sockets_before, threads_before, began = sockets(), threads(), time.monotonic()
    yield
    for thread in threads() - threads_before:
        thread.join(max(0.0, began + within - time.monotonic()))
        assert not thread.is_alive(), thread
    assert sockets() - sockets_before == set()


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
    """How many seconds the last call took, and how much memory."""

    seconds = mebibytes = 0.0

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
def measure() -> Measure:
    return Measure()
