"""The generated client on its own: what our templates add, on threads, asyncio and trio, against a real server."""

from __future__ import annotations

import copy
import gzip
import itertools
import json
import logging
import os
import pickle
import traceback
import tracemalloc
import zlib
from base64 import b64decode, b64encode

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
from domo_oauth_client.types import UNSET, Unset

TOKEN, PASSWORD = "CANARY-token", "CANARY-password"
GOOD = {"access_token": TOKEN, "token_type": "bearer", "expires_in": 3599}
ERROR = {"error": "invalid_scope", "statusReason": "any", "new": 1}
HEAD = b"HTTP/1.1 %d Any\r\nContent-Type: application/json\r\n%s\r\n"
WAYS = ["sync", "asyncio", "trio"]


def http(status, body=b"", *headers, media_type="application/json"):
    """A whole HTTP response."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(content)}", "Connection: close", *headers]
    lines += [f"Content-Type: {media_type}"] if media_type is not None else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def packed(body=GOOD):
    return gzip.compress(json.dumps(body).encode())


def ask(way, client, **args):
    """Make a request with a client, and close it."""

    async def in_loop():
        async with client:
            return await get_access_token.asyncio_detailed(client=client, **args)

    if way != "sync":
        return anyio.run(in_loop, backend=way)
    with client:
        return get_access_token.sync_detailed(client=client, **args)


def new(url="https://api.example.com", **args):
    """A client. Without a proxy and certificates, which most tests need not load, unless `httpx_args` are given."""
    fixed = {"username": "id", "password": PASSWORD, "verify_ssl": False, "httpx_args": {"trust_env": False}}
    return AuthenticatedClient(url, **fixed | args)


@pytest.fixture
def server(wire):
    return wire(http(200, GOOD))


@pytest.fixture(params=WAYS)
def get(request, server):
    """Get an answer from the server, in each way."""
    return lambda answer=None, **args: answered(server, answer, request.param, **args)


def answered(server, answer=None, way="sync", **args):
    server.answer = answer or server.answer
    return ask(way, new(server.url, **args))


def shown(error):
    """What a person or a log may see of an error: text, chain, pickle, and the locals in our frames."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if "domo_oauth_client" in frame.f_code.co_filename]
    values = [(frame.f_locals, stack_data.FrameInfo(frame).variables) for frame in ours]
    return f"{error} {error!r} {vars(error)} {traceback.format_exception(error)} {pickle.dumps(error)!r} {values}"


# Requests.


def test_a_request(get, server):
    parsed = get(username="idé", password="pä:ss", headers={"X-One": "1"}, cookies={"two": "2"}).parsed
    assert parsed == AccessTokenResponse(TOKEN, "bearer", 3599)
    (request,) = server.requests
    head, *lines = request.decode().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert head == "GET /oauth/token?grant_type=client_credentials HTTP/1.1"
    assert (headers["Accept"], headers["Accept-Encoding"]) == ("application/json", "gzip, deflate")
    assert (headers["X-One"], headers["Cookie"]) == ("1", "two=2")
    assert b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == "idé:pä:ss"


@pytest.mark.anyio
async def test_the_short_forms_return_the_body(server):
    with new(server.url) as client:
        sync = get_access_token.sync(client=client, scope="data user")
    async with new(server.url) as client:
        assert await get_access_token.asyncio(client=client, grant_type="client_credentials") == sync
    assert sync == AccessTokenResponse(TOKEN, "bearer", 3599)
    assert b"scope=data+user" in server.requests[0]


@pytest.mark.parametrize("way", WAYS)
def test_an_httpx_client_of_your_own_gets_our_authentication_and_no_redirects(server, way):
    server.answer = http(302, b"", "Location: /elsewhere")
    args = {"base_url": server.url, "follow_redirects": True, "trust_env": False, "verify": False}
    own, own_async = httpx.Client(**args, auth=("other", "other")), httpx.AsyncClient(**args)
    response = ask(way, new().set_httpx_client(own).set_async_httpx_client(own_async))
    assert response.status_code == 302
    (request,) = server.requests
    assert b64encode(f"id:{PASSWORD}".encode()) in request
    assert (own if way == "sync" else own_async).is_closed


def test_httpx_args_win_over_options(server):
    args = {"headers": {"X-One": "args"}, "timeout": 7.0, "base_url": server.url, "trust_env": False}
    client = new("http://192.0.2.1", headers={"X-One": "option"}, httpx_args=args | {"follow_redirects": True})
    assert client.get_httpx_client().timeout == httpx.Timeout(7.0)
    ask("sync", client)
    assert b"X-One: args\r\n" in server.requests[0]


def test_the_timeout_is_ten_seconds_unless_given(server, get, wire):
    assert new().get_httpx_client().timeout == httpx.Timeout(10.0)
    assert new(timeout=None).get_async_httpx_client().timeout == httpx.Timeout(None)
    server.then = "hang"
    with pytest.raises(httpx.ReadTimeout):
        get(http(200, GOOD)[:-1], timeout=0.05)


def test_the_httpx_client_is_made_when_needed_and_not_shared_with_a_changed_client(server):
    with AuthenticatedClient("https://api.example.com", username="id", password=PASSWORD, verify_ssl="/none"):
        pass
    first = new(server.url, headers={"X-One": "1"}, max_response_bytes=5000)
    first.get_httpx_client()
    second = attrs.evolve(first, timeout=3.0)
    assert second.get_httpx_client().timeout == httpx.Timeout(3.0)
    assert first.get_httpx_client().timeout == httpx.Timeout(10.0)
    ask("sync", second)
    assert b"X-One: 1\r\n" in server.requests[0]
    assert b"Authorization: Basic " in server.requests[0]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_plain_http_is_for_loopback(host):
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=GOOD))
    assert ask("sync", new(f"http://{host}:80/base", httpx_args={"transport": transport})).status_code == 200


ELSEWHERE = ["api.example.com", "10.0.0.1", "localhost.example.com", "127.example.com", "[::2]"]


@pytest.mark.parametrize(("way", "host"), [*zip([*WAYS, "sync", "sync"], ELSEWHERE, strict=True)])
def test_plain_http_is_refused_elsewhere(host, way):
    requests = []
    url, transport = f"http://{host}", httpx.MockTransport(requests.append)
    own = new().set_httpx_client(httpx.Client(transport=transport, base_url=url))
    own.set_async_httpx_client(httpx.AsyncClient(transport=transport, base_url=url))
    args = {"transport": transport}
    for client in (own, new(url, httpx_args=args), new(httpx_args=args | {"base_url": url})):
        with pytest.raises(httpx.UnsupportedProtocol, match="https://"):
            ask(way, client)
    assert requests == []


# Answers.

GRANTED = {
    "plain": http(200, GOOD),
    "byte-order mark": http(200, b"\xef\xbb\xbf" + json.dumps(GOOD).encode()),
    "media type in capitals": http(200, GOOD, media_type="Application/JSON ; charset=UTF-8"),
    "gzip": http(200, packed(), "Content-Encoding: gzip"),
    "UTF-16": http(200, json.dumps(GOOD).encode("utf-16"), media_type="application/json;charset=utf-16"),
    "limits": http(200, GOOD | {"token_type": "BEARER", "expires_in": 0}),
    "Latin-1": http(
        200, '{"customer": "Söhne", %s'.encode("latin-1") % json.dumps(GOOD)[1:].encode(),
        media_type="application/json; charset=ISO-8859-1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("answer", GRANTED.values(), ids=GRANTED)
def test_a_token_is_read(server, answer):
    parsed = answered(server, answer).parsed
    assert isinstance(parsed, AccessTokenResponse)
    assert parsed.access_token == TOKEN
    assert parsed.scope is UNSET
    assert parsed.customer in {UNSET, "Söhne"}


def test_headers_body_and_unknown_fields_are_kept(get):
    body = GOOD | {"env": "prod1", "more": [1, {"a": None}]}
    response = get(http(200, packed(body), "Content-Encoding: gzip", "Pragma: a", "Pragma: b"))
    assert json.loads(response.content) == body
    assert response.headers.get_list("pragma") == ["a", "b"]
    assert response.parsed.additional_properties == {"env": "prod1", "more": [1, {"a": None}]}
    assert type(response.status_code) is int


def but(**changes):
    return http(200, {name: value for name, value in (GOOD | changes).items() if value is not ...})


MEDIA_TYPE, JSON, INTEGER = "expected media type application/json", "expected JSON", "expected integer"
BROKEN = {
    # what is wrong: the answer, the field at fault, the reason
    "HTML": (http(200, "<html>CANARY</html>", media_type="text/html"), None, MEDIA_TYPE),
    "no media type": (http(200, GOOD, media_type=None), None, MEDIA_TYPE),
    "odd media type": (http(200, GOOD, media_type="json"), None, MEDIA_TYPE),
    "two media types": (http(200, GOOD, "Content-Type: text/html"), None, MEDIA_TYPE),
    "empty": (http(200), None, JSON),
    "cut off": (http(200, json.dumps(GOOD)[:-5]), None, JSON),
    "HTML as JSON": (http(200, "<html>CANARY</html>"), None, JSON),
    "100,000 brackets": (http(200, "[" * 100_000), None, JSON),
    "100,000 objects": (http(200, '{"a":' * 100_000), None, JSON),
    "10,000 digits": (http(200, '{"expires_in": %s}' % ("9" * 10_000)), None, JSON),
    "NaN": (but(expires_in=float("nan")), None, JSON),
    "Infinity": (but(more=float("inf")), None, JSON),
    "not UTF-8": (http(200, b'{"access_token": "CANARY \xe4"}'), None, JSON),
    "wrong charset": (http(200, b'"CANARY \xe4"', media_type="application/json; charset=utf-8"), None, JSON),
    "unknown charset": (http(200, b"\xff", media_type="application/json;charset=none"), None, JSON),
    "slow charset": (http(200, b"\xff" + bytes(500_000), media_type="application/json;charset=punycode"), None, JSON),
    "array": (http(200, "[]"), None, "expected an object"),
    "null": (http(200, "null"), None, "expected an object"),
    "string": (http(200, '"CANARY"'), None, "expected an object"),
    "no access_token": (but(access_token=...), "access_token", "expected a value"),
    "no token_type": (but(token_type=...), "token_type", "expected a value"),
    "no expires_in": (but(expires_in=...), "expires_in", "expected a value"),
    "token null": (but(access_token=None), "access_token", "expected string"),
    "token empty": (but(access_token=""), "access_token", "matches ^[!-~]+$"),
    "token with a header": (but(access_token="CANARY\r\nX: y"), "access_token", "matches"),
    "token with a newline": (but(access_token="CANARY\n"), "access_token", "matches"),
    "token an array": (but(access_token=["CANARY"]), "access_token", "expected string"),
    "another token type": (but(token_type="CANARY"), "token_type", "matches"),
    "expires_in a string": (but(expires_in="3599"), "expires_in", INTEGER),
    "expires_in true": (but(expires_in=True), "expires_in", INTEGER),
    "expires_in a fraction": (but(expires_in=3599.0), "expires_in", INTEGER),
    "expires_in beyond float": (http(200, json.dumps(GOOD).replace("3599", "1e999")), "expires_in", INTEGER),
    "expires_in negative": (but(expires_in=-1), "expires_in", "expected at least 0"),
    "expires_in beyond int64": (but(expires_in=2**63), "expires_in", "expected at most"),
    "scope null": (but(scope=None), "scope", "expected string"),
    "userId a string": (but(userId="CANARY"), "userId", INTEGER),
    **{
        coding: (http(200, "CANARY " * 1000, f"Content-Encoding: {coding}"), None, "gzip")
        for coding in ("gzip", "br", "gzip, gzip", "x-gzip")
    },
}


IN_ALL_WAYS = {"HTML", "cut off", "no expires_in", "gzip"}
CASES = [(way, name) for name in BROKEN for way in (WAYS if name in IN_ALL_WAYS else ["sync"])]


@pytest.mark.parametrize(("way", "name"), CASES)
def test_a_success_that_breaks_the_contract_raises_one_error_that_names_the_field(server, way, name):
    answer, field, reason = BROKEN[name]
    with pytest.raises(ResponseValidationError) as caught:
        answered(server, answer, way)
    error = caught.value
    assert (error.status_code, error.field) == (200, field)
    assert reason in error.reason
    assert error.reason in str(error)
    assert field is None or field in str(error)
    assert "CANARY" not in (shown(error) if name in IN_ALL_WAYS else f"{error!r} {vars(error)}")
    assert error.content == (b"" if reason == "gzip" else answer.partition(b"\r\n\r\n")[2])
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(twin), twin.field, twin.status_code) == (str(error), field, 200)


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 502, 503, 504])
def test_an_error_that_the_contract_names_is_read(server, status):
    answer = http(status, zlib.compress(json.dumps(ERROR).encode()), "Content-Encoding: deflate")
    response = answered(server, answer, raise_on_unexpected_status=True)
    assert response.status_code == status
    assert response.parsed.status_reason == "any"


UNREADABLE = {
    "empty": http(401, b""),
    "HTML": http(401, b"<html>", media_type="text/html"),
    "wrong type": http(401, {"error": 1}),
    "brackets": http(401, "[" * 100_000),
    "not UTF-8": http(401, b"\xff"),
    "breaks off": http(401, {"error": "a"})[:-5],
    "not gzip": http(401, b"x", "Content-Encoding: gzip"),
    "Brotli": http(401, b"x", "Content-Encoding: br"),
}
UNNAMED = {
    str(status): http(status, {} if status not in {204, 304} else b"", "Location: http://127.0.0.1:1/")
    for status in (201, 204, 302, 304, 404, 418, 520, 999)
}


@pytest.mark.parametrize("answer", (UNREADABLE | UNNAMED).values(), ids=UNREADABLE | UNNAMED)
def test_any_other_answer_keeps_its_status_and_raises_nothing(server, answer):
    response = answered(server, answer)
    assert (response.status_code, response.parsed) == (int(answer[9:12]), None)
    assert response.headers["Connection"] == "close"
    assert answer.endswith(response.content)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [204, 302, 520])
def test_a_status_outside_the_contract_raises_if_asked(get, status):
    body = b"CANARY" if status != 204 else b""
    with pytest.raises(UnexpectedStatus, match=str(status)) as caught:
        get(http(status, body), raise_on_unexpected_status=True)
    assert (caught.value.status_code, caught.value.content) == (status, body)
    assert "CANARY" not in shown(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).status_code == status


NO_ANSWER = {
    "nothing": b"",
    "cut off": http(200, GOOD)[:-5],
    **{location: http(302, b"", f"Location: {location}") for location in ("mailto:x", "http://xn--zz-/", "//[::1")},
}


@pytest.mark.parametrize("answer", NO_ANSWER.values(), ids=NO_ANSWER)
def test_no_answer_is_an_error_of_httpx_without_the_password(get, answer, server):
    server.answer = answer
    with pytest.raises(httpx.RemoteProtocolError) as caught:
        get(answer)
    seen = shown(caught.value)
    assert PASSWORD not in seen
    assert b64encode(f"id:{PASSWORD}".encode()).decode() not in seen


# Sizes.


def test_a_success_has_a_limit_and_an_error_is_cut_off(get, server):
    size = len(json.dumps(GOOD))
    assert get(http(200, GOOD), max_response_bytes=size).parsed is not None
    server.more = lambda: itertools.repeat(b"CANARY  " * 512, 2**14)  # 64 MiB
    with pytest.raises(ResponseValidationError, match="expected at most 1048576 bytes") as caught:
        get(HEAD % (200, b""))
    assert (caught.value.status_code, caught.value.field, caught.value.content) == (200, None, b"")
    assert "CANARY" not in shown(caught.value)
    response = get(HEAD % (503, b""), max_response_bytes=1000)
    assert (response.status_code, response.parsed, response.content) == (503, None, b"CANARY  " * 125)
    assert server.sent < 2**26  # the client hung up


def test_the_limit_counts_after_decompression_and_a_bomb_needs_little_memory(server):
    server.answer = http(200, gzip.compress(bytes(2**25)), "Content-Encoding: gzip")
    client = new(server.url)
    client.get_httpx_client()
    tracemalloc.start()
    try:
        with pytest.raises(ResponseValidationError, match="at most 1048576 bytes"):
            ask("sync", client)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**23


@pytest.mark.parametrize("status", [200, 401])
def test_bytes_that_decompress_to_nothing_count(get, server, status):
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH)
    server.more = lambda: itertools.repeat(b"\x00\x00\x00\xff\xff" * 1000, 2**14)
    answer = HEAD % (status, b"Content-Encoding: gzip\r\n") + start
    if status == 401:
        assert get(answer).status_code == 401
        return
    with pytest.raises(ResponseValidationError, match="at most 1048576 bytes"):
        get(answer)


@pytest.mark.parametrize("way", WAYS)
def test_a_mock_whose_body_is_read(way):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=packed(), headers=headers))
    assert isinstance(ask(way, new(httpx_args={"transport": transport})).parsed, AccessTokenResponse)


def test_a_hook_that_reads_the_body(server):
    read = []
    hooks = {"response": [lambda response: read.append(response.read())]}
    args = {"event_hooks": hooks, "trust_env": False}
    answer = http(200, packed(), "Content-Encoding: gzip")
    assert isinstance(answered(server, answer, httpx_args=args).parsed, AccessTokenResponse)
    assert read == [json.dumps(GOOD).encode()]


def test_an_error_of_a_hook_comes_out_as_it_is():
    error = httpx.ConnectError("refused")  # without a request

    def refuse(_):
        raise error

    with pytest.raises(httpx.ConnectError) as caught:
        ask("sync", new(httpx_args={"event_hooks": {"request": [refuse]}, "trust_env": False}))
    assert caught.value is error


# Proxies of the environment.


@pytest.fixture
def environment(monkeypatch):
    """Set these variables, and no others about proxies."""

    def set_all(**variables):
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


API, PROXY = "https://api.example.com", "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, API, None),
        ({"HTTPS_PROXY": PROXY}, f"{API}/path", PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, API, PROXY),
        ({"ALL_PROXY": PROXY}, API, PROXY),
        ({"ALL_PROXY": "http://other", "HTTPS_PROXY": PROXY}, API, PROXY),
        ({"HTTPS_PROXY": "proxy.example.com:3128"}, API, PROXY),
        ({"HTTPS_PROXY": "user:p%40ss@proxy:3128"}, API, "http://user:p%40ss@proxy:3128"),
        ({"ALL_PROXY": "socks5://proxy:1080"}, API, "socks5://proxy:1080"),
        ({"HTTP_PROXY": PROXY}, API, None),
        ({"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, "http://127.0.0.1", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, API, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost, example.com"}, API, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.com"}, "https://API.example.com:8443", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "api.example.com:8443"}, f"{API}:8443", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "api.example.com:8443"}, API, PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "le.com,::1/128,fd00:1:2::/64"}, API, PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "::1"}, "https://[::1]:8443", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "[::1]"}, "https://[::1]:8443", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "[::1]"}, "https://[::1]", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "[::1]"}, "https://[::2]", PROXY),
    ],
    ids=str,
)
def test_the_proxy_of_the_environment(environment, variables, url, expected):
    environment(**variables)
    assert environment_proxy(url) == environment_proxy(httpx.URL(url)) == expected


@pytest.mark.parametrize("value", ["http://CANARY:p#w@proxy:3128", "ftp://CANARY:CANARY@proxy", "CANARY:p/w@proxy"])
def test_an_invalid_proxy_is_not_shown(environment, value):
    environment(HTTPS_PROXY=value)
    client = new(httpx_args={})
    for make in (client.get_httpx_client, client.get_async_httpx_client):
        with pytest.raises(ValueError, match="Invalid proxy URL") as caught:
            make()
        assert "CANARY" not in shown(caught.value)


@pytest.mark.parametrize(
    ("way", "args"),
    [("sync", {}), ("asyncio", {"proxy": None, "mounts": {"http://": None}}), ("trio", {"trust_env": True})],
    ids=str,
)
def test_the_proxy_is_used(server, environment, way, args):
    proxy = server.url.removeprefix("http://")
    environment(HTTPS_PROXY=proxy, NO_PROXY="localhost,[::1],::1/128,fd00::/64")
    server.answer = http(502)
    with pytest.raises(httpx.ProxyError):
        ask(way, new(httpx_args=args))
    assert server.requests[0].startswith(b"CONNECT api.example.com:443 ")


@pytest.mark.parametrize(
    "args",
    [{"trust_env": False}, {"proxy": "http://127.0.0.1:1"}, {"transport": httpx.HTTPTransport(verify=False)}],
    ids=["trust_env", "proxy", "transport"],
)
def test_the_proxy_is_not_used_if_the_caller_says_so(server, environment, args):
    environment(HTTPS_PROXY=server.url)
    with pytest.raises(httpx.ConnectError):
        ask("sync", new("https://127.0.0.1:1", httpx_args=args))
    assert server.requests == []


def test_plain_http_needs_no_proxy(server, environment):
    environment(HTTP_PROXY="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")
    assert answered(server, httpx_args={}).status_code == 200


def test_certificates_of_the_environment_are_used_beside_a_proxy(environment):
    environment(HTTPS_PROXY=PROXY, SSL_CERT_FILE="/none")
    client = new(httpx_args={}, verify_ssl=True)
    with pytest.raises(FileNotFoundError):
        client.get_httpx_client()
    attrs.evolve(client, verify_ssl=False).get_httpx_client()


# Secrets.


def test_no_secret_is_in_a_repr_or_log(get, caplog):
    caplog.set_level(logging.DEBUG)
    client = AuthenticatedClient(
        "https://user:CANARY@api.example.com",
        username="CANARY",
        password="CANARY",
        headers={"X": "CANARY"},
        cookies={"x": "CANARY"},
        httpx_args={"proxy": "http://user:CANARY@127.0.0.1:1"},
        verify_ssl=False,
    )
    client.get_httpx_client()
    response = get(http(200, GOOD | {"env": "CANARY"}, "Set-Cookie: a=CANARY"))
    model = response.parsed
    reprs = f"{client!r} {response!r} {model} {[model]} {model.additional_properties.keys()}"
    assert "api.example.com" in reprs
    assert "3599" in reprs
    assert "/oauth/token" in caplog.text
    assert "CANARY" not in reprs
    assert not [secret for secret in (TOKEN, PASSWORD, "Basic ") if secret in caplog.text]
    with pytest.raises(TypeError):
        vars(model)


# Models.

FULL = GOOD | {"scope": "data", "userId": 1, "env": {"a": [1]}}
COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda value: pickle.loads(pickle.dumps(value))}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_model_can_be_copied(copied):
    model = AccessTokenResponse.from_dict(FULL)
    twin = copied(model)
    assert twin is not model
    assert twin == model
    assert twin.customer is copied(UNSET) is copied([UNSET])[0] is UNSET


def test_a_model_goes_back_to_its_object_and_does_not_share_it():
    source = dict(FULL)
    model = AccessTokenResponse.from_dict(source)
    source["env"] = source["more"] = 1
    assert model.to_dict() == FULL
    assert TokenError.from_dict({}).to_dict() == {}
    assert isinstance(UNSET, Unset)
    assert not UNSET


def test_a_model_without_a_response_names_the_field_at_fault():
    with pytest.raises(ResponseValidationError, match=r"^The response breaks the contract in expires_in: ") as caught:
        AccessTokenResponse.from_dict(GOOD | {"expires_in": "CANARY"})
    assert caught.value.status_code is None


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
def test_values_are_checked_against_their_schema(schema, good, bad):
    for value in good:
        assert check_object({"a": value}, {"a": schema}, ["a"]) == {"a": value}
    for value in bad:
        with pytest.raises(ResponseValidationError) as caught:
            check_object({"a": value}, {"a": schema}, ["a"])
        assert caught.value.field == "a"
