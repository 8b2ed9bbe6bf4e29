"""Whoever asks while a token is being fetched waits for that one request, on threads, asyncio and trio."""

from __future__ import annotations

import _thread
import asyncio
import gc
import itertools
import logging
import re
import sys
import threading
import types
import weakref
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.to_thread
import attrs
import pytest

from domo_oauth import (
    ClientCredentials,
    Clock,
    ConfigurationError,
    DomoOAuthError,
    FileStore,
    InvalidClientError,
    Scope,
    ServerError,
    TokenProvider,
)
from domo_oauth.provider import forget_tokens
from tests.fakes import GET, GRANTED, HOUR, PATIENCE, Endpoint, ask, in_threads, refused, unavailable, until


@pytest.fixture
def answer_when(provider, endpoint):
    """Keep the request waiting until so many callers wait for it."""
    opener = []

    def answer_when(callers: int) -> None:
        endpoint.open.clear()
        opener.append(threading.Thread(target=run, args=(callers,)))
        opener[0].start()

    def run(callers: int) -> None:
        until(lambda: provider.stats().waits == callers)
        endpoint.open.set()

    yield answer_when
    opener[0].join()


@pytest.mark.parametrize("error", [None, InvalidClientError])
def test_threads_and_tasks_at_once_send_one_request(provider, endpoint, answer_when, error):
    endpoint.always = refused if error else None
    answer_when(64 + 2 * 500)
    got = []

    async def one() -> None:
        try:
            got.append(await provider.aget_token())
        except DomoOAuthError as failed:
            got.append(failed)

    async def tasks() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(500):
                group.start_soon(one)

    with ThreadPoolExecutor(3) as threads:
        loops = [threads.submit(anyio.run, tasks, backend=backend) for backend in ("asyncio", "trio")]
        got += threads.submit(in_threads, 64, provider.get_token).result(PATIENCE)
        assert [each.result(PATIENCE) for each in loops] == [None, None]
    assert len(got) == 1064
    assert endpoint.requests == 1
    if error:
        assert {(type(each), str(each)) for each in got} == {(error, str(got[0]))}
        assert len({id(each) for each in got}) == 1064  # an error that is raised twice collects tracebacks
    else:
        assert {id(each) for each in got} == {id(provider.get_token())}


def test_all_who_wait_get_a_token_however_short_it_lives(provider, endpoint, answer_when):
    endpoint.lifetime = 0
    answer_when(8)
    assert len({id(token) for token in in_threads(8, provider.get_token)}) == 1
    assert endpoint.requests == 1


@pytest.mark.parametrize("switch_interval", [1e-6, 0.005])
def test_waves_of_32_threads(provider, endpoint, time, switch_interval):
    """Threads take turns a million times a second, instead of two hundred times."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(switch_interval)
    try:
        for wave in range(1, 21):
            assert len({token.access_token for token in in_threads(32, provider.get_token)}) == 1
            assert endpoint.requests == wave
            time.advance(HOUR)
            if wave % 2:
                provider.reset()
    finally:
        sys.setswitchinterval(before)


# Callers who leave, and odd ways to wait


def test_a_cancelled_task_leaves_and_the_fetch_goes_on_for_others(provider, endpoint, anyio_backend):
    endpoint.open.clear()

    async def main() -> None:
        async with anyio.create_task_group() as gone:
            gone.start_soon(provider.aget_token)
            await anyio.to_thread.run_sync(endpoint.wait_until_asked)
            gone.cancel_scope.cancel()
        async with anyio.create_task_group() as others:
            others.start_soon(provider.aget_token)
            await anyio.wait_all_tasks_blocked()
            endpoint.open.set()

    anyio.run(main, backend=anyio_backend)
    assert provider.get_token().access_token == "canary-token-1"


def test_a_loop_that_has_ended_holds_nobody_up(provider, endpoint):
    endpoint.open.clear()
    loop = asyncio.new_event_loop()
    task = loop.create_task(provider.aget_token())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(provider.get_token)
        until(lambda: provider.stats().waits == 2)
        endpoint.open.set()
        assert waiting.result(PATIENCE).access_token == "canary-token-1"
    task._log_destroy_pending = False  # or asyncio logs that it never ended
    task.get_coro().close()


def test_a_sync_call_inside_a_running_loop_and_a_task_wait_for_one_request(
    provider, endpoint, answer_when, anyio_backend
):
    answer_when(2)
    got = []

    async def one() -> None:
        got.append(await provider.aget_token())

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await anyio.to_thread.run_sync(endpoint.wait_until_asked)
            got.append(provider.get_token())

    anyio.run(main, backend=anyio_backend)
    assert got[0] is got[1]


def test_a_callback_of_asyncio_may_wait(provider, answer_when):
    """A callback runs in no task, so asyncio.timeout() would not work; the same holds for greenlets."""
    answer_when(1)

    async def main():
        loop, waiting = asyncio.get_running_loop(), provider.aget_token()
        ended = loop.create_future()

        def step() -> None:
            try:
                future = waiting.send(None)
            except StopIteration as stopped:
                ended.set_result(stopped.value)
            else:
                future._asyncio_future_blocking = False
                future.add_done_callback(lambda _: step())

        loop.call_soon(step)
        return await ended

    assert asyncio.run(main()).access_token == "canary-token-1"


def test_asyncio_works_while_another_thread_imports_trio(provider, monkeypatch):
    """A module is in sys.modules before it has any content."""
    monkeypatch.setitem(sys.modules, "trio", types.ModuleType("trio"))
    assert asyncio.run(provider.aget_token()).access_token == "canary-token-1"


def test_where_no_thread_can_be_had_callers_fetch(make, endpoint, time, get):
    def start(_run) -> None:
        raise RuntimeError("can't start new thread")

    provider = make(clock=attrs.evolve(time.clock, start=start))
    first = get(provider)
    time.advance(HOUR - 100)
    assert get(provider) is first
    assert get(provider).access_token == "canary-token-2"
    endpoint.always = refused
    provider.reset()
    for _ in range(2):
        with pytest.raises(InvalidClientError):
            get(provider)
    assert endpoint.requests == 3


@pytest.mark.parametrize(("module", "name"), [(sys, "is_finalizing"), (_thread, "daemon_threads_allowed")])
def test_a_clock_says_where_no_thread_can_be_had(monkeypatch, module, name):
    """At the end of the process, and in an isolated subinterpreter."""
    monkeypatch.setattr(module, name, lambda: module is sys, raising=False)
    with pytest.raises(RuntimeError):
        Clock().start(lambda: None)


@pytest.mark.parametrize("left", [1, 2])
def test_a_clock_starts_a_daemon_thread_or_uses_the_last_one_that_can_be_had(monkeypatch, left):
    def none_left(_thread) -> None:
        raise RuntimeError("can't start new thread")

    if left == 1:
        monkeypatch.setattr(threading.Thread, "start", none_left)
    found, done = [], threading.Event()
    Clock().start(lambda: (found.append(threading.current_thread()), done.set()))
    assert done.wait(PATIENCE)
    assert found[0].daemon
    assert found[0] is not threading.current_thread()


# Equal providers share a token


@pytest.fixture
def unique(request) -> ClientCredentials:
    """Credentials that no other test uses."""
    return ClientCredentials(request.node.name.replace(":", ""), "canary-secret")


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        ({}, True),
        ({"scopes": [Scope.USER, "data"]}, True),
        ({"base_url": "{url}/"}, True),
        ({"secret": "another-secret"}, False),
        ({"client_id": "another"}, False),
        ({"scopes": "data"}, False),
        ({"scopes": None}, False),
        ({"base_url": "{url}/other"}, False),
        ({"httpx_args": {"timeout": 3}}, False),
        ({"clock": Clock()}, False),
        ({"store": FileStore}, False),
    ],
    ids=itertools.count(),
)
def test_equal_providers_share_a_token(unique, wire, tmp_path, other, shared):
    server = wire(GRANTED)
    args = {"credentials": unique, "scopes": "data user", "base_url": server.url}
    first = TokenProvider(**args).get_token()
    changed = args | other
    secret, client_id = changed.pop("secret", unique.client_secret), changed.pop("client_id", unique.client_id)
    changed |= {"credentials": ClientCredentials(client_id, secret)}
    changed |= {"base_url": changed["base_url"].format(url=server.url)}
    if "store" in other:
        changed["store"] = FileStore(tmp_path)
    assert (TokenProvider(**changed).get_token() is first) is shared
    assert len(server.requests) == 2 - shared


def test_providers_with_one_store_object_share_a_token_without_reading_the_store(unique, wire, tmp_path):
    server, store = wire(GRANTED), FileStore(tmp_path)
    first, same, equal = (
        TokenProvider(unique, base_url=server.url, store=each).get_token()
        for each in (store, store, FileStore(tmp_path))
    )
    assert first is same
    assert first is not equal
    assert first.access_token == equal.access_token
    assert len(server.requests) == 1


def test_tokens_can_be_forgotten(unique, wire):
    """For test suites, which share one process."""
    server = wire(GRANTED)
    for _ in range(2):
        TokenProvider(unique, base_url=server.url).get_token()
        forget_tokens()
    assert len(server.requests) == 2


@pytest.mark.parametrize(("others", "requests"), [(900, 1), (1100, 2)])
def test_a_thousand_tokens_outlive_their_providers(unique, wire, others, requests):
    """A cell of a notebook makes a new provider each time it runs."""
    server = wire(GRANTED)
    TokenProvider(unique, base_url=server.url).get_token()
    for number in range(others):
        TokenProvider(ClientCredentials(f"client-{number}-{others}", "a-secret"), base_url=server.url)
    TokenProvider(unique, base_url=server.url).get_token()
    assert len(server.requests) == requests


# What a provider is, has and says


def test_making_a_provider_does_nothing(make, endpoint, time):
    assert repr(make()) == (
        "TokenProvider(ClientCredentials(client_id='cana…', client_secret=hidden), "
        "scopes='all', base_url='https://api.domo.com')"
    )
    assert "scopes='data user'" in repr(make(scopes=["user", "data"]))
    assert (endpoint.requests, time.threads) == (0, [])


def test_closing_a_provider_changes_nothing_and_a_transport_of_the_caller_stays_open(make, anyio_backend):
    closed = []

    class Transport(Endpoint):
        def close(self) -> None:
            closed.append(1)

    provider = make(httpx_args={"transport": Transport()})

    async def main() -> None:
        async with provider as same:
            assert same is provider
            await provider.aget_token()
        await provider.aclose()

    with provider as same:
        assert same is provider
        first = provider.get_token()
    provider.close()
    anyio.run(main, backend=anyio_backend)
    assert provider.get_token() is first
    provider.invalidate(first)
    assert provider.get_token().access_token == "canary-token-2"
    assert closed == []


def test_an_unused_provider_is_freed(make):
    providers = [make() for _ in range(3)]
    alive = weakref.WeakSet(providers)
    for provider in providers:
        provider.get_token()
    del providers, provider
    gc.collect()
    assert len(alive) == 0


def test_stats(provider, endpoint, time):
    def counted():
        stats = provider.stats()
        return stats.requests, stats.refreshes, stats.stored, stats.waits, stats.failures, stats.expires_in

    assert counted() == (0, 0, 0, 0, 0, None)
    provider.get_token()
    time.advance(600)
    assert counted() == (1, 0, 0, 1, 0, HOUR - 600)
    time.now_wall += 60
    assert counted() == (1, 0, 0, 1, 0, HOUR - 660)
    time.advance(HOUR - 860)
    provider.get_token()
    time.settle()
    assert counted() == (2, 1, 0, 1, 0, HOUR)
    provider.reset()
    endpoint.always = unavailable
    with pytest.raises(ServerError):
        provider.get_token()
    assert counted() == (6, 1, 0, 2, 1, None)


# The log


class AskingHandler(logging.Handler):
    """A log handler that needs a token, as one that writes the log to Domo does."""

    provider: TokenProvider | None = None

    def emit(self, record: logging.LogRecord) -> None:
        provider, self.provider = self.provider, None  # once, or it would log its own request without end
        if provider is not None:
            self.got = record.getMessage(), token_or_error(provider)


def token_or_error(provider: TokenProvider) -> object:
    try:
        return provider.get_token().access_token
    except DomoOAuthError as error:
        return error


def test_a_log_handler_may_ask_for_a_token(provider, endpoint, get, caplog):
    """It cannot wait for the fetch that writes the log line: it gets an error."""
    caplog.set_level(logging.DEBUG, logger="domo_oauth")
    log, handler = logging.getLogger("domo_oauth"), AskingHandler()
    log.addHandler(handler)  # the fixture _log removes it
    handler.provider = provider
    assert get(provider).access_token == "canary-token-1"
    line, got = handler.got
    assert line.startswith("Fetched a token for 3600 s in ")
    assert isinstance(got, ConfigurationError)
    assert "inside its own fetch" in str(got)

    provider.invalidate(get(provider))
    token = get(provider)
    handler.provider = provider
    provider.invalidate(token)
    assert handler.got == ("A token was refused soon after another; kept for 1.0 s", "canary-token-2")

    endpoint.always = refused
    provider.reset()
    with pytest.raises(InvalidClientError):
        get(provider)
    handler.provider = provider
    with pytest.raises(InvalidClientError):
        get(provider)
    line, got = handler.got
    assert line.startswith("No request for another 1.0 s: GET https://api.domo.com/oauth/token ")
    assert isinstance(got, InvalidClientError)


def test_the_log_tells_how_long_a_fetch_took(provider, endpoint, time, caplog):
    caplog.set_level(logging.INFO, logger="domo_oauth")
    endpoint.answers = [unavailable()]
    endpoint.always = lambda: time.advance(0.5) or endpoint.token(1)
    provider.get_token()
    first, second = [record.getMessage() for record in caplog.records if record.name.startswith("domo_oauth")]
    assert re.match(r"Trying again.*: GET https://api\.domo\.com/oauth/token answered 503", first)
    assert second == "Fetched a token for 3600 s in 0.500 s"


@pytest.mark.parametrize("way", GET)
def test_each_way_gives_the_token_at_hand_at_once(provider, way):
    assert ask(way, provider) is ask(way, provider, 0) is provider.get_token()
