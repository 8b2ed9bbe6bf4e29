"""What :func:`domo_oauth.sandbox.running` starts: settings come in by stdin, and its end is the end of the sandbox.

However the other process dies, the system closes its end of the pipe, so no sandbox is left behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from domo_oauth.errors import ConfigurationError

from .server import run
from .settings import Settings

_STDIN = 0


def _stop_at_end_of_stdin() -> None:
    # Nothing comes after the settings, so this waits for the end. Not by sys.stdin: a thread that waits in its buffer
    # makes the interpreter stumble at its own end.
    os.read(_STDIN, 1)
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    settings = Settings.from_json(os.fdopen(_STDIN, "rb", buffering=0, closefd=False).readline().decode())
    threading.Thread(target=_stop_at_end_of_stdin, daemon=True).start()
    try:
        sys.exit(run(settings))
    except ConfigurationError as error:
        sys.exit(f"domo_oauth.sandbox: {error}")
