"""Show what a change of the contract does to its clients: what `make contract-diff BASE=<git ref>` runs.

oasdiff, a tool in Go, compares the contract with its last release (the tag `contract-v...`), or without one with the
last commit of the version before. It fails on a change that breaks clients, unless `info.version` has a new major
number. `tools/oasdiff-levels.txt` makes it fail on changes that it only reports otherwise, such as a renamed schema:
generated code uses the name.
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
LEVELS = ROOT / "tools" / "oasdiff-levels.txt"
OASDIFF = "github.com/oasdiff/oasdiff@v1.36.0"
TOOLS = ROOT / ".cache" / "go" / OASDIFF.rpartition("@")[2]
RELEASES = "contract-v*"


def git(*arguments: str) -> str:
    """What git prints; empty if it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S607 -- the user's
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def oasdiff() -> Path | None:
    """Return oasdiff, built when it is first needed; None if it cannot be built, as Go is not installed."""
    path, go = TOOLS / "oasdiff", shutil.which("go")
    if not path.exists() and go is not None:
        print("contract-diff: building oasdiff (once; a minute or more)", file=sys.stderr)
        subprocess.run([go, "install", OASDIFF], env=os.environ | {"GOBIN": str(TOOLS)}, check=True)
    return path if path.exists() else None


def version(contract: str) -> str:
    return str(yaml.safe_load(contract)["info"]["version"])


def last_version() -> str:
    """The last release, or the last commit with another version than the working tree."""
    if tag := git("describe", "--tags", "--abbrev=0", "--match", RELEASES):
        return tag
    if version(git("show", f"HEAD:{CONTRACT}") or CONTRACT.read_text()) != version(CONTRACT.read_text()):
        return "HEAD"
    return git("log", "-1", "--format=%H", "-G^  version: ", "--", str(CONTRACT)) + "^"


def compare(tool: Path, base: str, contract: str) -> int:
    """Print oasdiff's changelog. Return 1 if clients break and `info.version` has no new major number."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "base.yaml"), Path(folder, "contract.yaml")
        before.write_text(base, encoding="utf-8")
        after.write_text(contract, encoding="utf-8")
        options = ["--format", "markdown", "--fail-on", "ERR", "--severity-levels", str(LEVELS)]
        breaks = subprocess.run([tool, "changelog", before, after, *options], check=False).returncode != 0
    if breaks and version(contract).partition(".")[0] == version(base).partition(".")[0]:
        print("contract-diff: this breaks clients: raise the major number of info.version.", file=sys.stderr)
        return 1
    return 0


def main() -> str | int:
    parser = argparse.ArgumentParser(description="Show what a change of the contract does to its clients.")
    parser.add_argument("base", nargs="?", help="git ref to compare with (default: the last version of the contract)")
    given: str | None = parser.parse_args().base
    if not git("rev-parse", "--git-dir"):
        return "contract-diff: this needs git and a clone, as it compares with the last version"
    base = given or last_version()
    old = git("show", f"{base}:{CONTRACT}")
    if not old and not given:
        print("contract-diff: nothing to compare with, as this is the first version; name a BASE")
        return 0
    if not old:
        return f"contract-diff: there is no {CONTRACT} at {base}"
    tool = oasdiff()
    if tool is None:
        return "contract-diff: oasdiff needs Go, which is not installed here: https://go.dev/doc/install"
    print(f"From {base} to the working tree:\n", flush=True)
    return compare(tool, old, CONTRACT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
