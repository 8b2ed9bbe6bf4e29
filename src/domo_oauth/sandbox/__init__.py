"""A local server that behaves like Domo's token endpoint, as far as its behaviour is known.

``domo-oauth sandbox`` runs it from a shell, :func:`running` in a ``with`` block, and the pytest fixture
``domo_sandbox`` for tests. Needs the extra ``sandbox``; importing this package does not load it.
"""

from __future__ import annotations

from .process import Sandbox, running
from .settings import DEMO_CLIENT, Client, Failure, RecordedRequest, Stats

__all__ = ["DEMO_CLIENT", "Client", "Failure", "RecordedRequest", "Sandbox", "Stats", "running"]
