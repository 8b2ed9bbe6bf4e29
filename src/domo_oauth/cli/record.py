"""``domo-oauth record``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = "  DOMO_CLIENT_ID=... DOMO_CLIENT_SECRET=... domo-oauth record --out recordings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where the HAR files go")


def run(args: argparse.Namespace) -> int:
    """Ask the endpoint, write what it answers, and check that."""
    from domo_oauth.contract import record, verify
    from domo_oauth.credentials import ClientCredentials

    return verify(record(ClientCredentials.from_env(), args.out), out=sys.stdout)
