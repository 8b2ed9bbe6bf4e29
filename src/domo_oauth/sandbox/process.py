"""Start a sandbox in a child process and control it: for tests, demonstrations and notebooks."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

from attrs import asdict

from domo_oauth.credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE
from domo_oauth.errors import ConfigurationError

from .settings import DEMO_CLIENT, Client, Failure, RecordedRequest, Settings, Stats

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from subprocess import Popen

__all__ = ["Sandbox", "require_extra", "running"]

_EXTRA = ("click", "cryptography", "jwt", "openapi_schema_validator", "starlette", "uvicorn")
_KEPT_BACK = (CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, "DOMO_STORE")  # the sandbox has clients of its own


@dataclass(slots=True)
class Sandbox:
    """A running sandbox.

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
        """What the sandbox has counted since it started or was reset."""
        return Stats(**self._ask("GET", "stats"))

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests to the token endpoint and the API since then, at most the last 10,000, without secrets."""
        return [RecordedRequest(**each) for each in self._ask("GET", "requests")]

    def reset(self) -> None:
        """Return to how it started: counts, requests, failures, clients and settings. Tokens stay valid."""
        self._ask("POST", "reset")

    def revoke_tokens(self) -> None:
        """Invalidate every token issued so far: the API refuses them with 401.

        A provider that meets this twice in a row pauses for a second or more, and then calls get the 401;
        ``provider.reset()`` ends the pause.
        """
        self._ask("POST", "revoke")

    def fail_next(
        self,
        status: int,
        *,
        times: int = 1,
        at: Literal["token", "api"] = "token",
        headers: Mapping[str, str] | None = None,
        body: object = None,
        delay: float = 0.0,
    ) -> None:
        """Make the next requests fail; those that follow are served as usual. See :class:`Failure` for the arguments.

        Raises:
            ConfigurationError: A value is out of its range.
        """
        failure = Failure(status=status, times=times, at=at, headers=dict(headers or {}), body=body, delay=delay)
        self._ask("POST", "fail", asdict(failure))

    def add_client(self, client: Client) -> None:
        """Add a client, or replace the one with the same id, as when its secret is rotated.

        Raises:
            ConfigurationError: A value is invalid.
        """
        self._ask("POST", "clients", asdict(client))

    @property
    def lifetime(self) -> int:
        """``expires_in`` of the tokens that it issues from now on, in seconds; 3599 at first, like Domo's. Can be set.

        A token of 0 seconds has expired when it arrives.
        """
        return cast("int", self._ask("GET", "settings")["lifetime"])

    @lifetime.setter
    def lifetime(self, seconds: int) -> None:
        self._ask("POST", "settings", {"lifetime": seconds})

    @property
    def delay(self) -> float:
        """Seconds that the token endpoint waits before it responds; can be set."""
        return cast("float", self._ask("GET", "settings")["delay"])

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._ask("POST", "settings", {"delay": seconds})

    @property
    def datasets(self) -> list[dict[str, Any]]:
        """The datasets of ``/v1/datasets``, with the fields of Domo's API; can be set. This is a copy.

        ``data`` holds the rows as CSV without a header. ``rows`` and ``columns`` are counted if they are missing.
        """
        return cast("list[dict[str, Any]]", self._ask("GET", "settings")["datasets"])

    @datasets.setter
    def datasets(self, datasets: Iterable[dict[str, Any]]) -> None:
        self._ask("POST", "settings", {"datasets": list(datasets)})

    def _ask(self, method: str, name: str, body: object = None) -> Any:
        from http.client import HTTPConnection

        # http.client ignores the proxies of the environment.
        with closing(HTTPConnection(urlsplit(self.url).netloc, timeout=60)) as connection:
            connection.request(method, f"/_sandbox/{name}", json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            answer = json.load(response)
        if response.status >= 400:  # noqa: PLR2004 -- the first status that is an error
            raise ConfigurationError(answer["error"])
        return answer


@contextmanager
def running(
    *,
    clients: Iterable[Client] = (DEMO_CLIENT,),
    port: int = 0,
    allowed_hosts: Iterable[str] = (),
    quiet: bool = False,
) -> Generator[Sandbox]:
    """Run a sandbox in a process of its own, which ends with the block and however this process ends.

    Args:
        clients: The clients that it knows; :attr:`Sandbox.env` holds the first.
        port: The TCP port; 0 for any free one.
        allowed_hosts: Host names besides loopback that requests may name, such as that of a container or a proxy.
        quiet: Discard its log, which goes to stderr otherwise.

    Raises:
        ConfigurationError: The extra ``sandbox`` is not installed, a setting is out of its range, or the sandbox did
            not start (stderr says why).
    """
    import subprocess

    require_extra()
    settings = Settings(clients=tuple(clients), port=port, allowed_hosts=tuple(allowed_hosts))
    with subprocess.Popen(
        # -P: a jwt.py in the current folder must not be imported in place of the library.
        [sys.executable, "-P", "-m", "domo_oauth.sandbox.server"],
        bufsize=0,  # so that nothing is left to write when the pipe is closed
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        env={name: value for name, value in os.environ.items() if name not in _KEPT_BACK},
    ) as process:
        client = settings.clients[0]
        try:
            yield Sandbox(_start(process, settings), client.client_id, client.client_secret)
        finally:
            process.terminate()  # does nothing in a forked child, which comes through here, too


def require_extra() -> None:
    """Check that what the server needs is installed, without loading it.

    Raises:
        ConfigurationError: It is not.
    """
    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        raise ConfigurationError(
            f"The sandbox needs {', '.join(missing)}, not installed here: pip install 'domo-oauth[sandbox]'"
        )


def _start(process: Popen[bytes], settings: Settings) -> str:
    """Hand over the settings, through a pipe because of the secrets, and wait for the URL."""
    stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    with suppress(OSError):  # if it has ended already, the empty line below says so
        pickle.dump(settings, stdin)
    first_line = stdout.readline().decode()
    if not first_line:
        raise ConfigurationError("The sandbox did not start; its log on stderr says why.")
    return dict(word.split("=", 1) for word in shlex.split(first_line)[1:])["DOMO_API_URL"]
