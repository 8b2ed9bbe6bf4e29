"""The token goes to its own origin and to no other, whatever a URL or a server says: each trick by each client library.

Two ports are two origins, and so are 127.0.0.1, localhost and [::1]. What counts is what the other server really saw.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

import httpx
import pytest
import trustme

from domo_oauth import ClientCredentials, TokenProvider
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, Canaries
from tests.secrets.server import Server, answer, takes
from tests.secrets.ways import WAYS

Trick: TypeAlias = Callable[[Server, Server], str]
"""The URL, or the Location of a redirect, that is to lead from one server, which the token is for, to the other."""

CANARIES = Canaries()
GRANTED = {"access_token": ACCESS_TOKEN, "token_type": "bearer", "expires_in": 3599, "customer": "acme"}

# All libraries read these as URLs of the other server.
ELSEWHERE: dict[str, Trick] = {
    "another port": lambda api, other: f"http://{other.authority}/elsewhere",
    "ours as user name": lambda api, other: f"http://{api.authority}@{other.authority}/elsewhere",
    "Domo as user name": lambda api, other: f"http://api.domo.com:443@{other.authority}/elsewhere",
    "ours twice": lambda api, other: f"http://{api.authority}@{api.authority}@{other.authority}/elsewhere",
    "ours before a semicolon": lambda api, other: f"http://{api.authority};@{other.authority}/elsewhere",
    "ours in the path": lambda api, other: f"http://{other.authority}/@{api.authority}/elsewhere",
    "ours in the query": lambda api, other: f"http://{other.authority}?@{api.authority}/elsewhere",
    "ours in the fragment": lambda api, other: f"http://{other.authority}#@{api.authority}/elsewhere",
    "upper case scheme": lambda api, other: f"HTTP://{other.authority}/elsewhere",
    "zero before the port": lambda api, other: f"http://{other.host}:0{other.port}/elsewhere",
}

# Libraries differ: some refuse these, some take them for URLs of the one server and some of the other.
ODD: dict[str, Trick] = {
    "backslash before ours": lambda api, other: f"http://{other.authority}\\@{api.authority}/elsewhere",
    "backslash after ours": lambda api, other: f"http://{api.authority}\\@{other.authority}/elsewhere",
    "tab before ours": lambda api, other: f"http://{other.authority}\t@{api.authority}/elsewhere",
    "tab after ours": lambda api, other: f"http://{api.authority}\t@{other.authority}/elsewhere",
    "encoded at sign": lambda api, other: f"http://{api.authority}%40{other.authority}/elsewhere",
    "encoded colon": lambda api, other: f"http://{api.host}%3A{api.port}%2F@{other.authority}/elsewhere",
    "wide full stops": lambda api, other: f"http://127\u30020\u30020\u30021:{other.port}/elsewhere",
    "space before": lambda api, other: f" http://{other.authority}/elsewhere",
    "tab before": lambda api, other: f"\t//{other.authority}/elsewhere",
    "tab within": lambda api, other: f"/\t/{other.authority}/elsewhere",
    "no scheme": lambda api, other: f"//{other.authority}/elsewhere",
    "three slashes": lambda api, other: f"///{other.authority}/elsewhere",
    "slash and backslash": lambda api, other: f"/\\{other.authority}/elsewhere",
    "two backslashes": lambda api, other: f"\\\\{other.authority}/elsewhere",
    "backslashes for slashes": lambda api, other: f"http:\\\\{other.authority}/elsewhere",
    "one slash": lambda api, other: f"http:/{other.authority}/elsewhere",
}

# Other names of the same machine, and what looks like its own: they lead back to the server, if anywhere.
NAMES = {
    "localhost": "localhost",
    "upper case": "LOCALHOST",
    "trailing dot": "127.0.0.1.",
    "trailing dot of a name": "localhost.",
    "short": "127.1",
    "number": "2130706433",
    "hexadecimal": "0x7f000001",
    "mapped": "[::ffff:127.0.0.1]",
    "circled letter": "\u24dbocalhost",
    "Cyrillic letter": "l\u043ecalhost",
    "Punycode of nothing": "xn--localhost-",
    "subdomain": "127.0.0.1.localhost",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(params=WAYS)
def send(request):
    """One way to send a request. What a library says of an odd URL is its own affair, if it says so before it sends."""

    def attempt(provider: TokenProvider, url: str, headers: dict[str, str] | None = None, authority: str = "") -> str:
        try:
            return str(WAYS[request.param](provider, url, headers or {}, authority))
        except Exception as error:
            return type(error).__name__

    return attempt


@contextlib.contextmanager
def two_servers(status: int = 307, location: str = "", **api_args) -> Iterator[tuple[Server, Server]]:
    """The one that the token is for, which redirects from /away, and another."""
    with Server(**api_args) as api, Server() as other:
        api.api = lambda request: (
            answer(status, "", f"Location: {api.location}") if request.startswith(b"GET /away ") else takes(request)
        )
        yield api, other


def provider_of(api: Server, **args) -> TokenProvider:
    return TokenProvider(ClientCredentials(CLIENT_ID, CLIENT_SECRET), base_url=api.url, **args)


def has_secret(requests: list[bytes]) -> list[bool]:
    return [bool(CANARIES.found(request)) for request in requests]


@pytest.mark.parametrize("trick", ELSEWHERE)
def test_a_url_of_another_server_carries_no_token(trick, send):
    with two_servers() as (api, other):
        assert send(provider_of(api), ELSEWHERE[trick](api, other)) == "200"
        assert has_secret(other.requests) == [False]
        assert api.requests == [], "not even a token is fetched"


@pytest.mark.parametrize("trick", ELSEWHERE | ODD)
def test_a_redirect_to_another_server_carries_no_token(trick, send):
    with two_servers() as (api, other):
        api.location = (ELSEWHERE | ODD)[trick](api, other)
        status = send(provider_of(api), f"{api.url}/away")
        assert has_secret(api.api_requests)[0], "what is redirected does have it"
        assert not any(has_secret(other.requests))
        if trick in ELSEWHERE:
            assert status == "200"
            assert len(other.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_of_any_kind_carries_it(status, send):
    with two_servers(status) as (api, other):
        api.location = f"//user:password@{other.authority}/elsewhere"
        assert send(provider_of(api), f"{api.url}/away") == "200"
        assert has_secret(api.api_requests) == [True]
        assert has_secret(other.requests) == [False]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_from_another_server_gets_no_token(status, send):
    with two_servers() as (api, other):
        other.api = lambda request: answer(status, "", f"Location: {api.url}/v1/datasets")
        assert send(provider_of(api), f"{other.url}/x") == "200"
        assert has_secret(other.requests) == [False]
        assert has_secret(api.requests) == [False], "not even a token is fetched"


def test_a_redirect_by_way_of_another_server_gets_no_token(send):
    with two_servers() as (api, other):
        api.location = f"{other.url}/x"
        other.api = lambda request: answer(307, "", f"Location: {api.url}/back")
        assert send(provider_of(api), f"{api.url}/away") == "200"
        assert has_secret(api.api_requests) == [True, False]
        assert has_secret(other.requests) == [False]


@pytest.mark.parametrize("trick", ODD)
def test_an_odd_url_carries_no_token_elsewhere(trick, send):
    with two_servers() as (api, other):
        send(provider_of(api), ODD[trick](api, other))
        assert not any(has_secret(other.requests))


@pytest.mark.parametrize("kind", ["URL", "redirect"])
@pytest.mark.parametrize("name", NAMES)
def test_another_name_of_the_same_machine_gets_no_token(name, kind, send):
    with two_servers() as (api, _):
        api.location = f"http://{NAMES[name]}:{api.port}/elsewhere"
        status = send(provider_of(api), api.location if kind == "URL" else f"{api.url}/away")
        arrived = [request for request in api.api_requests if request.startswith(b"GET /elsewhere ")]
        assert not any(has_secret(arrived))
        if name in {"localhost", "upper case"}:
            assert status == "200"
            assert len(arrived) == 1


def test_the_address_of_another_protocol_gets_no_token(send):
    try:
        at_v6 = Server(host="::1")
    except OSError:
        pytest.skip("no IPv6 on loopback here: sysctl net.ipv6.conf.lo.disable_ipv6=0")
    with two_servers() as (api, _), at_v6:
        api.location = f"{at_v6.url}/elsewhere"
        for url in (api.location, f"{api.url}/away"):
            assert send(provider_of(api), url) == "200"
        assert has_secret(at_v6.requests) == [False, False]
        assert send(provider_of(at_v6), f"{at_v6.url}/x") == "200"
        assert has_secret(at_v6.api_requests) == [False, False, True], "unless it is for that one"


def test_its_own_origin_gets_it_however_it_is_written(send):
    with two_servers() as (api, _):
        api.host = "localhost"
        provider, api.location = provider_of(api), "/elsewhere"
        for url in (f"{api.url}/x", f"HTTP://LocalHost:{api.port}/x", f"{api.url}/away"):
            assert send(provider, url) == "200"
        assert has_secret(api.api_requests) == [True] * 4


def test_a_host_field_changes_nothing(send):
    with two_servers() as (api, other):
        provider = provider_of(api)
        assert send(provider, f"{other.url}/x", {"Host": api.authority, "X-Forwarded-Host": api.authority}) == "200"
        assert send(provider, f"{api.url}/x", {"Host": other.authority}) == "200"
        assert has_secret(other.requests) == [False]
        assert has_secret(api.api_requests) == [True], "the server that the URL names, whatever it is called"


# --- TLS, and proxies ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> tuple[ssl.SSLContext, str]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(file)
    return context, str(file)


def test_the_same_host_and_port_without_tls_gets_no_token(tls, send):
    context, authority = tls
    with two_servers(tls=context) as (api, _):
        provider = provider_of(api, httpx_args={"verify": ssl.create_default_context(cafile=authority)})
        in_clear = api.location = f"http://{api.authority}/elsewhere"
        for url in (in_clear, f"{api.url}/away"):
            assert send(provider, url, None, authority) == "200"
        assert [request.split()[1] for request in api.api_requests] == [b"/elsewhere", b"/away", b"/elsewhere"]
        assert has_secret(api.api_requests) == [False, True, False]


class Proxy(Server):
    """Passes on what it is asked to, and keeps it: requests in clear, and tunnels of which it sees bytes only."""

    def converse(self, connection: socket.socket) -> None:
        request = self.read(connection)
        method, target, _ = request.split(b" ", 2)
        self.requests.append(request)
        authority = target if method == b"CONNECT" else target.split(b"/")[2]
        with socket.create_connection(self.find(authority.decode())) as server:
            if method == b"CONNECT":
                connection.sendall(b"HTTP/1.1 200 -\r\n\r\n")
                answers = threading.Thread(target=self._carry, args=(server, connection))
                answers.start()
                self._carry(connection, server)
                answers.join()
            else:
                server.sendall(request)
                self._carry(server, connection)

    def find(self, authority: str) -> tuple[str, int]:
        host, _, port = authority.rpartition(":")
        return host, int(port)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.requests.append(data)
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def test_a_proxy_of_the_environment_sees_nothing_of_what_tls_covers(tls, send, monkeypatch):
    context, authority = tls
    with Server(tls=context) as api, Proxy() as proxy:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        provider = provider_of(api, httpx_args={"verify": ssl.create_default_context(cafile=authority)})
        assert send(provider, f"{api.url}/x", None, authority) == "200"
        assert has_secret(api.requests) == [True, True]
        provider.close()
    assert sum(seen.startswith(b"CONNECT ") for seen in proxy.requests) == 2
    assert not any(has_secret(proxy.requests))


def test_what_a_proxy_of_the_environment_sees_without_tls_is_a_matter_of_the_client(send, monkeypatch):
    """Only an API on loopback is reached without TLS. The secret never goes by the proxy; the token does, if the HTTP
    client heeds the environment: SECURITY.md says so, and NO_PROXY prevents it."""
    with Server() as api, Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert send(provider_of(api), f"{api.url}/x") == "200"
        found = {name for seen in proxy.requests for name, _ in CANARIES.found(seen)}
        assert found == {"token"}
        assert ACCESS_TOKEN.encode() in proxy.requests[0]
        proxy.requests.clear()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert send(provider_of(api), f"{api.url}/x") == "200"
        assert proxy.requests == []


@pytest.mark.parametrize("refuse", [0, 1])
def test_port_443_of_the_same_host_gets_no_token_from_port_80(refuse, tls, send, monkeypatch):
    """Only root may listen there, so that a proxy leads to the servers. httpx keeps header fields on that way, and its
    adapters refuse such a base URL."""

    class StandardPorts(Proxy):
        def find(self, authority: str) -> tuple[str, int]:
            return "127.0.0.1", encrypted.port if authority.endswith(":443") else plain.port

    grants = (httpx.Response(200, json=GRANTED | {"access_token": ACCESS_TOKEN + end}) for end in ("", "-2"))
    args = {"transport": httpx.MockTransport(lambda _: next(grants))}
    with Server() as plain, Server(tls=tls[0]) as encrypted, StandardPorts() as proxy:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
            monkeypatch.setenv(variable.lower(), proxy.url)
        moved = answer(307, "", "Location: https://localhost/elsewhere")
        answers = itertools.chain([answer(401)] * refuse, itertools.repeat(moved))
        plain.api = lambda _: next(answers)
        credentials = ClientCredentials(f"{CLIENT_ID}-{plain.port}", CLIENT_SECRET)  # shares no token with others
        provider = TokenProvider(credentials, base_url="http://localhost", httpx_args=args)
        status = send(provider, "http://localhost/x", None, tls[1])
        if status == "200":
            assert has_secret(plain.requests) == [True] * (1 + refuse)
            assert has_secret(encrypted.requests) == [False]
        else:
            assert status == "ConfigurationError"
            assert plain.requests == encrypted.requests == []
