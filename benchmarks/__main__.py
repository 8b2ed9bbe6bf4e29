"""Measure domo-oauth beside its peers: ``python -m benchmarks [--quick] [--only NAMES]``."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import certifi
import trustme

from . import report
from .endpoint import Endpoint
from .features import FEATURES
from .library import Library, interpreter, start, versions
from .rows import ROWS
from .subjects import OURS, SUBJECTS

_ROUNDS, _QUICK_ROUNDS = 15, 2
_LONG = 5.0
"""Seconds; what takes longer is measured once."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds instead of {_ROUNDS}, no probes")
    parser.add_argument("--only", metavar="NAMES", help="only these rows, features and libraries; writes nothing")
    options = parser.parse_args()
    only = set(options.only.split(",")) if options.only else set()
    if unknown := only - {*SUBJECTS, *ROWS, *FEATURES}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    names = [name for name in SUBJECTS if name == OURS or name in only or not only & {*SUBJECTS}]
    keys = [key for key in ROWS if key in only or not only - {*SUBJECTS}]
    probed = [key for key in FEATURES if FEATURES[key].probe and (key in only or not (only or options.quick))]
    rounds = _QUICK_ROUNDS if options.quick else _ROUNDS

    with ExitStack() as stack:
        libraries = _libraries(names, stack)
        samples = _measure(libraries, keys, rounds)
        seen = {key: {"what": FEATURES[key].what, "seen": _probe(libraries, key)} for key in probed}
    figures = {key: {name: report.numbers(ROWS[key], each) for name, each in samples[key].items()} for key in keys}
    today = datetime.now(UTC).date().isoformat()
    results = {
        "date": today,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "rounds": rounds,
        "versions": {library.name: versions(library.name) for library in libraries},
        "failed": {library.name: sorted(library.failed) for library in libraries if library.failed},
        "figures": figures,
        "features": {"date": today, "rows": seen} if seen else report.read()["features"] if not only else {},
    }
    print(f"\n{report.table(results)}")
    if not only:
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
    tls = {"DOMO_API_URL": f"https://localhost:{tls_port}", "SSL_CERT_FILE": str(folder / "authorities.pem")}
    endpoint = Endpoint(port)
    stack.callback(endpoint.close)
    return endpoint, tls, folder


def _libraries(names: list[str], stack: ExitStack) -> list[Library]:
    endpoint, tls, folder = start_endpoint(stack)
    libraries = []
    for name in names:
        print(f"{name}: environment", flush=True)
        try:
            libraries.append(Library(name, interpreter(name), endpoint, tls, folder))
        except subprocess.CalledProcessError as error:
            print(f"  left out, as it cannot be installed: {str(error.stderr).strip()[-300:]}", flush=True)
    return libraries


def _measure(libraries: list[Library], keys: list[str], rounds: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Sample each row of each library, the libraries in turn, a different one first in each round."""
    samples: dict[str, dict[str, list[dict[str, float]]]] = {key: {} for key in keys}
    done: dict[str, set[str]] = {library.name: set() for library in libraries}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", flush=True)
        shift = number % len(libraries)
        for library in libraries[shift:] + libraries[:shift]:
            wanted = [key for key in keys if key not in done[library.name]]
            for key, answer in library.measure(wanted).items():
                if "sample" in answer:
                    samples[key].setdefault(library.name, []).append(answer["sample"])
                if "sample" not in answer or ROWS[key].once or answer["seconds"] > _LONG:
                    done[library.name].add(key)
    return samples


def _probe(libraries: list[Library], key: str) -> dict[str, Any]:
    """What a probe saw of each library; None if it has no such thing."""
    answers = {library.name: library.measure([key])[key] for library in libraries}
    seen = {name: answer.get("sample") for name, answer in answers.items() if "error" not in answer}
    print(f"{FEATURES[key].what}: {seen}", flush=True)
    return seen


if __name__ == "__main__":
    main()
