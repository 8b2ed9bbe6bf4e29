"""The tour that `make demo` gives: from the contract to an answered API call, and the errors on the way.

It runs on the embedded sandbox. With --live, and credentials in the environment, it asks Domo.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import textwrap
from contextlib import ExitStack
from pathlib import Path

import httpx

from domo_oauth import ClientCredentials, DomoOAuthError, Scope, Token, UnexpectedResponseError, request_token
from domo_oauth.base_url import resolve_base_url
from domo_oauth.contract import contract, record, recordings, verify
from domo_oauth.sandbox import running
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.errors import ResponseValidationError
from domo_oauth_client.models import AccessTokenResponse

steps = iter(range(1, 100))


def step(title: str, ran: str) -> None:
    print(f"\n{next(steps)}. {title}\n   $ {ran}")


def came(text: str) -> None:
    print(textwrap.indent(textwrap.fill(text, 105), "   "))


def show(token: Token) -> None:
    left = f"expires at {token.expires_at:%H:%M:%S} UTC, in {token.expires_in} s"
    came(f"{token.customer}, {token.role} {token.user_id}, scopes {' '.join(sorted(token.scopes))}; {left}")


def trusts_environment(url: str) -> bool:
    """Whether proxies of the environment are for this URL: on the way to loopback none may see a secret."""
    return not url.startswith("http://")


def tour(url: str, credentials: ClientCredentials, resource: str, scopes: str) -> None:
    # First, as its errors say what to do: about the credentials, the network, the proxy.
    step("A token through the wrapper", f'request_token(credentials, scopes="{scopes}")')
    token = request_token(credentials, scopes=scopes, base_url=url)
    show(token)

    step("A token through the generated client", "get_access_token.sync_detailed(client=AuthenticatedClient(url, ...))")
    username, password = credentials.client_id, credentials.client_secret
    trust = trusts_environment(url)
    with AuthenticatedClient(url, username=username, password=password, httpx_args={"trust_env": trust}) as client:
        response = get_access_token.sync_detailed(client=client, scope="data")
    answer = response.parsed
    if not isinstance(answer, AccessTokenResponse):
        raise UnexpectedResponseError(
            f"The generated client got no token, but {response.status_code}: try again later."
        )
    came(f"{type(answer).__name__}: customer {answer.customer}, scope {answer.scope}, expires_in {answer.expires_in} s")

    step("A call to Domo's API with the first", f"httpx.get(url + {resource!r}, headers=bearer)")
    bearer = {"Authorization": f"Bearer {token.access_token}"}
    called = httpx.get(f"{url}{resource}", headers=bearer, params={"limit": 3}, trust_env=trust).raise_for_status()
    came(f"{called.status_code}: " + ", ".join(dataset["name"] for dataset in called.json()))

    step("A wrong secret", 'request_token(ClientCredentials(client_id, "wrong"))')
    refused(ClientCredentials(credentials.client_id, "wrong"), None, url)
    step("A scope that the client does not have", 'request_token(credentials, scopes=["data", "buzz"])')
    refused(credentials, [Scope.DATA, Scope.BUZZ], url)
    step("A scope that does not exist: nothing is sent", 'request_token(credentials, scopes="dat")')
    refused(credentials, "dat", url)


def refused(credentials: ClientCredentials, scopes: list[str] | list[Scope] | str | None, url: str) -> None:
    try:
        show(request_token(credentials, scopes, base_url=url))
    except DomoOAuthError as error:
        came(f"{type(error).__name__}: {error}")


def main(*, live: bool) -> int:
    document = contract()
    step("The contract, and what is known of the endpoint's answers", "domo-oauth spec; ls openapi/recordings")
    kinds = [path.name.split("-")[0] for path in recordings()]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds), reverse=True))
    came(f"{document['info']['title']} {document['info']['version']}, OpenAPI {document['openapi']}; answers: {counts}")

    with ExitStack() as stack:
        if live:
            url, credentials, resource = resolve_base_url(), ClientCredentials.from_env(), "/v1/datasets"
            step("The endpoint", "LIVE=1")
            came(f"{url}, {credentials}")
        else:
            step("A server that behaves like the endpoint", "domo-oauth sandbox --port 0")
            sandbox = stack.enter_context(running(quiet=True))
            url, credentials = sandbox.url, ClientCredentials(sandbox.client_id, sandbox.client_secret)
            resource = "/v1/datasets"
            came(f"listening at {url}")
        tour(url, credentials, resource, "data" if live else "data user")  # not every client has more than one

        step(
            "These exchanges, recorded and checked against the contract",
            "domo-oauth record --out ...; domo-oauth verify",
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        said = io.StringIO()
        status = verify(record(credentials, folder, base_url=url), out=said)
        for line in said.getvalue().replace(f"{folder}{os.sep}", "").splitlines():
            if " checked " in line:
                came(line)
    print("\nNext: `make test` runs all tests; README.md shows how to use it in your program.")
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(live="--live" in sys.argv[1:]))
    except DomoOAuthError as error:
        sys.exit(f"\ndemo: {error}")
    except (httpx.HTTPError, ResponseValidationError) as error:
        sys.exit(f"\ndemo: {type(error).__name__}: {error}")
