"""The command ``domo-oauth sandbox``."""

from __future__ import annotations

import re
from typing import Any

import click

from .process import require_extra
from .settings import Failure, Settings

__all__ = ["command"]

_DEFAULTS = Settings()


def _failure(text: str) -> Failure:
    match = re.fullmatch(r"(?:(token|api):)?(\d{1,9})(?:x(\d{1,9}))?", text, re.ASCII)
    if not match:
        raise ValueError
    at, status, times = match.groups()
    return Failure(status=int(status), times=int(times or 1), at=at or "token")


@click.command(
    "sandbox",
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.option("--host", default=_DEFAULTS.host, help="Loopback address to listen on.")
@click.option("--port", type=int, default=_DEFAULTS.port, metavar="N", help="TCP port; 0 for any free one.")
@click.option("--allow-host", "allowed_hosts", multiple=True, metavar="NAME", help="Host name to allow in requests.")
@click.option("--lifetime", type=int, default=_DEFAULTS.lifetime, metavar="SECONDS", help="Lifetime of the tokens.")
@click.option("--delay", type=float, default=0.0, metavar="SECONDS", help="Delay of each token response.")
@click.option(
    "--fail",
    "failures",
    type=_failure,
    multiple=True,
    metavar="[token:|api:]STATUS[xTIMES]",
    help="Fail the first requests to the token endpoint (default) or the API, such as 503, 429x3 or api:401.",
)
def command(**settings: Any) -> None:
    """Run a local server that behaves like Domo's token endpoint, until Ctrl-C.

    The first line of the output sets the environment variables that point programs at it.

    \b
    While it runs:
      curl -d '{"status": 503, "times": 2}' http://127.0.0.1:8765/_sandbox/fail
      curl -d '{"status": 429, "headers": {"Retry-After": "5"}}' http://127.0.0.1:8765/_sandbox/fail
      curl -d '{"lifetime": 60, "delay": 0.5}' http://127.0.0.1:8765/_sandbox/settings
      curl -d '{"client_id": "x", "client_secret": "y", "scopes": ["data"]}' http://127.0.0.1:8765/_sandbox/clients
      curl -X POST http://127.0.0.1:8765/_sandbox/revoke   # all tokens
    """
    require_extra()
    from .server import run

    run(Settings(**settings))
