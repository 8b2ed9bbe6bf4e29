"""For any server response or environment, the result is a token, a value, or one error that shows no secret."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from domo_oauth import ConfigurationError, Scope, Token, TokenProvider, request_token
from domo_oauth.base_url import resolve_base_url
from domo_oauth.errors import TokenRequestError, TransportError
from domo_oauth.scopes import scope_names, scope_parameter
from tests.properties import (
    CREDENTIALS,
    ECHOES,
    GRANTED,
    REFUSED,
    as_json,
    ask,
    extra,
    granted,
    http,
    refused,
    scalars,
    shown,
    text,
    values,
    visible,
)


def check(outcome):
    """A token that can be pickled, or one error without a trace of the secret."""
    if isinstance(outcome, Token):
        assert outcome.access_token
        assert outcome.expires_in >= 0
        assert outcome.expires_at.utcoffset() == timedelta(0)
        assert "" not in outcome.scopes
        assert pickle.loads(pickle.dumps(outcome)) == outcome
        return
    assert isinstance(outcome, TransportError | TokenRequestError), outcome
    assert outcome.__cause__ is outcome.__context__ is None
    assert not [echo for echo in ECHOES if echo in shown(outcome)]
    assert str(outcome).isprintable()
    assert 0 <= (getattr(outcome, "retry_after", None) or 0) < float("inf")
    timestamp = getattr(outcome, "timestamp", None)
    assert timestamp is None or timestamp.utcoffset() == timedelta(0)


MEDIA_TYPES = ["application/json", "application/json;charset=utf-16", "Application/JSON ; charset", "text/html", ""]
NAMES = ["Retry-After", "Location", "Set-Cookie", "Content-Encoding", "Content-Type", "X-Other"]
header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60)
headers = st.lists(st.tuples(st.sampled_from(NAMES), header_values.map(str.strip)), max_size=4)
statuses = st.sampled_from([200, 201, 302, 400, 401, 403, 404, 418, 429, 500, 503]) | st.integers(200, 999)
nearly_granted = st.builds(lambda good, bad: good | bad, granted, st.dictionaries(st.sampled_from([*GRANTED]), scalars))
bodies = st.binary() | st.one_of(granted, nearly_granted, refused, values).map(as_json)


@given(statuses, bodies, st.sampled_from(MEDIA_TYPES), headers)
@example(400, b'{"error":"invalid_scope","error_description":"canary-secret-c0ffee5ec2e7"}', "application/json", [])
@example(302, b"", "", [("Location", "http://xn--zz/")])
@example(302, b"", "", [("Location", "https:./elsewhere.test/sign-in?a=b")])
@example(
    302, b"", "", [("Location", "https://elsewhere.test"), ("Set-Cookie", "a=b; expires=Wed, 21 Oct 2026; path=/")]
)
@example(429, b"", "", [("Retry-After", "\x1c1")])
@example(429, b"", "", [("Retry-After", "Wed, 1:9999999999999999999999999999999.9")])
@example(401, b'{"timestamp":"2019-02-30T14:23:03.891+0000"}', "application/json", [])
def test_any_response_is_a_token_or_one_error(status, body, media_type, more):
    check(ask(http(status, body, media_type, *more)))


@given(granted, extra)
def test_a_response_within_the_contract_is_a_token_with_all_its_fields(fields, more):
    token = ask(http(200, as_json(more | fields)))
    check(token)
    assert (token.access_token, token.expires_in) == (fields["access_token"], fields["expires_in"])
    assert token.scopes == frozenset(fields["scope"].split() if "scope" in fields else ["data"])
    assert (token.customer, token.role) == (fields.get("customer"), fields.get("role"))
    assert (token.user_id, token.jti) == (fields.get("userId"), fields.get("jti"))
    assert dict(token.extra) == more


@given(
    st.sampled_from(ECHOES),
    st.integers(0, 320).map("x".__mul__) | text,
    text,
    statuses,
    st.sampled_from(["title", "text", *REFUSED]),
)
@example(ECHOES[2], "x" * 170, "", 502, "title")
@example(ECHOES[2], "x" * 4060, "", 502, "title")
def test_no_part_of_the_credentials_is_shown_wherever_the_server_repeats_them(echo, before, after, status, place):
    said = f"{before}{echo}{after}"
    page = f"<html><title>{said.replace('<', ' ')}</title></html>".encode("utf-8", "replace")
    body = {"title": page, "text": said.encode("utf-8", "replace")}.get(place, as_json({place: said}))
    error = ask(http(status, body, "text/html" if place == "title" else "application/json"))
    check(error)
    parts = [echo[start : start + 8] for start in range(len(echo) - 7)]
    assert not [part for part in parts if part in shown(error) and part not in before + after]


# Scopes.


@given(st.text(max_size=30) | visible)
@example("data, user,,workflow")
@example("everything")
def test_any_string_of_scopes_is_read_in_one_way_or_refused(value):
    with suppress(ConfigurationError):
        custom = Scope.custom(value)
        assert scope_names([custom, "data"]) == tuple(sorted({value, "data"}))
        assert scope_parameter((custom,)).split() == [custom]
    with suppress(ConfigurationError):
        names = scope_names(value)
        assert names
        assert set(names) <= set(Scope)
        assert list(names) == sorted(set(names))
        assert scope_names(scope_parameter(names)) == names


# The environment.

variables = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@given(variables, variables, variables, variables, variables)
@example("id", "secret", "https://apo>elest\x11", "", "")
@example("id", "secret", "http://[::1]5/", "", "")
@example("id", "secret", "http://[::1]:8765/", "", "redis://user:pass@localhost:6379/0?socket_timeout=1")
@example("a", "b", "https://api.domo.com@elsewhere.test", "", "unix:///tmp/redis.sock?db=1")
def test_any_environment_is_taken_or_is_a_configuration_error(client_id, secret, url, scope, store):
    env = {"DOMO_CLIENT_ID": client_id, "DOMO_CLIENT_SECRET": f"canary{secret}", "DOMO_STORE": store}
    with patch.dict(os.environ, env | {"DOMO_API_URL": url}):
        try:
            said = repr(TokenProvider.from_env(scopes=scope or None))
        except ConfigurationError as error:
            said = shown(error)
    assert "canary" not in said


HOSTS = ["api.domo.com", "127.0.0.1", "localhost", "[::1]", "192.0.2.1", "[::ffff:7f00:1]", "0x7f.1", "a.test"]
PARTS = ["@", ":", "/", "\\", "?", "#", "[", "]", "%", ".", ":80", ":0", "xn--", "://", " "]
odd_urls = st.tuples(
    st.sampled_from(["http://", "https://", "HTTPS://", "http:", "//", ""]),
    st.lists(st.sampled_from([*HOSTS, *PARTS]) | text, max_size=5).map("".join),
).map("".join)


@given(odd_urls)
@example("http://192.0.2.1")
@example("http://api.domo.com:80")
@example("https://apo>elest\x11")
@example("http://[::1]5/")
@example("https://api.domo.com@elsewhere.test")
def test_any_base_url_leads_where_it_says_or_is_refused(url):
    """http:// is accepted for this machine only."""
    sent = []
    transport = httpx.MockTransport(lambda request: sent.append(request.url) or httpx.Response(500))
    try:
        taken = resolve_base_url(url)
    except ConfigurationError:
        return
    assert resolve_base_url(taken) == taken
    parts = urlsplit(taken)
    assert parts.scheme == "https" or parts.hostname == "localhost" or ip_address(parts.hostname).is_loopback
    with suppress(ConfigurationError, TokenRequestError):
        request_token(CREDENTIALS, base_url=taken, httpx_args={"transport": transport})
    for read in sent:
        assert (read.scheme, read.raw_host.decode(), read.userinfo) == (parts.scheme, parts.hostname, b"")
        assert read.port == (parts.port if parts.port not in {80, 443} else read.port)
