"""Recording from a real server on loopback that echoes the credentials wherever a server might."""

import base64
import gzip
import io
import json
import stat
import sys
import threading
import traceback
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest

from domo_oauth import ClientCredentials, errors
from domo_oauth.contract import read_har, record, verify

CLIENT_ID = "canary/client+7f3d91"
CLIENT_SECRET = 'canary"secret/é+c0ffee5ec2e7'
TOKEN = "canary-token-5a1ee1.5a1ee2.5a1ee3"
USER_PASS = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
GRANTED = {
    "access_token": TOKEN,
    "token_type": "bearer",
    "expires_in": 3599,
    "scope": "data user",
    "customer": "acmecompany",
    "userId": 964382593,
    "role": "Admin",
    "jti": "81dece4c-df73-4569-853c-2d1a328897fd",
}
KEPT = GRANTED | {"access_token": "redacted", "customer": "redacted", "userId": 0, "jti": "redacted"}
FORMS = {
    form
    for value in (CLIENT_ID, CLIENT_SECRET, TOKEN, f"{CLIENT_ID}:{CLIENT_SECRET}")
    for form in (value, quote(value, safe=""), json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode()[:-4])
} | {"acmecompany", "964382593", "81dece4c", "canary", "c0ffee"}
CASES = {
    "granted": ("?grant_type=client_credentials", 200),
    "wrong-secret": ("?grant_type=client_credentials", 401),
    "unknown-scope": ("?grant_type=client_credentials&scope=no_such_scope", 400),
    "missing-grant-type": ("", 400),
}
CREDENTIALS = ClientCredentials(CLIENT_ID, CLIENT_SECRET)


class Endpoint(BaseHTTPRequestHandler):
    """Grants a token to the right credentials, refuses all else, and shows every secret in every response."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Authorization"]))
        status, members = self.answer()
        body = gzip.compress(json.dumps(members).encode())
        self.send_response(status)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Set-Cookie", "session=canary-cookie")
        self.send_header("X-Echo", f"{self.headers['Authorization']}; {CLIENT_ID}; token={TOKEN}")
        self.end_headers()
        self.wfile.write(body)

    def answer(self):
        echo = {
            "message": f"{CLIENT_ID} with {CLIENT_SECRET}",
            CLIENT_ID: {CLIENT_SECRET: [f"Basic {USER_PASS}", TOKEN]},
        }
        if self.headers["Authorization"] != f"Basic {USER_PASS}":
            return 401, {"error": "Unauthorized", **echo}
        if "grant_type=client_credentials" not in self.path:
            return 400, {"error": "invalid_request", **echo}
        if "scope=" in self.path:
            return 400, {"error": "invalid_scope", **echo}
        return 200, GRANTED | echo

    def log_message(self, *_args):
        pass


def always(status, body=b"", **headers):
    """An endpoint that answers every request alike, or hangs up if the status is 0."""

    class Always(Endpoint):
        def do_GET(self):
            self.server.asked.append(self.path)
            if status:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

    return Always


@contextmanager
def serving(handler=Endpoint):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What the endpoint was asked, and the files by case."""
    with serving() as (server, url):
        files = record(CREDENTIALS, tmp_path_factory.mktemp("new") / "folder", base_url=url)
    return server.asked, {path.stem.split("-", 2)[2]: path for path in files}


def exchange_in(path):
    (exchange,) = read_har(path).exchanges.values()
    return exchange


def test_one_good_and_three_bad_exchanges(recorded):
    asked, files = recorded
    assert [path for path, _ in asked] == [f"/oauth/token{query}" for query, _ in CASES.values()]
    sent = [base64.b64decode(authorization.removeprefix("Basic ")).decode() for _, authorization in asked]
    right = f"{CLIENT_ID}:{CLIENT_SECRET}"
    assert [each == right for each in sent] == [True, False, True, True]
    assert sent[1].startswith(f"{CLIENT_ID}:")
    assert {case: exchange_in(path).status for case, path in files.items()} == {
        case: status for case, (_, status) in CASES.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_no_secret_remains(recorded, case):
    text = recorded[1][case].read_text(encoding="utf-8").lower()
    assert not [form for form in FORMS if form.lower() in text]


def test_what_is_harmless_is_kept(recorded):
    exchange = exchange_in(recorded[1]["granted"])
    body = json.loads(exchange.response_body)
    assert body == KEPT | {"message": "[redacted]", "redacted-9": {"redacted-0": ["redacted", "redacted"]}}
    assert dict(exchange.request_headers)["Authorization"] == "Basic [redacted]"
    assert [value for name, value in exchange.response_headers if name == "Cache-Control"] == ["no-cache", "no-store"]
    assert ("Content-Type", "application/json;charset=UTF-8") in exchange.response_headers
    assert {"Set-Cookie": "[redacted]", "X-Echo": "[redacted]"}.items() <= dict(exchange.response_headers).items()


def test_the_files_keep_the_contract_and_only_their_owner_can_read_them(recorded):
    out = io.StringIO()
    assert verify(recorded[1].values(), out=out) == 0, out.getvalue()
    assert out.getvalue().count("(sandbox)") == len(CASES)
    assert "not checked" not in out.getvalue()
    if sys.platform != "win32":
        assert {stat.S_IMODE(path.stat().st_mode) for path in recorded[1].values()} == {0o600}


@pytest.mark.parametrize("case", CASES)
def test_a_response_of_a_sandbox_is_marked(recorded, case):
    log = json.loads(recorded[1][case].read_text(encoding="utf-8"))["log"]
    provenance = log["_provenance"]
    assert recorded[1][case].name.startswith("sandbox-")
    assert (provenance["kind"], provenance["source"], provenance["case"]) == ("sandbox", "127.0.0.1", case)
    assert log["creator"]["name"] == "domo-oauth (sandbox)"
    assert log["comment"].startswith("A response of a sandbox on loopback, not of Domo (sandbox)")
    assert log["entries"][0]["startedDateTime"][:19] == provenance["when"][:19]
    assert log["entries"][0]["time"] > 0


def test_a_response_of_domo_is_marked_as_recorded(tmp_path, monkeypatch):
    """Tests never ask Domo: a server on loopback takes its place."""
    body = json.dumps(GRANTED).encode()
    with serving(always(200, body, Content_Type="application/json", Cache_Control="no-store")) as (_, url):
        monkeypatch.setattr(sys.modules["domo_oauth.contract.record"], "server", lambda: url)
        files = record(CREDENTIALS, tmp_path, base_url=url)
    assert {path.name.partition("-")[0] for path in files} == {"recorded"}
    assert {read_har(path).provenance["kind"] for path in files} == {"recorded"}
    out = io.StringIO()
    assert verify(files, out=out) == 1
    assert "error: request.query.grant_type: required; found none" in out.getvalue()  # as it was granted


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.example.com",
        "http://127.0.0.1:1/prefix",
        "http://api.domo.com",
        "https://api.domo.com:8443",
        "ftp://x",
    ],
)
def test_only_domo_and_sandboxes_are_asked(tmp_path, base_url):
    with pytest.raises(errors.ConfigurationError):
        record(CREDENTIALS, tmp_path / "out", base_url=base_url)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_noticed_before_anything_is_asked(tmp_path):
    (tmp_path / "file").touch()
    with serving() as (server, url), pytest.raises(errors.DomoOAuthError, match="file cannot be written: File exists"):
        record(CREDENTIALS, tmp_path / "file", base_url=url)
    assert server.asked == []


def test_nothing_is_overwritten(tmp_path, monkeypatch):
    class Stopped(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(sys.modules["domo_oauth.contract.record"], "datetime", Stopped)
    mine = tmp_path / "sandbox-20260102T030405Z-granted.har"
    mine.write_text("mine")
    with (
        serving() as (_, url),
        pytest.raises(errors.DomoOAuthError, match=r"granted\.har cannot be written: File exists"),
    ):
        record(CREDENTIALS, tmp_path, base_url=url)
    assert [(path, path.read_text()) for path in tmp_path.iterdir()] == [(mine, "mine")]


REFUSALS = {
    "redirect": (always(302, Location="/elsewhere"), errors.UnexpectedResponseError),
    "malformed redirect": (always(302, Location="https://xn--a/"), errors.UnexpectedResponseError),
    "wrong credentials": (always(401), errors.InvalidClientError),
    "forbidden": (always(403), errors.TokenRequestError),
    "too many requests": (always(429, Retry_After="30"), errors.RateLimitedError),
    "server error": (always(503), errors.ServerError),
    "token under another name": (
        always(200, b'{"accessToken": "%s"}' % TOKEN.encode()),
        errors.UnexpectedResponseError,
    ),
    "endless body": (always(200, b" " * 2_000_000, Content_Type="application/json"), errors.UnexpectedResponseError),
    "no response": (always(0), errors.TransportError),
}


@pytest.mark.parametrize(("handler", "kind"), REFUSALS.values(), ids=REFUSALS)
def test_without_a_token_nothing_more_is_asked_and_nothing_written(tmp_path, handler, kind):
    with serving(handler) as (server, url), pytest.raises(errors.DomoOAuthError) as caught:
        record(CREDENTIALS, tmp_path, base_url=url)
    assert server.asked == ["/oauth/token?grant_type=client_credentials"]
    assert type(caught.value) is kind
    assert list(tmp_path.iterdir()) == []
    assert_silent(caught.value)


def test_a_bad_request_without_a_response_stops_everything(tmp_path):
    class Once(Endpoint):
        def do_GET(self):
            if not self.server.asked:
                super().do_GET()

    with serving(Once) as (_, url), pytest.raises(errors.TransportError) as caught:
        record(CREDENTIALS, tmp_path, base_url=url)
    assert list(tmp_path.iterdir()) == []
    assert_silent(caught.value)


@pytest.mark.parametrize("proxy", ["http://user:canary/word@127.0.0.1:1", "foo://user:canary@h"])
def test_no_traceback_shows_the_password_of_a_proxy(tmp_path, monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(errors.ConfigurationError) as caught:
        record(CREDENTIALS, tmp_path)
    assert_silent(caught.value)


def assert_silent(error):
    """Neither the error nor the locals of our frames show a secret, as a debugger or an error tracker prints them."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in shown.stack if "/domo_oauth/" in frame.filename.replace("\\", "/")]
    assert ours
    printed = [str(error), *(value for frame in ours for value in (frame.locals or {}).values())]
    assert not [text for text in printed if any(form in text for form in FORMS)]
