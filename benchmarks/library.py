"""A library under measure, seen from the process that measures: its worker, and processes for one sample each."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

from . import figures
from .command import COMMANDS
from .endpoint import Endpoint
from .environments import ROOT, variables
from .subjects import SUBJECTS

if TYPE_CHECKING:
    from pathlib import Path

    from .command import Commands
    from .figures import Figure
    from .probes import Seen
    from .subjects import Sample

__all__ = ["Library", "start", "stop"]

_CROWD = 8
_ANSWER = 0.1  # s, what the endpoint takes
_PATIENCE = 60.0  # s, with a probe; the longest takes less than ten on a machine that is not busy


class Library:
    """A library, its environment, and the process of it that runs through most figures."""

    def __init__(self, name: str, interpreter: Path, port: int, commands: Commands) -> None:
        self.name = name
        self.failed: set[str] = set()
        """The measures and probes that ended with an error, and so say nothing of what the library can do."""
        self._interpreter, self._port, self._commands = interpreter, port, commands
        self._worker = self._started()

    def sample(self, figure: Figure) -> Sample | None:
        """One sample; None if the library cannot do this."""
        match figure.key:
            case key if key in figures.IMPORTS:
                return self._start_up(alone=key == figures.IMPORT)
            case key if key in COMMANDS:
                return self._commands.sample(self.name, key, self._interpreter)
            case figures.PROCESSES:
                return self._crowd()
            case figures.MEMORY:
                fresh = self._started()
                sample: Sample | None = self._asked(fresh, figures.MEMORY)
                stop(fresh)
                return sample
            case key:
                return self._asked(self._worker, key)  # type: ignore[no-any-return]

    def probe(self, key: str) -> Seen | None:
        """What a probe saw; None if it saw nothing, or the library has no such thing."""
        timer = threading.Timer(_PATIENCE, self._worker.kill)
        timer.start()
        seen: Seen | None = self._asked(self._worker, key)
        timer.cancel()
        timer.join()
        if self._worker.poll() is not None:
            stop(self._worker)
            self._worker = self._started()
        return seen

    def stop(self) -> None:
        """End the process."""
        stop(self._worker)

    def _started(self) -> subprocess.Popen[str]:
        return start(self._interpreter, "benchmarks.worker", self.name, str(self._port), env=variables(self.name))

    def _asked(self, worker: subprocess.Popen[str], line: str) -> Any:
        _tell(worker, line)
        return self._answer(worker, line)

    def _answer(self, worker: subprocess.Popen[str], line: str) -> Any:
        assert worker.stdout
        said = worker.stdout.readline()
        if not said:
            worker.wait()
        answer: dict[str, Any] = json.loads(said or '{"error": "its process ended"}')
        if "error" in answer:
            print(f"  {self.name}, {line}: left out\n{answer['error']}", flush=True)
            self.failed.add(line.partition(" ")[0])
        return answer.get("sample")

    def _crowd(self) -> Sample | None:
        """What the slowest of some processes waits that all want a token at once, and share one if they can."""
        endpoint = Endpoint(self._port)
        with tempfile.TemporaryDirectory() as folder:
            workers = [self._started() for _ in range(_CROWD)]
            try:
                ready = [self._asked(worker, f"prepare {folder}") for worker in workers]
                endpoint.answers(_ANSWER)
                for worker in workers:
                    _tell(worker, "go")
                samples = [sample for worker in workers if (sample := self._answer(worker, "go")) is not None]
            finally:
                for worker in workers:
                    stop(worker)
        if None in ready or len(samples) < _CROWD:
            self.failed.add(figures.PROCESSES)
            return None
        slowest, failed = max(each["slowest"] for each in samples), sum(each["failed"] for each in samples)
        return {"slowest": slowest, "failed": failed, "requests": endpoint.requests()}

    def _start_up(self, *, alone: bool) -> Sample | None:
        subject = SUBJECTS[self.name]
        if alone and not subject.names:
            return None  # no difference
        code = f"from {subject.module} import {subject.names}" if subject.names else f"import {subject.module}"
        return {"floor": self._run("pass"), "value": self._run(f"import {subject.module}" if alone else code)}

    def _run(self, code: str) -> float:
        begun = time.perf_counter()
        subprocess.run([self._interpreter, "-c", code], check=True, env=variables(self.name), stderr=subprocess.DEVNULL)
        return (time.perf_counter() - begun) * 1e3


def start(interpreter: Path | str, module: str, *arguments: str, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start a module of this package, which ends when its stdin does."""
    return subprocess.Popen(
        [interpreter, "-m", module, *arguments],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def stop(process: subprocess.Popen[str]) -> None:
    """End it."""
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    process.wait()
    process.stdout.close()


def _tell(worker: subprocess.Popen[str], line: str) -> None:
    assert worker.stdin
    worker.stdin.write(f"{line}\n")
    worker.stdin.flush()
