"""A sandbox in a process of its own, for as long as a ``with`` block: for tests, demonstrations and notebooks."""

from __future__ import annotations

import json
import os
import shlex
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import urlsplit

from domo_oauth.credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE
from domo_oauth.errors import ConfigurationError

from .clients import DEMO_CLIENT, Client
from .settings import DEFAULT_LIFETIME, Settings
from .stats import Stats

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator, Sequence

__all__ = ["Sandbox", "require_extra", "running"]

_EXTRA = ("cryptography", "jwt", "openapi_core", "starlette", "uvicorn")
_KEPT_BACK = (CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, "DOMO_STORE")  # it has clients of its own
_STOP_SECONDS = 10  # far more than it takes; then the process is killed


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that is running.

    Attributes:
        url: Its address: the value for ``DOMO_API_URL``, and the ``base_url`` of clients.
        client_id: The id of its first client.
        client_secret: That client's secret. Hidden from the repr.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that point a program at this sandbox. They hold the client's secret."""
        return {
            "DOMO_API_URL": self.url,
            "DOMO_CLIENT_ID": self.client_id,
            "DOMO_CLIENT_SECRET": self.client_secret,
        }

    def stats(self) -> Stats:
        """What the sandbox has counted since it started, or since the last reset."""
        return self._ask("GET", "/_sandbox/stats")

    def reset(self) -> None:
        """Set all counts to zero. Tokens stay valid."""
        self._ask("POST", "/_sandbox/reset")

    def revoke_tokens(self) -> None:
        """Make every token that was issued so far invalid: the protected resource answers them with 401."""
        self._ask("POST", "/_sandbox/revoke")

    def _ask(self, method: str, path: str) -> Stats:
        from http.client import HTTPConnection

        # http.client knows no proxies: whatever the environment says, this goes to loopback.
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        try:
            connection.request(method, path)
            return Stats(**json.load(connection.getresponse()))
        finally:
            connection.close()


@contextmanager
def running(
    *,
    clients: Sequence[Client] = (DEMO_CLIENT,),
    port: int = 0,
    lifetime: int = DEFAULT_LIFETIME,
    delay: float = 0.0,
    validate_responses: bool = False,
    quiet: bool = False,
) -> Generator[Sandbox]:
    """Run a sandbox in a process of its own; it ends with the block, and however this process ends.

    Args:
        clients: The clients that it knows; the first is the one in :attr:`Sandbox.env`.
        port: The TCP port; 0 for any that is free.
        lifetime: ``expires_in`` of its tokens, in seconds.
        delay: Seconds that the token endpoint waits before it answers.
        validate_responses: Check its own answers against the contract.
        quiet: Throw its log away, which goes to stderr otherwise.

    Raises:
        ConfigurationError: The extra ``sandbox`` is not installed, a setting is out of its range, or the sandbox
            did not start (why is on stderr).
    """
    import subprocess

    require_extra()
    settings = Settings(
        clients=tuple(clients), port=port, lifetime=lifetime, delay=delay, validate_responses=validate_responses
    )
    # -P: a file in the current folder that happens to be called jwt.py is not to be taken for the library.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "domo_oauth.sandbox"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        env={name: value for name, value in os.environ.items() if name not in _KEPT_BACK},
        encoding="utf-8",
    )
    try:
        yield Sandbox(_start(process, settings), settings.clients[0].client_id, settings.clients[0].client_secret)
    finally:
        _stop(process)


def require_extra() -> None:
    """Make sure that what the server needs is installed, without loading it.

    Raises:
        ConfigurationError: It is not.
    """
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"The sandbox needs {', '.join(missing)}, not installed here: pip install 'domo-oauth[sandbox]'"
        )


def _start(process: subprocess.Popen[str], settings: Settings) -> str:
    """Hand over the settings, through a pipe because of the secrets, and wait for the URL."""
    stdin, stdout = _pipes(process)
    with suppress(OSError):  # it has ended already, and the empty line below tells
        stdin.write(settings.to_json() + "\n")
        stdin.flush()
    first_line = stdout.readline()
    if not first_line:
        raise ConfigurationError("The sandbox did not start; its log on stderr says why.")
    return dict(word.split("=", 1) for word in shlex.split(first_line)[1:])["DOMO_API_URL"]


def _stop(process: subprocess.Popen[str]) -> None:
    """Close its stdin, at which it ends.

    No signal is sent: a child that was forked off this process comes through here too, when it ends, and must not
    take the sandbox away from its parent, which still holds the other end of the pipe.
    """
    import subprocess

    stdin, stdout = _pipes(process)
    try:
        with suppress(OSError):
            stdin.close()
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        stdout.close()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    return cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
