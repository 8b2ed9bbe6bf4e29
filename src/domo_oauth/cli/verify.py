"""``domo-oauth verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
  domo-oauth verify recording.har
  domo-oauth verify --strict browser-session.har"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="a HAR 1.2 file; a browser's capture will do, if it was saved with sensitive data (the credentials)",
    )
    parser.add_argument("--strict", action="store_true", help="fail on fields that the contract does not name, too")


def run(args: argparse.Namespace) -> int:
    """Check the files."""
    from domo_oauth.contract import verify

    return verify(args.files, strict=args.strict, out=sys.stdout)
