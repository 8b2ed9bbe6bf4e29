"""The command as a process, and what others on the machine see of it while it waits for an answer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.secrets.canaries import Evidence

# Without the pauses between retries, which are a random part of a few seconds.
COMMAND = """
import random, sys
random.random = lambda: 0.0
from domo_oauth.cli import main
sys.exit(main())
"""
PATIENCE = 60.0


def run(
    *arguments: str | Path, env: dict[str, str], on_start: Callable[[int], object] = lambda pid: None
) -> tuple[int, str, str]:
    """Run the command. Returns its exit status, standard output and standard error."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, arguments)], env=env, text=True, **pipes
    ) as process:
        on_start(process.pid)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return process.returncode, out, err


class Watcher:
    """Looks at a process each time that it asks a server for something. To be called by the server.

    Args:
        evidence: Where to keep what was seen.
        places: The places that its command line and its environment are kept as.
    """

    def __init__(self, evidence: Evidence, places: tuple[str, str] = ("process list", "environment")) -> None:
        self._evidence, self._places, self._pid = evidence, places, 0
        self._started = threading.Event()

    def start(self, pid: int) -> None:
        self._pid = pid
        self._started.set()

    def __call__(self) -> None:
        assert self._started.wait(PATIENCE)
        look(self._evidence, self._pid, self._places)


def look(evidence: Evidence, pid: int, places: tuple[str, str] = ("process list", "environment")) -> None:
    """Keep what ``ps`` shows to everybody of a process and its children, and their environments."""
    for each in (pid, *descendants(pid)):
        command_line, environment = places if each == pid else ("process list", "environment of a child")
        evidence.add(command_line, *of_process(each, "cmdline"), *of_process(each, "comm"))
        evidence.add(environment, *of_process(each, "environ"))


def descendants(pid: int) -> Iterator[int]:
    """The ids of the children of a process, and of theirs."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for children in of_process(pid, f"task/{thread.name}/children"):
            for child in map(int, children.split()):
                yield child
                yield from descendants(child)


def of_process(pid: int, name: str) -> list[bytes]:
    """A file of /proc; none if the process has ended."""
    try:
        return [Path(f"/proc/{pid}/{name}").read_bytes()]
    except OSError:
        return []


def bare_environment(home: Path) -> dict[str, str]:
    """With folders of its own, so that all files that a process leaves can be searched."""
    names = ("PATH", "LANG", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "PYTHONPATH")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    folders = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(home))
    return kept | folders | {"NO_PROXY": "127.0.0.1"}
