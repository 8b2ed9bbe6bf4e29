"""Check HAR files against the contract and print the findings: the command ``domo-oauth verify``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TextIO

from domo_oauth.redact import one_line

from .check import check_exchange
from .exchange import PLACES
from .har import HarError, Recording, read_har

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable

__all__ = ["verify"]

_KINDS = ("recorded", "observed", "derived", "sandbox")


def verify(files: Iterable[Traversable], *, strict: bool = False, out: TextIO) -> int:
    """Check every exchange of the contract in these HAR files. Entries of other sites are skipped.

    Args:
        files: Paths of HAR files, such as a browser saves.
        strict: Fail also on fields and parameters that the contract does not name.
        out: Receives one line per finding, and a summary of each file.

    Returns:
        The exit status: 0 if every file has something to check and all of it keeps the contract; 1 otherwise, so also
        if nothing was checked.

    Raises:
        ConfigurationError: The extra ``cli`` is not installed.
    """
    passed = [_verify(file, strict=strict, out=out) for file in files]
    return 0 if passed and all(passed) else 1


def _verify(file: Traversable, *, strict: bool, out: TextIO) -> bool:
    name = one_line(str(file))
    try:
        recording = read_har(file)
    except HarError as error:
        print(f"{name}: {error}", file=out)
        return False
    checked, kinds = 0, Counter[str]()
    for number, exchange in recording.exchanges.items():
        if not exchange.status:
            print(f"{name}: entry {number}: not checked: no response", file=out)
            continue
        checked += not all(map(exchange.lacks, PLACES))
        for finding in check_exchange(exchange):
            print(f"{name}: entry {number}: {finding.kind}: {finding}", file=out)
            kinds[finding.kind] += 1
    print(f"{name}: {_summary(recording, checked, kinds)}", file=out)
    return bool(checked) and not kinds["error"] and not (strict and kinds["unknown field"])


def _summary(recording: Recording, checked: int, kinds: Counter[str]) -> str:
    errors, unknown = _count(kinds["error"], "error"), _count(kinds["unknown field"], "unknown field")
    summary = f"{_count(checked, 'exchange')} checked: {errors}, {unknown}"
    if (kind := recording.provenance.get("kind")) in _KINDS:
        summary += f" ({kind})"
    if recording.others:
        summary += f"; {recording.others} of other sites skipped"
    return summary


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
