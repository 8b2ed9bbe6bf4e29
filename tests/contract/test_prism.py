"""Stoplight Prism serves the contract with the overlay, and real clients read every answer of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import json
import re
import subprocess
import sys
import threading

import aiohttp
import httpx
import pytest
import yaml

from domo_oauth import ClientCredentials, Scope, errors, request_token
from domo_oauth.contract import contract
from tools import prism

needs_prism = pytest.mark.skipif(
    not (prism.PRISM.exists() and prism.REDOCLY.exists()), reason="no Prism here: make prism"
)
RESPONSES = contract()["paths"]["/oauth/token"]["get"]["responses"]
EXAMPLES = [
    pytest.param(status, name, contract()["components"]["examples"][each["$ref"].rpartition("/")[2]]["value"], id=name)
    for status, response in RESPONSES.items()
    for name, each in response["content"]["application/json"]["examples"].items()
]
BY_STATUS = {"401": errors.InvalidClientError, "403": errors.TokenRequestError, "429": errors.RateLimitedError}
BY_NAME = {
    **dict.fromkeys(("invalidScope", "invalidScopeShort"), errors.InvalidScopeError),
    "unauthorizedClient": errors.InvalidClientError,
}
CREDENTIALS = ClientCredentials("id", "secret")
REMOVED = ["Content-Encoding", "Transfer-Encoding"]


def test_each_action_of_the_overlay_removes_something_of_the_contract():
    actions = yaml.safe_load(prism.OVERLAY.read_text(encoding="utf-8"))["actions"]
    assert [action["target"].rpartition(".headers")[2] for action in actions] == [f"['{name}']" for name in REMOVED]
    assert all(action["remove"] is True for action in actions)
    assert set(REMOVED) <= set(RESPONSES["200"]["headers"])


def test_the_lock_of_prism_names_no_registry():
    packages = json.loads((prism.ROOT / "tools" / "prism-cli" / "package-lock.json").read_text())["packages"]
    installed = [package for name, package in packages.items() if name]
    assert all("integrity" in package and "resolved" not in package for package in installed)


@contextlib.contextmanager
def running(command):
    """Run Prism, and give its URL."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8") as process:
        try:
            said = ""
            while not (url := re.search(r"listening on (http://127\.0\.0\.1:\d+)", said)):
                line = process.stdout.readline()
                assert line, said
                said += line
            rest = threading.Thread(target=process.stdout.read)  # Prism logs every request, and a full pipe stops it
            rest.start()
            yield url[1]
        finally:
            process.terminate()
        rest.join()


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    """Prism as `make prism` starts it."""
    script = prism.ROOT / "tools" / "prism.py"
    with running([sys.executable, script, "--port", "0", "--out", tmp_path_factory.mktemp("prism")]) as url:
        yield url


@pytest.fixture(scope="module")
def unchanged():
    """Prism without the overlay."""
    with running(prism.command(prism.CONTRACT, 0)) as url:
        yield url


def preferring(**answer):
    """The header that tells Prism which answer to give."""
    return {"headers": {"Prefer": ", ".join(f"{key}={value}" for key, value in answer.items())}}


def get(url, **args):
    """Ask with aiohttp, which is strict about HTTP."""
    headers = {"Authorization": "Basic " + base64.b64encode(b"id:secret").decode()}

    async def ask():
        async with (
            aiohttp.ClientSession(url, headers=headers, **args) as session,
            session.get("/oauth/token", params={"grant_type": "client_credentials"}) as response,
        ):
            return response.status, await response.json()

    return asyncio.run(ask())


@pytest.mark.slow
@needs_prism
class TestWithTheOverlay:
    def test_it_removes_two_headers_and_nothing_else(self, tmp_path):
        prism.apply_overlay(tmp_path / "domo-oauth.yaml")
        expected = copy.deepcopy(contract())
        for name in REMOVED:
            del expected["paths"]["/oauth/token"]["get"]["responses"]["200"]["headers"][name]
        assert yaml.safe_load((tmp_path / "domo-oauth.yaml").read_text(encoding="utf-8")) == expected

    @pytest.mark.parametrize(("status", "name", "value"), EXAMPLES)
    def test_each_answer_of_the_contract(self, mock, status, name, value):
        args = {"base_url": mock, "httpx_args": preferring(code=status, example=name)}
        if status == "200":
            token = request_token(CREDENTIALS, ["data", "user"], **args)
            assert (token.access_token, token.customer) == (value["access_token"], value["customer"])
            assert token.scopes == set(value["scope"].split())
            return
        with pytest.raises(errors.TokenRequestError) as caught:
            request_token(CREDENTIALS, **args)
        by_status = BY_STATUS.get(status, errors.ServerError if status >= "500" else errors.TokenRequestError)
        assert type(caught.value) is BY_NAME.get(name, by_status)
        assert (caught.value.status, caught.value.error) == (int(status), value.get("error"))
        assert caught.value.toe == value.get("toe")
        assert caught.value.description == (value.get("error_description") or value.get("message"))
        assert caught.value.retry_after == (30 if "Retry-After" in RESPONSES[status].get("headers", {}) else None)

    def test_a_strict_client(self, mock):
        assert get(mock) == (200, contract()["components"]["examples"]["DocumentationPage"]["value"])

    def test_requests_outside_the_contract(self, mock):
        with pytest.raises(errors.TokenRequestError) as caught:
            request_token(CREDENTIALS, [Scope.custom("nonsense")], base_url=mock)
        assert caught.value.status == 400
        url = f"{mock}/oauth/token?grant_type=client_credentials"
        assert httpx.post(url, trust_env=False).status_code == 405
        assert httpx.get(url, trust_env=False).headers["WWW-Authenticate"] == 'Basic realm="oauth2/client"'


@pytest.mark.slow
@needs_prism
class TestWithoutTheOverlay:
    """If one of these fails, Prism no longer needs that action of the overlay: remove it."""

    def test_the_body_is_not_what_content_encoding_says(self, unchanged):
        with pytest.raises(errors.UnexpectedResponseError, match="Content-Encoding"):
            request_token(CREDENTIALS, base_url=unchanged)

    def test_transfer_encoding_stands_beside_a_content_length(self, unchanged):
        with pytest.raises(aiohttp.ClientResponseError, match="Content-Length"):
            get(unchanged, auto_decompress=False)
