"""The environment of each library, under ``.cache/bench``, and the processes in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .rows import INSTALLED, ROWS
from .subjects import OURS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ROOT", "clean_environment", "interpreter", "measure", "start", "versions"]

ROOT = Path(__file__).parents[1]
_PEERS = tomllib.loads((ROOT / "benchmarks/peers.toml").read_text(encoding="utf-8"))
_PATIENCE = 600.0
"""Seconds for a process; the longest needs a tenth of that."""


def interpreter(name: str) -> Path:
    """Create or update a library's environment, and return its Python.

    Raises:
        subprocess.CalledProcessError: A requirement cannot be installed; ``stderr`` says why.
    """
    folder, uv = ROOT / ".cache/bench" / name, str(Path(sys.executable).with_name("uv"))
    if not folder.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    shutil.rmtree(folder / INSTALLED, ignore_errors=True)
    # Our wheel rather than an editable install, which imports more slowly.
    all_of_it = [f"{ROOT}[cli]"] if name == OURS else []
    alone = str(ROOT) if name == OURS else _requirements(name)[0]
    pins = folder / "pins.txt"
    pins.write_text("\n".join(map("==".join, versions(name).items())), encoding="ascii")
    command: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        folder,
        "--reinstall-package",
        OURS,
        "--constraint",
        pins,
    ]
    for wanted in (["--compile-bytecode", *_requirements(name), *all_of_it], ["--target", folder / INSTALLED, alone]):
        subprocess.run([*command, *wanted], check=True, capture_output=True, text=True)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def versions(name: str) -> dict[str, str]:
    """The pinned versions of an environment, by package."""
    pins = (each.partition("==") for each in _requirements(name))
    return {package.partition("[")[0]: version for package, _, version in pins}


def _requirements(name: str) -> list[str]:
    return [*_PEERS["environments"][name], *_PEERS["floor"]]


def clean_environment() -> dict[str, str]:
    """Environment variables without the proxies and credentials of the user."""
    return {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT") if key in os.environ}


def start(python: Path | str, *arguments: str) -> subprocess.Popen[str]:
    """Start Python in this project's folder, with pipes."""
    pipe, env = subprocess.PIPE, clean_environment()
    command = [python, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)


def measure(name: str, python: Path | str, url: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Sample some rows of a library, and return the answer to each (see `benchmarks.worker`).

    Args:
        name: One of `SUBJECTS`.
        python: The interpreter of its environment.
        url: Where the endpoint is.
        keys: Of the rows.
    """
    answers: dict[str, dict[str, Any]] = {key: {"error": "Its process ended without an answer."} for key in keys}
    together = [key for key in keys if not ROWS[key].alone]
    for batch in filter(None, [together, *([key] for key in keys if ROWS[key].alone)]):
        worker = start(python, "-m", "benchmarks.worker", name, url, *batch)
        try:
            output, _ = worker.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            worker.kill()
            output, _ = worker.communicate()
        answers |= dict(zip(batch, map(json.loads, output.splitlines()), strict=False))
    return answers
