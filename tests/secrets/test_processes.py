"""The command, the sandbox and pytest as processes: what they print and write, and what others see of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from domo_oauth.sandbox import Client, running
from tests.adapters.server import Server, accepts
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, Evidence
from tests.secrets.conftest import ANSWERS, grants, refuses
from tests.secrets.show import basic

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here: run it on Linux"),
]

PATIENCE = 120.0
KEY = "kW3-yT7rQe9~Zu2mXo6vBn"
CREDENTIALS = {"DOMO_CLIENT_ID": CLIENT_ID, "DOMO_CLIENT_SECRET": CLIENT_SECRET}
SHOW_ENVIRONMENT = """
import json, os, sys
print(json.dumps(dict(os.environ), ensure_ascii=False))
print(sys.orig_argv, file=sys.stderr)
"""
WITH_FILE = ("command line with --client-id", "environment without")
OUTPUT = {"token": "output of token", "exec": "environment of exec's command"}
# Without the pauses between retries, which are a random part of a few seconds.
COMMAND = "import random, sys; random.random = lambda: 0.0; from domo_oauth.cli import main; sys.exit(main())"


def look(evidence: Evidence, pid: int, places: tuple[str, str]) -> None:
    """Keep what ``ps`` shows to everybody of a process and its children, and their environments."""
    for each in (pid, *descendants(pid)):
        command_line, environment = places if each == pid else ("process list", "environment of a child")
        evidence.add(command_line, Path(f"/proc/{each}/cmdline").read_bytes())
        evidence.add(environment, Path(f"/proc/{each}/environ").read_bytes())


def descendants(pid: int) -> Iterator[int]:
    """The ids of the children of a process, and of theirs."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            yield child
            yield from descendants(child)


class Runner:
    """Runs the command, and looks at its process each time that it asks the server for something.

    It has folders of its own, so that all files that the command leaves can be searched.
    """

    def __init__(self, evidence: Evidence, server: Server, home: Path) -> None:
        self._evidence, self._server = evidence, server
        self._env = environment_of(home) | {"DOMO_API_URL": server.url}

    def __call__(self, *arguments: str, places: tuple[str, str] = ("process list", "environment"), **env: str) -> int:
        command, pipes = (
            [sys.executable, "-c", COMMAND, *arguments],
            dict.fromkeys(("stdout", "stderr"), subprocess.PIPE),
        )
        with subprocess.Popen(command, env=self._env | env, stdin=subprocess.DEVNULL, text=True, **pipes) as process:
            self._server.on_request = lambda: look(self._evidence, process.pid, places)
            out, err = process.communicate(timeout=PATIENCE)
        succeeded = process.returncode == 0
        self._evidence.add(OUTPUT.get(arguments[0], "output") if succeeded else "output", out)
        self._evidence.add("messages", err)
        return process.returncode


def environment_of(home: Path) -> dict[str, str]:
    names = ("PATH", "LANG", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "PYTHONPATH")
    folders = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(home))
    return {name: os.environ[name] for name in names if name in os.environ} | folders | {"NO_PROXY": "127.0.0.1"}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The only folder that the command writes to."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def secret(tmp_path) -> str:
    (tmp_path / "secret").write_text(CLIENT_SECRET)
    (tmp_path / "secret").chmod(0o600)
    return str(tmp_path / "secret")


@pytest.mark.parametrize("case", ANSWERS)
def test_the_command_leaks_nothing(case, evidence, home, secret):
    client = ["--client-id", CLIENT_ID, "--client-secret-file", secret]
    with Server(ANSWERS[case][0]) as server:
        run = Runner(evidence, server, home)
        good = run("token", "--verbose", **CREDENTIALS) == 0
        if case in {"good", "refused"}:
            run("doctor", "-v", *client, places=WITH_FILE)
        if good:
            run("whoami", "-v", "--no-store", *client, places=WITH_FILE)
            run("exec", "-v", "--no-store", "--", sys.executable, "-c", SHOW_ENVIRONMENT, **CREDENTIALS)
        assert server.requests
    evidence.add_files(home)
    assert evidence.leaks() == []
    assert good == (case == "good")
    assert {(place, "token") in evidence.allowed() for place in OUTPUT.values()} == {good}


KEYRING = """
import os, pathlib
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    priority = 1
    path = pathlib.Path(os.environ["TEST_KEYRING"])

    def get_password(self, service, user):
        return self.path.read_text() if self.path.exists() else None

    def set_password(self, service, user, password):
        self.path.write_text(password)

    def delete_password(self, service, user):
        self.path.unlink()
"""


def test_login_leaves_the_secret_in_the_keyring_only(evidence, home, secret, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "canary_keyring.py").write_text(KEYRING)
    keyring = tmp_path / "keyring"
    env = {"TEST_KEYRING": str(keyring), "PYTHON_KEYRING_BACKEND": "canary_keyring.Keyring"}
    env["PYTHONPATH"] = str(tmp_path / "code")
    with Server(grants) as server:
        run = Runner(evidence, server, home)
        login = ("login", "-v", "--client-id", CLIENT_ID, "--client-secret-file", secret)
        assert run(*login, places=WITH_FILE, **env) == 0
        evidence.add("keyring", keyring.read_bytes())
        assert run("whoami", "--verbose", **env) == 0
        assert run("logout", **env) == 0
    assert not keyring.exists()
    evidence.add_files(home)
    assert evidence.leaks() == []
    assert ("keyring", "client secret") in evidence.allowed()


@pytest.mark.parametrize("case", ANSWERS)
def test_the_proxy_leaks_nothing(case, evidence, home):
    """What it prints, logs and answers, with a good key and without, and what others see of its process."""
    evidence.look_for("key", KEY)
    breaks = ANSWERS["breaks"][1] if case == "breaks" else accepts  # the others repeat the token: SECURITY.md says so
    log = home / "log"
    with Server(ANSWERS[case][0], breaks) as server, log.open("w") as file:
        env = environment_of(home) | CREDENTIALS | {"DOMO_API_URL": server.url, "DOMO_PROXY_KEY": KEY}
        command = [sys.executable, "-X", "dev", "-c", COMMAND, "proxy", "--port", "0", "-v"]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=file, text=True) as process:
            try:
                server.on_request = lambda: look(evidence, process.pid, ("process list", "environment"))
                announced = process.stdout.readline()
                url = announced.removeprefix("export DOMO_PROXY_URL=").strip()
                for path in ("/v1/datasets?q=1", "/metrics", "/healthz", "/oauth/token"):
                    for sent in ({"Authorization": f"Bearer {KEY}"}, {"Authorization": f"Bearer {KEY[:-1]}"}):
                        evidence.add("answer of the proxy", answer_of(Request(url + path, headers=sent)))
            finally:
                process.terminate()
    evidence.add("output", announced)
    evidence.add_files(home)
    assert "domo_oauth_token_requests_total" in evidence.text("answer of the proxy")
    assert "GET /v1/datasets " in log.read_text()
    assert server.requests
    assert evidence.leaks() == []
    assert {request.count(KEY.encode()) for request in server.requests} == {0}


def answer_of(request: Request) -> str:
    try:
        with urlopen(request, timeout=PATIENCE) as answered:
            return f"{answered.headers} {answered.read()}"
    except HTTPError as error:
        return f"{error.headers} {error.read()}"
    except OSError as error:
        return str(error)


def test_the_sandbox_leaks_nothing(evidence, capfd):
    client = Client(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, scopes=("data",))
    with running(clients=[client]) as sandbox:
        request = Request(f"{sandbox.url}/oauth/token?grant_type=client_credentials")
        request.add_header("Authorization", f"Basic {basic(CLIENT_ID, CLIENT_SECRET)}")
        with urlopen(request, timeout=PATIENCE) as answered:
            evidence.look_for("token", json.loads(answered.read())["access_token"])
        evidence.add("names of the sandbox's clients", repr(sandbox), repr(client), sandbox.stats())
        for child in descendants(os.getpid()):  # this process has the credentials in its own environment
            look(evidence, child, ("process list", "environment of a child"))
        assert "domo_oauth.sandbox" in evidence.text("process list")
    for line in "".join(capfd.readouterr()).splitlines():
        evidence.add("names of the sandbox's clients" if line.startswith("Clients and") else "output", line)
    assert "/oauth/token" in evidence.text("output")
    assert evidence.leaks() == []


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl: apt-get install curl")
def test_ctrl_c_leaves_no_file_of_the_recipe_for_curl(evidence, home):
    def interrupt(request: bytes) -> bytes:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE)
        return b""

    with Server(grants, interrupt) as server:
        env = environment_of(home) | CREDENTIALS | {"DOMO_API_URL": server.url}
        process = subprocess.Popen(
            ["sh", Path(__file__).parents[2] / "interop/curl/run.sh"], env=env, process_group=0, stdout=subprocess.PIPE
        )
        output = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode
    assert b"customer acme" in output
    evidence.add("output", output)
    evidence.add_files(home)
    assert list(home.iterdir()) == []
    assert evidence.leaks() == []


TESTS = """
import os
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

def test_token(provider):
    token = provider.get_token()
    assert token == [provider]

def test_fields(provider):
    token = provider.get_token()
    assert vars(provider) == {"token": token.customer}

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


def test_pytest_prints_no_secret_when_tests_fail(evidence, home):
    (home / "test_it.py").write_text(TESTS)
    with Server(grants) as server, Server(refuses) as refusing:
        env = environment_of(home) | CREDENTIALS | {"DOMO_API_URL": server.url, "REFUSES": refusing.url}
        command = [sys.executable, "-m", "pytest", "-vv", "--showlocals", "--log-level=DEBUG", "--junitxml=junit.xml"]
        ended = subprocess.run(command, env=env, capture_output=True, check=False, timeout=PATIENCE)
    assert b"6 failed" in ended.stdout, ended.stdout.decode()
    assert b"customer='acme'" in ended.stdout
    assert ACCESS_TOKEN.encode() in b"".join(server.requests)
    evidence.add("output of pytest", ended.stdout, ended.stderr)
    evidence.add_files(home)
    assert evidence.leaks() == []
