"""Run the soak and judge it: ``python -m benchmarks.soak [--minutes 60] [--seed 1]``; exit status 1 if a rule broke."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from . import report
from .conduct import Soak
from .redis import BINARY

_ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long; an hour is a year of hourly tokens")
    parser.add_argument("--seed", default="1", help="what draws the faults; their times differ a little all the same")
    parser.add_argument("--out", type=Path, default=_ROOT / "build" / "soak", help="where the results go")
    parser.add_argument("--again", action="store_true", help="judge what the last run left there, and run nothing")
    parser.add_argument("--publish", action="store_true", help="put table and plot beside this, where the README links")
    options = parser.parse_args()
    if not Path("/proc/self/statm").exists():
        raise SystemExit("The soak reads memory and descriptors from /proc, which only Linux has.")
    if BINARY is None:
        print("Without Redis, as there is no server here: apt-get install redis-server", flush=True)

    options.out.mkdir(parents=True, exist_ok=True)
    if not options.again:
        Soak(options.out, options.seed).run(options.minutes * 60)
    run = report.read(options.out)
    results = report.results(run)
    report.write(options.out, results, run)
    if options.publish:
        for name in ("soak.md", "soak.svg"):
            shutil.copy(options.out / name, Path(__file__).parent)
    print(f"\n{report.table(results)}\nAll of it is in {options.out}", flush=True)
    sys.exit(1 if results["breaches"] else 0)


if __name__ == "__main__":
    main()
