"""``domo-oauth sandbox``: its flags, and what it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from domo_oauth.errors import ConfigurationError

from .clients import DEMO_CLIENT, load_clients
from .process import require_extra
from .settings import DEFAULT_LIFETIME, DEFAULT_PORT, Settings

if TYPE_CHECKING:
    import argparse

__all__ = ["add_arguments", "run_from_args"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``domo-oauth sandbox`` to a parser. None takes a secret: others could read it with ``ps``."""
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, metavar="N", help="0 takes one that is free (default: %(default)s)"
    )
    parser.add_argument("--clients", metavar="FILE", help="TOML file with a [[clients]] table for each client")
    parser.add_argument(
        "--scope", metavar="SCOPES", help=f"scopes of the demo client (default: '{' '.join(DEMO_CLIENT.scopes)}')"
    )
    parser.add_argument(
        "--customer", metavar="NAME", help=f"customer of the demo client (default: {DEMO_CLIENT.customer})"
    )
    parser.add_argument(
        "--lifetime",
        type=int,
        default=DEFAULT_LIFETIME,
        metavar="SECONDS",
        help="expires_in of the tokens (default: %(default)s)",
    )
    parser.add_argument(
        "--delay", type=float, default=0.0, metavar="SECONDS", help="let each token request wait (default: %(default)s)"
    )
    parser.add_argument(
        "--validate-responses", action="store_true", help="check the sandbox's own answers against the contract, too"
    )


def run_from_args(args: argparse.Namespace) -> int:
    """Run a sandbox as the flags say, until SIGINT or SIGTERM.

    Returns:
        The exit status, 0.

    Raises:
        ConfigurationError: A flag or the clients' file is wrong, the port is taken, or the extra ``sandbox`` is not
            installed.
    """
    if args.clients and (args.scope is not None or args.customer is not None):
        raise ConfigurationError(
            "--scope and --customer are for the demo client: with --clients, put them in the file."
        )
    clients = load_clients(args.clients) if args.clients else (DEMO_CLIENT,)
    if args.scope is not None:
        clients = (replace(clients[0], scopes=tuple(args.scope.replace(",", " ").split())),)
    if args.customer is not None:
        clients = (replace(clients[0], customer=args.customer),)
    settings = Settings(
        clients=clients,
        host=args.host,
        port=args.port,
        lifetime=args.lifetime,
        delay=args.delay,
        validate_responses=args.validate_responses,
    )
    require_extra()
    from .server import run

    return run(settings)
