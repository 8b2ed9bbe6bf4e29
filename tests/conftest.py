"""For all tests: a clean environment, and a server that sends given bytes."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from domo_oauth import ClientCredentials, timing
from tests.fakes import GRANTED, PATIENCE
from tests.wire import Then, Wire

if hasattr(signal, "SIGALRM"):
    signal.signal(signal.SIGALRM, lambda *_: None)  # a timer that a test leaves behind must not end the process

CLIENT_ID = "canary-client-7f3d91"
CLIENT_SECRET = "canary-secret-c0ffee5ec2e7"

# Property tests: the same few inputs in each run, or many others with --hypothesis-profile=fuzz (make fuzz). For
# mutants, the first input that fails is enough, as looking for a shorter one would take long.
COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
settings.register_profile("test", COMMON, max_examples=20, derandomize=True, database=None)
settings.register_profile(
    "fuzz", COMMON, max_examples=1000, database=DirectoryBasedExampleDatabase(".cache/hypothesis")
)
settings.register_profile("mutants", settings.get_profile("test"), phases=[Phase.explicit, Phase.generate])
settings.load_profile("test")

# A shell makes the processes that it starts in the background ignore Ctrl-C, and those of the tests inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A server that a busy machine keeps waiting is not asked twice; some tests count the requests.
timing.NETWORK_TIMEOUT = PATIENCE / 2  # less than a fetch may take, which tests of frozen processes rely on
_numbers = itertools.count()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave tests/reference, which needs Java and Maven, to `make test-reference`."""
    named = any("tests/reference" in argument for argument in config.args)
    return True if collection_path.name == "reference" and not named else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, fail if a test was skipped. The summary lists the reasons."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in os.environ:
        if name.startswith(("DOMO_", "SSL_CERT_")) or name.lower() in {"http_proxy", "https_proxy", "all_proxy"}:
            monkeypatch.delenv(name)
    # Each test has its own store of tokens.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / f"cache-{next(_numbers)}"))


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """Restore the loggers that commands change."""
    loggers = [logging.getLogger(name) for name in ("domo_oauth", "domo_oauth.proxy", "domo_oauth.provider")]
    before = [(each.level, list(each.handlers), each.propagate) for each in loggers]
    yield
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture
def credentials() -> ClientCredentials:
    return ClientCredentials(CLIENT_ID, CLIENT_SECRET)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def wire() -> Iterator[Callable[..., Wire]]:
    """Start a server that sends raw bytes: ``wire(b"HTTP/1.1 200 OK...", then="close")``."""
    with contextlib.ExitStack() as stack:

        def start(answer: bytes, then: Then = "close", more: Callable[[], Iterator[bytes]] | None = None) -> Wire:
            return stack.enter_context(contextlib.closing(Wire(answer, then, more)))

        yield start


@pytest.fixture
def tls_server(wire: Callable[..., Wire], tmp_path: Path) -> Wire:
    """A token endpoint with a certificate of an authority that no system knows."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = wire(GRANTED)
    server.tls = context
    server.authority = str(tmp_path / "authority.pem")
    authority.cert_pem.write_to_path(server.authority)
    return server
