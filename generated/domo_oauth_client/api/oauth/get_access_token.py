"""Authenticates the client with its id and secret, and grants an access token.

Once a client has been authenticated, it can create access tokens, each with the scopes that it needs. In the
Basic authentication paradigm, the client id serves as the user name and the client secret as the password.

Notes for those who write a client:

- Send `Accept: application/json`.
- Send a `GET`, the only method that Domo's page documents. A `POST` with the same parameters as a form body
  works, too: Domo's own Python and Java clients send it (recorded).
- Never follow a redirect with the credentials; this endpoint has no reason to send one.
- Keep the token until shortly before `expires_in` seconds after the request was sent, and share it: a token
  for every call is slow, and a load that this endpoint is not made for.
- Repeat the request after a 429, 500, 502, 503 or 504, with growing pauses. After a 400, 401 or 403 do not:
  the answer would be the same."""

from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient
from ...models.access_token_response import AccessTokenResponse
from ...models.get_access_token_grant_type import GetAccessTokenGrantType
from ...models.token_error import TokenError
from ...types import UNSET, Response, Unset, read_json


def _get_kwargs(
    *,
    grant_type: GetAccessTokenGrantType = "client_credentials",
    scope: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    headers["Accept"] = "application/json"
    headers["Accept-Encoding"] = "gzip, deflate"  # not what else httpx could unpack: see client._CODINGS

    params: dict[str, Any] = {}

    json_grant_type: str = grant_type
    params["grant_type"] = json_grant_type

    params["scope"] = scope

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/oauth/token",
        "headers": headers,
        "params": params,
    }
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient, response: Response[None]
) -> AccessTokenResponse | TokenError | None:
    if response.status_code == 200:
        return AccessTokenResponse.from_dict(read_json(response, ("application/json",)))

    if response.status_code in (
        400,
        401,
        403,
        429,
        500,
        502,
        503,
        504,
    ):
        return TokenError.from_dict(read_json(response, ("application/json",)))

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code)
    return None


def _build_response(
    *, client: AuthenticatedClient, response: Response[None]
) -> Response[AccessTokenResponse | TokenError]:
    try:
        parsed = _parse_response(client=client, response=response)
    except errors.ResponseValidationError as error:
        # Only a success has to keep the contract: for an error its status tells enough.
        if httpx.codes.is_success(response.status_code):
            error.status_code = response.status_code
            error.content = response.content
            raise error.with_traceback(None)  # whose frames hold the body
        parsed = None
    return Response(status_code=response.status_code, content=response.content, headers=response.headers, parsed=parsed)


def sync_detailed(
    *,
    client: AuthenticatedClient,
    grant_type: GetAccessTokenGrantType = "client_credentials",
    scope: str | Unset = UNSET,
) -> Response[AccessTokenResponse | TokenError]:
    """Get access token.

    Args:
        client (AuthenticatedClient): Where and how to send the request.
        grant_type (GetAccessTokenGrantType): The type of access token; there is one. Default:
            'client_credentials'.
        scope (str | Unset): Scopes of the token, separated by one space; left out for all scopes of the client.
            Example: data user.

    Returns:
        Response[AccessTokenResponse | TokenError]: The response, its body parsed if it can be.

    Raises:
        errors.ResponseValidationError: The body of a success (2xx) is too large, or breaks the contract.
        errors.UnexpectedStatus: The contract does not name the status, and `client.raise_on_unexpected_status` is set.
        httpx.HTTPError: No response came, or the body of a success broke off. Among them httpx.TimeoutException.
    """

    response = client.request(
        **_get_kwargs(
            grant_type=grant_type,
            scope=scope,
        )
    )
    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    grant_type: GetAccessTokenGrantType = "client_credentials",
    scope: str | Unset = UNSET,
) -> AccessTokenResponse | TokenError | None:
    """Get access token.

    Args:
        client (AuthenticatedClient): Where and how to send the request.
        grant_type (GetAccessTokenGrantType): The type of access token; there is one. Default:
            'client_credentials'.
        scope (str | Unset): Scopes of the token, separated by one space; left out for all scopes of the client.
            Example: data user.

    Returns:
        AccessTokenResponse | TokenError | None: The body. None if the contract does not name the
            status, or if it names an error and the body is something else.

    Raises:
        errors.ResponseValidationError: The body of a success (2xx) is too large, or breaks the contract.
        errors.UnexpectedStatus: The contract does not name the status, and `client.raise_on_unexpected_status` is set.
        httpx.HTTPError: No response came, or the body of a success broke off. Among them httpx.TimeoutException.
    """

    return sync_detailed(
        client=client,
        grant_type=grant_type,
        scope=scope,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    grant_type: GetAccessTokenGrantType = "client_credentials",
    scope: str | Unset = UNSET,
) -> Response[AccessTokenResponse | TokenError]:
    """Get access token.

    Args:
        client (AuthenticatedClient): Where and how to send the request.
        grant_type (GetAccessTokenGrantType): The type of access token; there is one. Default:
            'client_credentials'.
        scope (str | Unset): Scopes of the token, separated by one space; left out for all scopes of the client.
            Example: data user.

    Returns:
        Response[AccessTokenResponse | TokenError]: The response, its body parsed if it can be.

    Raises:
        errors.ResponseValidationError: The body of a success (2xx) is too large, or breaks the contract.
        errors.UnexpectedStatus: The contract does not name the status, and `client.raise_on_unexpected_status` is set.
        httpx.HTTPError: No response came, or the body of a success broke off. Among them httpx.TimeoutException.
    """

    response = await client.async_request(
        **_get_kwargs(
            grant_type=grant_type,
            scope=scope,
        )
    )
    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    grant_type: GetAccessTokenGrantType = "client_credentials",
    scope: str | Unset = UNSET,
) -> AccessTokenResponse | TokenError | None:
    """Get access token.

    Args:
        client (AuthenticatedClient): Where and how to send the request.
        grant_type (GetAccessTokenGrantType): The type of access token; there is one. Default:
            'client_credentials'.
        scope (str | Unset): Scopes of the token, separated by one space; left out for all scopes of the client.
            Example: data user.

    Returns:
        AccessTokenResponse | TokenError | None: The body. None if the contract does not name the
            status, or if it names an error and the body is something else.

    Raises:
        errors.ResponseValidationError: The body of a success (2xx) is too large, or breaks the contract.
        errors.UnexpectedStatus: The contract does not name the status, and `client.raise_on_unexpected_status` is set.
        httpx.HTTPError: No response came, or the body of a success broke off. Among them httpx.TimeoutException.
    """

    return (
        await asyncio_detailed(
            client=client,
            grant_type=grant_type,
            scope=scope,
        )
    ).parsed
