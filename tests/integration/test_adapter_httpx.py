"""``DomoAuth`` in real httpx clients, against the sandbox and a server that plays Domo's API."""

from __future__ import annotations

import io
import logging
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import httpx
import pytest

from domo_oauth import ClientCredentials, ConfigurationError, DomoAuth, FileStore, TokenProvider
from domo_oauth.adapters._origins import Origins
from domo_oauth.provider import Clock, forget_tokens


class Api(ThreadingHTTPServer):
    """Takes every token but those in ``refused``; keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.refuse = 0
        self.seen: list[tuple[str | None, bytes]] = []
        self.location = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.headers.get("Authorization"), body))
        status = 307 if self.server.location else 401 if self.server.refuse > 0 else 200
        self.server.refuse -= status == 401
        self.send_response(status)
        self.send_header("Content-Length", "2")
        if status == 307:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def serve_api():
    started: list[Api] = []

    def start() -> Api:
        server = Api()
        started.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def provider(domo_sandbox):
    credentials = ClientCredentials(domo_sandbox.client_id, domo_sandbox.client_secret)
    clock = Clock(monotonic=lambda: 0.0)  # its own, so that its token is not that of another test
    with TokenProvider(credentials, base_url=domo_sandbox.url, clock=clock) as provider:
        yield provider


class Caller:
    """One way to send requests."""

    def __init__(self, way: str) -> None:
        self.way = way

    def __call__(self, auth: httpx.Auth, method: str, url: str, body=None, times: int = 1, **kwargs) -> httpx.Response:
        if self.way == "sync":
            with httpx.Client(auth=auth, trust_env=False, **kwargs) as client:
                for _ in range(times):
                    response = client.request(method, url, **(body() if body else {}))
                return response

        async def run() -> httpx.Response:
            async with httpx.AsyncClient(auth=auth, trust_env=False, **kwargs) as client:
                for _ in range(times):
                    response = await client.request(method, url, **(body() if body else {}))
                return response

        return anyio.run(run, backend=self.way)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def call(request):
    return Caller(request.param)


def test_the_first_call_fetches_and_the_others_reuse(call, provider, domo_sandbox):
    auth = DomoAuth(provider)
    for _ in range(2):
        assert call(auth, "GET", f"{domo_sandbox.url}/v1/datasets", times=3).status_code == 200
    assert domo_sandbox.stats().token_requests == 1


def test_from_env_shares_the_token_with_every_other(call, domo_sandbox):
    one = DomoAuth.from_env(scopes=["data"])
    one._provider.reset()
    assert call(one, "GET", f"{domo_sandbox.url}/v1/datasets").status_code == 200
    assert call(DomoAuth.from_env(scopes="data"), "GET", f"{domo_sandbox.url}/v1/datasets").status_code == 200
    assert domo_sandbox.stats().token_requests == 1


def test_a_token_that_domo_no_longer_takes_is_replaced(call, provider, domo_sandbox):
    before = provider.get_token()
    domo_sandbox.revoke_tokens()
    assert call(DomoAuth(provider), "GET", f"{domo_sandbox.url}/v1/datasets").status_code == 200
    assert provider.get_token() != before
    assert domo_sandbox.stats().token_requests == 2


def file_part():
    return {"files": {"upload": ("name.txt", io.BytesIO(b"file content"))}}


SENT_AGAIN = {
    "nothing": dict,
    "bytes": lambda: {"content": b"some bytes"},
    "json": lambda: {"json": {"a": 1}},
    "form": lambda: {"data": {"a": "1"}},
    "file": file_part,
}


@pytest.mark.parametrize("name", SENT_AGAIN)
def test_a_body_that_can_be_is_sent_once_more(name, call, provider, serve_api):
    api = serve_api()
    api.refuse = 1
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    response = call(auth, "POST", f"{api.url}/x", SENT_AGAIN[name], headers={"X": "y"})
    assert response.status_code == 200
    (first, sent), (second, again) = api.seen
    assert sent == again
    assert (sent == b"") == (name == "nothing")
    assert first != second
    assert first.startswith("Bearer ")


def test_an_api_that_refuses_every_token_does_not_get_one_after_the_other(call, provider, domo_sandbox, serve_api):
    api = serve_api()
    api.refuse = 9
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    assert call(auth, "GET", f"{api.url}/x", times=3).status_code == 401
    assert len(api.seen) == 4
    assert domo_sandbox.stats().token_requests == 2


def one_shot(way: str):
    def chunks() -> Iterator[bytes]:
        yield b"one "
        yield b"shot"

    async def async_chunks():
        yield b"one "
        yield b"shot"

    return lambda: {"content": chunks() if way == "sync" else async_chunks()}


def test_a_body_that_is_used_up_is_not_sent_again(call, provider, serve_api):
    api = serve_api()
    api.refuse = 1
    before = provider.get_token()
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    assert call(auth, "POST", f"{api.url}/x", one_shot(call.way)).status_code == 401
    assert [body for _, body in api.seen] == [b"one shot"]
    assert provider.get_token() != before


@pytest.mark.parametrize("others", [{}, {"rewound": io.BytesIO(b"content")}])
def test_a_form_with_a_file_that_cannot_be_rewound_is_not_sent_again(provider, serve_api, others):
    api = serve_api()
    api.refuse = 1
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    files = others | {"upload": Pipe(b"content")}
    assert Caller("sync")(auth, "POST", f"{api.url}/x", lambda: {"files": files}).status_code == 401
    assert len(api.seen) == 1


def test_an_open_file_as_content_is_not_sent_again(provider, serve_api):
    api = serve_api()
    api.refuse = 1
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    with tempfile.TemporaryFile() as file:
        file.write(b"content")
        file.seek(0)
        assert Caller("sync")(auth, "PUT", f"{api.url}/x", lambda: {"content": file}).status_code == 401
    assert [body for _, body in api.seen] == [b"content"]


def test_a_second_401_goes_to_the_caller(call, provider, serve_api):
    api = serve_api()
    api.refuse = 2
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    assert call(auth, "GET", f"{api.url}/x").status_code == 401
    assert len(api.seen) == 2


def test_another_origin_gets_no_token_and_the_log_says_so_once(call, provider, serve_api, caplog):
    caplog.set_level(logging.WARNING, "domo_oauth")
    api = serve_api()
    assert call(DomoAuth(provider), "GET", f"{api.url}/x", times=2).status_code == 200
    assert [token for token, _ in api.seen] == [None, None]
    (record,) = [record for record in caplog.records if record.name == "domo_oauth"]
    assert f"not for {api.url}" in record.getMessage()


def test_a_redirect_away_carries_no_token(call, provider, serve_api):
    api, elsewhere = serve_api(), serve_api()
    api.location, elsewhere.refuse = f"{elsewhere.url}/x", 1
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    token = provider.get_token()
    assert call(auth, "GET", f"{api.url}/x", follow_redirects=True).status_code == 401
    assert [token for token, _ in elsewhere.seen] == [None]
    assert provider.get_token() == token, "a stranger's 401 says nothing of the token"


def test_a_streamed_answer_can_be_streamed_after_a_401(provider, serve_api):
    api = serve_api()
    api.refuse = 1
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    with httpx.Client(auth=auth, trust_env=False) as client, client.stream("GET", f"{api.url}/x") as response:
        assert response.status_code == 200
        assert response.read() == b"{}"
        assert all(earlier.is_closed for earlier in response.history)


def test_it_shows_no_secret(provider, domo_sandbox):
    auth = DomoAuth(provider)
    token = provider.get_token().access_token
    for shown in (repr(auth), str(vars(auth))):
        assert token not in shown
        assert domo_sandbox.client_secret not in shown


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (("https", "api.domo.com", None), True),
        (("https", "api.domo.com", 443), True),
        (("https", "more.domo.com", 8443), True),
        (("http", "api.domo.com", None), False),
        (("https", "api.domo.com", 444), False),
        (("https", "api.domo.com.", None), False),
        (("https", "more.domo.com", None), False),
        (("https", "evil.test", None), False),
        (("https", "api.domo.com.evil.test", None), False),
        (("ftp", "api.domo.com", None), False),
    ],
)
def test_scheme_host_and_port_make_an_origin(asked, allowed):
    assert Origins("https://api.domo.com", ["more.domo.com:8443"])[asked] is allowed


@pytest.mark.parametrize("host", ["", "https://x.test", "x.test/path", "a@b", "x.test:port", "x test"])
def test_a_host_must_be_one(host):
    with pytest.raises(ConfigurationError, match="in hosts must look like"):
        Origins("https://api.domo.com", [host])


def test_from_env_takes_what_the_provider_takes_and_hosts(monkeypatch, serve_api, tmp_path):
    monkeypatch.setenv("DOMO_CLIENT_ID", "canary-client-7f3d91")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "canary-secret-c0ffee5ec2e7")
    asked: list[httpx.Request] = []
    forget_tokens()

    def grant(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        fields = {"access_token": "t", "token_type": "bearer", "expires_in": 3600, "customer": "acmecompany"}
        return httpx.Response(200, json=fields)

    auth = DomoAuth.from_env(
        scopes="data",
        store=FileStore(tmp_path / "tokens"),
        base_url="https://api.elsewhere.test",
        httpx_args={"transport": httpx.MockTransport(grant)},
        hosts=["example.domo.test"],
    )
    seen: list[str] = []
    api = httpx.MockTransport(lambda request: seen.append(request.headers["Authorization"]) or httpx.Response(200))
    with httpx.Client(auth=auth, transport=api) as domo:
        domo.get("https://example.domo.test/api")
        domo.get("https://api.elsewhere.test/v1")
    assert seen == ["Bearer t"] * 2
    (request,) = asked
    assert (request.url.host, request.url.params["scope"]) == ("api.elsewhere.test", "data")
    assert list((tmp_path / "tokens").iterdir())


def test_the_log_tells_what_came_of_a_refusal(provider, serve_api, caplog):
    caplog.set_level(logging.INFO, "domo_oauth")
    api = serve_api()
    api.refuse = 4
    auth = DomoAuth(provider)
    auth._origins = Origins(api.url)
    assert Caller("sync")(auth, "GET", f"{api.url}/x", times=2).status_code == 401
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("401 ")]
    assert told == ["401 from 127.0.0.1: sent once more", "401 from 127.0.0.1: given back, as there is no other token"]


def test_a_stranger_gets_no_token_even_if_there_is_another_by_then(call, provider):
    seen: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, request.headers.get("Authorization")))
        if request.url.host == "stranger.test":
            provider.invalidate(token)
            return httpx.Response(401)
        return httpx.Response(307, headers={"Location": "https://stranger.test/x"})

    token = provider.get_token()
    auth = DomoAuth(provider, hosts=["domo.test"])
    transport = httpx.MockTransport(answer)
    response = call(auth, "GET", "https://domo.test/x", transport=transport, follow_redirects=True)
    assert response.status_code == 401
    assert seen == [("domo.test", f"Bearer {token.access_token}"), ("stranger.test", None)]
