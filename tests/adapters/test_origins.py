"""The token goes to its own origin and to no other, whatever a URL or a server says: each trick with each library.

Two ports are two origins, and so are 127.0.0.1 and localhost. What counts is what the other server really saw.
"""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import requests
import trustme

from domo_oauth import ConfigurationError
from tests.adapters.server import Api, Server, accepts, answer
from tests.adapters.ways import Grants, Way

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
NAMES = ["localhost", "LOCALHOST", "127.0.0.1.", "localhost.", "127.1", "2130706433", "0x7f000001"]
NAMES += ["[::ffff:127.0.0.1]", "\u24dbocalhost"]
"""Other names of the same machine, which lead back to the server, if anywhere."""


def attempt(way: Way, auth: Any, url: str) -> str:
    """What a library says of an odd URL is its own business."""
    try:
        return str(way.send(auth, "GET", url))
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
    api.api = lambda request: accepts(request) if b"/back" in request else away
    other.api = accepts
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


def test_the_same_host_and_port_without_tls_gets_no_token(way, tmp_path):
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    file = str(tmp_path / "authority.pem")
    authority.cert_pem.write_to_path(file)
    verify = file if way.library == "requests" else ssl.create_default_context(cafile=file)
    with Api(tls=tls) as api:
        auth, in_clear = way.auth(Grants().provider(api.url)), f"http://{api.authority}/elsewhere"
        api.redirects = {"/away": in_clear}
        for url in (in_clear, f"{api.url}/away"):
            assert way.send(auth, "GET", url, verify=verify) == 200
        assert [seen[:2] for seen in api.seen] == [("/elsewhere", None), ("/away", "token-1"), ("/elsewhere", None)]


# As URLs are parsed, without servers.

ORIGINS = {
    "https://api.domo.com": True,
    "https://api.domo.com:443/v1": True,
    "HTTPS://API.DOMO.COM/v1?x#y": True,
    "https://user:password@api.domo.com/v1": True,
    "https://more.domo.com:8443": True,
    "https://last.domo.com:65535": True,
    "https://first.domo.com:1": True,
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
    auth = way.auth(
        Grants().provider("https://api.domo.com"),
        hosts=["more.domo.com:8443", "last.domo.com:65535", "first.domo.com:1"],
    )
    assert {url: auth._is_ours(auth._origin(url)) for url in ORIGINS} == ORIGINS
    single = way.auth(Grants().provider("https://api.domo.com"), hosts="acme.domo.com")
    assert single._is_ours(single._origin("https://acme.domo.com")), "one host, and not its letters"


BASE_URLS = ["https://api.domo.com:443", "https://API.domo.com/prefix", "http://localhost:8080", "http://[::1]:8080"]
BASE_URLS += ["https://[2001:db8::a]", "https://xn--bcher-kva.example"]


def test_the_base_url_gets_the_token_however_it_is_written(way):
    for base_url in BASE_URLS:
        auth = way.auth(Grants().provider(base_url))
        for url in (base_url, base_url.replace("xn--bcher-kva", "b\u00fccher")):
            sent = requests.Request("GET", url).prepare().url if way.library == "requests" else url
            assert auth._is_ours(auth._origin(sent))


@pytest.mark.parametrize(
    ("base_url", "host", "told"),
    [
        *(("https://api.domo.com", host, "in hosts must look like") for host in ["", "https://x.test", "x.test/path"]),
        *(
            ("https://api.domo.com", host, "in hosts must look like")
            for host in ["a@b", "x.test:port", "a.test:65536", "a.test:0", "\u00e4.test"]
        ),
        *((url, "x.test", "Use another port") for url in ["http://localhost", "http://127.0.0.1:80", "http://[::1]"]),
    ],
)
def test_invalid_hosts_and_port_80_are_refused(base_url, host, told, way):
    with pytest.raises(ConfigurationError, match=told):
        way.auth(Grants().provider(base_url), hosts=[host])


def test_a_crawler_fills_neither_memory_nor_log(caplog):
    auth = Way("requests").auth(Grants().provider("https://api.domo.com"))
    for number in range(2500):
        assert not auth._is_ours(("https", f"host-{number}.example", 443))
    assert len(caplog.records) == len(auth._logged) == 1000
