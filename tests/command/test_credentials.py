"""Where the command finds a client id and a secret: options, environment, files, keyring, terminal."""

from __future__ import annotations

import base64
import getpass
import io
import json
import os
import stat
import sys
from pathlib import Path

import keyring as keyring_library
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, NoKeyringError

from tests.command.answers import answer, granted

NONE = (
    "No client id and secret: set DOMO_CLIENT_ID, and DOMO_CLIENT_SECRET or DOMO_CLIENT_SECRET_FILE; or pass "
    "--client-id ID --client-secret-file FILE; or keep them in the system's keyring with: domo-oauth login"
)
NO_ID = "There is a client secret, but no client id: set DOMO_CLIENT_ID, or pass --client-id."
NO_SECRET = (
    "There is no client secret, and no terminal to ask for it: set DOMO_CLIENT_SECRET, or pass --client-secret-file."
)
BOTH = "Both DOMO_CLIENT_SECRET and DOMO_CLIENT_SECRET_FILE are set: set only one."


def asked(server) -> list[str]:
    """The client id and secret of each request."""
    fields = [request.partition(b"Authorization: Basic ")[2].partition(b"\r\n")[0] for request in server.requests]
    return [base64.b64decode(field).decode() for field in fields]


@pytest.mark.parametrize(
    ("options", "env", "found"),
    [
        ("", {"ID": " env-id ", "SECRET": "env-secret\n"}, ("env-id:env-secret", "the environment")),
        ("--client-id X", {"ID": "env-id", "SECRET": "env-secret"}, ("X:env-secret", "the environment")),
        ("--client-id X", {"SECRET": "env-secret"}, ("X:env-secret", "the environment")),
        ("", {"ID": "env-id", "SECRET_FILE": "FILE"}, ("env-id:file-secret", "the file FILE")),
        ("--client-id X", {"SECRET_FILE": "FILE"}, ("X:file-secret", "the file FILE")),
        ("--client-secret-file FILE", {"ID": "env-id", "SECRET": "env"}, ("env-id:file-secret", "the file FILE")),
        ("--client-id X --client-secret-file FILE", {}, ("X:file-secret", "the file FILE")),
        (
            "--client-secret-file FILE",
            {"ID": "i", "SECRET": "x", "SECRET_FILE": "/x"},
            ("i:file-secret", "the file FILE"),
        ),
        ("", {}, NONE),
        ("", {"ID": " ", "SECRET": ""}, NONE),
        ("", {"SECRET": "env-secret"}, NO_ID),
        ("--client-secret-file FILE", {}, NO_ID),
        ("", {"SECRET_FILE": "FILE"}, NO_ID),
        ("", {"ID": "env-id"}, NO_SECRET),
        ("--client-id X", {}, NO_SECRET),
        ("", {"ID": "env-id", "SECRET": "env-secret", "SECRET_FILE": "FILE"}, BOTH),
        ("--client-id a:b", {"SECRET": "x"}, "The client id has a colon, which HTTP Basic authentication cannot carry"),
    ],
)
def test_id_and_secret_each_come_from_an_option_or_else_the_environment(
    options, env, found, run, domo, secret_file, monkeypatch
):
    for name in ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    variables = {f"DOMO_CLIENT_{name}": value.replace("FILE", str(secret_file)) for name, value in env.items()}
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    ended = run(f"whoami --json {options.replace('FILE', str(secret_file))}", **variables)
    if isinstance(found, str):
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith(f"domo-oauth: {found}")
        assert domo.requests == []
    else:
        assert (ended.status, ended.err) == (0, "")
        assert asked(domo) == [found[0]]
        assert json.loads(ended.out)["credentials_from"] == found[1].replace("FILE", str(secret_file))


ME = os.geteuid() if hasattr(os, "geteuid") else 0
WRITABLE = "The file of the client secret can be changed by other users: chmod 600 it."
FOREIGN = "The file of the client secret belongs to another user: give a file of your own."
READABLE = "The file of the client secret can be read by other users: chmod 600 it."


@pytest.mark.skipif(os.name != "posix", reason="POSIX owners and modes")
@pytest.mark.parametrize(
    ("owner", "mode", "status", "told"),
    [
        ("me", 0o600, 0, ""),
        ("me", 0o640, 0, READABLE),
        ("me", 0o604, 0, READABLE),
        ("me", 0o620, 2, WRITABLE),
        ("me", 0o602, 2, WRITABLE),
        ("root", 0o644, 0, ""),  # as Docker and Kubernetes mount secrets
        ("root", 0o440, 0, ""),
        ("root", 0o666, 2, WRITABLE),
        ("another", 0o600, 2, FOREIGN),
        ("another", 0o644, 2, FOREIGN),
    ],
)
def test_a_secret_file_that_others_may_have_written_is_refused(
    owner, mode, status, told, run, domo, secret_file, monkeypatch
):
    real, owners = os.fstat, {"me": 4321, "root": 0, "another": 4322}

    def fstat(number: int) -> os.stat_result:
        info = list(real(number))
        return os.stat_result([stat.S_IFREG | mode, *info[1:4], owners[owner], *info[5:]])

    (link := secret_file.with_name("link")).symlink_to(secret_file)  # Kubernetes mounts files through links
    monkeypatch.setattr(os, "geteuid", lambda: owners["me"])
    monkeypatch.setattr(os, "fstat", fstat)
    ended = run(["token", "--no-store", "--client-secret-file", link])
    assert (ended.status, ended.err) == (status, f"domo-oauth: {told}\n" if told else "")
    assert len(domo.requests) == (status == 0)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to give a file away")
def test_a_real_file_of_another_user_is_refused(run, domo, secret_file):
    os.chown(secret_file, 4321, -1)
    assert run(["token", "--client-secret-file", secret_file]).err == f"domo-oauth: {FOREIGN}\n"


@pytest.mark.parametrize("where", ["file", "pipe", "stdin"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b" s3cret \n", None),
        (b"s3cret" + b" " * 70_000 + b"y", None),  # no more is read than a secret can have
        (b"\xff\xfe", "The client secret cannot be read from its file: it is not a text file."),
        (b"", "The client secret is empty: pass the one that Domo's developer portal shows"),
    ],
)
def test_the_secret_is_what_the_file_holds(where, content, told, run, domo, secret_file, monkeypatch):
    if where == "pipe":
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        os.write(writing, content[:60_000])
        os.close(writing)
        os.fchmod(reading, 0o644)  # others cannot open it, whatever its mode
        path = f"/dev/fd/{reading}"
    else:
        secret_file.write_bytes(content)
        path = "-" if where == "stdin" else str(secret_file)
    with secret_file.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        ended = run(["token", "--client-secret-file", path])
    if where == "pipe":
        os.close(reading)
    if told is None:
        assert (ended.status, ended.err, asked(domo)) == (0, "", ["canary-client:s3cret"])
    else:
        assert ended.status == 2
        assert ended.err.startswith(f"domo-oauth: {told}")


def test_closed_standard_input_holds_no_secret(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    ended = run("token --client-id id --client-secret-file -")
    assert (ended.status, ended.err) == (
        2,
        "domo-oauth: The client secret cannot be read: standard input is closed.\n",
    )
    assert run("token --client-id id").err == f"domo-oauth: {NO_SECRET}\n"


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
        self.forgets = False

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    def get_password(self, service: str, username: str) -> str | None:
        self._fail()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.error is not None:
            raise RuntimeError(f"cannot keep {password}")
        if not self.forgets:
            self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def keyring(domo, monkeypatch) -> Memory:
    """An empty keyring, and no credentials in the environment."""
    memory = Memory()
    monkeypatch.setattr("keyring.core._keyring_backend", memory)
    for name in ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    assert keyring_library.get_keyring() is memory
    return memory


def test_login_asks_checks_and_keeps_and_logout_removes(keyring, domo, run, monkeypatch):
    prompts = []
    monkeypatch.setattr(sys, "stdin", Person("canary-id \n"))
    monkeypatch.setattr(getpass, "getpass", lambda prompt: (prompts.append(prompt), " canary-secret ")[1])
    ended = run("login")
    assert (ended.status, ended.out, prompts) == (0, "", ["Client secret: "])
    assert ended.err == (
        "Client id: domo-oauth: Domo grants tokens for acme: data user.\n"
        f"domo-oauth: The client can… is kept for {domo.url} in the keyring (a test's keyring).\n"
    )
    assert asked(domo) == ["canary-id:canary-secret"]
    kept = '{"client_id": "canary-id", "client_secret": "canary-secret"}'
    assert keyring.kept == {("domo-oauth", domo.url): kept}
    assert json.loads(run("whoami --json").out)["credentials_from"] == "the keyring"
    other = "--base-url http://127.0.0.1:9"
    assert run(f"logout {other}").err == "domo-oauth: There was no client for http://127.0.0.1:9 in the keyring.\n"
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


def test_login_shows_the_terminal_nothing_that_it_would_obey(keyring, domo, run, secret_file):
    domo.answer = granted(customer="\x1b[2Jme", scope="\x07")
    ended = run(f"login --client-id id --client-secret-file {secret_file}")
    assert "Domo grants tokens for [2Jme:" in ended.err
    assert ended.err.replace("\n", "").isprintable()


def test_a_person_who_ends_the_input_gives_no_secret(domo, run, monkeypatch):
    def end(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(sys, "stdin", Person())
    monkeypatch.setattr(getpass, "getpass", end)
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    assert run("token") == (2, "", "domo-oauth: No client secret was given.\n")


ALTERNATIVES = (
    "set DOMO_CLIENT_ID, and DOMO_CLIENT_SECRET or DOMO_CLIENT_SECRET_FILE; or pass --client-id ID "
    "--client-secret-file FILE"
)


@pytest.mark.parametrize("command", ["login", "logout"])
@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (
            lambda patch: patch.setitem(sys.modules, "keyring", None),
            f"No keyring: pip install 'domo-oauth[cli]'; or {ALTERNATIVES}.",
        ),
        (
            lambda patch: patch.setattr("keyring.core._keyring_backend", None),
            f"There is no keyring on this system. Instead, {ALTERNATIVES}.",
        ),
        (
            lambda patch: (
                patch.setattr("keyring.core._keyring_backend", None),
                patch.setenv("PYTHON_KEYRING_BACKEND", "nonsense.Keyring"),
            ),
            (
                "The system's keyring cannot be used (ModuleNotFoundError: No module named 'nonsense'): unlock it; or "
                f"{ALTERNATIVES}."
            ),
        ),
    ],
)
def test_without_a_keyring_login_explains_the_alternatives(command, prepare, told, keyring, run, monkeypatch):
    prepare(monkeypatch)
    assert run(command) == (2, "", f"domo-oauth: {told}\n")
    if "nonsense" not in told:
        assert run("token").err == f"domo-oauth: {NONE}\n"  # no keyring is as good as an empty one


@pytest.mark.parametrize(
    ("command", "error", "told"),
    [
        ("token", KeyringLocked("by a test: "), "KeyringLocked: by a test"),
        ("logout", RuntimeError("locked."), "RuntimeError: locked"),
        ("whoami", OSError(), "OSError"),
        ("login --client-id id --client-secret-file FILE --no-check", OSError(), "RuntimeError"),  # which quotes it
    ],
)
def test_a_keyring_that_cannot_be_used_is_explained_without_the_secret(command, error, told, keyring, run, secret_file):
    keyring.error = error
    status, out, err = run(command.replace("FILE", str(secret_file)))
    assert (status, out) == (1 if "login" in command else 2, "")
    assert err == f"domo-oauth: The system's keyring cannot be used ({told}): unlock it; or {ALTERNATIVES}.\n"


def test_a_keyring_that_keeps_nothing_is_told(keyring, run, secret_file):
    keyring.forgets = True
    ended = run(f"login --client-id id --client-secret-file {secret_file} --no-check")
    told = f"The keyring (a test's keyring) does not keep what it is given. Instead, {ALTERNATIVES}."
    assert ended == (1, "", f"domo-oauth: {told}\n")


def test_a_keyring_that_went_away_is_none(keyring, run):
    keyring.error = NoKeyringError()
    assert run("token").err == f"domo-oauth: {NONE}\n"


@pytest.mark.parametrize(
    "entry", ["", "nonsense", "[]", "7", "{}", '{"client_id": "id"}', '{"client_id": "id", "client_secret": 7}']
)
def test_a_broken_entry_of_the_keyring(entry, keyring, domo, run):
    keyring.kept["domo-oauth", domo.url] = entry
    told = f"The keyring's entry 'domo-oauth' for {domo.url} is broken: run domo-oauth login again."
    assert run("token") == (2, "", f"domo-oauth: {told}\n")


def test_the_base_url_is_an_option_or_a_variable(run, wire, domo, monkeypatch):
    other = wire(domo.answer)
    assert run(f"whoami --no-store --base-url {other.url}/").out.endswith(f"base url         {other.url}\n")
    assert run("token", DOMO_API_URL="http://example.test").err.startswith(
        "domo-oauth: DOMO_API_URL is http://example.test, which would send the client secret unencrypted"
    )
    assert (len(other.requests), len(domo.requests)) == (1, 0)


def test_the_home_folder_may_be_unknown(run, domo, monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME", "DOMO_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", lambda path: (_ for _ in ()).throw(RuntimeError))
    ended = run("token")
    assert ended.status == 0
    told = "Your home folder is unknown. Set HOME, or name a folder in DOMO_STORE."
    assert ended.err == f"domo-oauth: Going on without a store: {told}\n"
