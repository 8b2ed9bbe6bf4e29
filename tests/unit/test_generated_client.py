"""The generated client against a real server on loopback: every rule that its templates add, sync, asyncio and trio."""

import copy
import gzip
import json
import logging
import pickle
import re
import socketserver
import threading
import traceback
import zlib
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from typing import Any

import anyio
import attrs
import httpx
import pytest

from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.errors import ResponseValidationError, UnexpectedStatus
from domo_oauth_client.models import AccessTokenResponse, TokenError
from domo_oauth_client.types import UNSET, Response, Rule, Unset

TOKEN = "CANARY-token"
PASSWORD = "CANARY-password"
GOOD = {"access_token": TOKEN, "token_type": "bearer", "expires_in": 3599}

Answer = bytes | Iterable[bytes]
Get = Callable[[AuthenticatedClient], Response[AccessTokenResponse | TokenError]]


def http(
    status: int, body: bytes | str | dict[str, Any] = b"", *headers: str, media_type: str | None = "application/json"
) -> bytes:
    """Write a whole HTTP response."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(content)}", "Connection: close", *headers]
    if media_type is not None:
        lines.append(f"Content-Type: {media_type}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def forever(head: bytes, piece: bytes) -> Iterator[bytes]:
    """Write a response whose body has no end that anybody would wait for (64 MiB)."""
    yield head
    for _ in range(2**26 // len(piece)):
        yield piece


class Server(socketserver.ThreadingTCPServer):
    """Gives one answer, whatever is asked, and keeps the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Answer = http(200, GOOD)
        self.requests: list[str] = []
        self.hung_up = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def client(self, **options: Any) -> AuthenticatedClient:
        # No proxy of this machine comes between, and no time is spent on certificates that are not asked for.
        fixed: dict[str, Any] = {"username": "id", "password": PASSWORD, "verify_ssl": False}
        fixed["httpx_args"] = {"trust_env": False}
        return AuthenticatedClient(self.url, **(fixed | options))


class Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        lines = iter(self.rfile.readline, b"\r\n")
        self.server.requests.append(b"".join(lines).decode("latin-1"))
        answer = self.server.answer
        try:
            for part in [answer] if isinstance(answer, bytes) else answer:
                self.wfile.write(part)
        except OSError:
            self.server.hung_up.set()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def get(request: pytest.FixtureRequest) -> Get:
    """Make the request in each of the three ways."""
    way: str = request.param

    def in_thread(client: AuthenticatedClient) -> Response[AccessTokenResponse | TokenError]:
        with client:
            return get_access_token.sync_detailed(client=client)

    async def in_loop(client: AuthenticatedClient) -> Response[AccessTokenResponse | TokenError]:
        async with client:
            return await get_access_token.asyncio_detailed(client=client)

    return in_thread if way == "sync" else lambda client: anyio.run(in_loop, client, backend=way)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class TestRequest:
    def test_has_basic_authentication_accept_and_parameters(self, server: Server, get: Get) -> None:
        get(server.client(username="idé", password="pä:ss"))
        (request,) = server.requests
        assert request.startswith("GET /oauth/token?grant_type=client_credentials HTTP/1.1\r\n")
        assert "\r\nAccept: application/json\r\n" in request
        assert "\r\nAccept-Encoding: gzip, deflate\r\n" in request
        (credentials,) = re.findall("\r\nAuthorization: Basic (.*)\r\n", request)
        assert b64decode(credentials).decode() == "idé:pä:ss"

    def test_sends_scopes_as_given(self, server: Server) -> None:
        with server.client() as client:
            assert isinstance(get_access_token.sync(client=client, scope="data user"), AccessTokenResponse)
        assert "scope=data+user" in server.requests[0] or "scope=data%20user" in server.requests[0]

    def test_goes_where_it_is_told_each_time(self, server: Server) -> None:
        params = {"scope": "data"}
        with server.client() as client:
            for url, changed in [("/a", None), ("/a", None), ("/a", "user"), ("/b", "user"), ("/b", "audit")]:
                params |= {"scope": changed} if changed else {}
                client.request(method="get", url=url, params=params)
            client.request(method="get", url="/c?scope=data")
            client.get_httpx_client().base_url = f"{server.url}/base"
            client.request(method="get", url="/c?scope=data")
            client.get_httpx_client().params = {"always": "1"}
            client.request(method="get", url="/d", params=params)
        assert [request.split()[1] for request in server.requests] == [
            "/a?scope=data",
            "/a?scope=data",
            "/a?scope=user",
            "/b?scope=user",
            "/b?scope=audit",
            "/c?scope=data",
            "/base/c?scope=data",
            "/base/d?always=1&scope=audit",
        ]

    @pytest.mark.anyio
    async def test_asyncio_returns_the_body(self, server: Server) -> None:
        async with server.client() as client:
            parsed = await get_access_token.asyncio(client=client, grant_type="client_credentials")
        assert parsed == AccessTokenResponse(TOKEN, "bearer", 3599)

    def test_keeps_authentication_and_refuses_redirects_with_an_httpx_client_of_the_users(self, server: Server) -> None:
        server.answer = http(302, b"", "Location: /elsewhere")
        own = httpx.Client(base_url=server.url, follow_redirects=True, trust_env=False, auth=("other", "other"))
        with server.client().set_httpx_client(own) as client:
            response = get_access_token.sync_detailed(client=client)
        assert response.status_code == 302
        (request,) = server.requests
        assert b64decode(request.partition("Basic ")[2].partition("\r\n")[0]) == f"id:{PASSWORD}".encode()
        assert own.is_closed

    @pytest.mark.anyio
    async def test_keeps_authentication_with_an_async_httpx_client_of_the_users(self, server: Server) -> None:
        own = httpx.AsyncClient(base_url=server.url, follow_redirects=True, trust_env=False)
        async with server.client().set_async_httpx_client(own) as client:
            await get_access_token.asyncio_detailed(client=client)
        assert "Authorization: Basic " in server.requests[0]
        assert own.is_closed

    def test_has_the_options_of_the_client(self, server: Server, get: Get) -> None:
        get(server.client(headers={"X-One": "1"}, cookies={"two": "2"}))
        assert "X-One: 1\r\n" in server.requests[0]
        assert "Cookie: two=2\r\n" in server.requests[0]

    def test_httpx_args_win_over_options(self, server: Server, get: Get) -> None:
        args = {"headers": {"X-One": "args"}, "timeout": 7.0, "base_url": server.url, "verify": False}
        client = AuthenticatedClient(
            "http://192.0.2.1",
            username="id",
            password=PASSWORD,
            headers={"X-One": "option"},
            httpx_args=args | {"trust_env": False, "follow_redirects": True},
        )
        assert client.get_httpx_client().timeout == httpx.Timeout(7.0)
        get(client)
        assert "X-One: args\r\n" in server.requests[0]

    def test_waits_ten_seconds_by_default_and_as_long_as_it_is_told(self, server: Server) -> None:
        assert server.client().get_httpx_client().timeout == httpx.Timeout(10.0)
        assert server.client(timeout=None).get_async_httpx_client().timeout == httpx.Timeout(None)

    def test_is_limited_in_time(self, server: Server, get: Get) -> None:
        released = threading.Event()
        server.answer = (http(200, GOOD) for _ in iter(released.wait, None))
        with pytest.raises(httpx.ReadTimeout):
            get(server.client(timeout=0.05))
        released.set()

    def test_is_limited_in_time_until_the_header_is_there(self, server: Server, get: Get) -> None:
        server.answer = forever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 64)
        with pytest.raises(httpx.ReadTimeout, match="as a whole"):
            get(server.client(max_header_seconds=0.2))

    def test_is_limited_in_time_even_if_no_read_is(self, server: Server, get: Get) -> None:
        released = threading.Event()
        server.answer = (http(200, GOOD) for _ in iter(released.wait, None))
        with pytest.raises(httpx.ReadTimeout, match="as a whole"):
            get(server.client(timeout=None, max_header_seconds=0.2))
        released.set()

    def test_is_limited_in_time_before_it_is_connected(self, server: Server, get: Get) -> None:
        released = threading.Event()
        server.answer = (http(200, GOOD) for _ in iter(released.wait, None))
        with pytest.raises(httpx.ReadTimeout, match="as a whole"):
            get(server.client(timeout=None, max_header_seconds=0.0))
        released.set()

    def test_needs_no_thread(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: threading.Timer) -> None:
            raise RuntimeError

        monkeypatch.setattr(threading.Timer, "start", refuse)
        with server.client() as client:
            assert isinstance(get_access_token.sync(client=client), AccessTokenResponse)

    def test_leaves_no_thread_behind(self, server: Server) -> None:
        with server.client(max_header_seconds=3600.0) as client:
            get_access_token.sync(client=client)
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join(60.0)
                assert not thread.is_alive()


class TestHttpxClient:
    def test_is_one_for_eight_threads_that_come_first(self) -> None:
        client = AuthenticatedClient("https://api.example.com", username="id", password=PASSWORD)
        barrier = threading.Barrier(8)
        found: list[object] = []

        def come() -> None:
            barrier.wait()
            found.append((client.get_httpx_client(), client.get_async_httpx_client()))

        threads = [threading.Thread(target=come) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1

    def test_is_not_made_before_it_is_needed(self) -> None:
        with AuthenticatedClient("https://api.example.com", username="id", password=PASSWORD, verify_ssl="/none"):
            pass

    def test_of_a_changed_client_is_its_own(self, server: Server) -> None:
        first = server.client(headers={"X-One": "1"}, max_response_bytes=5000)
        first.get_httpx_client()
        second = attrs.evolve(first, timeout=3.0)
        assert second.get_httpx_client() is not first.get_httpx_client()
        assert second.get_httpx_client().timeout == httpx.Timeout(3.0)
        assert first.get_httpx_client().timeout == httpx.Timeout(10.0)
        with second:
            get_access_token.sync_detailed(client=second)
        assert second.max_response_bytes == 5000
        assert "X-One: 1\r\n" in server.requests[0]
        assert "Authorization: Basic " in server.requests[0]


class TestGoodAnswer:
    @pytest.mark.parametrize(
        "answer",
        [
            http(200, GOOD),
            http(200, b"\xef\xbb\xbf" + json.dumps(GOOD).encode()),
            http(200, GOOD, media_type="Application/JSON ; charset=UTF-8"),
            http(200, gzip.compress(json.dumps(GOOD).encode()), "Content-Encoding: gzip"),
            http(200, json.dumps(GOOD).encode("utf-16"), media_type="application/json;charset=utf-16"),
            http(200, GOOD | {"token_type": "BEARER", "expires_in": 0}),
        ],
        ids=["plain", "byte-order mark", "media type in capitals", "gzip", "utf-16", "edge values"],
    )
    def test_is_read(self, server: Server, get: Get, answer: bytes) -> None:
        server.answer = answer
        response = get(server.client())
        assert isinstance(response.parsed, AccessTokenResponse)
        assert response.parsed.access_token == TOKEN
        assert response.parsed.scope is UNSET

    def test_is_read_in_the_charset_that_it_names(self, server: Server, get: Get) -> None:
        body = json.dumps(GOOD | {"customer": "Söhne"}, ensure_ascii=False).encode("latin-1")
        server.answer = http(200, body, media_type="application/json; charset=ISO-8859-1")
        parsed = get(server.client()).parsed
        assert isinstance(parsed, AccessTokenResponse)
        assert parsed.customer == "Söhne"

    def test_keeps_every_header_and_the_decoded_body(self, server: Server, get: Get) -> None:
        body = json.dumps(GOOD).encode()
        server.answer = http(200, gzip.compress(body), "Content-Encoding: gzip", "Pragma: a", "Pragma: b")
        response = get(server.client())
        assert response.content == body
        assert response.headers.get_list("pragma") == ["a", "b"]
        assert type(response.status_code) is int

    def test_keeps_fields_that_the_contract_does_not_name(self, server: Server, get: Get) -> None:
        server.answer = http(200, GOOD | {"env": "prod1", "more": [1, {"a": None}]})
        parsed = get(server.client()).parsed
        assert isinstance(parsed, AccessTokenResponse)
        assert parsed.additional_properties == {"env": "prod1", "more": [1, {"a": None}]}


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != field}


BROKEN: dict[str, tuple[bytes, str | None, str]] = {
    # what is wrong: the answer, the field at fault, the reason
    "HTML": (http(200, "<html>CANARY</html>", media_type="text/html"), None, "expected media type application/json"),
    "no media type": (http(200, GOOD, media_type=None), None, "expected media type application/json"),
    "odd media type": (http(200, GOOD, media_type="json"), None, "expected media type application/json"),
    "two media types": (http(200, GOOD, "Content-Type: text/html"), None, "expected media type application/json"),
    "empty": (http(200, b""), None, "expected JSON"),
    "cut off": (http(200, json.dumps(GOOD)[:-5]), None, "expected JSON"),
    "HTML as JSON": (http(200, "<html>CANARY</html>"), None, "expected JSON"),
    "100,000 brackets": (http(200, "[" * 100_000), None, "expected JSON"),
    "100,000 objects": (http(200, '{"a":' * 100_000), None, "expected JSON"),
    "10,000 digits": (http(200, '{"expires_in": %s}' % ("9" * 10_000)), None, "expected JSON"),
    "NaN": (http(200, GOOD | {"expires_in": float("nan")}), None, "expected JSON"),
    "Infinity": (http(200, GOOD | {"more": float("inf")}), None, "expected JSON"),
    "bytes that are no UTF-8": (http(200, b'{"access_token": "CANARY \xe4"}'), None, "expected UTF-8"),
    "charset that lies": (
        http(200, b'{"access_token": "CANARY \xe4"}', media_type="application/json; charset=utf-8"), None,
        "expected UTF-8",
    ),
    "charset that nobody knows": (
        http(200, b"\xff", media_type="application/json;charset=none"), None, "expected UTF-8",
    ),
    "charset that takes hours": (
        http(200, b"\xff" + b"a" * 500_000, media_type="application/json;charset=punycode"), None, "expected UTF-8",
    ),
    "array": (http(200, "[]"), None, "expected an object"),
    "null": (http(200, "null"), None, "expected an object"),
    "string": (http(200, '"CANARY"'), None, "expected an object"),
    "no access_token": (http(200, without("access_token")), "access_token", "required"),
    "no token_type": (http(200, without("token_type")), "token_type", "required"),
    "no expires_in": (http(200, without("expires_in")), "expires_in", "required"),
    "null token": (http(200, GOOD | {"access_token": None}), "access_token", "expected a string"),
    "empty token": (http(200, GOOD | {"access_token": ""}), "access_token", "matches ^[!-~]+$"),
    "token with CR LF": (http(200, GOOD | {"access_token": "CANARY\r\nX: y"}), "access_token", "matches"),
    "token with a newline at its end": (http(200, GOOD | {"access_token": "CANARY\n"}), "access_token", "matches"),
    "token as an array": (http(200, GOOD | {"access_token": ["CANARY"]}), "access_token", "expected a string"),
    "another token type": (http(200, GOOD | {"token_type": "CANARY"}), "token_type", "matches"),
    "expires_in as a string": (http(200, GOOD | {"expires_in": "3599"}), "expires_in", "expected an integer"),
    "expires_in as true": (http(200, GOOD | {"expires_in": True}), "expires_in", "expected an integer"),
    "expires_in as a fraction": (http(200, GOOD | {"expires_in": 3599.0}), "expires_in", "expected an integer"),
    "expires_in as null": (http(200, GOOD | {"expires_in": None}), "expires_in", "expected an integer"),
    "negative expires_in": (http(200, GOOD | {"expires_in": -1}), "expires_in", "expected at least 0"),
    "expires_in beyond int64": (http(200, GOOD | {"expires_in": 2**63}), "expires_in", "expected at most"),
    "expires_in beyond float": (
        http(200, json.dumps(GOOD).replace("3599", "1e999")), "expires_in", "expected an integer",
    ),
    "null in an optional field": (http(200, GOOD | {"scope": None}), "scope", "expected a string"),
    "userId as a string": (http(200, GOOD | {"userId": "CANARY"}), "userId", "expected an integer"),
}  # fmt: skip


def assert_holds_no_canary(error: BaseException) -> None:
    """Look for a canary in all that a person or a log would see of an error: text, chain and locals of our frames."""
    assert "CANARY" not in f"{error!s} {error!r} {''.join(traceback.format_exception(error))}"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "domo_oauth_client" in frame.f_code.co_filename:
            assert "CANARY" not in repr(frame.f_locals)


class TestBrokenAnswer:
    @pytest.mark.parametrize(("answer", "field", "reason"), BROKEN.values(), ids=BROKEN)
    def test_raises_one_error_that_names_the_field(
        self, server: Server, get: Get, answer: bytes, field: str | None, reason: str
    ) -> None:
        server.answer = answer
        with pytest.raises(ResponseValidationError) as caught:
            get(server.client())
        error = caught.value
        assert (error.status_code, error.field) == (200, field)
        assert reason in error.reason
        assert error.reason in str(error)
        assert field is None or field in str(error)
        assert_holds_no_canary(error)

    def test_that_breaks_off_is_an_error_of_httpx(self, server: Server, get: Get) -> None:
        server.answer = http(200, GOOD)[:-5]
        with pytest.raises(httpx.RemoteProtocolError):
            get(server.client())

    def test_that_cannot_be_unpacked_is_an_error_of_httpx(self, server: Server, get: Get) -> None:
        server.answer = http(200, GOOD, "Content-Encoding: gzip")
        with pytest.raises(httpx.DecodingError):
            get(server.client())

    @pytest.mark.parametrize("codings", [["gzip, gzip"], ["gzip", "deflate"], ["br"], ["x-gzip"]], ids=str)
    def test_that_could_be_a_larger_bomb_is_not_unpacked(self, server: Server, get: Get, codings: list[str]) -> None:
        bomb = gzip.compress(gzip.compress(bytes(2**25)))
        server.answer = http(200, bomb, *(f"Content-Encoding: {coding}" for coding in codings))
        with pytest.raises(httpx.DecodingError, match="gzip or deflate"):
            get(server.client())
        server.answer = server.answer.replace(b" 200 ", b" 401 ")
        response = get(server.client())
        assert (response.status_code, response.content) == (401, b"")

    def test_is_not_searched_for_a_charset_far_into_the_media_type(self, server: Server, get: Get) -> None:
        media_type = "application/json; a=" + "b" * 256 + "; charset=iso-8859-1"
        server.answer = http(200, b'"\xe9"', media_type=media_type)
        with pytest.raises(ResponseValidationError, match="expected UTF-8"):
            get(server.client())

    def test_error_survives_pickle(self) -> None:
        error = ResponseValidationError("expected JSON", "a")
        error.status_code = 200
        twin = pickle.loads(pickle.dumps(error))
        assert (str(twin), twin.field, twin.status_code) == (str(error), "a", 200)


class TestErrorAnswer:
    @pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 502, 503, 504])
    def test_that_the_contract_names_is_read(self, server: Server, get: Get, status: int) -> None:
        server.answer = http(status, {"error": "invalid_scope", "statusReason": "any", "new": 1})
        response = get(server.client(raise_on_unexpected_status=True))
        assert response.status_code == status
        assert isinstance(response.parsed, TokenError)
        assert response.parsed.status_reason == "any"

    @pytest.mark.parametrize(
        "answer",
        [
            http(401, b""),
            http(401, b"<html>", media_type="text/html"),
            http(401, {"error": 1}),
            http(401, "[" * 100_000),
            http(401, b"\xff"),
            http(401, {"error": "a"})[:-5],
            http(401, b"x", "Content-Encoding: gzip"),
        ],
        ids=["empty", "HTML", "wrong type", "brackets", "no UTF-8", "breaks off", "no gzip"],
    )
    def test_with_another_body_keeps_its_status(self, server: Server, get: Get, answer: bytes) -> None:
        server.answer = answer
        response = get(server.client())
        assert (response.status_code, response.parsed) == (401, None)
        assert response.headers["Connection"] == "close"
        assert answer.endswith(response.content)

    @pytest.mark.parametrize("status", [201, 204, 302, 304, 404, 418, 520, 999])
    def test_that_the_contract_does_not_name_has_nothing_parsed(self, server: Server, get: Get, status: int) -> None:
        server.answer = http(status, {} if status not in {204, 304} else b"", "Location: http://127.0.0.1:1/")
        response = get(server.client())
        assert (response.status_code, response.parsed) == (status, None)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [204, 302, 520])
    def test_that_the_contract_does_not_name_raises_if_asked(self, server: Server, get: Get, status: int) -> None:
        server.answer = http(status, b"CANARY" if status != 204 else b"")
        with pytest.raises(UnexpectedStatus, match=str(status)) as caught:
            get(server.client(raise_on_unexpected_status=True))
        assert caught.value.status_code == status
        assert pickle.loads(pickle.dumps(caught.value)).status_code == status
        assert_holds_no_canary(caught.value)


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body without an end that tells whether it was closed."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield bytes(4096)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield bytes(4096)

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


class TestSizeAndTime:
    HEAD = b"HTTP/1.1 %d Any\r\nContent-Type: application/json\r\n\r\n"

    def test_of_a_success_has_a_limit(self, server: Server, get: Get) -> None:
        server.answer = forever(self.HEAD % 200, b"CANARY  " * 512)
        with pytest.raises(ResponseValidationError, match="expected at most 1048576 bytes") as caught:
            get(server.client())
        assert (caught.value.status_code, caught.value.field) == (200, None)
        assert_holds_no_canary(caught.value)

    @pytest.mark.parametrize("way", ["sync", "asyncio", "trio"])
    def test_closes_the_stream_before_the_client_is_closed(self, way: str) -> None:
        stream = Stream()
        transport = httpx.MockTransport(
            lambda request: httpx.Response(200, headers={"Content-Type": "application/json"}, stream=stream)
        )
        client = AuthenticatedClient(
            "http://127.0.0.1", username="id", password=PASSWORD, httpx_args={"transport": transport}
        )
        ask: Callable[[], Any] = partial(
            get_access_token.sync if way == "sync" else get_access_token.asyncio, client=client
        )
        with pytest.raises(ResponseValidationError):
            ask() if way == "sync" else anyio.run(ask, backend=way)
        assert stream.closed

    def test_of_an_error_is_cut_off(self, server: Server, get: Get) -> None:
        server.answer = forever(self.HEAD % 503, b" " * 4096)
        response = get(server.client(max_response_bytes=1000))
        assert (response.status_code, response.parsed, response.content) == (503, None, b" " * 1000)

    def test_up_to_the_limit_is_read(self, server: Server, get: Get) -> None:
        size = len(json.dumps(GOOD))
        assert get(server.client(max_response_bytes=size)).parsed is not None
        with pytest.raises(ResponseValidationError):
            get(server.client(max_response_bytes=size - 1))

    def test_counts_after_decompression(self, server: Server, get: Get) -> None:
        server.answer = http(200, gzip.compress(bytes(2**25)), "Content-Encoding: gzip")
        with pytest.raises(ResponseValidationError, match="at most 1048576 bytes"):
            get(server.client())

    def test_needs_little_memory_for_a_bomb(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        largest = 0
        unpack = httpx.Response.iter_bytes

        def watched(response: httpx.Response) -> Iterator[bytes]:
            nonlocal largest
            for chunk in unpack(response):
                largest = max(largest, len(chunk))
                yield chunk

        monkeypatch.setattr(httpx.Response, "iter_bytes", watched)
        server.answer = http(200, gzip.compress(bytes(2**25)), "Content-Encoding: gzip")
        with pytest.raises(ResponseValidationError), server.client() as client:
            get_access_token.sync(client=client)
        assert 0 < largest <= 2**21

    def test_of_a_success_has_a_time_limit(self, server: Server, get: Get) -> None:
        server.answer = forever(self.HEAD % 200, b" " * 4096)
        with pytest.raises(httpx.ReadTimeout):
            get(server.client(max_response_seconds=0.0, max_response_bytes=2**40))

    def test_is_limited_though_the_bytes_stand_for_nothing(self, server: Server, get: Get) -> None:
        packer = zlib.compressobj(wbits=31)
        start, nothing = packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH), b"\x00\x00\x00\xff\xff" * 1000
        head = (self.HEAD % 200).replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
        server.answer = forever(head + start, nothing)
        with pytest.raises(httpx.ReadTimeout):
            get(server.client(max_response_seconds=0.0))

    def test_of_an_error_is_cut_off_in_time(self, server: Server, get: Get) -> None:
        server.answer = forever(self.HEAD % 401, b" " * 4096)
        response = get(server.client(max_response_seconds=0.0, max_response_bytes=2**40))
        assert (response.status_code, response.parsed) == (401, None)
        assert len(response.content) < 2**26


class TestSecrets:
    def test_are_in_no_repr_of_a_client(self) -> None:
        client = AuthenticatedClient(
            "https://user:CANARY@api.example.com",
            username="CANARY",
            password="CANARY",
            headers={"X": "CANARY"},
            cookies={"x": "CANARY"},
            httpx_args={"proxy": "http://user:CANARY@127.0.0.1:1"},
        )
        client.get_httpx_client()
        assert "api.example.com" in repr(client)
        assert "CANARY" not in repr(client)

    def test_are_in_no_repr_of_a_response(self, server: Server, get: Get) -> None:
        server.answer = http(200, GOOD | {"env": "CANARY"}, "Set-Cookie: a=CANARY")
        response = get(server.client())
        assert "3599" in repr(response)
        assert "CANARY" not in repr(response)

    def test_are_in_no_model_however_it_is_shown(self) -> None:
        model = AccessTokenResponse.from_dict(GOOD | {"env": "CANARY"})
        assert "CANARY" not in f"{model} {model!r} {[model]} {model.additional_properties.keys()}"
        with pytest.raises(TypeError):
            vars(model)

    def test_are_in_no_log(self, server: Server, get: Get, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        get(server.client())
        assert "/oauth/token" in caplog.text
        assert "CANARY" not in caplog.text
        assert "Basic " not in caplog.text


class TestModel:
    full = GOOD | {"scope": "data", "userId": 1, "env": {"a": [1]}}

    @pytest.mark.parametrize(
        "copied",
        [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
        ids=["copy", "deepcopy", "pickle"],
    )
    def test_can_be_copied(self, copied: Callable[[Any], Any]) -> None:
        model = AccessTokenResponse.from_dict(self.full)
        twin = copied(model)
        assert twin is not model
        assert twin == model
        assert hash(twin) == hash(model)
        assert twin.customer is UNSET
        assert copied(UNSET) is UNSET
        assert copied([UNSET])[0] is UNSET

    def test_is_equal_by_value(self) -> None:
        model = AccessTokenResponse.from_dict(self.full)
        assert model == AccessTokenResponse.from_dict(dict(reversed(self.full.items())))
        for changed in ({"access_token": "other"}, {"env": 1}, {"userId": 2}):
            assert model != AccessTokenResponse.from_dict(self.full | changed)

    def test_cannot_be_changed(self) -> None:
        model: Any = AccessTokenResponse.from_dict(self.full)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            model.access_token = "other"
        with pytest.raises(AttributeError):
            model.other = 1
        with pytest.raises(TypeError):
            model.additional_properties["env"] = 1
        with pytest.raises(TypeError):
            model["env"] = 1
        with pytest.raises(TypeError):
            del model["env"]

    def test_does_not_share_the_object_that_it_was_read_from(self) -> None:
        source = dict(self.full)
        model = AccessTokenResponse.from_dict(source)
        source["env"] = source["more"] = 1
        assert model.to_dict() == self.full

    def test_does_not_share_the_fields_that_it_was_made_with(self) -> None:
        extra = {"env": 1}
        model = AccessTokenResponse(TOKEN, "bearer", 3599, additional_properties=extra)
        extra["env"] = 2
        assert model.additional_properties == {"env": 1}
        twin = AccessTokenResponse(TOKEN, "bearer", 3599, additional_properties=model.additional_properties)
        assert pickle.loads(pickle.dumps(twin)) == model

    def test_goes_back_to_the_object_that_it_came_from(self) -> None:
        assert AccessTokenResponse.from_dict(self.full).to_dict() == self.full
        assert TokenError.from_dict({}).to_dict() == {}

    def test_names_the_field_at_fault_without_a_response(self) -> None:
        with pytest.raises(
            ResponseValidationError, match=r"^The response breaks the contract in expires_in: "
        ) as caught:
            AccessTokenResponse.from_dict(GOOD | {"expires_in": "CANARY"})
        assert caught.value.status_code is None

    def test_tells_types_units_and_secrets_in_its_docstring(self) -> None:
        text = " ".join((AccessTokenResponse.__doc__ or "").split())
        assert "expires_in (int): Lifetime of the token in seconds" in text
        assert "access_token (str): The token. Opaque" in text

    def test_unset_is_false_and_shown_by_its_name(self) -> None:
        assert not UNSET
        assert (repr(UNSET), repr([UNSET])) == ("UNSET", "[UNSET]")
        assert isinstance(UNSET, Unset)


class TestRule:
    @pytest.mark.parametrize(
        ("rule", "good", "bad"),
        [
            (Rule(type="string", min_length=2, max_length=3), ["ab", "abc"], ["a", "abcd", None, 12]),
            (Rule(type="string", nullable=True), ["", None], [False]),
            (Rule(type="string", enum=("a", "b")), ["a"], ["c", ""]),
            (Rule(type="string", pattern="a"), ["cab"], ["b"]),
            (Rule(type="string", pattern=r"^(a|b$)\$[$]$"), ["a$$"], ["a$$\n", "a$"]),
            (Rule(type="string", pattern=r"^\d$"), ["1"], ["\u0661", "1\n"]),
            (Rule(type="number", minimum=0.5, maximum=2), [0.5, 1, 2], [0, 2.1, True, "1"]),
            (Rule(type="integer", enum=(1, 2)), [1], [True, 3, 1.0]),
            (Rule(type="boolean"), [True, False], [0, 1, "true"]),
            (Rule(type="array", items=Rule(type="integer")), [[], [1]], [[True], {}, [1, "a"]]),
            (Rule(type="object"), [{}], [[], None]),
            (Rule(), [None, 1, "a"], []),
        ],
        ids=str,
    )
    def test_tells_good_from_bad(self, rule: Rule, good: list[Any], bad: list[Any]) -> None:
        assert [rule.missed_by(value) for value in good] == [None] * len(good)
        assert all(rule.missed_by(value) for value in bad)
