"""The contract, and exchanges that are checked against it, read from HAR files and recorded.

The text of the contract needs nothing else. Parsing it and checking against it need the extra ``cli`` or ``sandbox``,
whose packages are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .document import cli_extra, contract, contract_text, recordings
from .exchange import Exchange
from .har import HarError, Recording, har_text, read_har
from .record import record
from .verify import verify

if TYPE_CHECKING:
    from .check import Finding, check_exchange, check_request, check_response

__all__ = [
    "Exchange",
    "Finding",
    "HarError",
    "Recording",
    "check_exchange",
    "check_request",
    "check_response",
    "contract",
    "contract_text",
    "har_text",
    "read_har",
    "record",
    "recordings",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with cli_extra():
        from . import check
    return getattr(check, name)
