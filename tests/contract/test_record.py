"""Recording against a real server on loopback that echoes the credentials wherever a server might."""

import base64
import gzip
import io
import json
import stat
import sys
import threading
import traceback
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import httpx
import pytest

from domo_oauth.contract import Exchange, read_har, record, verify
from domo_oauth.contract.record import _written
from domo_oauth.contract.redact import redacted
from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import (
    ConfigurationError,
    DomoOAuthError,
    TokenRequestError,
    TransportError,
    UnexpectedResponseError,
)

CLIENT_ID = "canary/client+7f3d91"
CLIENT_SECRET = 'canary"secret/é+c0ffee5ec2e7'
TOKEN = "canary-token-5a1ee1.5a1ee2.5a1ee3"
USER_PASS = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
SECRETS = {
    CLIENT_ID,
    CLIENT_SECRET,
    TOKEN,
    USER_PASS,
    quote(CLIENT_ID, safe=""),
    quote(CLIENT_SECRET, safe=""),
    json.dumps(CLIENT_SECRET)[1:-1],
    base64.b64encode(CLIENT_ID.encode()).decode().rstrip("=")[:-1],
    base64.b64encode(CLIENT_SECRET.encode()).decode().rstrip("=")[:-1],
    base64.b64encode(TOKEN.encode()).decode().rstrip("=")[:-1],
}
GRANTED = {
    "access_token": TOKEN,
    "token_type": "bearer",
    "expires_in": 3599,
    "scope": "data user",
    "customer": "acmecompany",
    "env": "prod1",
    "userId": 964382593,
    "role": "Admin",
    "jti": "81dece4c-df73-4569-853c-2d1a328897fd",
}
PERSONAL = ("acmecompany", "964382593", "81dece4c")


class Endpoint(BaseHTTPRequestHandler):
    """Grants to the right credentials, refuses all else, and tells in every answer what it should not."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str | None]]

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Authorization"], self.headers["Cookie"]))
        status, members = self.answer()
        body = gzip.compress(self.server.mutate(json.dumps(members, indent=1).encode()))
        self.send_response(status)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Set-Cookie", "session=canary-cookie")
        self.send_header("X-Echo", f"{self.headers['Authorization']}; {CLIENT_ID}; token={TOKEN}")
        self.send_header("X-Url", f"/?id={quote(CLIENT_ID, safe='')}&again={CLIENT_ID.upper()}")
        self.end_headers()
        self.wfile.write(body)

    def answer(self):
        echo = {"message": f"{CLIENT_ID} with {CLIENT_SECRET}", CLIENT_ID: {CLIENT_SECRET: [f"Basic {USER_PASS}"]}}
        echo["inside"] = base64.b64encode(f"x{CLIENT_SECRET}yz".encode()).decode()
        if self.headers["Authorization"] != f"Basic {USER_PASS}":
            return 401, {"status": 401, "error": "Unauthorized", **echo}
        if "grant_type=client_credentials" not in self.path:
            return 400, {"error": "invalid_request", **echo}
        if "scope=" in self.path:
            return 400, {"error": "invalid_scope", **echo}
        return 200, GRANTED | echo

    def log_message(self, *_args):
        pass


@contextmanager
def serving(mutate=bytes, handler=Endpoint):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked, server.mutate = [], mutate
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def credentials():
    return ClientCredentials(CLIENT_ID, CLIENT_SECRET)


@pytest.fixture
def files(credentials, tmp_path):
    with serving() as (_, url):
        return record(credentials, tmp_path / "new" / "folder", base_url=url)


def cases(files):
    return {path.stem.split("-", 2)[2]: path for path in files}


def test_one_good_and_three_bad_exchanges(credentials, tmp_path):
    with serving() as (server, url):
        files = record(credentials, tmp_path, base_url=url)
    answers = {case: read_har(path).exchanges[0] for case, path in cases(files).items()}
    assert {case: (answer.method, answer.path, answer.status) for case, answer in answers.items()} == {
        "granted": ("GET", "/oauth/token", 200),
        "wrong-secret": ("GET", "/oauth/token", 401),
        "unknown-scope": ("GET", "/oauth/token", 400),
        "missing-grant-type": ("GET", "/oauth/token", 400),
    }
    good, wrong = f"Basic {USER_PASS}", server.asked[1][1]
    assert wrong.startswith("Basic ")
    assert base64.b64decode(wrong[6:]).decode().startswith(f"{CLIENT_ID}:")
    assert server.asked == [
        ("/oauth/token?grant_type=client_credentials", good, None),
        ("/oauth/token?grant_type=client_credentials", wrong, None),
        ("/oauth/token?grant_type=client_credentials&scope=no_such_scope", good, None),
        ("/oauth/token", good, None),
    ]
    assert wrong != good


def test_no_secret_remains(files):
    assert sorted(path.stem.split("-", 2)[2] for path in files) == sorted(cases(files))
    for path in files:
        text = path.read_text(encoding="utf-8")
        once_more = json.dumps(json.loads(text), ensure_ascii=True) + json.loads(json.dumps(text))
        for secret in (*SECRETS, *PERSONAL, "canary", "c0ffee"):
            assert secret.lower() not in once_more.lower(), (path.name, secret)


def test_what_takes_their_place(files):
    (exchange,) = read_har(cases(files)["granted"]).exchanges
    body = json.loads(exchange.response_body)
    assert {name: body[name] for name in GRANTED} == GRANTED | {
        "access_token": "redacted",
        "customer": "redacted",
        "userId": 0,
        "jti": "redacted",
    }
    assert body["message"] == "[client_id] with [client_secret]"
    assert dict(exchange.request_headers)["Authorization"] == "Basic [redacted]"
    assert dict(exchange.response_headers)["Set-Cookie"] == "[redacted]"
    assert dict(exchange.response_headers)["X-Echo"] == "Basic [credentials]; [client_id]; token=[token_1]"
    assert dict(exchange.response_headers)["X-Url"] == "/?id=[client_id]&again=[client_id]"


def test_all_else_is_kept_as_it_was(files):
    (exchange,) = read_har(cases(files)["granted"]).exchanges
    assert [value for name, value in exchange.response_headers if name == "Cache-Control"] == ["no-cache", "no-store"]
    assert ("Content-Encoding", "gzip") in exchange.response_headers
    assert exchange.response_body.startswith(b'{\n "access_token": "redacted",\n "token_type": "bearer"')


def test_they_keep_the_contract(files):
    out = io.StringIO()
    assert verify(files, out=out) == 0, out.getvalue()
    assert out.getvalue().count("(sandbox)") == 4
    assert "was kept" not in out.getvalue()


def test_an_answer_of_a_sandbox_is_never_taken_for_domos(files):
    for path in files:
        log = json.loads(path.read_text(encoding="utf-8"))["log"]
        assert path.name.startswith("sandbox-")
        assert log["_provenance"]["kind"] == "sandbox"
        assert log["_provenance"]["source"] == "127.0.0.1"
        assert log["_provenance"]["recorded_by"] == "domo-oauth record"
        assert log["creator"]["name"] == "domo-oauth (sandbox)"
        assert log["comment"].startswith("An answer of a sandbox on loopback, not of Domo (sandbox)")
        assert log["entries"][0]["startedDateTime"][:19] == log["_provenance"]["when"][:19]
        assert log["entries"][0]["time"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_only_their_owner_can_read_them(files):
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


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
def test_only_domo_and_sandboxes_are_asked(credentials, tmp_path, base_url):
    with pytest.raises(ConfigurationError):
        record(credentials, tmp_path / "out", base_url=base_url)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to(credentials, tmp_path):
    (tmp_path / "file").touch()
    with serving() as (_, url), pytest.raises(ConfigurationError, match="cannot be written"):
        record(credentials, tmp_path / "file", base_url=url)


def escaped(body):
    return body.replace(b"canary", b"c\\u0061nary")


def utf16(body):
    return body.decode().encode("utf-16")


def utf16_without_mark(body):
    return body.decode("ascii").encode("utf-16-le")


def too_long(body):
    return body + b" " * (1 << 20)


def test_a_secret_in_a_form_that_nobody_foresaw_stops_everything(credentials, tmp_path):
    with serving(escaped) as (_, url), pytest.raises(DomoOAuthError, match="is still in the body") as caught:
        record(credentials, tmp_path / "out", base_url=url)
    assert not (tmp_path / "out").exists()
    assert_silent(caught.value)


def test_an_escaped_token_stops_everything(page):
    body = b'{"access_token":"secret-\\u0074oken","again":"secret-\\u0074oken","token_type":"bearer","expires_in":1}'
    answer = Exchange("GET", page.url, status=200, response_body=body)
    with pytest.raises(DomoOAuthError, match="token_1 is still in the body"):
        redacted([answer], {})[0]


def test_a_token_under_an_escaped_name_stops_everything(page):
    answer = Exchange("GET", page.url, status=200, response_body=b'{"access\\u005ftoken": "secret-token"}')
    assert b"secret-token" not in redacted([answer], {})[0].response_body


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token": "secret-token", "cut off',
        b'\xef\xbb\xbf{"access_token":"secret-token"}',
        b'[[{"refresh_token" : "secret-token"}]]',
        b'{"access_token":"secret-token","message":"\\x secret-token"}',
        b"[" * 100_000 + b'"access_token": "secret-token"',
    ],
)
def test_a_token_in_odd_json(page, body):
    answer = Exchange("GET", page.url, status=200, response_body=body, response_headers=(("X", "secret-token"),))
    cleaned = redacted([answer], {})[0]
    assert b"secret-token" not in cleaned.response_body
    assert "secret-token" not in str(cleaned.response_headers)


@pytest.mark.parametrize("mutate", [utf16, utf16_without_mark])
def test_a_body_that_is_not_utf_8_is_not_kept(credentials, tmp_path, mutate):
    with serving(mutate) as (_, url):
        files = record(credentials, tmp_path, base_url=url)
    assert [read_har(path).exchanges[0].response_body for path in files] == [None] * 4


def test_a_token_with_an_escape_that_json_does_not_know(page):
    body = b'{"access_token":"secret-token\\x","message":"secret-token\\x"}'
    (cleaned,) = redacted([Exchange("GET", page.url, response_body=body)], {})
    assert cleaned.response_body == b'{"access_token":"redacted","message":"[token_1]"}'


def test_a_short_secret(page):
    body = b'{"message":"ID x9", "more":"x9eDk="}'
    (cleaned,) = redacted([Exchange("GET", page.url, response_body=body)], {"client_secret": "x9"})
    assert cleaned.response_body == b'{"message":"ID [client_secret]", "more":"[client_secret]eDk="}'


@pytest.mark.parametrize("before", ["", "1", "12", "123"])
@pytest.mark.parametrize("after", ["", "1", "12", "123"])
def test_a_secret_within_base64(page, before, after):
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(f"{before}{CLIENT_SECRET}{after}".encode())
        (cleaned,) = redacted([Exchange("GET", page.url, response_body=encoded)], {"client_secret": CLIENT_SECRET})
        left, name, right = cleaned.response_body.partition(b"[client_secret]")
        assert name
        assert len(left) <= len(before) * 8 // 6  # characters, of 6 bits each, that hold no bit of the secret
        assert len(right.rstrip(b"=")) <= -(-len(after) * 8 // 6)  # the last one may be padded


@pytest.mark.parametrize("secret", ["secret", "client_secret", "redacted", "client"])
def test_a_secret_that_is_part_of_what_stands_in_for_it(page, secret):
    exchange = Exchange(
        "GET",
        page.url,
        (("Authorization", "Basic x"),),
        response_body=b'{"access_token":"t","message":"%s"}' % secret.encode(),
    )
    (cleaned,) = redacted([exchange], {"client_secret": secret, "client_id": "client"})
    assert b"[client_secret]" in cleaned.response_body


def test_latin_1_is_not_kept(page):
    (cleaned,) = redacted([Exchange("GET", page.url, response_body=b"\xe9")], {})
    assert cleaned.response_body is None


def test_what_domo_answers_is_marked_as_recorded(credentials, tmp_path):
    """Domo is not asked by tests: its place is taken within httpx."""
    domo = httpx.MockTransport(lambda request: httpx.Response(200, json=GRANTED, headers={"Cache-Control": "no-store"}))
    files = record(credentials, tmp_path, httpx_args={"transport": domo})
    for path in files:
        provenance = read_har(path).provenance
        assert (provenance["kind"], provenance["source"]) == ("recorded", "api.domo.com")
        assert path.name.startswith("recorded-")
    out = io.StringIO()
    assert verify(files, out=out) == 1
    assert "fault: request.query.grant_type: required; found none" in out.getvalue()  # what was not refused


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "x.har").write_text("mine")
    with pytest.raises(FileExistsError):
        _written(tmp_path / "x.har", "theirs")
    assert (tmp_path / "x.har").read_text() == "mine"


def test_an_answer_that_is_too_long(credentials, tmp_path):
    with (
        serving(too_long) as (_, url),
        pytest.raises(UnexpectedResponseError, match="longer than 1048576 bytes") as caught,
    ):
        record(credentials, tmp_path, base_url=url)
    assert list(tmp_path.iterdir()) == []
    assert_silent(caught.value)


class Redirecting(Endpoint):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_redirects_are_not_followed_and_nothing_is_written_without_a_token(credentials, tmp_path):
    with (
        serving(handler=Redirecting) as (server, url),
        pytest.raises(TokenRequestError, match="granted no token, but answered 302") as caught,
    ):
        record(credentials, tmp_path, base_url=url, httpx_args={"follow_redirects": True})
    assert {path.partition("?")[0] for path in server.asked} == {"/oauth/token"}
    assert caught.value.status == 302
    assert list(tmp_path.iterdir()) == []


class Silent(Endpoint):
    def do_GET(self):
        self.close_connection = True


def test_no_answer_is_an_error_without_a_trace_of_the_credentials(credentials, tmp_path):
    with serving(handler=Silent) as (_, url), pytest.raises(TransportError, match="No answer from 127") as caught:
        record(credentials, tmp_path, base_url=url)
    assert caught.value.__context__ is None
    assert_silent(caught.value)
    assert list(tmp_path.iterdir()) == []


def assert_silent(error):
    """Neither the error nor the locals of our frames tell a secret, as a debugger or an error tracker shows them."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in shown.stack if "/contract/re" in frame.filename.replace("\\", "/")]
    assert ours
    told = [str(error), *(value for frame in ours for value in (frame.locals or {}).values())]
    assert not [text for text in told if "canary" in text or any(secret in text for secret in SECRETS)]
