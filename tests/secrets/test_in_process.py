"""Whatever a server answers, and whatever asks: nothing that this process says, shows or writes holds a secret."""

from __future__ import annotations

import faulthandler
import pickle
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from domo_oauth import (
    ClientCredentials,
    Clock,
    DomoOAuthError,
    FileStore,
    RedisStore,
    TokenProvider,
    arequest_token,
    request_token,
)
from domo_oauth.answer import Sent
from domo_oauth.provider import forget_tokens
from domo_oauth.request import Request
from domo_oauth.stores.sealing import Entry, SealedStore
from domo_oauth_client import AuthenticatedClient
from tests.integration.redis_server import PASSWORD, RedisServer, needs_redis
from tests.secrets import show
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, Evidence
from tests.secrets.server import ANSWERS, Server, answer, authorization, grants, takes
from tests.secrets.ways import WAYS, run_watched

UNHURRIED = Clock(sleep=lambda seconds: None, random=lambda: 0.0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def credentials() -> ClientCredentials:
    return ClientCredentials(CLIENT_ID, CLIENT_SECRET)


def provider_of(url: str, **args) -> TokenProvider:
    return TokenProvider(credentials(), base_url=url, clock=UNHURRIED, **args)


def in_a_loop(url: str) -> None:
    async def run() -> int:
        return (await arequest_token(credentials(), base_url=url)).expires_in

    run_watched(run)


def by_a_provider_in_a_loop(url: str) -> None:
    async def run() -> int:
        async with provider_of(url) as provider:
            return (await provider.aget_token()).expires_in

    run_watched(run)


def by_a_provider(url: str) -> None:
    with provider_of(url) as provider:
        try:
            provider.get_token()
        finally:
            provider.stats()


ASKING: dict[str, Callable[[str], object]] = {
    "request_token": lambda url: request_token(credentials(), "data", base_url=url),
    "arequest_token": in_a_loop,
    "arequest_token under trio": lambda url: anyio.run(
        lambda: arequest_token(credentials(), base_url=url), backend="trio"
    ),
    "get_token": by_a_provider,
    "aget_token": by_a_provider_in_a_loop,
    **{way: lambda url, send=send: send(provider_of(url), f"{url}/v1/datasets", {}) for way, send in WAYS.items()},
}


def error_of(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("asking", ASKING)
def test_an_answer_of_the_token_endpoint(asking, case, evidence, tmp_path, capfd):
    with Server(ANSWERS[case][0]) as server:
        error = error_of(lambda: ASKING[asking](server.url))
        assert len(server.requests) >= 1
    assert (error is None) == (case == "good"), error
    if error is not None:
        assert isinstance(error, DomoOAuthError)
        evidence.add("message", show.message(error))
        evidence.add("traceback", *(tool(error) for tool in show.TOOLS))
    evidence.add("output", *capfd.readouterr())
    evidence.add_files(tmp_path)
    assert "/oauth/token" in evidence.text("log")
    assert evidence.leaks() == []


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_of_the_api(way, case, evidence, tmp_path, capfd):
    with Server(api=ANSWERS[case][1]) as server:
        provider = provider_of(server.url)
        error = error_of(lambda: WAYS[way](provider, f"{server.url}/v1/datasets", {}))
        assert any(ACCESS_TOKEN.encode() in request for request in server.api_requests)
    assert (error is None) == (case in {"good", "broken"}), error
    if error is not None:
        evidence.add("message", show.message(error))
        for ours, text in show.frames(error):
            evidence.add("traceback" if ours else "frames of an HTTP client that calls the API", text)
    evidence.add("value", show.value(provider))
    evidence.add("output", *capfd.readouterr())
    evidence.add_files(tmp_path)
    assert evidence.leaks() == []


def test_what_a_client_keeps_in_its_own_frames_is_known():
    """So that what README and SECURITY.md say of it stays true."""
    evidence = Evidence()
    with Server(api=ANSWERS["breaks"][1]) as server:
        for send in WAYS.values():
            error = error_of(lambda send=send: send(provider_of(server.url), f"{server.url}/x", {}))
            for ours, text in show.frames(error):
                evidence.add("traceback" if ours else "frames of an HTTP client that calls the API", text)
    assert evidence.leaks() == []
    assert evidence.allowed() == {("frames of an HTTP client that calls the API", "token")}


def test_header_fields_of_an_answer_are_in_a_log_of_another(evidence):
    """So that what SECURITY.md says of httpcore stays true."""
    with Server(lambda request: answer(502, "", f"X-Echo: {authorization(request)[1]}")) as server:
        error = error_of(lambda: request_token(credentials(), base_url=server.url))
    evidence.add("message", show.message(error))
    assert evidence.leaks() == []
    place = "log of an answer's header fields"
    assert evidence.allowed() == {(place, "client id"), (place, "client secret")}


# --- Values ----------------------------------------------------------------------------------------------------------


def test_values_show_nothing(evidence, tmp_path):
    store = FileStore(tmp_path / "store")
    with Server() as server, provider_of(server.url, store=store) as provider:
        dump = tmp_path / "faulthandler"
        with dump.open("w") as file:
            server.on_request = lambda: faulthandler.dump_traceback(file, all_threads=True)
            token = provider.get_token()
        server.on_request = None
        assert token.access_token == ACCESS_TOKEN
        assert "provider.py" in dump.read_text()
        with Server(api=ANSWERS["refused"][1]) as refusing:
            refused = provider_of(refusing.url)
            error_of(lambda: WAYS["httpx"](refused, f"{refusing.url}/x", {}))
        sealed = SealedStore(store, credentials(), ("data",), server.url)
        values = [credentials(), token, Entry(token), provider, refused, provider.stats(), UNHURRIED, store, sealed]
        values += [Request(credentials(), None, server.url, {"proxy": CLIENT_SECRET})]
        values += [Sent(server.url, credentials(), None, token.expires_at)]
        for shown in values:
            evidence.add("value", show.value(shown))
            for part in getattr(shown, "__dict__", {}).values():
                evidence.add("value", show.value(part))
    evidence.add_files(tmp_path)
    assert evidence.leaks() == []


def test_adapters_show_nothing(evidence):
    from domo_oauth.adapters import aiohttp, httpx, httpx2, requests

    with Server() as server, provider_of(server.url) as provider:
        provider.get_token()
        for adapter in (aiohttp, httpx, httpx2, requests):
            auth = adapter.DomoAuth(provider)
            evidence.add("value", show.value(auth), show.value(vars(auth)))
    assert evidence.leaks() == []


def test_the_generated_client_shows_nothing_but_to_who_takes_it_apart(evidence):
    import attrs

    from domo_oauth_client.api.oauth import get_access_token

    with (
        Server() as server,
        AuthenticatedClient(server.url, username=CLIENT_ID, password=CLIENT_SECRET) as client,
    ):
        response = get_access_token.sync_detailed(client=client)
        for shown in (client, response, response.parsed, client.get_httpx_client()):
            evidence.add("value", repr(shown), str(shown), show.pretty_repr(shown, max_string=None))
        evidence.add("fields of the generated client", attrs.asdict(client, filter=lambda field, _: field.init))
    assert evidence.leaks() == []
    assert len(evidence.allowed()) == 2


def test_a_pickle_holds_credentials_where_it_must_and_never_a_token(evidence, monkeypatch):
    monkeypatch.setenv("DOMO_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", CLIENT_SECRET)
    with Server() as server:
        given, of_environment = provider_of(server.url), TokenProvider.from_env(base_url=server.url)
        for provider in (given, of_environment):
            assert provider.get_token().access_token == ACCESS_TOKEN
        evidence.add("pickle", pickle.dumps(given))
        evidence.add("pickle of one from the environment", pickle.dumps(of_environment))
        error = error_of(lambda: provider_of(server.url.replace("127.0.0.1", "localhost"), scopes="nothing"))
        evidence.add("pickle of an error", pickle.dumps(error))
    assert evidence.leaks() == []
    assert evidence.allowed() == {("pickle", "client id"), ("pickle", "client secret")}


# --- Stores ----------------------------------------------------------------------------------------------------------


KEPT = {"good", "down"}
"""What a store keeps for as long as a test may take. What is refused, it keeps for a second."""


@pytest.mark.parametrize("case", ANSWERS)
def test_files_of_a_store(case, evidence, tmp_path):
    store = FileStore(tmp_path / "store")
    with Server(ANSWERS[case][0]) as server:
        for _ in range(2):
            error = error_of(provider_of(server.url, store=store).get_token)
            forget_tokens()
        assert case == "refused" or (len(server.requests) == 1) == (case in KEPT), "it came from the store"
        for file in Path(store.path).iterdir():
            file.write_bytes(b"garbage")
        evidence.add_files(tmp_path)
        error_of(provider_of(server.url, store=store).get_token)
    if error is not None:
        evidence.add("traceback", *(tool(error) for tool in show.TOOLS))
    evidence.add_files(tmp_path)
    evidence.add("value", show.value(store))
    assert evidence.leaks() == []


def test_a_store_that_cannot_be_used(evidence, tmp_path):
    (tmp_path / "store").write_text("a file in the place of a folder")
    with Server() as server:
        provider_of(server.url, store=FileStore(tmp_path / "store")).get_token()
    assert "Going on without the store" in evidence.text("log")
    assert evidence.leaks() == []


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    options = ("--slowlog-log-slower-than", "0", "--slowlog-max-len", "10000")
    with RedisServer(tmp_path_factory.mktemp("redis"), options=options) as server:
        yield server


def all_values(server: RedisServer) -> list[object]:
    """All that is in it, and the commands that it was sent."""
    with server.client() as client:
        readers = {b"string": client.get, b"stream": client.xrange}
        kept = [(key, readers[client.type(key)](key)) for key in client.scan_iter()]
        return [*kept, client.slowlog_get(10000), client.client_list()]


@needs_redis
@pytest.mark.parametrize("case", ANSWERS)
def test_values_in_redis(case, evidence, redis_server, tmp_path):
    evidence.canaries.add("Redis password", PASSWORD)
    redis_server.run("FLUSHALL")
    store = RedisStore(redis_server.url)
    with Server(ANSWERS[case][0]) as server:
        for _ in range(2):
            error = error_of(provider_of(server.url, store=store).get_token)
            forget_tokens()
        assert case == "refused" or (len(server.requests) == 1) == (case in KEPT), "it came from the store"
    if error is not None:
        evidence.add("traceback", *(tool(error) for tool in show.TOOLS))
    evidence.add("redis", *all_values(redis_server))
    assert "domo-oauth:" in evidence.text("redis")
    evidence.add("value", repr(store), str(store))
    evidence.add_files(tmp_path)
    store.close()
    assert evidence.leaks() == []


@needs_redis
@pytest.mark.parametrize("fault", ["wrong password", "gone"])
def test_a_redis_that_cannot_be_used(fault, evidence, redis_server):
    evidence.canaries.add("Redis password", PASSWORD[::-1])
    url = redis_server.url.replace(PASSWORD, PASSWORD[::-1])
    store = RedisStore(url if fault == "wrong password" else f"redis://:{PASSWORD[::-1]}@127.0.0.1:1/0")
    with Server(grants, takes) as server:
        provider_of(server.url, store=store).get_token()
    error = error_of(lambda: store.load("name"))
    evidence.add("traceback", *(tool(error) for tool in show.TOOLS))
    store.close()
    assert "Going on without the store" in evidence.text("log")
    assert evidence.leaks() == []
