"""A library in its own environment under ``.cache/bench``, and its processes."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from .rows import ROWS
from .subjects import OURS, SUBJECTS
from .worker import answer_of

if TYPE_CHECKING:
    from .endpoint import Endpoint

__all__ = ["ROOT", "Library", "clean_environment", "interpreter", "start", "versions"]

ROOT = Path(__file__).parents[1]
_PEERS = tomllib.loads((ROOT / "benchmarks/peers.toml").read_text(encoding="utf-8"))
_PATIENCE = 600.0
"""Seconds for a process; the longest needs a tenth of that."""


def interpreter(name: str) -> Path:
    """Create or update a library's environment, and return its Python.

    Raises:
        subprocess.CalledProcessError: A requirement cannot be installed; ``stderr`` says why.
    """
    folder = str(ROOT / ".cache/bench" / name)
    uv = [str(Path(sys.executable).with_name("uv"))]
    if not Path(folder).exists():
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    # Our wheel rather than an editable install, which imports more slowly.
    ours = ["--reinstall-package", "domo-oauth", f"{ROOT}[cli]"] if name == OURS else []
    command = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", folder, *_requirements(name), *ours]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return Path(folder, "Scripts/python.exe" if os.name == "nt" else "bin/python")


def versions(name: str) -> dict[str, str]:
    """The pinned versions of an environment, by package."""
    pins = (each.partition("==") for each in _requirements(name))
    return {package.partition("[")[0]: version for package, _, version in pins}


def _requirements(name: str) -> list[str]:
    return [*_PEERS["environments"][name], *_PEERS["floor"]]


def clean_environment() -> dict[str, str]:
    """Environment variables without the proxies and credentials of the user."""
    return {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT") if key in os.environ}


def start(python: Path | str, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start Python in this project's folder, with pipes."""
    return subprocess.Popen(
        [python, *arguments],
        cwd=ROOT,
        env=env or clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


class Library:
    """A library under measurement.

    Args:
        name: One of `SUBJECTS`.
        python: Its interpreter.
        endpoint: The endpoint, without TLS.
        tls: Environment variables for the endpoint with TLS.
        folder: Where its programs keep tokens.
    """

    def __init__(self, name: str, python: Path, endpoint: Endpoint, tls: dict[str, str], folder: Path) -> None:
        self.name, self.folder, self.endpoint, self.subject = name, folder, endpoint, SUBJECTS[name]
        self.failed: set[str] = set()
        """Rows and features that ended with an error, so that nothing is known about them."""
        self._python = python
        self._plain = {"DOMO_CLIENT_ID": "bench", "DOMO_CLIENT_SECRET": "secret", "DOMO_API_URL": endpoint.base_url}
        self._tls = self._plain | tls

    def start(self, *keys: str) -> subprocess.Popen[str]:
        """Start `benchmarks.worker`."""
        return start(self._python, "-m", "benchmarks.worker", self.name, self.endpoint.base_url, *keys)

    def measure(self, keys: list[str]) -> dict[str, dict[str, Any]]:
        """Sample some rows, or try some features, and return the answer to each (see the worker)."""
        inside = [key for key in keys if key not in ROWS or not ROWS[key].outside]
        answers = self.ask(*inside) if inside else {}
        for key in keys:
            if key not in answers:
                self.endpoint.answers()
                answers[key] = answer_of(lambda key=key: ROWS[key].measure(self))  # type: ignore[misc]
            if "error" in answers[key]:
                print(f"  {self.name}, {key}: left out\n{answers[key]['error']}", flush=True)
                self.failed.add(key)
        return answers

    def ask(self, *keys: str) -> dict[str, dict[str, Any]]:
        """Have a worker answer, in a process of its own."""
        worker = self.start(*keys)
        try:
            output, _ = worker.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            worker.kill()
            output, _ = worker.communicate()
        answers: dict[str, dict[str, Any]] = {key: {"error": "Its process ended without an answer."} for key in keys}
        return answers | dict(zip(keys, map(json.loads, output.splitlines()), strict=False))

    def files(self, *, required: bool = False) -> list[Path]:
        """The files of the library itself, or of all that an installation brings, without byte code."""
        site = next(self._python.parents[1].glob("**/site-packages"))
        there = {canonicalize_name(each.name): each for each in importlib.metadata.distributions(path=[str(site)])}
        wanted = [Requirement(_requirements(self.name)[0] if self.name != OURS else OURS)]
        seen = set[NormalizedName]()
        for requirement in wanted:
            found = there[canonicalize_name(requirement.name)]
            seen.add(canonicalize_name(requirement.name))
            for each in map(Requirement, found.requires or () if required else ()):
                met = any(
                    each.marker is None or each.marker.evaluate({"extra": x}) for x in (requirement.extras or {""})
                )
                if met and canonicalize_name(each.name) not in seen:
                    wanted.append(each)
        paths = {Path(str(file.locate())) for name in seen for file in there[name].files or ()}
        return [path for path in paths if path.suffix != ".pyc" and path.exists()]

    def program(self) -> list[str]:
        """Arguments for its Python, to print a token.

        Raises:
            NotImplementedError: It cannot keep one in a file.
        """
        if self.name == OURS:
            return [str(self._python.parent / "domo-oauth"), "token"]
        if not self.subject.script:
            raise NotImplementedError
        return ["-c", self.subject.script]

    def run(self, *arguments: str, store: Path | None = None, tls: bool = False) -> float:
        """Run its Python, and return how many milliseconds that took.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        env = clean_environment() | (self._tls if tls else self._plain) | ({"DOMO_STORE": str(store)} if store else {})
        null, began = subprocess.DEVNULL, time.perf_counter()
        subprocess.run([self._python, *arguments], check=True, env=env, stdout=null, stderr=null)
        return (time.perf_counter() - began) * 1e3
