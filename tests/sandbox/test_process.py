"""The sandbox as a process: as a command, and for as long as a ``with`` block."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import httpx
import pytest

from domo_oauth.errors import ConfigurationError
from domo_oauth.sandbox import DEMO_CLIENT, Client, Stats, running
from tests.fakes import PATIENCE, until

GRANT = {"grant_type": "client_credentials"}
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and forks of POSIX")


def listens(url: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=10):
        return True
    return False


@contextlib.contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the first line that it prints."""
    with subprocess.Popen(
        [sys.executable, "-m", "domo_oauth", "sandbox", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started, started.stdout.readline()
        finally:
            started.terminate()
    assert started.returncode == 0


def script(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, check=False)


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_it_prints_how_to_reach_it_until_ctrl_c(host):
    with command("--host", host) as (started, line), httpx.Client(timeout=PATIENCE) as http:
        exported = dict(word.split("=", 1) for word in shlex.split(line)[1:])
        url = exported.pop("DOMO_API_URL")
        assert exported == {"DOMO_CLIENT_ID": "demo-client", "DOMO_CLIENT_SECRET": "not-a-secret"}
        assert http.get(f"{url}/oauth/token", params=GRANT, auth=tuple(exported.values())).status_code == 200
        started.send_signal(signal.SIGINT)  # the connection is still open
        out, log = started.communicate(timeout=60)
    assert out == ""
    assert "Clients and their scopes: demo-client (audit dashboard data user)\n" in log
    assert f"Reference page: {url}/\n" in log
    assert "Traceback" not in log


@pytest.mark.slow
def test_a_port_that_is_taken_is_explained(domo_sandbox, capfd):
    port = httpx.URL(domo_sandbox.url).port
    for quiet in (False, True):
        with pytest.raises(ConfigurationError, match="did not start"), running(port=port, quiet=quiet):
            pass
        said = f"domo_oauth.sandbox: Cannot listen on port {port} of 127.0.0.1: Address already in use. "
        assert capfd.readouterr().err == ("" if quiet else f"{said}--port 0 takes a free one.\n")


@pytest.mark.slow
def test_what_checks_need_is_loaded_before_it_listens():
    """On a busy machine, loading takes so long that the first request for a token would time out."""
    ended = script("""
        import sys
        from domo_oauth.sandbox import server
        from domo_oauth.sandbox.settings import Settings
        server.serving.listen = lambda *_: sys.exit("openapi_schema_validator" not in sys.modules)
        server.run(Settings())
    """)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigurationError, match=r"needs uvicorn.* pip install 'domo-oauth\[sandbox\]'"), running():
        pass


@pytest.mark.parametrize(("version", "connection"), [("1.0", ""), ("1.1", "Connection: close\r\n")])
def test_old_and_closing_connections(domo_sandbox, version, connection):
    with socket.create_connection(("127.0.0.1", httpx.URL(domo_sandbox.url).port), timeout=30) as wire:
        wire.sendall(f"GET /oauth/token HTTP/{version}\r\nHost: 127.0.0.1\r\n{connection}\r\n".encode())
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 401 unauthorized")
    assert head.count(b"connection:") == 1
    assert b"connection: close" in head
    assert b"\r\ndate: " in head


@pytest.mark.slow
def test_a_with_block_gets_its_clients_and_settings_and_no_file_of_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "jwt.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    mine = Client(client_id="mine", client_secret="canary", scopes=("data",), role="Owner", user_id=7)
    with running(clients=[DEMO_CLIENT, mine], allowed_hosts=["mine"], quiet=True) as sandbox:
        asked = {"params": GRANT, "auth": ("mine", "canary"), "headers": {"Host": "mine"}, "timeout": PATIENCE}
        answer = httpx.get(f"{sandbox.url}/oauth/token", **asked)
        body = answer.json()
    assert (body["role"], body["userId"]) == ("Owner", 7)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert sandbox.env == {
        "DOMO_API_URL": sandbox.url,
        "DOMO_CLIENT_ID": DEMO_CLIENT.client_id,
        "DOMO_CLIENT_SECRET": DEMO_CLIENT.client_secret,
    }
    assert not listens(sandbox.url)


@pytest.mark.slow
def test_a_request_under_way_neither_counts_as_granted_nor_holds_up_the_end():
    ends: list[object] = []

    def ask(url: str) -> None:
        try:
            ends.append(httpx.get(f"{url}/oauth/token", params=GRANT, timeout=60).status_code)
        except httpx.HTTPError as error:
            ends.append(type(error))

    with running(quiet=True) as sandbox:
        sandbox.delay = 3600.0
        asking = threading.Thread(target=ask, args=[sandbox.url])
        asking.start()
        until(lambda: sandbox.stats() == Stats(token_requests=1))
    asking.join(60)
    assert ends in ([500], [httpx.RemoteProtocolError], [httpx.ReadError])


@pytest.mark.slow
def test_it_ends_when_its_parent_is_killed():
    parent = script("""
        import os
        from domo_oauth.sandbox import running
        with running(quiet=True) as sandbox:
            print(sandbox.url, flush=True)
            os.abort() if os.name == "nt" else os.kill(os.getpid(), 9)
    """)
    assert parent.returncode != 0
    until(lambda: not listens(parent.stdout.strip()))


@pytest.mark.slow
@POSIX
def test_a_forked_child_neither_ends_it_nor_holds_up_its_end():
    parent = script("""
        import os, signal, sys, time
        from domo_oauth.sandbox import running
        with running(quiet=True) as sandbox:
            if not (child := os.fork()):
                sys.exit(7)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            time.sleep(0.5)  # a sandbox that was told to end would take less
            print(sandbox.stats().token_requests)
            if not (child := os.fork()):
                signal.pause()
        os.kill(child, 9)
    """)
    assert (parent.stdout, parent.stderr) == ("7\n0\n", "")
