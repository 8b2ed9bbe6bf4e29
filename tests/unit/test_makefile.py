"""What the Makefile's variables and checks do, without anything being built."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run make, to which the environment looks set up."""
    # What the make that runs these tests was given is not meant here: its flags, and its variables, which it exports.
    command = ["make", "--no-print-directory", "-f", ROOT / "Makefile", "-o", ".venv/.ready", "VENV=.venv", *arguments]
    env = os.environ | {"MAKEFLAGS": ""} | env
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("target", "variable", "option"),
    [
        ("interop", "PUBLISH", "--update-readme"),
        ("sdk", "FORCE", "--force"),
        ("lock", "UPGRADE", "--upgrade"),
        ("audit", "DRY", "--dry-run"),
    ],
)
def test_what_one_turns_on_zero_leaves_off(tmp_path: Path, target: str, variable: str, option: str):
    assert option in make(tmp_path, "-n", target, f"{variable}=1").stdout
    off = make(tmp_path, "-n", target, f"{variable}=0")
    assert off.returncode == 0
    assert option not in off.stdout


@pytest.mark.parametrize("missing", ["git", "a repository"])
def test_drift_says_that_it_needs_git(tmp_path: Path, missing: str):
    env = {}
    if missing == "git":
        (tmp_path / "bin").mkdir()
        for name in ("sh", "make", "id"):
            found = next(path for path in (Path("/bin", name), Path("/usr/bin", name)) if path.exists())
            (tmp_path / "bin" / name).symlink_to(found)
        env["PATH"] = str(tmp_path / "bin")
    ended = make(tmp_path, "drift", GIT_CEILING_DIRECTORIES=str(tmp_path.parent), **env)
    assert ended.returncode != 0
    assert ended.stderr.startswith("drift: git has what generated/ is compared with: install it, and use a clone.\n")
