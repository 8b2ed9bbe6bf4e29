"""Recording against a real server on loopback that echoes the credentials wherever a server might."""

import base64
import errno
import gzip
import io
import json
import socket
import stat
import sys
import tempfile
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import httpx
import pytest

from domo_oauth.contract import Exchange, read_har, record, redact, verify
from domo_oauth.contract.record import _Limit, _written
from domo_oauth.contract.redact import redacted
from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import (
    ConfigurationError,
    DomoOAuthError,
    InvalidClientError,
    RateLimitedError,
    ServerError,
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


def test_a_folder_that_cannot_be_written_to_is_noticed_before_anything_is_asked(credentials, tmp_path):
    (tmp_path / "file").touch()
    with (
        serving() as (server, url),
        pytest.raises(DomoOAuthError, match="file cannot be written: File exists") as caught,
    ):
        record(credentials, tmp_path / "file", base_url=url)
    assert type(caught.value) is DomoOAuthError
    assert server.asked == []


def test_so_is_one_that_is_there_and_closed(credentials, tmp_path, monkeypatch):
    def closed(**options):
        raise PermissionError(errno.EACCES, "Permission denied", f"{options['dir']}/tmp123")

    monkeypatch.setattr(tempfile, "TemporaryFile", closed)  # as root may write anywhere
    with serving() as (server, url), pytest.raises(DomoOAuthError, match="closed cannot be written: Permission"):
        record(credentials, tmp_path / "closed", base_url=url)
    assert server.asked == []


def test_a_file_that_cannot_be_written(credentials, tmp_path, monkeypatch):
    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(sys.modules[_written.__module__], "_written", full)
    with serving() as (_, url), pytest.raises(DomoOAuthError, match=r"granted\.har cannot be written: No space"):
        record(credentials, tmp_path, base_url=url)


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
    assert list((tmp_path / "out").iterdir()) == []
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


@pytest.mark.parametrize("name", ["access_token", "refresh_token", "id_token"])
def test_every_kind_of_token_is_taken_out_everywhere(page, name):
    token = f"canary-{name}"
    told = json.dumps({name: token, "echo": f"<{token}>"}).encode()
    exchange = replace(page, response_body=told, request_body=f"x={token}".encode(), url=f"{page.url}&x={token}")
    (cleaned,) = redacted([exchange], {})
    assert json.loads(cleaned.response_body) == {name: "redacted", "echo": "<[token_1]>"}
    assert cleaned.request_body == b"x=[token_1]"
    assert cleaned.url.endswith("&x=[token_1]")


def test_a_secret_as_a_headers_name_is_taken_out_or_stops_everything(page, monkeypatch):
    exchange = replace(page, response_headers=(("X-canary-secret", "x"),))
    (cleaned,) = redacted([exchange], {"secret": "canary-secret"})
    assert cleaned.response_headers == (("X-[secret]", "x"),)
    monkeypatch.setattr(redact, "_headers", lambda _, headers: headers)
    with pytest.raises(DomoOAuthError, match="The secret is still in the header's name"):
        redacted([exchange], {"secret": "canary-secret"})


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


def answering(status, headers):
    """A server that answers with this status, whatever it is asked."""

    class Refusing(Endpoint):
        def do_GET(self):
            self.server.asked.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Refusing


@pytest.mark.parametrize(
    ("status", "headers", "error", "advice", "retry_after"),
    [
        (302, {"Location": "/elsewhere"}, UnexpectedResponseError, "check the base URL", None),
        (204, {}, UnexpectedResponseError, "check the base URL", None),
        (400, {}, TokenRequestError, "Look at the client in Domo's developer portal", None),
        (401, {}, InvalidClientError, "Check the client id and its secret", None),
        (403, {}, TokenRequestError, "allow list", None),
        (429, {"Retry-After": "30"}, RateLimitedError, "wait 30 s", 30),
        (429, {"Retry-After": "canary"}, RateLimitedError, "wait a while", None),
        (500, {}, ServerError, "try again later", None),
        (501, {}, ServerError, "try again later", None),
        (503, {}, ServerError, "try again later", None),
    ],
)
def test_without_a_token_nothing_more_is_asked_and_nothing_written(
    credentials, tmp_path, status, headers, error, advice, retry_after
):
    with (
        serving(handler=answering(status, headers)) as (server, url),
        pytest.raises(TokenRequestError, match=f"granted no token, but answered {status}, so") as caught,
    ):
        record(credentials, tmp_path, base_url=url, httpx_args={"follow_redirects": True})
    assert server.asked == ["/oauth/token?grant_type=client_credentials"]
    assert type(caught.value) is error
    assert advice in str(caught.value)
    assert caught.value.status == status
    assert (caught.value.retry_after, caught.value.retryable) == (retry_after, status in (429, 500, 503))
    assert list(tmp_path.iterdir()) == []
    assert_silent(caught.value)


def test_a_redirect_to_what_is_no_url_is_an_error_of_ours(credentials, tmp_path):
    handler = answering(302, {"Location": "https://xn--a/"})
    with serving(handler=handler) as (_, url), pytest.raises(TransportError, match="No answer from 127") as caught:
        record(credentials, tmp_path, base_url=url)
    assert caught.value.__context__ is None
    assert_silent(caught.value)


class Dripping(Endpoint):
    """Sends a byte now and then, for ever: in time for the next read, and never done."""

    head = b"HTTP/1.1 200 OK\r\n"

    def do_GET(self):
        self.close_connection = True
        with suppress(OSError):
            self.wfile.write(self.head)
            while True:
                self.wfile.write(b"x")
                time.sleep(0.02)


class DrippingBody(Dripping):
    head = b"HTTP/1.1 200 OK\r\n\r\n"  # its end is that of the connection, which is ours to make


@pytest.mark.parametrize("handler", [Dripping, DrippingBody])
def test_an_answer_that_never_ends_is_cut_off(credentials, tmp_path, monkeypatch, handler):
    monkeypatch.setattr(sys.modules[_written.__module__], "_LONGEST_ANSWER", 0.3)
    with (
        serving(handler=handler) as (_, url),
        pytest.raises(TransportError, match=r"none that was complete after 0\.3 s") as caught,
    ):
        record(credentials, tmp_path, base_url=url)
    assert caught.value.__context__ is None
    assert_silent(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_is_made_too_late_is_cut_off_at_once():
    limit = _Limit(0.0)
    with limit:
        limit._timer.join()
    near, far = socket.socketpair()
    with near, far:
        limit.trace("connection.connect_tcp.complete", {"return_value": Stream(near)})
        assert far.recv(1) == b""


class Stream:
    def __init__(self, wire):
        self.get_extra_info = {"socket": wire}.get


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"HTTPS_PROXY": "http://user:canary/word@127.0.0.1:1"}, "a proxy's URL cannot be read: check HTTPS_PROXY"),
        ({"HTTPS_PROXY": "foo://user:canary@h"}, "a proxy's URL cannot be read"),
        ({"HTTPS_PROXY": "http://[::1"}, "a proxy's URL cannot be read"),
        ({"NO_PROXY": "http://user:canary@xn--a"}, "a proxy's URL cannot be read"),
        ({"HTTPS_PROXY": "socks5://user:canary@h"}, "'socksio' package is not installed"),
        ({"SSL_CERT_FILE": "missing.pem"}, "check SSL_CERT_FILE"),
    ],
)
def test_what_httpx_cannot_use_is_told_without_a_password(credentials, tmp_path, monkeypatch, variables, said):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConfigurationError, match=said) as caught:
        record(credentials, tmp_path)
    assert str(caught.value).startswith("Nothing was sent")
    assert caught.value.__context__ is None
    assert_silent(caught.value)


def test_nor_does_a_traceback_show_the_password_of_a_proxy_that_is_passed(credentials, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        record(credentials, tmp_path, httpx_args={"proxy": "http://user:canary/word@127.0.0.1:1"})
    assert_silent(caught.value)


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
