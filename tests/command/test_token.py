"""What `token`, `exec`, `whoami` and `forget` print, and which token: the stored one, or the next one of Domo's."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domo_oauth import ClientCredentials, ServerError, Token
from domo_oauth.stores.file import FileStore
from domo_oauth.stores.sealing import Entry, Refusal, SealedStore
from tests.command.conftest import TOKEN, answer, granted

# A longer Retry-After than a fetch may take: there is no other attempt.
BUSY = answer("503 Service Unavailable", "Retry-After: 60")
REFUSED = answer("401 Unauthorized")
FORMATS = {
    "raw": TOKEN,
    "header": f"Authorization: Bearer {TOKEN}",
    "env": f"export DOMO_ACCESS_TOKEN='{TOKEN}'",
    "curl-config": f'header = "Authorization: Bearer {TOKEN}"',
}
FIELDS = {"customer": "acme", "role": "Admin", "user_id": 7, "scopes": ["data", "user"]}


@pytest.fixture
def store(domo) -> FileStore:
    return FileStore(os.environ["DOMO_STORE"])


def leave(store: FileStore, url: str, left: float, lifetime: int = 3600, refusal: Refusal | None = None) -> None:
    """Put a token into the store that expires in ``left`` seconds."""
    now = time.time()
    old = Token("canary-old", expires_in=lifetime, expires_at=datetime.fromtimestamp(now + left, UTC))
    credentials = ClientCredentials("canary-client", "canary-secret")
    SealedStore(store, credentials, None, url).save(Entry(old, now + left, refusal), now)


@pytest.mark.parametrize("form", FORMATS)
def test_a_token_and_nothing_else(form, run, domo):
    for more in ([], ["-v"]):
        ended = run(["token", "--format", form, *more])
        assert (ended.status, ended.out) == (0, FORMATS[form] + "\n")
        assert TOKEN not in ended.err
        assert bool(ended.err) == (more == ["-v"])
    assert len(domo.requests) == 1


def test_all_that_is_known_as_json(run, domo):
    fields = json.loads(run("token --format json").out)
    times = {name: fields.pop(name) for name in ("expires_at", "expires_in")}
    assert fields == FIELDS | {"access_token": TOKEN, "token_type": "bearer", "jti": "jti-1"}
    assert 3590 <= times["expires_in"] <= 3599
    assert times["expires_at"].endswith("+00:00")


@pytest.mark.parametrize("token", ["a'b", "a;b", "$(x)", "a\\b", "a\nb", "a=b"])
def test_a_token_that_is_not_a_bearer_token_is_refused(token, run, domo):
    domo.answer = granted(token)
    for line in ("token", "token --format json", "exec ls"):
        ended = run(f"{line} --no-store")
        assert (ended.status, ended.out) == (5, "")
        assert token not in ended.err


def test_whoami_shows_everything_but_the_token(run, domo, store):
    first, again = run("whoami"), run("whoami --json")
    lines = {line[:17].strip(): line[17:] for line in first.out.splitlines()}
    assert list(lines) == [
        *("customer", "role", "user id", "scopes", "expires in", "expires at"),
        *("token from", "client id", "credentials from", "base url"),
    ]
    assert (lines["customer"], lines["user id"], lines["scopes"]) == ("acme", "7", "data user")
    assert (lines["token from"], lines["client id"]) == ("Domo", "cana…")
    fields = json.loads(again.out)
    assert {name: fields[name] for name in FIELDS} == FIELDS
    assert fields["token_from"] == f"the store {store.path}"
    assert (fields["credentials_from"], fields["base_url"]) == ("the environment", domo.url)
    for ended in (first, again):
        assert (ended.status, ended.err) == (0, "")
        assert not any(secret in ended.out for secret in (TOKEN, "canary-secret", "canary-client"))


def test_whoami_strips_terminal_control_sequences(run, domo):
    domo.answer = granted(customer="ac\x1b]0;owned\x07\nme", role="\x9b2JAdmin", scope="da\x1b[2Jta \u202euser")
    ended = run("whoami")
    assert ended.out.replace("\n", "").isprintable()
    assert ended.out.startswith("customer         ac ]0;owned me\nrole             2JAdmin\nuser id          unknown\n")


@pytest.mark.parametrize(
    ("reply", "status"),
    [(REFUSED, 3), (answer("403 Forbidden"), 3), (BUSY, 4), (answer(body="<html>sign in</html>"), 5)],
)
def test_a_failure_is_one_line_and_an_exit_status(reply, status, run, domo):
    domo.answer = reply
    ended = run("exec -- ls")
    assert (ended.status, ended.out) == (status, "")
    assert ended.err.startswith(f"domo-oauth: GET {domo.url}/oauth/token ")
    assert ended.err.count("\n") == 1
    assert "canary-secret" not in ended.err
    assert run("exec -v -- ls").err.count(ended.err.removeprefix("domo-oauth: ")) == 1  # the log does not repeat it


def test_each_set_of_scopes_has_a_token(run, domo):
    for line, scope in {
        "--scope data --scope user": b"scope=data%20user",
        "--scope user,data": None,  # the same
        "--custom-scope data": b"scope=data",
        "": b"grant_type",
    }.items():
        before = len(domo.requests)
        assert run(f"token {line}").status == 0
        assert len(domo.requests) == before + (scope is not None)
        assert scope is None or scope in domo.requests[-1].replace(b"+", b"%20")


@pytest.mark.parametrize(
    ("lifetime", "left", "options", "printed"),
    [
        (3600, 305, "", "old"),
        (3600, 299, "", "new"),
        (600, 125, "", "old"),
        (600, 119, "", "new"),
        (3600, 605, "--min-lifetime 600", "old"),
        (3600, 599, "--min-lifetime 600", "new"),
        (3600, 100, "--min-lifetime 50", "old"),
        (3600, 3600, "--no-store", "new"),
    ],
)
def test_a_stored_token_is_used_if_it_lasts_long_enough(lifetime, left, options, printed, run, domo, store):
    leave(store, domo.url, left, lifetime)
    assert run(f"token {options}") == (0, f"{TOKEN if printed == 'new' else 'canary-old'}\n", "")
    assert len(domo.requests) == (printed == "new")
    if printed == "new" and not options:
        assert f"token from       the store {store.path}\n" in run("whoami").out
        assert len(domo.requests) == 1


@pytest.mark.parametrize(
    ("reply", "left", "options", "status"),
    [(BUSY, 65, "", 0), (BUSY, 100, "--min-lifetime 200", 4), (REFUSED, 200, "", 3)],
)
def test_a_stored_token_is_used_once_more_if_domo_is_busy(reply, left, options, status, run, domo, store):
    domo.answer = reply
    leave(store, domo.url, left)
    ended = run(f"whoami --json {options}")
    used = ended.err.startswith("domo-oauth: The stored token is used once more, as no other can be had. GET http")
    assert (ended.status, used) == (status, not status)
    assert status or json.loads(ended.out)["token_from"] == f"the store {store.path}"
    assert len(domo.requests) == 1


def test_a_token_that_replaces_a_stored_one_is_from_domo(run, domo, store):
    leave(store, domo.url, 200)
    assert json.loads(run("whoami --json").out)["token_from"] == "Domo"


def test_a_refusal_another_process_received_is_reused(run, domo, store):
    unavailable = ServerError("unavailable", status=503, retryable=True)
    leave(store, domo.url, 20, refusal=Refusal(unavailable, 2.0, time.time() + 30))
    told = "Domo has just refused another process, so no request is sent yet:\ndomo-oauth: unavailable"
    assert run("token") == (4, "", f"domo-oauth: {told}\n")
    assert domo.requests == []
    assert run("forget").err.startswith("domo-oauth: Removed the entry of the client cana… for all its scopes in ")
    assert run("token").out == f"{TOKEN}\n"


def test_a_token_that_lasts_less_than_wanted_is_printed_with_a_warning(run, domo):
    for requests in (1, 2):
        ended = run("token --min-lifetime 7200.5")
        assert (ended.status, ended.out) == (0, f"{TOKEN}\n")
        assert ended.err.startswith("domo-oauth: This token is good for 359")
        assert ended.err.endswith(
            " s, and --min-lifetime asks for 7200.5: Domo granted it for 3599 s. Lower it, or each call requests "
            "another token.\n"
        )
        assert len(domo.requests) == requests


@pytest.mark.parametrize(
    ("where", "status", "told"),
    [
        ("none", 0, ""),
        ("FILE", 0, "Continuing without the store FileStore("),
        ("redis://user:canary-password@127.0.0.1:1/0", 0, "Continuing without the store RedisStore('127.0.0.1:1/0'"),
        ("tokens", 2, "Invalid store. Give a folder"),
        ("http://user:canary-password@127.0.0.1", 2, "Invalid store. Give a folder"),
        ("redis://user:canary-password@no-redis", 2, "This store needs redis: pip install 'domo-oauth[redis]'"),
    ],
)
def test_domo_store_names_the_store(where, status, told, run, domo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    if where.endswith("no-redis"):
        monkeypatch.setitem(sys.modules, "redis", None)
    ended = run("token", DOMO_STORE=where.replace("FILE", f"{tmp_path}/file"))
    assert "canary" not in ended.err
    assert (ended.status, ended.out) == (status, "" if status else f"{TOKEN}\n")
    assert ended.err.startswith(f"domo-oauth: {told}" if told else "")
    assert ended.err.count("\n") == bool(told)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]  # no folder in the current one


def test_the_home_folder_may_be_unknown(run, domo, monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME", "DOMO_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", lambda path: (_ for _ in ()).throw(RuntimeError))
    told = "Your home folder is unknown. Set HOME, or name a folder in DOMO_STORE."
    assert run("token") == (0, f"{TOKEN}\n", f"domo-oauth: Continuing without a store: {told}\n")


def test_forget_removes_the_token_of_one_set_of_scopes_or_all(run, domo, store):
    (store.path / "notes").parent.mkdir(mode=0o700)
    (store.path / "notes").touch()
    client = "entry of the client cana… for"
    for line, told in {
        "forget --scope user,data": f"There was no {client} data user in {store.path}.",
        "token --scope data": "",
        "forget --scope data": f"Removed the {client} data in {store.path}.",
        "token": "",
        "forget --all": f"Removed 1 entry from {store.path}.",
    }.items():
        ended = run(line)
        assert ended.status == 0
        assert ended.err == (f"domo-oauth: {told}\n" if told else "")
    assert [path.name for path in store.path.iterdir() if path.suffix != ".lock"] == ["notes"]
    assert run("forget", DOMO_STORE="none") == (2, "", "domo-oauth: There is no store.\n")


def test_exec_of_what_cannot_be_run(run, domo, tmp_path):
    assert run(["exec", "no-such-command"]) == (127, "", "domo-oauth: exec: there is no such command.\n")
    told = "exec: the command cannot be run: Permission denied."
    assert run(["exec", "--", tmp_path]) == (126, "", f"domo-oauth: {told}\n")
