"""What all adapters have in common: where tokens come from, and where they may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domo_oauth.provider import TokenProvider

from ._origins import Origins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from domo_oauth.scopes import Scopes

__all__ = ["Adapter"]


class Adapter:
    """Hands a provider's token to requests to Domo, and to no other.

    Args:
        provider: Where the tokens come from; shared with as many clients as you like.
        hosts: Hosts besides the provider's base URL that take the token, by HTTPS.

    Raises:
        ConfigurationError: A host is none.
    """

    def __init__(self, provider: TokenProvider, *, hosts: Iterable[str] = ()) -> None:
        self._provider = provider
        self._origins = Origins(provider.base_url, hosts)

    @classmethod
    def from_env(
        cls,
        *,
        scopes: Scopes | None = None,
        base_url: str | None = None,
        httpx_args: Mapping[str, Any] | None = None,
        hosts: Iterable[str] = (),
    ) -> Self:
        """With the credentials of ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``; see ``TokenProvider.from_env``."""
        return cls(TokenProvider.from_env(scopes=scopes, base_url=base_url, httpx_args=httpx_args), hosts=hosts)
