"""Measure, and write results.json and results.md: ``python -m benchmarks [--quick] [--update-readme]``."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from . import features, report
from .certificates import certificates
from .command import COMMANDS, Commands
from .environments import OURS, python, variables, versions
from .figures import FIGURES, Figure
from .library import Library, start, stop
from .subjects import SUBJECTS

if TYPE_CHECKING:
    from .subjects import Sample

_ROUNDS, _QUICK_ROUNDS = 15, 3
_LONG = 5.0  # s; what takes longer is done once


def main() -> None:
    """Make the environments, measure round by round, and write what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds and not {_ROUNDS}, and features as they were"
    )
    parser.add_argument(
        "--only",
        metavar="NAMES",
        help="figures, libraries beside ours, or features, separated by commas; nothing is written, but for features",
    )
    parser.add_argument("--update-readme", action="store_true", help="put the table between README.md's markers")
    options = parser.parse_args()
    only = set(options.only.split(",")) if options.only else set()
    names = [name for name in SUBJECTS if name == OURS or not only & SUBJECTS.keys() or name in only]
    parts = only & {features.NAME, *(each.key for each in FIGURES)}
    figures = [figure for figure in FIGURES if not parts or figure.key in parts]

    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        authority = certificates(folder)
        server = start(sys.executable, "benchmarks.server", str(folder), env=variables(OURS))
        stack.callback(stop, server)
        assert server.stdout
        port, tls_port = int(server.stdout.readline()), int(server.stdout.readline())
        commands = Commands(folder, f"http://127.0.0.1:{port}", f"https://localhost:{tls_port}", authority)
        if any(figure.key in COMMANDS for figure in figures):
            commands.install()
        libraries = []
        for name in names:
            if interpreter := _environment(name):
                libraries.append(Library(name, interpreter, port, commands))
                stack.callback(libraries[-1].stop)
        rows = {figure.key: _measured(figure, libraries, quick=options.quick) for figure in figures}
        if features.NAME in parts or not (parts or options.quick):
            found = _probed(libraries)
        else:
            found = {} if parts else report.read()[features.NAME]

    if only == {features.NAME}:  # the figures stay as they are
        _write(report.read() | {features.NAME: found}, update_readme=options.update_readme)
        return
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "rounds": _QUICK_ROUNDS if options.quick else _ROUNDS,
        "versions": {library.name: versions(library.name) for library in libraries},
        "failed": {library.name: sorted(library.failed) for library in libraries if library.failed},
        "figures": rows,
        features.NAME: found,
    }
    if only:
        print(f"\n{report.table(results)}")  # a part is to look at
    else:
        _write(results, update_readme=options.update_readme)


def _write(results: dict[str, Any], *, update_readme: bool) -> None:
    print(f"\n{report.table(results)}")
    report.write(results)
    if update_readme:
        report.update_readme(results)


def _environment(name: str) -> Path | None:
    print(f"{name}: environment", flush=True)
    try:
        return python(name)
    except subprocess.CalledProcessError as error:
        print(f"  left out, as it cannot be installed: {str(error.stderr).strip()[-300:]}", flush=True)
        return None


def _measured(figure: Figure, libraries: list[Library], *, quick: bool) -> dict[str, dict[str, float]]:
    """The numbers of a figure: one sample of each library in turn, and each round begun by another."""
    print(figure.what, flush=True)
    rows: dict[str, list[Sample]] = {library.name: [] for library in libraries}
    again: set[str] = set()
    for number in range(figure.rounds or (_QUICK_ROUNDS if quick else _ROUNDS)):
        shift = number % len(libraries)
        for library in libraries[shift:] + libraries[:shift]:
            if number and library.name not in again:
                continue
            begun = time.monotonic()
            if sample := library.sample(figure):
                rows[library.name].append(sample)
                if time.monotonic() - begun < _LONG:
                    again.add(library.name)
    return {name: figure.numbers(samples) for name, samples in rows.items() if samples}


def _probed(libraries: list[Library]) -> dict[str, Any]:
    """What each library was seen to do, by probe, and the tests of ours."""
    rows: dict[str, Any] = {}
    for feature in features.FEATURES:
        rows[feature.key] = {"what": feature.what, "tests": feature.tests}
        if feature.is_probed:
            print(feature.what, flush=True)
            rows[feature.key]["seen"] = seen = {}
            for library in libraries:
                found = library.probe(feature.key)
                if feature.key not in library.failed:
                    seen[library.name] = found
                    print(f"  {library.name}: {found}", flush=True)
    return {"date": datetime.now(UTC).date().isoformat(), "rows": rows}


if __name__ == "__main__":
    main()
