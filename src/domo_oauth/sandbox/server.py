"""The sandbox as a process that listens."""

from __future__ import annotations

import logging
import shlex
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

import uvicorn

from domo_oauth.contract import Exchange, check_exchange
from domo_oauth.errors import ConfigurationError

from .app import create_app
from .clients import DEMO_CLIENT

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["run"]

_LOG = logging.getLogger("domo_oauth.sandbox")
_IDLE_SECONDS = 75  # nginx's default; uvicorn's own 5 s would close connections that a client means to use again
_GRACE_SECONDS = 1  # for answers under way when the sandbox is stopped


def run(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM.

    The first line on stdout says, once connections are accepted, which variables to set, ready for a shell. The log
    goes to stderr.

    Returns:
        The exit status, 0.

    Raises:
        ConfigurationError: The port cannot be had.
    """
    _log_to_stderr()
    with _listening_socket(settings) as listener:
        config = uvicorn.Config(
            create_app(settings),
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        server = _Server(config, settings)

        def stop(*_: object) -> None:
            server.should_exit = True

        # uvicorn takes signals itself, and raises them once more at its end: then, and before it is ready, it is us
        # that they come to, and not Python, which would end with a status other than 0.
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            server.run(sockets=[listener])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return 0


class _Server(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            _announce(listener, self._settings)
        # Loading openapi-core takes longer than all the rest: not before the first line, and not in the first request.
        threading.Thread(target=check_exchange, args=[Exchange("GET", "/")], daemon=True).start()


def _listening_socket(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on port {settings.port} of {settings.host}: {error.strerror}. "
            "--port 0 takes one that is free."
        ) from None
    # Connections inherit it. Without it each answer takes 40 ms, for it is written in several pieces; asyncio would
    # set it only on sockets that were made with the protocol's number.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _announce(listener: socket.socket, settings: Settings) -> None:
    address, port = listener.getsockname()[:2]
    host = f"[{address}]" if ":" in address else address
    client = settings.clients[0]
    variables = {"DOMO_API_URL": f"http://{host}:{port}", "DOMO_CLIENT_ID": client.client_id}
    if client.client_secret == DEMO_CLIENT.client_secret:  # which is none; what somebody wrote into a file stays there
        variables["DOMO_CLIENT_SECRET"] = client.client_secret
    sys.stdout.write(f"export {' '.join(f'{name}={shlex.quote(value)}' for name, value in variables.items())}\n")
    sys.stdout.flush()
    _say(settings, variables["DOMO_API_URL"])


def _say(settings: Settings, url: str) -> None:
    known = "; ".join(f"{client.client_id} ({' '.join(client.scopes)})" for client in settings.clients)
    for line in (
        f"This is a sandbox of Domo's token endpoint. The line above, pasted into a shell, points programs at {url}.",
        f"Clients and their scopes: {known}",
        f"To read about it and to try it: {url}/",
        "GET /oauth/token, GET /v1/datasets; GET /_sandbox/stats, POST /_sandbox/reset, POST /_sandbox/revoke",
        "Ctrl+C stops it.",
    ):
        _LOG.info(line)


def _log_to_stderr() -> None:
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False
    _LOG.handlers = [logging.StreamHandler(sys.stderr)]
