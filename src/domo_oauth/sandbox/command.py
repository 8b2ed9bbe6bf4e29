"""The command ``domo-oauth sandbox``, also ``python -m domo_oauth.sandbox``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from domo_oauth.errors import ConfigurationError

from .process import require_extra
from .settings import DEMO_CLIENT, Failure, Settings, load_clients

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["command"]

_DEFAULTS = Settings()
_FAILURE = re.compile(r"(?:(token|api):)?(\d{1,9})(?:x(\d{1,9}))?", re.ASCII)


class _Value(click.ParamType):  # type: ignore[type-arg] # generic only since click 8.5
    """A type whose errors, unlike those of click's types, do not show the value: it could be a secret."""

    def __init__(self, name: str, convert: Callable[[str], object]) -> None:
        self.name = name
        self._convert = convert

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        try:
            return self._convert(str(value))
        except (ValueError, ConfigurationError):
            return self.fail(f"not {self.name}.", param, ctx)


def _failure(text: str) -> Failure:
    match = _FAILURE.fullmatch(text)
    if not match:
        raise ValueError
    at, status, times = match.groups()
    return Failure(status=int(status), times=int(times or 1), at=at or "token")


_WHOLE_NUMBER = _Value("a whole number", int)
_NUMBER = _Value("a number", float)
_FAILURES = _Value("such as 503, 429x3 or api:401", _failure)


@click.command(
    "sandbox",
    context_settings={"help_option_names": ["-h", "--help"], "allow_extra_args": True},
    epilog="""\b
    To make the next two token requests fail:
      curl -d '{"status": 503, "times": 2}' http://127.0.0.1:8765/_sandbox/fail""",
)
@click.option("--host", default=_DEFAULTS.host, show_default=True, help="Loopback address to listen on.")
@click.option(
    "--port", type=_WHOLE_NUMBER, default=_DEFAULTS.port, metavar="N", show_default=True, help="0 takes a free one."
)
@click.option("--allow-host", "allowed_hosts", multiple=True, metavar="NAME", help="Host name to allow in requests.")
@click.option("--clients", metavar="FILE", help="TOML file with a [[clients]] table for each client.")
@click.option(
    "--scope", metavar="SCOPES", help=f"Scopes of the demo client.  [default: {' '.join(DEMO_CLIENT.scopes)}]"
)
@click.option("--customer", metavar="NAME", help=f"Customer of the demo client.  [default: {DEMO_CLIENT.customer}]")
@click.option(
    "--lifetime",
    type=_WHOLE_NUMBER,
    default=_DEFAULTS.lifetime,
    metavar="SECONDS",
    show_default=True,
    help="Lifetime of the tokens.",
)
@click.option("--delay", type=_NUMBER, default=0.0, metavar="SECONDS", help="Let each token request wait.")
@click.option(
    "--fail",
    "failures",
    type=_FAILURES,
    multiple=True,
    metavar="[token:|api:]STATUS[xTIMES]",
    help="Fail the first requests to the token endpoint (default) or the API, such as 503, 429x3 or api:401.",
)
@click.option("--validate-responses", is_flag=True, help="Check the sandbox's own answers against the contract, too.")
@click.pass_context
def command(
    context: click.Context, /, *, clients: str | None, scope: str | None, customer: str | None, **settings: Any
) -> None:
    """Run a local server that behaves like Domo's token endpoint, until Ctrl-C.

    The first line of the output sets the environment variables that point programs at it.
    """
    if context.args:
        raise click.UsageError("The command takes options only.")  # click would show the arguments
    if clients and (scope is not None or customer is not None):
        raise ConfigurationError(
            "--scope and --customer are for the demo client: with --clients, put them in the file."
        )
    require_extra()
    from .server import run

    known = load_clients(clients) if clients else (DEMO_CLIENT,)
    if scope is not None:
        known = (evolve(known[0], scopes=tuple(scope.replace(",", " ").split())),)
    if customer is not None:
        known = (evolve(known[0], customer=customer),)
    run(Settings(clients=known, **settings))
