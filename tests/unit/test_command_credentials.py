"""Where the command finds a client id and a secret: options, environment, keyring, terminal; and ``login``."""

from __future__ import annotations

import argparse
import getpass
import io
import os
import sys
from pathlib import Path

import keyring as keyring_library
import pytest
from keyring.backend import KeyringBackend

from domo_oauth import ClientCredentials, ConfigurationError, cli, provider
from domo_oauth.cli import credentials, keyring, login


def test_a_keyring_that_quotes_what_it_was_given_is_not_quoted(monkeypatch):
    import keyring as library
    from keyring.backends import null

    def quote(service, name, password):
        raise library.errors.PasswordSetError(f"cannot keep {password}")

    monkeypatch.setattr(library, "get_keyring", null.Keyring)
    monkeypatch.setattr(library, "set_password", quote)
    with pytest.raises(ConfigurationError, match=r"cannot be used \(PasswordSetError\): unlock it") as caught:
        keyring.save("https://api.domo.com", ClientCredentials("canary-id", "canary-secret"))
    assert "canary" not in str(caught.value)


class Memory(KeyringBackend):
    """A keyring of this process."""

    priority = 1
    name = "the test's own"

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.error: Exception | None = None

    def get_password(self, service, username):
        if self.error is not None:
            raise self.error
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        del self.kept[service, username]


@pytest.fixture
def memory(monkeypatch):
    monkeypatch.setattr("keyring.core._keyring_backend", Memory())
    monkeypatch.setattr("keyring.backend.get_all_keyring", list)
    return keyring_library.get_keyring()


def test_what_is_kept_in_the_keyring_comes_back_until_it_is_removed(memory):
    credentials = ClientCredentials("canary-id", "canary-secret")
    assert keyring.load("https://api.domo.com") is None
    assert keyring.save("https://api.domo.com", credentials) == "the test's own"
    assert memory.kept == {
        ("domo-oauth", "https://api.domo.com"): '{"client_id": "canary-id", "client_secret": "canary-secret"}'
    }
    assert keyring.load("https://api.domo.com") == credentials
    assert keyring.load("https://api.example.test") is None
    assert not keyring.remove("https://api.example.test")
    assert keyring.remove("https://api.domo.com")
    assert memory.kept == {}
    assert keyring.backend() == "the test's own"


@pytest.mark.parametrize(
    "entry", ["", "nonsense", "[]", "7", "{}", '{"client_id": "id"}', '{"client_id": "id", "client_secret": 7}']
)
def test_an_entry_that_is_broken(entry, memory):
    memory.kept["domo-oauth", "https://api.domo.com"] = entry
    with pytest.raises(ConfigurationError) as caught:
        keyring.load("https://api.domo.com")
    assert str(caught.value) == (
        "The keyring's entry 'domo-oauth' for https://api.domo.com is broken: run domo-oauth login once more."
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("locked."), "RuntimeError: locked"),
        (OSError(), "OSError"),
        (keyring_library.errors.KeyringLocked("by a test: "), "KeyringLocked: by a test"),
    ],
)
@pytest.mark.parametrize("use", [keyring.load, keyring.remove])
def test_a_keyring_that_cannot_be_used(use, error, told, memory):
    memory.error = error
    with pytest.raises(ConfigurationError) as caught:
        use("https://api.domo.com")
    assert str(caught.value) == (
        f"The system's keyring cannot be used ({told}): unlock it, or use DOMO_CLIENT_ID and DOMO_CLIENT_SECRET, or "
        "--client-id with --client-secret-file, instead."
    )


def test_no_keyring_to_look_into_is_no_entry(memory):
    memory.error = keyring_library.errors.NoKeyringError()
    assert keyring.load("https://api.domo.com") is None


def test_login_and_logout_of_another_server(memory, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DOMO_API_URL", "https://api.elsewhere.test")
    secret = tmp_path / "secret"
    secret.write_text("canary-secret\n")
    secret.chmod(0o600)
    client = ["--client-id", "canary-id", "--client-secret-file", str(secret)]
    other = ["--base-url", "https://api.example.test/"]
    assert cli.main(["login", *client, *other, "--no-check"]) == 0
    assert list(memory.kept) == [("domo-oauth", "https://api.example.test")]
    told = "domo-oauth: The client can… is kept for https://api.example.test in the keyring (the test's own).\n"
    assert capsys.readouterr().err == told
    assert cli.main(["logout"]) == 0
    assert capsys.readouterr().err == "domo-oauth: There was no client for https://api.elsewhere.test in the keyring.\n"
    assert cli.main(["logout", *other]) == 0
    assert capsys.readouterr().err == "domo-oauth: Removed the client for https://api.example.test.\n"
    assert memory.kept == {}


def args(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**{"client_id": None, "client_secret_file": None} | given)


@pytest.fixture
def secret_file(tmp_path) -> Path:
    path = tmp_path / "secret"
    path.write_text(" canary-secret\n")
    path.chmod(0o600)
    return path


def test_credentials_are_of_the_options_or_the_environment_or_the_keyring(memory, secret_file, monkeypatch, capsys):
    base_url = "https://api.domo.com"
    with pytest.raises(
        ConfigurationError, match=r"^No client id and secret: set DOMO_CLIENT_ID and DOMO_CLIENT_SECRET"
    ):
        credentials.find(args(), base_url)
    keyring.save(base_url, ClientCredentials("kept-id", "kept-secret"))
    found = credentials.find(args(), base_url)
    assert found == credentials.Found(ClientCredentials("kept-id", "kept-secret"), "the keyring")

    for name, others in (("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET"), ("DOMO_CLIENT_SECRET", "DOMO_CLIENT_ID")):
        monkeypatch.setenv(name, "canary")
        monkeypatch.setenv(others, " ")
        with pytest.raises(ConfigurationError, match=f"only {name} is set: set both"):
            credentials.find(args(), base_url)
    monkeypatch.setenv("DOMO_CLIENT_ID", " env-id ")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "env-secret")
    found = credentials.find(args(), base_url)
    assert found == credentials.Found(ClientCredentials("env-id", "env-secret"), "the environment")

    given = args(client_secret_file=str(secret_file))
    found = credentials.find(given, base_url)
    assert found == credentials.Found(ClientCredentials("env-id", "canary-secret"), f"the file {secret_file}")
    given = args(client_id="given-id", client_secret_file=str(secret_file))
    assert credentials.find(given, base_url).credentials == ClientCredentials("given-id", "canary-secret")
    monkeypatch.setenv("DOMO_CLIENT_ID", " ")
    with pytest.raises(ConfigurationError, match=r"^--client-secret-file wants a client id: pass --client-id, or set"):
        credentials.find(args(client_secret_file=str(secret_file)), base_url)
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o620, False), (0o640, True), (0o604, True)])
def test_a_secret_that_others_can_read_costs_a_warning(mode, told, secret_file, capsys):
    secret_file.chmod(mode)
    assert credentials.read_secret(str(secret_file)) == ("canary-secret", f"the file {secret_file}")
    warning = f"domo-oauth: {secret_file} can be read by other users: chmod 600 it.\n"
    assert capsys.readouterr().err == (warning if told else "")


def test_a_pipe_has_no_permissions_to_warn_of(capsys):
    if not Path("/dev/fd").exists():
        pytest.skip("this system has no /dev/fd")
    reading, writing = os.pipe()
    os.write(writing, b"canary-secret\n")
    os.close(writing)
    os.fchmod(reading, 0o644)
    assert credentials.read_secret(f"/dev/fd/{reading}")[0] == "canary-secret"
    os.close(reading)
    assert capsys.readouterr().err == ""


def test_no_more_is_read_than_a_secret_can_have(secret_file, monkeypatch):
    secret_file.write_text("x" * 65536 + "y")
    assert credentials.read_secret(str(secret_file))[0] == "x" * 65536
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x" * 65536 + b"y")))
    assert credentials.read_secret("-") == ("x" * 65536, "standard input")


@pytest.mark.parametrize("where", ["standard input", "file"])
def test_a_secret_that_is_no_text(where, secret_file, monkeypatch):
    secret_file.write_bytes(b"\xff")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    path = "-" if where == "standard input" else str(secret_file)
    told = f"What {where if path == '-' else secret_file} holds is no client secret, as it is not text."
    with pytest.raises(ConfigurationError) as caught:
        credentials.read_secret(path)
    assert str(caught.value) == told


def test_a_secret_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError) as caught:
        credentials.read_secret(str(tmp_path / "nowhere"))
    assert str(caught.value) == (
        f"The client secret cannot be read from {tmp_path}/nowhere: No such file or directory."
    )
    for closed, read, told in (
        (None, "-", "The client secret cannot be read: standard input is closed."),
        (None, None, "The client secret cannot be asked for without a terminal: use --client-secret-file."),
        (io.StringIO(), None, "The client secret cannot be asked for without a terminal: use --client-secret-file."),
    ):
        monkeypatch.setattr(sys, "stdin", closed)
        with pytest.raises(ConfigurationError) as caught:
            credentials.read_secret(read)
        assert str(caught.value) == told


def test_a_person_is_asked_at_a_terminal(monkeypatch):
    class Person(io.StringIO):
        def isatty(self):
            return True

    asked = []
    monkeypatch.setattr(sys, "stdin", Person("canary-id \n"))
    monkeypatch.setattr(getpass, "getpass", lambda prompt: (asked.append(prompt), " canary-secret ")[1])
    assert login._ask_for_id() == "canary-id"
    assert credentials.read_secret(None) == ("canary-secret", "the terminal")
    assert asked == ["Client secret: "]
    monkeypatch.setattr(getpass, "getpass", lambda _: (_ for _ in ()).throw(EOFError))
    with pytest.raises(ConfigurationError, match=r"^No client secret was given\.$"):
        credentials.read_secret(None)


def test_login_tells_for_whom_domo_grants_tokens(memory, tmp_path, capsys, domo_sandbox):
    secret = tmp_path / "secret"
    secret.write_text(domo_sandbox.client_secret)
    secret.chmod(0o600)
    client = ["--client-id", domo_sandbox.client_id, "--client-secret-file", str(secret)]
    for more, logged in (([], False), (["--verbose"], True)):
        provider.forget_tokens()
        assert cli.main(["login", *client, *more]) == 0
        said = capsys.readouterr().err
        assert "domo-oauth: Domo grants tokens for sandbox: audit dashboard data user.\n" in said
        assert ("Fetched a token" in said) is logged
    assert keyring.load(domo_sandbox.url) == ClientCredentials(domo_sandbox.client_id, domo_sandbox.client_secret)


def test_without_keyring_there_is_no_entry(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert keyring.load("https://api.domo.com") is None
