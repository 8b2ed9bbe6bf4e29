"""``python -m domo_oauth.sandbox``: the command ``domo-oauth sandbox`` without the extra ``cli``."""

from __future__ import annotations

import sys

from domo_oauth.errors import ConfigurationError

from .process import require_extra

if __name__ == "__main__":
    try:
        require_extra()
        from .command import command

        command(prog_name="python -m domo_oauth.sandbox")
    except ConfigurationError as error:
        print(f"domo_oauth.sandbox: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
