"""Run the soak and judge it: ``python -m benchmarks.soak``; exit status 1 if a rule broke."""

from __future__ import annotations

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
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks.library import ROOT, clean_environment
from benchmarks.report import markdown

from . import KINDS, Kind
from .rules import RULES, Call, Fetch, Group, grown, leaks, stuck
from .server import Server

REDIS = shutil.which("redis-server") or shutil.which("valkey-server")
_PATIENCE = 150.0
"""Seconds for a process to start or end; a worker waits up to 140 s for its callers and its last fetch."""
_HEAD = """# A year of token renewals in an hour

`make soak` ran many callers in several processes against local servers that grant short-lived tokens and cause faults,
and then checked that each rule below held.
"""
_LONGEST_OUTAGE = 4.0
"""Seconds that Redis is down."""


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="How long; an hour is a year of hourly tokens.")
@click.option("--seed", default="1", show_default=True, help="Decides the faults; their times vary a little.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "build/soak", help="Folder for the results.")
@click.option("--publish", is_flag=True, help="Also write benchmarks/soak/soak.md.")
def main(*, minutes: float, seed: str, out: Path, publish: bool) -> None:
    """Run a year of renewals in an hour, while faults come and go. Exit status 1 if a rule broke."""
    if not Path("/proc/self/statm").exists():
        raise click.ClickException("The soak reads memory and descriptors from /proc, which only Linux has.")
    if REDIS is None:
        click.echo("Without Redis, as no server is installed: apt-get install redis-server")
    out.mkdir(parents=True, exist_ok=True)
    gc.disable()  # the events pile up without cycles, and each collection would stall the servers
    soak = Soak(out, seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        asyncio.run(soak.run(minutes * 60, Path(folder)))
    results = soak.judge()
    text = table(results)
    (out / "soak.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    for place in (out, Path(__file__).parent) if publish else (out,):
        (place / "soak.md").write_text(text, encoding="utf-8")
    click.echo(f"\n{text}\nThe results are in {out}")
    sys.exit(1 if results["breaches"] else 0)


class Worker:
    """A worker process and what it reports."""

    def __init__(self, who: str, kind: Kind) -> None:
        self.who, self.kind, self.fetches, self.calls = who, kind, list[Fetch](), list[Call]()
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
                case "fetch":
                    self.fetches.append(Fetch(**event))
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
        options = f"--bind 127.0.0.1 --port {self._port} --dir {self._folder} --save".split()
        null = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(str(REDIS), *options, "", stdout=null, stderr=null)
        async with asyncio.timeout(_PATIENCE):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    writer.close()
                    return
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(self._chance.choice((9, 15)))
            await self._process.wait()

    async def run(self) -> None:
        """Cause outages until cancelled."""
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
        self._out, self._seed, self._seconds = out, seed, 0.0
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
        await self._watch(seconds)
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self._servers.values():
            server.stop()
        if self._redis:
            await self._redis.stop()

    async def _watch(self, seconds: float) -> None:
        """Print the progress for ``seconds`` seconds."""
        began = time.monotonic()
        while self._seconds < seconds:
            await asyncio.sleep(min(max(10.0, seconds / 60), seconds - self._seconds))
            self._seconds = time.monotonic() - began
            last = [f"{each.who}: {each.samples[-1]['calls']:,} calls" for each in self._workers]
            click.echo(" | ".join([f"{self._seconds / 60:6.1f} min", *last]))

    def judge(self) -> dict[str, Any]:
        """All figures and what broke."""
        groups = [
            Group(
                kind,
                sorted((each for worker in workers for each in worker.fetches), key=lambda fetch: fetch.began),
                [each for worker in workers for each in worker.calls],
                self._servers[kind.name].seen,
                self._redis.outages if self._redis and kind.name == "redis" else (),
            )
            for kind in KINDS
            if (workers := [worker for worker in self._workers if worker.kind is kind])
        ]
        breaches = {name: [each for group in groups for each in rule(group)] for name, rule in RULES.items()}
        flat = breaches["memory, descriptors and threads are flat"] = []
        alive = breaches["all callers are at work up to the end"] = []
        for worker in self._workers:
            if worker.end:
                flat += leaks(worker.who, worker.samples, worker.end)
                alive += stuck(worker.who, worker.samples, worker.end)
            else:
                alive.append(f"{worker.who} died: see {worker.who}.log")
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "minutes": round(self._seconds / 60, 1),
            "seed": self._seed,
            "groups": {group.kind.name: _figures(group) for group in groups},
            "workers": {
                worker.who: {"calls": worker.end["callers"], "last": worker.samples[-1], "grown": grown(worker.samples)}
                for worker in self._workers
                if worker.end
            },
            "rules": {name: len(broken) for name, broken in breaches.items()},
            "breaches": {name: broken[:20] for name, broken in breaches.items() if broken},
        }


def _figures(group: Group) -> dict[str, Any]:
    return {
        "tokens": len(group.grants),
        "fetches": Counter(group.reasons),
        "tries": sum(fetch.tries for fetch in group.fetches),
        "errors": Counter(call.what for call in group.calls if call.kind == "error"),
        "answers_401": sum(call.kind == "answer" for call in group.calls),
    }


def table(results: dict[str, Any]) -> str:
    """The results for people, in Markdown."""
    verdict = "**broken**" if results["breaches"] else "held"
    groups = [
        [
            name,
            f"{group['tokens']:,}",
            ", ".join(f"{group['fetches'][reason]:,}" for reason in ("cold", "due", "refused")),
            group["fetches"]["needless"],
            f"{group['tries']:,}",
            f"{group['tries'] - group['tokens']:,}",
            f"{group['errors'].total():,}",
            f"{group['answers_401']:,}",
        ]
        for name, group in results["groups"].items()
    ]
    processes = [
        [
            who,
            f"{sum(worker['calls'].values()):,}",
            f"{worker['last']['rss'] / 2**20:.1f} MiB",
            f"{worker['grown']['rss'] / 2**20:+.2f} MiB",
            *(f"{worker['last'][name]} | {worker['grown'][name]:+.1f}" for name in ("descriptors", "threads")),
        ]
        for who, worker in results["workers"].items()
    ]
    lines = [
        _HEAD,
        f"{results['minutes']} minutes on {results['date']}, seed {results['seed']}: the rules {verdict}",
        f"(Python {platform.python_version()}, {os.cpu_count()} processors).",
        "",
        *markdown("group | tokens | fetches: cold, due, refused | needless | tries | failed | errors | 401s", groups),
        "",
        *markdown("process | calls | memory | grew by | descriptors | grew by | threads | grew by", processes),
        "",
        *markdown("rule | broken", [[name, number or "never"] for name, number in results["rules"].items()]),
    ]
    for name, broken in results["breaches"].items():
        lines += ["", f"**{name}**, the first of {results['rules'][name]:,}:", "", *(f"- {each}" for each in broken)]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
