"""Connections, TLS, proxies and other arguments for httpx."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import traceback

import httpx
import pytest

from domo_oauth import ConfigurationError, TransportError, request_token
from tests.fakes import GRANTED, PATIENCE, REQUEST, ask


@pytest.fixture
def call(credentials, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return lambda url, **args: request_token(credentials, base_url=url, httpx_args=args)


# Connections


def test_connection_refused(call, wire):
    server = wire(b"")
    url = server.url
    server.close()
    with pytest.raises(TransportError, match="no connection"):
        call(url)


def test_a_server_that_accepts_no_connection(call):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # fill the queue
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        with pytest.raises(TransportError, match="no connection in time"):
            call(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.1)


def test_the_connection_is_closed_after_the_answer(call, wire):
    server = wire(GRANTED, "hang")
    call(server.url)
    server.close()  # waits until the client has hung up
    assert b"\r\nConnection: close\r\n" in server.requests[0]


@pytest.mark.parametrize("url", ["https://" + "a" * 70_000, "https://xn--"])
def test_a_base_url_that_httpx_does_not_accept(call, url):
    with pytest.raises(ConfigurationError, match="base URL"):
        call(url)


# TLS


def test_an_untrusted_certificate(call, tls_server):
    with pytest.raises(TransportError, match=r"certificate is not trusted.*SSL_CERT_FILE") as caught:
        call(tls_server.url)
    assert not caught.value.retryable


def test_a_certificate_authority_of_ones_own(call, tls_server):
    assert call(tls_server.url, verify=ssl.create_default_context(cafile=tls_server.authority)).customer


PROCESS = """
import ssl, sys
from domo_oauth import ClientCredentials, DomoOAuthError, request_token

made, create = [], ssl.create_default_context
ssl.create_default_context = lambda *args, **kwargs: made.append(kwargs) or create(*args, **kwargs)
for _ in range(2):
    try:
        said = request_token(ClientCredentials("id", "s"), base_url=sys.argv[1], httpx_args=eval(sys.argv[2])).customer
    except DomoOAuthError as error:
        said = str(error)
print(said, len(made))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("authority", "httpx_args", "said", "contexts"),
    [
        ("own", {}, "acmecompany", 1),
        ("missing", {}, "SSL_CERT_FILE and SSL_CERT_DIR", 2),
        ("missing", {"trust_env": False}, "certificate is not trusted", 1),
        ("missing", {"verify": False}, "acmecompany", 0),
    ],
)
def test_one_tls_context_serves_the_process(authority, httpx_args, said, contexts, tls_server):
    env = os.environ | {"SSL_CERT_FILE": tls_server.authority if authority == "own" else "/no/such/file"}
    command = [sys.executable, "-c", PROCESS, tls_server.url, repr(httpx_args)]
    printed = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    assert said in printed
    assert printed.rstrip().endswith(f" {contexts}")


def test_plain_http_makes_no_tls_context(call, monkeypatch, wire):
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: pytest.fail("made one"))
    assert call(wire(GRANTED).url).expires_in


# Proxies


def test_a_proxy_in_httpx_args_is_used(call, wire):
    proxy = wire(GRANTED)
    assert call("http://127.0.0.1:1", proxy=proxy.url).customer == "acmecompany"
    assert proxy.requests[0].startswith(b"GET http://127.0.0.1:1/oauth/token?")


@pytest.mark.parametrize(("status", "retryable"), [(407, False), (502, True)])
def test_a_proxy_that_refuses(call, status, retryable, wire):
    proxy = wire(b"HTTP/1.1 %d -\r\nContent-Length: 0\r\n\r\n" % status)
    with pytest.raises(TransportError, match=rf"the proxy refused \(ProxyError: {status}") as caught:
        call("https://api.domo.test", proxy=proxy.url)
    assert caught.value.retryable is retryable


def test_the_certificate_of_a_proxy_is_checked(call, tls_server):
    with pytest.raises(TransportError, match="certificate is not trusted"):
        call("http://127.0.0.1:1", proxy=tls_server.url)
    assert tls_server.requests == []


@pytest.fixture
def proxy(wire):
    return wire(b"HTTP/1.1 407 -\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_in_the_environment_is_used(call, monkeypatch, proxy, name, scheme):
    monkeypatch.setenv(name, f"{scheme}{proxy.url.removeprefix('http://')}")
    with pytest.raises(TransportError, match="the proxy refused"):
        call("https://api.domo.test")


@pytest.mark.parametrize(
    ("variables", "httpx_args"),
    [
        ({"NO_PROXY": "127.0.0.1"}, {}),
        ({"no_proxy": "localhost,127.0.0.1,::1/128"}, {}),
        ({}, {"trust_env": False}),
    ],
)
def test_a_proxy_in_the_environment_is_bypassed(call, monkeypatch, proxy, variables, httpx_args):
    for name, value in {"HTTPS_PROXY": proxy.url, **variables}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TransportError, match="no connection"):
        call("https://127.0.0.1:1", **httpx_args)
    assert proxy.requests == []


def test_a_proxy_in_the_environment_is_not_used_on_this_machine(call, monkeypatch, wire):
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert call(wire(GRANTED).url).customer == "acmecompany"


@pytest.mark.parametrize(
    "value", ["localhost,127.0.0.0/8", "localhost,::1", "localhost,::1/128", "localhost,[::1]", "fd00:1:2::/64"]
)
def test_no_proxy_may_have_values_that_httpx_cannot_read(call, monkeypatch, value):
    monkeypatch.setenv("NO_PROXY", value)
    with pytest.raises(TransportError, match="no connection"):
        call("https://127.0.0.1:1")


@pytest.mark.parametrize("proxy", ["ftp://user:canary-secret@127.0.0.1:1", "http://user:canary-secret/x@127.0.0.1:1"])
@pytest.mark.parametrize("httpx_args", [{}, {"timeout": 1.0}])
def test_an_invalid_proxy_in_the_environment(call, monkeypatch, proxy, httpx_args):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigurationError, match=r"Invalid proxy URL in the environment: check HTTPS_PROXY") as caught:
        call("https://127.0.0.1:1", **httpx_args)
    assert "canary" not in str(caught.value)


# Other arguments


def test_headers_of_the_caller_are_added(call, wire):
    server = wire(GRANTED)
    call(server.url, headers={"X-Trace": "abc", "User-Agent": "mine"})
    assert b"\r\nX-Trace: abc\r\n" in server.requests[0]
    assert b"\r\nUser-Agent: mine\r\n" in server.requests[0]


def test_hooks_of_the_caller_are_called(call, wire):
    called: list[object] = []
    hooks = {"request": [called.append], "response": [called.append]}
    call(wire(GRANTED).url, event_hooks=hooks)
    assert [type(each) for each in called] == [httpx.Request, httpx.Response]
    assert [len(each) for each in hooks.values()] == [1, 1]


@pytest.mark.parametrize("way", REQUEST)
def test_a_transport_of_the_caller_is_used_and_stays_open(credentials, way):
    closed = []

    class Transport(httpx.MockTransport):
        def close(self) -> None:
            closed.append(1)

    body = json.loads(GRANTED.partition(b"\r\n\r\n")[2])
    transport = Transport(lambda _: httpx.Response(200, json=body))
    for args in ({"transport": transport}, {"mounts": {"https://": transport, "http://": None}}):
        assert ask(way, credentials, httpx_args=args).customer == "acmecompany"
    assert closed == []


@pytest.mark.parametrize(
    ("httpx_args", "said"),
    [
        ({"no_such_argument": 1}, "no_such_argument"),
        ({"proxy": "ftp://user:canary-secret@127.0.0.1:1"}, "Unknown scheme"),
        ({"proxy": "ftp://canary-client:canary-password@proxy.test"}, "Unknown scheme"),
        ({"proxy": "http://127.0.0.1:port"}, "InvalidURL"),
        ({"proxy": "http://user:canary-secret/x@127.0.0.1:1"}, "InvalidURL"),
        ({"headers": {"X": "canary-secret\n"}}, "cannot be sent"),
        ({"headers": {"X": "\xe9"}}, "ascii"),
        ({"headers": 5}, "not iterable"),
        ({"headers": {5: "x"}}, "httpx cannot be set up"),
        ({"headers": "abc"}, "httpx cannot be set up"),
        ({"event_hooks": 5}, "httpx cannot be set up"),
        ({"transport": 5}, "httpx cannot be set up"),
        ({"transport": httpx.AsyncHTTPTransport()}, "httpx cannot be set up"),
        ({"base_url": "http://127.0.0.1:1"}, "base_url"),
        ({"auth": ("canary-client", "canary-secret")}, "auth"),
    ],
)
@pytest.mark.parametrize("way", REQUEST[:2])
def test_invalid_arguments_for_httpx(credentials, httpx_args, said, way, wire):
    server = wire(GRANTED)
    with pytest.raises(ConfigurationError, match=said) as caught:
        ask(way, credentials, base_url=server.url, httpx_args=httpx_args)
    assert caught.value.__context__ is None
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame.locals for frame in stack if "/domo_oauth/" in frame.filename]
    assert ours
    assert "canary-" not in f"{caught.value}{ours}"
    assert server.requests == []
