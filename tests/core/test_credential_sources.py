"""Where credentials come from: values, files, the environment, and sources, whose secrets can be replaced."""

from __future__ import annotations

import base64
import functools
import json
import os
import pickle
import threading

import httpx
import pytest

from domo_oauth import (
    ClientCredentials,
    ConfigurationError,
    DomoOAuthError,
    FileStore,
    InvalidClientError,
    TokenProvider,
    TransportError,
)
from domo_oauth.credentials import check_owner
from tests.fakes import Endpoint, in_threads, refused

ME = 7  # the user of this process
OLD, NEW = ClientCredentials("canary-id", "canary-old"), ClientCredentials("canary-id", "canary-new")


class Rotating(Endpoint):
    """Grants tokens for one secret, as Domo does after the secret was replaced."""

    secret = "canary-old"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        sent = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        return answer if sent.endswith(f":{self.secret}") else refused()


class Vault:
    """A secret manager. What it gives can be replaced."""

    def __init__(self, given: object = OLD) -> None:
        self.given, self.calls, self.threads = given, 0, set()

    def __call__(self) -> object:
        self.calls += 1
        self.threads.add(threading.current_thread())
        if isinstance(self.given, BaseException):
            raise self.given
        return self.given.pop(0) if isinstance(self.given, list) else self.given


@pytest.fixture
def endpoint(time):
    endpoint = Rotating()
    yield endpoint
    endpoint.open.set()
    time.settle()


@pytest.fixture
def vault() -> Vault:
    return Vault()


# Sources


def test_a_source_is_called_before_each_fetch_and_on_its_thread(make, vault, get, time, endpoint):
    provider = make(credentials=vault)
    assert vault.calls == 0
    first = get(provider)
    assert get(provider) is first
    assert (vault.calls, threading.current_thread() in vault.threads) == (1, False)
    vault.given, endpoint.secret = NEW, "canary-new"
    provider.reset()
    assert get(provider) != first
    assert (vault.calls, endpoint.requests) == (2, 2)


@pytest.mark.parametrize("stored", [False, True])
def test_a_secret_that_is_replaced_meanwhile_costs_one_more_request(make, time, endpoint, tmp_path, stored):
    """It is refused, the source is called again, and no caller notices."""
    vault, endpoint.secret = Vault([OLD, NEW]), "canary-new"
    provider = make(credentials=vault, store=FileStore(tmp_path) if stored else None)
    tokens = in_threads(8, provider.get_token)
    assert len({token.access_token for token in tokens}) == 1
    assert (endpoint.requests, vault.calls, provider.stats().failures) == (2, 2, 0)
    if stored:
        assert make(credentials=NEW, store=FileStore(tmp_path)).get_token() == tokens[0]
        assert endpoint.requests == 2


def test_min_lifetime_also_holds_for_credentials_that_were_replaced(make, time, endpoint, tmp_path):
    endpoint.secret = "canary-new"
    old = make(credentials=NEW, store=FileStore(tmp_path)).get_token()
    time.advance(2000)
    provider = make(credentials=Vault([OLD, NEW]), store=FileStore(tmp_path))
    assert provider.get_token(min_lifetime=3000) != old


def test_credentials_that_stay_wrong_are_an_error(make, vault, endpoint):
    provider, endpoint.secret = make(credentials=vault), "canary-new"
    for _ in range(2):
        with pytest.raises(InvalidClientError):
            provider.get_token()
    assert (endpoint.requests, vault.calls) == (1, 2)


WRONG = {
    "an error": (
        OSError("canary-old"),
        "The credentials source failed with OSError, raised in .*test_credential_sources, line",
    ),
    "nothing": (None, "What the credentials source returns must be of the type ClientCredentials, not NoneType"),
    "a pair": (("canary-id", "canary-old"), "must be of the type ClientCredentials, not tuple"),
    "our own error": (ConfigurationError("No such secret: ask Ms. K."), "No such secret: ask Ms. K."),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_source_that_fails_is_named(make, vault, get, endpoint, time, name):
    vault.given, message = WRONG[name]
    provider = make(credentials=vault)
    with pytest.raises(DomoOAuthError, match=message) as caught:
        get(provider)
    assert "canary-old" not in str(caught.value)
    assert endpoint.requests == 0
    vault.given = OLD
    time.advance(30)
    assert get(provider).access_token == "canary-token-1"


def test_a_source_that_hangs_holds_nobody_up(make, get):
    stop = threading.Event()
    provider = make(credentials=lambda: stop.wait(60) and OLD)
    with pytest.raises(TransportError, match=r"the credentials source has not returned\. The request goes on"):
        get(provider, 0.0)
    stop.set()


def test_a_source_that_requests_a_token_gets_an_error(make):
    provider = make(credentials=lambda: provider.get_token())  # noqa: PLW0108 -- it is not made yet
    with pytest.raises(ConfigurationError, match="would wait for itself"):
        provider.get_token()


def test_the_same_source_shares_a_token_and_another_one_does_not(vault):
    state = TokenProvider(vault)._state
    assert TokenProvider(vault)._state is state
    assert TokenProvider(Vault())._state is not state
    assert TokenProvider(OLD)._state is not state


def test_a_source_can_be_pickled_and_is_not_shown(tmp_path):
    source = functools.partial(ClientCredentials, "canary-id", "canary-old")
    provider = TokenProvider(source, base_url="http://127.0.0.1:9", store=FileStore(tmp_path))
    assert repr(provider) == "TokenProvider(a source, scopes='all', base_url='http://127.0.0.1:9')"
    twin = pickle.loads(pickle.dumps(provider))
    assert (twin._credentials(), twin._store.path) == (OLD, tmp_path)


# The environment


def set_environment(monkeypatch, prefix="DOMO_", **values):
    for name, value in values.items():
        monkeypatch.setenv(f"{prefix}{name}", value)


def test_the_environment_is_a_source(monkeypatch, endpoint, time):
    set_environment(monkeypatch, CLIENT_ID="canary-id", CLIENT_SECRET="canary-old")
    provider = TokenProvider.from_env(httpx_args={"transport": endpoint}, clock=time.clock)
    provider.get_token()
    set_environment(monkeypatch, CLIENT_SECRET="canary-new")
    endpoint.secret = "canary-new"
    provider.reset()
    assert provider.get_token().access_token == "canary-token-2"


def test_two_instances_in_one_program_never_mix(monkeypatch):
    set_environment(monkeypatch, CLIENT_ID="canary-id", CLIENT_SECRET="canary-old")
    set_environment(monkeypatch, "ACME_", CLIENT_ID="canary-acme", CLIENT_SECRET="canary-old")
    first, other = TokenProvider.from_env(), TokenProvider.from_env("ACME_")
    assert TokenProvider.from_env()._state is first._state
    assert "client_id='can…'" in repr(other)
    set_environment(monkeypatch, CLIENT_SECRET="canary-new")  # in a notebook
    changed = TokenProvider.from_env()
    states = [each._state for each in (first, other, changed, TokenProvider(OLD), TokenProvider(NEW))]
    assert len(set(map(id, states))) == 5
    assert pickle.loads(pickle.dumps(other))._credentials() == ClientCredentials("canary-acme", "canary-old")


def test_the_secret_can_be_in_a_file(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("canary-old\n")
    set_environment(monkeypatch, CLIENT_ID="canary-id", CLIENT_SECRET_FILE=str(tmp_path / "secret"))
    assert ClientCredentials.from_env() == OLD
    set_environment(monkeypatch, CLIENT_SECRET="canary-old")
    with pytest.raises(
        ConfigurationError, match="DOMO_CLIENT_SECRET and DOMO_CLIENT_SECRET_FILE are set: set only one"
    ):
        ClientCredentials.from_env()
    set_environment(monkeypatch, CLIENT_SECRET="", CLIENT_SECRET_FILE="canary-old")
    with pytest.raises(
        ConfigurationError, match="The file that DOMO_CLIENT_SECRET_FILE names cannot be read: No such"
    ) as caught:
        ClientCredentials.from_env()
    assert "canary" not in str(caught.value)


# Files


@pytest.mark.parametrize("names", [("client_id", "client_secret"), ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET")])
@pytest.mark.parametrize("form", ["object", "folder"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])  # the second is what PowerShell 5 calls utf8
def test_files_are_read(tmp_path, names, form, encoding):
    values = dict(zip(names, ("canary-id", "canary-old"), strict=True))
    if form == "object":
        (tmp_path / "file").write_text(json.dumps(values | {"other": 1}), encoding)
    else:
        for name, value in values.items():
            (tmp_path / name).write_text(f"{value}\n", encoding)
    assert ClientCredentials.from_file(tmp_path / "file" if form == "object" else str(tmp_path)) == OLD


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "must be a JSON object with client_id and client_secret, or a folder"),
        ('{"client_id": "canary-old"}', "must be a JSON object with client_id"),
        ("[]", "must be a JSON object with client_id"),
        ("[" * 5000, "must be a JSON object with client_id"),
        ('{"client_id": "canary-id", "client_secret": "canary-old"' + " " * 65536 + "}", "must be a JSON object with"),
        ('{"client_id": "canary-id", "client_secret": ["canary-old"]}', "The client secret must be a str, not list"),
        (b"\xff", "cannot be read: it is not a text file"),
        (None, "cannot be read: No such file"),
    ],
    ids=["not JSON", "no secret", "no object", "too deep", "too long", "no string", "no text", "no file"],
)
def test_files_that_cannot_be_used_are_explained(tmp_path, content, message):
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError, match=message) as caught:
        ClientCredentials.from_file(file)
    assert "canary-old" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="needs modes and owners of files: Linux or macOS")
@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.write_bytes(b"\xff"), "cannot be read: it is not a text file"),
        (lambda file: file.chmod(0o666), "can be changed by other users"),
    ],
)
def test_an_error_names_the_file(tmp_path, folder, spoil, message):
    file = tmp_path / "client_secret"
    for each in (file, tmp_path / "client_id"):
        each.write_text("canary-text")
    spoil(file)
    with pytest.raises(ConfigurationError, match=f"^{file} {message}"):
        ClientCredentials.from_file(tmp_path if folder else file)


@pytest.mark.skipif(os.name != "posix", reason="needs modes and owners of files: Linux or macOS")
@pytest.mark.parametrize(
    ("owner", "mode", "message"),
    [
        (0, 0o100644, None),
        (ME, 0o100600, None),
        (ME + 1, 0o010600, None),  # a pipe, as from a shell's <(...)
        (ME + 1, 0o100600, "belongs to another user"),
        (ME, 0o100620, "can be changed by other users"),
        (0, 0o100646, "can be changed by other users"),
        (ME, 0o100640, "can be read by other users: chmod 600 it."),
        (ME, 0o100604, "can be read by other users: chmod 600 it."),
    ],
)
def test_who_may_own_a_secret_and_read_it(monkeypatch, caplog, owner, mode, message):
    monkeypatch.setattr(os, "geteuid", lambda: ME)
    info = os.stat_result((mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))
    if message is None or "read" in message:
        check_owner(info, "It")
        assert [record.getMessage() for record in caplog.records] == ([f"It {message}"] if message else [])
    else:
        with pytest.raises(ConfigurationError, match=f"^It {message}"):
            check_owner(info, "It")
