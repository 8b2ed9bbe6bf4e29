"""The command, the sandbox and pytest as processes: what they print and write, and what others see of them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from domo_oauth.sandbox import Client, running
from tests.adapters.server import Server
from tests.secrets.answers import ANSWERS, grants, is_broken, refuses
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, Evidence
from tests.secrets.processes import COMMAND, PATIENCE, Watcher, bare_environment, descendants, look, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here: run it on Linux"),
]

CREDENTIALS = {"DOMO_CLIENT_ID": CLIENT_ID, "DOMO_CLIENT_SECRET": CLIENT_SECRET}
PAIR = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
SHOW_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ), ensure_ascii=False))"
WITH_FILE = ("command line with --client-id", "environment without")

COMMANDS: dict[str, list[str]] = {
    "token": ["token", "--verbose"],
    "exec": ["exec", "--verbose", "--", sys.executable, "-c", SHOW_ENVIRONMENT],
    "whoami": ["whoami", "--verbose", "--json"],
    "doctor": ["doctor", "--verbose"],
    "record": ["record", "--out", "recordings"],
    "forget": ["forget", "--verbose"],
}
OUTPUT = {"token": "output of token", "exec": "environment of exec's command"}
CASES = [(name, case) for name in COMMANDS for case in ANSWERS if case in {"good", "refused"} or name == "token"]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The only folder that the command writes to."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def secret(tmp_path) -> Path:
    (tmp_path / "secret").write_text(CLIENT_SECRET)
    (tmp_path / "secret").chmod(0o600)
    return tmp_path / "secret"


@pytest.mark.parametrize(("name", "case"), CASES)
def test_the_command(name, case, evidence, home):
    watch = Watcher(evidence)
    with Server(ANSWERS[case][0]) as server:
        server.on_request = watch
        env = bare_environment(home) | CREDENTIALS | {"DOMO_API_URL": server.url}
        status, out, err = run(*COMMANDS[name], env=env, on_start=watch.start)
        assert server.requests or name == "forget", err
    good = name == "forget" or (case == "good" and name != "record")  # these answers break the contract
    assert (status == 0) == good, (out, err)
    evidence.add(OUTPUT.get(name, "output") if status == 0 else "output", out)
    evidence.add("messages", err)
    evidence.add_files(home)
    assert evidence.leaks() == []
    if case == "good" and name in OUTPUT:
        assert (OUTPUT[name], "token") in evidence.allowed()


@pytest.mark.parametrize("case", ["good", "refused"])
def test_the_command_with_a_secret_in_a_file(case, evidence, home, secret):
    watch = Watcher(evidence, WITH_FILE)
    with Server(ANSWERS[case][0]) as server:
        server.on_request = watch
        env = bare_environment(home) | {"DOMO_API_URL": server.url}
        client = ["--client-id", CLIENT_ID, "--client-secret-file", secret]
        for command in (["whoami", *client], ["doctor", *client], ["exec", *client, "--", "sh", "-c", "true"]):
            evidence.add("output", *run(*command, env=env, on_start=watch.start))
    evidence.add_files(home)
    assert evidence.leaks() == []
    assert evidence.allowed() == {("command line with --client-id", "client id")}


KEYRING = """
import json, os, pathlib
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    priority = 1
    path = pathlib.Path(os.environ["TEST_KEYRING"])

    def _all(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def get_password(self, service, user):
        return self._all().get(f"{service} {user}")

    def set_password(self, service, user, password):
        self.path.write_text(json.dumps(self._all() | {f"{service} {user}": password}))

    def delete_password(self, service, user):
        self.path.write_text(json.dumps({k: v for k, v in self._all().items() if k != f"{service} {user}"}))
"""


@pytest.mark.parametrize("case", ["good", "refused"])
def test_login_and_the_keyring(case, evidence, home, secret, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "canary_keyring.py").write_text(KEYRING)
    keyring = tmp_path / "keyring.json"
    env = bare_environment(home) | {"PYTHONPATH": str(tmp_path / "code"), "TEST_KEYRING": str(keyring)}
    env["PYTHON_KEYRING_BACKEND"] = "canary_keyring.Keyring"
    watch = Watcher(evidence, WITH_FILE)
    with Server(ANSWERS[case][0]) as server:
        server.on_request = watch
        env["DOMO_API_URL"] = server.url
        login = ["login", "--verbose", "--client-id", CLIENT_ID, "--client-secret-file", secret]
        for command in (login, ["whoami", "--verbose"], ["doctor"], ["logout"]):
            evidence.add("output", *run(*command, env=env, on_start=watch.start))
            evidence.add("keyring", keyring.read_bytes() if keyring.exists() else b"")
        evidence.add("output", keyring.read_bytes() if keyring.exists() else b"")  # after logout
    evidence.add_files(home)
    assert evidence.leaks() == []
    assert (("keyring", "client secret") in evidence.allowed()) == (case == "good")


def har_of(request: bytes, answered: bytes) -> str:
    """What a browser saves with sensitive data."""

    def pairs(lines: list[str]) -> list[dict[str, str]]:
        return [dict(zip(("name", "value"), line.split(": ", 1), strict=True)) for line in lines if line]

    head, _, body = answered.decode().partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    url = f"https://api.domo.com/oauth/token?grant_type=client_credentials&client_secret={CLIENT_SECRET}"
    asked = {"method": "GET", "url": url, "headers": pairs(request.decode().split("\r\n")[1:])}
    content = {"text": body, "size": len(body)}
    given = {"status": int(status.split()[1]), "headers": pairs(fields), "content": content}
    return json.dumps({"log": {"version": "1.2", "entries": [{"request": asked, "response": given}]}})


@pytest.mark.parametrize("grant", [grants, refuses, is_broken])
def test_verify_says_nothing_of_what_a_capture_holds(grant, evidence, home, tmp_path):
    request = f"GET /oauth/token HTTP/1.1\r\nHost: api.domo.com\r\nAuthorization: Basic {PAIR}\r\n\r\n".encode()
    capture = tmp_path / "capture.har"
    capture.write_text(har_of(request, grant(request)))
    status, out, err = run("verify", "--strict", capture, env=bare_environment(home))
    assert "1 exchange checked" in out, err
    assert (status == 0) == (grant is refuses)
    evidence.add("output", out, err)
    evidence.add_files(home)
    assert evidence.leaks() == []


# The sandbox.

CLIENTS = "".join(
    f'[[clients]]\nclient_id = "{client}"\nclient_secret = "{secret}"\nscopes = ["data"]\n'
    for client, secret in (("public", "public"), (CLIENT_ID, CLIENT_SECRET))
)


def ask(url: str, pair: str = PAIR, path: str = "/oauth/token?grant_type=client_credentials") -> str | None:
    try:
        with urlopen(Request(url + path, headers={"Authorization": f"Basic {pair}"}), timeout=PATIENCE) as answered:
            return json.loads(answered.read()).get("access_token")
    except HTTPError as error:
        error.close()
        return None


def keep_log(evidence: Evidence, log: str) -> None:
    for line in log.splitlines():
        evidence.add("names of the sandbox's clients" if line.startswith("Clients and") else "output", line)
    assert "/oauth/token" in evidence.text("output")


def test_the_sandbox(evidence, home, tmp_path):
    (tmp_path / "clients.toml").write_text(CLIENTS)
    command = [sys.executable, "-c", COMMAND, "sandbox", "--port", "0", "--clients", str(tmp_path / "clients.toml")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=bare_environment(home), **pipes) as process:
        first = process.stdout.readline()
        evidence.add("output", first)
        url = next(word for word in first.split() if word.startswith("DOMO_API_URL=")).partition("=")[2].strip("'\"")
        evidence.look_for("token", ask(url))
        assert ask(url, PAIR[::-1]) is None
        for path in ("/oauth/token?grant_type=no_such", "/no-such-page"):
            ask(url, path=path)
        look(evidence, process.pid, ("process list", "environment without"))
        process.terminate()
        keep_log(evidence, "".join(process.communicate(timeout=PATIENCE)))
    evidence.add_files(home)
    assert evidence.leaks() == []


def test_a_sandbox_of_python(evidence, capfd):
    """Also its environment: this process has the credentials in its own."""
    client = Client(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, scopes=("data",))
    with running(clients=[client]) as sandbox:
        evidence.look_for("token", ask(sandbox.url))
        evidence.add("names of the sandbox's clients", repr(sandbox), repr(client), sandbox.stats())
        for child in descendants(os.getpid()):
            look(evidence, child, ("process list", "environment of a child"))
        assert "domo_oauth.sandbox" in evidence.text("process list")
    keep_log(evidence, "".join(capfd.readouterr()))
    assert evidence.leaks() == []


# pytest.

TESTS = """
import os
import attrs
import httpx
import pytest
from domo_oauth import ClientCredentials, DomoAuth, FileStore, TokenProvider, request_token

@pytest.fixture
def provider():
    with TokenProvider.from_env(store=FileStore("store")) as provider:
        yield provider

def test_credentials():
    credentials = ClientCredentials.from_env()
    assert credentials == ClientCredentials("x", "y")

def test_provider(provider):
    token = provider.get_token()
    assert provider is None

def test_token(provider):
    token = provider.get_token()
    assert token == [token]

def test_tokens(provider):
    token = provider.get_token()
    assert token == attrs.evolve(token, access_token="x")

def test_fields(provider):
    token = provider.get_token()
    assert vars(provider) == {"token": token.customer}

def test_auth(provider):
    auth = DomoAuth(provider)
    provider.get_token()
    assert vars(auth) == {}

def test_refused():
    credentials = ClientCredentials.from_env()
    request_token(credentials, base_url=os.environ["REFUSES"])

def test_call(provider):
    with httpx.Client(auth=DomoAuth(provider)) as client:
        assert client.get(os.environ["DOMO_API_URL"] + "/x").json() == provider

def test_sandbox(domo_sandbox):
    token = request_token(ClientCredentials.from_env())
    assert domo_sandbox == token
"""


def test_what_pytest_prints_of_failed_tests(evidence, home):
    (home / "test_it.py").write_text(TESTS)
    with Server(grants) as server, Server(refuses) as refusing:
        env = bare_environment(home) | CREDENTIALS | {"DOMO_API_URL": server.url, "REFUSES": refusing.url}
        command = [sys.executable, "-m", "pytest", "-vv", "--showlocals", "--log-level=DEBUG", "--junitxml=junit.xml"]
        ended = subprocess.run(command, env=env, capture_output=True, check=False, timeout=PATIENCE * 2)
    assert b"9 failed" in ended.stdout, ended.stdout.decode()
    assert b"customer='acme'" in ended.stdout
    assert ACCESS_TOKEN.encode() in b"".join(server.requests)
    evidence.add("output of pytest", ended.stdout, ended.stderr)
    evidence.add_files(home)
    assert evidence.leaks() == []
