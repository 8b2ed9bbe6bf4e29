"""Run the sandbox until SIGINT or SIGTERM: what the child process does."""

from __future__ import annotations

import logging
import os
import pickle
import shlex
import signal
import sys
import threading
from typing import TYPE_CHECKING

from domo_oauth import serving
from domo_oauth.contract import Exchange, check_exchange
from domo_oauth.errors import ConfigurationError

from .app import create_app
from .process import Sandbox
from .token_endpoint import TOKEN

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["run"]

_LOG = logging.getLogger("domo_oauth.sandbox")
_GRACE_SECONDS = 1  # for responses under way when the sandbox stops
_STDIN = 0


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    As soon as it accepts connections, it prints the variables to set, as a line for a shell. The log goes to stderr.

    Raises:
        ConfigurationError: It cannot listen on the address.
    """
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False
    _LOG.handlers = [logging.StreamHandler(sys.stderr)]
    # Loads what checks need before the first request.
    check_exchange(Exchange("GET", f"{TOKEN}?grant_type=client_credentials"))
    listener = serving.listen(settings.host, settings.port)
    _announce(serving.url_of(listener), settings)
    serving.run(serving.server(create_app(settings), grace=_GRACE_SECONDS), listener)


def _announce(url: str, settings: Settings) -> None:
    client = settings.clients[0]
    variables = Sandbox(url, client.client_id, client.public_secret).env
    words = (f"{name}={shlex.quote(value)}" for name, value in variables.items() if value)
    print("export", *words, flush=True)  # noqa: T201
    known = "; ".join(f"{each.client_id} ({' '.join(each.scopes)})" for each in settings.clients)
    _LOG.info("A sandbox of Domo's token endpoint. Paste the line above into a shell to point programs at it.")
    _LOG.info("Clients and their scopes: %s", known)
    _LOG.info("Reference page: %s/", url)
    _LOG.info("GET /_sandbox/{stats,requests,settings}, POST /_sandbox/{reset,revoke,fail,clients,settings}")
    _LOG.info("'domo-oauth sandbox --help' has examples. Ctrl-C stops it.")


def _stop_at_end_of_stdin() -> None:
    # Nothing follows the settings, so this waits for the end. A thread that reads sys.stdin could not be interrupted
    # when the interpreter ends.
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
