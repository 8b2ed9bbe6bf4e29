"""The token goes to its own origin and to no other, whatever a URL or a server says: each trick with each library.

Two ports are two origins, and so are 127.0.0.1, localhost and [::1]. What counts is what the other server really saw.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Any

import pytest
import requests
import trustme

from domo_oauth import ClientCredentials, ConfigurationError, TokenProvider
from tests.adapters.server import GRANTED, JSON, Api, Server, answer, read_head, takes
from tests.adapters.ways import HTTPX, Grants, Way

# In these {api} is the server that the token is for and {other} another one. All libraries read them as URLs of the
# other server.
ELSEWHERE = {
    "another port": "http://{other}/elsewhere",
    "ours as user name": "http://{api}@{other}/elsewhere",
    "Domo as user name": "http://api.domo.com:443@{other}/elsewhere",
    "ours twice": "http://{api}@{api}@{other}/elsewhere",
    "ours before a semicolon": "http://{api};@{other}/elsewhere",
    "ours in the path": "http://{other}/@{api}/elsewhere",
    "ours in the query": "http://{other}?@{api}/elsewhere",
    "ours in the fragment": "http://{other}#@{api}/elsewhere",
    "upper case scheme": "HTTP://{other}/elsewhere",
    "zero before the port": "http://127.0.0.1:0{port}/elsewhere",
}
# Libraries differ: some refuse these, some take them for URLs of the one server and some of the other.
ODD = {
    "backslash before ours": "http://{other}\\@{api}/elsewhere",
    "backslash after ours": "http://{api}\\@{other}/elsewhere",
    "tab before ours": "http://{other}\t@{api}/elsewhere",
    "tab after ours": "http://{api}\t@{other}/elsewhere",
    "encoded at sign": "http://{api}%40{other}/elsewhere",
    "encoded colon": "http://127.0.0.1%3A1%2F@{other}/elsewhere",
    "wide full stops": "http://127\u30020\u30020\u30021:{port}/elsewhere",
    "space before": " http://{other}/elsewhere",
    "tab before": "\t//{other}/elsewhere",
    "tab within": "/\t/{other}/elsewhere",
    "no scheme": "//{other}/elsewhere",
    "three slashes": "///{other}/elsewhere",
    "slash and backslash": "/\\{other}/elsewhere",
    "two backslashes": "\\\\{other}/elsewhere",
    "backslashes for slashes": "http:\\\\{other}/elsewhere",
    "one slash": "http:/{other}/elsewhere",
}
# Other names of the same machine, and what looks like its own: they lead back to the server, if anywhere.
NAMES = [
    "localhost",
    "LOCALHOST",
    "127.0.0.1.",
    "localhost.",
    "127.1",
    "2130706433",
    "0x7f000001",
    "127.0.0.1.localhost",
]
NAMES += ["[::ffff:127.0.0.1]", "\u24dbocalhost", "l\u043ecalhost", "xn--localhost-"]


def attempt(way: Way, auth: Any, url: str, **args: Any) -> str:
    """What a library says of an odd URL is its own business."""
    try:
        return str(way.send(auth, "GET", url, **args))
    except Exception as error:
        return type(error).__name__


@pytest.fixture
def other():
    with Api() as server:
        yield server


def has_secret(server: Server) -> list[bool]:
    found = [b"token-" in request or b"canary" in request for request in server.requests]
    server.requests.clear()
    return found


@pytest.mark.parametrize("kind", ["URL", "redirect"])
def test_another_server_gets_no_token(kind, way, auth, api, other, grants):
    for trick, text in (ELSEWHERE | ODD).items():
        url = text.format(api=api.authority, other=other.authority, port=other.port)
        api.redirects = {"/away": url}
        status = attempt(way, auth, url if kind == "URL" else f"{api.url}/away")
        seen, theirs = has_secret(api), has_secret(other)
        assert not any(theirs), trick
        assert kind == "URL" or seen[0], "what is redirected does have it"
        if trick in ELSEWHERE:
            assert (status, theirs, seen) == ("200", [False], [True] * (kind == "redirect")), trick
            assert grants.granted == (kind == "redirect"), "not even a token is fetched"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_of_any_kind_carries_or_gets_it(status, way, auth, api, other):
    away = answer(status, "", f"Location: //user:password@{other.authority}/elsewhere")
    api.api = lambda request: takes(request) if b"/back" in request else away
    other.api = takes
    assert way.send(auth, "GET", f"{api.url}/away") == 200
    assert (has_secret(api), has_secret(other)) == ([True], [False])
    back = answer(status, "", f"Location: {api.url}/back")
    other.api = lambda request: back
    for start, ours in (f"{other.url}/x", [False]), (f"{api.url}/away", [True, False]):
        assert way.send(auth, "GET", start) == 200
        assert (has_secret(api), has_secret(other)) == (ours, [False])


def test_another_name_of_the_same_machine_gets_no_token(way, auth, api):
    for name in NAMES:
        url = f"http://{name}:{api.port}/elsewhere"
        api.redirects = {"/away": url}
        for start in (url, f"{api.url}/away"):
            status = attempt(way, auth, start)
            assert [seen.token for seen in api.seen if seen.path == "/elsewhere"] in ([], [None])
            if name.lower() == "localhost":
                assert (status, len(api.seen)) == ("200", 1 + (start != url))
            api.requests.clear()


def test_the_address_of_another_protocol_gets_no_token(way, auth, api):
    try:
        at_v6 = Api(host="::1")
    except OSError:
        pytest.skip("no IPv6 on loopback here: sysctl net.ipv6.conf.lo.disable_ipv6=0")
    with at_v6:
        api.redirects = {"/away": f"{at_v6.url}/elsewhere"}
        for url in (f"{at_v6.url}/x", f"{api.url}/away"):
            assert way.send(auth, "GET", url) == 200
        assert has_secret(at_v6) == [False, False]
        assert way.send(way.auth(Grants().provider(at_v6.url)), "GET", f"{at_v6.url}/x") == 200
        assert has_secret(at_v6) == [True], "unless it is for that one"


def test_a_host_field_changes_nothing(way, auth, api, other):
    for server, field in (other, api), (api, other):
        headers = {"Host": field.authority, "X-Forwarded-Host": field.authority}
        assert way.send(auth, "GET", f"{server.url}/x", lambda headers=headers: {"headers": headers}) == 200
    assert (has_secret(other), has_secret(api)) == ([False], [True])


# As URLs are parsed, without servers.

ORIGINS = {
    "https://api.domo.com": True,
    "https://api.domo.com:443/v1": True,
    "HTTPS://API.DOMO.COM/v1?x#y": True,
    "https://user:password@api.domo.com/v1": True,
    "https://more.domo.com:8443": True,
    "https://last.domo.com:65535": True,
    "http://api.domo.com": False,
    "http://api.domo.com:443": False,
    "https://api.domo.com:444": False,
    "https://api.domo.com.": False,
    "https://more.domo.com": False,
    "http://more.domo.com:8443": False,
    "https://api.domo.com.evil.test": False,
    "https://api.domo.com@evil.test": False,
}


def test_scheme_host_and_port_make_an_origin(way):
    auth = way.auth(Grants().provider("https://api.domo.com"), hosts=["more.domo.com:8443", "last.domo.com:65535"])
    assert {url: auth._is_ours(auth._origin(url)) for url in ORIGINS} == ORIGINS
    single = way.auth(Grants().provider("https://api.domo.com"), hosts="acme.domo.com")
    assert single._is_ours(single._origin("https://acme.domo.com")), "one host, and not its letters"


BASE_URLS = ["https://api.domo.com:443", "https://API.domo.com/prefix", "http://localhost:8080", "http://[::1]:8080"]
BASE_URLS += ["https://[2001:db8::a]", "https://xn--bcher-kva.example"]


@pytest.mark.parametrize("base_url", BASE_URLS)
def test_the_base_url_gets_the_token_however_it_is_written(base_url, way):
    auth = way.auth(Grants().provider(base_url))
    for url in (base_url, base_url.replace("xn--bcher-kva", "b\u00fccher")):
        sent = requests.Request("GET", url).prepare().url if way.library == "requests" else url
        assert auth._is_ours(auth._origin(sent))


@pytest.mark.parametrize(
    "host", ["", "https://x.test", "x.test/path", "a@b", "x.test:port", "x test", "a.test:0", "a.test:65536"]
)
def test_a_host_must_be_one(host, way):
    with pytest.raises(ConfigurationError, match="in hosts must look like"):
        way.auth(Grants().provider("https://api.domo.com"), hosts=[host])


@pytest.mark.parametrize("library", HTTPX)
def test_a_host_that_httpx_does_not_accept(library):
    with pytest.raises(ConfigurationError, match=f"{library} does not accept https://999.1.1.1"):
        Way(library).auth(Grants().provider("https://api.domo.com"), hosts=["999.1.1.1"])


def test_a_crawler_does_not_fill_the_memory(caplog):
    auth = Way("requests").auth(Grants().provider("https://api.domo.com"))
    for number in range(2500):
        for _ in range(2):
            assert not auth._is_ours(("https", f"host-{number}.example", 443))
    assert len(caplog.records) == 2500
    assert len(auth._foreign) <= 1000


# Port 80, TLS, and proxies.


@pytest.mark.parametrize("url", ["http://localhost", "http://127.0.0.1:80", "http://[::1]"])
def test_port_80_is_refused(url, way):
    with pytest.raises(ConfigurationError, match="Use another port"):
        way.auth(Grants().provider(url))


@pytest.mark.parametrize("library", HTTPX)
def test_why_port_80_is_refused(library):
    """If this fails, the library has changed, and the adapter can accept port 80."""

    def respond(request):
        seen.append(request.headers.get("Authorization"))
        away = request.url.scheme == "http"
        return HTTPX[library].Response(307 if away else 200, headers={"Location": "https://localhost"} if away else {})

    seen: list[str | None] = []
    transport = HTTPX[library].MockTransport(respond)
    with HTTPX[library].Client(transport=transport, follow_redirects=True) as client:
        client.get("http://localhost", headers={"Authorization": "Bearer x"})
    assert seen == ["Bearer x"] * 2


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> tuple[ssl.SSLContext, str]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(file)
    return context, str(file)


def trusting(way: Way, authority: str) -> object:
    return authority if way.library == "requests" else ssl.create_default_context(cafile=authority)


def test_the_same_host_and_port_without_tls_gets_no_token(tls, way):
    with Api(tls=tls[0]) as api:
        auth, in_clear = way.auth(Grants().provider(api.url)), f"http://{api.authority}/elsewhere"
        api.redirects = {"/away": in_clear}
        for url in (in_clear, f"{api.url}/away"):
            assert way.send(auth, "GET", url, verify=trusting(way, tls[1])) == 200
        assert [seen[:2] for seen in api.seen] == [("/elsewhere", None), ("/away", "token-1"), ("/elsewhere", None)]


class Proxy(Server):
    """Passes on what it is asked to, and keeps it: requests in clear, and the bytes of tunnels."""

    def __init__(self) -> None:
        super().__init__(takes)

    def converse(self, connection: socket.socket) -> None:
        with connection.makefile("rb", buffering=0) as file:
            request = read_head(file)
        method, target, _ = request.split(b" ", 2)
        self.requests.append(request)
        host, _, port = (target if method == b"CONNECT" else target.split(b"/")[2]).decode().rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            if method == b"CONNECT":
                connection.sendall(b"HTTP/1.1 200 -\r\n\r\n")
            else:
                server.sendall(request)
            answers = threading.Thread(target=self._carry, args=(server, connection))
            answers.start()
            self._carry(connection, server)
            answers.join()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.requests.append(data)
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("encrypted", [True, False])
def test_what_a_proxy_of_the_environment_sees(encrypted, tls, way, monkeypatch):
    """Nothing of what TLS covers. Only an API on loopback is reached without TLS: the secret never goes by the proxy;
    the token does, if the HTTP client uses the environment. SECURITY.md says so, and NO_PROXY prevents it."""
    granted = answer(200, {"access_token": "token-1"} | GRANTED, JSON)
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    with Api(lambda request: granted, tls=tls[0] if encrypted else None) as api, Proxy() as proxy:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(variable, proxy.url)
        verify = {"verify": ssl.create_default_context(cafile=tls[1])}
        provider = TokenProvider(ClientCredentials("client", "canary-secret"), base_url=api.url, httpx_args=verify)
        send = {"verify": trusting(way, tls[1]), "trust_env": True}
        assert way.send(way.auth(provider), "GET", f"{api.url}/x", **send) == 200
        assert any(seen.startswith(b"CONNECT ") for seen in proxy.requests) == encrypted
        seen = b"".join(proxy.requests)
        assert (b"token-1" in seen) == (not encrypted)
        assert not {secret for secret in (b"canary-secret", b"Y2xpZW50OmNhbmFyeS1zZWNyZXQ") if secret in seen}
        if not encrypted:
            proxy.requests.clear()
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            assert way.send(way.auth(provider), "GET", f"{api.url}/x", **send) == 200
            assert proxy.requests == []
