"""Nothing that people print, log or send to an error tracker holds the client id, the secret or the token."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import quote

import anyio
import httpx
import pytest
import sentry_sdk
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback
from sentry_sdk.utils import event_from_exception

from domo_oauth import ClientCredentials, DomoOAuthError, Scope, arequest_token, request_token
from domo_oauth.base_url import resolve_base_url
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.errors import ResponseValidationError

CLIENT_ID = "canary-client-id-7f3d91"
CLIENT_SECRET = "canary-secret-c0ffee5ec2e7"
ACCESS_TOKEN = "eyJ0.canary-token-5a1e.c2ln"


def forms(secret: str) -> set[str]:
    """A secret as it stands, and in the forms that it takes on its way."""
    encoded = {b64encode(("x" * shift + secret).encode())[4:-4].decode() for shift in range(3)}
    return {secret, quote(secret), secret.encode().hex(), secret[::-1], *encoded}


CANARIES = {
    form
    for secret in (CLIENT_ID, CLIENT_SECRET, f"{CLIENT_ID}:{CLIENT_SECRET}", ACCESS_TOKEN)
    for form in forms(secret)
}


def leaks(shown: str) -> set[str]:
    return {canary for canary in CANARIES if canary in shown}


def as_error_tools_show_it(error: BaseException) -> str:
    """The traceback with all locals, by rich and as Sentry sends it."""
    console = Console(file=io.StringIO(), width=4000)
    console.print(
        Traceback.from_exception(
            type(error), error, error.__traceback__, show_locals=True, locals_max_string=None, locals_max_length=None
        )
    )
    event, _ = event_from_exception(error, client_options=sentry_sdk.Client().options)
    return console.file.getvalue() + json.dumps(event, default=repr)


@pytest.fixture(autouse=True)
def _credentials_in_the_environment(monkeypatch):
    monkeypatch.setenv("DOMO_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", CLIENT_SECRET)


def response(status: int, body: object, *headers: str) -> bytes:
    content = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} -", "Content-Type: application/json", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


GRANTED = {"access_token": ACCESS_TOKEN, "token_type": "bearer", "expires_in": 3599}
ECHO = b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
ANSWERS = {
    "broken": response(200, GRANTED | {"expires_in": "x", "echo": ECHO}),
    "echoed": response(401, {"message": f"Basic {ECHO}", "error": CLIENT_SECRET, "toe": CLIENT_ID}),
    "redirect": response(302, {}, "Location: https://elsewhere.test/"),
    "unknown": response(418, GRANTED),
    "garbage": f"{CLIENT_SECRET} {ACCESS_TOKEN}\r\n\r\n".encode(),
    "nothing": b"",
}


def ask(url: str) -> None:
    request_token(ClientCredentials.from_env(), "data", base_url=url, httpx_args={"timeout": 5.0})


def ask_in_a_loop(url: str) -> None:
    asyncio.run(arequest_token(ClientCredentials.from_env(), "data", base_url=url))


def ask_and_wait_too_short(url: str) -> None:
    async def run() -> None:
        async with asyncio.timeout(0.2):
            await arequest_token(ClientCredentials.from_env(), "data", base_url=url)

    asyncio.run(run())


def ask_and_wait_too_short_under_trio(url: str) -> None:
    async def run() -> None:
        with anyio.fail_after(0.2):
            await arequest_token(ClientCredentials.from_env(), "data", base_url=url)

    anyio.run(run, backend="trio")


def caught(call: Callable[[str], None], url: str) -> BaseException:
    try:
        call(url)
    except Exception as error:
        return error
    raise AssertionError("no error")


@pytest.mark.parametrize("call", [ask, ask_in_a_loop])
@pytest.mark.parametrize("name", ANSWERS)
def test_tracebacks_with_locals(name, call, wire, caplog):
    caplog.set_level(logging.DEBUG)
    error = caught(call, wire(ANSWERS[name]).url)
    assert isinstance(error, DomoOAuthError)
    shown = as_error_tools_show_it(error)
    assert "request_token" in shown
    assert leaks(shown) == set()
    if name != "garbage":  # httpcore's own log repeats a line that is not HTTP
        assert leaks(caplog.text) == set()


@pytest.mark.parametrize("call", [ask_and_wait_too_short, ask_and_wait_too_short_under_trio])
def test_tracebacks_of_a_cancelled_request(call, wire):
    error = caught(call, wire(b"", "hang").url)
    assert isinstance(error, TimeoutError)
    shown = as_error_tools_show_it(error)
    assert "arequest_token" in shown
    assert leaks(shown) == set()


def test_the_search_would_find_a_leak(wire):
    def leak(url: str) -> None:
        secret = ClientCredentials.from_env().client_secret
        raise ValueError(len(secret))

    assert leaks(as_error_tools_show_it(caught(leak, ""))) == {CLIENT_SECRET}
    assert leaks(ECHO)


WRONG = {
    "base_url": lambda url: resolve_base_url(f"https://{CLIENT_ID}:{CLIENT_SECRET}@x.test"),
    "secret": lambda url: ClientCredentials(CLIENT_ID, CLIENT_SECRET + "\n"),
    "id": lambda url: ClientCredentials(CLIENT_ID + ":", CLIENT_SECRET),
    "no id": lambda url: ClientCredentials("", CLIENT_SECRET),
    "proxy": lambda url: request_token(
        ClientCredentials.from_env(), base_url=url, httpx_args={"proxy": f"ftp://user:{CLIENT_SECRET}@proxy.test"}
    ),
    "scope": lambda url: request_token(ClientCredentials.from_env(), "no-such-scope"),
    "scope beside a proxy": lambda url: request_token(
        ClientCredentials.from_env(), "no-such-scope", httpx_args={"proxy": f"http://user:{CLIENT_SECRET}@proxy.test"}
    ),
    "header beside a proxy": lambda url: request_token(
        ClientCredentials.from_env(), httpx_args={"proxy": f"http://user:{CLIENT_SECRET}@proxy.test", "headers": 5}
    ),
    "base URL": lambda url: request_token(ClientCredentials.from_env(), base_url="https://" + "é" * 64),
}


@pytest.mark.parametrize("name", WRONG)
def test_tracebacks_of_wrong_arguments(name, wire):
    error = caught(WRONG[name], wire(b"").url)
    # The caller's own frame shows what the caller wrote; the frames behind it are ours.
    error.__traceback__ = error.__traceback__.tb_next.tb_next
    assert error.__traceback__ is not None
    assert leaks(as_error_tools_show_it(error)) == set()


class Transport(httpx.BaseTransport):
    """Somebody else's, with an error of its own."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            self.send(request, request.headers["Authorization"].removeprefix("Basic "))
        except OSError as error:
            raise RuntimeError from error

    def send(self, request: httpx.Request, credentials: str) -> None:
        raise OSError(len(credentials))


def test_tracebacks_of_the_errors_behind_an_error():
    error = caught(
        lambda url: request_token(
            ClientCredentials.from_env(), base_url=url, httpx_args={"transport": Transport(), "verify": False}
        ),
        "https://api.domo.test",
    )
    assert isinstance(error, RuntimeError)
    assert isinstance(error.__cause__, OSError)
    assert leaks(as_error_tools_show_it(error)) == set()


def test_a_request_that_succeeds_logs_nothing_secret(wire, caplog):
    caplog.set_level(logging.DEBUG)
    server = wire(response(200, GRANTED | {"jti": "an-id"}))
    token = request_token(ClientCredentials.from_env(), {Scope.DATA}, base_url=server.url)
    assert token.access_token == ACCESS_TOKEN
    assert "granted for 3599 s" in caplog.text
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert leaks(caplog.text) == set()
    for shown in (repr(token), str(token), f"{token}", pretty_repr(token, max_string=None)):
        assert leaks(shown) == set()


def test_public_values_show_nothing():
    credentials = ClientCredentials.from_env()
    for value in (credentials, {"nested": [credentials]}):
        assert leaks(repr(value) + pretty_repr(value)) == set()


def test_the_generated_client_shows_nothing(wire):
    client = AuthenticatedClient(wire(response(200, GRANTED)).url, username=CLIENT_ID, password=CLIENT_SECRET)
    with client:
        answer = get_access_token.sync_detailed(client=client)
        assert answer.parsed.access_token == ACCESS_TOKEN
        for value in (client, answer, answer.parsed, client.get_httpx_client()):
            assert leaks(repr(value) + str(value) + pretty_repr(value, max_string=None)) == set()
    with (
        AuthenticatedClient(wire(ANSWERS["broken"]).url, username=CLIENT_ID, password=CLIENT_SECRET) as client,
        pytest.raises(ResponseValidationError) as broken,
    ):
        get_access_token.sync(client=client)
    assert broken.value.field == "expires_in"
    assert leaks(repr(broken.value) + str(broken.value)) == set()
