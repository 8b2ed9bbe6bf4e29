"""How the sandbox and the proxy listen: addresses, Unix sockets, and uvicorn until SIGINT or SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import stat
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from .base_url import is_loopback
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Container

    from starlette.types import ASGIApp

__all__ = ["is_known_host", "listen", "listen_at_path", "run", "server", "url_of"]

_IDLE_SECONDS = 75  # nginx's default; uvicorn's 5 s would close connections that clients mean to reuse


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 takes a free one.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such host"
        raise ConfigurationError(f"Cannot listen on port {port} of {host}: {why}. --port 0 takes a free one.") from None
    # Connections inherit it. Without it each response takes 40 ms, as it is written in several pieces; asyncio sets it
    # only on sockets that name TCP as their protocol.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def listen_at_path(path: str) -> socket.socket:
    """Listen on a Unix socket that only this user can connect to.

    Raises:
        ConfigurationError: Other users could take the socket's place, or something else is there.
    """
    folder = Path(path).absolute().parent
    try:
        info = folder.stat()
        if info.st_uid != os.geteuid() or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigurationError(f"Other users can change {folder}: use a folder of your own, with mode 0700.")
        if Path(path).is_socket() and not _answers(path):
            Path(path).unlink()  # left behind by a process that was killed
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)  # so that it is never open to others, not even for a moment
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(2048)
    except OSError as error:
        why = error.strerror or error
        raise ConfigurationError(f"Cannot listen on the socket {path}: {why}. Choose another path.") from None
    return listener


def is_known_host(field: str, allowed: Container[str]) -> bool:
    """Whether a ``Host`` field is loopback or one of these. DNS rebinding makes the name of a web page lead here."""
    try:
        name = urlsplit(f"//{field}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name in allowed


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(path)
        return True
    return False


def url_of(listener: socket.socket) -> str:
    """The URL of a listener."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server(app: ASGIApp, *, grace: int, date_header: bool = True) -> uvicorn.Server:
    """A server that stops when its ``should_exit`` is set, and gives responses under way ``grace`` seconds to end."""
    config = uvicorn.Config(
        app,
        http="h11",
        loop="asyncio",
        ws="none",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=date_header,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=grace,
    )
    return uvicorn.Server(config)


def run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    # uvicorn's own way raises the signal again at the end, and the exit status would not be 0.
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment] # as a context manager, it fits
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    with listener:
        server.run(sockets=[listener])
