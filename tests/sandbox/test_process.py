"""The sandbox as a process: as a command, and for as long as a ``with`` block."""

from __future__ import annotations

import base64
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
from domo_oauth.sandbox import DEMO_CLIENT, Client, Sandbox, Stats, process, running
from tests.fakes import until

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
        [sys.executable, "-m", "domo_oauth.sandbox", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started, started.stdout.readline()
        finally:
            started.terminate()


def exported(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(line)[1:])


def script(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, check=False)


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_first_line_is_for_a_shell_and_a_signal_ends_it_with_status_0(number, tmp_path):
    file = tmp_path / "clients.toml"
    file.write_text(
        "[[clients]]\nclient_id=\"it's mine\"\nclient_secret='canary-a'\nscopes=['user', 'data']\n"
        "[[clients]]\nclient_id='b'\nclient_secret='canary-b'\nscopes=['brand-new']\n"
    )
    with command("--clients", str(file)) as (started, line), httpx.Client() as http:
        url = exported(line)["DOMO_API_URL"]
        assert exported(line) == {"DOMO_API_URL": url, "DOMO_CLIENT_ID": "it's mine"}
        asked = [("it's mine", "canary-a"), ("b", "canary-b"), ("b", "canary-a")]
        answers = [http.get(f"{url}/oauth/token", params=GRANT, auth=each).json() for each in asked]
        assert [each.get("scope") for each in answers] == ["data user", "brand-new", None]
        started.send_signal(number)  # the connection is still open
        out, log = started.communicate(timeout=60)
    assert (started.returncode, out) == (0, "")
    assert "Clients and their scopes: it's mine (data user); b (brand-new)\n" in log
    assert f"To read about it and to try it: {url}/\n" in log
    assert "Traceback" not in log
    assert "canary" not in line + log


@pytest.mark.slow
@POSIX
def test_the_line_can_be_pasted():
    with command("--customer", "it's mine") as (_, line):
        print_ = "import os; print(*(os.environ['DOMO_' + name] for name in ['API_URL', 'CLIENT_ID', 'CLIENT_SECRET']))"
        pasted = subprocess.run(
            ["sh", "-c", f'{line}exec "{sys.executable}" -c "{print_}"'], capture_output=True, text=True, check=True
        )
        url, *credentials = pasted.stdout.split()
        assert httpx.get(f"{url}/oauth/token", params=GRANT, auth=tuple(credentials)).json()["customer"] == "it's mine"


@pytest.mark.slow
@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_it_listens_on_ipv6_and_localhost(host):
    with command("--host", host) as (_, line):
        assert httpx.get(f"{exported(line)['DOMO_API_URL']}/_sandbox/stats").status_code == 200


@pytest.mark.slow
def test_a_port_that_is_taken_is_explained(domo_sandbox, capfd):
    port = httpx.URL(domo_sandbox.url).port
    said = f"Cannot listen on port {port} of 127.0.0.1: Address already in use. --port 0 takes a free one.\n"
    with command("--port", str(port)) as (started, line):
        log = started.communicate(timeout=60)[1]
    assert (started.returncode, line) == (2, "")
    assert log == f"domo_oauth.sandbox: {said}"
    for quiet in (False, True):
        with pytest.raises(ConfigurationError, match="did not start"), running(port=port, quiet=quiet):
            pass
        assert capfd.readouterr().err == ("" if quiet else f"domo_oauth.sandbox: {said}")


@pytest.mark.slow
def test_without_click_the_command_says_what_to_install():
    ended = script("""
        import runpy, sys
        sys.modules["click"] = None
        runpy.run_module("domo_oauth.sandbox", run_name="__main__")
    """)
    assert (ended.returncode, ended.stderr) == (
        2,
        "domo_oauth.sandbox: The sandbox needs click, not installed here: pip install 'domo-oauth[sandbox]'\n",
    )


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigurationError, match=r"needs uvicorn.* pip install 'domo-oauth\[sandbox\]'"), running():
        pass


def test_old_and_closing_connections(domo_sandbox):
    credentials = base64.b64encode(f"{domo_sandbox.client_id}:{domo_sandbox.client_secret}".encode()).decode()
    for version, connection in [("1.0", ""), ("1.1", "Connection: close\r\n")]:
        request = (
            f"GET /oauth/token?grant_type=client_credentials HTTP/{version}\r\n"
            f"Host: 127.0.0.1\r\n{connection}Authorization: Basic {credentials}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", httpx.URL(domo_sandbox.url).port), timeout=30) as wire:
            wire.sendall(request.encode())
            answer = b"".join(iter(lambda wire=wire: wire.recv(65536), b""))
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 200 ok")
        assert head.count(b"connection:") == 1
        assert b"connection: close" in head
        assert b"\r\ndate: " in head


def test_a_web_page_of_another_host_gets_nothing(domo_sandbox):
    with socket.create_connection(("127.0.0.1", httpx.URL(domo_sandbox.url).port), timeout=30) as wire:
        wire.sendall(b"POST /_sandbox/revoke HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert wire.recv(65536).startswith(b"HTTP/1.1 421 Misdirected Request\r\n")
    assert domo_sandbox.stats() == Stats()


@pytest.mark.slow
def test_a_with_block_gets_its_clients_and_settings():
    mine = Client(client_id="mine", client_secret="canary", scopes=("data",), role="Owner", user_id=7)
    with running(clients=[DEMO_CLIENT, mine], lifetime=60, allowed_hosts=["mine"], quiet=True) as sandbox:
        asked = {"params": GRANT, "auth": ("mine", "canary"), "headers": {"Host": "mine"}}
        answer = httpx.get(f"{sandbox.url}/oauth/token", **asked)
        body = answer.json()
    assert (body["role"], body["userId"], body["expires_in"]) == ("Owner", 7, 60)
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

    with running(delay=3600.0, quiet=True) as sandbox:
        asking = threading.Thread(target=ask, args=[sandbox.url])
        asking.start()
        until(lambda: sandbox.stats() == Stats(token_requests=1))
    asking.join(60)
    assert ends in ([500], [httpx.RemoteProtocolError], [httpx.ReadError])


@pytest.mark.slow
def test_a_process_that_hangs_is_killed(monkeypatch):
    monkeypatch.setattr(process, "_STOP_SECONDS", 0)
    with running(quiet=True) as sandbox:
        pass
    assert not listens(sandbox.url)


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
def test_a_forked_child_leaves_it_to_its_parent():
    parent = script("""
        import os, sys
        from domo_oauth.sandbox import running
        with running(quiet=True) as sandbox:
            if not (child := os.fork()):
                sys.exit(7)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sandbox.stats().token_requests)
    """)
    assert (parent.stdout, parent.stderr) == ("7 0\n", "")


@pytest.mark.slow
def test_a_file_in_the_current_folder_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "jwt.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    with running(quiet=True) as sandbox:
        assert isinstance(sandbox, Sandbox)
        assert sandbox.stats() == Stats()
