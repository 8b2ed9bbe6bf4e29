"""Nothing that this process says, shows or writes holds a secret, whatever a server returns or a caller does."""

from __future__ import annotations

import faulthandler
import json
from collections.abc import Callable
from functools import partial

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
    cli,
    request_token,
)
from domo_oauth.stores.sealing import Entry, SealedStore
from tests.adapters.server import Server, accepts
from tests.adapters.ways import Way
from tests.secrets import show
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET
from tests.secrets.conftest import ANSWERS, CASES, grants, is_broken, refuses
from tests.stores.redis_server import PASSWORD, RedisServer, needs_redis, stand_in

UNHURRIED = Clock(sleep=lambda seconds: None, random=lambda: 0.0)
CREDENTIALS = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
FRAMES_OF_OTHERS = "frames of an HTTP client that calls the API"


def provider_of(url: str, **args) -> TokenProvider:
    return TokenProvider(CREDENTIALS, base_url=url, clock=UNHURRIED, **args)


def with_a_store(make: Callable[[str], object], url: str) -> None:
    """A second provider finds what the first has left."""
    with stand_in() as server:
        error_of(provider_of(url, store=make(server.url)).get_token)
        provider_of(url, store=make(server.url)).get_token()


ASKING: dict[str, Callable[[str], object]] = {
    "request_token": lambda url: request_token(CREDENTIALS, "data", base_url=url),
    "get_token": lambda url: provider_of(url).get_token(),
    # With all that asyncio can be made to log.
    "arequest_token": lambda url: anyio.run(
        partial(arequest_token, CREDENTIALS, base_url=url), backend_options={"debug": True}
    ),
    "aget_token": lambda url: anyio.run(provider_of(url).aget_token, backend="trio"),
    "get_token and files": partial(with_a_store, lambda url: FileStore()),
    "get_token and Redis": partial(with_a_store, RedisStore),
}


def error_of(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("asking", ASKING)
def test_no_response_of_the_token_endpoint_leaks_a_secret(asking, case, evidence, keep, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Server(ANSWERS[case][0]) as server:
        error = error_of(lambda: ASKING[asking](server.url))
        assert len(server.requests) >= 1
    assert (error is None) == (case == "good"), error
    if error is not None:
        assert isinstance(error, DomoOAuthError)
        keep(error)
    evidence.add("output", *capfd.readouterr())
    evidence.add_files(tmp_path)
    assert "/oauth/token" in evidence.text("log")
    assert evidence.leaks() == []


@pytest.mark.parametrize("case", [*CASES, "no token"])
@pytest.mark.parametrize("way", [Way("requests"), *(Way(name, "asyncio", debug=True) for name in ("httpx", "aiohttp"))])
def test_no_response_of_the_api_leaks_a_secret(way, case, evidence, tmp_path, capfd):
    grant, api = (refuses, accepts) if case == "no token" else (grants, ANSWERS[case][1])
    with Server(grant, api) as server:
        auth = way.auth(provider_of(server.url))
        error = error_of(lambda: send_once(way, auth, server.url))
        assert case == "no token" or any(ACCESS_TOKEN.encode() in request for request in server.api_requests)
    assert (error is None) == (case in {"good", "broken"}), error
    if error is not None:
        evidence.add("message", show.message(error))
        for ours, text in show.frames(error):
            evidence.add("traceback" if ours else FRAMES_OF_OTHERS, text)
    evidence.add("value", *(show.value(each) for each in (auth.provider, auth, vars(auth))))
    evidence.add("output", *capfd.readouterr())
    assert evidence.leaks() == []
    if case == "breaks" and way.library != "requests":  # so that what SECURITY.md says of it stays true
        assert evidence.allowed() == {(FRAMES_OF_OTHERS, "token")}


def send_once(way: Way, auth: object, url: str) -> None:
    (result,) = way.send(auth, "GET", f"{url}/v1/datasets", raises=True)
    if isinstance(result, Exception):
        raise result


def test_values_show_nothing(evidence, tmp_path):
    store, dump = FileStore(tmp_path / "store"), tmp_path / "faulthandler"
    with Server(grants) as server, dump.open("w") as file:
        server.on_request = lambda: faulthandler.dump_traceback(file, all_threads=True)
        provider = provider_of(server.url, store=store, httpx_args={"headers": {"X": CLIENT_SECRET}})
        token = provider.get_token()
        assert token.access_token == ACCESS_TOKEN
        assert "provider.py" in dump.read_text()
        sealed = SealedStore(store, CREDENTIALS, ("data",), server.url)
        for shown in (CREDENTIALS, token, Entry(token), provider, provider.stats(), UNHURRIED, store, sealed):
            evidence.add("value", show.value(shown))
            for part in getattr(shown, "__dict__", {}).values():
                evidence.add("value", repr(part))
    evidence.add_files(tmp_path)
    assert evidence.leaks() == []


@pytest.mark.parametrize("kind", [ClientCredentials, TokenProvider])
def test_what_the_constructor_refused_still_has_a_repr(kind):
    """Python 3.11 cannot print a traceback with locals if one of them has no repr."""
    assert repr(object.__new__(kind)) == f"{kind.__name__}()"


@pytest.mark.slow
@needs_redis
def test_a_real_redis_holds_no_secret(evidence, keep, tmp_path):
    """What it keeps, was sent and writes to the disk; then a wrong password, and no server."""
    evidence.look_for("Redis password", PASSWORD)
    evidence.look_for("Redis password", PASSWORD[::-1])
    options = ("--slowlog-log-slower-than", "0", "--slowlog-max-len", "10000", "--rdbcompression", "no")
    with Server(grants) as server, RedisServer(tmp_path, options) as redis:
        provider_of(server.url, store=RedisStore(redis.url)).get_token()
        redis.run("SAVE")
        with redis.client() as client:
            kept = [(key, client.get(key)) for key in client.scan_iter()]
            evidence.add("redis", *kept, client.slowlog_get(10000), client.client_list())
        assert "domo-oauth:" in evidence.text("redis")
        for url in (redis.url.replace(PASSWORD, PASSWORD[::-1]), f"redis://:{PASSWORD}@127.0.0.1:1/0"):
            store = RedisStore(url)
            provider_of(server.url, store=store).get_token()
            keep(error_of(lambda store=store: store.load("name")))
            evidence.add("value", repr(store), vars(store))
    assert "Continuing without the store" in evidence.text("log")
    evidence.add_files(tmp_path)
    assert evidence.leaks() == []


def har_of(answered: bytes, authorization: str) -> str:
    """What a browser saves with sensitive data."""
    head, _, body = answered.decode().partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    headers = [dict(zip(("name", "value"), field.split(": ", 1), strict=True)) for field in fields]
    url = f"https://api.domo.com/oauth/token?grant_type=client_credentials&client_secret={CLIENT_SECRET}"
    request = {"method": "GET", "url": url, "headers": [{"name": "Authorization", "value": authorization}]}
    response = {"status": int(status.split()[1]), "headers": headers, "content": {"text": body, "size": len(body)}}
    return json.dumps({"log": {"version": "1.2", "entries": [{"request": request, "response": response}]}})


def says_it_alone(_request: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{json.dumps(CLIENT_SECRET)}".encode()


def test_verify_says_nothing_of_what_a_capture_holds(evidence, tmp_path, capfd):
    value = f"Basic {show.basic(CLIENT_ID, CLIENT_SECRET)}"
    answers = (grants, refuses, is_broken, says_it_alone)
    files = [tmp_path / f"{grant.__name__}.har" for grant in answers]
    for file, grant in zip(files, answers, strict=True):
        file.write_text(har_of(grant(f"GET / HTTP/1.1\r\nAuthorization: {value}\r\n\r\n".encode()), value))
    assert cli.main(["verify", "--strict", *map(str, files)]) == 1
    evidence.add("output", *capfd.readouterr())
    assert evidence.text("output").count("1 exchange checked") == 4
    assert evidence.leaks() == []
