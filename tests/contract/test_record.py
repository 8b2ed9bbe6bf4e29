"""Recording from the sandbox, and from a server that echoes the credentials wherever a server might."""

import base64
import gzip
import io
import json
import stat
import sys
from datetime import datetime
from urllib.parse import quote

import pytest

from domo_oauth import ClientCredentials, errors
from domo_oauth.contract import read_har, record, verify
from domo_oauth.sandbox import Client, running
from tests.adapters.server import answer
from tests.secrets.show import by_traceback

CLIENT_ID = "canary/client+7f3d91"
CLIENT_SECRET = 'canary"secret/é+c0ffee5ec2e7'
CREDENTIALS = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
TOKEN = "canary-token-5a1ee1.5a1ee2.5a1ee3"
USER_PASS = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
ECHO = {
    "access_token": TOKEN,
    "token_type": "bearer",
    "expires_in": 3599,
    "message": f"{CLIENT_ID} with {CLIENT_SECRET}",
    CLIENT_ID: {CLIENT_SECRET: [f"Basic {USER_PASS}", TOKEN]},
}
FORMS = {
    form
    for value in (CLIENT_ID, CLIENT_SECRET, TOKEN, f"{CLIENT_ID}:{CLIENT_SECRET}")
    for form in (value, quote(value, safe=""), json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode()[:-4])
} | {"canary", "c0ffee", "5a1ee"}
CASES = {
    "granted": ("?grant_type=client_credentials", 200),
    "wrong-secret": ("?grant_type=client_credentials", 401),
    "unknown-scope": ("?grant_type=client_credentials&scope=no_such_scope", 400),
    "missing-grant-type": ("", 400),
}


ECHOED = answer(
    200,
    gzip.compress(json.dumps(ECHO).encode()),
    "Content-Type: application/json;charset=UTF-8",
    "Content-Encoding: gzip",
    "Cache-Control: no-cache",
    "Cache-Control: no-store",
    "Set-Cookie: session=canary-cookie",
    f"X-Echo: Basic {USER_PASS}; {CLIENT_ID}; token={TOKEN}",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The files recorded from a sandbox, by case."""
    client = Client(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, scopes=("data",))
    with running(clients=[client], quiet=True) as sandbox:
        files = record(CREDENTIALS, tmp_path_factory.mktemp("new") / "folder", base_url=sandbox.url)
        assert sandbox.stats().token_requests == len(CASES)
    return {path.stem.split("-", 2)[2]: path for path in files}


def exchange_in(path):
    (exchange,) = read_har(path).exchanges.values()
    return exchange


def test_one_good_and_three_bad_exchanges(files):
    exchanges = {case: exchange_in(path) for case, path in files.items()}
    assert {case: (each.url.partition("/oauth/token")[2], each.status) for case, each in exchanges.items()} == CASES


def test_the_files_keep_the_contract_and_only_their_owner_can_read_them(files):
    out = io.StringIO()
    assert verify(files.values(), out=out) == 0, out.getvalue()
    assert out.getvalue().count("(sandbox)") == len(CASES)
    assert "not checked" not in out.getvalue()
    if sys.platform != "win32":
        assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}


def test_a_response_of_a_sandbox_is_marked(files):
    log = json.loads(files["granted"].read_text(encoding="utf-8"))["log"]
    provenance = log["_provenance"]
    assert files["granted"].name.startswith("sandbox-")
    assert (provenance["kind"], provenance["source"], provenance["case"]) == ("sandbox", "127.0.0.1", "granted")
    assert log["comment"].startswith("A response of a sandbox on loopback, not of Domo (sandbox)")
    assert log["entries"][0]["startedDateTime"][:19] == provenance["when"][:19]


def test_no_secret_remains_and_what_is_harmless_is_kept(wire, tmp_path):
    files = record(CREDENTIALS, tmp_path, base_url=wire(ECHOED).url)
    for path in files:
        text = path.read_text(encoding="utf-8").lower()
        assert not [form for form in FORMS if form.lower() in text]
    exchange = exchange_in(files[0])
    assert json.loads(exchange.response_body) == {
        "access_token": "redacted",
        "token_type": "bearer",
        "expires_in": 3599,
        "message": "[redacted]",
        "redacted-4": {"redacted-0": ["redacted", "redacted"]},
    }
    assert ("Authorization", "Basic [redacted]") in exchange.request_headers
    kept = [value for name, value in exchange.response_headers if name in {"Cache-Control", "Set-Cookie", "X-Echo"}]
    assert kept == ["no-cache", "no-store", "[redacted]", "[redacted]"]


def test_a_response_of_domo_is_marked_as_recorded(wire, tmp_path, monkeypatch):
    """Tests never ask Domo: a server on loopback takes its place."""
    server = wire(ECHOED)
    monkeypatch.setattr(sys.modules["domo_oauth.contract.record"], "server", lambda: server.url)
    files = record(CREDENTIALS, tmp_path, base_url=server.url)
    assert {path.name.partition("-")[0] for path in files} == {"recorded"}
    assert {read_har(path).provenance["kind"] for path in files} == {"recorded"}


@pytest.mark.parametrize("base_url", ["https://api.example.com", "https://api.domo.com:8443"])
def test_requests_go_only_to_domo_and_sandboxes(tmp_path, base_url):
    with pytest.raises(errors.ConfigurationError):
        record(CREDENTIALS, tmp_path / "out", base_url=base_url)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_noticed_before_any_request(wire, tmp_path):
    (tmp_path / "file").touch()
    server = wire(ECHOED)
    with pytest.raises(errors.DomoOAuthError, match="file cannot be written: File exists"):
        record(CREDENTIALS, tmp_path / "file", base_url=server.url)
    assert server.requests == []


def test_nothing_is_overwritten(wire, tmp_path, monkeypatch):
    class Stopped(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(sys.modules["domo_oauth.contract.record"], "datetime", Stopped)
    mine = tmp_path / "sandbox-20260102T030405Z-granted.har"
    mine.write_text("mine")
    with pytest.raises(errors.DomoOAuthError, match=r"granted\.har cannot be written: File exists"):
        record(CREDENTIALS, tmp_path, base_url=wire(ECHOED).url)
    assert [(path, path.read_text()) for path in tmp_path.iterdir()] == [(mine, "mine")]


REFUSALS = {
    "redirect": (answer(302, b"", "Location: /elsewhere"), errors.UnexpectedResponseError),
    "wrong credentials": (answer(401), errors.InvalidClientError),
    "server error": (answer(503), errors.ServerError),
    "token under another name": (
        answer(200, b'{"accessToken": "%s"}' % TOKEN.encode(), "Content-Type: application/json"),
        errors.UnexpectedResponseError,
    ),
    "no response": (b"", errors.TransportError),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_without_a_token_nothing_more_is_sent_and_nothing_written(wire, tmp_path, name):
    server = wire(REFUSALS[name][0])
    with pytest.raises(errors.DomoOAuthError) as caught:
        record(CREDENTIALS, tmp_path, base_url=server.url)
    assert (type(caught.value), len(server.requests)) == (REFUSALS[name][1], 1)
    assert list(tmp_path.iterdir()) == []
    del server  # its repr has the requests
    shown = by_traceback(caught.value)
    assert not [form for form in FORMS if form in shown]
