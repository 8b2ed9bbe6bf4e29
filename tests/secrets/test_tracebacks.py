"""Tracebacks with locals of calls that are wrong, cancelled, interrupted, or broken by somebody else's code."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import anyio
import anyio.to_thread
import httpx
import pytest
from sentry_sdk.serializer import serialize

from domo_oauth import (
    ClientCredentials,
    ConfigurationError,
    DomoOAuthError,
    RedisStore,
    Token,
    TokenProvider,
    arequest_token,
    request_token,
)
from domo_oauth.base_url import resolve_base_url
from domo_oauth.shared import RefusedToken
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.errors import ResponseValidationError
from tests.integration.redis_server import PASSWORD
from tests.secrets import show
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, Evidence, forms
from tests.secrets.server import JSON, Server, answer, is_broken


@pytest.fixture(autouse=True)
def _credentials_in_the_environment(monkeypatch):
    monkeypatch.setenv("DOMO_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", CLIENT_SECRET)


def caught(call: Callable[[str], object], url: str = "") -> BaseException:
    try:
        call(url)
    except Exception as error:
        return error
    raise AssertionError("no error")


def keep(evidence: Evidence, error: BaseException) -> None:
    evidence.add("message", show.message(error))
    evidence.add("traceback", *(tool(error) for tool in show.TOOLS))


async def ask(url: str) -> None:
    await arequest_token(ClientCredentials.from_env(), "data", base_url=url)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_request(backend, evidence):
    arrived, cancelled = threading.Event(), threading.Event()

    async def run(url: str) -> None:
        with anyio.fail_after(60) as limit:
            async with anyio.create_task_group() as group:

                async def end_the_time() -> None:
                    await anyio.to_thread.run_sync(arrived.wait)
                    limit.deadline = anyio.current_time()

                group.start_soon(end_the_time)
                await ask(url)

    def hang(request: bytes) -> bytes:
        cancelled.wait(60)
        return b""

    with Server(hang) as server:
        server.on_request = arrived.set
        error = caught(lambda url: anyio.run(run, url, backend=backend), server.url)
        cancelled.set()
    assert isinstance(error, TimeoutError)
    keep(evidence, error)
    assert "arequest_token" in evidence.text("traceback")
    assert evidence.leaks() == []


OF_OTHERS = {
    "redirect": answer(302, "{}", JSON, "Location: https://elsewhere.test/"),
    "unknown": answer(418, {"access_token": ACCESS_TOKEN}, JSON),
    "garbage": f"{CLIENT_SECRET} {ACCESS_TOKEN}\r\n\r\n".encode(),
    "nothing": b"",
    "a long title": answer(502, f"<title>{'x' * 160}{CLIENT_ID}:{CLIENT_SECRET}</title>", "Content-Type: text/html"),
}


@pytest.mark.parametrize("name", OF_OTHERS)
def test_an_answer_of_something_else(name, wire, evidence):
    url = wire(OF_OTHERS[name]).url
    error = caught(lambda url: request_token(ClientCredentials.from_env(), base_url=url), url)
    assert isinstance(error, DomoOAuthError)
    keep(evidence, error)
    leaks = evidence.leaks()
    if name == "garbage":  # httpcore's own log repeats a line that is not HTTP; SECURITY.md says so
        leaks = [leak for leak in leaks if not leak.startswith("log: ")]
    assert leaks == []


SECRET_PROXY = f"http://user:{CLIENT_SECRET}@proxy.test"
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
        ClientCredentials.from_env(), "no-such-scope", httpx_args={"proxy": SECRET_PROXY}
    ),
    "header beside a proxy": lambda url: request_token(
        ClientCredentials.from_env(), httpx_args={"proxy": SECRET_PROXY, "headers": 5}
    ),
    "provider beside a proxy": lambda url: TokenProvider.from_env(scopes="nothing", httpx_args={"proxy": SECRET_PROXY}),
    "base URL": lambda url: request_token(ClientCredentials.from_env(), base_url="https://" + "é" * 64),
    "store": lambda url: RedisStore(f"http://:{CLIENT_SECRET}@localhost"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    error = caught(WRONG[name], "http://127.0.0.1:1")
    assert isinstance(error, ConfigurationError)
    # The caller's own frame shows what the caller wrote; the frames behind it are ours.
    error.__traceback__ = error.__traceback__.tb_next.tb_next
    assert error.__traceback__ is not None
    evidence = Evidence()
    keep(evidence, error)
    assert evidence.leaks() == []


class Transport(httpx.BaseTransport):
    """Somebody else's, with an error of its own."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            self.send(request, request.headers["Authorization"].removeprefix("Basic "))
        except OSError as error:
            raise RuntimeError from error

    def send(self, request: httpx.Request, credentials: str) -> None:
        raise OSError(len(credentials))


def test_the_errors_behind_an_error(evidence):
    args = {"transport": Transport(), "verify": False}
    error = caught(
        lambda url: request_token(ClientCredentials.from_env(), base_url="https://api.domo.test", httpx_args=args)
    )
    assert isinstance(error, RuntimeError)
    assert isinstance(error.__cause__, OSError)
    keep(evidence, error)
    assert evidence.leaks() == []


def test_an_error_of_the_generated_client(evidence):
    with (
        Server(is_broken) as server,
        AuthenticatedClient(server.url, username=CLIENT_ID, password=CLIENT_SECRET) as client,
        pytest.raises(ResponseValidationError) as broken,
    ):
        get_access_token.sync(client=client)
    assert broken.value.field == "token_type"
    evidence.add("message", repr(broken.value), str(broken.value), repr(broken.value.args))
    assert evidence.leaks() == []


# --- What is known, and not yet mended -------------------------------------------------------------------------------

PAIR = f"{CLIENT_ID}:{CLIENT_SECRET}"
ECHOES = {
    "URL": answer(401, {"message": forms(CLIENT_SECRET)["URL"]}, JSON),
    "HTML": answer(502, f"<title>{forms(CLIENT_SECRET)['HTML']}</title>", "Content-Type: text/html"),
    "hex": answer(401, {"message": forms(CLIENT_SECRET)["hex"]}, JSON),
    "base64 of more": answer(401, {"message": forms(f"basic {PAIR}")["base64 0"]}, JSON),
}


@pytest.mark.parametrize("name", ECHOES)
def test_what_a_server_sends_back_in_another_form(name, wire, evidence):
    url = wire(ECHOES[name]).url
    error = caught(lambda url: request_token(ClientCredentials.from_env(), base_url=url), url)
    evidence.add("message", show.message(error))
    assert evidence.leaks() == []


def test_the_repr_of_credentials_that_are_refused():
    """Python 3.11 cannot print a traceback with locals if one of them has no repr."""
    assert repr(object.__new__(ClientCredentials)) == "ClientCredentials()"
    assert repr(object.__new__(Token)) == "Token()"


def test_what_sentry_sends_of_a_refusal(evidence):
    """It sends the items of a tuple, not its repr."""
    token = Token(ACCESS_TOKEN, expires_in=3600, expires_at=datetime.now(UTC))
    evidence.add("traceback", serialize({"vars": {"refusal": RefusedToken(token, 1.0, 2.0)}}))
    assert evidence.leaks() == []


def test_vars_of_a_redis_store(evidence):
    evidence.canaries.add("Redis password", PASSWORD)
    evidence.add("value", vars(RedisStore(f"redis://:{PASSWORD}@127.0.0.1:1/0")))
    assert evidence.leaks() == []
