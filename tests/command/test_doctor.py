"""`doctor`: what it says about a machine on which one thing or another does not work."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import click
import pytest
import trustme

from domo_oauth.stores.file import FileStore
from tests.command.conftest import TOKEN, answer
from tests.wire import Peer, Server

NETWORK = ["proxy", "DNS", "TCP", "request", "response", "token", "store"]
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
        checks = {check["name"]: (check["verdict"], check["detail"]) for check in report["checks"]}
        assert ended.status == (not report["ok"]) == ("fail" in {verdict for verdict, _ in checks.values()})
        return checks

    return examine


def test_all_is_well(run, domo, tmp_path):
    ended = run("doctor", NO_COLOR="1")
    assert (ended.status, ended.err) == (0, "")
    versions, *lines = ended.out.splitlines()
    assert versions.startswith("ok   versions     Python 3.")
    assert lines == [
        "ok   environment  DOMO_CLIENT_ID, DOMO_CLIENT_SECRET, DOMO_API_URL, DOMO_STORE set",
        "skip keyring      There is no keyring on this system, or Python's package keyring is not installed",
        f"ok   base URL     {domo.url}",
        "ok   credentials  the client cana…, from the environment",
        "ok   proxy        none",
        "ok   DNS          127.0.0.1 is 127.0.0.1",
        f"ok   TCP          connected to {domo.url.removeprefix('http://')}",
        "ok   request      sent",
        "ok   response     HTTP status 200",
        "ok   token        for acme, scopes data user, 3599 s",
        f"ok   store        {tmp_path}/store can be locked, written and read",
    ]
    assert len(domo.requests) == 1


def test_colors_only_on_terminals_that_allow_them(run, domo, monkeypatch):
    assert "\x1b" not in run("doctor").out  # as it is not a terminal
    monkeypatch.setattr(click.utils, "should_strip_ansi", lambda stream, color: color is False)
    assert run("doctor").out.startswith("\x1b[32mok\x1b[0m   versions")
    assert "\x1b" not in run("doctor", NO_COLOR="1").out


@pytest.mark.parametrize(
    ("reply", "response", "text"),
    [
        (answer("401 Unauthorized"), ("ok", "HTTP status 401"), "returned 401 Unauthorized"),
        (b"SSH-2.0-OpenSSH\r\n", ("fail", "RemoteProtocolError; see token"), "the connection was lost"),
    ],
)
def test_a_response_that_is_not_a_token(reply, response, text, examine, domo):
    domo.answer = reply
    checks = examine()
    assert checks["request"] == ("ok", "sent")
    assert checks["response"] == response
    assert checks["token"][0] == "fail"
    assert text in checks["token"][1]
    assert checks["store"][0] == "ok"


def test_without_credentials_the_network_is_checked_all_the_same(examine, domo, monkeypatch):
    for name in ("CLIENT_ID", "CLIENT_SECRET", "API_URL", "STORE"):
        monkeypatch.delenv(f"DOMO_{name}")
    domo.answer = answer("401 Unauthorized")
    checks = examine(f"--base-url {domo.url}")
    assert checks["environment"] == ("ok", "nothing set")
    assert checks["credentials"][0] == "fail"
    assert "domo-oauth login" in checks["credentials"][1]
    assert checks["response"] == ("ok", "HTTP status 401")
    assert checks["token"] == ("skip", "the endpoint refused a made-up client, as it should")


def test_no_connection(examine, domo, monkeypatch):
    domo.close()
    checks = examine()
    assert checks["TCP"] == ("fail", "ConnectError; see token")
    assert "Connection refused" in checks["token"][1]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (_ for _ in ()).throw(socket.gaierror(-2, "unknown")))
    checks = examine("--base-url https://nobody.invalid")
    assert list(checks)[5:] == ["proxy", "DNS", "token", "store"]
    assert checks["DNS"] == ("fail", "ConnectError; see token")


def test_a_proxy_and_tls(examine, domo, tmp_path):
    authority = trustme.CA(organization_name="\x1b]0;owned\x07")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    domo.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(domo.tls)

    def tunnel(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        peer.upgrade()
        peer.request()
        peer.send(domo.answer)

    with contextlib.closing(Server(tunnel, tls=domo.tls, scheme="http")) as proxy:
        address = proxy.url.removeprefix("http://")
        args = {"HTTPS_PROXY": f"http://user:pa55@{address}", "SSL_CERT_FILE": str(tmp_path / "authority.pem")}
        checks = examine(f"--base-url {domo.url}", **args)
    assert list(checks)[5:] == [*NETWORK[:3], "tunnel", "TLS", *NETWORK[3:]]
    assert checks["proxy"] == ("ok", f"{address}, from the environment or the system")
    assert checks["TCP"] == ("ok", f"connected to {address}")
    assert checks["tunnel"] == ("ok", "opened by the proxy")
    assert checks["TLS"] == ("ok", "TLSv1.3, certificate by ]0;owned")
    checks = examine(f"--base-url {domo.url}")
    assert checks["TLS"] == ("fail", "ConnectError; see token")
    assert "set SSL_CERT_FILE" in checks["token"][1]


def test_a_proxy_that_refuses(examine, wire):
    proxy = wire(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
    checks = examine("--base-url https://127.0.0.1:9", HTTPS_PROXY=proxy.url.removeprefix("http://"))
    assert list(checks)[5:] == [*NETWORK[:3], "tunnel", "token", "store"]
    assert checks["tunnel"] == ("fail", "the proxy returned 407: check its user, password and rules")


def test_a_proxy_url_that_is_invalid(examine):
    checks = examine("--base-url https://127.0.0.1:9", HTTPS_PROXY="user:pa55#@127.0.0.1:1")
    assert checks["proxy"][0] == "fail"
    assert checks["proxy"][1].startswith("Invalid proxy URL in the environment: check HTTPS_PROXY and ALL_PROXY: ")
    assert list(checks)[5:] == ["proxy", "store"]


def test_what_is_not_installed(examine, monkeypatch):
    monkeypatch.setattr("importlib.metadata.Distribution.from_name", _not_found)
    monkeypatch.setitem(sys.modules, "keyring", None)
    checks = examine()
    assert checks["versions"][1].endswith(", no domo-oauth, no httpx, no cryptography, no keyring, no redis")
    assert checks["keyring"][0] == "skip"


def _not_found(name: str) -> None:
    raise PackageNotFoundError(name)


def test_the_keyring_is_named(examine):
    assert examine(PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")["keyring"] == ("ok", "null Keyring")


def test_a_store_that_does_not_work(examine, tmp_path, monkeypatch):
    assert examine(DOMO_STORE="none")["store"] == ("skip", "none: every process requests its own token")
    (tmp_path / "file").touch()
    verdict, told = examine(DOMO_STORE=str(tmp_path / "file"))["store"]
    assert verdict == "fail"
    assert told.endswith("or name another folder in DOMO_STORE. Until then, every process requests its own token.")
    monkeypatch.setattr(FileStore, "load", lambda self, name: None)
    assert examine()["store"] == ("fail", f"{tmp_path}/store cannot be locked, or loses entries")
    monkeypatch.setattr(FileStore, "load", lambda self, name: Path("canary-secret\n").read_text())
    assert examine()["store"] == ("fail", "FileNotFoundError Until then, every process requests its own token.")
