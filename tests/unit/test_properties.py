"""What holds for whatever comes from elsewhere, tried with inputs that Hypothesis makes up.

The promises themselves are in tools/fuzz/targets.py, as `make fuzz` tries them with other inputs. Here the same inputs
come in each run; `make fuzz` sets FUZZ_EXAMPLES for more of them, and others each time.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from datetime import UTC, timedelta
from email.utils import format_datetime
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domo_oauth import (
    ClientCredentials,
    ConfigurationError,
    InvalidClientError,
    InvalidScopeError,
    RateLimitedError,
    Scope,
    ServerError,
    Token,
    TokenProvider,
)
from domo_oauth.base_url import resolve_base_url
from domo_oauth.contract import Exchange, har_text, read_har
from domo_oauth.scopes import scope_names
from domo_oauth.stores.sealing import Entry, Refusal, SealedStore
from domo_oauth_client.errors import ResponseValidationError
from domo_oauth_client.models import AccessTokenResponse, TokenError
from tools.fuzz import targets

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
settings.register_profile(
    "properties",
    max_examples=EXAMPLES or 100,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PROFILE = settings.get_profile("properties")
MAX = 2**63 - 1

text = st.text(max_size=40)
visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text | st.integers(-MAX - 1, MAX)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=10)
extra = st.dictionaries(
    text.filter(lambda name: name not in GRANTED), st.none() | st.booleans() | st.integers() | text, max_size=3
)
GRANTED = {
    "access_token": visible,
    "token_type": st.sampled_from(["bearer", "Bearer", "BEARER"]),
    "expires_in": st.integers(0, 10**6) | st.integers(0, MAX),
    "scope": text | st.lists(st.sampled_from(Scope)).map(" ".join),
    "customer": text,
    "role": text,
    "userId": st.integers(-MAX - 1, MAX),
    "jti": text,
}
REFUSED = ("error", "error_description", "message", "statusReason", "timestamp", "toe", "scope", "status", "path")
granted = st.fixed_dictionaries(
    {name: GRANTED[name] for name in ("access_token", "token_type", "expires_in")},
    optional={name: GRANTED[name] for name in ("scope", "customer", "role", "userId", "jti")},
)
nearly_granted = st.builds(lambda good, bad: good | bad, granted, st.dictionaries(st.sampled_from([*GRANTED]), scalars))
refused = st.dictionaries(st.sampled_from(REFUSED), values)
media_types = st.sampled_from(
    ["application/json", "application/json;charset=utf-16", "Application/JSON ; charset", "text/html", ""]
)
header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60)
headers = st.lists(
    st.tuples(
        st.sampled_from(["Retry-After", "Location", "Set-Cookie", "Content-Encoding", "Content-Type", "X-Other"]),
        header_values.map(str.strip),
    ),
    max_size=4,
)
statuses = st.sampled_from([200, 201, 302, 400, 401, 403, 404, 418, 429, 500, 503]) | st.integers(200, 999)


def wire(status: int, body: bytes, media_type: str = "application/json", more: tuple[tuple[str, str], ...] = ()):
    lines = [("Content-Type", media_type), *more, ("Content-Length", str(len(body)))]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 {status} Reason\r\n{head}\r\n".encode("latin-1") + body


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


# Answers.


@settings(PROFILE)
@given(statuses, st.binary() | st.one_of(granted, nearly_granted, refused, values).map(as_json), media_types, headers)
def test_any_answer_is_a_token_or_one_error(status, body, media_type, more):
    targets.answer(wire(status, body, media_type, tuple(more)))


@settings(PROFILE)
@given(granted, extra)
def test_what_keeps_the_contract_is_a_token_with_all_of_it(fields, more):
    token = targets.ask(wire(200, as_json({**more, **fields})))
    assert isinstance(token, Token)
    targets.check_token(token)
    assert token.access_token == fields["access_token"]
    assert token.expires_in == fields["expires_in"]
    assert token.scopes == frozenset(fields["scope"].split() if "scope" in fields else ["data"])
    assert (token.customer, token.role) == (fields.get("customer"), fields.get("role"))
    assert (token.user_id, token.jti) == (fields.get("userId"), fields.get("jti"))
    assert dict(token.extra) == more


@settings(PROFILE)
@given(values)
def test_a_model_takes_what_keeps_its_rules_and_gives_it_back(value):
    for model in (AccessTokenResponse, TokenError):
        try:
            read = model.from_dict(value)
        except ResponseValidationError:
            continue
        assert read.to_dict() == value


def shown(error: Exception) -> str:
    return f"{error}{error!r}{vars(error)}"


@settings(PROFILE)
@given(
    st.sampled_from(targets.ECHOES),
    st.integers(0, 320).map("x".__mul__) | text,
    text,
    statuses,
    st.sampled_from(["title", "text", *REFUSED]),
)
@example(targets.ECHOES[2], "x" * 170, "", 502, "title")
@example(targets.ECHOES[2], "x" * 4060, "", 502, "title")
def test_no_part_of_the_credentials_is_shown_wherever_the_server_repeats_them(echo, before, after, status, place):
    said = f"{before}{echo}{after}"
    page = f"<html><title>{said.replace('<', ' ')}</title></html>".encode("utf-8", "replace")
    body = {"title": page, "text": said.encode("utf-8", "replace")}.get(place, as_json({place: said}))
    error = targets.ask(wire(status, body, "text/html" if place == "title" else "application/json"))
    targets.check_error(error)
    parts = [echo[start : start + 8] for start in range(len(echo) - 7)]
    assert not [part for part in parts if part in shown(error) and part not in before + after]


# Times.


@settings(PROFILE)
@given(st.text(max_size=70) | st.from_regex(r"[A-Z][a-z]{2},? [-0-9A-Za-z:.+ ]{1,40}", fullmatch=True))
def test_any_retry_after_and_any_timestamp(value):
    targets.date(value.encode())


@settings(PROFILE)
@given(st.integers(0, 999_999_999), st.sampled_from(["", " ", "\t"]))
def test_retry_after_in_seconds(seconds, space):
    assert targets.refused(f"{space}{seconds}{space}".encode()).retry_after == seconds


@settings(PROFILE)
@given(st.integers(-(10**9), 10**8), st.sampled_from(["IMF-fixdate", "RFC 850", "asctime"]))
def test_retry_after_as_a_date_in_each_form_of_rfc_9110(seconds, form):
    moment = targets.NOW + timedelta(seconds=seconds)
    written = {
        "IMF-fixdate": format_datetime(moment, usegmt=True),
        "RFC 850": f"{moment:%A, %d-%b-%y %H:%M:%S} GMT",
        "asctime": f"{moment:%a %b} {moment.day:2} {moment:%H:%M:%S %Y}",
    }[form]
    assert targets.refused(written.encode()).retry_after == max(0.0, seconds)


# Scopes.


@settings(PROFILE)
@given(st.lists(st.tuples(st.sampled_from(Scope), st.sampled_from([" ", ",", ", ", "\n", ",,"])), min_size=1))
def test_scopes_however_they_are_written(items):
    chosen = tuple(sorted({name for name, _ in items}))
    assert scope_names("".join(name + space for name, space in items)) == chosen
    assert scope_names([name for name, _ in items]) == chosen


@settings(PROFILE)
@given(st.text(max_size=30) | visible)
def test_any_string_of_scopes(value):
    targets.scopes(value.encode("utf-8", "surrogateescape"))


# Files.

HAR_KEYS = ("log", "entries", "request", "response", "headers", "content", "text", "encoding", "status", "url", "name")
har_keys = st.sampled_from([*HAR_KEYS, "value", "method", "postData", "size", "_provenance", "parts", "kind"])
urls = st.sampled_from(["https://api.domo.com/oauth/token", "http://[::1]:1/oauth/token?scope=x", "http://[", ""])
words = st.sampled_from(["recorded", "derived", "base64", "Content-Type", "Authorization", "GET", "Basic e"])
har_values = st.recursive(
    scalars | urls | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(har_keys, inner, max_size=5),
    max_leaves=20,
)
pairs = st.lists(st.fixed_dictionaries({"name": text | words, "value": scalars | words}), max_size=3)
entries = st.fixed_dictionaries(
    {
        "request": st.fixed_dictionaries(
            {"method": words | text, "url": urls | text, "headers": pairs}, optional={"postData": har_values}
        ),
        "response": st.fixed_dictionaries(
            {
                "status": st.integers() | st.sampled_from([200, 401]),
                "headers": pairs,
                "content": st.fixed_dictionaries({}, optional={"text": text, "encoding": words, "size": scalars}),
            }
        ),
    }
)
provenances = st.fixed_dictionaries({}, optional={"kind": words | scalars, "parts": st.lists(scalars) | har_values})
logs = st.fixed_dictionaries(
    {"entries": st.lists(entries | har_values, max_size=3)}, optional={"_provenance": provenances | har_values}
)


@settings(PROFILE)
@given(st.fixed_dictionaries({"log": logs | har_values}) | har_values)
def test_any_json_as_a_har_gives_findings_or_an_error_that_is_ours(value):
    targets.har(as_json(value))


lines = st.lists(st.tuples(text, text), max_size=3).map(tuple)


@settings(PROFILE)
@given(
    st.builds(
        Exchange,
        text,
        text,
        lines,
        text.map(str.encode),
        st.integers(),
        lines,
        st.none() | st.binary() | text.map(str.encode),
    )
)
def test_any_exchange_comes_back_from_a_har(tmp_path, exchange):
    written = har_text(exchange, comment="", provenance={"kind": "derived"}, version="1")
    (tmp_path / "there.har").write_text(written, encoding="utf-8")
    assert read_har(tmp_path / "there.har").exchanges == (exchange,)


echoed = st.sampled_from([*targets.ECHOES, *(quote(each) for each in targets.ECHOES)])
around = st.tuples(text, echoed, text).map("".join)
PLACES = ["value", "name", "base64", "header", "header's name", "cookie", "URL", "request", "text"]


@settings(PROFILE)
@given(
    granted | refused | st.dictionaries(text, values),
    around,
    st.sampled_from(PLACES),
)
def test_redaction_leaves_nothing_and_is_done_once(document, echo, place):
    at = {place: echo}
    names = {"Set-Cookie": at.get("cookie", ""), "X-Echo": at.get("header", ""), at.get("header's name", "X"): ""}
    body = document | {"error": at.get("value", ""), at.get("name", "name"): 1}
    body["base64"] = b64encode(at.get("base64", "").encode("utf-8", "replace")).decode()
    exchange = Exchange(
        "GET",
        f"https://api.domo.com/oauth/token?scope={quote(at.get('URL', ''), errors='replace')}",
        (("Authorization", f"Basic {targets.ECHOES[-1]}"),),
        at.get("request", "").encode("utf-8", "replace"),
        200,
        tuple(names.items()),
        at["text"].encode("utf-8", "replace") if "text" in at else as_json(body),
    )
    assert targets.check_redacted(exchange)


@settings(PROFILE)
@given(st.binary() | text.map(str.encode) | st.dictionaries(text, text).map(as_json))
def test_any_file_of_clients(data):
    targets.toml(data)


# Stores.

tokens = st.builds(
    Token,
    visible,
    expires_in=st.integers(1, MAX),
    expires_at=st.datetimes(timezones=st.just(UTC)),
    scopes=st.frozensets(text),
    customer=st.none() | text,
    role=st.none() | text,
    user_id=st.none() | st.integers(),
    jti=st.none() | text,
    extra=extra,
)
NOW = 1_800_000_000.0
shares = st.floats(0.001, 1)


def in_store(kept, credentials=targets.CREDENTIALS, scopes=("data",), base_url=targets.API):
    return SealedStore(kept, credentials, scopes, base_url)


@settings(PROFILE)
@given(tokens, shares, st.data())
def test_a_sealed_token_comes_back_and_with_any_change_does_not(token, share, data):
    entry, kept = Entry(token, NOW + share * token.expires_in), targets.Kept()
    store = in_store(kept)
    store.save(entry, NOW)
    assert store.load(NOW) == entry
    sealed = kept.sealed
    assert token.access_token.encode() not in sealed or len(token.access_token) < 4
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    shorter, longer = sealed[: data.draw(st.integers(0, len(sealed) - 1))], sealed + data.draw(st.binary(min_size=1))
    for kept.sealed in (bytes(flipped), shorter, longer):
        assert store.load(NOW) == Entry()


refusals = st.builds(
    Refusal,
    st.builds(
        lambda kind, *args, **fields: kind(*args, **fields),
        st.sampled_from([InvalidClientError, InvalidScopeError, RateLimitedError, ServerError]),
        text,
        status=st.none() | st.integers(),
        error=st.none() | text,
        description=st.none() | text,
        toe=st.none() | text,
        timestamp=st.none() | st.datetimes(timezones=st.just(UTC)),
        retryable=st.booleans(),
        retry_after=st.none() | st.floats(allow_nan=False),
    ),
    st.floats(allow_nan=False),
    st.floats(0.001, 300).map(NOW.__add__),
)


@settings(PROFILE)
@given(refusals, st.none() | tokens)
def test_a_sealed_error_comes_back(refusal, token):
    entry, store, error = Entry(token, NOW + 1 if token else 0.0, refusal), in_store(targets.Kept()), refusal.error
    store.save(entry, NOW)
    opened = store.load(NOW)
    assert (opened.token, opened.expires_at) == (entry.token, entry.expires_at)
    assert (opened.refusal.pause, opened.refusal.until) == (refusal.pause, refusal.until)
    assert (type(opened.refusal.error), str(opened.refusal.error)) == (type(error), str(error))
    assert vars(opened.refusal.error) == vars(error)


@settings(PROFILE)
@given(
    tokens,
    visible.filter(lambda word: ":" not in word),
    st.none() | st.lists(text).map(tuple).filter(lambda names: names != ("data",)),
    st.sampled_from(["client id", "client secret", "scopes", "base URL"]),
)
def test_nobody_opens_the_seal_of_another(token, word, scopes, differs):
    more = {differs: word}
    client_id = targets.CREDENTIALS.client_id + more.get("client id", "")
    client_secret = targets.CREDENTIALS.client_secret + more.get("client secret", "")
    base_url = targets.API + more.get("base URL", "")
    kept = targets.Kept()
    ours = in_store(kept)
    ours.save(Entry(token, NOW + 1), NOW)
    credentials = ClientCredentials(client_id, client_secret)
    other = in_store(kept, credentials, scopes if differs == "scopes" else ("data",), base_url)
    assert other.name != ours.name
    assert other.load(NOW) == Entry()


@settings(PROFILE)
@given(st.binary() | values.map(as_json) | st.tuples(scalars, values).map(as_json))
def test_any_bytes_in_a_store_are_passed_over(data):
    targets.seal(data)
    targets.entry(data)


# Settings.

variables = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(PROFILE)
@given(variables, variables, variables, variables, variables)
def test_any_environment_is_taken_or_is_a_configuration_error(monkeypatch, client_id, secret, url, scope, store):
    monkeypatch.setenv("DOMO_CLIENT_ID", client_id)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", f"canary{secret}")
    monkeypatch.setenv("DOMO_API_URL", url)
    monkeypatch.setenv("DOMO_STORE", store)
    try:
        TokenProvider.from_env(scopes=scope or None)
    except ConfigurationError as error:
        told = shown(error)
    else:
        told = ""
    assert "canary" not in told
    targets.environment(f"{client_id}\n{secret}\n{url}\n{store}".encode())


hosts = st.sampled_from(
    ["api.domo.com", "127.0.0.1", "localhost", "[::1]", "192.0.2.1", "[::ffff:7f00:1]", "0x7f.1", "a.test"]
)
parts_of_urls = st.sampled_from(["@", ":", "/", "\\", "?", "#", "[", "]", "%", ".", ":80", ":0", "xn--", "://", " "])
odd_urls = st.tuples(
    st.sampled_from(["http://", "https://", "HTTPS://", "http:", "//", ""]),
    st.lists(hosts | parts_of_urls | text, max_size=5).map("".join),
).map("".join)


@settings(PROFILE)
@given(odd_urls)
def test_any_base_url_leads_where_it_says_or_is_refused(url):
    try:
        taken = resolve_base_url(url)
    except ConfigurationError:
        return
    targets.check_url(taken)


@settings(PROFILE)
@given(visible.filter(lambda word: not set("@/?#[]\\:") & set(word)), visible)
def test_a_password_in_a_base_url_is_not_shown(user, rest):
    with pytest.raises(ConfigurationError) as caught:
        resolve_base_url(f"https://{user}:canary-password@api.domo.com/{rest}")
    assert "canary-password" not in str(caught.value)


@settings(PROFILE)
@given(odd_urls)
def test_no_url_of_another_origin_gets_the_token(url):
    targets.origin(url.encode("utf-8", "surrogateescape"))


@settings(PROFILE)
@given(
    st.sampled_from(["https", "HTTPS", "Https"]),
    st.sampled_from(["api.domo.com", "API.DOMO.COM", "Api.Domo.Com"]),
    st.sampled_from(["", ":443", ":0443"]),
    st.text("abc/%20.~", max_size=10),
)
def test_the_api_gets_the_token_however_its_url_is_written(scheme, host, port, path):
    assert set(targets.with_token(f"{scheme}://{host}{port}/{path}")) == {"httpx", "requests", "aiohttp"}
