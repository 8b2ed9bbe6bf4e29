"""The contract itself, and exchanges checked against it, saved and recorded.

The contract is data: ``contract_text()`` needs nothing else. Reading it as an object and checking against it need the
extra ``cli`` (or ``sandbox``), which is loaded when it is first used.
"""

from __future__ import annotations

from .check import check_exchange, check_request, check_response, concerns
from .document import contract, contract_text, recordings
from .exchange import Exchange
from .finding import Finding
from .har import HarError, Recording, har_text, read_har
from .record import record
from .verify import verify

__all__ = [
    "Exchange",
    "Finding",
    "HarError",
    "Recording",
    "check_exchange",
    "check_request",
    "check_response",
    "concerns",
    "contract",
    "contract_text",
    "har_text",
    "read_har",
    "record",
    "recordings",
    "verify",
]
