"""``httpx2.Client(auth=DomoAuth(provider))``, and ``httpx2.AsyncClient`` under asyncio or trio likewise."""

from __future__ import annotations

from domo_oauth.errors import ConfigurationError

from ._flow import AuthFlow

try:
    import httpx2
except ModuleNotFoundError as error:
    raise ConfigurationError("httpx2 is not installed here: pip install 'domo-oauth[httpx2]'") from error

__all__ = ["DomoAuth"]


class DomoAuth(AuthFlow, httpx2.Auth):
    """Sends a valid token with each request to Domo, and with no other; for httpx2. See ``AuthFlow``."""

    _bytes = httpx2.ByteStream
