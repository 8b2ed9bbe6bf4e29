"""The contract, and checks of exchanges against it: from HAR files, from the sandbox, or recorded.

The text of the contract needs no extra. Parsing it and checking against it need the extra ``cli`` or ``sandbox``, whose
packages are imported when they are first used.
"""

from .check import Finding, check_exchange, check_request, check_response
from .document import contract, contract_text, recordings
from .exchange import Exchange
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
    "contract",
    "contract_text",
    "har_text",
    "read_har",
    "record",
    "recordings",
    "verify",
]
