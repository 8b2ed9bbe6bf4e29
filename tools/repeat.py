"""Run the tests of concurrency again and again, as a race shows itself once in a hundred times.

`python tools/repeat.py 200` runs them 200 times, as usual, in Python's development mode with every warning an error,
and with threads that change places a million times a second, in turn. It stops at the first failure and shows it.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ["tests/unit/test_flight.py", "tests/integration/test_provider.py"]
PYTEST = ["-m", "pytest", "-p", "no:cacheprovider", "-o", "log_level=INFO", "--durations=3"]  # tell more of a failure
SWITCHING = "import sys, pytest; sys.setswitchinterval(1e-6); sys.exit(pytest.main(sys.argv[1:]))"

MODES = {
    "as usual": PYTEST,
    "-X dev -W error": ["-X", "dev", "-W", "error", *PYTEST, "-W", "error"],
    "switch interval 1 µs": ["-c", SWITCHING, *PYTEST[2:]],
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests of concurrency again and again.")
    parser.add_argument("times", nargs="?", type=int, default=200, help="how often, all modes together (default: 200)")
    times = parser.parse_args().times
    began = time.monotonic()
    names = [list(MODES)[run % len(MODES)] for run in range(times)]
    for run, name in enumerate(names, 1):
        done = subprocess.run(
            [sys.executable, *MODES[name], *TESTS],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode:
            print(done.stdout)
            print(f"Run {run} of {times} ({name}) failed, after {time.monotonic() - began:.0f} s.")
            return 1
    counts = ", ".join(f"{names.count(name)} {name}" for name in MODES)
    print(f"{times} runs ({counts}), 0 failures, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
