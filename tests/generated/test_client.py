"""The generated client on its own: what our templates add, in threads, asyncio and trio, against a real server."""

from __future__ import annotations

import copy
import gzip
import itertools
import json
import logging
import pickle
import traceback
import tracemalloc
import zlib
from base64 import b64decode, b64encode
from contextlib import nullcontext
from unittest.mock import Mock

import anyio
import attrs
import httpx
import pytest
import stack_data
from rich.pretty import pretty_repr

from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.client import environment_proxy
from domo_oauth_client.errors import ResponseValidationError, UnexpectedStatus, check_object
from domo_oauth_client.models import AccessTokenResponse, TokenError
from domo_oauth_client.types import UNSET
from tests.fakes import PATIENCE

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


def ask(way, client, **args):
    """Make a request with a client, and close it."""

    args = {"grant_type": "client_credentials"} | args

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
    """Get a response from the server, in each way."""

    def get(answer=None, **args):
        server.answer = answer or server.answer
        return ask(request.param, new(server.url, **args))

    return get


def shown(error):
    """What a person or a log may see of an error: text, chain, pickle, and the locals in our frames."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if "domo_oauth_client" in frame.f_code.co_filename]
    values = [(frame.f_locals, stack_data.FrameInfo(frame).variables) for frame in ours]
    return f"{error} {error!r} {vars(error)} {traceback.format_exception(error)} {pickle.dumps(error)!r} {values}"


# Requests.


def test_a_request_follows_the_contract_and_keeps_headers_and_cookies(get, server):
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
    client = new(server.url)
    sync = get_access_token.sync(client=client, grant_type="client_credentials", scope="data user")
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
    args = {"headers": {"X-One": "args"}, "base_url": server.url, "trust_env": False, "follow_redirects": True}
    ask("sync", new("http://192.0.2.1", headers={"X-One": "option"}, httpx_args=args))
    assert b"X-One: args\r\n" in server.requests[0]


def test_the_timeout_is_ten_seconds_unless_given(server, get):
    client = new()
    assert client.get_httpx_client().timeout == httpx.Timeout(10.0)
    assert attrs.evolve(client, timeout=None).get_async_httpx_client().timeout == httpx.Timeout(None)
    server.then = "hang"
    with pytest.raises(httpx.ReadTimeout):
        get(http(200, GOOD)[:-1], timeout=httpx.Timeout(PATIENCE, read=0.05))


LOOPBACK = ["localhost", "127.1.2.3", "[::1]"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", [*LOOPBACK, "api.example.com", "127.example.com", "[::2]"])
def test_plain_http_is_for_loopback(host, way):
    requests = []
    transport = httpx.MockTransport(lambda request: requests.append(request) or httpx.Response(200, json=GOOD))
    args = {"base_url": f"http://{host}:80/base", "transport": transport}
    own = new().set_httpx_client(httpx.Client(**args)).set_async_httpx_client(httpx.AsyncClient(**args))
    for client in (own, new(httpx_args=args)):
        with nullcontext() if host in LOOPBACK else pytest.raises(httpx.UnsupportedProtocol, match="https://"):
            ask(way, client)
    assert len(requests) == (2 if host in LOOPBACK else 0)


# Answers.

BODY = GOOD | {"env": "prod1", "more": [1, {"a": None}]}
LATIN_1 = json.dumps(BODY | {"env": "Söhne"}, ensure_ascii=False).encode("latin-1")
GRANTED = {
    "byte-order mark": (http(200, b"\xef\xbb\xbf" + json.dumps(BODY).encode()), "prod1"),
    "media type in capitals": (http(200, BODY, media_type="Application/JSON ; charset=UTF-8"), "prod1"),
    "Latin-1": (http(200, LATIN_1, media_type="application/json; charset=ISO-8859-1"), "Söhne"),
    "gzip": (http(200, gzip.compress(json.dumps(BODY).encode()), "Content-Encoding: gzip"), "prod1"),
}


@pytest.mark.parametrize(("answer", "env"), GRANTED.values(), ids=GRANTED)
def test_a_token_is_read_and_headers_and_unknown_fields_are_kept(get, answer, env):
    response = get(answer)
    assert response.parsed.access_token == TOKEN
    assert response.parsed.scope is UNSET
    assert response.parsed.additional_properties == {"env": env, "more": [1, {"a": None}]}
    assert response.headers["Connection"] == "close"


def but(**changes):
    return http(200, {name: value for name, value in (GOOD | changes).items() if value is not ...})


BROKEN = {
    # what is wrong: the response, the field at fault, the reason
    "HTML": (http(200, "<html>CANARY</html>", media_type="text/html"), None, "expected media type application/json"),
    "empty": (http(200), None, "expected JSON"),
    "100,000 brackets": (http(200, "[" * 100_000), None, "expected JSON"),
    "NaN": (but(expires_in=float("nan")), None, "expected JSON"),
    "not UTF-8": (http(200, b'{"access_token": "CANARY \xe4"}'), None, "expected JSON"),
    "array": (http(200, "[]"), None, "expected an object"),
    "no expires_in": (but(expires_in=...), "expires_in", "expected a value"),
    "expires_in negative": (but(expires_in=-1), "expires_in", "expected at least 0"),
    "token with a newline": (but(access_token="CANARY\n"), "access_token", "matches ^[!-~]+$"),
    "not gzip": (http(200, "CANARY " * 1000, "Content-Encoding: gzip"), None, "gzip"),
    "Brotli": (http(200, "CANARY " * 1000, "Content-Encoding: br"), None, "gzip"),
}


@pytest.mark.parametrize(("answer", "field", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_success_that_breaks_the_contract_raises_one_error_that_names_the_field(get, answer, field, reason):
    with pytest.raises(ResponseValidationError) as caught:
        get(answer)
    error = caught.value
    assert (error.status_code, error.field) == (200, field)
    assert reason in error.reason
    assert error.reason in str(error)
    assert field is None or field in str(error)
    assert "CANARY" not in shown(error)
    assert error.content == (b"" if reason == "gzip" else answer.partition(b"\r\n\r\n")[2])
    twin = pickle.loads(pickle.dumps(error))
    assert (str(twin), twin.field, twin.status_code) == (str(error), field, 200)


ERRORS = {
    "400": (http(400, zlib.compress(json.dumps(ERROR).encode()), "Content-Encoding: deflate"), True),
    "503": (http(503, ERROR), True),
    "HTML": (http(401, b"<html>", media_type="text/html"), False),
    "wrong type": (http(401, {"error": 1}), False),
    "breaks off": (http(401, {"error": "a"})[:-5], False),
    "not gzip": (http(401, b"x", "Content-Encoding: gzip"), False),
    "204": (http(204), False),
    "302": (http(302, b"", "Location: http://127.0.0.1:1/"), False),
    "999": (http(999, ERROR), False),
}


@pytest.mark.parametrize(("answer", "is_read"), ERRORS.values(), ids=ERRORS)
def test_any_other_response_keeps_its_status_and_raises_nothing(get, server, answer, is_read):
    response = get(answer)
    assert response.status_code == int(answer[9:12])
    assert response.parsed == (TokenError.from_dict(ERROR) if is_read else None)
    assert response.headers["Connection"] == "close"
    assert len(server.requests) == 1


def test_a_status_outside_the_contract_raises_if_asked(get):
    with pytest.raises(UnexpectedStatus, match="302") as caught:
        get(http(302, TOKEN), raise_on_unexpected_status=True)
    assert (caught.value.status_code, caught.value.content) == (302, TOKEN.encode())
    assert "CANARY" not in shown(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).status_code == 302


NO_ANSWER = {
    "nothing": b"",
    "cut off": http(200, GOOD)[:-5],
    **{location: http(302, b"", f"Location: {location}") for location in ("mailto:x", "http://xn--zz-/")},
}


@pytest.mark.parametrize("answer", NO_ANSWER.values(), ids=NO_ANSWER)
def test_no_response_is_an_error_of_httpx_without_the_password(get, answer, server):
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


def test_an_error_raised_by_a_transport_is_unchanged():
    error = httpx.ConnectError("refused")  # without a request
    transport = httpx.MockTransport(Mock(side_effect=error))
    with pytest.raises(httpx.ConnectError) as caught:
        ask("sync", new(httpx_args={"transport": transport}))
    assert caught.value is error


# Proxies of the environment.


@pytest.fixture
def environment(monkeypatch):
    """Set these variables, and no others about proxies; see also `_clean_environment`."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    return lambda **variables: [monkeypatch.setenv(*each) for each in variables.items()]


API, PROXY = "https://api.example.com", "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, API, None),
        ({"HTTPS_PROXY": PROXY}, f"{API}/path", PROXY),
        ({"ALL_PROXY": PROXY}, API, PROXY),
        ({"ALL_PROXY": "http://other", "HTTPS_PROXY": PROXY}, API, PROXY),
        ({"HTTPS_PROXY": "proxy.example.com:3128"}, API, PROXY),
        ({"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, "http://127.0.0.1", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost, example.com"}, API, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "api.example.com:8443"}, f"{API}:8443", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "api.example.com:8443"}, API, PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "le.com,::1/128,fd00:1:2::/64"}, API, PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "[::1]"}, "https://[::1]:8443", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "[::1]"}, "https://[::1]", None),
    ],
    ids=str,
)
def test_the_proxy_from_the_environment_is_found(environment, variables, url, expected):
    environment(**variables)
    assert environment_proxy(url) == environment_proxy(httpx.URL(url)) == expected


@pytest.mark.parametrize("value", ["ftp://CANARY:CANARY@proxy", "CANARY:p/w@proxy"])
def test_an_invalid_proxy_is_not_shown(environment, value):
    environment(HTTPS_PROXY=value)
    client = new(httpx_args={})
    for make in (client.get_httpx_client, client.get_async_httpx_client):
        with pytest.raises(ValueError, match="Invalid proxy URL") as caught:
            make()
        assert "CANARY" not in shown(caught.value)


@pytest.mark.parametrize("way", WAYS)
def test_the_proxy_is_used(server, environment, way):
    environment(HTTPS_PROXY=server.url.removeprefix("http://"), NO_PROXY="localhost,[::1],::1/128,fd00::/64")
    server.answer = http(502)
    with pytest.raises(httpx.ProxyError):
        ask(way, new(httpx_args={}))
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


def test_certificates_of_the_environment_are_used_beside_a_proxy(environment):
    environment(HTTPS_PROXY=PROXY, SSL_CERT_FILE="/none")
    with pytest.raises(FileNotFoundError):
        new(httpx_args={}, verify_ssl=True).get_httpx_client()


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
    reprs += "".join(pretty_repr(each, max_string=None) for each in (client, response, model))
    assert "api.example.com" in reprs
    assert "3599" in reprs
    assert "/oauth/token" in caplog.text
    assert "CANARY" not in reprs
    assert not [secret for secret in (TOKEN, PASSWORD, "Basic ") if secret in caplog.text]


# Models.

FULL = GOOD | {"scope": "data", "userId": 1, "env": {"a": [1]}}


def test_a_model_can_be_copied():
    model = AccessTokenResponse.from_dict(FULL)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin == model
        assert twin.customer is UNSET


def test_a_model_goes_back_to_its_object_and_does_not_share_it():
    source = dict(FULL)
    model = AccessTokenResponse.from_dict(source)
    source["env"] = source["more"] = 1
    assert model.to_dict() == FULL
    assert TokenError.from_dict({}).to_dict() == {}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "abc"], ["a", "abcd", None, 12]),
        ({"type": ["string", "null"]}, ["", None], [False]),
        ({"type": "string", "enum": ["a", "b"]}, ["a"], ["c", ""]),
        ({"type": "string", "pattern": r"^\d$"}, ["1"], ["\u0661", "1\n"]),
        ({"type": "number", "minimum": 0.5, "maximum": 2}, [0.5, 1, 2], [0, 2.1, True, "1"]),
        ({"type": "integer", "format": "int32"}, [2**31 - 1, -(2**31)], [2**31, -(2**31) - 1]),
        ({"type": "integer", "format": "int64"}, [2**63 - 1, -(2**63)], [2**63, -(2**63) - 1]),
        ({"type": "boolean"}, [True, False], [0, 1, "true"]),
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
