"""What all adapters have in common: where tokens come from, and where they may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domo_oauth import log
from domo_oauth.errors import require
from domo_oauth.provider import TokenProvider

from ._origins import Origins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from domo_oauth.scopes import Scopes
    from domo_oauth.stores import Store
    from domo_oauth.token import Token

__all__ = ["UNAUTHORIZED", "Adapter"]

UNAUTHORIZED = 401
"""What an API answers that does not take a token (any more)."""


class Adapter:
    """Hands a provider's token to requests to Domo, and to no other.

    Args:
        provider: Where the tokens come from; shared with as many clients as you like.
        hosts: Hosts besides the provider's base URL that take the token, by HTTPS.

    Raises:
        ConfigurationError: A host is none, or the provider is no ``TokenProvider``.
    """

    def __init__(self, provider: TokenProvider, *, hosts: Iterable[str] = ()) -> None:
        require(f"What {type(self).__name__} takes", provider, TokenProvider)
        self._provider = provider
        self._origins = Origins(provider.base_url, hosts)

    @classmethod
    def from_env(
        cls,
        *,
        scopes: Scopes | None = None,
        store: Store | None = None,
        base_url: str | None = None,
        httpx_args: Mapping[str, Any] | None = None,
        hosts: Iterable[str] = (),
    ) -> Self:
        """With the credentials of ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``; see ``TokenProvider.from_env``."""
        provider = TokenProvider.from_env(scopes=scopes, store=store, base_url=base_url, httpx_args=httpx_args)
        return cls(provider, hosts=hosts)

    def _give_up(self, token: Token, host: str, *, again: bool) -> None:
        """Do not use this token any more, as the host refused it."""
        if not again:
            log.info("401 from %s: given back, as its body cannot be sent again", host)
        self._provider.invalidate(token)

    @staticmethod
    def _is_another(token: Token, another: Token, host: str) -> bool:
        """Whether it makes sense to send the request once more."""
        differs = another.access_token != token.access_token
        log.info("401 from %s: %s", host, "sent once more" if differs else "given back, as there is no other token")
        return differs
