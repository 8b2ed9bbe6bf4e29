"""Break ``src/`` in one place at a time, and see whether a test notices: ``python -m tools.mutants PATHS``.

All happens in a copy of the tree. Which test runs which line is measured once per test file, and kept under
``.cache/mutants`` until that file, or one of those to be broken that it runs, changes. Each mutant is then tried with
the tests that run its line, the quick and narrow ones first, until one fails: in a fork of this process, which has
loaded all that is not ours, as to load that takes longer than most tests.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from pathlib import Path
from typing import NoReturn, TypedDict

import pytest

from .operators import Mutant, mutants

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "mutants"
TESTS = ("tests/unit", "tests/contract", "tests/integration", "tests/secrets", "tests/faults")
SLOW = """
breaks contract_diff fuzz generated_client make_sdk overlays packaging prism readme release surface
"""  # seconds that tell of the generator, of documents or of other tools, and nothing of src/
PLUGINS = ("anyio.pytest_plugin", "_hypothesis_pytestplugin", "domo_oauth.pytest_plugin")  # others take long to load
OPTIONS = ["-q", "--tb=no", "--show-capture=no", "-p", "no:cacheprovider", *(f"-p{name}" for name in PLUGINS)]
LOADED = """
aiohttp anyio attrs cryptography.hazmat.primitives.ciphers.aead dateutil.parser httpx httpx2 hypothesis
jwt openapi_core redis requests starlette.applications trio trustme uvicorn
"""  # what tests, and what they test, load
BUDGET = 15.0
"""Seconds of tests that each mutant has to survive."""
ELSEWHERE = 10
"""So many times less likely is a test to notice that does not run the line."""
PATIENCE, TIMES = 6.0, 5
"""How long a test may take: so many seconds, and so many times what it took when it was measured."""


class Measured(TypedDict):
    """Of a test file: the seconds of each test, and for each file of ``src/`` which tests run a line, and its hash."""

    took: dict[str, float]
    lines: dict[str, dict[str, list[str]]]
    digests: dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", default=["src/domo_oauth"], help="files or folders of src/")
    parser.add_argument(
        "--percent", type=int, default=100, help="how many of the mutants, by chance, but the same ones"
    )
    args = parser.parse_args()
    for name in LOADED.split():
        importlib.import_module(name)
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        trial = Trial(Path(folder))
        files = [name for path in args.paths for name in trial.files(path)]
        trial.measure(files)
        tried = sum((trial.file(name, args.percent) for name in files), Counter[str]())
    print(_told(tried))
    sys.exit(bool(tried["survived"]))


class Trial:
    """A copy of the tree, and what was measured there."""

    def __init__(self, folder: Path) -> None:
        self._copy, self._home = folder / "tree", folder / "home"
        self._home.mkdir()
        git = [shutil.which("git") or "git", "ls-files", "-z", "-co", "--exclude-standard"]
        listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for path in filter(None, listed.split("\0")):
            if (ROOT / path).is_file():
                (self._copy / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, self._copy / path, follow_symlinks=False)
        self._took: dict[str, float] = {}
        self._by_line: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._breadth = Counter[str]()
        self._passed: set[str] = set()

    def files(self, path: str) -> list[str]:
        """The files of the copy that this path means."""
        place = self._copy / Path(path).resolve().relative_to(ROOT)
        return [str(file.relative_to(self._copy)) for file in sorted(place.rglob("*.py")) or [place]]

    def measure(self, broken: list[str]) -> None:
        """Find out which tests run the lines of these files, and how long they take."""
        (CACHE / "tests").mkdir(parents=True, exist_ok=True)
        now = {name: hashlib.sha256((self._copy / name).read_bytes()).hexdigest() for name in broken}
        tests = [test for place in TESTS for test in sorted((self._copy / place).glob("test_*.py"))]
        for test in (test for test in tests if test.stem.removeprefix("test_") not in SLOW.split()):
            name = str(test.relative_to(self._copy))
            digest = hashlib.sha256(name.encode() + test.read_bytes()).hexdigest()[:16]
            kept = CACHE / "tests" / f"{test.stem}-{digest}.json"
            measured: Measured | None = json.loads(kept.read_bytes()) if kept.exists() else None
            if measured is None or any(now.get(file, old) != old for file, old in measured["digests"].items()):
                print(f"Measuring {name}", flush=True)
                with tempfile.TemporaryDirectory() as place:
                    self._run(["-p", "tools.mutants.which_tests", name], 600, 1200, MUTANTS_COVERAGE=place)
                    shutil.copy(Path(place) / "map.json", kept)
                measured = json.loads(kept.read_bytes())
            self._took |= measured["took"]
            for file, lines in measured["lines"].items():
                for line, names in lines.items():
                    self._by_line[file][int(line)] += names
                    self._breadth.update(names)

    def file(self, name: str, percent: int) -> Counter[str]:
        """Try so many of the mutants of a file; what became of how many."""
        began, outcomes, chance = time.monotonic(), Counter[str](), random.Random(name)  # noqa: S311 -- no secret
        for mutant in mutants((self._copy / name).read_bytes()):
            if chance.random() * 100 >= percent:
                continue
            tests = self._chosen(name, mutant)
            outcome = self._try(name, mutant, tests)
            outcomes[outcome] += 1
            if outcome != "killed":
                print(f"{outcome.upper()} {name}:{mutant.line}: {mutant.what} [{len(tests)} tests]", flush=True)
        print(f"{name}: {_told(outcomes)}; {time.monotonic() - began:.0f} s", flush=True)
        return outcomes

    def _chosen(self, name: str, mutant: Mutant) -> list[str]:
        """The tests that run where it shows, and others of the file; the quick and narrow ones first.

        Of what is done once and kept, or at import, only those tests are known that did it, and others may notice.
        """
        by_line = self._by_line[name]
        here = {test for line in mutant.lines for test in by_line.get(line, ())}
        names = {test for tests in by_line.values() for test in tests}
        chosen = list[str]()
        seconds = 0.0

        def cost(test: str) -> float:
            return self._took[test] * self._breadth[test] * (1 if test in here else ELSEWHERE)

        for test in sorted(names, key=lambda test: (cost(test), test)):
            seconds += self._took[test]
            if chosen and seconds > BUDGET:
                break
            chosen.append(test)
        return chosen

    def _try(self, name: str, mutant: Mutant, tests: list[str]) -> str:
        if not tests:
            return "survived"
        file, longest = self._copy / name, max(self._took[test] for test in tests)
        whole, was = sum(self._took[test] for test in tests), file.stat()
        source = file.read_bytes()
        status, printed = None, ""
        for patience in (1, 2):  # whatever took too long may have been held up by others
            file.write_bytes(mutant.text)
            try:
                limit = patience * (PATIENCE + TIMES * longest)
                status, printed = self._run(["-x", *tests], limit, patience * (2 * PATIENCE + TIMES * whole))
            finally:
                file.write_bytes(source)
                os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
            if status is not None and "Timeout (" not in printed:
                break
        else:
            return "hung"
        if status == 0:
            return "survived"
        told = [line.partition(" ")[2] for line in printed.splitlines() if line.startswith(("FAILED", "ERROR"))]
        failed = max((test for test in tests if any(line.startswith(test) for line in told)), key=len, default=None)
        if failed is None or failed in self._passed:
            return "killed"
        # What failed must pass with the code as it is, or it has told nothing.
        if self._run([failed], 60, 120)[0] == 0:
            self._passed.add(failed)
            return "killed"
        print(f"not used, as it fails with the code as it is: {failed}")
        for lines in self._by_line.values():
            for names in lines.values():
                names[:] = [test for test in names if test != failed]
        return self._try(name, mutant, [test for test in tests if test != failed])

    def _run(self, arguments: list[str], limit: float, seconds: float, **environment: str) -> tuple[int | None, str]:
        """What pytest ends with, or None if it takes too long, and what it prints; no test may take more than limit."""
        options = [*OPTIONS, f"-ofaulthandler_timeout={limit}", f"--basetemp={self._home / 'tests'}"]
        with tempfile.TemporaryFile() as printed:
            child = os.fork()
            if not child:
                self._in_child([*arguments, *options], environment, printed.fileno())
            ended, until = None, time.monotonic() + seconds
            while ended is None and time.monotonic() < until:
                time.sleep(0.01)
                pid, status = os.waitpid(child, os.WNOHANG)
                ended = os.waitstatus_to_exitcode(status) if pid else None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # and what it started
            if ended is None:
                os.waitpid(child, 0)
            printed.seek(0)
            return ended, printed.read().decode(errors="replace")

    def _in_child(self, arguments: list[str], environment: dict[str, str], printed: int) -> NoReturn:
        """Run pytest on the copy, as if this were a process of its own."""
        status: int = pytest.ExitCode.INTERNAL_ERROR
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(printed, 1)
            os.dup2(printed, 2)
            os.chdir(self._copy)
            folders = [str(self._copy / "src"), str(self._copy / "generated"), str(self._copy)]
            sys.path[:0] = folders
            for name in [name for name in sys.modules if name.partition(".")[0] == "tools"]:
                del sys.modules[name]
            # Nothing is compiled into a file, as a mutant is often as long as the code, and as new. Home is apart, as
            # nobody knows what a mutant writes where.
            sys.dont_write_bytecode = True
            os.environ |= {"PYTHONPATH": os.pathsep.join(folders), "PYTHONDONTWRITEBYTECODE": "1"}
            os.environ |= {"HOME": str(self._home), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment
            os.environ.pop("CI", None)
            status = pytest.main(arguments)
            sys.stdout.flush()
        except BaseException:  # noqa: BLE001 -- the code that follows is the parent's
            traceback.print_exc()
        finally:
            os._exit(status)


def _told(outcomes: Counter[str]) -> str:
    counts = ", ".join(f"{outcomes[kind]} {kind}" for kind in ("killed", "hung", "survived"))
    return f"{outcomes.total()} mutants, {counts}"


if __name__ == "__main__":
    main()
