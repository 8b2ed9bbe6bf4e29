"""``domo-oauth whoami``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domo_oauth.redact import one_line

from .obtain import obtain
from .options import add_token_arguments

if TYPE_CHECKING:
    import argparse

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
  domo-oauth whoami
  domo-oauth whoami --scope data --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_token_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print all but the token."""
    obtained = obtain(args)
    token, client = obtained.token, obtained.client
    expires_at, scopes = token.expires_at.isoformat(timespec="seconds"), sorted(token.scopes)
    shown: dict[str, object] = {
        "customer": token.customer,
        "role": token.role,
        "user_id": token.user_id,
        "scopes": scopes,
        "expires_in": int(obtained.left),
        "expires_at": expires_at,
        "token_from": obtained.origin,
        "client_id": client.credentials.masked_client_id,
        "credentials_from": client.source,
        "base_url": obtained.base_url,
    }
    if args.json:
        import json

        print(json.dumps(shown, indent=2))
        return 0
    told = shown | {"scopes": " ".join(scopes), "expires_in": f"{int(obtained.left)} s"}
    for name, value in told.items():
        print(f"{name.replace('_', ' '):<17}{'unknown' if value in (None, '') else one_line(str(value))}")
    return 0
