"""What type checkers see of the public names: checked by mypy --strict and pyright strict, never run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_type

import httpx

from domo_oauth import (
    ClientCredentials,
    Clock,
    DomoAuth,
    FileStore,
    RateLimitedError,
    RedisStore,
    Scope,
    Store,
    Token,
    TokenProvider,
    TokenRequestError,
    arequest_token,
    request_token,
)
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.models import AccessTokenResponse, TokenError
from domo_oauth_client.types import Response, Unset

credentials = ClientCredentials("an-id", "a-secret")
assert_type(ClientCredentials.from_env(), ClientCredentials)

token = request_token(credentials, scopes="data user")
assert_type(token, Token)
assert_type(token.access_token, str)
assert_type(token.expires_in, int)
assert_type(token.expires_at, datetime)
assert_type(token.scopes, frozenset[str])
assert_type(token.customer, str | None)
assert_type(token.user_id, int | None)
assert_type(token.extra, Mapping[str, Any])

request_token(credentials, ["data", Scope.USER, Scope.custom("app")])
request_token(credentials, {Scope.DATA}, base_url="https://api.domo.com", httpx_args={"timeout": 3.0}, timeout=5)
request_token(credentials, None)
request_token(credentials, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] # an int is not a scope


async def in_a_loop() -> None:
    assert_type(await arequest_token(credentials, timeout=5.0), Token)


async def provided() -> None:
    with TokenProvider.from_env(scopes="data") as provider:
        assert_type(provider, TokenProvider)
        assert_type(provider.get_token(), Token)
        assert_type(await provider.aget_token(), Token)
        assert_type(provider.get_token(timeout=5.0, min_lifetime=600), Token)
        assert_type(await provider.aget_token(timeout=None, min_lifetime=600.0), Token)
        assert_type(provider.base_url, str)
        assert_type(provider.invalidate(token), None)
        assert_type(provider.reset(), None)
        assert_type(provider.stats().expires_in, float | None)
        assert_type(provider.stats().stored, int)
        httpx.Client(auth=DomoAuth(provider, hosts=["example.domo.com"]))
    TokenProvider(credentials, clock=Clock(monotonic=lambda: 0.0, start=lambda run: run()))
    httpx.AsyncClient(auth=DomoAuth.from_env(scopes={Scope.DATA}, store=FileStore()))


def stored(store: Store) -> None:
    stores: list[Store] = [FileStore(), FileStore("~/tokens"), RedisStore("rediss://:password@tokens.example.com")]
    for each in [store, *stores]:
        assert_type(TokenProvider(credentials, store=each).get_token(), Token)
    assert_type(store.load("name"), bytes | None)
    assert_type(store.clear(), int)
    with store.lock("name") as obtained:
        assert_type(obtained, bool)
    TokenProvider(credentials, store="~/tokens")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] # a path is not a store


def errors(error: TokenRequestError, limited: RateLimitedError) -> None:
    assert_type(error.status, int | None)
    assert_type(error.toe, str | None)
    assert_type(error.timestamp, datetime | None)
    assert_type(error.retryable, bool)
    assert_type(limited.retry_after, float | None)


def generated() -> None:
    client = AuthenticatedClient("https://api.domo.com", username="an-id", password="a-secret")
    assert_type(
        get_access_token.sync(client=client, grant_type="client_credentials"), AccessTokenResponse | TokenError | None
    )
    response = get_access_token.sync_detailed(client=client, grant_type="client_credentials", scope="data")
    assert_type(response, Response[AccessTokenResponse | TokenError])
    assert_type(response.status_code, int)
    if isinstance(response.parsed, AccessTokenResponse):
        assert_type(response.parsed.access_token, str)
        assert_type(response.parsed.user_id, int | Unset)
    get_access_token.sync(client=client, grant_type="password")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] # the only value
