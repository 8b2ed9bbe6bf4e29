"""Credentials, scopes, tokens, errors, base URLs and clocks: what they accept, compare, copy and show."""

from __future__ import annotations

import _thread
import copy
import itertools
import pickle
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from attrs import evolve

import domo_oauth
from domo_oauth import (
    ClientCredentials,
    Clock,
    ConfigurationError,
    DomoOAuthError,
    RateLimitedError,
    Scope,
    Token,
    TokenProvider,
    TokenRequestError,
    TransportError,
    request_token,
)
from domo_oauth.errors import chain
from domo_oauth.scopes import scope_names, scope_parameter
from tests.fakes import PATIENCE

SPEC = Path(__file__).parents[2] / "openapi" / "domo-oauth.yaml"
CREDENTIALS = ClientCredentials("abcdefghijkl", "canary-secret")
DUPLICATES = [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]


def refused(text, call, *args, **kwargs):
    """The call raises a ConfigurationError with this text, and no frame of ours shows a canary."""
    with pytest.raises(ConfigurationError, match=text) as caught:
        call(*args, **kwargs)
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame.locals for frame in stack if "/domo_oauth/" in frame.filename]
    assert ours
    assert "canary" not in f"{caught.value}{ours}"


# Credentials


@pytest.mark.parametrize(
    ("client_id", "client_secret", "text"),
    [
        ("", "canary", "client id is empty.* DOMO_CLIENT_ID"),
        ("id", "", "client secret is empty.* DOMO_CLIENT_SECRET"),
        (None, "canary", "client id must be a str, not NoneType"),
        ("id", b"canary", "client secret must be a str, not bytes"),
        ("id ", "canary", "client id has whitespace around it"),
        ("id", "canary\n", "client secret has whitespace around it"),
        ("id", "cana\x00ry", "control character"),
        ("an:id", "canary", "colon"),
    ],
)
def test_basic_authentication_must_be_able_to_carry_the_credentials(client_id, client_secret, text):
    refused(text, ClientCredentials, client_id, client_secret)


def test_a_secret_may_be_any_text():
    assert ClientCredentials("id", "pass:word with spaces, é and 漢字").client_secret.startswith("pass")


def test_credentials_from_the_environment(monkeypatch):
    monkeypatch.setenv("DOMO_CLIENT_ID", " an-id\n")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "a-secret\r\n")
    assert ClientCredentials.from_env() == ClientCredentials("an-id", "a-secret")


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({}, "DOMO_CLIENT_ID and DOMO_CLIENT_SECRET"),
        ({"DOMO_CLIENT_ID": "an-id"}, "DOMO_CLIENT_SECRET"),
        ({"DOMO_CLIENT_ID": "an-id", "DOMO_CLIENT_SECRET": "  "}, "DOMO_CLIENT_SECRET"),
        ({"DOMO_CLIENT_ID": "", "DOMO_CLIENT_SECRET": "canary"}, "DOMO_CLIENT_ID"),
    ],
)
def test_an_error_names_the_missing_variable(monkeypatch, variables, missing):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    refused(missing, ClientCredentials.from_env)


def test_the_repr_of_credentials_tells_clients_apart_and_hides_the_secret():
    assert repr(CREDENTIALS) == "ClientCredentials(client_id='abcd…', client_secret=hidden)"
    assert ClientCredentials("shortid", "secret").masked_client_id == "sh…"
    assert ClientCredentials("abcdefghijklmnopqr", "secret").masked_client_id == "abcd…"


# Scopes


@pytest.mark.parametrize(
    ("scopes", "sent"),
    [
        ("data user", "data user"),
        (" user,  data user,", "data user"),
        (["user data"], "data user"),
        ((name for name in ("user", "data")), "data user"),
        ([Scope.USER, "data"], "data user"),
        (set(Scope), "account audit buzz dashboard data user workflow"),
        ([Scope.custom("Manage.all"), "user"], "Manage.all user"),
        (None, None),
    ],
    ids=itertools.count(),
)
def test_equal_sets_of_scopes_send_the_same_parameter(scopes, sent):
    assert scope_parameter(scope_names(scopes)) == sent


@pytest.mark.parametrize(
    ("scopes", "text"),
    [
        *((empty, "pass None") for empty in ("", " ,", [], [""])),
        ("dat", "Did you mean 'data'"),
        ("DATA", "Did you mean 'data'"),
        ("manage", r"lists \([a-z, ]*\)\. If Domo has it.* pass Scope.custom\('manage'\)"),
        (["data", 7], "must be a str such as 'data', not int"),
        (5, "^What names scopes must be of the type Iterable, not int"),
    ],
    ids=itertools.count(),
)
def test_invalid_scopes_are_refused_with_the_nearest_name(scopes, text):
    refused(text, TokenProvider, CREDENTIALS, scopes=scopes)


@pytest.mark.parametrize("name", ["", "two words", 'quo"te', "back\\slash", "a,b", "línea", "new\nline"])
def test_a_custom_scope_must_fit_into_a_request(name):
    refused("cannot be a scope", Scope.custom, name)
    assert scope_names(Scope.custom("Manage.all")) == ("Manage.all",)


def test_the_scopes_are_those_of_the_contract():
    flows = yaml.safe_load(SPEC.read_text("utf-8"))["components"]["securitySchemes"]["oauth2"]["flows"]
    assert list(Scope) == list(flows["clientCredentials"]["scopes"])


# Tokens


TOKEN = Token(
    "the-token",
    expires_in=3599,
    expires_at=datetime(2026, 1, 1, tzinfo=UTC),
    scopes=frozenset({"data"}),
    customer="acme",
    extra={"env": "prod1", "echo": "the-token"},
)


def test_the_repr_of_a_token_shows_all_but_the_token_and_unknown_fields():
    assert "expires_in=3599" in repr(TOKEN)
    assert "customer='acme'" in repr(TOKEN)
    assert not [secret for secret in ("the-token", "prod1") if secret in f"{TOKEN!r} {TOKEN}"]


@pytest.mark.parametrize(("value", "name"), [(TOKEN, "access_token"), (CREDENTIALS, "client_id")], ids=["T", "C"])
def test_tokens_and_credentials_are_values(value, name):
    for duplicate in DUPLICATES:
        assert duplicate(value) == value
        assert hash(duplicate(value)) == hash(value)
    assert value != "another"
    assert hash(value) != hash(evolve(value, **{name: "another"}))
    with pytest.raises(AttributeError):
        setattr(value, name, "another")
    assert ClientCredentials(CREDENTIALS.client_id, "another") != CREDENTIALS


# Errors


FIELDS = {"status": 429, "error": "slow_down", "description": "Slow down", "toe": "AB-CD", "retry_after": 3.0}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (TransportError, {"retryable": False}),
        (RateLimitedError, FIELDS | {"retryable": True, "timestamp": datetime(2026, 1, 1, tzinfo=UTC)}),
    ],
)
@pytest.mark.parametrize("duplicate", DUPLICATES, ids=["copy", "deepcopy", "pickle"])
def test_errors_can_be_copied_and_pickled(kind, fields, duplicate):
    error = kind("text", **fields)
    twin = duplicate(error)
    assert twin is not error
    assert (type(twin), str(twin), vars(twin)) == (kind, "text", fields)


def test_a_chain_of_errors_may_be_a_cycle():
    first, second = KeyError(), ValueError()
    first.__cause__, second.__context__ = second, first
    assert list(itertools.islice(chain(first), 9)) == [first, second]


def test_one_base_class_catches_all_errors():
    errors = [getattr(domo_oauth, name) for name in dir(domo_oauth) if name.endswith("Error")]
    assert len(errors) >= 10
    assert all(issubclass(error, DomoOAuthError) for error in errors)
    assert [error("x").retryable for error in (ConfigurationError, TransportError, TokenRequestError)] == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "call"),
    [
        (
            "^The first argument must be of the type ClientCredentials, not tuple",
            lambda: TokenProvider(("id", "canary")),
        ),
        ("^The first argument must be of the type ClientCredentials, not str", lambda: request_token("canary")),
        (
            r"^The argument of invalidate\(\) must be of.* Token, not str",
            lambda: TokenProvider(CREDENTIALS).invalidate("canary"),
        ),
        ("^A scope must be of the type str, not int", lambda: Scope.custom(7)),
        ("httpx_args must be a dictionary", lambda: TokenProvider(CREDENTIALS, httpx_args=["canary"])),
        ("httpx_args cannot have", lambda: TokenProvider(CREDENTIALS, httpx_args={"auth": "canary"})),
        ("httpx_args cannot have", lambda: TokenProvider(CREDENTIALS, httpx_args={"base_url": "canary"})),
        ("is not a scope", lambda: TokenProvider(CREDENTIALS, scopes="no", httpx_args={"proxy": "http://u:canary@p"})),
        ("user name or password", lambda: TokenProvider(CREDENTIALS, base_url="https://name:canary@api.domo.com")),
        ("user name or password", lambda: request_token(CREDENTIALS, base_url="https://name:canary@api.domo.com")),
    ],
    ids=itertools.count(),
)
def test_a_wrong_argument_is_not_shown(text, call):
    refused(text, call)


def test_arguments_for_httpx_are_not_shown():
    shown = repr(vars(TokenProvider(CREDENTIALS, httpx_args={"proxy": "http://user:canary@proxy"})))
    assert "'_httpx_args': HttpxArgs(hidden)," in shown
    assert "canary" not in shown


# Base URLs


def base_url(given=None):
    return TokenProvider(CREDENTIALS, base_url=given).base_url


@pytest.mark.parametrize(
    ("variable", "given", "used"),
    [
        (None, None, "https://api.domo.com"),
        (" https://elsewhere.test/ ", None, "https://elsewhere.test"),
        ("https://elsewhere.test/", "https://another.test", "https://another.test"),
        ("", "HTTPS://api.domo.com/path//", "https://api.domo.com/path"),
        (None, "https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        *(
            (None, url, url)
            for url in ("http://localhost:1", "http://127.0.0.1:80", "http://127.9.9.9", "http://[::1]:8")
        ),
    ],
)
def test_the_base_url_is_the_argument_or_the_variable_or_domos(monkeypatch, variable, given, used):
    if variable is not None:
        monkeypatch.setenv("DOMO_API_URL", variable)
    assert base_url(given) == used


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://api.domo.com", "unencrypted"),
        ("http://localhost.evil.test", "unencrypted"),
        ("http://192.168.0.1", "unencrypted"),
        ("api.domo.com", "not an absolute HTTP URL"),
        ("ftp://api.domo.com", "not an absolute HTTP URL"),
        ("https://", "not an absolute HTTP URL"),
        ("https://name:password@api.domo.com", "user name or password"),
        ("https://name@api.domo.com", "user name or password"),
        ("https://api.domo.com@elsewhere.test", "user name or password"),
        ("https://api.domo.com#f", "query or fragment"),
        ("https://api.domo.com?a=b", "query or fragment"),
        ("https://api.domo.com%", "host name has invalid characters"),
        ("https://api.domo.com:port", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://api.domo.com:0", "not an absolute HTTP URL"),
        ("http://127.0.0.1\\@elsewhere.test", "not an absolute HTTP URL"),
        ("http://local\thost:1", "not an absolute HTTP URL"),
        ("https://[::1]8080", "not (an absolute HTTP|a) URL"),  # newer versions of Python refuse to parse it
        ("https://api.domo.com/a b", "not an absolute HTTP URL"),
        ("", "^The base URL is empty: leave it out to use https://api.domo.com"),
        (5, "^The base URL must be of the type str, not int"),
    ],
)
def test_an_unsafe_or_invalid_base_url_is_refused(url, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        base_url(url)
    assert "password@" not in str(caught.value)


def test_an_error_blames_the_variable_or_the_argument(monkeypatch):
    monkeypatch.setenv("DOMO_API_URL", "nonsense")
    refused("^DOMO_API_URL is not an absolute HTTP URL", base_url)
    refused("^The base URL is not an absolute HTTP URL", base_url, "more nonsense")


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_does_not_lead_to_domo(monkeypatch, empty):
    monkeypatch.setenv("DOMO_API_URL", empty)
    refused("^DOMO_API_URL is empty: leave it out to use https://api.domo.com", base_url)


# Clocks


@pytest.mark.parametrize(("module", "name"), [(sys, "is_finalizing"), (_thread, "daemon_threads_allowed")])
def test_a_clock_says_so_when_no_thread_can_be_started(monkeypatch, module, name):
    """At the end of the process, and in an isolated subinterpreter."""
    monkeypatch.setattr(module, name, lambda: module is sys, raising=False)
    with pytest.raises(RuntimeError):
        Clock().start(lambda: None)


@pytest.mark.parametrize("error", [None, RuntimeError("can't start new thread"), MemoryError()])
def test_a_clock_starts_a_daemon_thread_or_uses_the_last_one_that_can_be_started(monkeypatch, error):
    def none_left(_thread) -> None:
        raise error

    if error:
        monkeypatch.setattr(threading.Thread, "start", none_left)
    found, done = [], threading.Event()
    Clock().start(lambda: (found.append(threading.current_thread()), done.set()))
    assert done.wait(PATIENCE)
    assert found[0].daemon
    assert found[0].name == "domo-oauth" or error
    assert found[0] is not threading.current_thread()
