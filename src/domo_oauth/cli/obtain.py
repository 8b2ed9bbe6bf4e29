"""An access token for the commands that need one: from the store, else from Domo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from domo_oauth import timing
from domo_oauth.base_url import resolve_base_url
from domo_oauth.errors import SHARED_REFUSALS, ConfigurationError, DomoOAuthError
from domo_oauth.provider import TokenProvider

from . import credentials
from .messages import show_log, tell
from .options import chosen_scopes, open_store, store_name

if TYPE_CHECKING:
    import argparse

    from domo_oauth.stores import Store
    from domo_oauth.token import Token

__all__ = ["Obtained", "obtain"]

_USABLE = 60.0
"""Seconds for which a stored token must be good to be printed where no other can be had."""
_PATIENCE = 10.0
"""Seconds to wait for the next token while the stored one is usable."""


@frozen
class Obtained:
    """An access token, and where it came from."""

    token: Token
    left: float
    """Seconds until it expires."""
    origin: str
    client: credentials.Found
    base_url: str


def obtain(args: argparse.Namespace) -> Obtained:
    """A token that is good for long enough: from the store, or from Domo, which is asked by one process at a time.

    Raises:
        DomoOAuthError: There is none.
    """
    show_log(verbose=args.verbose)
    base_url, scopes = resolve_base_url(args.base_url), chosen_scopes(args)
    client = credentials.find(args, base_url)
    store = None if args.no_store else _open_store()
    provider = TokenProvider(client.credentials, scopes=scopes, store=store, base_url=base_url)
    try:
        token, origin = _get(provider, store, args.min_lifetime)
    except SHARED_REFUSALS:
        if not provider.stats().requests:
            tell("Domo has just refused another process, so it is not asked again yet:")
        raise
    left = _left(provider)
    if args.min_lifetime is not None and left < args.min_lifetime:
        tell(
            f"This token is good for {int(left)} s, and --min-lifetime asks for {args.min_lifetime:.10g}: Domo granted "
            f"it for {token.expires_in} s. Ask for less, or each call makes a request for a token."
        )
    return Obtained(token, left, origin, client, base_url)


def _open_store() -> Store | None:
    try:
        return open_store()
    except ConfigurationError as error:
        tell(f"Going on without the store: {error}")
        return None


def _get(provider: TokenProvider, store: Store | None, min_lifetime: float | None) -> tuple[Token, str]:
    """A token, and where it came from."""
    token = provider.get_token()
    if store is None or provider.stats().requests:
        return token, "Domo"
    stored = f"the store {store_name(store)}"
    window = min(timing.STALE_WINDOW, token.expires_in * timing.STALE_SHARE)
    wanted = window if min_lifetime is None else min_lifetime
    if _left(provider) >= wanted:
        return token, stored
    is_usable = min_lifetime is None and _left(provider) >= _USABLE
    try:
        token = provider.get_token(_PATIENCE if is_usable else None, wanted)
    except DomoOAuthError as error:
        if not (error.retryable and min_lifetime is None and _left(provider) >= _USABLE):
            raise
        tell(f"The stored token is used once more, as no other can be had. {error}")
        return token, stored
    return token, "Domo" if provider.stats().requests else stored


def _left(provider: TokenProvider) -> float:
    return provider.stats().expires_in or 0.0
