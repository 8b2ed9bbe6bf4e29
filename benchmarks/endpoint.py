"""The server of all measurements, seen from a worker."""

from __future__ import annotations

import http.client
import json
from typing import Any


class Endpoint:
    """Says how the server answers, and asks what came."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def answers(self, delay: float = 0.0, *, refuses: bool = False) -> None:
        """Say how it answers from now on (``delay`` in s), and begin to count anew."""
        self._ask(f"/_bench?delay={delay}&refuses={refuses}")

    def requests(self) -> int:
        """How many requests for a token came."""
        return int(self._ask("/_bench")["requests"])

    def _ask(self, target: str) -> Any:
        self._connection.request("GET", target)
        return json.loads(self._connection.getresponse().read())
