"""The command as a person uses it: at a terminal, with a keyring, with a shell that completes."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import termios
from functools import cache
from pathlib import Path

import pytest

_PATIENCE = 60.0
"""Seconds, far more than anything takes, after which a test fails that would wait for ever."""
COMMAND = str(Path(sys.executable).with_name("domo-oauth"))
# A process of its own session, with the terminal as its own, as a shell would start it.
START = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""

KEYRING = '''
import json, os, pathlib
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, NoKeyringError


class Keyring(KeyringBackend):
    """In a file, for tests."""

    priority = 1
    name = "a test's keyring"
    path = pathlib.Path(os.environ["TEST_KEYRING"])

    def _all(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def get_password(self, service, user):
        self.fail("get")
        return self._all().get(f"{service} {user}")

    def set_password(self, service, user, password):
        self.fail("set")
        self.path.write_text(json.dumps(self._all() | {f"{service} {user}": password}))

    def delete_password(self, service, user):
        self.fail("delete")
        self.path.write_text(json.dumps({k: v for k, v in self._all().items() if k != f"{service} {user}"}))

    def fail(self, what):
        if os.environ.get("TEST_KEYRING_FAILS") == what:
            raise KeyringLocked("the test locked it")
        if os.environ.get("TEST_KEYRING_FAILS") == "gone":
            raise NoKeyringError("gone")
'''


class Terminal:
    """A process at a terminal of its own, and what it shows there."""

    def __init__(self, *command: str, env: dict[str, str] | None = None, stdout: int | None = None) -> None:
        self._master, self.slave = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, *command],
            env=os.environ | {"TERM": "xterm"} | (env or {}),
            stdin=self.slave,
            stdout=self.slave if stdout is None else stdout,
            stderr=self.slave,
        )
        self.shown = ""

    def until(self, text: str) -> None:
        """Read until it shows this."""
        while text not in self.shown:
            assert select.select([self._master], [], [], _PATIENCE)[0], f"{text!r} is not in {self.shown!r}"
            self.shown += os.read(self._master, 1024).decode()

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def end(self) -> int:
        """Wait for its end, and read the rest."""
        status = self.process.wait(_PATIENCE)
        os.set_blocking(self._master, False)
        try:
            while more := os.read(self._master, 65536):
                self.shown += more.decode()
        except OSError:
            pass  # no more
        return status

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self.slave)


@pytest.fixture
def terminal():
    opened: list[Terminal] = []

    def start(*command: str, **more) -> Terminal:
        opened.append(Terminal(*command, **more))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture
def keyring(tmp_path, monkeypatch) -> Path:
    """A keyring in a file that a test can read, for all processes that it starts."""
    (tmp_path / "test_keyring_backend.py").write_text(KEYRING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "test_keyring_backend.Keyring")
    monkeypatch.setenv("TEST_KEYRING", str(tmp_path / "keyring.json"))
    return tmp_path / "keyring.json"


@pytest.fixture
def no_environment(domo_sandbox, monkeypatch):
    monkeypatch.delenv("DOMO_CLIENT_ID")
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    return domo_sandbox


def run(*arguments: str | Path, env: dict[str, str] | None = None, **more) -> subprocess.CompletedProcess[str]:
    more = {"stdin": subprocess.DEVNULL} | more
    command = [COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=os.environ | (env or {}), capture_output=True, text=True, check=False, **more)


def test_the_secret_is_asked_for_without_echo(no_environment, terminal, tmp_path):
    with (tmp_path / "out").open("wb") as out:
        asked = terminal(COMMAND, "token", "--client-id", no_environment.client_id, stdout=out.fileno())
        asked.until("Client secret: ")
        assert not asked.echoes()
        asked.type(f"{no_environment.client_secret}\n")
        assert asked.end() == 0
    assert asked.shown.strip() == "Client secret:"
    assert asked.echoes()
    assert (tmp_path / "out").read_text().count(".") == 2


@pytest.mark.parametrize(("key", "status", "told"), [("\x03", 130, ""), ("\x04", 2, "No client secret was given.")])
def test_control_c_and_control_d_at_the_prompt(key, status, told, no_environment, terminal):
    asked = terminal(COMMAND, "token", "--client-id", "id")
    asked.until("Client secret: ")
    asked.type(key)
    assert asked.end() == status
    assert asked.echoes()
    assert told in asked.shown
    assert "Traceback" not in asked.shown


def test_login_at_a_terminal_and_logout(no_environment, terminal, keyring):
    asked = terminal(COMMAND, "login")
    asked.until("Client id: ")
    asked.type(f"{no_environment.client_id}\n")
    asked.until("Client secret: ")
    asked.type(f"{no_environment.client_secret}\n")
    assert asked.end() == 0
    assert "Domo grants tokens for sandbox: audit dashboard data user." in asked.shown
    assert f"is kept for {no_environment.url} in the keyring (a test's keyring)." in asked.shown
    assert no_environment.client_secret not in asked.shown
    assert no_environment.client_secret in keyring.read_text()

    assert json.loads(run("whoami", "--json").stdout)["credentials_from"] == "the keyring"
    assert run("logout").stderr == f"domo-oauth: Removed the client for {no_environment.url}.\n"
    assert "There was no client" in run("logout").stderr
    assert run("token").returncode == 2


def test_login_of_a_script(no_environment, keyring, tmp_path):
    (tmp_path / "secret").write_text("wrong")
    (tmp_path / "secret").chmod(0o600)
    arguments = ["login", "--client-id", no_environment.client_id, "--client-secret-file", tmp_path / "secret"]
    assert run(*arguments).returncode == 3
    assert not keyring.exists()
    assert run(*arguments, "--no-check").returncode == 0
    assert json.loads(keyring.read_text()) == {
        f"domo-oauth {no_environment.url}": '{"client_id": "demo-client", "client_secret": "wrong"}'
    }
    assert run("token").returncode == 3


def test_login_tells_the_terminal_nothing_that_it_would_obey(wire, keyring, tmp_path):
    granted = {"access_token": "t", "token_type": "bearer", "expires_in": 9, "customer": "\x1b[2Jme", "scope": "\x07"}
    body = json.dumps(granted).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0o600)
    arguments = ["--client-id", "id", "--client-secret-file", tmp_path / "secret"]
    ended = run("login", *arguments, "--base-url", wire(head.encode() + body).url)
    assert ended.returncode == 0
    assert ended.stderr.replace("\n", "").isprintable()
    assert "Domo grants tokens for [2Jme: " in ended.stderr


def test_login_without_a_terminal_says_what_to_pass(no_environment, keyring):
    ended = run("login")
    assert ended.returncode == 2
    assert "use --client-id" in ended.stderr


@pytest.mark.parametrize(
    ("backend", "status", "told"),
    [
        ("keyring.backends.fail.Keyring", 2, "There is no keyring"),
        ("keyring.backends.null.Keyring", 1, "does not keep what"),
    ],
)
def test_login_where_nothing_can_be_kept(backend, status, told, no_environment, tmp_path):
    (tmp_path / "secret").write_text(no_environment.client_secret)
    (tmp_path / "secret").chmod(0o600)
    arguments = ["--client-id", no_environment.client_id, "--client-secret-file", tmp_path / "secret"]
    ended = run("login", *arguments, env={"PYTHON_KEYRING_BACKEND": backend})
    assert ended.returncode == status
    assert no_environment.stats().token_requests == (status == 1)
    assert told in ended.stderr
    assert run("token", env={"PYTHON_KEYRING_BACKEND": backend}).returncode == 2


@pytest.mark.parametrize(("what", "command"), [("get", "token"), ("get", "logout"), ("set", "login")])
def test_a_keyring_that_is_locked(what, command, no_environment, keyring, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0o600)
    more = (
        ["--client-id", "id", "--client-secret-file", tmp_path / "secret", "--no-check"] if command == "login" else []
    )
    ended = run(command, *more, env={"TEST_KEYRING_FAILS": what})
    assert ended.returncode == (1 if command == "login" else 2)
    told = "KeyringLocked" if what == "set" else "KeyringLocked: the test locked it"
    assert f"({told}): unlock it, or use DOMO_CLIENT_ID" in ended.stderr


@pytest.mark.parametrize("command", ["login", "logout", "token"])
def test_a_keyring_that_cannot_be_loaded(command, no_environment):
    ended = run(command, env={"PYTHON_KEYRING_BACKEND": "nonsense.Keyring"})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("domo-oauth: The system's keyring cannot be used (ModuleNotFoundError: No module ")
    assert ended.stderr.count("\n") == 1


def test_a_keyring_that_went_away_is_none(no_environment, keyring):
    ended = run("token", env={"TEST_KEYRING_FAILS": "gone"})
    assert ended.returncode == 2
    assert "No client id and secret" in ended.stderr


def test_an_entry_of_somebody_else(no_environment, keyring):
    keyring.write_text(json.dumps({f"domo-oauth {no_environment.url}": "[]"}))
    ended = run("token")
    assert ended.returncode == 2
    assert "is broken: run domo-oauth login once more" in ended.stderr


def test_colors_are_for_people_who_want_them(domo_sandbox, terminal):
    for more, colored in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        shown = terminal(COMMAND, "doctor", env=more)
        assert shown.end() == 0
        assert ("\x1b[32mok\x1b[0m" in shown.shown) is colored
        assert ("\x1b" in shown.shown) is colored
    assert "\x1b" not in run("doctor", env={"TERM": "xterm"}).stdout


def test_control_c_ends_a_request(wire, terminal, monkeypatch):
    server = wire(b"", then="hang")
    for name, value in {"API_URL": server.url, "CLIENT_ID": "id", "CLIENT_SECRET": "canary-secret"}.items():
        monkeypatch.setenv(f"DOMO_{name}", value)
    asking = terminal(COMMAND, "token", "--no-store", "-v")
    while not server.requests:
        assert asking.process.poll() is None
    asking.type("\x03")
    assert asking.end() == 130
    assert asking.shown.replace("^C", "") == ""


def script(shell: str, tmp_path: Path) -> Path:
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}: apt-get install {shell}")
    path = tmp_path / f"completion.{shell}"
    path.write_text(printed(shell))
    return path


@cache
def printed(shell: str) -> str:
    ended = run("completion", shell)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


LINES = [
    ("domo-oauth log", {"login", "logout"}),
    ("domo-oauth token --form", {"--format"}),
    ("domo-oauth token --format c", {"curl-config"}),
    ("domo-oauth token --scope da", {"dashboard", "data"}),
    ("domo-oauth completion z", {"zsh"}),
    ("domo-oauth forget --al", {"--all"}),
    ("domo-oauth exec -- cur", {"curl"}),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_bash_completes(line, expected, tmp_path):
    path, words = script("bash", tmp_path), line.split()
    ask = f"""
        source {path}
        COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)}
        name=$(complete -p domo-oauth); name=${{name##*-F }}; ${{name%% *}} domo-oauth '{words[-1]}' '{words[-2]}'
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    said = subprocess.run(["bash", "--norc", "-c", ask], capture_output=True, text=True, check=True).stdout
    assert expected <= set(said.split())
    assert all(each.startswith(words[-1]) for each in said.split())


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_fish_completes(line, expected, tmp_path):
    path = script("fish", tmp_path)
    ask = ["fish", "--no-config", "-c", f"source {path}; complete -C '{line}'"]
    said = subprocess.run(ask, env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert expected <= {each.split("\t")[0] for each in said.stdout.splitlines()}


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_zsh_completes(line, expected, terminal, tmp_path):
    path = script("zsh", tmp_path)
    shell = terminal("zsh", "-f", "-i", env={"HOME": str(tmp_path), "TERM": "dumb"})
    shell.type(f"autoload -U compinit && compinit -u -D && eval \"$(cat {path})\"; print rea''dy\n")
    shell.until("ready\r\n")
    shell.shown = ""
    shell.type(f"{line}\t")
    for each in expected:  # a single one is put into the line, several are listed
        shell.until(each)


def test_files_are_completed(tmp_path):
    path = script("bash", tmp_path)
    (tmp_path / "secret-of-mine").touch()
    option = "--client-secret-file"
    line = f"domo-oauth token {option} {tmp_path}/sec"
    ask = f"""
        source {path}
        COMP_WORDS=({line}); COMP_CWORD=3; COMP_LINE='{line}'; COMP_POINT={len(line)}
        name=$(complete -p domo-oauth); name=${{name##*-F }}; ${{name%% *}} domo-oauth {tmp_path}/sec {option}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    said = subprocess.run(["bash", "--norc", "-c", ask], capture_output=True, text=True, check=True).stdout
    assert said.split() == [f"{tmp_path}/secret-of-mine"]
