"""Measure, and write results.json and results.md: ``python -m benchmarks [--quick] [--update-readme]``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import report
from .environments import OURS, ROOT, python, variables, versions
from .figures import FIGURES, IMPORT, IMPORTS, Figure
from .subjects import SUBJECTS

if TYPE_CHECKING:
    from .subjects import Sample

_ROUNDS, _QUICK_ROUNDS = 15, 3
_LONG = 5.0  # s; what takes longer is done once


class _Worker:
    """The process of one library, which runs through all figures."""

    def __init__(self, name: str, interpreter: Path, port: int) -> None:
        self.name = name
        self.interpreter = interpreter
        self._process = _start(interpreter, "benchmarks.worker", name, str(port), env=variables(name))

    def sample(self, figure: Figure) -> Sample | None:
        """One sample; None if the library cannot do this."""
        if figure.key in IMPORTS:
            return self._start_up(alone=figure.key == IMPORT)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{figure.key}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line or '{"error": "its process ended"}')
        if "error" in answer:
            print(f"  {self.name}, {figure.key}: left out\n{answer['error']}", flush=True)
        return answer.get("sample")

    def _start_up(self, *, alone: bool) -> Sample | None:
        subject = SUBJECTS[self.name]
        if alone and not subject.names:
            return None  # no difference
        code = f"from {subject.module} import {subject.names}" if subject.names else f"import {subject.module}"
        return {"floor": self._run("pass"), "value": self._run(f"import {subject.module}" if alone else code)}

    def _run(self, code: str) -> float:
        begun = time.perf_counter()
        subprocess.run([self.interpreter, "-c", code], check=True, env=variables(self.name), stderr=subprocess.DEVNULL)
        return (time.perf_counter() - begun) * 1e3

    def stop(self) -> None:
        """End the process."""
        _stop(self._process)


def main() -> None:
    """Make the environments, measure round by round, and write what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds and not {_ROUNDS}")
    parser.add_argument(
        "--only", metavar="NAMES", help="figures, or libraries beside ours, separated by commas; nothing is written"
    )
    parser.add_argument("--update-readme", action="store_true", help="put the table between README.md's markers")
    options = parser.parse_args()
    only = set(options.only.split(",")) if options.only else set()
    names = [name for name in SUBJECTS if name == OURS or not only & SUBJECTS.keys() or name in only]
    figures = [figure for figure in FIGURES if not only & {each.key for each in FIGURES} or figure.key in only]

    with ExitStack() as stack:
        server = _start(Path(sys.executable), "benchmarks.server", env=variables(OURS))
        stack.callback(_stop, server)
        assert server.stdout
        port = int(server.stdout.readline())
        workers = []
        for name in names:
            if interpreter := _environment(name):
                workers.append(_Worker(name, interpreter, port))
                stack.callback(workers[-1].stop)
        rows = {figure.key: _measured(figure, workers, quick=options.quick) for figure in figures}

    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "rounds": _QUICK_ROUNDS if options.quick else _ROUNDS,
        "versions": {worker.name: versions(worker.name) for worker in workers},
        "figures": rows,
    }
    table = report.table(results)
    print(f"\n{table}")
    if only:
        return  # a part of the figures is to look at
    report.write(results, table)
    if options.update_readme:
        report.update_readme(table)


def _environment(name: str) -> Path | None:
    print(f"{name}: environment", flush=True)
    try:
        return python(name)
    except subprocess.CalledProcessError as error:
        print(f"  left out, as it cannot be installed: {str(error.stderr).strip()[-300:]}", flush=True)
        return None


def _measured(figure: Figure, workers: list[_Worker], *, quick: bool) -> dict[str, dict[str, float]]:
    """The numbers of a figure: one sample of each library in turn, and each round begun by another."""
    print(figure.what, flush=True)
    rows: dict[str, list[Sample]] = {worker.name: [] for worker in workers}
    again: set[str] = set()
    for number in range(figure.rounds or (_QUICK_ROUNDS if quick else _ROUNDS)):
        shift = number % len(workers)
        for worker in workers[shift:] + workers[:shift]:
            if number and worker.name not in again:
                continue
            begun = time.monotonic()
            if sample := worker.sample(figure):
                rows[worker.name].append(sample)
                if time.monotonic() - begun < _LONG:
                    again.add(worker.name)
    return {name: figure.numbers(samples) for name, samples in rows.items() if samples}


def _start(interpreter: Path, module: str, *arguments: str, env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [interpreter, "-m", module, *arguments],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.close()
    process.wait()


if __name__ == "__main__":
    main()
