"""Errors of calls that are wrong, cancelled, interrupted, or broken by somebody else's code show no secret."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import anyio.to_thread
import httpx
import pytest

from domo_oauth import (
    ClientCredentials,
    ConfigurationError,
    DomoOAuthError,
    FileStore,
    RedisStore,
    TokenProvider,
    arequest_token,
    request_token,
)
from domo_oauth.base_url import resolve_base_url
from domo_oauth.stores import open_store
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from tests.adapters.server import JSON, Server, answer
from tests.secrets import show
from tests.secrets.answers import is_broken, refuses
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, forms


def caught(call: Callable[[str], object], url: str = "") -> BaseException:
    try:
        call(url)
    except Exception as error:
        return error
    raise AssertionError("no error")


def ask(url: str) -> None:
    request_token(ClientCredentials.from_env(), base_url=url)


async def by_request(url: str) -> None:
    await arequest_token(ClientCredentials.from_env(), "data", base_url=url)


async def by_provider(url: str) -> None:
    await TokenProvider.from_env(base_url=url).aget_token()


# Cancelled and interrupted.


@contextmanager
def hanging_server() -> Iterator[tuple[str, threading.Event]]:
    """A server that does not answer, and what is set when it was asked."""
    arrived, done = threading.Event(), threading.Event()

    def hang(request: bytes) -> bytes:
        done.wait(60)
        return b""

    with Server(hang) as server:
        server.on_request = arrived.set
        try:
            yield server.url, arrived
        finally:
            done.set()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("ask", [by_request, by_provider])
def test_a_cancelled_task(ask, backend, evidence, keep):
    async def run(url: str, arrived: threading.Event) -> None:
        with anyio.fail_after(60) as limit:
            async with anyio.create_task_group() as group:

                async def end_the_time() -> None:
                    await anyio.to_thread.run_sync(arrived.wait)
                    limit.deadline = anyio.current_time()

                group.start_soon(end_the_time)
                await ask(url)

    with hanging_server() as (url, arrived):
        error = caught(lambda url: anyio.run(run, url, arrived, backend=backend), url)
    assert isinstance(error, TimeoutError)
    keep(error)
    assert ask.__name__ in evidence.text("traceback")
    assert evidence.leaks() == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_exception_group(backend, evidence, keep):
    async def run(url: str) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(by_request, url)
            group.start_soon(by_provider, url)

    with Server(refuses) as server:
        error = caught(lambda url: anyio.run(run, url, backend=backend), server.url)
    assert isinstance(error, ExceptionGroup)
    keep(error)
    assert "InvalidClientError" in evidence.text("traceback")
    assert evidence.leaks() == []


ASKING = {
    "request_token": ask,
    "get_token": lambda url: TokenProvider.from_env(base_url=url).get_token(),
    "get_token and a store": lambda url: TokenProvider.from_env(base_url=url, store=FileStore()).get_token(),
}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("answered", [False, True], ids=["no answer", "a large answer"])
def test_a_time_limit_of_a_job(answered, name, evidence, keep):
    """As task queues set it: a signal handler raises an error wherever the main thread is."""

    def end(*_: object) -> None:
        raise TimeoutError

    def large(request: bytes) -> bytes:
        signal.setitimer(signal.ITIMER_REAL, 0.001)  # while the answer is read
        return answer(401, {"error_description": "x" * 900_000}, JSON)

    before = signal.signal(signal.SIGALRM, end)
    try:
        with hanging_server() as (url, arrived), Server(large) as server:
            if not answered:
                threading.Thread(target=lambda: arrived.wait() and signal.setitimer(signal.ITIMER_REAL, 0.001)).start()
            error = caught(ASKING[name], server.url if answered else url)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert isinstance(error, TimeoutError) or answered
    keep(error)
    assert evidence.leaks() == []


# Answers.

BODIES = {
    "redirect": answer(302, "{}", JSON, "Location: https://elsewhere.test/"),
    "unknown": answer(418, {"access_token": ACCESS_TOKEN}, JSON),
    "garbage": f"{CLIENT_SECRET} {ACCESS_TOKEN}\r\n\r\n".encode(),
    "nothing": b"",
    "a long title": answer(502, f"<title>{'x' * 160}{CLIENT_ID}:{CLIENT_SECRET}</title>", "Content-Type: text/html"),
    "URL": answer(401, {"message": forms(CLIENT_SECRET)["URL"]}, JSON),
    "HTML": answer(502, f"<title>{forms(CLIENT_SECRET)['HTML']}</title>", "Content-Type: text/html"),
    "hex": answer(401, {"message": forms(CLIENT_SECRET)["hex"]}, JSON),
    "base64 of more": answer(401, {"message": forms(f"basic {CLIENT_ID}:{CLIENT_SECRET}")["base64 0"]}, JSON),
}
"""Answers of something else, and secrets that a server sends back in another form."""


@pytest.mark.parametrize("name", BODIES)
def test_an_odd_answer(name, wire, evidence, keep):
    error = caught(ask, wire(BODIES[name]).url)
    assert isinstance(error, DomoOAuthError)
    keep(error)
    # httpcore's own log repeats a line that is not HTTP; SECURITY.md says so
    assert [leak for leak in evidence.leaks() if name != "garbage" or not leak.startswith("log: ")] == []


BROKEN = {
    "a wrong type": is_broken,
    "half a JSON": lambda request: answer(200, f'{{"access_token": "{ACCESS_TOKEN}', JSON),
    "a missing field": lambda request: answer(200, {"access_token": ACCESS_TOKEN}, JSON),
    "a redirect": lambda request: answer(302, {"access_token": ACCESS_TOKEN}, JSON, "Location: https://xn--/"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_error_of_the_generated_client(name, evidence):
    with (
        Server(BROKEN[name]) as server,
        AuthenticatedClient(server.url, username=CLIENT_ID, password=CLIENT_SECRET) as client,
    ):
        error = caught(lambda url: get_access_token.sync(client=client))
    evidence.add("message", show.message(error))
    assert evidence.leaks() == []


# Wrong arguments, and foreign code.

PROXY = {"proxy": f"http://user:{CLIENT_SECRET}@proxy.test"}
ME = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
WRONG: dict[str, Callable[[str], object]] = {
    "base_url": lambda url: resolve_base_url(f"https://{CLIENT_ID}:{CLIENT_SECRET}@x.test"),
    "secret": lambda url: ClientCredentials(CLIENT_ID, CLIENT_SECRET + "\n"),
    "id": lambda url: ClientCredentials(CLIENT_ID + ":", CLIENT_SECRET),
    "no id": lambda url: ClientCredentials("", CLIENT_SECRET),
    "proxy": lambda url: request_token(
        ME, base_url=url, httpx_args={"proxy": f"ftp://user:{CLIENT_SECRET}@proxy.test"}
    ),
    "scope": lambda url: request_token(ME, "no-such-scope"),
    "scope beside a proxy": lambda url: request_token(ME, "no-such-scope", httpx_args=PROXY),
    "header beside a proxy": lambda url: request_token(ME, httpx_args=PROXY | {"headers": 5}),
    "provider beside a proxy": lambda url: TokenProvider.from_env(scopes="nothing", httpx_args=PROXY),
    "base URL": lambda url: request_token(ME, base_url="https://" + "é" * 64),
    "Redis": lambda url: RedisStore(f"http://:{CLIENT_SECRET}@localhost"),
    "store": lambda url: open_store(f"{CLIENT_SECRET}@localhost"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name, evidence, keep):
    error = caught(WRONG[name], "http://127.0.0.1:1")
    assert isinstance(error, ConfigurationError)
    # The caller's own frame shows what the caller wrote; the frames behind it are ours.
    error.__traceback__ = error.__traceback__.tb_next.tb_next
    assert error.__traceback__ is not None
    keep(error)
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


@pytest.mark.parametrize("name", ["request_token", "get_token"])
def test_an_error_of_foreign_code(name, evidence, keep):
    def ask(args: dict) -> None:
        request_token(ME, **args) if name == "request_token" else TokenProvider(ME, **args).get_token()

    error = caught(
        lambda url: ask({"base_url": url, "httpx_args": {"transport": Transport()}}), "https://api.domo.test"
    )
    assert type(error) is DomoOAuthError
    assert "RuntimeError" in str(error)
    keep(error)
    assert evidence.leaks() == []
