"""However a URL is written, the token goes to the API and to no other origin."""

from __future__ import annotations

from contextlib import suppress

import httpx
import requests
import yarl
from hypothesis import example, given
from hypothesis import strategies as st

from domo_oauth import ConfigurationError, TokenProvider
from domo_oauth.adapters import aiohttp
from domo_oauth.adapters import requests as for_requests
from domo_oauth.adapters.httpx import DomoAuth
from tests.properties import API, CREDENTIALS, text

GRANT = {"access_token": "token", "token_type": "bearer", "expires_in": 3599}
TRANSPORT = httpx.MockTransport(lambda _: httpx.Response(200, json=GRANT))
PROVIDER = TokenProvider(CREDENTIALS, base_url=API, httpx_args={"transport": TRANSPORT})
HOSTS = ["gateway.example.com:8443"]
OURS = {("https", "api.domo.com", 443), ("https", "gateway.example.com", 8443)}


def with_token(url):
    """The HTTP clients that would send the token for this URL, and where the request would really go."""
    found = {}
    with suppress(httpx.InvalidURL, ValueError):
        asked = next(DomoAuth(PROVIDER, hosts=HOSTS).sync_auth_flow(httpx.Request("GET", url)))
        if "Authorization" in asked.headers:
            port = asked.url.port or {"http": 80, "https": 443}.get(asked.url.scheme)
            found["httpx"] = asked.url.scheme, asked.url.raw_host.decode("ascii"), port
    with suppress(requests.RequestException, ValueError):
        prepared = for_requests.DomoAuth(PROVIDER, hosts=HOSTS)(requests.Request("GET", url).prepare())
        pool = requests.Session().get_adapter("https://").get_connection_with_tls_context(prepared, verify=False)
        if str(prepared.headers.get("Authorization")).startswith("Bearer "):
            found["requests"] = pool.scheme, pool.host, pool.port
    with suppress(IndexError, ValueError):
        read, auth = yarl.URL(url), aiohttp.DomoAuth(PROVIDER, hosts=HOSTS)
        if auth._is_ours(auth._origin(read)):
            found["aiohttp"] = read.scheme, read.raw_host or "", read.port
    return found


NAMES = ["api.domo.com", "gateway.example.com", "127.0.0.1", "[::1]", "0x7f.1", "a.test"]
PARTS = ["@", ":", "/", "\\", "?", "#", "[", "]", "%", ".", ":443", ":8443", ":0", "xn--", "://", " "]
odd_urls = st.tuples(
    st.sampled_from(["http://", "https://", "HTTPS://", "http:", "//", ""]),
    st.lists(st.sampled_from([*NAMES, *PARTS]) | text, max_size=5).map("".join),
).map("".join)


@given(odd_urls)
@example("HTTPS://API.DOMO.COM.:443")
@example("http://api.domo.com:443/")
@example("gateway.example.com:99999")
@example("https://xn--dmo-sna.test/")
@example("https://api.domo.com:443@elsewhere.test/")
def test_no_other_origin_gets_the_token(url):
    assert {*with_token(url).values()} <= OURS
    with suppress(ConfigurationError):
        DomoAuth(PROVIDER, hosts=[url])


@given(
    st.sampled_from(["https", "HTTPS", "Https"]),
    st.sampled_from(["api.domo.com", "API.DOMO.COM", "Api.Domo.Com"]),
    st.sampled_from(["", ":443", ":0443"]),
    st.text("abc/%20.~", max_size=10),
)
def test_the_api_gets_the_token(scheme, host, port, path):
    assert set(with_token(f"{scheme}://{host}{port}/{path}")) == {"httpx", "requests", "aiohttp"}
