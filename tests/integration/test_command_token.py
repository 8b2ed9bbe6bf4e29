"""``domo-oauth token``, ``exec``, ``whoami`` and ``forget`` as a script runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domo_oauth import ClientCredentials, Token
from domo_oauth.sandbox import running
from domo_oauth.stores.file import FileStore
from domo_oauth.stores.sealing import Entry, SealedStore

COMMAND = str(Path(sys.executable).with_name("domo-oauth"))


def run(*arguments: str | Path, env: dict[str, str] | None = None, **more) -> subprocess.CompletedProcess[str]:
    more = {"stdin": subprocess.DEVNULL} | more
    command = [COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=os.environ | (env or {}), capture_output=True, text=True, check=False, **more)


@pytest.fixture
def store(tmp_path, monkeypatch) -> FileStore:
    monkeypatch.setenv("DOMO_STORE", str(tmp_path / "store"))
    return FileStore(tmp_path / "store")


@pytest.fixture
def answering(wire, monkeypatch):
    """Start a server that gives one raw answer, which the environment points at."""

    def start(status: str, body: str = "{}", fields: str = "Content-Type: application/json\r\n"):
        head = f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        server = wire((head + body).encode())
        monkeypatch.setenv("DOMO_API_URL", server.url)
        monkeypatch.setenv("DOMO_CLIENT_ID", "canary-client")
        monkeypatch.setenv("DOMO_CLIENT_SECRET", "canary-secret")
        return server

    return start


def leave(store: FileStore, url: str, left: float) -> None:
    """Put a token for an hour into the store that is good for so many seconds more."""
    token = Token("canary-old", expires_in=3600, expires_at=datetime.now(UTC) + timedelta(seconds=left))
    sealed = SealedStore(store, ClientCredentials("canary-client", "canary-secret"), None, url)
    sealed.save(Entry(token, time.time() + left), time.time())


GOOD = '{"access_token": "canary-new", "token_type": "bearer", "expires_in": 3599, "customer": "acme"}'


def test_a_token_and_nothing_else(domo_sandbox):
    first = run("token")
    assert first.stderr == ""
    assert first.returncode == 0
    assert first.stdout.count("\n") == 1
    assert first.stdout.count(".") == 2  # a JWT
    assert run("token").stdout == first.stdout
    assert domo_sandbox.stats().tokens_issued == 1


def test_without_the_store_each_time_another(domo_sandbox, store):
    assert run("token", "--no-store").stdout != run("token", "--no-store").stdout
    assert domo_sandbox.stats().tokens_issued == 2
    assert not store.path.exists()


def test_a_token_for_each_set_of_scopes(domo_sandbox):
    both = run("token", "--scope", "data", "--scope", "user", "--format", "json")
    assert json.loads(both.stdout)["scopes"] == ["data", "user"]
    assert run("token", "--scope", "user,data").stdout == run("token", "--scope", "data user").stdout
    assert domo_sandbox.stats().tokens_issued == 1
    custom = run("token", "--custom-scope", "audit", "--format", "json")
    assert json.loads(custom.stdout)["scopes"] == ["audit"]


def test_an_unknown_scope_is_told_with_the_option_that_takes_it(domo_sandbox):
    ended = run("token", "--scope", "dta")
    assert ended.returncode == 2
    assert "Did you mean 'data'?" in ended.stderr
    assert "pass --custom-scope 'dta'." in ended.stderr
    assert domo_sandbox.stats().token_requests == 0


def test_no_scope_is_told_with_the_option_to_leave_out(domo_sandbox):
    ended = run("token", "--scope", "")
    assert ended.returncode == 2
    assert ended.stderr.endswith("every scope of the client: leave --scope out if that is meant.\n")


def test_formats(domo_sandbox):
    raw = run("token").stdout.strip()
    fields = json.loads(run("token", "--format", "json").stdout)
    assert fields["access_token"] == raw
    assert fields["customer"] == "sandbox"
    assert 3590 <= fields["expires_in"] <= 3599
    assert datetime.fromisoformat(fields["expires_at"]).tzinfo is not None
    assert set(fields) == {
        *("access_token", "token_type", "expires_at", "expires_in", "scopes", "customer", "role", "user_id", "jti")
    }
    assert run("token", "--format", "header").stdout == f"Authorization: Bearer {raw}\n"
    assert run("token", "--format", "env").stdout == f"export DOMO_ACCESS_TOKEN='{raw}'\n"
    assert run("token", "--format", "curl-config").stdout == f'header = "Authorization: Bearer {raw}"\n'


def test_what_has_to_be_quoted_is(answering):
    server = answering("200 OK", GOOD.replace("canary-new", "it's \\\"\\\\$x").replace("it's ", "it's"))
    said = run("token", "--no-store", "--format", "env").stdout
    for shell in filter(shutil.which, ("sh", "bash", "zsh", "fish")):
        script = f"{said}\nsh -c 'printf %s \"$DOMO_ACCESS_TOKEN\"'"  # as a program sees it that the shell starts
        shown = subprocess.run([shell, "-c", script], capture_output=True, check=True)
        assert shown.stdout == b"it's\"\\$x", shell
    if shutil.which("curl"):
        config = run("token", "--no-store", "--format", "curl-config").stdout
        subprocess.run(["curl", "--silent", "-K", "-", server.url], input=config.encode(), check=True)
        assert b"Authorization: Bearer it's\"\\$x\r\n" in server.requests[-1]


def test_a_token_that_would_break_a_line_is_refused(answering):
    answering("200 OK", GOOD.replace("canary-new", "canary\\nnew"))
    ended = run("token", "--no-store", "--format", "header")
    assert (ended.returncode, ended.stdout) == (5, "")
    assert "canary\nnew" not in ended.stderr


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("401 Unauthorized", '{"error": "invalid_client"}', 3),
        ("400 Bad Request", '{"error": "invalid_scope"}', 3),
        ("403 Forbidden", '{"error": "access_denied"}', 3),
        ("429 Too Many Requests", "{}", 4),
        ("503 Service Unavailable", "{}", 4),
        ("200 OK", "<html>sign in</html>", 5),
        ("200 OK", '{"access_token": "t"}', 5),
    ],
)
def test_statuses(status, body, expected, answering):
    # With a Retry-After that is longer than anybody waits, it is asked once.
    answering(status, body, "Content-Type: application/json\r\nRetry-After: 60\r\n")
    ended = run("token")
    assert (ended.returncode, ended.stdout) == (expected, "")
    assert ended.stderr.startswith("domo-oauth: GET http://127.0.0.1:")
    assert ended.stderr.count("\n") == 1
    assert "canary-secret" not in ended.stderr


def test_no_credentials_at_all(domo_sandbox):
    ended = run(
        "token",
        env={"DOMO_CLIENT_ID": "", "DOMO_CLIENT_SECRET": "", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"},
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "domo-oauth login" in ended.stderr


def test_a_stale_token_is_used_once_more_where_no_other_can_be_had(answering, store):
    leave(store, answering("503 Service Unavailable", "{}").url, 100)
    ended = run("token")
    assert (ended.returncode, ended.stdout) == (0, "canary-old\n")
    assert ended.stderr.startswith("domo-oauth: The stored token is used once more")


@pytest.mark.parametrize(
    ("status", "left", "expected"), [("401 Unauthorized", 100, 3), ("503 Service Unavailable", 30, 4)]
)
def test_but_not_where_it_is_refused_or_about_to_expire(status, left, expected, answering, store):
    server = answering(status, "{}", "Content-Type: application/json\r\nRetry-After: 60\r\n")
    leave(store, server.url, left)
    assert run("token").returncode == expected


def test_a_stale_token_is_renewed(answering, store):
    leave(store, answering("200 OK", GOOD).url, 100)
    assert run("token").stdout == "canary-new\n"


def test_min_lifetime(answering, store):
    server = answering("200 OK", GOOD)
    leave(store, server.url, 1000)
    assert run("token", "--min-lifetime", "900").stdout == "canary-old\n"
    assert server.requests == []
    assert run("token", "--min-lifetime", "1100").stdout == "canary-new\n"


def test_a_token_that_is_good_for_less_than_was_asked_for(answering, store):
    server = answering("200 OK", GOOD)
    for each in (1, 2):  # what is stored will not do the next time, either
        ended = run("token", "--min-lifetime", "7200")
        assert (ended.returncode, ended.stdout) == (0, "canary-new\n")
        assert re.fullmatch(
            r"domo-oauth: This token is good for 359[0-9] s, and --min-lifetime asks for 7200: Domo granted it for "
            r"3599 s\. Ask for less, or each call makes a request for a token\.\n",
            ended.stderr,
        )
        assert len(server.requests) == each
    assert run("token", "--no-store", "--min-lifetime", "3000").stderr == ""


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1h"])
def test_a_lifetime_that_is_none(value, domo_sandbox):
    ended = run("token", f"--min-lifetime={value}")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith(f"error: argument --min-lifetime: seconds, such as 600, and not '{value}'\n")
    assert domo_sandbox.stats().token_requests == 0


def test_what_one_command_is_told_the_next_does_not_ask_for(answering, store):
    server = answering("429 Too Many Requests", fields="Retry-After: 60\r\n")
    first, second = run("token"), run("token")
    assert first.returncode == second.returncode != 0
    note, _, rest = second.stderr.partition("\n")
    assert note == "domo-oauth: Domo has just refused another process, so it is not asked again yet:"
    assert rest == first.stderr
    assert len(server.requests) == 1
    run("token", "--no-store")
    assert len(server.requests) == 2
    run("forget")
    run("token")
    assert len(server.requests) == 3


def test_where_another_renews_a_stale_token_will_do(answering, store):
    server = answering("200 OK", GOOD)
    leave(store, server.url, 100)
    sealed = SealedStore(store, ClientCredentials("canary-client", "canary-secret"), None, server.url)
    with sealed.lock():
        assert run("token").stdout == "canary-old\n"
        assert server.requests == []


@pytest.mark.parametrize("verbose", [[], ["--verbose"]])
def test_a_store_that_cannot_be_used_costs_a_warning(verbose, domo_sandbox, tmp_path):
    (tmp_path / "file").write_text("")
    ended = run("token", *verbose, env={"DOMO_STORE": str(tmp_path / "file")})
    assert (ended.returncode, ended.stdout.count("\n")) == (0, 1)
    assert ended.stderr.startswith("domo-oauth: Going on without the store FileStore(")
    assert ended.stderr.count("\n") == (2 if verbose else 1)


def test_a_store_that_cannot_be_written_to_costs_a_warning(domo_sandbox, tmp_path):
    ended = run("token", env={"DOMO_STORE": "/proc/nowhere"})
    assert (ended.returncode, ended.stdout.count("\n")) == (0, 1)
    assert ended.stderr.startswith("domo-oauth: Going on without the store ")
    assert ended.stderr.count("\n") == 1


def test_a_redis_that_is_not_there_costs_a_warning_without_its_password(domo_sandbox, wire):
    server = wire(b"")
    port = server.url.rpartition(":")[2]
    server.close()
    ended = run("token", env={"DOMO_STORE": f"redis://user:canary-password@127.0.0.1:{port}/0"})
    assert (ended.returncode, ended.stdout.count("\n")) == (0, 1)
    assert ended.stderr.startswith("domo-oauth: Going on without the store RedisStore('127.0.0.1:")
    assert "canary" not in ended.stderr


@pytest.mark.parametrize("scheme", ["http", "mongodb+srv", "Redis-Sentinel"])
def test_a_store_of_an_unknown_kind_is_no_folder(scheme, domo_sandbox, tmp_path):
    place = {"DOMO_STORE": f"{scheme}://user:canary-password@127.0.0.1:1/0"}
    ended = run("token", env=place, cwd=tmp_path)
    assert (ended.returncode, ended.stdout.count("\n")) == (0, 1)
    assert ended.stderr.startswith("domo-oauth: Going on without the store: DOMO_STORE is the URL of something that ")
    forgotten = run("forget", "--all", env=place, cwd=tmp_path)
    assert forgotten.returncode == 2
    assert "canary" not in ended.stderr + forgotten.stderr
    assert list(tmp_path.iterdir()) == []


def test_verbose_tells_of_the_request_and_of_no_secret(domo_sandbox):
    ended = run("token", "-v")
    assert "domo-oauth: Fetched a token for 3599 s" in ended.stderr
    assert ended.stdout.strip() not in ended.stderr
    assert domo_sandbox.client_secret not in ended.stderr


def test_two_at_once_make_one_request(tmp_path):
    with running(delay=0.3, quiet=True) as sandbox:
        env = os.environ | sandbox.env
        both = [subprocess.Popen([COMMAND, "token"], env=env, stdout=subprocess.PIPE) for _ in range(2)]
        said = {process.communicate()[0] for process in both}
        assert len(said) == 1
        assert sandbox.stats().token_requests == 1


def test_the_bare_environment_of_cron(domo_sandbox, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(f"{domo_sandbox.client_secret}\n")
    secret.chmod(0o600)
    arguments = ["--client-id", domo_sandbox.client_id, "--client-secret-file", secret, "--base-url", domo_sandbox.url]
    bare = ["env", "-i", f"HOME={tmp_path}", "PATH=/usr/bin:/bin", COMMAND, "token"]
    ended = subprocess.run([*bare, *arguments], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count(".") == 2
    assert list((tmp_path / ".cache" / "domo-oauth").glob("*"))


def test_make(domo_sandbox, tmp_path):
    (tmp_path / "Makefile").write_text(f"TOKEN := $(shell {COMMAND} token)\nall:\n\t@echo '$(TOKEN)'\n")
    said = subprocess.run(["make", "-s", "-C", tmp_path], capture_output=True, text=True, check=True).stdout
    assert said == run("token").stdout


def test_sh(domo_sandbox):
    script = f'eval "$({COMMAND} token --format env)"; printf \'%s\\n\' "$DOMO_ACCESS_TOKEN"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == run("token").stdout


def test_curl_with_the_configuration_of_a_process(domo_sandbox):
    if not (shutil.which("curl") and shutil.which("bash")):
        pytest.skip("needs bash and curl: apt-get install bash curl")
    script = f"curl --silent --fail --config <({COMMAND} token --format curl-config) $DOMO_API_URL/v1/datasets"
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert json.loads(said)[0]["name"]


def test_secrets_from_files(domo_sandbox, tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_text(domo_sandbox.client_secret)
    secret.chmod(0o644)
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    open_to_others = run("token", "--client-secret-file", secret)
    assert open_to_others.returncode == 0
    assert open_to_others.stderr == f"domo-oauth: {secret} can be read by other users: chmod 600 it.\n"
    with secret.open() as file:
        piped = run("token", "--client-secret-file", "-", stdin=file)
    assert (piped.stdout, piped.stderr) == (open_to_others.stdout, "")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        (b"\xff\xfe", "is no client secret, as it is not text"),
        (b"", "secret is empty"),
    ],
)
def test_a_secret_that_cannot_be_read(content, told, domo_sandbox, tmp_path):
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
        (tmp_path / "secret").chmod(0o600)
    ended = run("token", "--client-secret-file", tmp_path / "secret")
    assert ended.returncode == 2
    assert told in ended.stderr


def test_a_secret_file_wants_an_id(domo_sandbox, monkeypatch):
    monkeypatch.delenv("DOMO_CLIENT_ID")
    ended = run("token", "--client-secret-file", "/nowhere")
    assert ended.returncode == 2
    assert "pass --client-id" in ended.stderr


def test_nobody_is_asked_without_a_terminal(domo_sandbox):
    for more in ({}, {"stdin": None, "preexec_fn": lambda: os.close(0)}):
        ended = run("token", "--client-id", "id", **more)
        assert ended.returncode == 2
        assert "use --client-secret-file" in ended.stderr


def test_a_closed_stdin_holds_no_secret(domo_sandbox):
    ended = run("token", "--client-id", "id", "--client-secret-file", "-", stdin=None, preexec_fn=lambda: os.close(0))
    assert ended.returncode == 2
    assert "standard input is closed" in ended.stderr


def test_exec_gives_the_command_a_token_and_no_secret(domo_sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("DOMO_STORE", str(tmp_path / "store"))
    process = subprocess.Popen(
        [COMMAND, "exec", "--", "sh", "-c", "echo ready; read line; exit 7"], stdin=-1, stdout=-1
    )
    assert process.stdout.readline() == b"ready\n"
    proc = Path(f"/proc/{process.pid}")
    if proc.exists():
        environment = proc.joinpath("environ").read_bytes().decode().split("\0")
        assert [line.partition("=")[0] for line in environment if line.startswith("DOMO_")] == [
            "DOMO_API_URL",
            "DOMO_ACCESS_TOKEN",
        ]
        assert domo_sandbox.client_secret not in "".join(environment)
        assert b"eyJ" not in proc.joinpath("cmdline").read_bytes()
    process.communicate(b"\n")
    assert process.returncode == 7


def test_exec_gives_the_token_that_is_stored(domo_sandbox):
    said = run("exec", "--scope", "data", "sh", "-c", 'echo "$DOMO_ACCESS_TOKEN"')
    assert said.stdout == run("token", "--scope", "data").stdout
    assert run("exec", "--", "echo", "--", "--help").stdout == "-- --help\n"


@pytest.mark.parametrize("name", ["TERM", "INT", "PIPE"])
def test_signals_are_the_commands_own(name, domo_sandbox):
    ended = run("exec", "--", "sh", "-c", f"kill -{name} $$; sleep 0")
    assert ended.returncode == -signal.Signals[f"SIG{name}"]


def test_exec_of_what_cannot_be_run(domo_sandbox, tmp_path):
    missing = run("exec", "--", "no-such-command")
    assert (missing.returncode, missing.stderr) == (127, "domo-oauth: no-such-command: there is no such command.\n")
    folder = run("exec", "--", tmp_path)
    assert (folder.returncode, folder.stderr) == (126, f"domo-oauth: {tmp_path} cannot be run: Permission denied.\n")
    for nothing in (["exec"], ["exec", "--"]):
        ended = run(*nothing)
        assert ended.returncode == 2
        assert "No command is given" in ended.stderr


def test_whoami_tells_all_but_the_token(domo_sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("DOMO_STORE", str(tmp_path / "store"))
    fresh = run("whoami", "--scope", "data")
    assert (fresh.returncode, fresh.stderr) == (0, "")
    lines = dict(
        line.split(maxsplit=1) for line in fresh.stdout.replace(" from", "-from").replace(" i", "-i").splitlines()[:7]
    )
    assert lines["customer"] == "sandbox"
    assert lines["scopes"] == "data"
    assert lines["token-from"] == "Domo"
    again = json.loads(run("whoami", "--scope", "data", "--json").stdout)
    assert again["token_from"] == f"the store {tmp_path / 'store'}"
    assert again["credentials_from"] == "the environment"
    assert again["base_url"] == domo_sandbox.url
    token = run("token", "--scope", "data").stdout.strip()
    assert domo_sandbox.stats().tokens_issued == 1
    for secret in (token, domo_sandbox.client_secret, domo_sandbox.client_id):
        assert secret not in fresh.stdout
        assert secret not in str(again)


def test_whoami_with_a_name_that_the_terminal_cannot_show(answering):
    answering("200 OK", GOOD.replace("acme", "M\\u00fcller \\ud83d"))
    ended = run("whoami", env={"PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 0
    assert "M\\xfcller" in ended.stdout
    assert "user id          unknown" in ended.stdout


def test_whoami_tells_the_terminal_nothing_that_it_would_obey(answering):
    named = GOOD.replace("acme", "ac\\u001b]0;owned\\u0007\\nme")[:-1]
    answering("200 OK", named + ', "role": "\\u009b2JAdmin", "scope": "da\\u001b[2Jta \\u202euser"}')
    ended = run("whoami")
    assert ended.returncode == 0
    shown = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert shown["customer"] == "ac ]0;owned me"
    assert shown["role"] == "2JAdmin"
    assert ended.stdout.replace("\n", "").isprintable()
    assert json.loads(run("whoami", "--json").stdout)["role"] == "\x9b2JAdmin"


def test_forget(domo_sandbox, store):
    run("token")
    run("token", "--scope", "data")
    data = run("forget", "--scope", "data")
    assert (data.returncode, data.stdout) == (0, "")
    assert data.stderr == f"domo-oauth: Removed the entry of the client dem… for data from {store.path}.\n"
    assert "There was no entry" in run("forget", "--scope", "data").stderr
    run("token")
    assert domo_sandbox.stats().tokens_issued == 2
    assert "for all its scopes" in run("forget").stderr
    run("token")
    assert domo_sandbox.stats().tokens_issued == 3


def test_forget_all_removes_what_is_ours(domo_sandbox, store, monkeypatch):
    assert run("forget", "--all").stderr == f"domo-oauth: Removed 0 entries from {store.path}.\n"
    run("token")
    assert run("forget", "--all").stderr == f"domo-oauth: Removed 1 entry from {store.path}.\n"
    run("token")
    run("token", "--scope", "data")
    (store.path / "notes").write_text("somebody's own")
    for name in ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    assert run("forget", "--all").stderr == f"domo-oauth: Removed 2 entries from {store.path}.\n"
    assert [path.name for path in store.path.iterdir() if path.suffix != ".lock"] == ["notes"]


def test_forget_says_what_is_in_the_way(domo_sandbox, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments in (["forget"], ["forget", "--all"]):
        ended = run(*arguments, env={"DOMO_STORE": str(tmp_path / "file")})
        assert ended.returncode == 2
        assert str(tmp_path / "file") in ended.stderr
        assert ended.stderr.endswith("name another folder in DOMO_STORE.\n")
    ended = run("forget", "--all", env={"DOMO_STORE": "redis://127.0.0.1:1"})
    assert ended.returncode == 2
    assert "cannot be reached" in ended.stderr
