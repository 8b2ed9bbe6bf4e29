"""Which URLs a token is for, as each HTTP client parses them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import httpx2
import pytest
import requests
import yarl

from domo_oauth import ClientCredentials, ConfigurationError, TokenProvider
from domo_oauth.adapters import aiohttp as for_aiohttp
from domo_oauth.adapters import httpx as for_httpx
from domo_oauth.adapters import httpx2 as for_httpx2
from domo_oauth.adapters import requests as for_requests


def by_httpx(auth, url):
    request = httpx.Request("GET", url)
    next(auth.sync_auth_flow(request))
    return request


def by_httpx2(auth, url):
    request = httpx2.Request("GET", url)
    next(auth.sync_auth_flow(request))
    return request


def by_requests(auth, url):
    return requests.Request("GET", url, auth=auth).prepare()


def by_aiohttp(auth, url):
    async def handle(request):
        return SimpleNamespace(status=200)

    request = SimpleNamespace(url=yarl.URL(url), headers={})
    asyncio.run(auth(request, handle))
    return request


LIBRARIES = {
    "httpx": (for_httpx, by_httpx),
    "httpx2": (for_httpx2, by_httpx2),
    "requests": (for_requests, by_requests),
    "aiohttp": (for_aiohttp, by_aiohttp),
}


def grant(_request):
    return httpx.Response(200, json={"access_token": "t", "token_type": "bearer", "expires_in": 3600, "customer": "a"})


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


def auth_for(library, base_url="https://api.domo.com", hosts=()):
    args = {"transport": httpx.MockTransport(grant)}
    provider = TokenProvider(ClientCredentials("client", "secret"), base_url=base_url, httpx_args=args)
    return library[0].DomoAuth(provider, hosts=hosts)


def has_token(library, auth, url) -> bool:
    return "Authorization" in library[1](auth, url).headers


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.domo.com", True),
        ("https://api.domo.com:443/v1", True),
        ("HTTPS://API.DOMO.COM/v1?x#y", True),
        ("HTTPS://api.domo.com:443/v1", True),
        ("https://user:password@api.domo.com/v1", True),
        ("https://more.domo.com:8443", True),
        ("https://first.domo.com:1", True),
        ("https://last.domo.com:65535", True),
        ("http://api.domo.com", False),
        ("http://api.domo.com:443", False),
        ("https://api.domo.com:444", False),
        ("https://api.domo.com.", False),
        ("https://more.domo.com", False),
        ("http://more.domo.com:8443", False),
        ("https://evil.test", False),
        ("https://api.domo.com.evil.test", False),
        ("https://api.domo.com@evil.test", False),
    ],
)
def test_scheme_host_and_port_make_an_origin(url, expected, library):
    hosts = ["more.domo.com:8443", "first.domo.com:1", "last.domo.com:65535"]
    assert has_token(library, auth_for(library, hosts=hosts), url) is expected


@pytest.mark.parametrize(
    "url",
    [
        "https://api.domo.com:443",
        "https://api.domo.com:8443",
        "https://API.domo.com/prefix",
        "https://xn--bcher-kva.example",
        "http://localhost:8080",
        "http://[::1]:8080",
        "https://[2001:db8::a]",
    ],
)
def test_the_base_url_gets_the_token_however_it_is_written(url, library):
    assert has_token(library, auth_for(library, url), url)
    assert has_token(library, auth_for(library, url), url.replace("xn--bcher-kva", "b\u00fccher"))


def test_one_host_is_one_and_not_its_letters(library):
    assert has_token(library, auth_for(library, hosts="acme.domo.com"), "https://acme.domo.com")


@pytest.mark.parametrize(
    "host", ["", "https://x.test", "x.test/path", "a@b", "x.test:port", "x test", "a.test:0", "a.test:65536"]
)
def test_a_host_must_be_one(host, library):
    with pytest.raises(ConfigurationError, match="in hosts must look like"):
        auth_for(library, hosts=[host])


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_host_that_httpx_does_not_accept(library):
    with pytest.raises(ConfigurationError, match=f"{library} does not accept https://999.1.1.1"):
        auth_for(LIBRARIES[library], hosts=["999.1.1.1"])


def test_a_crawler_does_not_fill_the_memory(caplog):
    library = LIBRARIES["requests"]
    auth = auth_for(library)
    size = len(repr(vars(auth)))
    for number in range(2500):
        for _ in range(2):
            assert not has_token(library, auth, f"https://host-{number}.example")
    assert len(caplog.records) == 2500
    assert len(repr(vars(auth))) - size < 1000 * len("('https', 'host-1000.example', 443), ")
    assert has_token(library, auth, "https://api.domo.com")
