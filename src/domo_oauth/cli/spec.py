"""``domo-oauth spec``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
  domo-oauth spec > domo-oauth.yaml
  domo-oauth spec --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="as JSON; else the YAML document as it was written")


def run(args: argparse.Namespace) -> int:
    """Print the contract."""
    from domo_oauth.contract import contract, contract_text

    if args.json:
        import json

        text = json.dumps(contract(), indent=2, ensure_ascii=False) + "\n"
    else:
        text = contract_text()
    # As bytes: a file made with `>` is to be UTF-8 with LF, whatever the locale and the system are.
    sys.stdout.buffer.write(text.encode())
    return 0
