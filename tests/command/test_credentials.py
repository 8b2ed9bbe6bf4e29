"""Where the command finds a client id and a secret: options, environment, files, keyring, terminal."""

from __future__ import annotations

import base64
import contextlib
import getpass
import io
import json
import os
import sys

import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from tests.command.conftest import answer

ALTERNATIVES = (
    "set DOMO_CLIENT_ID, and DOMO_CLIENT_SECRET or DOMO_CLIENT_SECRET_FILE; or pass --client-id ID "
    "--client-secret-file FILE"
)
NONE = f"No client id and secret: {ALTERNATIVES}; or keep them in the system's keyring with: domo-oauth login"
NO_ID = "There is a client secret, but no client id: set DOMO_CLIENT_ID, or pass --client-id."
NO_SECRET = (
    "There is no client secret, and no terminal to ask for it: set DOMO_CLIENT_SECRET, or pass --client-secret-file."
)
BOTH = "Both DOMO_CLIENT_SECRET and DOMO_CLIENT_SECRET_FILE are set: set only one."


def sent_to(server) -> list[str]:
    """The client id and secret of each request."""
    fields = [request.partition(b"Authorization: Basic ")[2].partition(b"\r\n")[0] for request in server.requests]
    return [base64.b64decode(field).decode() for field in fields]


@pytest.fixture
def bare(domo, monkeypatch):
    """The server, and no credentials in the environment."""
    for name in ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    return domo


@pytest.mark.parametrize(
    ("options", "env", "found"),
    [
        ("", {"ID": " env-id ", "SECRET": "env-secret\n"}, ("env-id:env-secret", "the environment")),
        ("--client-id X", {"ID": "env-id", "SECRET": "env-secret"}, ("X:env-secret", "the environment")),
        ("", {"ID": "env-id", "SECRET_FILE": "FILE"}, ("env-id:file-secret", "the file FILE")),
        ("--client-id X --client-secret-file FILE", {}, ("X:file-secret", "the file FILE")),
        ("--client-secret-file FILE", {"ID": "i", "SECRET": "x"}, ("i:file-secret", "the file FILE")),
        ("", {"ID": " ", "SECRET": ""}, NONE),
        ("", {"SECRET": "env-secret"}, NO_ID),
        ("--client-secret-file FILE", {}, NO_ID),
        ("--client-id X", {}, NO_SECRET),
        ("", {"ID": "env-id", "SECRET": "env-secret", "SECRET_FILE": "FILE"}, BOTH),
        ("--client-id a:b", {"SECRET": "x"}, "The client id has a colon, which HTTP Basic authentication cannot carry"),
    ],
)
def test_id_and_secret_each_come_from_an_option_or_else_the_environment(
    options, env, found, run, bare, secret_file, monkeypatch
):
    variables = {f"DOMO_CLIENT_{name}": value.replace("FILE", str(secret_file)) for name, value in env.items()}
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    ended = run(f"whoami --json {options.replace('FILE', str(secret_file))}", **variables)
    if isinstance(found, str):
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith(f"domo-oauth: {found}")
        assert bare.requests == []
    else:
        assert (ended.status, ended.err) == (0, "")
        assert sent_to(bare) == [found[0]]
        assert json.loads(ended.out)["credentials_from"] == found[1].replace("FILE", str(secret_file))


@pytest.mark.skipif(os.name != "posix", reason="POSIX owners and modes")
@pytest.mark.parametrize(("mode", "told"), [(0o600, ""), (0o620, " can be changed by other users: chmod 600 it.")])
def test_a_secret_file_that_others_may_have_written_is_refused(mode, told, run, domo, secret_file):
    secret_file.chmod(mode)
    (link := secret_file.with_name("link")).symlink_to(secret_file)  # Kubernetes mounts files through links
    ended = run(["token", "--no-store", "--client-secret-file", link])
    assert (ended.status, ended.err) == (2, f"domo-oauth: The file of the client secret{told}\n") if told else (0, "")
    assert len(domo.requests) == (not told)


@pytest.mark.parametrize(("size", "told"), [(0, "is empty: pass"), (2**40, "has whitespace around it or a control ")])
def test_a_file_without_a_secret_is_not_read_to_its_end(size, told, run, domo, secret_file):
    secret_file.write_bytes(b"")
    os.truncate(secret_file, size)
    ended = run(["token", "--client-secret-file", secret_file])
    assert (ended.status, domo.requests) == (2, [])
    assert ended.err.startswith(f"domo-oauth: The client secret {told}")


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_the_secret_may_come_from_standard_input_which_is_at_its_end_then(kind, run, domo, secret_file):
    if kind == "pipe":
        reading, writing = os.pipe()
        os.fchmod(reading, 0o644)  # others cannot open it, whatever its mode
    else:
        reading, writing = os.open(secret_file, os.O_RDONLY), os.open(secret_file, os.O_WRONLY | os.O_TRUNC)
    os.write(writing, b"\xef\xbb\xbf s3cret \n")  # with a byte order mark
    os.close(writing)
    stdin = os.dup(0)
    os.dup2(reading, 0)
    try:
        ended = run(["whoami", "--client-secret-file", "-"])
        with contextlib.suppress(OSError):  # a pipe cannot be rewound
            os.lseek(0, 0, os.SEEK_SET)
        assert os.read(0, 99) == b""
    finally:
        os.dup2(stdin, 0)
        os.close(stdin)
        os.close(reading)
    assert (ended.status, sent_to(domo)) == (0, ["canary-client:s3cret"])
    assert "\ncredentials from standard input\n" in ended.out


class Person(io.StringIO):
    """Standard input at which a person types."""

    def isatty(self) -> bool:
        return True


class Memory(KeyringBackend):
    """A keyring of this process."""

    priority = 1
    name = "a test's keyring"

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.error: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.error is not None:
            raise self.error
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.error is not None:
            raise RuntimeError(f"cannot keep {password}")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def keyring(bare, monkeypatch) -> Memory:
    """An empty keyring, and no credentials in the environment."""
    memory = Memory()
    monkeypatch.setattr("keyring.core._keyring_backend", memory)
    return memory


def test_login_asks_checks_and_keeps_and_logout_removes(keyring, domo, run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Person("canary-id \n"))
    monkeypatch.setattr(getpass, "getpass", lambda prompt: " canary-secret ")
    ended = run("login")
    assert (ended.status, ended.out) == (0, "Client id: ")
    assert ended.err == (
        "domo-oauth: Domo grants tokens for acme: data user.\n"
        f"domo-oauth: Saved the client can… for {domo.url} in the keyring (a test's keyring).\n"
    )
    assert sent_to(domo) == ["canary-id:canary-secret"]
    kept = '{"client_id": "canary-id", "client_secret": "canary-secret"}'
    assert keyring.kept == {("domo-oauth", domo.url): kept}
    assert json.loads(run("whoami --json").out)["credentials_from"] == "the keyring"
    other = "http://127.0.0.1:9"
    assert run(f"logout --base-url {other}").err == f"domo-oauth: There was no client for {other} in the keyring.\n"
    assert run("logout") == (0, "", f"domo-oauth: Removed the client for {domo.url}.\n")
    assert keyring.kept == {}
    assert run("token").err == f"domo-oauth: {NONE}\n"


@pytest.mark.parametrize("more", ["", "--no-check"])
def test_login_in_a_script(more, keyring, domo, run, secret_file):
    domo.answer = answer("401 Unauthorized")
    ended = run(f"login --client-id canary-id --client-secret-file {secret_file} {more}")
    assert ended.status == (0 if more else 3)
    assert bool(keyring.kept) == bool(more)
    assert len(domo.requests) == (not more)


def test_ctrl_d_at_the_prompt_gives_no_secret(bare, run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Person())
    monkeypatch.setattr(getpass, "getpass", lambda prompt: (_ for _ in ()).throw(EOFError))
    assert run("token", DOMO_CLIENT_ID="id") == (2, "", "domo-oauth: No client secret was given.\n")


@pytest.mark.parametrize("installed", [True, False])
def test_login_without_a_keyring_explains_the_alternatives(installed, run, bare, monkeypatch):
    if not installed:
        monkeypatch.setitem(sys.modules, "keyring", None)
    none = "There is no keyring on this system, or Python's package keyring is not installed"
    assert run("login") == (2, "", f"domo-oauth: {none}. Instead, {ALTERNATIVES}.\n")
    assert run("token") == (2, "", f"domo-oauth: {NONE}\n")
    assert run("logout") == (0, "", f"domo-oauth: There was no client for {bare.url} in the keyring.\n")


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("token", KeyringLocked()),
        ("login --client-id id --client-secret-file FILE --no-check", RuntimeError()),  # which quotes the secret
    ],
)
def test_a_keyring_that_cannot_be_used_is_explained_without_the_secret(command, error, keyring, run, secret_file):
    keyring.error = error
    told = f"The system's keyring cannot be used ({type(error).__name__}): unlock it; or {ALTERNATIVES}."
    assert run(command.replace("FILE", str(secret_file))) == (2, "", f"domo-oauth: {told}\n")


def test_the_base_url_is_an_option_or_a_variable(run, wire, domo):
    other = wire(domo.answer)
    assert run(f"whoami --no-store --base-url {other.url}/").out.endswith(f"base url         {other.url}\n")
    assert run("token", DOMO_API_URL="http://example.test").err.startswith(
        "domo-oauth: DOMO_API_URL is http://example.test, which would send the client secret unencrypted"
    )
    assert (len(other.requests), len(domo.requests)) == (1, 0)
