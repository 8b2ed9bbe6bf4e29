"""``domo-oauth record``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from domo_oauth.base_url import resolve_base_url

from .credentials import add_client_arguments, find
from .messages import show_log

if TYPE_CHECKING:
    import argparse

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = "  DOMO_CLIENT_ID=... DOMO_CLIENT_SECRET=... domo-oauth record --out recordings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where the HAR files go")
    add_client_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the endpoint, write what it answers, and check that."""
    from domo_oauth.contract import record, verify

    show_log(verbose=args.verbose)
    base_url = resolve_base_url(args.base_url)
    return verify(record(find(args, base_url).credentials, args.out, base_url=base_url), out=sys.stdout)
