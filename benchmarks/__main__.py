"""Measure domo-oauth beside its peers: ``python -m benchmarks``."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import certifi
import click
import trustme

from . import report
from .endpoint import Endpoint
from .library import interpreter, measure, start, versions
from .rows import ROWS
from .subjects import SUBJECTS

_ROUNDS, _SLOW_ROUNDS, _QUICK_ROUNDS = 15, 5, 2
_BEGAN = time.monotonic()
_SLOW, _LONG = 1.0, 5.0
"""Seconds; what takes longer is measured in some rounds only, or once."""


@click.command()
@click.option("--quick", is_flag=True, help=f"{_QUICK_ROUNDS} rounds instead of {_ROUNDS}, no probes; print only.")
def main(*, quick: bool) -> None:
    """Measure domo-oauth beside its peers, and write results.json and results.md."""
    keys = [key for key, row in ROWS.items() if not (quick and row.kind == "probe")]
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    with ExitStack() as stack:
        endpoint, pythons = start_endpoint(stack), _pythons()
        samples, failed = _sample(pythons, endpoint, keys, rounds)
    _say("done")
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "rounds": rounds,
        "versions": {name: versions(name) for name in pythons},
        "failed": failed,
        "figures": {key: {name: report.numbers(ROWS[key], of[name]) for name in of} for key, of in samples.items()},
    }
    click.echo(f"\n{report.table(results)}")
    if not quick:
        report.write(results)


def start_endpoint(stack: ExitStack) -> Endpoint:
    """Start the endpoint for the rest of the stack, and return its client."""
    folder = Path(stack.enter_context(TemporaryDirectory()))
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    # Among all authorities that a client loads otherwise, which takes most of its time.
    (folder / "authorities.pem").write_text(certifi.contents() + authority.cert_pem.bytes().decode(), encoding="ascii")
    server = stack.enter_context(start(sys.executable, "-m", "benchmarks.endpoint", str(folder)))
    assert server.stdin
    assert server.stdout
    stack.callback(server.stdin.close)
    endpoint = Endpoint(int(server.stdout.readline()))
    stack.callback(endpoint.close)
    return endpoint


def _pythons() -> dict[str, Path]:
    """The interpreter of each library that can be installed."""
    found = {}
    for name in SUBJECTS:
        _say(f"{name}: environment")
        try:
            found[name] = interpreter(name)
        except subprocess.CalledProcessError as error:
            click.echo(f"  left out, as it cannot be installed: {str(error.stderr).strip()[-300:]}")
    return found


def _sample(
    pythons: dict[str, Path], endpoint: Endpoint, keys: list[str], rounds: int
) -> tuple[dict[str, dict[str, list[dict[str, Any]]]], dict[str, list[str]]]:
    """Sample each row of each library, the libraries in turn, a different one first in each round.

    Returns:
        The samples, and what failed in each library, so that nothing is known about it.
    """
    samples: dict[str, dict[str, list[dict[str, Any]]]] = {key: {} for key in keys}
    failed: dict[str, list[str]] = {}
    names = list(pythons)
    most = {(name, key): 1 if ROWS[key].once else rounds for name, key in product(names, keys)}
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            due = [key for key in keys if number < most[name, key]]
            _say(f"round {number + 1} of {rounds}, {name}: {len(due)} rows")
            for key, answer in measure(name, pythons[name], endpoint.base_url, due).items():
                if "sample" in answer:
                    samples[key].setdefault(name, []).append(answer["sample"])
                    enough = 1 if answer["seconds"] > _LONG else _SLOW_ROUNDS if answer["seconds"] > _SLOW else rounds
                    most[name, key] = min(most[name, key], enough)
                else:
                    most[name, key] = 0
                if "error" in answer:
                    click.echo(f"  {name}, {key}: left out\n{answer['error']}")
                    failed.setdefault(name, []).append(key)
    return samples, failed


def _say(what: str) -> None:
    """Print what happens, after the minutes since the start."""
    click.echo(f"{(time.monotonic() - _BEGAN) / 60:5.1f} min  {what}")


if __name__ == "__main__":
    main()
