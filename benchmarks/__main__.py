"""Measure domo-oauth beside its peers: ``python -m benchmarks``."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import certifi
import click
import trustme

from . import report
from .endpoint import Endpoint
from .features import FEATURES
from .library import Library, interpreter, start, versions
from .rows import ROWS
from .subjects import OURS, SUBJECTS

_ROUNDS, _SLOW_ROUNDS, _QUICK_ROUNDS = 15, 5, 2
_BEGAN = time.monotonic()
_SLOW, _LONG = 1.0, 5.0
"""Seconds; what takes longer is measured in some rounds only, or once."""


@click.command()
@click.option("--quick", is_flag=True, help=f"{_QUICK_ROUNDS} rounds instead of {_ROUNDS}, no probes.")
@click.option("--only", metavar="NAMES", default="", help="Only these rows, features and libraries; print only.")
def main(*, quick: bool, only: str) -> None:
    """Measure domo-oauth beside its peers, and write results.json and results.md."""
    chosen = {name for name in only.split(",") if name}
    if unknown := chosen - {*SUBJECTS, *ROWS, *FEATURES}:
        raise click.UsageError(f"unknown: {', '.join(sorted(unknown))}")
    names = [name for name in SUBJECTS if name == OURS or name in chosen or not chosen & {*SUBJECTS}]
    keys = [key for key in ROWS if key in chosen or not chosen - {*SUBJECTS}]
    probes = [each for each in FEATURES.values() if each.probe and (each.key in chosen or not (chosen or quick))]
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    today = datetime.now(UTC).date().isoformat()
    with ExitStack() as stack:
        libraries = _libraries(names, stack)
        samples = _measure(libraries, keys, rounds if keys else 0)
        seen = {each.key: {"what": each.what, "seen": _probe(libraries, each.key)} for each in probes}
        _say("done")
    results = {
        "date": today,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "rounds": rounds,
        "versions": {library.name: versions(library.name) for library in libraries},
        "failed": {library.name: sorted(library.failed) for library in libraries if library.failed},
        "figures": {key: {name: report.numbers(ROWS[key], of[name]) for name in of} for key, of in samples.items()},
        "features": {"date": today, "rows": seen} if seen else report.read()["features"] if not chosen else {},
    }
    click.echo(f"\n{report.table(results)}")
    if not chosen:
        report.write(results)


def start_endpoint(stack: ExitStack) -> tuple[Endpoint, dict[str, str], Path]:
    """Start the endpoint for the rest of the stack.

    Returns:
        Its client, the environment variables for its TLS port, and an empty folder.
    """
    folder = Path(stack.enter_context(TemporaryDirectory()))
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    # Among all authorities that a client loads otherwise, which takes most of its time.
    (folder / "authorities.pem").write_text(certifi.contents() + authority.cert_pem.bytes().decode(), encoding="ascii")
    server = stack.enter_context(start(sys.executable, "-m", "benchmarks.endpoint", str(folder)))
    assert server.stdin
    assert server.stdout
    stack.callback(server.stdin.close)
    port, tls_port = map(int, server.stdout.readline().split())
    endpoint = Endpoint(port)
    stack.callback(endpoint.close)
    tls = {"DOMO_API_URL": f"https://localhost:{tls_port}", "SSL_CERT_FILE": str(folder / "authorities.pem")}
    return endpoint, tls, folder


def _libraries(names: list[str], stack: ExitStack) -> list[Library]:
    endpoint, tls, folder = start_endpoint(stack)
    libraries = []
    for name in names:
        _say(f"{name}: environment")
        try:
            libraries.append(Library(name, interpreter(name), endpoint, tls, folder))
        except subprocess.CalledProcessError as error:
            click.echo(f"  left out, as it cannot be installed: {str(error.stderr).strip()[-300:]}")
    return libraries


def _measure(libraries: list[Library], keys: list[str], rounds: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Sample each row of each library, the libraries in turn, a different one first in each round."""
    samples: dict[str, dict[str, list[dict[str, float]]]] = {key: {} for key in keys}
    done = set[tuple[Library, str]]()
    for number in range(rounds):
        shift = number % len(libraries)
        for library in libraries[shift:] + libraries[:shift]:
            due = [key for key in keys if (library, key) not in done]
            _say(f"round {number + 1} of {rounds}, {library.name}: {len(due)} rows")
            answers = library.measure(due)
            for key, answer in answers.items():
                if "sample" in answer:
                    samples[key].setdefault(library.name, []).append(answer["sample"])
                most = _SLOW_ROUNDS if answer["seconds"] > _SLOW else rounds
                most = 1 if ROWS[key].once or answer["seconds"] > _LONG else most
                if "sample" not in answer or number + 1 >= most:
                    done.add((library, key))
    return samples


def _probe(libraries: list[Library], key: str) -> dict[str, object]:
    """What a probe saw of each library; None if it has no such thing."""
    answers = {library.name: library.measure([key])[key] for library in libraries}
    seen = {name: answer.get("sample") for name, answer in answers.items() if "error" not in answer}
    _say(f"{FEATURES[key].what}: {seen}")
    return seen


def _say(what: str) -> None:
    """Print what happens, after the minutes since the start."""
    click.echo(f"{(time.monotonic() - _BEGAN) / 60:5.1f} min  {what}")


if __name__ == "__main__":
    main()
