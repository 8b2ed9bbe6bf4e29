"""The generated client against a real server on loopback: every rule that its templates add, sync, asyncio and trio."""

import copy
import gzip
import itertools
import json
import logging
import os
import pickle
import re
import socketserver
import threading
import traceback
import tracemalloc
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Self

import anyio
import attrs
import httpx
import pytest
import stack_data

from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.client import environment_proxy
from domo_oauth_client.errors import ResponseValidationError, UnexpectedStatus, check_object
from domo_oauth_client.models import AccessTokenResponse, TokenError
from domo_oauth_client.types import UNSET, Response, Unset

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


class TestHttpxClient:
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
    "bytes that are no UTF-8": (http(200, b'{"access_token": "CANARY \xe4"}'), None, "expected JSON"),
    "charset that lies": (
        http(200, b'{"access_token": "CANARY \xe4"}', media_type="application/json; charset=utf-8"), None,
        "expected JSON",
    ),
    "charset that nobody knows": (
        http(200, b"\xff", media_type="application/json;charset=none"), None, "expected JSON",
    ),
    "charset that takes hours": (
        http(200, b"\xff" + b"a" * 500_000, media_type="application/json;charset=punycode"), None, "expected JSON",
    ),
    "array": (http(200, "[]"), None, "expected an object"),
    "null": (http(200, "null"), None, "expected an object"),
    "string": (http(200, '"CANARY"'), None, "expected an object"),
    "no access_token": (http(200, without("access_token")), "access_token", "expected a value"),
    "no token_type": (http(200, without("token_type")), "token_type", "expected a value"),
    "no expires_in": (http(200, without("expires_in")), "expires_in", "expected a value"),
    "null token": (http(200, GOOD | {"access_token": None}), "access_token", "expected string"),
    "empty token": (http(200, GOOD | {"access_token": ""}), "access_token", "matches ^[!-~]+$"),
    "token with CR LF": (http(200, GOOD | {"access_token": "CANARY\r\nX: y"}), "access_token", "matches"),
    "token with a newline at its end": (http(200, GOOD | {"access_token": "CANARY\n"}), "access_token", "matches"),
    "token as an array": (http(200, GOOD | {"access_token": ["CANARY"]}), "access_token", "expected string"),
    "another token type": (http(200, GOOD | {"token_type": "CANARY"}), "token_type", "matches"),
    "expires_in as a string": (http(200, GOOD | {"expires_in": "3599"}), "expires_in", "expected integer"),
    "expires_in as true": (http(200, GOOD | {"expires_in": True}), "expires_in", "expected integer"),
    "expires_in as a fraction": (http(200, GOOD | {"expires_in": 3599.0}), "expires_in", "expected integer"),
    "expires_in as null": (http(200, GOOD | {"expires_in": None}), "expires_in", "expected integer"),
    "negative expires_in": (http(200, GOOD | {"expires_in": -1}), "expires_in", "expected at least 0"),
    "expires_in beyond int64": (http(200, GOOD | {"expires_in": 2**63}), "expires_in", "expected at most"),
    "expires_in beyond float": (
        http(200, json.dumps(GOOD).replace("3599", "1e999")), "expires_in", "expected integer",
    ),
    "null in an optional field": (http(200, GOOD | {"scope": None}), "scope", "expected string"),
    "userId as a string": (http(200, GOOD | {"userId": "CANARY"}), "userId", "expected integer"),
}  # fmt: skip


def assert_holds_no_canary(error: BaseException) -> None:
    """Look for a canary in all that a person or a log would see of an error: text, chain and locals of our frames."""
    assert "CANARY" not in f"{error!s} {error!r} {''.join(traceback.format_exception(error))}"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "domo_oauth_client" in frame.f_code.co_filename:
            assert "CANARY" not in repr(frame.f_locals)
            assert "CANARY" not in repr(stack_data.FrameInfo(frame).variables)


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

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip", "x-gzip"])
    def test_that_cannot_be_unpacked_raises_the_same_error(self, server: Server, get: Get, coding: str) -> None:
        server.answer = http(200, "CANARY " * 1000, f"Content-Encoding: {coding}")
        with pytest.raises(ResponseValidationError, match=r"gzip|deflate") as caught:
            get(server.client())
        assert (caught.value.status_code, caught.value.field) == (200, None)
        assert_holds_no_canary(caught.value)

    def test_shows_its_body_only_on_request(self, server: Server, get: Get) -> None:
        server.answer = http(200, GOOD | {"expires_in": "CANARY"})
        with pytest.raises(ResponseValidationError) as caught:
            get(server.client())
        error = caught.value
        assert json.loads(error.content)["access_token"] == TOKEN
        assert "CANARY" not in f"{vars(error)} {error.args} {pickle.dumps(error)!r}"
        for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert (str(twin), twin.field, twin.status_code) == (str(error), "expires_in", 200)


class TestErrorAnswer:
    @pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 502, 503, 504])
    def test_that_the_contract_names_is_read(self, server: Server, get: Get, status: int) -> None:
        body = json.dumps({"error": "invalid_scope", "statusReason": "any", "new": 1}).encode()
        server.answer = http(status, zlib.compress(body), "Content-Encoding: deflate")
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
            http(401, b"x", "Content-Encoding: br"),
        ],
        ids=["empty", "HTML", "wrong type", "brackets", "no UTF-8", "breaks off", "no gzip", "brotli"],
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

    @pytest.mark.parametrize("location", ["mailto:x", "http://xn--zz-/", "//[::1"])
    def test_with_an_invalid_redirect_is_an_error_of_httpx(self, server: Server, get: Get, location: str) -> None:
        server.answer = http(302, b"", f"Location: {location}")
        with pytest.raises(httpx.RemoteProtocolError):
            get(server.client())

    @pytest.mark.parametrize("status", [204, 302, 520])
    def test_that_the_contract_does_not_name_raises_if_asked(self, server: Server, get: Get, status: int) -> None:
        server.answer = http(status, b"CANARY" if status != 204 else b"")
        with pytest.raises(UnexpectedStatus, match=str(status)) as caught:
            get(server.client(raise_on_unexpected_status=True))
        assert caught.value.status_code == status
        assert caught.value.content == (b"CANARY" if status != 204 else b"")
        assert "CANARY" not in f"{vars(caught.value)} {pickle.dumps(caught.value)!r}"
        assert pickle.loads(pickle.dumps(caught.value)).status_code == status
        assert_holds_no_canary(caught.value)


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body without an end that tells whether it was closed."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        return itertools.repeat(bytes(4096))

    def __aiter__(self) -> Self:  # not a generator: trio warns of those that are left before their end
        return self

    async def __anext__(self) -> bytes:
        return bytes(4096)

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


class TestSize:
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

    def test_needs_little_memory_for_a_bomb(self, server: Server) -> None:
        server.answer = http(200, gzip.compress(bytes(2**26)), "Content-Encoding: gzip")
        with server.client() as client:
            client.get_httpx_client()
            tracemalloc.start()
            try:
                with pytest.raises(ResponseValidationError):
                    get_access_token.sync(client=client)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert peak < 2**23

    def test_counts_bytes_that_decode_to_nothing(self, server: Server, get: Get) -> None:
        packer = zlib.compressobj(wbits=31)
        start, nothing = packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH), b"\x00\x00\x00\xff\xff" * 1000
        for status in (200, 401):
            head = (self.HEAD % status).replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
            server.answer = forever(head + start, nothing)
            if status == 200:
                with pytest.raises(ResponseValidationError, match="at most 1048576 bytes"):
                    get(server.client())
            else:
                assert get(server.client()).status_code == status


class TestOwnHttpx:
    """What people use in place of a server, or beside it."""

    @staticmethod
    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=GOOD)

    def test_a_mock_transport(self, get: Get) -> None:
        args = {"transport": httpx.MockTransport(self.handle)}
        response = get(AuthenticatedClient("https://api.example.com", username="id", password="p", httpx_args=args))
        assert isinstance(response.parsed, AccessTokenResponse)

    def test_a_mock_that_packs(self, get: Get) -> None:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        packed = httpx.Response(200, content=gzip.compress(json.dumps(GOOD).encode()), headers=headers)
        args = {"transport": httpx.MockTransport(lambda _: packed)}
        response = get(AuthenticatedClient("https://api.example.com", username="id", password="p", httpx_args=args))
        assert isinstance(response.parsed, AccessTokenResponse)

    def test_a_hook_that_reads_the_body(self, server: Server) -> None:
        read: list[bytes] = []
        server.answer = http(200, gzip.compress(json.dumps(GOOD).encode()), "Content-Encoding: gzip")
        hooks = {"response": [lambda response: read.append(response.read())]}
        with server.client(httpx_args={"event_hooks": hooks, "trust_env": False}) as client:
            assert isinstance(get_access_token.sync(client=client), AccessTokenResponse)
        assert read == [json.dumps(GOOD).encode()]


class TestPlainHttp:
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
    def test_is_for_loopback(self, get: Get, host: str) -> None:
        args = {"transport": httpx.MockTransport(TestOwnHttpx.handle)}
        client = AuthenticatedClient(f"http://{host}:80/base", username="id", password="p", httpx_args=args)
        assert get(client).status_code == 200

    @pytest.mark.parametrize(
        "host", ["api.example.com", "10.0.0.1", "localhost.example.com", "127.example.com", "[::2]"]
    )
    def test_is_refused_elsewhere(self, get: Get, host: str) -> None:
        requests: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            return httpx.Response(500)

        url, transport = f"http://{host}", httpx.MockTransport(handle)
        for_base_url = AuthenticatedClient(url, username="id", password="p", httpx_args={"transport": transport})
        for_args = AuthenticatedClient(
            "https://api.example.com", username="id", password="p", httpx_args={"transport": transport, "base_url": url}
        )
        own = AuthenticatedClient("https://api.example.com", username="id", password="p")
        own.set_httpx_client(httpx.Client(transport=transport, base_url=url))
        own.set_async_httpx_client(httpx.AsyncClient(transport=transport, base_url=url))
        for client in (for_base_url, for_args, own):
            with pytest.raises(httpx.UnsupportedProtocol, match="https://"):
                get(client)
        assert requests == []


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Set the variables about proxies, and none beside them."""

    def set_all(variables: dict[str, str]) -> None:
        for name in list(os.environ):
            if name.lower().endswith("_proxy"):
                monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


Environment = Callable[[dict[str, str]], None]
PROXY = "http://proxy.example.com:3128"


class TestProxyOfTheEnvironment:
    @pytest.mark.parametrize(
        ("variables", "url", "expected"),
        [
            ({}, "https://api.example.com", None),
            ({"HTTPS_PROXY": PROXY}, "https://api.example.com/path", PROXY),
            ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, "https://api.example.com", PROXY),
            ({"ALL_PROXY": PROXY}, "https://api.example.com", PROXY),
            ({"ALL_PROXY": "http://other", "HTTPS_PROXY": PROXY}, "https://api.example.com", PROXY),
            ({"HTTPS_PROXY": "proxy.example.com:3128"}, "https://api.example.com", PROXY),
            ({"HTTPS_PROXY": "user:p%40ss@proxy:3128"}, "https://api.example.com", "http://user:p%40ss@proxy:3128"),
            ({"ALL_PROXY": "socks5://proxy:1080"}, "https://api.example.com", "socks5://proxy:1080"),
            ({"HTTP_PROXY": PROXY}, "https://api.example.com", None),
            ({"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, "http://127.0.0.1", None),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, "https://api.example.com", None),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost, example.com"}, "https://api.example.com", None),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.com"}, "https://API.example.com:8443", None),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": "api.example.com:8443"}, "https://api.example.com:8443", None),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": "api.example.com:8443"}, "https://api.example.com", PROXY),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": "le.com,::1/128,fd00:1:2::/64"}, "https://api.example.com", PROXY),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": "::1"}, "https://[::1]:8443", None),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": "[::1]"}, "https://[::1]:8443", None),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": "[::1]"}, "https://[::1]", None),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": "[::1]"}, "https://[::2]", PROXY),
        ],
        ids=str,
    )
    def test_is_found(
        self, environment: Environment, variables: dict[str, str], url: str, expected: str | None
    ) -> None:
        environment(variables)
        assert environment_proxy(url) == environment_proxy(httpx.URL(url)) == expected

    @pytest.mark.parametrize("value", ["http://CANARY:p#w@proxy:3128", "ftp://CANARY:CANARY@proxy", "CANARY:p/w@proxy"])
    def test_that_is_invalid_is_not_shown(self, environment: Environment, value: str) -> None:
        environment({"HTTPS_PROXY": value})
        client = AuthenticatedClient("https://api.example.com", username="id", password="p")
        for make in (client.get_httpx_client, client.get_async_httpx_client):
            with pytest.raises(ValueError, match="Invalid proxy URL") as caught:
                make()
            assert_holds_no_canary(caught.value)

    @pytest.mark.parametrize("args", [{}, {"proxy": None}, {"trust_env": True}, {"mounts": {"http://": None}}], ids=str)
    def test_is_used(self, server: Server, get: Get, environment: Environment, args: Any) -> None:
        environment(
            {"HTTPS_PROXY": server.url.removeprefix("http://"), "NO_PROXY": "localhost,[::1],::1/128,fd00::/64"}
        )
        server.answer = http(502)
        with pytest.raises(httpx.ProxyError):
            get(AuthenticatedClient("https://api.example.com", username="id", password=PASSWORD, httpx_args=args))
        assert server.requests[0].startswith("CONNECT api.example.com:443 ")

    def test_is_not_used_for_plain_http(self, server: Server, get: Get, environment: Environment) -> None:
        environment({"HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"})
        assert get(AuthenticatedClient(server.url, username="id", password=PASSWORD)).status_code == 200

    @pytest.mark.parametrize(
        "args",
        [{"trust_env": False}, {"proxy": "http://127.0.0.1:1"}, {"transport": httpx.HTTPTransport(verify=False)}],
        ids=["trust_env", "proxy", "transport"],
    )
    def test_is_not_used_if_the_caller_says_so(self, server: Server, environment: Environment, args: Any) -> None:
        environment({"HTTPS_PROXY": server.url})
        client = AuthenticatedClient("https://127.0.0.1:1", username="id", password=PASSWORD, httpx_args=args)
        with pytest.raises(httpx.ConnectError):
            get_access_token.sync(client=client)
        assert server.requests == []

    def test_leaves_the_certificates_of_the_environment(
        self, environment: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        environment({"HTTPS_PROXY": PROXY})
        monkeypatch.setenv("SSL_CERT_FILE", "/none")
        client = AuthenticatedClient("https://api.example.com", username="id", password="p")
        with pytest.raises(FileNotFoundError):
            client.get_httpx_client()
        attrs.evolve(client, verify_ssl=False).get_httpx_client()


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

    @pytest.mark.parametrize("answer", [b"", http(200, GOOD)[:-5]], ids=["nothing", "part of the body"])
    def test_are_in_no_pickle_of_an_error_of_httpx(self, server: Server, get: Get, answer: bytes) -> None:
        server.answer = answer
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            get(server.client())
        shown = f"{pickle.dumps(caught.value)!r} {caught.value.request.headers.raw}"
        assert "oauth/token" in shown
        assert b64encode(f"id:{PASSWORD}".encode()).decode() not in shown

    def test_leave_an_error_of_a_hook_alone(self) -> None:
        def refuse(_: httpx.Request) -> None:
            raise httpx.ConnectError("refused")

        client = AuthenticatedClient(
            "https://api.example.com", username="id", password="p", httpx_args={"event_hooks": {"request": [refuse]}}
        )
        with pytest.raises(httpx.ConnectError, match="refused"):
            get_access_token.sync(client=client)

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
        assert twin.customer is UNSET
        assert copied(UNSET) is UNSET
        assert copied([UNSET])[0] is UNSET

    def test_is_equal_by_value(self) -> None:
        model = AccessTokenResponse.from_dict(self.full)
        assert model == AccessTokenResponse.from_dict(dict(reversed(self.full.items())))
        for changed in ({"access_token": "other"}, {"env": 1}, {"userId": 2}):
            assert model != AccessTokenResponse.from_dict(self.full | changed)

    def test_does_not_share_the_object_that_it_was_read_from(self) -> None:
        source = dict(self.full)
        model = AccessTokenResponse.from_dict(source)
        source["env"] = source["more"] = 1
        assert model.to_dict() == self.full

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

    def test_unset_is_false(self) -> None:
        assert not UNSET
        assert isinstance(UNSET, Unset)


class TestSchema:
    @pytest.mark.parametrize(
        ("schema", "good", "bad"),
        [
            ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "abc"], ["a", "abcd", None, 12]),
            ({"type": ["string", "null"]}, ["", None], [False]),
            ({"type": "string", "enum": ["a", "b"]}, ["a"], ["c", ""]),
            ({"type": "string", "pattern": "a"}, ["cab"], ["b"]),
            ({"type": "string", "pattern": r"^a\$"}, ["a$b"], ["a"]),
            ({"type": "string", "pattern": r"^\d$"}, ["1"], ["\u0661", "1\n"]),
            ({"type": "number", "minimum": 0.5, "maximum": 2}, [0.5, 1, 2], [0, 2.1, True, "1"]),
            ({"type": "integer", "enum": [1, 2]}, [1], [True, 3, 1.0]),
            ({"type": "integer", "format": "int32"}, [2**31 - 1, -(2**31)], [2**31, -(2**31) - 1]),
            ({"type": "integer", "format": "int64"}, [2**63 - 1, -(2**63)], [2**63, -(2**63) - 1]),
            ({"type": "integer"}, [10**1000], []),
            ({"type": "boolean"}, [True, False], [0, 1, "true"]),
            ({"type": "array"}, [[], [1, None]], [{}, "a"]),
            ({"type": "array", "items": {"type": "integer"}}, [[], [1]], [[True], {}, [1, "a"]]),
            ({"type": "object"}, [{}], [[], None]),
            ({}, [None, 1, "a", 1.5, {}], []),
        ],
        ids=str,
    )
    def test_tells_good_from_bad(self, schema: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
        for value in good:
            assert check_object({"a": value}, {"a": schema}, ["a"]) == {"a": value}
        for value in bad:
            with pytest.raises(ResponseValidationError) as caught:
                check_object({"a": value}, {"a": schema}, ["a"])
            assert caught.value.field == "a"
