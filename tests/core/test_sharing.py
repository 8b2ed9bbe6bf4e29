"""Whoever asks while a token is being fetched waits for that one request, on threads, asyncio and trio."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.to_thread
import attrs
import httpx
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
    TokenRequestError,
)
from domo_oauth.provider import forget_tokens
from tests.fakes import GET, GRANTED, HOUR, PATIENCE, ask, in_threads, refused, unavailable, until


@pytest.fixture
def answer_when(provider, endpoint):
    """Keep the request waiting until ``callers`` callers wait for it."""
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


def test_waves_of_32_threads(provider, endpoint, time):
    """Threads take turns a million times a second, instead of two hundred times."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for wave in range(1, 21):
            assert len({token.access_token for token in in_threads(32, provider.get_token)}) == 1
            assert endpoint.requests == wave
            time.advance(HOUR)
            if wave % 2:
                provider.reset()
    finally:
        sys.setswitchinterval(before)


def test_a_caller_that_looks_just_before_a_token_arrives_sends_no_request(make, endpoint, time):
    endpoint.answers = [refused()]
    meanwhile = []

    def monotonic() -> float:
        (meanwhile.pop() if meanwhile else int)()
        return time.now

    provider = make(clock=attrs.evolve(time.clock, monotonic=monotonic))
    with pytest.raises(InvalidClientError):
        provider.get_token()
    time.advance(1)
    meanwhile += [provider.get_token, int]  # not when the timeout begins, but when the pause is looked at
    assert provider.get_token().access_token == "canary-token-2"
    assert endpoint.requests == 2


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


def test_a_loop_that_has_ended_blocks_no_caller(provider, endpoint):
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


def test_asyncio_works_while_another_thread_imports_trio(provider, monkeypatch):
    """A module is in sys.modules before it has any content."""
    monkeypatch.setitem(sys.modules, "trio", types.ModuleType("trio"))
    assert asyncio.run(provider.aget_token()).access_token == "canary-token-1"


def test_callers_fetch_themselves_when_no_thread_can_be_started(make, endpoint, time, get):
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
    assert server.requests[0].startswith(b"GET /oauth/token?grant_type=client_credentials&scope=data+user HTTP")


@pytest.mark.parametrize("other", [{"scopes": "data"}, {"scopes": None}, {"base_url": "{url}/other"}], ids=str)
def test_through_a_store_too_a_token_has_one_base_url_and_set_of_scopes(unique, wire, tmp_path, other):
    server = wire(GRANTED)
    args = {"credentials": unique, "scopes": "data user", "base_url": server.url}
    for given in (args, args, args | other):
        given |= {"base_url": given["base_url"].format(url=server.url), "store": FileStore(tmp_path)}
        TokenProvider(**given).get_token()
    assert len(server.requests) == 2


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


@pytest.mark.anyio
async def test_closing_a_provider_changes_nothing(provider, anyio_backend):
    with provider as same:
        first = same.get_token()
    async with provider as same:
        assert await same.aget_token() is first
    provider.close()
    await provider.aclose()
    assert provider.get_token() is first


def test_stats(provider, endpoint, time):
    def counted():
        stats = provider.stats()
        return (stats.requests, stats.refreshes, stats.stored, stats.waits, stats.failures, stats.expires_in)

    assert counted() == (0, 0, 0, 0, 0, None)
    provider.get_token()
    time.now_wall += 60
    assert counted() == (1, 0, 0, 1, 0, HOUR - 60)
    time.advance(HOUR - 260)
    provider.get_token()
    time.settle()
    assert counted() == (2, 1, 0, 1, 0, HOUR)
    provider.reset()
    endpoint.always = unavailable
    with pytest.raises(ServerError):
        provider.get_token()
    assert counted() == (6, 1, 0, 2, 1, None)


# The log


def test_a_log_handler_that_asks_for_a_token_during_a_fetch_gets_an_error(provider, get):
    """It cannot wait for the fetch that writes the log line, as one that sends the log to Domo would."""
    errors = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("Fetched a token"):
                with pytest.raises(ConfigurationError, match="inside its own fetch") as caught:
                    provider.get_token()
                errors.append(caught.value)

    log = logging.getLogger("domo_oauth")
    log.setLevel(logging.INFO)
    log.addHandler(Handler())  # the fixture _log removes it
    assert get(provider).access_token == "canary-token-1"
    assert len(errors) == 1


@pytest.mark.parametrize("way", GET)
def test_each_way_gives_the_token_at_hand_at_once(provider, way):
    assert ask(way, provider) is ask(way, provider, 0) is provider.get_token()


def test_stats_describe_what_went_wrong(provider, endpoint, time):
    token = provider.get_token()
    assert (provider.stats().last_error, provider.stats().fetch_seconds) == (None, 0.0)
    provider.invalidate(token)
    provider.invalidate(token)
    endpoint.answers = [unavailable(), refused()]
    with pytest.raises(InvalidClientError):
        provider.get_token()
    stats = provider.stats()
    assert (stats.unauthorized, type(stats.last_error), stats.last_error_at) == (1, InvalidClientError, time.now_wall)


def test_log_records_carry_the_fields_that_are_documented(make, endpoint, time, caplog, tmp_path):
    caplog.set_level("INFO", "domo_oauth")
    ours, theirs = (make(store=FileStore(tmp_path / "store")) for _ in range(2))
    time.chance, endpoint.answers = 0.5, [unavailable()]
    endpoint.always = lambda: time.advance(2) or endpoint.token(2)
    token = theirs.get_token()
    time.advance(600)
    assert ours.get_token() == token
    ours.invalidate(token)
    endpoint.always = lambda: httpx.Response(400, json={"toe": "O6Q67O9N7H-U3ALR-NVA7L"})
    with pytest.raises(TokenRequestError):
        ours.get_token()
    usual = vars(logging.makeLogRecord({})).keys() | {"message"}
    fields = [{name: value for name, value in vars(record).items() if name not in usual} for record in caplog.records]
    assert fields == [
        {"event": "token_retried", "attempt": 1, "error": "ServerError", "pause": 0.5},
        {"event": "token_fetched", "expires_in": HOUR, "seconds": 2.0},
        {"event": "token_loaded", "expires_in": HOUR - 602},
        {"event": "token_refused"},
        {
            "event": "token_failed",
            "error": "TokenRequestError",
            "status": 400,
            "toe": "O6Q67O9N7H-U3ALR-NVA7L",
            "pause": 1.0,
        },
    ]
