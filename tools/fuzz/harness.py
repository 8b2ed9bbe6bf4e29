"""Fuzz one target with Atheris, in a process of its own: `python -m tools.fuzz.harness TARGET [libFuzzer's options]`.

A finding does not end the run, as one that is found often would hide all others: the first input for each place that
raises is kept, and the fuzzer goes on.
"""

import hashlib
import logging
import sys
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OURS = ["domo_oauth", "domo_oauth_client"]
PARSERS = ["dateutil", "h11"]  # what reads on our behalf, and lets little through to us
# Loaded when they are first needed, and then no longer looked into.
LATE = ["dateutil.parser", "domo_oauth.contract.validation", "domo_oauth.stores.file", "domo_oauth.stores.redis"]


def main() -> None:
    name, *options = sys.argv[1:]
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=[*OURS, *PARSERS]):
        targets = import_module("tools.fuzz.targets")
        for late in LATE:
            import_module(late)
    logging.disable()
    warnings.simplefilter("error")
    target, findings = targets.TARGETS[name], ROOT / ".cache" / "fuzz" / "findings" / name
    seen: set[str] = set()

    def run(data: bytes) -> None:
        try:
            target(data)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is a finding
            place = _place(error)
            if place not in seen:
                seen.add(place)
                findings.mkdir(parents=True, exist_ok=True)
                path = findings / hashlib.sha256(place.encode()).hexdigest()[:12]
                path.write_bytes(data)
                print(f"FINDING {path.relative_to(ROOT)}: {place}: {error!r:.200}", flush=True)

    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


def _place(error: Exception) -> str:
    """The kind of error, and the last of our lines that it went through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(ROOT))]
    ours = [frame for frame in frames if "/.venv/" not in frame.filename]
    return f"{type(error).__name__} in {Path(ours[-1].filename).name}:{ours[-1].lineno}"


if __name__ == "__main__":
    main()
