"""What is sent to the token endpoint, by which connection, and what `httpx_args` change. For answers see faults."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime

import httpx
import pytest

from domo_oauth import (
    ConfigurationError,
    DomoOAuthError,
    InvalidScopeError,
    TransportError,
    UnexpectedResponseError,
    request_token,
)
from tests.fakes import GRANTED, PATIENCE, REQUEST, Endpoint, ask


@pytest.fixture
def call(credentials, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return lambda url, scopes=None, **args: request_token(credentials, scopes, base_url=url, httpx_args=args)


def test_a_request_and_its_token(call, wire):
    server, before = wire(GRANTED, "hang"), datetime.now(UTC)
    token = call(f"{server.url}/gateway/", ["user", "data"])
    assert (token.access_token, token.token_type, token.scopes) == ("canary-token", "bearer", {"data", "user"})
    assert 3599 <= (token.expires_at - before).total_seconds() < 3599 + PATIENCE
    server.close()  # waits until the client has hung up
    (request,) = server.requests
    assert request.startswith(b"GET /gateway/oauth/token?grant_type=client_credentials&scope=data+user HTTP/1.1\r\n")
    for field in (b"Accept: application/json", b"User-Agent: domo-oauth/", b"Connection: close"):
        assert b"\r\n" + field in request


def test_without_scopes_there_is_no_scope_parameter(call, wire):
    server = wire(GRANTED)
    assert call(server.url).scopes == frozenset()
    assert server.requests[0].startswith(b"GET /oauth/token?grant_type=client_credentials HTTP/1.1\r\n")


@pytest.mark.parametrize(("scopes", "asked"), [(None, "all scopes of the client"), (["user", "data"], "data user")])
def test_invalid_scope_names_the_scopes_that_were_requested(call, wire, scopes, asked):
    refusal = b'HTTP/1.1 400 -\r\nContent-Length: 25\r\n\r\n{"error":"invalid_scope"}'
    with pytest.raises(InvalidScopeError, match=f"Requested: {asked}. Ask for fewer"):
        call(wire(refusal).url, scopes)


def test_no_redirect_is_followed_even_if_enabled(call, wire):
    target = wire(GRANTED)
    server = wire(f"HTTP/1.1 307 -\r\nContent-Length: 0\r\nLocation: {target.url}/oauth/token\r\n\r\n".encode())
    with pytest.raises(UnexpectedResponseError, match="no redirect is followed"):
        call(server.url, follow_redirects=True)
    assert target.requests == []


@pytest.mark.parametrize("url", ["https://" + "a" * 70_000, "https://xn--"])
def test_a_base_url_that_httpx_does_not_accept(call, url):
    with pytest.raises(ConfigurationError, match=r"\. Check the base URL"):
        call(url)


# TLS

PROCESS = """
import ssl, sys
from domo_oauth import ClientCredentials, DomoOAuthError, request_token

made, create = [], ssl.create_default_context
ssl.create_default_context = lambda *args, **kwargs: made.append(kwargs) or create(*args, **kwargs)
for _ in range(2):
    try:
        text = request_token(ClientCredentials("id", "s"), base_url=sys.argv[1], httpx_args=eval(sys.argv[2])).customer
    except DomoOAuthError as error:
        text = str(error)
print(text, len(made))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("authority", "httpx_args", "text", "contexts"),
    [
        ("own", {}, "acmecompany", 1),
        ("missing", {}, "SSL_CERT_FILE and SSL_CERT_DIR", 2),
        ("missing", {"trust_env": False}, "certificate is not trusted", 1),
        ("missing", {"verify": False}, "acmecompany", 0),
    ],
)
def test_one_tls_context_serves_the_process(authority, httpx_args, text, contexts, tls_server):
    env = os.environ | {"SSL_CERT_FILE": tls_server.authority if authority == "own" else "/no/such/file"}
    command = [sys.executable, "-c", PROCESS, tls_server.url, repr(httpx_args)]
    printed = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    assert text in printed
    assert printed.rstrip().endswith(f" {contexts}")


def test_plain_http_loads_no_certificates(call, monkeypatch, wire):
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: pytest.fail("made one"))
    assert call(wire(GRANTED).url).expires_in


@pytest.mark.parametrize(
    ("url", "httpx_args", "made"),
    [
        ("http://127.0.0.1:1", {}, [(False, True)]),
        ("https://127.0.0.1:1", {}, [(True, True)]),
        ("https://127.0.0.1:1", {"trust_env": False}, [(True, False)]),
        ("https://127.0.0.1:1", {"verify": False}, []),
        ("https://127.0.0.1:1", {"cert": "/no/such/file"}, []),
        ("https://127.0.0.1:1", {"transport": Endpoint()}, []),
    ],
)
def test_the_shared_tls_context_is_used_unless_the_caller_has_another(call, monkeypatch, url, httpx_args, made):
    used = []
    context = httpx.create_ssl_context()
    monkeypatch.setattr(
        "domo_oauth.request.tls_context", lambda verify, trust_env: used.append((verify, trust_env)) or context
    )
    with suppress(DomoOAuthError):
        call(url, **httpx_args)
    assert used == made


# Proxies; tests/generated tests how they are found in the environment


def test_a_proxy_in_httpx_args_is_used(call, wire):
    proxy = wire(GRANTED)
    assert call("http://127.0.0.1:1", proxy=proxy.url).customer == "acmecompany"
    assert proxy.requests[0].startswith(b"GET http://127.0.0.1:1/oauth/token?")


def test_the_certificate_of_a_proxy_is_checked(call, tls_server):
    with pytest.raises(TransportError, match="certificate is not trusted"):
        call("http://127.0.0.1:1", proxy=tls_server.url)
    assert tls_server.requests == []


@pytest.mark.parametrize(
    ("no_proxy", "httpx_args", "text"),
    [
        ("", {}, "the proxy refused"),
        ("localhost,127.0.0.1,::1/128", {}, "no connection"),
        ("", {"trust_env": False}, "no connection"),
    ],
)
def test_a_proxy_in_the_environment(call, monkeypatch, wire, no_proxy, httpx_args, text):
    proxy = wire(b"HTTP/1.1 407 -\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.removeprefix("http://"))
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with pytest.raises(TransportError, match=text):
        call("https://127.0.0.1:1", **httpx_args)


def test_an_invalid_proxy_in_the_environment(call, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://user:canary-secret/x@127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"Invalid proxy URL in the environment: check HTTPS_PROXY") as caught:
        call("https://127.0.0.1:1")
    assert "canary" not in str(caught.value)


# Other arguments


def test_headers_and_hooks_of_the_caller_are_added(call, wire):
    server, called, events = wire(GRANTED), [], []

    def trace(request: httpx.Request) -> None:
        request.extensions["trace"] = lambda event, info: events.append((event, type(info)))

    hooks = {"request": [called.append, trace], "response": [called.append]}
    call(server.url, headers={"X-Trace": "abc", "User-Agent": "mine"}, event_hooks=hooks, timeout=7)
    assert b"\r\nX-Trace: abc\r\n" in server.requests[0]
    assert b"\r\nUser-Agent: mine\r\n" in server.requests[0]
    assert called[0].extensions["timeout"] == dict.fromkeys(("connect", "read", "write", "pool"), 7)
    assert [type(each) for each in called] == [httpx.Request, httpx.Response]
    assert ("connection.connect_tcp.complete", dict) in events
    assert [len(each) for each in hooks.values()] == [2, 1]


@pytest.mark.parametrize(("timeout", "each"), [(50, 50.0), (100, 60.0), (None, 60.0)])
@pytest.mark.parametrize("step", ["connection.connect_tcp", "connection.connect_unix_socket", "proxy_stream.start_tls"])
def test_each_step_of_a_connection_gets_the_time_that_is_left(make, time, step, timeout, each):
    """A transport like httpcore's, which reports its steps to the request's `trace`."""
    waits = []

    class Stream:
        def read(self, _max_bytes, wait) -> bytes:
            waits.append(wait)
            return b""

        write = read

    class Transport(Endpoint):
        def handle_request(self, request):
            trace, info, stream = request.extensions["trace"], {"timeout": timeout}, Stream()
            waits.append(request.extensions["timeout"])
            time.advance(40)
            trace(f"{step}.started", info)
            waits.append(info["timeout"])
            time.advance(5)
            trace(f"{step}.complete", {"return_value": stream})
            trace("http11.send_request_headers.started", {"request": request})
            stream.write(b"", timeout)
            time.advance(5)
            stream.write(buffer=b"", timeout=None)
            time.advance(1)
            stream.read(1, timeout)
            time.advance(1)
            stream.read(max_bytes=1, timeout=2.0)
            time.advance(2)
            stream.read(1)
            return super().handle_request(request)

    assert make(httpx_args={"transport": Transport(), "timeout": timeout}).get_token()
    whole = dict.fromkeys(("connect", "read", "write", "pool"), each)
    assert waits == [whole, 20.0, 15.0, 10.0, 9.0, 2.0, 6.0]


VERIFY_FAILED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed:"


@pytest.mark.parametrize(
    ("error", "what", "retryable"),
    [
        (httpx.ConnectError(f"{VERIFY_FAILED} self-signed"), "the server's certificate is not trusted", False),
        (httpx.ConnectError(f"{VERIFY_FAILED} certificate has expired"), "is not valid at this time", False),
        (httpx.ConnectError(f"{VERIFY_FAILED} certificate is not yet valid"), "is not valid at this time", False),
        (httpx.ProxyError("407 Proxy Authentication Required"), "the proxy refused", False),
        (httpx.ProxyError("502 Bad Gateway"), "the proxy refused", True),
        (httpx.ConnectTimeout(""), "no connection in time", True),
        (httpx.ReadTimeout(""), "no complete response in time", True),
        (httpx.ConnectError(""), "no connection", True),
        (httpx.ReadError(""), "the connection was lost", True),
    ],
)
def test_errors_say_what_happened_and_whether_to_try_again(call, error, what, retryable):
    with pytest.raises(TransportError, match=rf"{what} \({type(error).__name__}") as caught:
        call("https://127.0.0.1:1", transport=Endpoint([error]))
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(("text", "shown"), [("Gone away.", "ReadError: Gone away"), ("", "ReadError")])
def test_the_text_of_an_error_becomes_part_of_a_sentence(call, text, shown):
    with pytest.raises(TransportError, match=rf"the connection was lost \({shown}\)\. This happens"):
        call("https://127.0.0.1:1", transport=Endpoint([httpx.ReadError(text)]))


@pytest.mark.parametrize("way", REQUEST)
def test_a_transport_of_the_caller_is_used_and_stays_open(credentials, way):
    closed = []

    class Transport(Endpoint):
        def close(self) -> None:
            closed.append(1)

    for args in ({"transport": Transport()}, {"mounts": {"https://": Transport(), "http://": None}}):
        assert ask(way, credentials, httpx_args=args).customer == "acmecompany"
    assert closed == []


@pytest.mark.parametrize(
    ("httpx_args", "text"),
    [
        ({"no_such_argument": 1}, "no_such_argument"),
        (
            {"proxy": "ftp://user:canary-secret@127.0.0.1:1"},
            r"Unknown scheme for proxy URL\. Check httpx_args and the base URL",
        ),
        ({"proxy": "http://user:canary-secret/x@127.0.0.1:1"}, "InvalidURL"),
        ({"headers": {"X": "canary-secret\n"}}, r"cannot be sent: LocalProtocolError: Illegal header value\."),
        ({"headers": {"X": "\xe9"}}, "ascii"),
        ({"headers": 5}, "httpx cannot be set up"),
        ({"event_hooks": 5}, "httpx cannot be set up"),
        ({"transport": httpx.AsyncHTTPTransport()}, "httpx cannot be set up"),
        ({"base_url": "http://127.0.0.1:1"}, "base_url"),
        ({"auth": ("canary-client", "canary-secret")}, "auth"),
        (["canary-password"], "must be a dictionary"),
    ],
)
@pytest.mark.parametrize("way", REQUEST[:2])
def test_invalid_arguments_for_httpx(credentials, httpx_args, text, way, wire):
    server = wire(GRANTED)
    with pytest.raises(ConfigurationError, match=text) as caught:
        ask(way, credentials, base_url=server.url, httpx_args=httpx_args)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame.locals for frame in stack if "/domo_oauth/" in frame.filename]
    assert ours
    assert "canary-" not in f"{caught.value}{ours}"
    assert server.requests == []
