"""The sandbox as a process that listens."""

from __future__ import annotations

import logging
import os
import pickle
import shlex
import signal
import socket
import sys
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

import uvicorn

from domo_oauth.contract import Exchange, check_exchange
from domo_oauth.errors import ConfigurationError

from .app import create_app

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["run"]

_LOG = logging.getLogger("domo_oauth.sandbox")
_IDLE_SECONDS = 75  # nginx's default; uvicorn's 5 s would close connections that clients mean to reuse
_GRACE_SECONDS = 1  # for answers under way when the sandbox stops
_STDIN = 0


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    As soon as it accepts connections, it prints the variables to set, as a line for a shell. The log goes to stderr.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False
    _LOG.handlers = [logging.StreamHandler(sys.stderr)]
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
    check_exchange(Exchange("GET", "/"))  # loads what checks need, so that the first request does not wait for it
    server = uvicorn.Server(config)
    # uvicorn's own way raises the signal again at the end, and the exit status would not be 0.
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment] # as a context manager, it fits
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    with _listening_socket(settings) as listener:
        _announce(listener, settings)
        server.run(sockets=[listener])


def _listening_socket(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise ConfigurationError(
            f"Cannot listen on port {settings.port} of {settings.host}: {why}. --port 0 takes a free one."
        ) from None
    # Connections inherit it. Without it each answer takes 40 ms, as it is written in several pieces; asyncio sets it
    # only on sockets that name TCP as their protocol.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _announce(listener: socket.socket, settings: Settings) -> None:
    address, port = listener.getsockname()[:2]
    url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
    client = settings.clients[0]
    variables = {"DOMO_API_URL": url, "DOMO_CLIENT_ID": client.client_id}
    if client.public_secret:
        variables["DOMO_CLIENT_SECRET"] = client.public_secret
    print(*("export", *(f"{name}={shlex.quote(value)}" for name, value in variables.items())), flush=True)  # noqa: T201
    known = "; ".join(f"{each.client_id} ({' '.join(each.scopes)})" for each in settings.clients)
    _LOG.info("A sandbox of Domo's token endpoint. Paste the line above into a shell to point programs at it.")
    _LOG.info("Clients and their scopes: %s", known)
    _LOG.info("To read about it and to try it: %s/", url)
    _LOG.info("GET /oauth/token, /v1/datasets, /_sandbox/{stats,requests,settings}")
    _LOG.info("POST /_sandbox/{reset,revoke,fail,clients,settings}")
    _LOG.info("Ctrl+C stops it.")


def _stop_at_end_of_stdin() -> None:
    # Nothing follows the settings, so this waits for the end. Not through sys.stdin: a thread that waits in its buffer
    # makes the interpreter fail at its own end.
    os.read(_STDIN, 1)
    signal.raise_signal(signal.SIGTERM)


def _main() -> None:
    """What :func:`domo_oauth.sandbox.running` starts: settings come through stdin, and its end stops the sandbox.

    The system closes the pipe however the other process dies, so no sandbox is left behind.
    """
    # Unbuffered, as the thread reads on.
    settings = pickle.load(os.fdopen(_STDIN, "rb", buffering=0, closefd=False))  # noqa: S301 -- from the parent
    threading.Thread(target=_stop_at_end_of_stdin, daemon=True).start()
    try:
        run(settings)
    except ConfigurationError as error:
        sys.exit(f"domo_oauth.sandbox: {error}")


if __name__ == "__main__":
    _main()
