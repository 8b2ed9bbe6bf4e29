"""Where a token outlives its process: files for one machine, Redis for a fleet, or a store of your own.

A store keeps sealed bytes under names that tell nothing, and lends the right to renew a token to one at a time. What
the bytes are is none of its business: see ``Store``, and ``domo_oauth.stores.testing`` for the tests that any store
must pass.
"""

from __future__ import annotations

from .protocol import Store, StoreError

__all__ = ["Store", "StoreError"]
