"""`domo-oauth proxy`, the local gateway that adds the token: what it forwards and changes (RFC 9110, section 7.6)."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import SimpleNamespace

import httpx
import pytest
import trustme

from domo_oauth import ClientCredentials, TokenProvider, TransportError
from domo_oauth import proxy as module
from domo_oauth.proxy import REPEATABLE_BODY, Access
from domo_oauth.request import tls_context
from tests.adapters.server import Api, answer
from tests.fakes import until
from tests.proxy.conftest import HEAD, KEY, SECRET, Grants, raw, running


def fields(request: bytes) -> list[tuple[str, str]]:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return [tuple(line.lower().split(": ", 1)) for line in lines]


def test_only_end_to_end_fields_are_forwarded(proxy, api):
    sent = f"GET /v1/a%2Fb%20c?q=a%20b&q=%26 HTTP/1.1\r\n{HEAD}Connection: X-Own\r\nX-Own: 1\r\nTE: trailers\r\n"
    received = raw(proxy(), f"{sent}Keep-Alive: 1\r\nUpgrade: h2c\r\nX-Kept: 1\r\nX-Kept: 2\r\nVia: 1.0 me\r\n\r\n")
    [request] = api.api_requests
    assert request.startswith(b"GET /v1/a%2Fb%20c?q=a%20b&q=%26 HTTP/1.1\r\n")
    assert fields(request) == [
        ("host", api.authority),
        ("x-kept", "1"),
        ("x-kept", "2"),
        ("via", "1.0 me"),
        ("via", "1.1 domo-oauth"),
        ("authorization", "bearer canary-token-1"),
    ]
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\n{}")


def test_the_response_keeps_what_is_end_to_end(proxy, api):
    api.respond = api.api = lambda request: answer(
        404, "{}", "Set-Cookie: a=1", "Set-Cookie: b=2", "Keep-Alive: 9", "Connection: X-Own", "X-Own: 1", "Date: today"
    )
    received = raw(proxy(), f"GET /v1 HTTP/1.1\r\n{HEAD}\r\n")
    assert sorted(fields(received)) == [
        ("connection", "close"),
        ("content-length", "2"),
        ("date", "today"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("via", "1.1 domo-oauth"),
    ]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
def test_every_method_is_forwarded(proxy, api, method):
    assert proxy().request(method, "/v1").status_code == 200
    assert api.seen[-1].path == "/v1"
    assert api.requests[-1].startswith(method.encode())


@pytest.mark.parametrize("size", [5, REPEATABLE_BODY + 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_whole(proxy, api, size, chunked):
    body = b"x" * size
    assert proxy().put("/v1", content=iter([body[:2], body[2:]]) if chunked else body).status_code == 200
    assert api.seen[-1].body == body


@pytest.mark.parametrize("length", [3, 30])
def test_a_length_beside_chunks_does_not_count(proxy, api, length):
    """RFC 9112, section 6.3: the two could be read as different bodies."""
    framing = f"Content-Length: {length}\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n"
    received = raw(proxy(), f"PUT /v1 HTTP/1.1\r\n{HEAD}{framing}\r\n5\r\nabcde\r\n0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert api.seen[-1].body == b"abcde"
    assert "keep-alive" not in dict(fields(api.requests[-1]))


def test_expect_100_continue_works(proxy, api):
    received = raw(proxy(), f"PUT /v1 HTTP/1.1\r\n{HEAD}Content-Length: 0\r\nExpect: 100-continue\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert "expect" not in dict(fields(api.requests[-1]))


def test_a_redirect_is_passed_on(proxy, api):
    api.redirects["/v1"] = "https://elsewhere.example/"
    received = proxy().get("/v1")
    assert (received.status_code, received.headers["Location"]) == (307, "https://elsewhere.example/")


@pytest.mark.parametrize(
    ("size", "statuses", "tokens"),
    [
        (REPEATABLE_BODY, [200, 200], ["1", "2", "2"]),
        (REPEATABLE_BODY + 1, [401, 200], ["1", "2"]),  # too long to be kept, but the next request has a new token
    ],
)
def test_after_a_401_the_request_is_retried_with_a_new_token(proxy, api, size, statuses, tokens):
    client, api.refuse = proxy(), 1
    assert [client.put("/v1", content=b"x" * size).status_code for _ in range(2)] == statuses
    assert [token.removeprefix("canary-token-") for token in api.tokens if token] == tokens


TOKEN_ERRORS = [
    (answer(401, {"error": "invalid_client"}), 502, None),
    (answer(429, {"error": "x"}, "Retry-After: 70"), 503, "70"),
]


@pytest.mark.parametrize(("granted", "status", "retry_after"), TOKEN_ERRORS, ids=["401", "429"])
def test_token_errors_are_problems_with_advice(proxy, api, granted, status, retry_after):
    api.grant = lambda request: granted
    received = proxy().get("/v1")
    assert (received.status_code, received.headers.get("Retry-After")) == (status, retry_after)
    assert received.headers["Content-Type"] == "application/problem+json"
    assert received.json()["detail"].startswith("No token for this request. GET http://127.0.0.1:")
    assert received.json()["status"] == status


def test_an_api_that_cannot_be_reached_is_502(proxy, api):
    client = proxy()
    assert client.get("/v1").status_code == 200
    api.__exit__()
    received = client.get("/v1")
    assert (received.status_code, received.json()["title"]) == (502, "Bad Gateway")
    assert api.url in received.json()["detail"]


def test_an_api_that_does_not_respond_is_504(proxy, api, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    TokenProvider(ClientCredentials("canary-id", SECRET), base_url=api.url).get_token()  # shared with the proxy
    stop = threading.Event()
    api.api = lambda request: answer(200) if stop.wait(60) else b""
    received = proxy().get("/v1")
    stop.set()
    assert (received.status_code, received.json()["title"]) == (504, "Gateway Timeout")
    assert api.url in received.json()["detail"]


def test_a_response_that_breaks_off_stays_incomplete(proxy, api, caplog):
    api.api = lambda request: answer(200, "{", missing=1)
    with pytest.raises(httpx.RemoteProtocolError):
        proxy().get("/v1")
    assert "The API's response broke off" in caplog.text


def test_a_caller_that_hangs_up_is_forgotten(proxy, api):
    client = proxy()
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(f"PUT /v1 HTTP/1.1\r\n{HEAD}Content-Length: 9\r\n\r\nhalf".encode())
    assert client.get("/v1").status_code == 200
    assert [seen.body for seen in api.seen if seen.path == "/v1"] == [b""]


def test_one_line_is_logged_for_each_request_without_secrets(proxy, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    client = proxy()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=count(0, 0.25).__next__))

    def lines() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.name == "domo_oauth.proxy"]

    client.get("/v1/data%0Asets?secret=canary-query")
    until(lambda: len(lines()) == 1)  # each comes after its response
    wrong = client.get("/v1", headers={"Authorization": "Bearer canary-guess"})
    until(lambda: len(lines()) == 2)
    assert lines() == ["GET /v1/data%0Asets 200 2 bytes 250 ms", f"GET /v1 401 {len(wrong.content)} bytes 250 ms"]


def test_connections_are_reused_on_both_sides_and_closed_at_the_end(api, caplog):
    caplog.set_level(logging.INFO)
    with running(Access(KEY), api.url) as client:

        def stream_of(number: int) -> object:
            stream = client.get("/v1").extensions["network_stream"]
            until(lambda: caplog.text.count("GET /v1 200") == number)  # the proxy has given back its connection
            return stream

        streams = [stream_of(number) for number in (1, 2)]
        assert len({stream.get_extra_info("client_addr") for stream in streams}) == 1
        assert api.connections == 2, "one for the token, one for the requests"
    until(lambda: not api.open)


def test_an_api_with_tls_and_an_environment_that_httpx_cannot_read(proxy, monkeypatch, tmp_path):
    authority, tls, file = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), str(tmp_path / "authority.pem")
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(file)
    for name, value in {"SSL_CERT_FILE": file, "NO_PROXY": "127.0.0.1,::1/128"}.items():
        monkeypatch.setenv(name, value)
    tls_context.cache_clear()
    with Api(Grants(), tls=tls) as api:
        assert proxy(url=api.url).get("/v1").status_code == 200
    tls_context.cache_clear()


def test_an_api_whose_certificate_is_not_trusted_gets_no_request():
    authority, server, trusting = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    with Api(Grants(), tls=server) as api, running(Access(KEY), api.url, verify=trusting) as client:
        response = client.get("/v1")
    assert response.status_code == 502
    assert response.json()["detail"].startswith(f"No response from {api.url} (ConnectError): ")
    assert not api.api_requests


def test_health_needs_no_key_and_metrics_need_one(proxy):
    client = proxy(Access(KEY, allow=("/v1*",)))
    client.get("/v1")
    assert httpx.get(client.base_url.join("/healthz")).text == "ok\n"
    assert httpx.get(client.base_url.join("/metrics")).status_code == 401
    metrics = client.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines, left = metrics.text.removesuffix("\n").rsplit(" ", 1)
    assert lines.splitlines() == [
        "# TYPE domo_oauth_proxy_responses_total counter",
        'domo_oauth_proxy_responses_total{code="200"} 2',
        'domo_oauth_proxy_responses_total{code="401"} 1',
        "# TYPE domo_oauth_token_requests_total counter",
        "domo_oauth_token_requests_total 1",
        "# TYPE domo_oauth_token_failures_total counter",
        "domo_oauth_token_failures_total 0",
        "# TYPE domo_oauth_token_store_failures_total counter",
        "domo_oauth_token_store_failures_total 0",
        "# TYPE domo_oauth_token_expires_seconds gauge",
        "domo_oauth_token_expires_seconds",
    ]
    assert 3500 < int(left) < 3600


def test_access_shows_no_key():
    assert KEY not in repr(Access(KEY))


def test_a_request_that_a_stop_cuts_off_gets_503(api):
    stop = threading.Event()
    api.api = lambda request: answer(200) if stop.wait(60) else b""
    with ThreadPoolExecutor() as pool:
        with running(Access(KEY), api.url) as client:
            url, headers = client.base_url.join("/v1"), dict(client.headers)
            under_way = pool.submit(httpx.get, url, headers=headers, timeout=60)
            until(lambda: api.api_requests)
        received = under_way.result(60)
    stop.set()
    assert (received.status_code, received.headers["Content-Type"]) == (503, "application/problem+json")
    assert received.headers["Retry-After"] == "5"
    assert received.json()["detail"]


def test_without_a_retry_after_of_domo_callers_may_soon_try_again():
    assert module.token_problem(TransportError("No answer.")).headers["Retry-After"] == "5"
