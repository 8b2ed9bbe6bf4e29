"""Starts the processes of all groups, listens to them for as long as it takes, and ends them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .kinds import KINDS, Kind
from .redis import BINARY, Redis

__all__ = ["Soak", "Worker"]

_ROOT = Path(__file__).parents[2]
_PATIENCE = 150.0
"""Seconds for a process to end; a worker waits up to 140 s for its callers and its last fetch."""
_SAMPLES = 1800
"""How many a run has, at one a tenth of a second at the most often."""


class Worker:
    """One process, and what it says."""

    def __init__(self, who: str, process: subprocess.Popen[str]) -> None:
        self.who = who
        self.samples: list[dict[str, float]] = []
        self.end: dict[str, Any] | None = None
        self._process = process
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            said = json.loads(line)
            if said.pop("event") == "end":
                self.end = said
            else:
                self.samples.append(said)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def tell_to_end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()

    def wait(self) -> None:
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._thread.join()


class Soak:
    """One run."""

    def __init__(self, out: Path, seed: str) -> None:
        self.workers: list[Worker] = []
        self.began = 0.0
        self.seconds = 0.0
        self._out, self._seed = out, seed
        self._redis: Redis | None = None

    def run(self, seconds: float) -> None:
        kinds = [kind for kind in KINDS if kind.name != "redis" or BINARY]
        every = max(0.1, seconds / _SAMPLES)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
            stores: dict[str, str | None] = {"year": None, "file": str(folder / "tokens")}
            if BINARY:
                # An outage in two lifetimes at least, however short the run is.
                self._redis = Redis(folder, f"{self._seed}-redis", min(30.0, seconds / 4))
                stack.callback(self._redis.stop)
                stores["redis"] = self._redis.url
            for kind in kinds:
                url = self._start_server(kind, stack)
                for who in kind.whos:
                    self._start_worker(who, kind, url, stores[kind.name], every)
            self._wait_for_samples()
            self.began = time.monotonic()
            self._watch(self.began + seconds)
            self.seconds = time.monotonic() - self.began
            for worker in self.workers:
                worker.tell_to_end()
            for worker in self.workers:
                worker.wait()
        self._write()

    def _wait_for_samples(self) -> None:
        """Begin when all processes have, as modules take long to load where a machine is busy."""
        until = time.monotonic() + _PATIENCE
        while not all(worker.samples or not worker.is_alive for worker in self.workers):
            if time.monotonic() > until:
                raise SystemExit(f"The processes do not start: see the logs in {self._out}.")
            time.sleep(0.05)

    def _watch(self, until: float) -> None:
        """Tell of the progress once in a while, up to the end."""
        every = max(10.0, (until - self.began) / 60)
        tell_at = self.began + every
        while (now := time.monotonic()) < until and all(worker.is_alive for worker in self.workers):
            time.sleep(max(0.0, min(1.0, until - now)))
            if now >= tell_at:
                tell_at += every
                self._tell(now)

    def _tell(self, now: float) -> None:
        parts = [f"{(now - self.began) / 60:6.1f} min"]
        for worker in self.workers:
            if worker.samples:
                last = worker.samples[-1]
                parts.append(
                    f"{worker.who}: {last['calls']:,} calls, {last['rss'] / 2**20:.1f} MiB, "
                    f"{last['descriptors']} fds, {last['threads']} threads"
                )
        print(" | ".join(parts), flush=True)

    def _start_server(self, kind: Kind, stack: ExitStack) -> str:
        process = self._start("server", kind, f"{kind.name}-server")

        def stop() -> None:
            assert process.stdin
            process.stdin.close()
            process.wait(_PATIENCE)

        stack.callback(stop)
        assert process.stdout
        return f"http://127.0.0.1:{int(process.stdout.readline())}"

    def _start_worker(self, who: str, kind: Kind, url: str, store: str | None, every: float) -> None:
        more = ["--who", who, "--url", url, "--every", str(every), *(["--store", store] if store else [])]
        self.workers.append(Worker(who, self._start("worker", kind, who, *more)))

    def _start(self, module: str, kind: Kind, name: str, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"benchmarks.soak.{module}", "--seed", f"{self._seed}-{name}"]
        command += ["--events", str(self._events(name)), "--speed", str(kind.speed), "--timeout", str(kind.timeout)]
        command += ["--lifetime", str(kind.lifetime)] if module == "server" else []
        with self._out.joinpath(f"{name}.log").open("w") as log:
            return subprocess.Popen(
                [*command, *more],
                cwd=_ROOT,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _events(self, name: str) -> Path:
        return self._out / f"{name}.jsonl"

    def _write(self) -> None:
        """Leave to the judge what is not among the events."""
        workers = {worker.who: {"samples": worker.samples, "end": worker.end} for worker in self.workers}
        outages = {"redis": self._redis.outages} if self._redis is not None else {}
        run = {"began": self.began, "seconds": self.seconds, "seed": self._seed, "date": datetime.now(UTC).isoformat()}
        run |= {"workers": workers, "outages": outages}
        self._out.joinpath("run.json").write_text(json.dumps(run), encoding="ascii")


def _environment() -> dict[str, str]:
    """Ours, without what would send the soak to the real endpoint, or through a proxy."""
    dropped = {"DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET", "DOMO_API_URL", "DOMO_STORE"}
    proxies = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped and name.upper() not in proxies}
    return kept | {"PYTHONPATH": str(_ROOT)}
