"""Fuzz what reads foreign bytes: `python -m tools.fuzz --seconds 60 answer har`, or `make fuzz`.

Each target runs in a process of its own, without the variables of whoever starts it. What was found is in
.cache/fuzz/findings; an input that shows a fault belongs into tests/corpus once the fault is mended.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from tools.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "fuzz"
WORDS = Path(__file__).with_name("words.dict")


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz what reads foreign bytes.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    args = parser.parse_args()
    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    print(f"{'target':12} {'executions':>10} {'coverage':>15} {'new inputs':>10} {'findings':>8}")
    found = sum(fuzz(name, args.seconds) for name in args.targets or TARGETS)
    return 1 if found else 0


def fuzz(name: str, seconds: int) -> int:
    """Run one target, and print what came of it. Returns how many things it found."""
    corpus, findings = CACHE / "corpus" / name, CACHE / "findings" / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    seeds = [folder for folder in (ROOT / "tests" / "corpus" / name, recordings(name)) if folder and folder.is_dir()]
    limits = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=1024", "-max_len=8192"]
    options = [*limits, "-print_final_stats=1", f"-dict={WORDS}", f"-artifact_prefix={findings}{os.sep}"]
    done = subprocess.run(
        [sys.executable, "-m", "tools.fuzz.harness", name, *options, corpus, *seeds],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONPATH": str(CACHE / "site"), "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    new = set(findings.iterdir()) - before
    told = re.findall(r"^FINDING .*", done.stdout, re.MULTILINE)
    coverage = re.findall(r"cov: (\d+)", done.stdout)
    print(
        f"{name:12} {_stat('number_of_executed_units', done.stdout):>10} "
        f"{f'{coverage[0]} to {coverage[-1]}' if coverage else '-':>15} "
        f"{_stat('new_units_added', done.stdout):>10} {max(len(told), len(new)):>8}",
        *told,
        sep="\n  ",
        flush=True,
    )
    if done.returncode:  # too slow, too much memory, or it could not start
        print(done.stdout[-2000:])
    return max(len(told), len(new), int(bool(done.returncode)))


def recordings(name: str) -> Path | None:
    """The folder of HAR files to begin with, for the target that reads them."""
    return ROOT / "openapi" / "recordings" if name == "har" else None


def _stat(name: str, output: str) -> str:
    found = re.search(rf"^stat::{name}:\s+(\d+)", output, re.MULTILINE)
    return found[1] if found else "-"


if __name__ == "__main__":
    sys.exit(main())
