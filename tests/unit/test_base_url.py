from __future__ import annotations

import pytest

from domo_oauth import ConfigurationError
from domo_oauth.base_url import resolve_base_url


def test_domo_by_default():
    assert resolve_base_url() == "https://api.domo.com"


def test_the_environment_and_then_the_argument_come_first(monkeypatch):
    monkeypatch.setenv("DOMO_API_URL", "https://elsewhere.test/")
    assert resolve_base_url() == "https://elsewhere.test"
    assert resolve_base_url("https://another.test") == "https://another.test"


def test_the_scheme_is_written_in_one_way():
    assert resolve_base_url("HTTPS://api.domo.com/path//") == "https://api.domo.com/path"


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:80", "http://127.9.9.9", "http://[::1]:8080"])
def test_plain_http_to_this_machine(url):
    assert resolve_base_url(url) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://api.domo.com", "unencrypted"),
        ("http://localhost.evil.test", "unencrypted"),
        ("http://127.0.0.1.evil.test", "unencrypted"),
        ("http://0.0.0.0", "unencrypted"),
        ("http://192.168.0.1", "unencrypted"),
        ("api.domo.com", "not an absolute URL"),
        ("ftp://api.domo.com", "not an absolute URL"),
        ("https://", "not an absolute URL"),
        ("https://name:canary-password@api.domo.com", "user name or password"),
        ("https://api.domo.com@elsewhere.test", "user name or password"),
        ("https://api.domo.com?a=b", "query or fragment"),
        ("https://api.domo.com#f", "query or fragment"),
        ("https://api.domo.com:port", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://api.domo.com:0", "not an absolute URL"),
        ("http://127.0.0.1\\@elsewhere.test", "not an absolute URL"),
        ("http://127.0.0.1\n.elsewhere.test", "not an absolute URL"),
        ("https://api.dömo.com", "not an absolute URL"),
        ("https://api.domo.com?", "query or fragment"),
        ("https://api.domo.com/#", "query or fragment"),
        ("http://local\thost:1", "not an absolute URL"),
        ("https://api.domo.com/a b", "not an absolute URL"),
    ],
)
def test_what_is_not_safe_or_not_a_url_is_refused(url, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        resolve_base_url(url)
    assert "canary-password" not in str(caught.value)


def test_the_message_says_where_a_wrong_url_came_from(monkeypatch):
    monkeypatch.setenv("DOMO_API_URL", "nonsense")
    with pytest.raises(ConfigurationError, match="DOMO_API_URL"):
        resolve_base_url()


def test_the_message_says_so_where_it_came_as_an_argument(monkeypatch):
    monkeypatch.setenv("DOMO_API_URL", "https://elsewhere.test")
    with pytest.raises(ConfigurationError, match="The base URL is not an absolute URL"):
        resolve_base_url("nonsense")
