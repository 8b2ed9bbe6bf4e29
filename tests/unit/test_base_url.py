from __future__ import annotations

import pytest

from domo_oauth import ConfigurationError
from domo_oauth.base_url import resolve_base_url


def test_domo_by_default():
    assert resolve_base_url() == "https://api.domo.com"


def test_the_environment_comes_before_the_default_and_the_argument_before_both(monkeypatch):
    monkeypatch.setenv("DOMO_API_URL", "https://elsewhere.test/")
    assert resolve_base_url() == "https://elsewhere.test"
    assert resolve_base_url("https://another.test") == "https://another.test"


def test_scheme_and_trailing_slashes_are_normalized():
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
        ("api.domo.com", "not an absolute HTTP URL"),
        ("ftp://api.domo.com", "not an absolute HTTP URL"),
        ("https://", "not an absolute HTTP URL"),
        ("https://name:canary-password@api.domo.com", "user name or password"),
        ("https://api.domo.com@elsewhere.test", "user name or password"),
        ("https://api.domo.com?a=b", "query or fragment"),
        ("https://api.domo.com#f", "query or fragment"),
        ("https://api.domo.com:port", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://api.domo.com:0", "not an absolute HTTP URL"),
        ("http://127.0.0.1\\@elsewhere.test", "not an absolute HTTP URL"),
        ("http://127.0.0.1\n.elsewhere.test", "not an absolute HTTP URL"),
        ("https://api.dömo.com", "not an absolute HTTP URL"),
        ("https://api.domo.com?", "query or fragment"),
        ("https://api.domo.com/#", "query or fragment"),
        ("http://local\thost:1", "not an absolute HTTP URL"),
        ("https://api.domo.com/a b", "not an absolute HTTP URL"),
    ],
)
def test_an_unsafe_or_invalid_url_is_refused(url, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        resolve_base_url(url)
    assert "canary-password" not in str(caught.value)


def test_the_message_names_the_variable(monkeypatch):
    monkeypatch.setenv("DOMO_API_URL", "nonsense")
    with pytest.raises(ConfigurationError, match="DOMO_API_URL"):
        resolve_base_url()


def test_the_message_does_not_blame_the_variable_for_an_argument(monkeypatch):
    monkeypatch.setenv("DOMO_API_URL", "https://elsewhere.test")
    with pytest.raises(ConfigurationError, match="The base URL is not an absolute HTTP URL"):
        resolve_base_url("nonsense")
