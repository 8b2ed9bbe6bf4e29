"""How long the command takes, as a whole process: ``python -m benchmarks.command [--rounds N]``.

Two figures: ``domo-oauth token`` with a token in the store, beside a Python that does nothing; and without one, beside
the smallest script that fetches a token with httpx. All in an environment into which this project was installed from
its wheel, as an editable install looks for modules in a slower way.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from typing import TYPE_CHECKING

from .environments import ROOT, variables

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = ROOT / ".cache" / "bench" / "command"
_ROUNDS = 21
_WARM_LIMIT, _COLD_LIMIT = 4.5, 1.1
_BARE = """\
import os
import httpx
answer = httpx.get(
    os.environ["DOMO_API_URL"] + "/oauth/token",
    params={"grant_type": "client_credentials"},
    auth=(os.environ["DOMO_CLIENT_ID"], os.environ["DOMO_CLIENT_SECRET"]),
)
print(answer.raise_for_status().json()["access_token"])
"""


def main() -> None:
    """Measure in turns, and print medians with their quartiles."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.command", description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    rounds = parser.parse_args().rounds
    bin_folder = _environment()
    python, command = str(bin_folder / "python"), str(bin_folder / "domo-oauth")
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin
    assert server.stdout
    with tempfile.TemporaryDirectory() as folder:
        env = variables("command") | {
            "DOMO_API_URL": f"http://127.0.0.1:{int(server.stdout.readline())}",
            "DOMO_CLIENT_ID": "bench",
            "DOMO_CLIENT_SECRET": "bench-secret",
        }
        warm, cold = (env | {"DOMO_STORE": f"{folder}/{name}"} for name in ("warm", "cold"))
        subprocess.run([command, "token"], env=warm, check=True, stdout=subprocess.DEVNULL)
        runs = {
            "python -I -c pass": ([python, "-I", "-c", "pass"], env),
            "token, stored": ([command, "token"], warm),
            "bare httpx script": ([python, "-c", _BARE], env),
            "token, cold": ([command, "token"], cold),
        }
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        names = list(runs)
        for number in range(rounds + 1):
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                shutil.rmtree(f"{folder}/cold", ignore_errors=True)
                took = _timed(*runs[name])
                if number:  # the first round fills the caches
                    seconds[name].append(took)
    server.stdin.close()
    server.wait()
    for name, samples in seconds.items():
        print(f"{name:<20} {_told([each * 1e3 for each in samples])} ms")
    _print_ratio(seconds, "token, stored", "python -I -c pass", _WARM_LIMIT)
    _print_ratio(seconds, "token, cold", "bare httpx script", _COLD_LIMIT)


def _print_ratio(seconds: dict[str, list[float]], value: str, floor: str, limit: float) -> None:
    # Each sample has a floor of its own round, so that a machine that is busy for a while slows both.
    ratios = [mine / other for mine, other in zip(seconds[value], seconds[floor], strict=True)]
    verdict = "reached" if statistics.median(ratios) <= limit else "MISSED"
    print(f"{value} / {floor}: {_told(ratios)} ×; goal ≤ {limit} ×, {verdict}")


def _told(samples: list[float]) -> str:
    low, middle, high = statistics.quantiles(samples, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def _timed(command: list[str], env: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def _environment() -> Path:
    """The environment's folder of commands; made anew when the source has changed."""
    sources = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("generated/**/*.py"), ROOT / "pyproject.toml"])
    state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    folder = _FOLDER / ("Scripts" if os.name == "nt" else "bin")
    made_of = _FOLDER / "made-of.txt"
    if not made_of.exists() or made_of.read_text(encoding="utf-8") != state:
        print("installing", flush=True)
        shutil.rmtree(_FOLDER, ignore_errors=True)
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(_FOLDER / "wheel"), "."]
        subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = (_FOLDER / "wheel").glob("*.whl")
        venv.create(_FOLDER, with_pip=False, symlinks=os.name != "nt")
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "python"), "install", "--quiet", "--compile"]
        subprocess.run([*pip, "--disable-pip-version-check", f"{wheel}[cli]"], check=True)
        made_of.write_text(state, encoding="utf-8")
    return folder


if __name__ == "__main__":
    main()
