"""`domo-oauth proxy`, the local gateway that adds the token: its options, output and signals, as a process."""

from __future__ import annotations

import re
import signal
import socket
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import domo_oauth
from domo_oauth import serving
from domo_oauth.cli import main
from tests.adapters.server import answer
from tests.fakes import until
from tests.proxy.conftest import command, end, log_of, peak

KEY = "canary-key-0123456789"
WRONG = {
    "no address": ([], {}, "Pass one of --port N, --socket PATH and --listen HOST:PORT."),
    "two addresses": (["--port", "0", "--socket", "s"], {}, "Pass one of"),
    "no port": (["--listen", "0.0.0.0"], {}, "such as 0.0.0.0:8766"),
    "a port too large": (["--listen", "0.0.0.0:65536"], {}, "such as 0.0.0.0:8766"),
    "no path": (["--port", "0", "--allow", "datasets"], {}, "--allow takes patterns of paths"),
    "a short key": (["--port", "0"], {"DOMO_PROXY_KEY": "canary"}, "must have at least 16"),
    "no such address": (["--listen", "192.0.2.1:0"], {}, "Cannot listen on port 0 of 192.0.2.1"),
    "no such folder": (["--socket", "/no/such/folder/s"], {}, "Cannot listen on the socket"),
    "an open folder": (["--socket", "/tmp/s"], {}, "Other users can change /tmp"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage(env, capsys, monkeypatch, name):
    arguments, variables, message = WRONG[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert main(["proxy", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "canary" not in err


@pytest.mark.slow
def test_a_port_needs_the_printed_key(env, api):
    with command("--port", "0", "--allow-host", "DOMO") as (process, variables):
        url = f"{variables['DOMO_PROXY_URL']}/v1"
        assert url.startswith("http://127.0.0.1:")
        assert httpx.get(url).status_code == 401
        key = {"Authorization": f"Bearer {variables['DOMO_PROXY_KEY']}"}
        assert httpx.get(url, headers={**key, "Host": "domo"}).text == "{}"
        log = end(process)
    assert len(variables["DOMO_PROXY_KEY"]) == 43
    assert variables["DOMO_PROXY_KEY"] not in log
    assert re.search(r"(?m)^[0-9: ,-]+ GET /v1 200 2 bytes \d+ ms$", log)


@pytest.mark.slow
def test_a_key_of_the_environment_is_not_printed(env, monkeypatch):
    monkeypatch.setenv("DOMO_PROXY_KEY", KEY)
    with command("--listen", "127.0.0.1:0", "--read-only", "--allow", "/v1/*") as (process, variables):
        assert variables.keys() == {"DOMO_PROXY_URL"}
        with httpx.Client(base_url=variables["DOMO_PROXY_URL"], headers={"Authorization": f"Bearer {KEY}"}) as client:
            statuses = [
                client.request(*each).status_code for each in [("GET", "/v1/a"), ("PUT", "/v1/a"), ("GET", "/v2")]
            ]
        assert statuses == [200, 403, 403]
        end(process)


@pytest.mark.slow
def test_a_socket_is_for_this_user_only(env, tmp_path):
    path = tmp_path / "proxy.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with command("--socket", str(path)) as (process, variables):
        assert variables == {"DOMO_PROXY_SOCKET": str(path)}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://domo/v1").text == "{}"
        with command("--socket", str(path)) as (second, _):
            assert second.wait(60) == 2
            assert f"Cannot listen on the socket {path}: Address already in use." in log_of(second)
        end(process)
    assert not path.exists()


def test_other_addresses_are_explained(env, capsys, monkeypatch):
    """Listens on loopback all the same, as a test must not open this machine to others."""
    listen = serving.listen
    monkeypatch.setattr(serving, "listen", lambda host, port: listen("127.0.0.1", port))
    monkeypatch.setattr(serving, "run", lambda server, listener: listener.close())
    assert main(["proxy", "--listen", "0.0.0.0:0"]) == 0
    assert "domo-oauth: Everybody who can connect to http://" in capsys.readouterr().err


def test_the_socket_is_removed_at_the_end(env, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(serving, "run", lambda server, listener: listener.close())
    path = tmp_path / "s"
    assert main(["proxy", "--socket", str(path)]) == 0
    assert capsys.readouterr().out == f"export DOMO_PROXY_SOCKET={path}\n"
    assert not path.exists()


@pytest.mark.slow
def test_requests_under_way_end_before_it_stops(env, api):
    may_answer = threading.Event()
    api.api = lambda request: answer(200, "late") if may_answer.wait(60) else b""
    with command("--port", "0") as (process, variables), ThreadPoolExecutor() as pool:
        headers = {"Authorization": f"Bearer {variables['DOMO_PROXY_KEY']}"}
        under_way = pool.submit(httpx.get, f"{variables['DOMO_PROXY_URL']}/v1", headers=headers, timeout=60)
        until(lambda: api.api_requests)
        process.send_signal(signal.SIGTERM)
        may_answer.set()
        assert under_way.result(60).text == "late"
        assert process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc: Linux")
def test_memory_stays_flat_whatever_is_sent(env, api):
    size, chunk = 64 * 2**20, b"x" * 2**20

    def stream(_request: bytes) -> bytes:
        return answer(200, "y" * size)

    with command("--port", "0") as (process, variables):
        headers = {"Authorization": f"Bearer {variables['DOMO_PROXY_KEY']}"}
        with httpx.Client(base_url=variables["DOMO_PROXY_URL"], headers=headers, timeout=60) as client:
            client.get("/v1")
            before = peak(process.pid)
            client.put("/v1", content=(chunk for _ in range(size // len(chunk))), headers={"Content-Length": str(size)})
            api.api = stream
            with client.stream("GET", "/v1") as response:
                assert sum(map(len, response.iter_raw())) == size
        assert peak(process.pid) - before < 20 * 2**20
        end(process)


def test_without_the_extra_the_error_says_what_to_install(env, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "domo_oauth.serving", None)
    monkeypatch.delattr(domo_oauth, "serving", raising=False)
    assert main(["proxy", "--port", "0"]) == 2
    assert capsys.readouterr().err.endswith("pip install 'domo-oauth[proxy]'\n")
