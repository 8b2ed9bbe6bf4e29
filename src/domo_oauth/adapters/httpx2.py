"""``httpx2.Client(auth=DomoAuth(provider))``, and ``httpx2.AsyncClient`` under asyncio or trio."""

from __future__ import annotations

from domo_oauth.errors import ConfigurationError

from .httpx import AuthFlow

try:
    import httpx2
except ModuleNotFoundError as error:
    raise ConfigurationError("httpx2 is not installed: pip install 'domo-oauth[httpx2]'") from error

__all__ = ["DomoAuth"]


class DomoAuth(AuthFlow, httpx2.Auth):
    """Adds a token to requests for Domo, and to no others; for httpx2. See ``Adapter`` and ``AuthFlow``."""

    _library = httpx2
