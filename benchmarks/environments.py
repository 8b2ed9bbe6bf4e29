"""An environment for each library, with the versions of peers.toml."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_FOLDER = ROOT / ".cache" / "bench"
_PEERS = tomllib.loads((ROOT / "benchmarks" / "peers.toml").read_text(encoding="utf-8"))
OURS = "domo-oauth"
NAMES: tuple[str, ...] = tuple(_PEERS["environments"])


def python(name: str) -> Path:
    """The interpreter of an environment, which is made or made anew where it is missing or out of date.

    Raises:
        subprocess.CalledProcessError: A requirement cannot be installed; ``stderr`` says why.
    """
    folder = _FOLDER / name
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = json.dumps([sys.version, *_PEERS["floor"], *_PEERS["environments"][name]])
    made_of = folder / "made-of.json"
    if not made_of.exists() or made_of.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=False, symlinks=os.name != "nt")
        pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet", "--no-input"]
        _run([*pip, "--disable-pip-version-check", *_PEERS["floor"], *_PEERS["environments"][name]])
        made_of.write_text(wanted, encoding="utf-8")
    return interpreter


def variables(name: str) -> dict[str, str]:
    """What a process of an environment finds in os.environ: no proxy and no credentials of whoever runs this."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT") if key in os.environ}
    ours = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "generated")])}
    return kept | (ours if name == OURS else {})


def versions(name: str) -> dict[str, str]:
    """What an environment was told to have, by name."""
    requirements = [*_PEERS["environments"][name], *_PEERS["floor"]]
    return {
        package.partition("[")[0]: version for package, _, version in (each.partition("==") for each in requirements)
    }


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
