"""`domo-oauth token`, `whoami` and `forget`, and the token of all commands that need one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from domo_oauth import timing
from domo_oauth.errors import ConfigurationError, DomoOAuthError, TokenRequestError, UnexpectedResponseError
from domo_oauth.provider import TokenProvider

from .credentials import Found, find
from .messages import fit, tell
from .options import chosen_scopes, chosen_store, client_options, json_option, scope_options, store_name, token_options

if TYPE_CHECKING:
    from domo_oauth.token import Token

_FORMATS = {
    "raw": "{}",
    "json": "",
    "header": "Authorization: Bearer {}",
    "env": "export DOMO_ACCESS_TOKEN='{}'",
    "curl-config": 'header = "Authorization: Bearer {}"',
}
_PATIENCE = 10.0
"""Seconds to wait for the next token while the stored one can be used."""


class Obtained(NamedTuple):
    """An access token, where it came from, and the seconds until it expires."""

    token: Token
    origin: str
    left: float
    client: Found

    def fields(self) -> dict[str, Any]:
        """What is known about the token, without the token."""
        return {
            "customer": self.token.customer,
            "role": self.token.role,
            "user_id": self.token.user_id,
            "scopes": sorted(self.token.scopes),
            "expires_in": int(self.left),
            "expires_at": self.token.expires_at.isoformat(timespec="seconds"),
        }


@click.command
@click.option(
    "--format", "form", type=click.Choice(list(_FORMATS)), default="raw", show_default=True, help="See above."
)
@token_options
def token(form: str, **options: Any) -> None:
    """Print an access token.

    \b
    Formats:
      raw          the token alone
      json         all that is known about it
      header       a header field
      env          a line for a shell to evaluate; it exports DOMO_ACCESS_TOKEN
      curl-config  a line for curl

    \b
    Examples:
      domo-oauth token --scope data
      curl --config <(domo-oauth token --format curl-config) https://api.domo.com/v1/datasets
      eval "$(domo-oauth token --format env)"
      domo-oauth token --format json | jq .expires_at

    \b
    In a script, assign the output to a variable first: there, set -e notices a failure.
      config=$(domo-oauth token --format curl-config)
    """
    obtained = obtain(**options)
    text = obtained.token.access_token
    if form == "json":
        names = {"access_token": text, "token_type": obtained.token.token_type, "jti": obtained.token.jti}
        print(json.dumps(names | obtained.fields(), indent=2))
    else:
        print(_FORMATS[form].format(text))  # has no character that needs quoting


@click.command
@json_option
@token_options
def whoami(*, as_json: bool, **options: Any) -> None:
    """Show whom the access token acts for, and how long it lasts.

    \b
    Examples:
      domo-oauth whoami
      domo-oauth whoami --scope data --json
    """
    obtained = obtain(**options)
    fields = obtained.fields() | {
        "token_from": obtained.origin,
        "client_id": obtained.client.credentials.masked_client_id,
        "credentials_from": obtained.client.source,
        "base_url": obtained.client.base_url,
    }
    if as_json:
        print(json.dumps(fields, indent=2))
        return
    fields |= {"scopes": " ".join(fields["scopes"]), "expires_in": f"{fields['expires_in']} s"}
    for name, value in fields.items():
        print(f"{name.replace('_', ' '):<17}{'unknown' if value in (None, '') else fit(str(value))}")


@click.command
@click.option("--all", "everything", is_flag=True, help="Remove all entries of the store, of every client.")
@scope_options
@client_options
def forget(scope: tuple[str, ...], custom_scope: tuple[str, ...], *, everything: bool, **client: Any) -> None:
    """Remove stored access tokens.

    Domo cannot revoke a token: a copy of it stays good until it expires.

    \b
    Examples:
      domo-oauth forget --scope data     # the token for exactly these scopes
      domo-oauth forget --all
    """
    store = chosen_store()
    if store is None:
        raise ConfigurationError("There is no store.")
    if everything:
        count = store.clear()
        tell(f"Removed {count} {'entry' if count == 1 else 'entries'} from {store_name(store)}.")
        return
    from domo_oauth.stores.sealing import Seal

    scopes, found = chosen_scopes(scope, custom_scope), find(**client)
    name = Seal(found.credentials, scopes, found.base_url).name
    removed = "Removed the" if store.load(name) else "There was no"
    store.delete(name)
    which = f"of the client {found.credentials.masked_client_id} for {' '.join(scopes) if scopes else 'all its scopes'}"
    tell(f"{removed} entry {which} in {store_name(store)}.")


def obtain(
    scope: tuple[str, ...], custom_scope: tuple[str, ...], min_lifetime: float | None, *, no_store: bool, **client: Any
) -> Obtained:
    """Get a token that lasts long enough. The arguments are those of `token_options`."""
    scopes, found = chosen_scopes(scope, custom_scope), find(**client)
    store = None if no_store else chosen_store()
    provider = TokenProvider(found.credentials, scopes=scopes, store=store, base_url=found.base_url)
    try:
        token = _get(provider, min_lifetime)
    except TokenRequestError:
        if not provider.stats().requests:
            tell("Domo has just refused another process, so no request is sent yet:")
        raise
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token.access_token):
        raise UnexpectedResponseError("The token has characters that a bearer token cannot have (RFC 6750, 2.1).")
    stats = provider.stats()
    left = stats.expires_in or 0.0
    if min_lifetime is not None and left < min_lifetime:
        tell(
            f"This token is good for {int(left)} s, and --min-lifetime asks for {min_lifetime:.10g}: Domo granted it "
            f"for {token.expires_in} s. Lower it, or each call requests another token."
        )
    origin = f"the store {store_name(store)}" if store and stats.stored and not stats.refreshes else "Domo"
    return Obtained(token, origin, left, found)


def _get(provider: TokenProvider, min_lifetime: float | None) -> Token:
    """A token. A stored one that is about to expire is used only if no other can be had."""
    token = provider.get_token(min_lifetime=min_lifetime)
    wanted = min(timing.STALE_WINDOW, token.expires_in * timing.STALE_SHARE)
    if min_lifetime is None and (provider.stats().expires_in or 0.0) < wanted:
        try:
            return provider.get_token(_PATIENCE, wanted)
        except DomoOAuthError as error:
            if not error.retryable:
                raise
            tell(f"The stored token is used once more, as no other can be had. {error}")
    return token
