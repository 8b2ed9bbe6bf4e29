"""The server of all measurements, seen from a worker, and how it can be told to answer."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import quote

__all__ = ["LIFETIME", "RETRY_AFTER", "SIGNATURE", "Endpoint", "Manner"]

SIGNATURE = "t" * 342
"""The end of each token, by which one is found wherever it turns up."""
LIFETIME = 3599
"""s, of a token; as Domo's."""
RETRY_AFTER = 2
"""s, what the server asks for when it is busy; no library's own first pause is as long."""


class Manner(NamedTuple):
    """How the server answers."""

    delay: float = 0.0
    """s that an answer to a request for a token is held back."""
    refuses: bool = False
    """Whether it takes no credentials."""
    lifetime: int = LIFETIME
    """s, of a token."""
    busy: int = 0
    """How many requests for a token get a 503 before one gets a token."""
    moved: bool = False
    """Whether requests for a token are redirected to the other origin."""
    outdated: int = 0
    """How many requests to the API get a 401 before one is answered."""


class Endpoint:
    """Says how the server answers, and asks what came."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.other_origin = str(self.told()["other_origin"])

    def answers(self, delay: float = 0.0, **manner: Any) -> None:
        """Say how it answers from now on (see ``Manner``), and begin to count anew."""
        self._ask(f"/_bench?{quote(json.dumps(Manner(delay, **manner)._asdict()))}")

    def requests(self) -> int:
        """How many requests for a token came."""
        return int(self.told()["requests"])

    def told(self) -> dict[str, Any]:
        """All that came.

        ``requests`` for a token, ``calls`` of the API and how many of them with a token (``bearers``), ``pause`` (s)
        between the last two requests for a token, ``asked``: the last of them as text, ``strayed``: what came to the
        other origin, as text, ``other_origin``: its URL.
        """
        return self._ask("/_bench")  # type: ignore[no-any-return]

    def _ask(self, target: str) -> Any:
        self._connection.request("GET", target)
        return json.loads(self._connection.getresponse().read())
