"""What ``domo-oauth doctor`` tells of the way to the server, to the letter, and at the edges."""

from __future__ import annotations

import math
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import pytest
import trustme

from domo_oauth.cli import network
from domo_oauth.cli.network import Check

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def asked(monkeypatch):
    """Whom the name server is asked for, which knows nobody."""
    names = []

    def ask(host, port, **more):
        names.append((host, port, more))
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    return names


def answer(*fields: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", "Content-Length: 0", *fields, "", ""]).encode()


def test_all_of_it(wire):
    server = wire(answer(f"Date: {format_datetime(datetime.now(UTC), usegmt=True)}"))
    port = urlsplit(server.url).port
    assert list(network.checks(f"{server.url}/behind")) == [
        Check("proxy", "ok", "none"),
        Check("DNS", "ok", "127.0.0.1 is 127.0.0.1"),
        Check("TCP", "ok", f"connected to 127.0.0.1:{port}"),
        Check("TLS", "skip", "http://, which never leaves this machine"),
        Check("clock", "ok", "as the server's, to the minute"),
    ]
    assert server.requests[0].startswith(b"GET /behind/oauth/token HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("url", "proxy", "asks"),
    [
        ("http://localhost", "", ("localhost", 80)),
        ("https://api.domo.com", "", ("api.domo.com", 443)),
        ("https://api.domo.com:8443", "", ("api.domo.com", 8443)),
        ("https://api.domo.com", "http://squid.example", ("squid.example", 80)),
        ("https://api.domo.com", "squid.example:3128", ("squid.example", 3128)),
        ("http://localhost:9", "squid.example:3128", ("localhost", 9)),  # which no proxy is asked for
    ],
)
def test_whose_address_it_asks_for(url, proxy, asks, asked, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    host, port = asks
    told = f"{host} is not known ([Errno -2] Name or service not known): check its name and the name server"
    through = proxy and url.startswith("https")
    seen = list(network.checks(url))
    assert seen[-1] == Check("DNS", "fail", told)
    assert seen[0] == Check("proxy", "ok", f"{host}:{port}, from the environment or the system" if through else "none")
    assert asked == [(host, port, {"type": socket.SOCK_STREAM})]


def test_all_addresses_are_told(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", 9)) for last in (3, 2, 2)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    checks = network.checks("http://localhost:9")
    assert [next(checks), next(checks)][1] == Check("DNS", "ok", "localhost is 127.0.0.2, 127.0.0.3")
    checks.close()


def test_a_host_that_is_no_name(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: f"{host}ü".encode("ascii"))
    _, verdict, told = list(network.checks("http://localhost:9"))[-1]
    assert verdict == "fail"
    assert told.startswith("localhost is not known ('ascii' codec")


def test_a_proxy_that_cannot_be_looked_into_ends_it(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://user:word@squid.example:1080")
    told = "socks5://squid.example: only http:// proxies can be looked into here"
    assert list(network.checks("https://api.domo.com")) == [Check("proxy", "warn", told)]


@pytest.mark.parametrize(
    ("proxy", "fields"),
    [
        ("http://squid.example", {}),
        ("http://user@squid.example", {"Proxy-Authorization": "Basic dXNlcjo="}),
        ("http://us%3aer:w%40rd@squid.example", {"Proxy-Authorization": "Basic dXM6ZXI6d0ByZA=="}),
    ],
)
def test_what_a_proxy_is_told_of_who_asks(proxy, fields):
    assert network._authorization(httpx.URL(proxy)) == fields


def test_the_tunnel_is_to_the_port_of_https(wire, monkeypatch):
    through = wire(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", through.url)
    name, verdict, told = list(network.checks("https://api.domo.com"))[-1]
    host_and_port = through.url.removeprefix("http://")
    assert (name, verdict) == ("TCP", "fail")
    assert told.startswith(f"no connection to {host_and_port} (Tunnel connection failed: 502 Bad Gateway): check ")
    assert through.requests[0].startswith(b"CONNECT api.domo.com:443 HTTP/1.")


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (0, ("ok", "as the server's, to the minute")),
        (60, ("ok", "as the server's, to the minute")),
        (-60, ("ok", "as the server's, to the minute")),
        (61, ("warn", "61 s ahead of the server's: set this machine's clock (NTP)")),
        (-61, ("warn", "61 s behind the server's: set this machine's clock (NTP)")),
    ],
)
def test_a_minute_is_no_fault_of_the_clock(seconds, found, monkeypatch):
    monkeypatch.setattr(network, "time", SimpleNamespace(time=lambda: NOW.timestamp() + seconds))
    assert network._clock(format_datetime(NOW, usegmt=True)) == ("clock", *found)


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 99 Mar 2026 00:00:00 GMT"])
def test_a_server_without_a_clock(date):
    assert network._clock(date) == ("clock", "skip", "the server does not tell its time")


@pytest.fixture
def handshake(wire, monkeypatch):
    """The check of TLS, with a certificate that ends at a second that is known."""
    authority, ends = trustme.CA(organization_name="trustme"), datetime.now(UTC).replace(microsecond=0)
    ends += timedelta(days=30)
    server = wire(b"")
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=ends).configure_cert(server.tls)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    monkeypatch.setattr(httpx, "create_ssl_context", lambda: context)

    def check(left: float, **certificate: object) -> Check:
        monkeypatch.setattr(network, "time", SimpleNamespace(time=lambda: ends.timestamp() - left))
        if certificate:
            monkeypatch.setattr(ssl.SSLSocket, "getpeercert", lambda _: {"notAfter": told} | certificate)
        connection = HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=10)
        limit = network._Limit(connection)
        connection.connect()
        try:
            return network._tls(connection, limit, "127.0.0.1")
        finally:
            limit.lift()
            connection.close()

    told = ends.strftime("%b %d %H:%M:%S %Y GMT")
    return check


@pytest.mark.parametrize(("left", "verdict"), [(14 * 86400, "ok"), (14 * 86400 - 1, "warn"), (-1, "warn")])
def test_a_certificate_is_good_for_two_weeks(left, verdict, handshake):
    days = math.floor(left / 86400)
    told = f"TLSv1.3, certificate by trustme, good for {days} days"
    assert handshake(left) == Check(
        "TLS", verdict, told if verdict == "ok" else f"{told}: whoever runs the server must renew it"
    )


@pytest.mark.parametrize(
    ("issuer", "name"),
    [
        (((("organizationName", "Acme"),), (("commonName", "root 1"),)), "Acme"),
        (((("commonName", "root 1"),),), "root 1"),
        ((), "somebody without a name"),
    ],
)
def test_who_vouches_for_the_server(issuer, name, handshake):
    assert handshake(20 * 86400, issuer=issuer).told == f"TLSv1.3, certificate by {name}, good for 20 days"


def test_a_limit_that_is_lifted_does_not_end_what_comes_after(monkeypatch):
    monkeypatch.setattr(network, "_LONGEST", 0.01)
    connection = SimpleNamespace(sock=None)
    limit = network._Limit(connection)
    deadline = time.monotonic() + 20
    while not limit._is_over:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    with pytest.raises(TimeoutError, match=r"^not done after 0\.01 s$"), limit:
        pass
    limit.lift()
    assert not limit._thread.is_alive()
