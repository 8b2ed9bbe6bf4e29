"""Run the soak and judge it: ``python -m benchmarks.soak [--minutes 60] [--seed 1]``; exit status 1 if a rule broke."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import random
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.library import ROOT, clean_environment
from benchmarks.publish import Panel, plot

from . import KINDS, Kind
from .rules import RULES, Call, Group, Try, account, grown, late_errors, leaks, stuck
from .server import Server

REDIS = shutil.which("redis-server") or shutil.which("valkey-server")
_PATIENCE = 150.0
"""Seconds for a process to start or end; a worker waits up to 140 s for its callers and its last fetch."""
_LONGEST_OUTAGE = 4.0
"""Seconds that Redis is down."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long; an hour is a year of hourly tokens")
    parser.add_argument("--seed", default="1", help="decides the faults; their times differ a little nevertheless")
    parser.add_argument("--out", type=Path, default=ROOT / "build/soak", help="where the results go")
    parser.add_argument("--publish", action="store_true", help="put table and plot where the README links to")
    options = parser.parse_args()
    if not Path("/proc/self/statm").exists():
        raise SystemExit("The soak reads memory and descriptors from /proc, which only Linux has.")
    if REDIS is None:
        print("Without Redis, as no server is installed: apt-get install redis-server", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    gc.disable()  # the events pile up without cycles, and each collection would stall the servers
    soak = Soak(options.out, options.seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        asyncio.run(soak.run(options.minutes * 60, Path(folder)))
    results, text = soak.judge()
    for name, content in (("json", json.dumps(results, indent=1)), ("md", text), ("svg", plot(soak.panels()))):
        (options.out / f"soak.{name}").write_text(content, encoding="utf-8")
        if options.publish and name != "json":
            shutil.copy(options.out / f"soak.{name}", Path(__file__).parent)
    print(f"\n{text}\nThe results are in {options.out}", flush=True)
    sys.exit(1 if results["breaches"] else 0)


_NOTE = (
    "¹ Errors that callers got, and how many of them while another process had left a fresh token in the store. A "
    "process looks there once a second during a pause, so that breaks no rule."
)


class Worker:
    """A worker process and what it reports."""

    def __init__(self, who: str, kind: Kind) -> None:
        self.who, self.kind, self.tries, self.calls = who, kind, list[Try](), list[Call]()
        self.samples, self.end, self.ready = list[dict[str, float]](), dict[str, Any](), asyncio.Event()

    async def start(self, log: Path, **options: object) -> None:
        options |= {"who": self.who, "speed": self.kind.speed, "timeout": self.kind.timeout}
        with log.open("w") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.soak.worker", json.dumps(options)),
                cwd=ROOT,
                env=clean_environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            event = json.loads(line)
            match event.pop("event"):
                case "sample":
                    self.samples.append(event)
                    self.ready.set()
                case "end":
                    self.end = event
                case "try":
                    self.tries.append(Try(**event))
                case kind:
                    self.calls.append(Call(kind, **event))

    async def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), _PATIENCE)
        except TimeoutError:
            self.process.kill()
        await self._listening


class Redis:
    """A Redis server that is killed and restarted, at times that a seed decides. What it kept is gone each time."""

    def __init__(self, folder: Path, seed: str, calm: float) -> None:
        self._folder, self._calm, self._chance = folder, calm, random.Random(seed)  # noqa: S311 -- not for secrets
        self.outages = list[tuple[float, float]]()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port: int = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"

    async def start(self) -> None:
        command = [
            str(REDIS),
            "--bind",
            "127.0.0.1",
            "--port",
            str(self._port),
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        null = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(*command, stdout=null, stderr=null)
        async with asyncio.timeout(_PATIENCE):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    return

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(self._chance.choice((9, 15)))
            await self._process.wait()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / self._calm))
            began = time.monotonic()
            try:
                await self.stop()
                await asyncio.sleep(self._chance.uniform(0.1, _LONGEST_OUTAGE))
                await self.start()
            finally:  # the soak may end meanwhile
                self.outages.append((began, time.monotonic()))


class Soak:
    """One run."""

    def __init__(self, out: Path, seed: str) -> None:
        self._out, self._seed, self._began, self._seconds = out, seed, 0.0, 0.0
        self._servers: dict[str, Server] = {}
        self._workers = list[Worker]()
        self._redis: Redis | None = None

    async def run(self, seconds: float, folder: Path) -> None:
        tasks = []
        stores: dict[str, str | None] = {"year": None, "file": str(folder / "tokens")}
        if REDIS:
            self._redis = Redis(folder, f"{self._seed}-redis", min(30.0, seconds / 4))
            await self._redis.start()
            stores["redis"] = self._redis.url
            tasks.append(asyncio.create_task(self._redis.run()))
        for kind in (each for each in KINDS if each.name in stores):
            self._servers[kind.name] = server = Server(kind, f"{self._seed}-{kind.name}")
            await server.start()
            tasks.append(asyncio.create_task(server.run()))
            for number in range(kind.processes):
                who = f"{kind.name}-{number + 1}" if kind.processes > 1 else kind.name
                self._workers.append(worker := Worker(who, kind))
                await worker.start(
                    self._out / f"{who}.log",
                    url=f"http://127.0.0.1:{server.port}",
                    seed=f"{self._seed}-{who}",
                    store=stores[kind.name],
                    every=max(0.1, seconds / 1800),
                )
        async with asyncio.timeout(_PATIENCE):
            await asyncio.gather(*(worker.ready.wait() for worker in self._workers))
        self._began = time.monotonic()
        await self._watch(self._began + seconds)
        self._seconds = time.monotonic() - self._began
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self._servers.values():
            server.stop()
        if self._redis:
            await self._redis.stop()

    async def _watch(self, until: float) -> None:
        """Print the progress until the end."""
        every = max(10.0, (until - self._began) / 60)
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(every, left))
            parts = [f"{(time.monotonic() - self._began) / 60:6.1f} min"]
            for worker in self._workers:
                last = worker.samples[-1]
                parts.append(f"{worker.who}: {last['calls']:,} calls, {last['rss'] / 2**20:.1f} MiB")
            print(" | ".join(parts), flush=True)

    def _groups(self) -> list[Group]:
        return [
            Group(
                kind.name,
                kind.speed,
                kind.real_lifetime,
                kind.timeout,
                [each for worker in self._workers if worker.kind is kind for each in worker.tries],
                [each for worker in self._workers if worker.kind is kind for each in worker.calls],
                server.fault_ids,
                server.downs,
                self._redis.outages if self._redis and kind.name == "redis" else (),
                server.refused,
                server.spent,
                server.unknown,
            )
            for kind in KINDS
            if (server := self._servers.get(kind.name))
        ]

    def judge(self) -> tuple[dict[str, Any], str]:
        """All figures and what broke, as data and as Markdown."""
        groups = self._groups()
        breaches = {name: [each for group in groups for each in rule(group)] for name, rule in RULES.items()}
        flat = breaches["memory, descriptors and threads are flat"] = []
        alive = breaches["all callers are at work up to the end"] = []
        for worker in self._workers:
            if worker.end:
                flat += leaks(worker.who, worker.samples, worker.end)
                alive += stuck(worker.who, worker.samples, worker.end)
            else:
                alive.append(f"{worker.who} died: see {worker.who}.log")
        results = {
            "date": datetime.now(UTC).date().isoformat(),
            "minutes": round(self._seconds / 60, 1),
            "seed": self._seed,
            "groups": {group.name: _figures(group) for group in groups},
            "workers": {
                worker.who: {"calls": worker.end["callers"], "last": worker.samples[-1], "grown": grown(worker.samples)}
                for worker in self._workers
                if worker.end
            },
            "rules": {name: len(broken) for name, broken in breaches.items()},
            "breaches": {name: broken[:20] for name, broken in breaches.items() if broken},
        }
        return results, table(results)

    def panels(self) -> list[Panel]:
        def sampled(name: str, unit: float = 1.0) -> dict[str, list[tuple[float, float]]]:
            return {
                worker.who: [((each["at"] - self._began) / 60, each[name] / unit) for each in worker.samples]
                for worker in self._workers
            }

        requests = {
            worker.who: [((each.sent - self._began) / 60, float(number)) for number, each in enumerate(worker.tries, 1)]
            for worker in self._workers
        }
        return [
            Panel("Memory (resident, MiB)", sampled("rss", 2**20), "min"),
            Panel("File descriptors", sampled("descriptors"), "min"),
            Panel("Threads", sampled("threads"), "min"),
            Panel("Token requests so far", requests, "min"),
        ]


def _figures(group: Group) -> dict[str, Any]:
    counted = account(group)
    return {
        "tokens": len(group.grants),
        "fetches": counted.reasons,
        "tries": len(group.tries),
        "failures": counted.failures,
        "errors": Counter(call.what for call in group.calls if call.kind == "error"),
        "late_errors": late_errors(group),
        "answers_401": sum(call.kind == "answer" for call in group.calls),
    }


def table(results: dict[str, Any]) -> str:
    """The results for people, in Markdown."""
    verdict = "**broken**" if results["breaches"] else "held"
    lines = [
        f"{results['minutes']} minutes on {results['date']}, seed {results['seed']}: the rules {verdict}",
        f"(Python {platform.python_version()}, {os.cpu_count()} processors).",
        "",
        "| group | tokens | fetches: cold, due, refused | needless | tries | failed by faults, else | errors¹ | 401s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, group in results["groups"].items():
        reasons, failures = group["fetches"], group["failures"]
        by = ", ".join(f"{reasons[reason]:,}" for reason in ("cold", "due", "refused"))
        faults = failures.total() - failures["unexplained"]
        lines.append(
            f"| {name} | {group['tokens']:,} | {by} | {reasons['needless']} | "
            f"{group['tries']:,} | {faults:,}, {failures['unexplained']} | "
            f"{group['errors'].total():,}, {group['late_errors']:,} | {group['answers_401']:,} |"
        )
    lines += [
        "",
        _NOTE,
        "",
        "| process | calls | memory | grew by | descriptors | grew by | threads | grew by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for who, worker in results["workers"].items():
        last, by = worker["last"], worker["grown"]
        lines.append(
            f"| {who} | {sum(worker['calls'].values()):,} | {last['rss'] / 2**20:.1f} MiB | "
            f"{by['rss'] / 2**20:+.2f} MiB | {last['descriptors']} | {by['descriptors']:+.1f} | "
            f"{last['threads']} | {by['threads']:+.1f} |"
        )
    lines += ["", "| rule | broken |", "|---|---|"]
    lines += [f"| {name} | {number or 'never'} |" for name, number in results["rules"].items()]
    for name, counted in results["breaches"].items():
        lines += ["", f"**{name}**, the first of {results['rules'][name]:,}:", "", *(f"- {each}" for each in counted)]
    return "\n".join([*lines, "", "![over time](soak.svg)", ""])


if __name__ == "__main__":
    main()
