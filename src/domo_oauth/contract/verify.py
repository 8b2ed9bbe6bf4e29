"""HAR files checked against the contract, reported line by line: what ``domo-oauth verify`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from .check import check_exchange, concerns
from .finding import plain
from .har import HarError, Recording, read_har

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["verify"]


def verify(files: Iterable[Path], *, strict: bool = False, out: TextIO) -> int:
    """Check every exchange of the contract in these HAR files; pass over the others.

    Args:
        files: HAR files, such as a browser saves.
        strict: Take fields that the contract does not name as faults.
        out: Where a line for each finding goes, and one that sums up each file.

    Returns:
        The exit status: 0 if all is well. 1 if there is a fault, a file that is not a HAR, or a file without any
        exchange of the contract: a check that checked nothing must not look passed.

    Raises:
        ConfigurationError: The extra ``cli`` is not installed.
    """
    passed = [_verify(file, strict=strict, out=out) for file in files]
    return 0 if passed and all(passed) else 1


def _verify(file: Path, *, strict: bool, out: TextIO) -> bool:
    try:
        recording = read_har(file)
    except HarError as error:
        print(f"{file}: {error}", file=out)
        return False
    faults = news = checked = 0
    for number, exchange in enumerate(recording.exchanges, start=1):
        if not concerns(exchange):
            continue
        checked += 1
        for finding in check_exchange(exchange, strict=strict):
            if recording.is_original(finding.where):
                print(f"{file}: entry {number}: {finding.kind}: {finding}", file=out)
                faults += finding.kind == "fault"
                news += finding.kind == "news"
    print(f"{file}: {plain(_summary(recording, checked, faults, news))}", file=out)
    return bool(checked) and recording.kept != () and not faults


def _summary(recording: Recording, checked: int, faults: int, news: int) -> str:
    others = len(recording.exchanges) - checked
    summary = f"{_count(checked, 'exchange')} checked" if checked else "no exchange of the contract, nothing checked"
    if kind := recording.provenance.get("kind"):
        summary += f" ({kind})"
    if checked:
        summary += f", {_count(faults, 'fault')}, {news} news"
    if others:
        summary += f"; {_count(others, 'other exchange')} passed over"
    if recording.kept == ():
        summary += "; but nothing of this recording was kept, so nothing is checked"
    elif not (recording.is_original("request") and recording.is_original("response")):
        parts = ", ".join(recording.kept or ())
        summary += f"; of this recording only {parts} was kept, so only that is checked"
    return summary


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
