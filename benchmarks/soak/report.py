"""What came of a run: soak.json, soak.md with the table, and soak.svg."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from typing import TYPE_CHECKING, Any

from . import events, history, plot, resources, rules
from .history import Group, Run, Span
from .kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Run", "read", "results", "table", "write"]

_MOST_TOLD = 20
"""Breaches of a rule that are told one by one."""
_NOTE = (
    "¹ Callers' errors; and how many of them came while another process had left a fresh token in the store, where "
    "a process looks but once a second during a pause: that is not against the rules."
)


def read(out: Path) -> Run:
    """Read what a run left in its folder."""
    run = json.loads(out.joinpath("run.json").read_text(encoding="ascii"))

    def told(name: str) -> list[events.Event]:
        return events.read(out / f"{name}.jsonl")

    groups = [
        history.group(
            kind.name,
            speed=kind.speed,
            lifetime=kind.lifetime,
            timeout=kind.timeout,
            workers={who: told(who) for who in kind.whos},
            server=told(f"{kind.name}-server"),
            outages=tuple(Span(*each) for each in run["outages"].get(kind.name, ())),
        )
        for kind in KINDS
        if kind.whos[0] in run["workers"]
    ]
    return Run(run["began"], run["seconds"], run["seed"], run["date"], run["workers"], groups)


def results(run: Run) -> dict[str, Any]:
    """All figures, and what broke."""
    groups = {group.name: _of_group(group) for group in run.groups}
    workers, breaches = dict[str, Any](), dict[str, list[str]]()
    for group in run.groups:
        for name, rule in rules.RULES.items():
            breaches.setdefault(name, []).extend(rule(group))
    flat, alive = list[str](), list[str]()
    for who, worker in run.workers.items():
        samples, end = worker["samples"], worker["end"]
        if end is None:
            alive.append(f"{who} died: see {who}.log")
            continue
        flat += resources.leaks(who, samples, end)
        alive += resources.stuck(who, samples, end)
        workers[who] = {"calls": end["callers"], "grown": resources.grown(samples)}
        workers[who] |= {"before": end["before"], "first": samples[0], "last": samples[-1], "after": end["after"]}
    breaches["memory, descriptors and threads are flat"] = flat
    breaches["all callers are at work up to the end"] = alive
    return {
        "date": run.date,
        "seconds": round(run.seconds, 1),
        "seed": run.seed,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "groups": groups,
        "workers": workers,
        "rules": {name: len(broken) for name, broken in breaches.items()},
        "breaches": {name: broken[:_MOST_TOLD] for name, broken in breaches.items() if broken},
    }


def _of_group(group: Group) -> dict[str, Any]:
    account = rules.account(group)
    errors = Counter[str](error["error"] for process in group.processes for error in process.errors)
    return {
        "lifetime": group.real_lifetime,
        "rounds": dict(account.reasons),
        "grants": account.grants,
        "tries": account.tries,
        "failed_tries": dict(account.failures),
        "outcomes": dict(Counter(one.outcome for p in group.processes for each in p.rounds for one in each.tries)),
        "unshared": account.unshared,
        "server_downs": len(group.downs),
        "store_outages": len(group.outages),
        "refused_tokens": len(group.first_refusals()),
        "errors": dict(errors),
        "errors_while_the_store_had_a_token": rules.stored_meanwhile(group),
        "broken_by_server_down": sum(len(process.broken) for process in group.processes),
        "answers_401": sum(len(process.answers) for process in group.processes),
        "harm": len(group.faults),
    }


def table(results: dict[str, Any]) -> str:
    """The same for people, in Markdown."""
    verdict = "**broken**" if results["breaches"] else "held"
    lines = [
        f"{results['seconds'] / 60:.1f} minutes on {results['date'][:10]}, seed {results['seed']}: the rules {verdict}",
        f"(Python {results['python']}, {results['processors']} processors).",
        "",
        "| group | tokens | fetches: cold, due, refused | needless | tries | failed by faults, else | errors¹ | 401s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, group in results["groups"].items():
        reasons, failures = group["rounds"], group["failed_tries"]
        by = ", ".join(f"{reasons.get(reason, 0):,}" for reason in ("cold", "due", "refused"))
        faults = sum(failures.values()) - failures.get("unexplained", 0)
        stored = group["errors_while_the_store_had_a_token"]
        lines.append(
            f"| {name} | {group['grants']:,} | {by} | {reasons.get('needless', 0) + group['unshared']} | "
            f"{group['tries']:,} | {faults:,}, {failures.get('unexplained', 0)} | "
            f"{sum(group['errors'].values()):,}, {stored:,} | {group['answers_401']:,} |"
        )
    lines += ["", _NOTE]
    lines += ["", "| process | calls | memory | grew by | descriptors | grew by | threads | grew by |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for who, worker in results["workers"].items():
        last, grown = worker["last"], worker["grown"]
        lines.append(
            f"| {who} | {sum(worker['calls'].values()):,} | {last['rss'] / 2**20:.1f} MiB | "
            f"{grown['rss'] / 2**20:+.2f} MiB | {last['descriptors']} | {grown['descriptors']:+.1f} | "
            f"{last['threads']} | {grown['threads']:+.1f} |"
        )
    lines += ["", "| rule | broken |", "|---|---|"]
    lines += [f"| {name} | {number or 'never'} |" for name, number in results["rules"].items()]
    for name, told in results["breaches"].items():
        lines += ["", f"**{name}**, the first of {results['rules'][name]:,}:", "", *(f"- {each}" for each in told)]
    return "\n".join(lines)


def write(out: Path, results: dict[str, Any], run: Run) -> None:
    """Write soak.json, soak.md and soak.svg."""
    out.joinpath("soak.json").write_text(f"{json.dumps(results, indent=1)}\n", encoding="utf-8")
    out.joinpath("soak.md").write_text(f"{table(results)}\n\n![over time](soak.svg)\n", encoding="utf-8")
    out.joinpath("soak.svg").write_text(plot.svg(plot.panels(run)), encoding="utf-8")
