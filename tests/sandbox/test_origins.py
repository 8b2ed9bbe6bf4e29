"""No web page of another origin can use the sandbox. tests/browser tries it in a real browser."""

from __future__ import annotations

import pytest

from domo_oauth.sandbox import Stats

REQUESTS = [
    ("GET", "/oauth/token?grant_type=client_credentials"),
    ("GET", "/v1/datasets"),
    ("GET", "/_sandbox/requests"),
    ("POST", "/_sandbox/fail"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "LOCALHOST:1", "[::1]", "[::1]:8765", "127.1.2.3:80"])
def test_loopback_is_a_known_host(sandbox, host):
    assert sandbox.get("/_sandbox/stats", headers={"Host": host}).status_code == 200


def test_names_can_be_allowed(serve):
    assert serve(allowed_hosts=("Domo-Sandbox",)).get("/", headers={"Host": "domo-sandbox:8765"}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example", "domo-sandbox", "[", "0.0.0.0",
     "10.0.0.1", "[::]", "127.0.0.1@evil.example", "evil.example#@127.0.0.1", "evil.example/127.0.0.1"],
)  # fmt: skip
def test_after_dns_rebinding_the_host_is_unknown(sandbox, host):
    for method, path in [*REQUESTS, ("GET", "/")]:
        answer = sandbox.request(method, path, headers={"Host": host})
        assert answer.status_code == 421
        assert "--allow-host NAME" in answer.text
        assert "evil" not in answer.text
    assert sandbox.stats() == Stats()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_requests_from_other_origins_are_refused(sandbox, headers):
    for method, path in [*REQUESTS, ("OPTIONS", "/oauth/token")]:
        preflight = {"Access-Control-Request-Method": method, "Access-Control-Request-Private-Network": "true"}
        answer = sandbox.request(method, path, headers=headers | preflight)
        assert answer.status_code == 403
        assert answer.text == "The sandbox does not accept requests from web pages of other origins.\n"
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert sandbox.stats() == Stats()


def test_its_own_page_may_ask_and_links_may_lead_to_it(sandbox):
    own = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
    assert sandbox.post("/_sandbox/revoke", headers=own).status_code == 200
    assert sandbox.get("/_sandbox/stats", headers={"Sec-Fetch-Site": "none"}).status_code == 200
    assert sandbox.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status_code == 200
