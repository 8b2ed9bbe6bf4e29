"""requests-cache: no token in its database, also after a replay."""

import shutil
import sqlite3
import sys
from pathlib import Path

import checks

page = checks.module("cached")


def names() -> None:
    """Make a call that the cache cannot answer."""
    page.domo.cache.clear()
    assert page.names() == checks.NAMES


checks.check_calls(names)
checks.check_revoked(names)  # what was replayed is now in the cache
before = checks.sandbox.stats()
assert page.names() == checks.NAMES
assert checks.since(before)["resource_requests"] == 0, checks.since(before)
shutil.copy("domo.sqlite", "replayed.sqlite")  # the runner searches it
(cached,) = page.domo.cache.responses.values()
assert cached.request.headers["Authorization"] == "REDACTED", cached.request.headers
checks.check_expired(names)
rows = sqlite3.connect("domo.sqlite").execute("select * from responses").fetchall()
assert len(rows) == 1
Path("domo.sqlite").rename("renewed.sqlite")  # the script starts without a cache
checks.check_script(sys.executable, "cached.py")
checks.versions("requests-cache")
checks.done("`domo.sqlite` after a replay; a renewed token keeps the cache")
