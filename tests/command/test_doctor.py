"""`doctor`: what it says about a machine on which one thing or another does not work."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import PackageNotFoundError

import click
import pytest
import trustme

from domo_oauth.cli import doctor
from tests.command.answers import GRANTED, TOKEN, answer, granted
from tests.conftest import Wire

Checks = dict[str, tuple[str, str]]


@pytest.fixture
def examine(run, domo) -> Callable[..., Checks]:
    """Verdict and text of each check, by its name, in order; and look that no secret is shown."""

    def examine(line: str = "", **env: str) -> Checks:
        ended = run(f"doctor --json {line}", **env)
        assert not any(secret in ended.out for secret in ("canary-secret", "canary-client", TOKEN, "pa55"))
        assert (ended.err, ended.out.replace("\n", "").isprintable()) == ("", True)
        assert "httpx_args" not in ended.out  # which is for Python programs
        report = json.loads(ended.out)
        checks = {check["name"]: (check["verdict"], check["told"]) for check in report["checks"]}
        assert ended.status == (not report["ok"]) == ("fail" in {verdict for verdict, _ in checks.values()})
        return checks

    return examine


def authority(server: Wire, path: str, name: str = "trustme", **more: datetime) -> str:
    """Let a server use TLS, and return the file of its certificate authority."""
    made = trustme.CA(organization_name=name)
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1", **more).configure_cert(server.tls)
    made.cert_pem.write_to_path(path)
    return path


def test_all_is_well(run, domo):
    ended = run("doctor", NO_COLOR="1")
    assert (ended.status, ended.err) == (0, "")
    lines = [(line[:5].strip(), line[5:18].strip(), line[18:]) for line in ended.out.splitlines()]
    assert [name for _, name, _ in lines] == [
        *("versions", "environment", "keyring", "base URL", "credentials"),
        *("proxy", "DNS", "TCP", "request", "answer", "clock", "token", "store"),
    ]
    assert {name for verdict, name, _ in lines if verdict != "ok"} == {"keyring", "clock"}  # skipped
    host = domo.url.removeprefix("http://")
    for line in (
        "ok   credentials  the client cana…, from the environment",
        "ok   DNS          127.0.0.1 is 127.0.0.1",
        f"ok   TCP          connected to {host}",
        "ok   answer       HTTP status 200",
        "skip clock        the server does not tell its time",
        "ok   token        for acme, scopes data user, 3599 s",
    ):
        assert f"\n{line}\n" in ended.out
    assert len(domo.requests) == 1
    assert not any(secret in ended.out for secret in (TOKEN, "canary-secret"))


@pytest.mark.parametrize(
    ("env", "colored"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colors_are_for_terminals_of_people_who_want_them(env, colored, run, domo, monkeypatch):
    monkeypatch.setattr(click.utils, "should_strip_ansi", lambda stream, color: color is False)
    ended = run("doctor", **env)
    assert ("\x1b[32mok\x1b[0m   versions" in ended.out) is colored
    assert ("\x1b" in ended.out) is colored
    monkeypatch.undo()
    assert "\x1b" not in run("doctor", TERM="xterm").out  # as it is not a terminal


@pytest.mark.parametrize(
    ("seconds", "verdict", "told"),
    [
        (0, "ok", "as the server's, to the minute"),
        (-600, "warn", "s ahead of the server's: set this machine's clock (NTP)"),
        (600, "warn", "s behind the server's: set this machine's clock (NTP)"),
        (None, "skip", "the server does not tell its time"),
    ],
)
def test_the_clock_is_compared_with_the_servers(seconds, verdict, told, examine, domo):
    when = datetime.now(UTC) + timedelta(seconds=seconds or 0)
    date = "yesterday" if seconds is None else format_datetime(when, usegmt=True)
    domo.answer = GRANTED.replace(b"\r\n", f"\r\ndate: {date}\r\n".encode(), 1)
    found = examine()["clock"]
    assert (found[0], found[1].endswith(told)) == (verdict, True)


@pytest.mark.parametrize(
    ("reply", "last", "answered", "told"),
    [
        (answer("401 Unauthorized"), "token", "HTTP status 401", "answered 401 Unauthorized"),
        (answer("503 Unavailable"), "token", "HTTP status 503", "answered 503"),
        (b"SSH-2.0-OpenSSH\r\n", "answer", "none (RemoteProtocolError): something else may listen there", "no answer"),
        (b"", "answer", "none (RemoteProtocolError): something else may listen there", "the connection was lost"),
    ],
)
def test_an_answer_that_is_not_a_token(reply, last, answered, told, examine, domo):
    domo.answer = reply
    checks = examine()
    assert checks["request"] == ("ok", "sent")
    assert checks["answer"][1].startswith(answered)
    assert checks[last][0] == checks["token"][0] == "fail"
    assert told in checks["token"][1]
    assert checks["store"][0] == "ok"


def test_without_credentials_the_network_is_checked_all_the_same(examine, domo, monkeypatch):
    monkeypatch.delenv("DOMO_CLIENT_ID")
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    domo.answer = answer("401 Unauthorized")
    checks = examine()
    assert checks["credentials"][0] == "fail"
    assert "domo-oauth login" in checks["credentials"][1]
    assert checks["answer"] == ("ok", "HTTP status 401")
    assert checks["token"] == ("skip", "the endpoint refused a made-up client, as it should")
    domo.answer = answer("503 Unavailable")
    assert examine()["token"][0] == "fail"
    for name in ("DOMO_API_URL", "DOMO_STORE"):
        monkeypatch.delenv(name)
    assert examine(f"--base-url {domo.url}")["environment"] == ("ok", "nothing set")


def test_nobody_listens(examine, domo):
    domo.close()
    checks = examine()
    assert checks["TCP"][0] == checks["token"][0] == "fail"
    assert "no connection to 127.0.0.1:" in checks["TCP"][1]
    assert "Connection refused" in checks["TCP"][1]
    assert "DNS" not in checks
    assert "request" not in checks


def test_a_host_that_nobody_knows(examine, monkeypatch):
    def fail(*args, **more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    checks = examine("--base-url https://nobody.invalid")
    told = "nobody.invalid is not known ([Errno -2] Name or service not known): check its name and the name server"
    assert checks["DNS"] == ("fail", told)
    assert "TCP" not in checks


class Proxy:
    """A proxy on loopback that opens one tunnel, or refuses."""

    def __init__(self, reply: bytes) -> None:
        self.request = b""
        self._reply, self._socket = reply, socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        client, _ = self._socket.accept()
        with client, contextlib.suppress(OSError):
            while b"\r\n\r\n" not in self.request:
                self.request += client.recv(4096)
            client.sendall(self._reply)
            if b" 200 " in self._reply:
                host, port = self.request.split()[1].decode().split(":")
                with socket.create_connection((host, int(port))) as server:
                    self._threads.append(threading.Thread(target=self._copy, args=(server, client)))
                    self._threads[1].start()
                    self._copy(client, server)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while received := source.recv(65536):
                target.sendall(received)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for thread in self._threads:
            thread.join()
        self._socket.close()


def test_a_proxy_and_tls(examine, domo, tmp_path):
    trusted = authority(domo, str(tmp_path / "authority.pem"), name="\x1b]0;owned\x07")
    proxy = Proxy(b"HTTP/1.1 200 Connection established\r\n\r\n")
    checks = examine(f"--base-url {domo.url}", HTTPS_PROXY=f"http://user:pa55@{proxy.address}", SSL_CERT_FILE=trusted)
    proxy.close()
    names = list(checks)
    assert names[names.index("proxy") :] == [
        *("proxy", "DNS", "TCP", "tunnel", "TLS", "request", "answer", "clock", "token", "store")
    ]
    assert checks["proxy"] == ("ok", f"{proxy.address}, from the environment or the system")
    assert checks["TCP"] == ("ok", f"connected to {proxy.address}")
    assert checks["tunnel"] == ("ok", "opened by the proxy")
    assert checks["TLS"][1].startswith("TLSv1.3, certificate by ]0;owned , good for ")
    assert checks["token"][0] == "ok"
    assert b"\r\nProxy-Authorization: Basic dXNlcjpwYTU1\r\n" in proxy.request
    assert "SSL_CERT_FILE" in checks["environment"][1]


def test_a_proxy_that_refuses(examine):
    proxy = Proxy(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
    checks = examine("--base-url https://127.0.0.1:9", HTTPS_PROXY=proxy.address)
    proxy.close()
    told = "the proxy answered 407: check its user and password, and whether it allows this host"
    assert checks["tunnel"] == ("fail", told)
    assert "TLS" not in checks
    assert "request" not in checks
    assert checks["token"][0] == "fail"


@pytest.mark.parametrize("proxy", ["http://user:pa55/word@127.0.0.1:1", "user:pa55#@127.0.0.1:1", "http://[::1"])
def test_a_proxy_url_that_is_invalid(proxy, examine):
    checks = examine("--base-url https://127.0.0.1:9", HTTPS_PROXY=proxy)
    assert checks["proxy"][0] == "fail"
    assert checks["proxy"][1].startswith("Invalid proxy URL in the environment: check HTTPS_PROXY and ALL_PROXY: ")
    assert list(checks)[-2:] == ["proxy", "store"]


def test_tls_that_is_not_trusted(examine, domo, tmp_path):
    authority(domo, str(tmp_path / "authority.pem"))
    checks = examine(f"--base-url {domo.url}")
    assert checks["TLS"][0] == checks["token"][0] == "fail"
    assert checks["TLS"][1].startswith("the certificate is not trusted (")
    assert "set SSL_CERT_FILE to its authority" in checks["TLS"][1]
    assert domo.requests == []


def test_what_listens_does_not_speak_tls(examine):
    with socket.create_server(("127.0.0.1", 0)) as listens:

        def hang_up() -> None:
            listens.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        checks = examine(f"--base-url https://127.0.0.1:{listens.getsockname()[1]}")
        thread.join()
    assert checks["TLS"][0] == checks["token"][0] == "fail"
    assert checks["TLS"][1].startswith("no secure connection (")


@pytest.mark.parametrize(
    ("certificate", "verdict", "told"),
    [
        (
            {"issuer": ((("organizationName", "Acme"),), (("commonName", "R1"),))},
            "ok",
            "certificate by Acme, good for 30",
        ),
        ({"issuer": ((("commonName", "R1"),),), "days": 3}, "warn", "certificate by R1, good for 3 days: whoever runs"),
        ({"days": -1}, "warn", "certificate by an unknown issuer, good for -1 days"),
    ],
)
def test_who_vouches_for_the_server_and_how_long(certificate, verdict, told):
    ends = datetime.now(UTC) + timedelta(days=certificate.pop("days", 30), hours=1)

    class Connection:
        def getpeercert(self):
            return {"notAfter": ends.strftime("%b %d %H:%M:%S %Y GMT"), **certificate}

        def version(self):
            return "TLSv1.3"

    check = doctor._certificate(Connection())
    assert (check.verdict, check.told.startswith(f"TLSv1.3, {told}")) == (verdict, True)


def test_what_is_not_installed(examine, monkeypatch):
    def version(name):
        if name == "redis":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setitem(sys.modules, "keyring", None)
    checks = examine()
    assert checks["versions"][1].endswith("domo-oauth 1, httpx 1, cryptography 1, keyring 1, no redis")
    assert checks["keyring"][0] == "skip"
    assert "pip install 'domo-oauth[cli]'" in checks["keyring"][1]


def test_the_keyring_is_named(examine):
    assert examine(PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")["keyring"] == ("ok", "null Keyring")


class Store:
    """A store that behaves as told."""

    path = "/the/store"

    def __init__(self, keeps: bool = True, locks: bool = True, error: Exception | None = None) -> None:
        self._keeps, self._locks, self._error, self._kept = keeps, locks, error, None

    def load(self, name):
        return self._kept

    def save(self, name, sealed, ttl):
        self._kept = sealed if self._keeps else None

    def delete(self, name):
        pass

    def lock(self, name):
        if self._error is not None:
            raise self._error
        return contextlib.nullcontext(self._locks)


@pytest.mark.parametrize(
    ("store", "verdict", "told"),
    [
        (Store(), "ok", "/the/store can be locked, written and read"),
        (Store(keeps=False), "fail", "/the/store does not keep what it is given: name another in DOMO_STORE"),
        (Store(locks=False), "fail", "/the/store cannot be locked: name another in DOMO_STORE"),
        (Store(error=RuntimeError("canary-secret")), "fail", "RuntimeError Until then every process asks Domo itself."),
        (None, "skip", "none: every process asks Domo itself"),
    ],
)
def test_the_store_is_tried(store, verdict, told, monkeypatch):
    monkeypatch.setattr(doctor, "chosen_store", lambda: store)
    assert doctor._store() == ("store", verdict, told)


def test_a_store_that_cannot_be_used(examine, tmp_path):
    (tmp_path / "file").touch()
    verdict, told = examine(DOMO_STORE=str(tmp_path / "file"))["store"]
    assert verdict == "fail"
    assert told.endswith("or name another folder in DOMO_STORE. Until then every process asks Domo itself.")


def test_the_terminal_is_shown_nothing_that_it_would_obey(examine, domo):
    domo.answer = granted(customer="\x1bE")
    assert examine()["token"][1].startswith("for E, scopes")
