"""A local server that behaves like Domo's token endpoint, as far as anybody knows how that behaves.

``domo-oauth sandbox`` runs it from a shell, :func:`running` in a ``with`` block, and the pytest fixture
``domo_sandbox`` for the tests of a program that uses Domo. Needs the extra ``sandbox``; importing this package does
not load it.
"""

from __future__ import annotations

from .clients import DEMO_CLIENT, Client, load_clients
from .process import Sandbox, running
from .settings import Settings
from .stats import Stats

__all__ = ["DEMO_CLIENT", "Client", "Sandbox", "Settings", "Stats", "load_clients", "running"]
