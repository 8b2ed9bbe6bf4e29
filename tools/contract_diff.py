"""Show what a change of the contract means for its clients: what `make contract-diff BASE=<git ref>` runs.

oasdiff, a tool in Go, compares the contract with that of the base: of the last release, tagged `contract-v...`, if none
is named. It fails on a change that breaks clients, unless `info.version` has a new major number.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = Path("openapi/domo-oauth.yaml")
OASDIFF = "github.com/oasdiff/oasdiff@v1.36.0"
TOOLS = ROOT / ".cache" / "go" / OASDIFF.rpartition("@")[2]
RELEASES = "contract-v*"
NOT_SET_UP = 2  # exit status


def git(*arguments: str) -> str | None:
    """Return what git says; None if it fails, or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S607 -- the user's
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def oasdiff() -> Path | None:
    """Return oasdiff, built when it is first needed; None if there is no Go to build it with."""
    path = TOOLS / "oasdiff"
    go = shutil.which("go")
    if not path.exists() and go is not None:
        print("contract-diff: building oasdiff (once; a minute or more)", file=sys.stderr)
        subprocess.run([go, "install", OASDIFF], env=os.environ | {"GOBIN": str(TOOLS)}, check=True)
    return path if path.exists() else None


def major(contract: str) -> int:
    return int(str(yaml.safe_load(contract)["info"]["version"]).partition(".")[0])


def compare(tool: Path, base: str, contract: str) -> int:
    """Print oasdiff's changelog from one contract to another. Return 1 if clients break and no new number says so."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = f"{folder}/base.yaml", f"{folder}/contract.yaml"
        Path(before).write_text(base, encoding="utf-8")
        Path(after).write_text(contract, encoding="utf-8")
        subprocess.run([str(tool), "changelog", before, after, "--format", "markdown"], check=True)
        breaking = [str(tool), "breaking", before, after, "--fail-on", "ERR"]
        breaks = subprocess.run(breaking, check=False, stdout=subprocess.DEVNULL).returncode != 0
    if breaks and major(contract) <= major(base):
        print("contract-diff: this breaks clients: raise the major number of info.version.", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Show what a change of the contract means for its clients.")
    parser.add_argument("base", nargs="?", help="git ref to compare with (default: the last release of the contract)")
    base: str | None = parser.parse_args().base
    if git("rev-parse", "--git-dir") is None:
        print("contract-diff: git has what the contract is compared with: install it, and use a clone", file=sys.stderr)
        return NOT_SET_UP
    if not base:
        base = (git("describe", "--tags", "--abbrev=0", "--match", RELEASES) or "").strip()
    if not base:
        print(f"contract-diff: nothing to compare with, as no release is tagged here ({RELEASES}); name a BASE")
        if os.environ.get("CI"):
            oasdiff()  # for its tests, which may not be skipped there
        return 0
    there = git("show", f"{base}:{CONTRACT}")
    if there is None:
        print(f"contract-diff: there is no {CONTRACT} at {base}", file=sys.stderr)
        return NOT_SET_UP
    tool = oasdiff()
    if tool is None:
        print(
            "contract-diff: oasdiff needs Go, which is not installed here: https://go.dev/doc/install", file=sys.stderr
        )
        return NOT_SET_UP
    print(f"From {base} to the working tree:\n", flush=True)
    return compare(tool, there, CONTRACT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
