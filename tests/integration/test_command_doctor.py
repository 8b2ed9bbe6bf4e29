"""``domo-oauth doctor``: what it says about a machine on which one thing or another does not work."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from domo_oauth import cli, request
from domo_oauth.cli import doctor, network
from domo_oauth.cli.messages import paint

COMMAND = str(Path(sys.executable).with_name("domo-oauth"))
GRANT = b'{"access_token": "canary-token", "token_type": "bearer", "expires_in": 3599, "customer": "acme"}'


@pytest.fixture(autouse=True)
def _client(monkeypatch, tmp_path):
    logger = logging.getLogger("domo_oauth")
    level, handlers = logger.level, list(logger.handlers)
    monkeypatch.setenv("DOMO_CLIENT_ID", "canary-client")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "canary-secret")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    request._tls_context.cache_clear()  # one for the process, and each test has certificates of its own
    yield
    request._tls_context.cache_clear()
    logger.setLevel(level)
    logger.handlers[:] = handlers


def examine(capsys, *arguments: str) -> dict[str, tuple[str, str]]:
    """Verdict and text of each check, by its name; and look that no secret is told."""
    status = cli.main(["doctor", "--json", *arguments])
    said = capsys.readouterr()
    assert "canary-secret" not in said.out + said.err
    assert "canary-token" not in said.out + said.err
    told = json.loads(said.out)
    checks = {check["name"]: (check["verdict"], check["told"]) for check in told["checks"]}
    assert status == (not told["ok"]) == ("fail" in {verdict for verdict, _ in checks.values()})
    return checks


def response(date: str | None = None, grant: bytes = GRANT) -> bytes:
    field = f"Date: {date}\r\n" if date else ""
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{field}Content-Length: {len(grant)}\r\n\r\n".encode()
        + grant
    )


class Proxy:
    """A proxy on loopback that opens a tunnel to wherever it is told, or refuses."""

    def __init__(self, *, opens: bool = True) -> None:
        self.requests: list[bytes] = []
        self._opens = opens
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(4096)
            self.requests.append(request)
            if not self._opens:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            host, port = request.split()[1].decode().split(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
                back.start()
                self._copy(client, server)
                back.join()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while received := source.recv(65536):
                target.sendall(received)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def proxy(monkeypatch):
    with contextlib.ExitStack() as stack:

        def start(**settings) -> Proxy:
            started = Proxy(**settings)
            stack.callback(started.close)
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:canary%2Dsecret@{started.address}")
            return started

        yield start


def test_all_is_well(domo_sandbox, tmp_path):
    ended = subprocess.run([COMMAND, "doctor"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [line.split(maxsplit=1) for line in ended.stdout.splitlines()]
    names = [
        "versions",
        "environment",
        "keyring",
        "base",
        "proxy",
        "DNS",
        "TCP",
        "TLS",
        "clock",
        "credentials",
        "token",
        "store",
    ]
    assert [told.split()[0] for _, told in lines] == names
    assert {verdict for verdict, _ in lines} == {"ok", "skip"}
    assert "http://, which never leaves this machine" in ended.stdout
    assert domo_sandbox.client_secret not in ended.stdout
    assert all(left.suffix == ".lock" for left in Path(os.environ["DOMO_STORE"]).iterdir())


def test_tls_that_is_trusted(tls_server, capsys, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", tls_server.authority)
    checks = examine(capsys, "--base-url", tls_server.url)
    verdict, told = checks["TLS"]
    assert verdict == "ok"
    assert told.startswith("TLSv1.3, certificate by trustme")
    assert checks["clock"] == ("skip", "the server does not tell its time")
    assert checks["token"] == ("ok", "for acmecompany, scopes unknown, 3599 s")
    assert "SSL_CERT_FILE" in checks["environment"][1]
    assert "Authorization" not in tls_server.requests[0].decode()


def test_the_terminal_is_told_nothing_that_it_would_obey(wire, capsys, monkeypatch, tmp_path):
    server = wire(response(grant=GRANT.replace(b"acme", b"\\u001bE")))
    authority = trustme.CA(organization_name="\x1b]0;owned\x07")
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server.tls)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    assert cli.main(["doctor", "--base-url", server.url]) == 0
    said = capsys.readouterr().out
    assert said.replace("\n", "").isprintable()
    assert "certificate by ]0;owned , good" in said
    assert "for E, scopes" in said
    assert "certificate by ]0;owned , good" in examine(capsys, "--base-url", server.url)["TLS"][1]


def test_tls_that_is_not_trusted(tls_server, capsys):
    checks = examine(capsys, "--base-url", tls_server.url)
    assert checks["TLS"][0] == "fail"
    assert "set SSL_CERT_FILE to its authority" in checks["TLS"][1]
    assert "clock" not in checks
    assert checks["token"][0] == "fail"
    assert checks["store"][0] == "ok"
    assert tls_server.requests == []


class Mute(socketserver.BaseRequestHandler):
    """Hangs up on whoever comes."""


def test_tls_that_is_none(capsys):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mute) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        checks = examine(capsys, "--base-url", f"https://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert checks["TLS"][0] == "fail"
    assert checks["TLS"][1].startswith("no secure connection (")


def test_a_certificate_that_is_about_to_expire(wire, capsys, monkeypatch, tmp_path):
    authority = trustme.CA()
    server = wire(response())
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    soon = datetime.now(UTC) + timedelta(days=3, hours=1)
    authority.issue_cert("127.0.0.1", not_after=soon).configure_cert(server.tls)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    verdict, told = examine(capsys, "--base-url", server.url)["TLS"]
    assert verdict == "warn"
    assert "good for 3 days: whoever runs the server must renew it" in told


def test_nobody_listens(wire, capsys):
    server = wire(b"")
    url = server.url
    server.close()
    checks = examine(capsys, "--base-url", url)
    assert checks["DNS"][0] == "ok"
    assert checks["TCP"][0] == "fail"
    assert "Connection refused" in checks["TCP"][1]
    assert "TLS" not in checks


def test_a_name_that_nobody_knows(capsys, monkeypatch):
    def fail(*args, **more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    checks = examine(capsys, "--base-url", "https://nobody.invalid")
    assert checks["DNS"] == (
        "fail",
        "nobody.invalid is not known ([Errno -2] Name or service not known): check its name and the name server",
    )
    assert checks["token"][0] == "fail"


def test_something_else_listens(wire, capsys):
    checks = examine(capsys, "--base-url", wire(b"SSH-2.0-OpenSSH\r\n").url)
    assert checks["clock"][0] == "fail"
    assert "no answer of HTTP (BadStatusLine" in checks["clock"][1]


@pytest.mark.parametrize(("minutes", "way"), [(-10, "ahead of"), (10, "behind")])
def test_a_clock_that_is_wrong(minutes, way, wire, capsys):
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    verdict, told = examine(capsys, "--base-url", wire(response(date)).url)["clock"]
    assert verdict == "warn"
    assert f" s {way} the server's: set this machine's clock" in told


def test_a_proxy(tls_server, proxy, capsys, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", tls_server.authority)
    through = proxy()
    checks = examine(capsys, "--base-url", tls_server.url)
    assert checks["proxy"] == ("ok", f"{through.address}, from the environment or the system")
    assert {checks[name][0] for name in ("DNS", "TCP", "TLS", "token")} == {"ok"}
    assert [b"Proxy-Authorization: Basic dXNlcjpjYW5hcnktc2VjcmV0\r\n" in each for each in through.requests] == [
        True
    ] * 2
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert examine(capsys, "--base-url", tls_server.url)["proxy"] == ("ok", "none")


def test_a_proxy_that_refuses(tls_server, proxy, capsys, monkeypatch):
    through = proxy(opens=False)
    monkeypatch.setenv("HTTPS_PROXY", through.address)
    checks = examine(capsys, "--base-url", tls_server.url)
    assert checks["TCP"][0] == "fail"
    assert "407" in checks["TCP"][1]
    assert b"Proxy-Authorization" not in through.requests[0]


def test_a_proxy_that_cannot_be_looked_into(tls_server, capsys, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    checks = examine(capsys, "--base-url", tls_server.url)
    assert checks["proxy"][0] == "warn"
    assert "TCP" not in checks


@pytest.mark.parametrize(
    "url",
    [
        "http://user:canary-secret/word@127.0.0.1:1",
        "user:canary-secret#@127.0.0.1:1",
        "http://[::1",
    ],
)
def test_a_proxy_whose_url_is_none(url, capsys, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", url)
    checks = examine(capsys, "--base-url", "https://127.0.0.1:9")
    verdict, told = checks["proxy"]
    assert verdict == "fail"
    assert told.startswith("Invalid proxy URL in the environment: check HTTPS_PROXY and ALL_PROXY: it must look like ")
    assert "127.0.0.1" not in told
    assert "DNS" not in checks
    assert checks["token"][0] == "fail"


class Dripping(socketserver.BaseRequestHandler):
    """Begins a record of TLS, and sends a byte of it now and then."""

    def handle(self):
        with contextlib.suppress(OSError):
            self.request.sendall(b"\x16\x03\x03\x40\x00")
            for byte in drip():
                self.request.sendall(byte)


def drip():
    while True:
        time.sleep(0.01)
        yield b"x"


@pytest.fixture
def in_a_moment(monkeypatch):
    monkeypatch.setattr(network, "_LONGEST", 1.0)


def last(url: str) -> network.Check:
    return list(network.checks(url))[-1]


def test_an_answer_that_never_ends(wire, in_a_moment):
    told = "no answer of HTTP (TimeoutError: not done after 1 s): something else listens there, or stands in between"
    for begun in (b"HTTP/1.1 200 OK\r\nX-Field: ", b"HTTP/1.1 200 O"):
        assert last(wire(begun, more=drip).url) == ("clock", "fail", told)


def test_a_proxy_that_never_ends(wire, in_a_moment, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", wire(b"HTTP/1.1 200 OK\r\nX-Field: ", more=drip).url)
    name, verdict, told = last("https://127.0.0.1:9")
    assert (name, verdict) == ("TCP", "fail")
    assert "(not done after 1 s)" in told


def test_a_handshake_that_never_ends(in_a_moment):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        name, verdict, told = last(f"https://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert (name, verdict) == ("TLS", "fail")
    assert told.startswith("no secure connection (not done after 1 s)")


def test_a_url_that_will_not_do(capsys):
    checks = examine(capsys, "--base-url", "http://example.test")
    assert checks["base URL"][0] == "fail"
    assert "DNS" not in checks
    assert checks["store"][0] == "ok"


def test_a_refused_client(domo_sandbox, capsys, monkeypatch):
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "canary-secret")
    checks = examine(capsys)
    assert checks["credentials"] == ("ok", "the client dem…, from the environment")
    assert checks["token"][0] == "fail"
    assert "401" in checks["token"][1]


def test_a_scope_that_is_unknown(domo_sandbox, capsys):
    checks = examine(capsys, "--scope", "dta")
    assert checks["credentials"][0] == "ok"
    assert checks["token"][0] == "fail"
    assert checks["token"][1].endswith("pass --custom-scope 'dta'.")


def test_half_of_the_credentials(domo_sandbox, capsys, monkeypatch):
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    checks = examine(capsys)
    assert checks["environment"][0] == "warn"
    assert checks["credentials"][0] == "fail"


def test_nothing_is_set(wire, capsys, monkeypatch):
    monkeypatch.delenv("DOMO_CLIENT_ID")
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    checks = examine(capsys, "--base-url", wire(response()).url)
    assert checks["environment"] == ("ok", "nothing set")
    assert "domo-oauth login" in checks["credentials"][1]


def test_what_is_not_installed(domo_sandbox, capsys, monkeypatch):
    def version(name):
        if name == "redis":
            raise doctor.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setitem(sys.modules, "keyring", None)
    checks = examine(capsys)
    assert checks["versions"][1].endswith("httpx 1, cryptography 1, keyring 1, no redis")
    assert checks["keyring"][0] == "skip"
    assert "pip install 'domo-oauth[cli]'" in checks["keyring"][1]


def test_it_asks_where_tokens_are_asked_for(wire, capsys):
    server = wire(response())
    examine(capsys, "--base-url", f"{server.url}/behind/a/gateway")
    asked = [request.split()[1].partition(b"?")[0] for request in server.requests]
    assert asked == [b"/behind/a/gateway/oauth/token"] * 2


def test_its_json_is_for_people_too(domo_sandbox, capsys):
    assert cli.main(["doctor", "--json"]) == 0
    shown = capsys.readouterr().out
    assert shown == json.dumps(json.loads(shown), indent=2) + "\n"
    assert json.loads(shown)["checks"][-1].keys() == {"name", "verdict", "told"}


def test_its_columns_and_colors(domo_sandbox, capsys, monkeypatch):
    cli.main(["doctor"])
    assert "\nok   credentials  the client dem…, from the environment\n" in capsys.readouterr().out
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = [paint(verdict, sys.stdout) for verdict in ("ok", "warn", "fail", "skip")]
    assert shown == ["\x1b[32mok\x1b[0m", "\x1b[33mwarn\x1b[0m", "\x1b[31mfail\x1b[0m", "\x1b[2mskip\x1b[0m"]
    monkeypatch.setenv("TERM", "dumb")
    assert paint("ok", sys.stdout) == "ok"


def test_a_keyring_that_cannot_be_loaded(domo_sandbox, capsys, monkeypatch):
    import keyring.core

    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "nonsense.Keyring")
    verdict, told = examine(capsys)["keyring"]
    assert verdict == "skip"
    assert "(ModuleNotFoundError: No module named 'nonsense')" in told


def test_a_store_that_cannot_be_used(domo_sandbox, capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DOMO_STORE", str(tmp_path / "file"))
    verdict, told = examine(capsys)["store"]
    assert verdict == "fail"
    assert told.endswith("name another folder in DOMO_STORE. Until then every process asks Domo itself.")


class Forgetful:
    """A store that says it has done it."""

    is_free = True

    def load(self, name):
        return None

    def lock(self, name):
        return contextlib.nullcontext(self.is_free)

    def save(self, name, sealed, ttl):
        pass

    def delete(self, name):
        pass

    def __repr__(self):
        return "Forgetful()"


def test_a_store_that_keeps_nothing(domo_sandbox, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "open_store", Forgetful)
    assert examine(capsys)["store"] == (
        "fail",
        "Forgetful() does not keep what it is given: name another in DOMO_STORE",
    )


def test_a_store_that_cannot_be_locked(domo_sandbox, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "open_store", Forgetful)
    monkeypatch.setattr(Forgetful, "is_free", False)
    monkeypatch.setattr(Forgetful, "load", lambda store, _: store.saved)
    monkeypatch.setattr(Forgetful, "save", lambda store, _name, sealed, _ttl: setattr(store, "saved", sealed))
    assert examine(capsys)["store"] == ("fail", "Forgetful() cannot be locked: name another in DOMO_STORE")


def test_a_store_with_an_error_of_its_own(domo_sandbox, capsys, monkeypatch):
    def fail():
        raise RuntimeError("canary-secret")

    monkeypatch.setattr(doctor, "open_store", fail)
    assert examine(capsys)["store"] == ("fail", "RuntimeError Until then every process asks Domo itself.")
