"""An access token for the commands that need one: from the store, else from Domo."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from domo_oauth.base_url import resolve_base_url
from domo_oauth.errors import DomoOAuthError
from domo_oauth.values import Value

from . import credentials
from .messages import show_log, tell
from .options import chosen_scopes, open_store, store_name

if TYPE_CHECKING:
    import argparse

    from domo_oauth.credentials import ClientCredentials
    from domo_oauth.stores.vault import Stored, Vault
    from domo_oauth.token import Token

__all__ = ["Obtained", "obtain"]

_WINDOW, _WINDOW_SHARE = 300.0, 1 / 5
"""Seconds, or the share of a token's lifetime if that is less, in which the next one is asked for."""
_USABLE = 60.0
"""Seconds for which a token must be good to be printed where no other can be had."""
_PAUSE = 1.0
"""Seconds in which no other process asks again after an error, if the endpoint asks for no more."""
_OWN_LOOKS = 2


class Obtained(Value):
    """An access token, and where it came from."""

    __slots__ = ("token", "left", "origin", "client", "base_url")  # noqa: RUF023 -- the order of the arguments

    token: Token
    left: float
    """Seconds until it expires."""
    origin: str
    client: credentials.Found
    base_url: str

    def __init__(self, token: Token, left: float, origin: str, client: credentials.Found, base_url: str) -> None:
        self._set(token, left, origin, client, base_url)


def obtain(args: argparse.Namespace) -> Obtained:
    """A token that is good for long enough: from the store, or from Domo, which is asked by one process at a time.

    Raises:
        DomoOAuthError: There is none.
    """
    if args.verbose:
        show_log(verbose=True)
    base_url, scopes = resolve_base_url(args.base_url), chosen_scopes(args)
    client = credentials.find(args, base_url)
    vault, stored = (None, None) if args.no_store else _look(client.credentials, scopes, base_url)
    if vault is not None and stored is not None and _is_good(stored, args.min_lifetime):
        return Obtained(*stored, f"the store {store_name(vault.store)}", client, base_url)
    show_log(verbose=args.verbose)
    wish = _Wish(client.credentials, scopes, base_url, args.min_lifetime)
    if vault is None:
        return Obtained(*_ask(wish), "Domo", client, base_url)
    return Obtained(*_renew(vault, stored, wish), client, base_url)


class _Wish(Value):
    """What Domo is asked for."""

    __slots__ = ("credentials", "scopes", "base_url", "min_lifetime")  # noqa: RUF023 -- the order of the arguments

    credentials: ClientCredentials
    scopes: tuple[str, ...] | None
    base_url: str
    min_lifetime: float | None

    def __init__(
        self, who: ClientCredentials, scopes: tuple[str, ...] | None, base_url: str, min_lifetime: float | None
    ) -> None:
        self._set(who, scopes, base_url, min_lifetime)


def _look(who: ClientCredentials, scopes: tuple[str, ...] | None, base_url: str) -> tuple[Vault | None, Stored | None]:
    """The store, if it can be used, and what is there."""
    try:
        from domo_oauth.stores.vault import Vault

        vault = Vault(open_store(), who, scopes, base_url)
        return vault, vault.load()
    except Exception as error:  # noqa: BLE001 -- a store may raise anything
        # The text of an error that is not ours may hold a password.
        told = str(error) if isinstance(error, DomoOAuthError) else type(error).__name__
        tell(f"Doing without the store: {told}")
        return None, None


def _is_good(stored: Stored, min_lifetime: float | None) -> bool:
    if min_lifetime is not None:
        return stored.left >= min_lifetime
    return stored.left > min(_WINDOW, stored.token.expires_in * _WINDOW_SHARE)


def _renew(vault: Vault, stored: Stored | None, wish: _Wish) -> tuple[Token, float, str]:
    """Ask Domo in this process's turn. Where another is at it, a token that is good for a minute will do."""
    origin, loaded_at = f"the store {store_name(vault.store)}", monotonic()
    usable = _USABLE if wish.min_lifetime is None else wish.min_lifetime
    looks = 0

    def is_wanted(found: Stored) -> bool:
        nonlocal looks
        looks += 1  # before the turn, in the turn; and then only if the turn is another's
        return _is_good(found, wish.min_lifetime) or (looks > _OWN_LOOKS and found.left >= usable)

    with vault.turn(is_wanted) as turn:
        if turn.found is not None:
            token, left = turn.found
            return token, left, origin
        try:
            if turn.refusal is not None:
                tell(f"Not asked again for {turn.refusal.left:.1f} s: another process was told what follows.")
                raise turn.refusal.error
            token, left = _ask(wish, patient=stored is None or stored.left < usable)
        except DomoOAuthError as error:
            if turn.refusal is None:
                turn.refuse(error, _PAUSE, max(_PAUSE, getattr(error, "retry_after", None) or 0.0))
            left = 0.0 if stored is None else stored.left - (monotonic() - loaded_at)
            if stored is None or left < usable or not error.retryable:
                raise
            tell(f"The stored token is used once more, as no other can be had. {error}")
            return stored.token, left, origin
        turn.save(token, token.expires_in - left)
        return token, left, "Domo"


def _ask(wish: _Wish, *, patient: bool = True) -> tuple[Token, float]:
    """A token from Domo, and how long it is good. Retries, where that may help, if ``patient``."""
    from datetime import UTC, datetime

    if patient:
        from domo_oauth.provider import TokenProvider

        token = TokenProvider(wish.credentials, scopes=wish.scopes, base_url=wish.base_url).get_token()
    else:
        from domo_oauth.exchange import request_token

        token = request_token(wish.credentials, wish.scopes, base_url=wish.base_url)
    # It expires so long after it was asked for, which the time that has gone by since is taken off.
    left = min((token.expires_at - datetime.now(UTC)).total_seconds(), token.expires_in)
    if wish.min_lifetime is not None and left < wish.min_lifetime:
        tell(
            f"This token is good for {int(left)} s, and --min-lifetime asks for {wish.min_lifetime:.10g}: Domo granted "
            f"it for {token.expires_in} s. Ask for less, or each call makes a request for a token."
        )
    return token, left
