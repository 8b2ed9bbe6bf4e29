"""``httpx.Client(auth=DomoAuth(provider))``, and ``httpx.AsyncClient`` under asyncio or trio likewise."""

from __future__ import annotations

import httpx

from ._flow import AuthFlow

__all__ = ["DomoAuth"]


class DomoAuth(AuthFlow, httpx.Auth):
    """Sends a valid token with each request to Domo, and with no other; for httpx. See ``AuthFlow``."""

    _bytes = httpx.ByteStream
