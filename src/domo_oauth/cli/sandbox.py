"""``domo-oauth sandbox``."""

from __future__ import annotations

from domo_oauth.sandbox.command import add_arguments, run_from_args

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
  domo-oauth sandbox --port 0
  domo-oauth sandbox --clients clients.toml --lifetime 60"""

run = run_from_args
