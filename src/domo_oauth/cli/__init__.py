"""The command ``domo-oauth``. Data go to standard output, messages to standard error."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ._version import __version__
from .errors import (
    ConfigurationError,
    DomoOAuthError,
    RateLimitedError,
    ServerError,
    TransportError,
    UnexpectedResponseError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    # What add_subparsers() gives has no public name.
    _Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

__all__ = ["main"]

EXIT_STATUSES = """\
exit status:
  0  done
  1  a check failed
  2  wrong usage, or something is not set up; nothing was sent
  3  Domo refused the client, its scopes or the request; the same will be refused again
  4  not now: no answer (network, proxy, TLS, time-out), too many requests, or a fault at Domo
  5  an answer that is not the contract's
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status (see ``domo-oauth --help``)."""
    args = _parser().parse_args(argv)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except DomoOAuthError as error:
        print(f"domo-oauth: {error}", file=sys.stderr)
        return _exit_status(error)
    except KeyboardInterrupt:
        return 128 + 2  # what a shell gives for SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at its end
        return 128 + 13  # what a shell gives for SIGPIPE
    return status


def _exit_status(error: DomoOAuthError) -> int:
    match error:
        case ConfigurationError():
            return 2
        case TransportError() | RateLimitedError() | ServerError():
            return 4
        case UnexpectedResponseError():
            return 5
        case _:
            return 3


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="domo-oauth",
        description="Access tokens for Domo's APIs, and the contract of the endpoint that grants them.",
        epilog=EXIT_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"domo-oauth {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    sandbox = _command(
        commands,
        "sandbox",
        "run a local server that behaves like the endpoint",
        "domo-oauth sandbox --port 0\n  domo-oauth sandbox --clients clients.toml --lifetime 60",
    )
    from .sandbox.command import add_arguments, run_from_args

    add_arguments(sandbox)
    sandbox.set_defaults(run=run_from_args)

    verify = _command(
        commands,
        "verify",
        "check recorded exchanges (HAR files) against the contract",
        "domo-oauth verify recording.har\n  domo-oauth verify --strict browser-session.har",
    )
    verify.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="a HAR 1.2 file; a browser's capture will do, if it was saved with sensitive data (the credentials)",
    )
    verify.add_argument("--strict", action="store_true", help="fail on fields that the contract does not name, too")
    verify.set_defaults(run=_verify)

    record = _command(
        commands,
        "record",
        "ask the endpoint for one token and three errors, and write redacted recordings",
        "DOMO_CLIENT_ID=... DOMO_CLIENT_SECRET=... domo-oauth record --out recordings",
    )
    record.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where the HAR files go")
    record.set_defaults(run=_record)

    spec = _command(
        commands, "spec", "print the contract", "domo-oauth spec > domo-oauth.yaml\n  domo-oauth spec --json"
    )
    spec.add_argument("--json", action="store_true", help="as JSON; else the YAML document as it was written")
    spec.set_defaults(run=_spec)
    return parser


def _command(commands: _Commands, name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n  {examples}\n\n{EXIT_STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _verify(args: argparse.Namespace) -> int:
    from .contract import verify

    return verify(args.files, strict=args.strict, out=sys.stdout)


def _record(args: argparse.Namespace) -> int:
    from .contract import record, verify
    from .credentials import ClientCredentials

    return verify(record(ClientCredentials.from_env(), args.out), out=sys.stdout)


def _spec(args: argparse.Namespace) -> int:
    from .contract import contract, contract_text

    if args.json:
        import json

        text = json.dumps(contract(), indent=2, ensure_ascii=False) + "\n"
    else:
        text = contract_text()
    # As bytes: a file made with `>` is to be UTF-8 with LF, whatever the locale and the system are.
    sys.stdout.buffer.write(text.encode())
    return 0
