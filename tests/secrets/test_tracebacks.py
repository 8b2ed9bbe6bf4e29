"""Errors of calls that are wrong, cancelled, interrupted, or broken by somebody else's code show no secret."""

from __future__ import annotations

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
from tests.adapters.server import JSON, Server, answer
from tests.secrets import show
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, forms
from tests.secrets.conftest import refuses


def caught(call: Callable[[str], object], url: str = "") -> BaseException:
    try:
        call(url)
    except Exception as error:
        return error
    raise AssertionError("no error")


def ask(url: str) -> None:
    request_token(ClientCredentials.from_env(), base_url=url)


def ask_provider(url: str) -> None:
    TokenProvider.from_env(base_url=url, store=FileStore()).get_token()


async def aask(url: str) -> None:
    await arequest_token(ClientCredentials.from_env(), "data", base_url=url)


async def aask_provider(url: str) -> None:
    await TokenProvider.from_env(base_url=url).aget_token()


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


@pytest.mark.parametrize(("ask", "backend"), [(aask, "asyncio"), (aask_provider, "trio")])
def test_the_traceback_of_a_cancelled_task_shows_no_secret(ask, backend, evidence, keep):
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


ODD = {
    "redirect": answer(302, {"access_token": ACCESS_TOKEN}, JSON, "Location: https://xn--/"),
    "unknown": answer(418, {"access_token": ACCESS_TOKEN}, JSON),
    "garbage": f"{CLIENT_SECRET} {ACCESS_TOKEN}\r\n\r\n".encode(),
    "half a JSON": answer(200, f'{{"access_token": "{ACCESS_TOKEN}', JSON),
    "a long title": answer(502, f"<title>{'x' * 160}{CLIENT_ID}:{CLIENT_SECRET}</title>", "Content-Type: text/html"),
    "hex": answer(401, {"message": forms(CLIENT_SECRET)["hex"]}, JSON),
    "base64 of more": answer(401, {"message": forms(f"basic {CLIENT_ID}:{CLIENT_SECRET}")["base64 0"]}, JSON),
}


@pytest.mark.parametrize("name", ODD)
def test_the_error_for_an_odd_response_shows_no_secret(name, wire, evidence, keep):
    error = caught(ask, wire(ODD[name]).url)
    assert isinstance(error, DomoOAuthError)
    keep(error)
    # httpcore's own log repeats a line that is not HTTP; SECURITY.md says so
    assert [leak for leak in evidence.leaks() if name != "garbage" or not leak.startswith("log: ")] == []


PROXY = {"proxy": f"http://user:{CLIENT_SECRET}@proxy.test"}
ME = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
WRONG: dict[str, Callable[[], object]] = {
    "base URL": lambda: resolve_base_url(f"https://{CLIENT_ID}:{CLIENT_SECRET}@x.test"),
    "secret": lambda: ClientCredentials(CLIENT_ID, CLIENT_SECRET + "\n"),
    "no id": lambda: ClientCredentials("", CLIENT_SECRET),
    "proxy": lambda: request_token(ME, httpx_args={"proxy": f"ftp://user:{CLIENT_SECRET}@proxy.test"}),
    "scope beside a proxy": lambda: request_token(ME, "no-such-scope", httpx_args=PROXY),
    "header beside a proxy": lambda: request_token(ME, httpx_args=PROXY | {"headers": 5}),
    "provider beside a proxy": lambda: TokenProvider.from_env(scopes="nothing", httpx_args=PROXY),
    "host": lambda: request_token(ME, base_url="https://" + "é" * 64),
    "Redis": lambda: RedisStore(f"http://:{CLIENT_SECRET}@localhost"),
    "store": lambda: open_store(f"{CLIENT_SECRET}@localhost"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_error_for_a_wrong_argument_shows_no_secret(name, evidence, keep):
    error = caught(lambda url: WRONG[name]())
    assert isinstance(error, ConfigurationError)
    # The caller's own frames show what the caller wrote; the frames behind them are ours.
    error.__traceback__ = error.__traceback__.tb_next.tb_next.tb_next
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


def test_an_error_raised_by_a_foreign_transport_shows_no_secret(evidence, keep):
    args = {"base_url": "https://api.domo.test", "httpx_args": {"transport": Transport()}}
    error = caught(lambda url: TokenProvider(ME, **args).get_token())
    assert type(error) is DomoOAuthError
    assert "RuntimeError" in str(error)
    keep(error)
    assert evidence.leaks() == []


@pytest.mark.slow
def test_sentry_is_sent_no_secret(evidence):
    def fail(token: str) -> None:
        raise ValueError(len(token))

    assert ACCESS_TOKEN in show.by_sentry(caught(lambda url: fail(ACCESS_TOKEN)))
    with Server(refuses) as server:
        for call in (ask, ask_provider):
            evidence.add("traceback", show.by_sentry(caught(call, server.url)))
    assert "InvalidClientError" in evidence.text("traceback")
    assert evidence.leaks() == []
