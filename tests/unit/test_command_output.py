"""What commands print, and hand to others, to the letter: it is read by programs."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime

import pytest

from domo_oauth import ClientCredentials, Token, cli
from domo_oauth.cli import exec as exec_command
from domo_oauth.cli import token as token_command
from domo_oauth.cli import whoami
from domo_oauth.cli.credentials import Found
from domo_oauth.cli.obtain import Obtained
from domo_oauth.contract import contract
from domo_oauth.stores.file import FileStore

TOKEN = Token(
    "canary-token",
    expires_in=3599,
    expires_at=datetime(2026, 3, 1, 12, 0, 0, 987654, tzinfo=UTC),
    scopes=frozenset({"user", "data"}),
    customer="acme",
    role="Admin",
    user_id=7,
    jti="jti-1",
)
CLIENT = Found(ClientCredentials("canary-client", "canary-secret"), "the environment")


@pytest.fixture(autouse=True)
def given(monkeypatch):
    """Have each command obtain a token that is known, and tell what it asked for."""
    given = {"token": TOKEN, "asked": []}

    def obtain(args):
        given["asked"].append(args)
        return Obtained(given["token"], 3000.9, "the store /the/store", CLIENT, "https://api.domo.com")

    for module in (token_command, whoami, exec_command):
        monkeypatch.setattr(module, "obtain", obtain)
    return given


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ([], "canary-token\n"),
        (["--format", "raw"], "canary-token\n"),
        (["--format", "header"], "Authorization: Bearer canary-token\n"),
        (["--format", "env"], "export DOMO_ACCESS_TOKEN='canary-token'\n"),
        (["--format", "curl-config"], 'header = "Authorization: Bearer canary-token"\n'),
        (
            ["--format", "json"],
            (
                '{\n  "access_token": "canary-token",\n  "token_type": "bearer",\n'
                '  "expires_at": "2026-03-01T12:00:00+00:00",\n  "expires_in": 3000,\n'
                '  "scopes": [\n    "data",\n    "user"\n  ],\n  "customer": "acme",\n'
                '  "role": "Admin",\n  "user_id": 7,\n  "jti": "jti-1"\n}\n'
            ),
        ),
    ],
)
@pytest.mark.parametrize("more", [[], ["--scope", "data"], ["--no-store"]])
def test_a_token(form, more, printed, capsys, given):
    assert cli.main(["token", *form, *more]) == 0
    assert capsys.readouterr() == (printed, "")
    (asked,) = given["asked"]
    assert asked.scope == (["data"] if "data" in more else None)
    assert asked.no_store is ("--no-store" in more)


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("env", r"export DOMO_ACCESS_TOKEN='a'\''b\c\"d'"),
        ("curl-config", r'header = "Authorization: Bearer a' + "'" + r'b\\c\\\"d"'),
        ("raw", r"a'b\c\"d"),
    ],
)
def test_a_token_that_has_to_be_quoted(form, printed, capsys, given):
    given["token"] = Token(r"a'b\c\"d", expires_in=1, expires_at=TOKEN.expires_at)
    assert cli.main(["token", "--format", form]) == 0
    assert capsys.readouterr().out == printed + "\n"


@pytest.mark.parametrize("text", ["a\nb", "a\x7fb", "ä"])
def test_a_token_that_cannot_be_one(text, capsys, given):
    given["token"] = Token(text, expires_in=1, expires_at=TOKEN.expires_at)
    assert cli.main(["token"]) == 5
    assert capsys.readouterr() == (
        "",
        "domo-oauth: The token has characters that none can have (RFC 6749, appendix A.12).\n",
    )


def test_whoami(capsys):
    assert cli.main(["whoami"]) == 0
    assert capsys.readouterr() == (
        (
            "customer         acme\n"
            "role             Admin\n"
            "user id          7\n"
            "scopes           data user\n"
            "expires in       3000 s\n"
            "expires at       2026-03-01T12:00:00+00:00\n"
            "token from       the store /the/store\n"
            "client id        cana…\n"
            "credentials from the environment\n"
            "base url         https://api.domo.com\n"
        ),
        "",
    )


def test_whoami_as_json(capsys):
    assert cli.main(["whoami", "--json"]) == 0
    shown = capsys.readouterr().out
    fields = {
        "customer": "acme",
        "role": "Admin",
        "user_id": 7,
        "scopes": ["data", "user"],
        "expires_in": 3000,
        "expires_at": "2026-03-01T12:00:00+00:00",
        "token_from": "the store /the/store",
        "client_id": "cana…",
        "credentials_from": "the environment",
        "base_url": "https://api.domo.com",
    }
    assert shown == json.dumps(fields, indent=2) + "\n"


def test_whoami_of_a_token_that_says_nothing(capsys, given):
    given["token"] = Token("canary", expires_in=1, expires_at=TOKEN.expires_at, customer="", user_id=0)
    assert cli.main(["whoami"]) == 0
    assert capsys.readouterr().out.splitlines()[:4] == [
        "customer         unknown",
        "role             unknown",
        "user id          0",
        "scopes           unknown",
    ]


def test_the_contract_as_json(capsysbinary):
    assert cli.main(["spec", "--json"]) == 0
    assert capsysbinary.readouterr().out.decode() == json.dumps(contract(), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.skipif(os.name != "posix", reason="the exec of POSIX")
def test_exec_becomes_the_command(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execvpe", lambda *given: started.append(given))
    for name in ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET", "DOMO_STORE"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("DOMO_API_URL", "https://api.domo.com")
    before = [signal.getsignal(name) for name in (signal.SIGPIPE, signal.SIGXFSZ)]
    try:
        for line in (["--", "ls", "--", "-l"], ["ls", "--", "-l"]):
            cli.main(["exec", *line])
            assert [signal.getsignal(name) for name in (signal.SIGPIPE, signal.SIGXFSZ)] == [signal.SIG_DFL] * 2
    finally:
        for name, handler in zip((signal.SIGPIPE, signal.SIGXFSZ), before, strict=True):
            signal.signal(name, handler)
    dropped = ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET", "DOMO_STORE")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment["DOMO_ACCESS_TOKEN"] = "canary-token"
    assert started == [("ls", ["ls", "--", "-l"], environment)] * 2


@pytest.mark.skipif(os.name != "posix", reason="the exec of POSIX")
@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (FileNotFoundError(2, "No such file or directory"), 127, "no-such: there is no such command."),
        (PermissionError(13, "Permission denied"), 126, "no-such cannot be run: Permission denied."),
    ],
)
def test_exec_of_what_cannot_be_run(error, status, told, monkeypatch, capsys):
    def fail(*_):
        raise error

    monkeypatch.setattr(exec_command, "_start", fail)
    assert cli.main(["exec", "no-such"]) == status
    assert capsys.readouterr() == ("", f"domo-oauth: {told}\n")


def test_exec_of_nothing_asks_for_no_token(capsys, given):
    for line in ([], ["--"]):
        assert cli.main(["exec", *line]) == 2
        assert capsys.readouterr() == ("", "domo-oauth: No command is given: domo-oauth exec -- COMMAND\n")
    assert given["asked"] == []


def test_forget_all_counts(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DOMO_STORE", str(tmp_path))
    for count, word in ((0, "entries"), (1, "entry"), (2, "entries")):
        store = FileStore(tmp_path)
        for number in range(count):
            store.save(f"{number:032x}", b"x", 60)
        assert cli.main(["forget", "--all"]) == 0
        assert capsys.readouterr() == ("", f"domo-oauth: Removed {count} {word} from {tmp_path}.\n")


def test_forget_says_whose_token(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DOMO_STORE", str(tmp_path))
    monkeypatch.setenv("DOMO_CLIENT_ID", "canary-client")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "canary-secret")
    for more, scopes in (([], "all its scopes"), (["--scope", "user,data"], "data user")):
        assert cli.main(["forget", *more]) == 0
        told = f"domo-oauth: There was no entry of the client cana… for {scopes} in {tmp_path}.\n"
        assert capsys.readouterr() == ("", told)
