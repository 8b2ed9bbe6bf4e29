"""The contract as Stoplight Prism serves it, asked by real clients."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import re
import subprocess
import sys
import threading

import aiohttp
import httpx
import pytest
import yaml

from domo_oauth import (
    InvalidClientError,
    InvalidScopeError,
    RateLimitedError,
    Scope,
    ServerError,
    TokenRequestError,
    UnexpectedResponseError,
    request_token,
)
from domo_oauth.contract import contract
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.models import AccessTokenResponse
from tools import prism

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not (prism.PRISM.exists() and prism.REDOCLY.exists()), reason="no Prism here: make prism"),
]

RESPONSES = contract()["paths"]["/oauth/token"]["get"]["responses"]
EXAMPLES = [
    (status, name, contract()["components"]["examples"][reference["$ref"].rpartition("/")[2]]["value"])
    for status, response in RESPONSES.items()
    for name, reference in response["content"]["application/json"]["examples"].items()
]
TOKENS = [(name, value) for status, name, value in EXAMPLES if status == "200"]
ERRORS = [each for each in EXAMPLES if each[0] != "200"]
BY_STATUS = {"401": InvalidClientError, "403": TokenRequestError, "429": RateLimitedError}
BY_NAME = {
    "missingGrantType": TokenRequestError,
    "unsupportedGrantType": TokenRequestError,
    "invalidScope": InvalidScopeError,
    "invalidScopeShort": InvalidScopeError,
    "invalidRequestWithUri": TokenRequestError,
    "unauthorizedClient": InvalidClientError,
    "infrastructureProblem": TokenRequestError,
}


@contextlib.contextmanager
def running(command):
    """Prism, until it is no longer needed: its URL."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8") as process:
        try:
            said = ""
            while not (url := re.search(r"listening on (http://127\.0\.0\.1:\d+)", said)):
                line = process.stdout.readline()
                assert line, said
                said += line
            rest = threading.Thread(target=process.stdout.read)  # Prism tells of every request, and must not wait
            rest.start()
            yield url[1]
        finally:
            process.terminate()
        rest.join()


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    """As `make prism` serves it."""
    script = prism.ROOT / "tools" / "prism.py"
    with running([sys.executable, script, "--port", "0", "--out", tmp_path_factory.mktemp("prism")]) as url:
        yield url


@pytest.fixture(scope="module")
def unchanged():
    """The contract without the overlay."""
    with running(prism.command(prism.CONTRACT, 0)) as url:
        yield url


def preferring(**answer):
    """The header by which Prism is told which answer to give."""
    return {"headers": {"Prefer": ", ".join(f"{key}={value}" for key, value in answer.items())}}


def get(url, credentials, **args):
    """As aiohttp gets it, which keeps to the letter of HTTP."""
    basic = base64.b64encode(f"{credentials.client_id}:{credentials.client_secret}".encode()).decode()

    async def ask():
        async with (
            aiohttp.ClientSession(url, headers={"Authorization": f"Basic {basic}"}, **args) as session,
            session.get("/oauth/token", params={"grant_type": "client_credentials"}) as response,
        ):
            return response.status, await response.json()

    return asyncio.run(ask())


class TestWithTheOverlay:
    def test_it_takes_two_headers_away_and_nothing_else(self, tmp_path):
        prism.apply_overlay(tmp_path / "domo-oauth.yaml")
        expected = copy.deepcopy(contract())
        headers = expected["paths"]["/oauth/token"]["get"]["responses"]["200"]["headers"]
        del headers["Content-Encoding"], headers["Transfer-Encoding"]
        assert yaml.safe_load((tmp_path / "domo-oauth.yaml").read_text(encoding="utf-8")) == expected

    @pytest.mark.parametrize(("name", "value"), TOKENS, ids=[name for name, _ in TOKENS])
    def test_each_token_of_the_contract(self, mock, credentials, name, value):
        args = preferring(example=name)
        token = request_token(credentials, ["data", "user"], base_url=mock, httpx_args=args)
        assert token.access_token == value["access_token"]
        assert token.scopes == set(value["scope"].split())
        assert token.customer == value["customer"]
        assert token.extra == {key: value[key] for key in ("env",) if key in value}

    @pytest.mark.parametrize(("status", "name", "value"), ERRORS, ids=[f"{each[0]}-{each[1]}" for each in ERRORS])
    def test_each_error_of_the_contract(self, mock, credentials, status, name, value):
        with pytest.raises(TokenRequestError) as caught:
            request_token(credentials, base_url=mock, httpx_args=preferring(code=status, example=name))
        kind = BY_NAME[name] if status == "400" else BY_STATUS.get(status, ServerError)
        assert type(caught.value) is kind
        assert caught.value.status == int(status)
        assert caught.value.error == value.get("error")
        assert caught.value.toe == value.get("toe")
        described = value.get("error_description") or value.get("message")
        assert caught.value.description == described
        assert caught.value.retry_after == (30 if "Retry-After" in RESPONSES[status].get("headers", {}) else None)

    def test_the_generated_client(self, mock, credentials):
        username, password = credentials.client_id, credentials.client_secret
        with AuthenticatedClient(mock, username=username, password=password) as client:
            granted = get_access_token.sync(client=client, scope="data user")
        assert granted == AccessTokenResponse.from_dict(TOKENS[0][1])

    def test_a_strict_client(self, mock, credentials):
        assert get(mock, credentials) == (200, TOKENS[0][1])

    def test_a_scope_outside_the_contract(self, mock, credentials):
        with pytest.raises(TokenRequestError) as caught:
            request_token(credentials, [Scope.custom("nonsense")], base_url=mock)
        assert caught.value.status == 400

    def test_a_path_outside_the_contract(self, mock, credentials):
        with pytest.raises(UnexpectedResponseError) as caught:
            request_token(credentials, base_url=f"{mock}/elsewhere")
        assert caught.value.status == 404

    def test_a_method_outside_the_contract(self, mock):
        assert httpx.post(f"{mock}/oauth/token?grant_type=client_credentials", trust_env=False).status_code == 405

    def test_no_credentials(self, mock):
        refused = httpx.get(f"{mock}/oauth/token?grant_type=client_credentials", trust_env=False)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == 'Basic realm="oauth2/client"'


# Where one of these fails, Prism no longer needs that action of the overlay: take it out.
class TestWithoutTheOverlay:
    def test_the_body_is_not_what_content_encoding_says(self, unchanged, credentials):
        with pytest.raises(UnexpectedResponseError, match="Content-Encoding"):
            request_token(credentials, base_url=unchanged)

    def test_transfer_encoding_stands_beside_a_content_length(self, unchanged, credentials):
        with pytest.raises(aiohttp.ClientResponseError, match="Content-Length"):
            get(unchanged, credentials, auto_decompress=False)
