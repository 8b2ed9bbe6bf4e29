"""`domo-oauth proxy`, the local gateway that adds the token: which requests it accepts."""

from __future__ import annotations

import logging
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import pytest

from domo_oauth.proxy import Access
from tests.fakes import until
from tests.proxy.conftest import HEAD, KEY, raw

REFUSED = [
    ({}, "GET", "/v1", {"Authorization": ""}, 401),
    ({}, "GET", "/v1", {"Authorization": f"Bearer {KEY}x"}, 401),
    ({}, "GET", "/v1", {"Authorization": f"Basic {KEY}"}, 401),
    ({}, "GET", "/v1", {"Host": "rebound.example"}, 421),
    ({}, "GET", "/v1", {"Host": "["}, 421),
    ({}, "GET", "/v1", {"Host": ""}, 421),
    ({}, "GET", "/healthz", {"Host": "rebound.example"}, 421),
    ({}, "GET", "/v1", {"Origin": "http://127.0.0.1"}, 403),
    ({}, "OPTIONS", "/v1", {"Origin": "null", "Access-Control-Request-Method": "GET"}, 403),
    ({}, "GET", "/v1", {"Sec-Fetch-Site": "cross-site"}, 403),
    ({"key": None}, "GET", "/v1", {"Origin": "https://page.example"}, 403),
    ({}, "TRACE", "/v1", {}, 501),
    ({}, "CONNECT", "/v1", {}, 501),
    ({}, "GET", "/oauth/token", {}, 403),
    ({}, "GET", "/%2foauth/token", {}, 403),
    ({}, "GET", "/%6fauth/token", {}, 403),
    ({}, "GET", "/v1/%2e%2e/oauth/token", {}, 403),
    ({}, "GET", "/v1/%2e/users", {}, 403),
    ({}, "GET", "/oauth;v=1/token", {}, 403),
    ({}, "GET", "/v1/..;/oauth/token", {}, 403),
    ({}, "GET", "/v1/%2e%2e%3bx/oauth/token", {}, 403),
    ({"read_only": True}, "POST", "/v1/datasets", {}, 403),
    ({"allow": ("/v1/datasets/*",)}, "GET", "/v1/users", {}, 403),
    ({"allow": ("/v1/datasets/*",)}, "GET", "/v1/datasets", {}, 403),
    ({"allow": ("/v1/datasets/*",)}, "GET", "/v1/datasets/..%2fusers", {}, 403),
    ({"allow": ("/v1/datasets/*",)}, "GET", "/v1/datasets/%252e%252e/users", {}, 403),
    ({"allow": ("/v1/datasets/*",)}, "GET", "/v1/datasets/..%5cusers", {}, 403),
    ({"allow": ("/v1/datasets/*",)}, "GET", "/v1/datasets/..;/users", {}, 403),
]
FORWARDED = [
    ({}, "GET", {}),
    ({}, "GET", {"Host": "localhost:1"}),
    ({}, "GET", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "cors"}),  # Node.js sends the second one
    ({"hosts": frozenset({"domo-proxy"})}, "GET", {"Host": "Domo-Proxy:8766"}),
    ({"key": None}, "GET", {"Host": "domo", "Authorization": ""}),
    ({"read_only": True}, "GET", {}),
    ({"read_only": True}, "HEAD", {}),
    ({"read_only": True}, "OPTIONS", {}),
    ({"allow": ("/v2/*", "/v1/datasets/*")}, "DELETE", {}),
]


@pytest.mark.parametrize(("access", "method", "path", "headers", "status"), REFUSED)
def test_these_requests_are_refused_and_do_not_reach_the_api(proxy, api, access, method, path, headers, status):
    received = proxy(Access(**{"key": KEY} | access)).request(method, path, headers=headers)
    assert received.status_code == status
    document = received.json()
    assert document.pop("detail")
    assert document == {"title": HTTPStatus(status).phrase, "status": status}
    assert received.headers["Content-Type"] == "application/problem+json"
    assert received.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)
    assert received.headers["Date"].endswith(" GMT")
    assert parsedate_to_datetime(received.headers["Date"])
    assert api.requests == []


@pytest.mark.parametrize(("access", "method", "headers"), FORWARDED)
def test_these_requests_are_forwarded(proxy, api, access, method, headers):
    assert proxy(Access(**{"key": KEY} | access)).request(method, "/v1/datasets/1", headers=headers).status_code == 200
    assert [seen.path for seen in api.seen] == ["/oauth/token?grant_type=client_credentials", "/v1/datasets/1"]


@pytest.mark.parametrize("path", ["/", "/oauth2/token"])
def test_these_paths_are_forwarded(proxy, api, path):
    assert proxy().get(path).status_code == 200
    assert api.seen[-1].path == path


@pytest.mark.parametrize(
    "target",
    [
        "http://canary-id:canary-secret@127.0.0.1/v1",
        "@evil.example/v1",
        ".evil.example/v1",
        "%2f@evil.example",
        "*",
        "/v1/a#/b",
    ],
)
def test_only_a_path_can_be_requested(proxy, api, caplog, target):
    """Put after the API's host, anything else would name another host."""
    caplog.set_level(logging.INFO, "domo_oauth.proxy")
    received = raw(proxy(), f"GET {target} HTTP/1.1\r\n{HEAD}\r\n")
    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Send the path alone" in received
    assert api.requests == []
    until(lambda: f"GET {target if target[0] == '/' else '(not a path)'} 400" in caplog.text)
    assert "canary" not in caplog.text, "the URL of another host may have a password"


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("trace /v1", "501 Not Implemented"),  # httpx would send TRACE
        ("connect /v1", "501 Not Implemented"),
        (f"GET /v1/{'x' * 65536}", "414 "),  # httpx makes no URL of this length
        (f"GET /v1?{'x' * 65536}", "414 "),
    ],
)
def test_what_httpx_would_send_in_another_way_is_refused(proxy, api, start, status):
    received = raw(proxy(), f"{start} HTTP/1.1\r\n{HEAD}\r\n")
    assert received.startswith(f"HTTP/1.1 {status}".encode())
    assert b'"detail":"The p' in received
    assert api.requests == []
