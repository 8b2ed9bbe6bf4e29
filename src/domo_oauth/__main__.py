"""`python -m domo_oauth` is the command `domo-oauth`."""

from __future__ import annotations

import sys

from domo_oauth.cli import main

if __name__ == "__main__":
    sys.exit(main())
