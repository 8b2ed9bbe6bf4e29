"""``domo-oauth token``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from domo_oauth.errors import UnexpectedResponseError

from .obtain import Obtained, obtain
from .options import add_token_arguments

if TYPE_CHECKING:
    import argparse
    from typing import Any

__all__ = ["EXAMPLES", "add_arguments", "run", "simple_arguments"]

EXAMPLES = """\
  domo-oauth token --scope data
  curl --config <(domo-oauth token --format curl-config) https://api.domo.com/v1/datasets
  eval "$(domo-oauth token --format env)"
  domo-oauth token --format json | jq .expires_at

In a script, give the output to a variable first, as in config=$(domo-oauth token --format curl-config): there set -e
sees a failure, and within <(...), "$(...)" and here-documents it does not."""

_FORMATS = ("raw", "json", "header", "env", "curl-config")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        default="raw",
        help="the token alone, all that is known of it, the field of a request, a line for a shell to evaluate, "
        "or one for curl "
        "(default: %(default)s)",
    )
    add_token_arguments(parser)


def simple_arguments(argv: list[str]) -> Any:
    """What argparse makes of arguments like ``--scope data --format header``; None if that is for argparse to say.

    A stored token takes less time to print than argparse to import and to set up.
    """
    names, values = argv[::2], argv[1::2]
    simple = len(names) == len(values) and set(names) <= {"--scope", "--format"}
    if not simple or any(value.startswith("-") for value in values):
        return None
    pairs = list(zip(names, values, strict=True))
    form = dict(pairs).get("--format", _FORMATS[0])
    if not {value for name, value in pairs if name == "--format"} <= set(_FORMATS):
        return None
    return SimpleNamespace(
        format=form,
        scope=[value for name, value in pairs if name == "--scope"] or None,
        custom_scope=None,
        no_store=False,
        min_lifetime=None,
        client_id=None,
        client_secret_file=None,
        base_url=None,
        verbose=False,
        run=run,
    )


def run(args: argparse.Namespace) -> int:
    """Print a token."""
    print(_formatted(obtain(args), args.format))
    return 0


def _formatted(obtained: Obtained, form: str) -> str:
    text = obtained.token.access_token
    if not (text.isascii() and text.isprintable()):
        raise UnexpectedResponseError("The token has characters that none can have (RFC 6749, appendix A.12).")
    match form:
        case "json":
            return _json(obtained)
        case "header":
            return f"Authorization: Bearer {text}"
        case "env":
            quoted = text.replace("'", "'\\''")
            return f"export DOMO_ACCESS_TOKEN='{quoted}'"
        case "curl-config":
            escaped = text.replace("\\", "\\\\").replace('"', '\\"')
            return f'header = "Authorization: Bearer {escaped}"'
        case _:
            return text


def _json(obtained: Obtained) -> str:
    import json

    token = obtained.token
    fields = {
        "access_token": token.access_token,
        "token_type": token.token_type,
        "expires_at": token.expires_at.isoformat(timespec="seconds"),
        "expires_in": int(obtained.left),
        "scopes": sorted(token.scopes),
        "customer": token.customer,
        "role": token.role,
        "user_id": token.user_id,
        "jti": token.jti,
    }
    return json.dumps(fields, indent=2)
