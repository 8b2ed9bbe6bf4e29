from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient
from ...models.access_token_response import AccessTokenResponse
from ...models.get_access_token_grant_type import GetAccessTokenGrantType
from ...models.token_error import TokenError
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    grant_type: GetAccessTokenGrantType,
    scope: str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    json_grant_type: str = grant_type
    params["grant_type"] = json_grant_type

    params["scope"] = scope

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/oauth/token",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient, response: httpx.Response
) -> AccessTokenResponse | TokenError | None:
    if response.status_code == 200:
        response_200 = AccessTokenResponse.from_dict(errors.read_json(response))

        return response_200

    if response.status_code == 400:
        response_400 = TokenError.from_dict(errors.read_json(response))

        return response_400

    if response.status_code == 401:
        response_401 = TokenError.from_dict(errors.read_json(response))

        return response_401

    if response.status_code == 403:
        response_403 = TokenError.from_dict(errors.read_json(response))

        return response_403

    if response.status_code == 429:
        response_429 = TokenError.from_dict(errors.read_json(response))

        return response_429

    if response.status_code == 500:
        response_500 = TokenError.from_dict(errors.read_json(response))

        return response_500

    if response.status_code == 502:
        response_502 = TokenError.from_dict(errors.read_json(response))

        return response_502

    if response.status_code == 503:
        response_503 = TokenError.from_dict(errors.read_json(response))

        return response_503

    if response.status_code == 504:
        response_504 = TokenError.from_dict(errors.read_json(response))

        return response_504

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient, response: httpx.Response
) -> Response[AccessTokenResponse | TokenError]:
    return Response(
        status_code=response.status_code,
        content=response.content,
        headers=response.headers,
        parsed=errors.parse(response, lambda: _parse_response(client=client, response=response)),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    grant_type: GetAccessTokenGrantType,
    scope: str | Unset = UNSET,
) -> Response[AccessTokenResponse | TokenError]:
    """Get access token

     Checks the client id and secret, and grants an access token for the requested scopes.

    For the authors of clients:

    - Send `Accept: application/json`. If `Accept` excludes JSON, some versions of the framework return
    406 or an HTML
      page (observed). Without `Accept`, they return JSON (observed).
    - Send a `GET`. It is the only method that Domo documents. A `POST` with the same parameters as a
    form body
      works, too: Domo's own Python and Java clients send it (recorded).
    - Send the credentials in the `Authorization` header only. The server returns 401 if they are in the
    query or
      in a form body (observed).
    - Never follow a redirect with the credentials. This endpoint has no reason to send one.
    - Keep the token until shortly before it expires, and share it. Count `expires_in` from the time at
    which you
      sent the request. A new token for every call is slow, and puts needless load on this endpoint.
    - Retry after 429, 500, 502, 503 or 504, with exponential backoff. Do not retry after 400, 401 or
    403: the
      response would be the same.

    Args:
        grant_type (GetAccessTokenGrantType): The grant type; there is only one.
        scope (str | Unset): Scopes of the token, separated by single spaces. Leave it out for all
            scopes of the client. Example: data user.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        errors.ResponseValidationError: If a success is too large or breaks the contract. No error response raises it.
        httpx.HTTPError: If no response came, or the body of a success broke off.

    Returns:
        Response[AccessTokenResponse | TokenError]
    """

    kwargs = _get_kwargs(
        grant_type=grant_type,
        scope=scope,
    )

    response = client.request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    grant_type: GetAccessTokenGrantType,
    scope: str | Unset = UNSET,
) -> AccessTokenResponse | TokenError | None:
    """Get access token

     Checks the client id and secret, and grants an access token for the requested scopes.

    For the authors of clients:

    - Send `Accept: application/json`. If `Accept` excludes JSON, some versions of the framework return
    406 or an HTML
      page (observed). Without `Accept`, they return JSON (observed).
    - Send a `GET`. It is the only method that Domo documents. A `POST` with the same parameters as a
    form body
      works, too: Domo's own Python and Java clients send it (recorded).
    - Send the credentials in the `Authorization` header only. The server returns 401 if they are in the
    query or
      in a form body (observed).
    - Never follow a redirect with the credentials. This endpoint has no reason to send one.
    - Keep the token until shortly before it expires, and share it. Count `expires_in` from the time at
    which you
      sent the request. A new token for every call is slow, and puts needless load on this endpoint.
    - Retry after 429, 500, 502, 503 or 504, with exponential backoff. Do not retry after 400, 401 or
    403: the
      response would be the same.

    Args:
        grant_type (GetAccessTokenGrantType): The grant type; there is only one.
        scope (str | Unset): Scopes of the token, separated by single spaces. Leave it out for all
            scopes of the client. Example: data user.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        errors.ResponseValidationError: If a success is too large or breaks the contract. No error response raises it.
        httpx.HTTPError: If no response came, or the body of a success broke off.

    Returns:
        AccessTokenResponse | TokenError
    """

    return sync_detailed(
        client=client,
        grant_type=grant_type,
        scope=scope,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    grant_type: GetAccessTokenGrantType,
    scope: str | Unset = UNSET,
) -> Response[AccessTokenResponse | TokenError]:
    """Get access token

     Checks the client id and secret, and grants an access token for the requested scopes.

    For the authors of clients:

    - Send `Accept: application/json`. If `Accept` excludes JSON, some versions of the framework return
    406 or an HTML
      page (observed). Without `Accept`, they return JSON (observed).
    - Send a `GET`. It is the only method that Domo documents. A `POST` with the same parameters as a
    form body
      works, too: Domo's own Python and Java clients send it (recorded).
    - Send the credentials in the `Authorization` header only. The server returns 401 if they are in the
    query or
      in a form body (observed).
    - Never follow a redirect with the credentials. This endpoint has no reason to send one.
    - Keep the token until shortly before it expires, and share it. Count `expires_in` from the time at
    which you
      sent the request. A new token for every call is slow, and puts needless load on this endpoint.
    - Retry after 429, 500, 502, 503 or 504, with exponential backoff. Do not retry after 400, 401 or
    403: the
      response would be the same.

    Args:
        grant_type (GetAccessTokenGrantType): The grant type; there is only one.
        scope (str | Unset): Scopes of the token, separated by single spaces. Leave it out for all
            scopes of the client. Example: data user.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        errors.ResponseValidationError: If a success is too large or breaks the contract. No error response raises it.
        httpx.HTTPError: If no response came, or the body of a success broke off.

    Returns:
        Response[AccessTokenResponse | TokenError]
    """

    kwargs = _get_kwargs(
        grant_type=grant_type,
        scope=scope,
    )

    response = await client.async_request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    grant_type: GetAccessTokenGrantType,
    scope: str | Unset = UNSET,
) -> AccessTokenResponse | TokenError | None:
    """Get access token

     Checks the client id and secret, and grants an access token for the requested scopes.

    For the authors of clients:

    - Send `Accept: application/json`. If `Accept` excludes JSON, some versions of the framework return
    406 or an HTML
      page (observed). Without `Accept`, they return JSON (observed).
    - Send a `GET`. It is the only method that Domo documents. A `POST` with the same parameters as a
    form body
      works, too: Domo's own Python and Java clients send it (recorded).
    - Send the credentials in the `Authorization` header only. The server returns 401 if they are in the
    query or
      in a form body (observed).
    - Never follow a redirect with the credentials. This endpoint has no reason to send one.
    - Keep the token until shortly before it expires, and share it. Count `expires_in` from the time at
    which you
      sent the request. A new token for every call is slow, and puts needless load on this endpoint.
    - Retry after 429, 500, 502, 503 or 504, with exponential backoff. Do not retry after 400, 401 or
    403: the
      response would be the same.

    Args:
        grant_type (GetAccessTokenGrantType): The grant type; there is only one.
        scope (str | Unset): Scopes of the token, separated by single spaces. Leave it out for all
            scopes of the client. Example: data user.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        errors.ResponseValidationError: If a success is too large or breaks the contract. No error response raises it.
        httpx.HTTPError: If no response came, or the body of a success broke off.

    Returns:
        AccessTokenResponse | TokenError
    """

    return (
        await asyncio_detailed(
            client=client,
            grant_type=grant_type,
            scope=scope,
        )
    ).parsed
