"""What `token`, `exec`, `whoami` and `forget` print, and which token: the stored one, or the next one of Domo's."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from domo_oauth import ServerError
from domo_oauth.cli import token as command
from domo_oauth.stores.file import FileStore
from domo_oauth.stores.sealing import Refusal
from tests.command.answers import TOKEN, answer, granted, leave

UNAVAILABLE = ServerError("unavailable", status=503, retryable=True)
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


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("more", [[], ["--no-store"], ["-v"]])
def test_a_token_and_nothing_else(form, more, run, domo):
    for _ in range(2):
        ended = run(["token", "--format", form, *more])
        assert (ended.status, ended.out) == (0, FORMATS[form] + "\n")
        assert TOKEN not in ended.err
        assert bool(ended.err) == (more == ["-v"])
    assert len(domo.requests) == (2 if more == ["--no-store"] else 1)


def test_all_that_is_known_as_json(run, domo):
    fields = json.loads(run("token --format json").out)
    times = {name: fields.pop(name) for name in ("expires_at", "expires_in")}
    assert fields == FIELDS | {"access_token": TOKEN, "token_type": "bearer", "jti": "jti-1"}
    assert 3590 <= times["expires_in"] <= 3599
    assert times["expires_at"].endswith("+00:00")


@pytest.mark.parametrize("form", [*FORMATS, "json"])
@pytest.mark.parametrize("token", ["a'b", "a;b", "$(x)", "a\\b", 'a"b', "a\nb", "a=b"])
def test_a_token_that_is_not_a_bearer_token_is_refused_in_every_format(form, token, run, domo):
    domo.answer = granted(token)
    ended = run(f"token --no-store --format {form}")
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


def test_whoami_shows_the_terminal_nothing_that_it_would_obey(run, domo):
    domo.answer = granted(customer="ac\x1b]0;owned\x07\nme", role="\x9b2JAdmin", scope="da\x1b[2Jta \u202euser")
    ended = run("whoami")
    assert ended.out.replace("\n", "").isprintable()
    assert ended.out.startswith("customer         ac ]0;owned me\nrole             2JAdmin\nuser id          unknown\n")


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (answer("401 Unauthorized", body='{"error": "invalid_client"}'), 3),
        (answer("400 Bad Request", body='{"error": "invalid_scope"}'), 3),
        (answer("403 Forbidden", body='{"error": "access_denied"}'), 3),
        (answer("429 Too Many Requests", "Retry-After: 60"), 4),
        (BUSY, 4),
        (answer("302 Found", "Location: /sign-in"), 5),
        (answer(body="<html>sign in</html>"), 5),
        (answer(body='{"access_token": "t"}'), 5),
        (b"HTTP/1.1 200 O", 4),
    ],
)
@pytest.mark.parametrize("line", ["token", "whoami --no-store", "exec -- ls"])
def test_a_failure_is_one_line_and_an_exit_status(line, reply, status, run, domo):
    domo.answer = reply
    ended = run(line)
    assert (ended.status, ended.out) == (status, "")
    assert ended.err.startswith(f"domo-oauth: GET {domo.url}/oauth/token ")
    assert ended.err.count("\n") == 1
    assert "canary-secret" not in ended.err


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
        assert run("token").out == f"{TOKEN}\n"  # it is stored
        assert len(domo.requests) == 1


@pytest.mark.parametrize(
    ("reply", "left", "options", "status"),
    [
        (BUSY, 65, "", 0),
        (BUSY, 59, "", 4),
        (BUSY, 100, "--min-lifetime 200", 4),
        (REFUSED, 200, "", 3),
    ],
)
def test_a_stored_token_is_used_once_more_if_domo_is_busy(reply, left, options, status, run, domo, store):
    domo.answer = reply
    leave(store, domo.url, left)
    ended = run(f"token {options}")
    assert (ended.status, ended.out) == (status, "" if status else "canary-old\n")
    used = ended.err.startswith("domo-oauth: The stored token is used once more, as no other can be had. GET http")
    assert used is not bool(status)
    assert len(domo.requests) == 1


@pytest.mark.parametrize(("left", "status"), [(65, 0), (59, 4)])
def test_a_refusal_of_another_process_counts(left, status, run, domo, store):
    leave(store, domo.url, left, refusal=Refusal(UNAVAILABLE, 2.0, time.time() + 30))
    told = "Domo has just refused another process, so it is not asked again yet:\ndomo-oauth: unavailable"
    if not status:
        told = "The stored token is used once more, as no other can be had. unavailable"
    assert run("token") == (status, "" if status else "canary-old\n", f"domo-oauth: {told}\n")
    assert domo.requests == []
    assert run("forget").err.startswith("domo-oauth: Removed the entry of the client cana… for all its scopes in ")
    assert run("token").out == f"{TOKEN}\n"


class Locked:
    """A store in which another process holds the lock."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.free = threading.Event()

    def load(self, name: str) -> bytes | None:
        return self.kept.get(name)

    def save(self, name: str, sealed: bytes, ttl: float) -> None:
        self.kept[name] = sealed

    @contextmanager
    def lock(self, name: str):
        yield self.free.wait(10)


def test_a_stored_token_is_used_if_another_process_takes_long(run, domo, monkeypatch):
    store = Locked()
    leave(store, domo.url, 100)
    monkeypatch.setattr(command, "chosen_store", lambda: store)
    monkeypatch.setattr(command, "_PATIENCE", 0.2)
    ended = run("token")
    assert (ended.status, ended.out) == (0, "canary-old\n")
    assert "No token within 0.2 s: another process holds the lock of the store" in ended.err
    assert "timeout=" not in ended.err
    leave(store, domo.url, 3600)  # so that the fetch in the background ends at once
    store.free.set()
    assert domo.requests == []


def test_a_token_that_lasts_less_than_wanted_is_printed_with_a_warning(run, domo):
    for requests in (1, 2):
        ended = run("token --min-lifetime 7200.5")
        assert (ended.status, ended.out) == (0, f"{TOKEN}\n")
        assert ended.err.startswith("domo-oauth: This token is good for 359")
        assert ended.err.endswith(
            " s, and --min-lifetime asks for 7200.5: Domo granted it for 3599 s. Ask for less, or each call makes a "
            "request for a token.\n"
        )
        assert len(domo.requests) == requests


@pytest.mark.parametrize(
    ("where", "status", "told"),
    [
        ("none", 0, ""),
        ("FILE", 0, "Going on without the store FileStore("),
        ("redis://user:canary-password@127.0.0.1:1/0", 0, "Going on without the store RedisStore('127.0.0.1:1/0'"),
        ("tokens", 2, "Invalid store. Give a folder"),
        ("http://user:canary-password@127.0.0.1", 2, "Invalid store. Give a folder"),
    ],
)
def test_domo_store_names_the_store(where, status, told, run, domo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    for command_line in ("token", "forget --all"):
        ended = run(command_line, DOMO_STORE=where.replace("FILE", f"{tmp_path}/file"))
        assert "canary" not in ended.err
        if command_line == "token":
            assert (ended.status, ended.out) == (status, "" if status else f"{TOKEN}\n")
            assert ended.err.startswith(f"domo-oauth: {told}" if told else "")
            assert ended.err.count("\n") == bool(told)
        else:
            assert ended.status == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]  # no folder in the current one


def test_a_store_whose_extra_is_missing_is_an_error(run, domo, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    ended = run("token", DOMO_STORE="redis://user:canary-password@127.0.0.1")
    assert (ended.status, ended.out) == (2, "")
    assert "pip install 'domo-oauth[redis]'" in ended.err
    assert "canary" not in ended.err


def test_forget_removes_the_token_of_one_set_of_scopes_or_all(run, domo, store):
    (store.path / "notes").parent.mkdir(mode=0o700)
    (store.path / "notes").touch()
    client = "entry of the client cana… for"
    for line, told in {
        "forget --scope user,data": f"There was no {client} data user in {store.path}.",
        "token --scope data": "",
        "forget --scope data": f"Removed the {client} data in {store.path}.",
        "forget": f"There was no {client} all its scopes in {store.path}.",
        "forget --all": f"Removed 0 entries from {store.path}.",
        "token": "",
        "forget --all -v": f"Removed 1 entry from {store.path}.",
    }.items():
        ended = run(line)
        assert ended.status == 0
        assert ended.err == (f"domo-oauth: {told}\n" if told else "")
    assert [path.name for path in store.path.iterdir() if path.suffix != ".lock"] == ["notes"]
    assert run("forget", DOMO_STORE="none") == (2, "", "domo-oauth: There is no store: DOMO_STORE is none.\n")


@pytest.fixture
def started(monkeypatch) -> list[tuple[str, list[str], dict[str, str]]]:
    """Commands that `exec` would have become."""
    started = []
    monkeypatch.setattr(os, "execvpe", lambda *given: started.append(given))
    before = {name: signal.getsignal(name) for name in (signal.SIGPIPE, signal.SIGXFSZ)}
    yield started
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.mark.parametrize("line", ["exec -- ls -v -- --help", "exec --no-store ls -v -- --help"])
def test_exec_becomes_the_command_with_a_token_and_without_secrets(line, run, domo, started):
    expected = {name: value for name, value in os.environ.items() if name not in ("DOMO_CLIENT_ID", "DOMO_STORE")}
    del expected["DOMO_CLIENT_SECRET"]
    run(line)
    assert started == [("ls", ("ls", "-v", "--", "--help"), expected | {"DOMO_ACCESS_TOKEN": TOKEN})]
    assert {signal.getsignal(name) for name in (signal.SIGPIPE, signal.SIGXFSZ)} == {signal.SIG_DFL}


def test_exec_leaves_no_descriptor_of_the_secret_open(run, domo, started, secret_file):
    with secret_file.open() as file, secret_file.open() as twin, Path(os.devnull).open() as other:
        run(["exec", "--client-secret-file", f"/dev/fd/{file.fileno()}", "ls"], DOMO_CLIENT_SECRET_FILE="x")
        nothing = Path(os.devnull).stat()
        assert all(os.path.samestat(os.fstat(each.fileno()), nothing) for each in (file, twin, other))
    assert "DOMO_CLIENT_SECRET_FILE" not in started[0][2]


def test_exec_of_what_cannot_be_run(run, domo, tmp_path):
    assert run(["exec", "no-such-command"]) == (127, "", "domo-oauth: exec: there is no such command.\n")
    told = "exec: the command cannot be run: Permission denied."
    assert run(["exec", "--", tmp_path]) == (126, "", f"domo-oauth: {told}\n")
