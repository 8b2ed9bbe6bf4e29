"""Where a token may be sent, by whichever spelling a client has for it."""

from __future__ import annotations

import httpx
import pytest
import yarl

from domo_oauth import ConfigurationError
from domo_oauth.adapters import _origins
from domo_oauth.adapters._origins import Origins


@pytest.mark.parametrize(
    "url",
    [
        "https://api.domo.com",
        "https://api.domo.com:443",
        "https://api.domo.com:8443",
        "https://xn--bcher-kva.example",
        "http://[::1]:8080",
        "http://[0:0:0:0:0:0:0:1]:8080",
        "https://[2001:db8::a]",
    ],
)
def test_each_client_finds_the_base_url(url):
    origins = Origins(url)
    for asked in (httpx.URL(url), yarl.URL(url)):
        assert origins[asked.scheme, asked.host, asked.port]


@pytest.mark.parametrize("host", ["xn--zz.example", "xn--.example"])
def test_a_host_that_is_no_name_is_found_by_nobody_else(host):
    assert Origins(f"https://{host}") == {("https", host, 443): True, ("https", host, None): True}


def test_one_host_is_one_and_not_its_letters():
    assert Origins("https://api.domo.com", "acme.domo.com") == Origins("https://api.domo.com", ["acme.domo.com"])


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_a_port_that_there_is_not(port):
    with pytest.raises(ConfigurationError, match="in hosts must look like"):
        Origins("https://api.domo.com", [f"acme.domo.com:{port}"])


def test_a_crawler_does_not_fill_the_memory(monkeypatch, caplog):
    monkeypatch.setattr(_origins, "_MOST", 10)
    origins = Origins("https://api.domo.com")
    for number in range(100):
        for _ in range(2):
            assert not origins["https", f"host-{number}.example", 443]
    assert len(origins) <= 10
    assert len(caplog.records) == 100
    assert origins["https", "api.domo.com", 443]


@pytest.mark.parametrize("url", ["http://localhost", "http://localhost:80"])
def test_the_port_of_plain_http_may_be_left_out(url):
    origins = Origins(url)
    assert origins["http", "localhost", 80]
    assert origins["http", "localhost", None]


@pytest.mark.parametrize("port", [1, 65535])
def test_the_first_and_the_last_port(port):
    assert Origins("https://api.domo.com", [f"acme.domo.com:{port}"])["https", "acme.domo.com", port]
