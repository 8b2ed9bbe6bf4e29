"""Get an access token with the generated client, use it, and show what each refusal looks like."""

import os
import sys

import urllib3
from domo_client import AccessTokenResponse, ApiClient, ApiException, Configuration, OauthApi, TokenError


def request_token(url: str, secret: str, scope: str) -> AccessTokenResponse:
    """Ask once. Any answer without a token raises `ApiException`."""
    # retries=False: urllib3 would follow a redirect, with the credentials if it stays on this server.
    configuration = Configuration(host=url, username=os.environ["DOMO_CLIENT_ID"], password=secret, retries=False)
    with ApiClient(configuration) as client:
        return OauthApi(client).get_access_token("client_credentials", scope, _request_timeout=30.0)


def refusal(url: str, secret: str, scope: str) -> tuple[int, TokenError]:
    """Return the status of a refusal, and its error, which has no fields if the body was not one."""
    try:
        request_token(url, secret, scope)
    except ApiException as error:
        return error.status, error.data or TokenError()
    sys.exit("it was not refused")


def list_datasets(url: str, token: str) -> tuple[int, list[dict[str, object]]]:
    headers = {"Authorization": f"Bearer {token}"}
    response = urllib3.request("GET", f"{url}/v1/datasets", headers=headers, timeout=30, redirect=False)
    return response.status, response.json()


def main() -> None:
    url, secret = os.environ.get("DOMO_API_URL", "https://api.domo.com"), os.environ["DOMO_CLIENT_SECRET"]
    token = request_token(url, secret, "data user")
    print(f"token: customer {token.customer}, role {token.role}, scopes {token.scope}")
    status, datasets = list_datasets(url, token.access_token)
    print(f"datasets: status {status}, {len(datasets)} of them")

    # Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
    if "DOMO_ERROR_URL" not in os.environ:
        return
    status, error = refusal(url, "wrong", "data")
    print(f"wrong secret: status {status}, {error.message}")
    status, error = refusal(url, secret, "workflow2")
    print(f"wrong scope: status {status}, {error.error}")
    status, error = refusal(os.environ["DOMO_ERROR_URL"], secret, "data")
    print(f"Domo's own error: status {status}, toe {error.toe}")
    status, error = refusal(os.environ["DOMO_HTML_URL"], secret, "data")
    print(f"HTML: status {status}")


if __name__ == "__main__":
    main()
