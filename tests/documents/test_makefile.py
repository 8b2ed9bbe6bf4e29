"""What the Makefile's variables and checks do, without anything being built."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(folder, *arguments, **env):
    """Run make, which believes that the environment is set up, without the flags and variables of an outer make."""
    command = ["make", "--no-print-directory", "-f", ROOT / "Makefile", "-o", ".venv/.ready", "VENV=.venv", *arguments]
    env = os.environ | {"MAKEFLAGS": ""} | env
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("target", "variable", "options"),
    [
        ("interop", "PUBLISH=1", ["--update-readme"]),
        ("sdk", "FORCE=1", ["--force"]),
        ("lock", "UPGRADE=1", ["--upgrade"]),
        ("audit", "DRY=1", ["--dry-run"]),
        ("mutants", "PATHS=src/a.py src/b.py", ['\\1["src/a.py", "src/b.py",]']),
        ("repeat", "TIMES=7", ["seq 7"]),
    ],
)
def test_variables_turn_options_on(tmp_path, target, variable, options):
    assert [option for option in options if option not in make(tmp_path, "-n", target, variable).stdout] == []
    off = make(tmp_path, "-n", target, f"{variable.partition('=')[0]}=0")
    assert off.returncode == 0
    assert [option for option in options if option in off.stdout] == []


@pytest.mark.parametrize("missing", ["git", "a repository"])
def test_drift_says_that_it_needs_git(tmp_path, missing):
    env = {}
    if missing == "git":
        (tmp_path / "bin").mkdir()
        for name in ("sh", "make", "id"):
            found = next(path for path in (Path("/bin", name), Path("/usr/bin", name)) if path.exists())
            (tmp_path / "bin" / name).symlink_to(found)
        env["PATH"] = str(tmp_path / "bin")
    ended = make(tmp_path, "drift", GIT_CEILING_DIRECTORIES=str(tmp_path.parent), **env)
    assert ended.returncode != 0
    assert ended.stderr.startswith("drift: ")
    assert "git" in ended.stderr
