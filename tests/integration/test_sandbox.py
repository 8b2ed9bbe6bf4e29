"""The sandbox as it is: a process that listens, asked over HTTP."""

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
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING

import anyio
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from domo_oauth.errors import ConfigurationError
from domo_oauth.sandbox import DEMO_CLIENT, Client, Sandbox, Settings, Stats, load_clients, process, running
from domo_oauth.sandbox.app import create_app
from domo_oauth.sandbox.tokens import TokenIssuer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GRANT = {"grant_type": "client_credentials"}
ALL = "audit dashboard data user"
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and forks of POSIX")
PAGE_HEADERS = {
    "cache-control": "no-store",
    "connection": "keep-alive",
    "content-encoding": "gzip",
    "content-type": "application/json;charset=utf-8",
    "pragma": "no-cache",
    "server": "nginx",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "transfer-encoding": "chunked",
    "vary": "Accept-Encoding, User-Agent",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-xss-protection": "1; mode=block",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(validate_responses=True) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.reset()
    return server


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with client(sandbox) as http:
        yield http


def client(sandbox: Sandbox, **options: object) -> httpx.Client:
    return httpx.Client(base_url=sandbox.url, auth=(sandbox.client_id, sandbox.client_secret), timeout=30, **options)


def token(http: httpx.Client, **parameters: str) -> str:
    return http.get("/oauth/token", params={**GRANT, **parameters}).raise_for_status().json()["access_token"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def until(condition: object) -> None:
    """Ask again and again, for a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"


def listens(url: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=10):
        return True
    return False


class TestTokenIsGranted:
    def test_with_all_fields_of_the_page(self, http: httpx.Client, sandbox: Sandbox):
        body = http.get("/oauth/token", params=GRANT).json()
        assert {name: type(value) for name, value in body.items()} == {
            "access_token": str,
            "customer": str,
            "env": str,
            "expires_in": int,
            "jti": str,
            "role": str,
            "scope": str,
            "token_type": str,
            "userId": int,
        }
        assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 3599, ALL)
        assert sandbox.stats() == Stats(token_requests=1, tokens_issued=1)

    def test_as_a_jwt_that_the_published_key_verifies(self, http: httpx.Client):
        before = int(time.time())
        body = http.get("/oauth/token", params=GRANT).json()
        key = jwt.PyJWKClient(f"{http.base_url}/_sandbox/jwks.json").get_signing_key_from_jwt(body["access_token"])
        claims = jwt.decode(body["access_token"], key, ["RS256"], options={"require": ["exp", "iat", "jti"]})
        issued, expires = claims.pop("iat"), claims.pop("exp")
        assert claims.pop("scope") == body["scope"].split(" ")
        assert claims.pop("client_id") == DEMO_CLIENT.client_id
        assert claims == {name: body[name] for name in ("customer", "role", "userId", "env", "jti")}
        assert before <= issued <= time.time()
        assert issued + 3599 <= expires <= issued + 3600

    def test_with_the_headers_of_the_page(self, http: httpx.Client):
        headers = dict(http.get("/oauth/token", params=GRANT).headers)
        assert headers.pop("date").endswith(" GMT")
        assert headers == PAGE_HEADERS

    @pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "br, gzip; q=0.0, deflate"])
    def test_uncompressed_when_the_client_takes_no_gzip(self, http: httpx.Client, accepted: str):
        answer = http.get("/oauth/token", params=GRANT, headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in answer.headers
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.json()["token_type"] == "bearer"

    @pytest.mark.parametrize(
        ("asked", "granted"),
        [("data", "data"), ("user data", "data user"), ("data data", "data"), ("user audit data dashboard", ALL)],
    )
    def test_with_the_scopes_asked_for_in_a_fixed_order(self, http: httpx.Client, asked: str, granted: str):
        assert http.get("/oauth/token", params={**GRANT, "scope": asked}).json()["scope"] == granted

    def test_each_with_its_own_jti_to_many_at_once(self, http: httpx.Client, sandbox: Sandbox):
        def ask(_: int) -> httpx.Response:
            return http.get("/oauth/token", params=GRANT)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(40)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["jti"] for answer in answers}) == 40
        assert sandbox.stats() == Stats(token_requests=40, tokens_issued=40)

    def test_for_a_closing_connection_and_for_http_1_0(self, sandbox: Sandbox):
        credentials = base64.b64encode(f"{sandbox.client_id}:{sandbox.client_secret}".encode()).decode()
        for version, connection in [("1.0", ""), ("1.1", "Connection: close\r\n")]:
            request = (
                f"GET /oauth/token?grant_type=client_credentials HTTP/{version}\r\n"
                f"Host: 127.0.0.1\r\n{connection}Authorization: Basic {credentials}\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", httpx.URL(sandbox.url).port), timeout=30) as wire:
                wire.sendall(request.encode())
                answer = b"".join(iter(lambda wire=wire: wire.recv(65536), b""))
            head = answer.partition(b"\r\n\r\n")[0].lower()
            assert head.startswith(b"http/1.1 200 ok")
            assert head.count(b"connection:") == 1
            assert b"connection: close" in head


class TestOutsideTheContract:
    """What the endpoint is known to take all the same is served, counted, and said."""

    @pytest.mark.parametrize(
        ("method", "request_"),
        [
            ("GET", {"params": {**GRANT, "scope": ""}}),
            ("GET", {"params": {**GRANT, "prompt": "none"}}),
            ("GET", {"params": [("grant_type", "client_credentials"), ("scope", "data"), ("scope", "nonsense")]}),
            ("POST", {"data": GRANT}),
            ("POST", {"data": {**GRANT, "scope": "data"}}),
        ],
    )
    def test_and_served(self, http: httpx.Client, sandbox: Sandbox, method: str, request_: dict[str, object]):
        answer = http.request(method, "/oauth/token", **request_)
        assert answer.status_code == 200
        assert answer.json()["scope"] in (ALL, "data")
        assert sandbox.stats() == Stats(token_requests=1, tokens_issued=1, outside_contract=1)

    @pytest.mark.parametrize("request_", [{"params": GRANT}, {"json": GRANT}, {"content": b"grant_type=\xff"}])
    def test_a_post_without_the_parameters_in_a_form_has_none(self, http: httpx.Client, request_: dict[str, object]):
        answer = http.post("/oauth/token", **request_)
        assert (answer.status_code, answer.json()["error_description"]) == (400, "Missing grant type")


class TestTokenIsRefused:
    @pytest.mark.parametrize(
        ("parameters", "outcome", "body"),
        [
            ({}, "invalid_request", {"error": "invalid_request", "error_description": "Missing grant type"}),
            ({"grant_type": ""}, "invalid_request", {"error_description": "Missing grant type"}),
            (
                {"grant_type": "password"},
                "unsupported_grant_type",
                {"error": "unsupported_grant_type", "error_description": "Unsupported grant type"},
            ),
            ({"scope": "nonsense"}, "invalid_scope", {"error": "invalid_scope"}),
            *(
                (
                    {**GRANT, "scope": scope},
                    "invalid_scope",
                    {"error": "invalid_scope", "error_description": "Invalid scope", "scope": ALL},
                )
                for scope in (
                    "account, dashboard, data",
                    "data,user",
                    "data  user",
                    " data",
                    "buzz",
                    "DATA",
                    "nonsense",
                )
            ),
        ],
    )
    def test_with_400(
        self, http: httpx.Client, sandbox: Sandbox, parameters: dict[str, str], outcome: str, body: dict[str, str]
    ):
        answer = http.get("/oauth/token", params=parameters)
        assert answer.status_code == 400
        assert answer.json() == {**answer.json(), **body}
        assert set(answer.json()) <= {"error", "error_description", "scope"}
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
        stats = asdict(sandbox.stats())
        assert (stats["token_requests"], stats[outcome], stats["tokens_issued"]) == (1, 1, 0)

    @pytest.mark.parametrize(
        "authorization",
        [
            None,
            "Basic",
            "Basic %%%",
            "Basic \xe4",
            "Basic " + base64.b64encode(b"no-colon").decode(),
            "Basic " + base64.b64encode(b"demo-client:wrong").decode(),
            "Basic " + base64.b64encode(b"nobody:not-a-secret").decode(),
            "Basic " + base64.b64encode(b"\xff:\xff").decode(),
            "Bearer " + base64.b64encode(b"demo-client:not-a-secret").decode(),
        ],
    )
    @pytest.mark.parametrize(("method", "parameters"), [("GET", GRANT), ("GET", {}), ("PUT", {})])
    def test_with_the_same_401_whatever_is_wrong(
        self, sandbox: Sandbox, authorization: str | None, method: str, parameters: dict[str, str]
    ):
        headers = {b"Authorization": authorization.encode("latin-1")} if authorization else {}
        answer = httpx.request(method, f"{sandbox.url}/oauth/token", params=parameters, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="oauth2/client"'
        body = answer.json()
        assert time.strptime(body.pop("timestamp"), "%Y-%m-%dT%H:%M:%S.%f%z")
        assert body == {"status": 401, "error": "Unauthorized", "message": "Bad credentials", "path": "/oauth/token"}
        assert sandbox.stats().invalid_client == 1

    def test_not_for_the_case_of_the_scheme(self, sandbox: Sandbox):
        headers = {"Authorization": "bASIC " + base64.b64encode(b"demo-client:not-a-secret").decode()}
        assert httpx.get(f"{sandbox.url}/oauth/token", params=GRANT, headers=headers).status_code == 200

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PURGE"])
    def test_with_405_for_other_methods(self, http: httpx.Client, sandbox: Sandbox, method: str):
        answer = http.request(method, "/oauth/token", params=GRANT)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
        if method != "HEAD":
            assert (answer.json()["status"], answer.json()["error"]) == (405, "Method Not Allowed")
        assert (sandbox.stats().method_not_allowed, sandbox.stats().tokens_issued) == (1, 0)


class TestProtectedResource:
    def test_serves_who_has_the_scope(self, http: httpx.Client, sandbox: Sandbox):
        answer = http.get("/v1/datasets", headers=bearer(token(http, scope="data")), auth=None)
        assert [dataset["name"][:8] for dataset in answer.json()] == ["Sample: "] * 3
        assert (sandbox.stats().resource_requests, sandbox.stats().invalid_token) == (1, 0)

    def test_has_pages(self, http: httpx.Client):
        headers = bearer(token(http))
        first, second, third = http.get("/v1/datasets", headers=headers, auth=None).json()
        for query, expected in [("limit=2", [first, second]), ("offset=1&limit=1", [second]), ("offset=2", [third])]:
            assert http.get(f"/v1/datasets?{query}", headers=headers, auth=None).json() == expected
        for query in ("limit=x", "offset=-1"):
            answer = http.get(f"/v1/datasets?{query}", headers=headers, auth=None)
            assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")

    def test_refuses_who_lacks_the_scope(self, http: httpx.Client, sandbox: Sandbox):
        answer = http.get("/v1/datasets", headers=bearer(token(http, scope="user")), auth=None)
        assert answer.status_code == 403
        assert answer.json() == {
            "error": "insufficient_scope",
            "error_description": "Insufficient scope for this resource",
            "scope": "data",
        }
        assert answer.headers["www-authenticate"].startswith('Bearer error="insufficient_scope", ')
        assert sandbox.stats().insufficient_scope == 1

    @pytest.mark.parametrize("authorization", [None, "Basic ZGVtbzpkZW1v"])
    def test_refuses_who_sends_no_token_in_domos_own_shape(self, sandbox: Sandbox, authorization: str | None):
        answer = httpx.get(
            f"{sandbox.url}/v1/datasets", headers={"Authorization": authorization} if authorization else {}
        )
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json() == {
            "status": 401,
            "statusReason": "Internal Server Error",
            "path": "/v1/datasets",
            "message": "com.domo.bedrock.service.exception.UnauthorizedException: Full authentication is required to "
            "access this resource",
            "toe": "SANDBOX000-00000-00000",
        }
        assert sandbox.stats() == Stats(resource_requests=1, invalid_token=1)

    @pytest.mark.parametrize("authorization", ["Bearer", "Bearer garbage", "Bearer FOREIGN"])
    def test_refuses_what_is_no_token_of_its_own(self, sandbox: Sandbox, authorization: str):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        foreign = jwt.encode({"exp": time.time() + 1000, "scope": ["data"]}, key, "RS256")
        headers = {"Authorization": authorization.replace("FOREIGN", foreign)}
        answer = httpx.get(f"{sandbox.url}/v1/datasets", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"] == "invalid_token"
        description = answer.json()["error_description"]
        assert answer.headers["www-authenticate"] == (
            f'Bearer error="invalid_token", error_description="{description}"'
        )
        assert foreign not in answer.text
        assert sandbox.stats() == Stats(resource_requests=1, invalid_token=1)

    def test_refuses_a_token_that_was_revoked_and_takes_the_next(self, http: httpx.Client, sandbox: Sandbox):
        old = token(http)
        assert http.get("/v1/datasets", headers=bearer(old), auth=None).status_code == 200
        sandbox.revoke_tokens()
        assert http.get("/v1/datasets", headers=bearer(old), auth=None).status_code == 401
        assert http.get("/v1/datasets", headers=bearer(token(http)), auth=None).status_code == 200

    def test_refuses_an_expired_token(self):
        with running(lifetime=0) as sandbox, client(sandbox) as http:
            body = http.get("/oauth/token", params=GRANT).json()
            answer = http.get("/v1/datasets", headers=bearer(body["access_token"]), auth=None)
        assert body["expires_in"] == 0
        assert answer.status_code == 401
        assert "Jwt expired at 20" in answer.json()["error_description"]

    def test_serves_who_has_a_token_for_as_long_as_the_contract_allows(self):
        with running(lifetime=2**63 - 1, validate_responses=True) as sandbox, client(sandbox) as http:
            body = http.get("/oauth/token", params=GRANT).raise_for_status().json()
            assert body["expires_in"] == 2**63 - 1
            assert http.get("/v1/datasets", headers=bearer(body["access_token"]), auth=None).status_code == 200

    @pytest.mark.parametrize("accepted", ["text/html", "application/jsonp, text/*;q=0.5"])
    def test_answers_who_takes_no_json_with_a_page(self, http: httpx.Client, sandbox: Sandbox, accepted: str):
        answer = http.get("/v1/datasets", headers=bearer(token(http)) | {"Accept": accepted}, auth=None)
        assert (answer.status_code, answer.headers["content-type"]) == (406, "text/html;charset=utf-8")
        assert "Error 406 Not Acceptable" in answer.text
        assert "Problem accessing /error" in answer.text
        assert (sandbox.stats().resource_requests, sandbox.stats().invalid_token) == (1, 0)

    @pytest.mark.parametrize(
        "accepted", ["", "*/*", "text/html, */*;q=0.8", "Application/JSON; q=1", "application/*,x/y"]
    )
    def test_serves_who_takes_json_besides(self, http: httpx.Client, accepted: str):
        headers = bearer(token(http)) | {"Accept": accepted}
        assert http.get("/v1/datasets", headers=headers, auth=None).status_code == 200


class TestInside:
    def test_reset_sets_every_count_to_zero(self, http: httpx.Client, sandbox: Sandbox):
        http.get("/oauth/token")
        http.get("/v1/datasets")
        assert sandbox.stats() != Stats()
        sandbox.reset()
        assert sandbox.stats() == Stats()

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("GET", "/nothing", 404), ("POST", "/v1/datasets", 405), ("GET", "/_sandbox/reset", 405)],
    )
    def test_other_paths_and_methods_get_the_containers_error(
        self, http: httpx.Client, method: str, path: str, status: int
    ):
        answer = http.request(method, path)
        assert (answer.status_code, answer.json()["status"], answer.json()["path"]) == (status, status, path)

    @pytest.mark.parametrize("path", ["/oauth/token?grant_type=client_credentials", "/nothing"])
    def test_a_strange_host_is_no_fault(self, http: httpx.Client, path: str):
        assert http.get(path, headers={"Host": "["}).status_code in (200, 404)

    def test_an_answer_that_breaks_the_contract_is_loud(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(TokenIssuer, "issue", lambda *_: {"access_token": "t", "token_type": "mac"})
        answer = ask_in_process(Settings(validate_responses=True))
        assert answer.status_code == 500
        assert "THE SANDBOX BREAKS THE CONTRACT" in answer.text
        assert "response.body.expires_in" in answer.text
        assert ask_in_process(Settings()).status_code == 200

    def test_a_fault_inside_is_a_server_error(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(TokenIssuer, "issue", lambda *_: 1 / 0)
        answer = ask_in_process(Settings())
        assert (answer.status_code, answer.json()["error"]) == (500, "server_error")


def ask_in_process(settings: Settings) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(settings), raise_app_exceptions=False)
        auth = (DEMO_CLIENT.client_id, DEMO_CLIENT.client_secret)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", auth=auth) as http:
            return await http.get("/oauth/token", params=GRANT)

    return anyio.run(ask)


@contextlib.contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``domo-oauth sandbox`` and the first line that it prints."""
    program = "import sys; from domo_oauth.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", program, "sandbox", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running_:
        try:
            yield running_, running_.stdout.readline()
        finally:
            running_.terminate()


def exported(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(line)[1:])


class TestCommand:
    @POSIX
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_it_with_status_0(self, number: int):
        with command() as (running_, line), httpx.Client() as http:
            # The connection stays open.
            assert http.get(f"{exported(line)['DOMO_API_URL']}/nothing").status_code == 404
            running_.send_signal(number)
            out, log = running_.communicate(timeout=60)
        assert (running_.returncode, out) == (0, "")
        assert "Traceback" not in log

    @POSIX
    def test_the_first_line_can_be_pasted_into_a_shell(self):
        with command("--customer", "it's mine") as (_, line):
            script = line + f'exec "{sys.executable}" -c \'import os; print(*(os.environ["DOMO_" + name] for name in '
            script += '["API_URL", "CLIENT_ID", "CLIENT_SECRET"]))\''
            url, *credentials = subprocess.run(
                ["sh", "-c", script], capture_output=True, text=True, check=False
            ).stdout.split()
            body = httpx.get(f"{url}/oauth/token", params=GRANT, auth=tuple(credentials)).json()
        assert body["customer"] == "it's mine"

    def test_flags_change_the_demo_client_and_its_tokens(self):
        with command("--scope", "data,workflow", "--lifetime", "60", "--delay", "0.05") as (_, line):
            started = time.monotonic()
            variables = exported(line)
            auth = (variables["DOMO_CLIENT_ID"], variables["DOMO_CLIENT_SECRET"])
            body = httpx.get(f"{variables['DOMO_API_URL']}/oauth/token", params=GRANT, auth=auth, timeout=30).json()
            assert time.monotonic() - started >= 0.05
        assert (body["scope"], body["expires_in"]) == ("data workflow", 60)

    def test_clients_come_from_a_file_and_their_secrets_stay_there(self, tmp_path: Path):
        file = tmp_path / "clients.toml"
        file.write_text(
            '[[clients]]\nclient_id = "a"\nclient_secret = "canary-a"\nscopes = ["user", "data"]\n'
            '[[clients]]\nclient_id = "b"\nclient_secret = "canary-b"\nscopes = ["brand-new"]\nuser_id = 7\n'
        )
        with command("--clients", str(file)) as (running_, line):
            url = exported(line)["DOMO_API_URL"]
            granted = [
                httpx.get(f"{url}/oauth/token", params=GRANT, auth=auth).json()["scope"]
                for auth in [("a", "canary-a"), ("b", "canary-b")]
            ]
            crossed = httpx.get(f"{url}/oauth/token", params=GRANT, auth=("a", "canary-b"))
            running_.terminate()
            out, log = running_.communicate(timeout=60)
        assert granted == ["data user", "brand-new"]
        assert crossed.status_code == 401
        assert "canary" not in line + out + log

    def test_the_log_holds_no_secret_no_token_and_no_query(self):
        with command() as (running_, line):
            variables = exported(line)
            url, auth = variables["DOMO_API_URL"], (variables["DOMO_CLIENT_ID"], variables["DOMO_CLIENT_SECRET"])
            canary = {**GRANT, "client_secret": "canary-query", "line\nend": "x"}
            body = httpx.get(f"{url}/oauth/token", params=canary, auth=auth).json()
            httpx.get(f"{url}/v1/datasets?canary-query", headers=bearer(body["access_token"]))
            running_.terminate()
            log = running_.communicate(timeout=60)[1]
        assert "GET /oauth/token 200 granted\n" in log
        assert "GET /v1/datasets 200" in log
        assert "outside the contract, granted: request.query.client_secret: " in log
        assert "line\nend" not in log
        for secret in ("canary-query", variables["DOMO_CLIENT_SECRET"], body["access_token"], body["jti"]):
            assert secret not in log

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--host", "0.0.0.0"], "loopback only, not on 0.0.0.0"),
            (["--host", "example.com"], "loopback only"),
            (["--port", "65536"], "65536 is not a port"),
            (["--lifetime", "-1"], "-1 seconds"),
            (["--lifetime", str(2**63)], f"{2**63} seconds: it must be 0 to {2**63 - 1}"),
            (["--lifetime", "9" * 400], "as in the contract"),
            (["--delay", "nan"], "nan seconds"),
            (["--scope", ""], "no scope"),
            (["--clients", "missing.toml"], "missing.toml cannot be read: No such file"),
            (["--clients", "missing.toml", "--scope", "data"], "put them in the file"),
        ],
    )
    def test_a_wrong_flag_is_explained(self, arguments: list[str], said: str):
        with command(*arguments) as (running_, line):
            log = running_.communicate(timeout=60)[1]
        assert (running_.returncode, line) == (2, "")
        assert said in log
        assert "Traceback" not in log

    def test_a_port_that_is_taken_is_explained(self, sandbox: Sandbox):
        port = str(httpx.URL(sandbox.url).port)
        with command("--port", port) as (running_, _):
            log = running_.communicate(timeout=60)[1]
        assert running_.returncode == 2
        assert f"Cannot listen on port {port} of 127.0.0.1" in log
        assert "--port 0" in log

    def test_it_listens_on_ipv6_and_localhost_too(self):
        for host in ("::1", "localhost"):
            with command("--host", host) as (_, line):
                assert httpx.get(f"{exported(line)['DOMO_API_URL']}/_sandbox/stats").status_code == 200


class TestClientsFile:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("clients = [", "is not TOML"),
            ("", "no [[clients]] table"),
            ("[clients]\nclient_id = 'a'", "no [[clients]] table"),
            ("client = 1", "client: no such key"),
            ("clients = [1]", "table 1: not a table"),
            ("[[clients]]\nscope = ['data']", "table 1: scope: no such key; did you mean scopes?"),
            ("[[clients]]\nx = 1", "table 1: x: no such key; known are client_id, "),
            ("[[clients]]\nclient_id = 'a'\nscopes = ['data']", "table 1: client_secret: missing"),
            ("[[clients]]\nuser_id = true", "table 1: user_id: must be int, not bool"),
            ("[[clients]]\nscopes = 'data'", "table 1: scopes: must be list, not str"),
            (
                "{OK}\n[[clients]]\nclient_id = 'b'\nclient_secret = 'canary'\nscopes = [1]",
                "table 2: scopes: must be a",
            ),
            ("{OK}\n[[clients]]\nclient_id = 'b'\nclient_secret = 'canary'\nscopes = []", "table 2: The client has no"),
            ("{OK}\n[[clients]]\nclient_id = 'b:'\nclient_secret = 'canary'\nscopes = ['data']", "table 2: The client"),
            ("{OK}\n{OK}", "table 2: client_id: another table has the same"),
            ("[[clients]]\nclient_id = 'a'\nclient_secret = 'canary'\nscopes = ['a, b']", "'a, b' cannot be a scope"),
        ],
    )
    def test_a_fault_is_told_with_its_table_and_key(self, tmp_path: Path, text: str, said: str):
        file = tmp_path / "clients.toml"
        file.write_text(text.replace("{OK}", "[[clients]]\nclient_id='a'\nclient_secret='canary'\nscopes=['data']"))
        with pytest.raises(ConfigurationError) as caught:
            load_clients(file)
        assert str(caught.value).startswith(str(file))
        assert said in str(caught.value)
        assert "canary" not in str(caught.value)


class TestRunning:
    def test_hands_over_clients_and_settings(self):
        mine = Client(client_id="mine", client_secret="canary", scopes=("data",), role="Owner", user_id=7)
        with running(clients=[DEMO_CLIENT, mine], lifetime=60, quiet=True) as sandbox:
            body = httpx.get(f"{sandbox.url}/oauth/token", params=GRANT, auth=("mine", "canary")).json()
        assert (body["role"], body["userId"], body["expires_in"]) == ("Owner", 7, 60)
        assert sandbox.env == {
            "DOMO_API_URL": sandbox.url,
            "DOMO_CLIENT_ID": DEMO_CLIENT.client_id,
            "DOMO_CLIENT_SECRET": DEMO_CLIENT.client_secret,
        }
        assert not listens(sandbox.url)

    def test_no_repr_shows_a_secret(self):
        mine = Client(client_id="mine", client_secret="canary", scopes=("data",))
        shown = repr([mine, Settings(clients=(mine,)), Sandbox("http://127.0.0.1:1", "mine", "canary")])
        assert "mine" in shown
        assert "canary" not in shown

    def test_two_take_two_ports(self, sandbox: Sandbox):
        with running(quiet=True) as other:
            assert other.url != sandbox.url

    def test_a_request_under_way_neither_counts_as_granted_nor_holds_up_the_end(self):
        ends: list[object] = []

        def ask() -> None:
            try:
                with client(sandbox) as http:
                    ends.append(http.get("/oauth/token", params=GRANT).status_code)
            except httpx.HTTPError as error:
                ends.append(type(error))

        with running(delay=3600.0, quiet=True) as sandbox:
            asking = threading.Thread(target=ask)
            asking.start()
            until(lambda: sandbox.stats() == Stats(token_requests=1))
        asking.join(60)
        assert ends in ([500], [httpx.RemoteProtocolError], [httpx.ReadError])

    def test_what_cannot_start_is_an_error(self, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]):
        port = httpx.URL(sandbox.url).port or 0
        with pytest.raises(ConfigurationError, match="did not start"), running(port=port):
            pass
        assert capfd.readouterr().err.startswith(f"domo_oauth.sandbox: Cannot listen on port {port} of 127.0.0.1: ")
        with pytest.raises(ConfigurationError, match="did not start"), running(port=port, quiet=True):
            pass
        assert capfd.readouterr().err == ""
        with pytest.raises(ConfigurationError, match="at least one client"), running(clients=[]):
            pass

    def test_a_missing_extra_is_named(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(sys.modules, "uvicorn", None)
        with pytest.raises(ConfigurationError, match=r"needs uvicorn.* pip install 'domo-oauth\[sandbox\]'"), running():
            pass

    def test_a_process_that_hangs_is_killed(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(process, "_STOP_SECONDS", 0)
        with running(quiet=True) as sandbox:
            pass
        assert not listens(sandbox.url)

    def test_it_ends_when_its_parent_is_killed(self):
        script = """
            import os
            from domo_oauth.sandbox import running
            with running(quiet=True) as sandbox:
                print(sandbox.url, flush=True)
                os.abort() if os.name == "nt" else os.kill(os.getpid(), 9)
        """
        parent = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
        )
        assert parent.returncode != 0
        until(lambda: not listens(parent.stdout.strip()))

    @POSIX
    def test_a_forked_child_leaves_it_to_its_parent(self):
        script = """
            import os, sys
            from domo_oauth.sandbox import running
            with running(quiet=True) as sandbox:
                if not (child := os.fork()):
                    sys.exit(7)
                print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sandbox.stats().token_requests)
        """
        parent = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
        )
        assert (parent.stdout, parent.stderr) == ("7 0\n", "")

    def test_a_file_in_the_current_folder_is_not_taken_for_a_library(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (tmp_path / "jwt.py").write_text("raise RuntimeError('not this one')")
        monkeypatch.chdir(tmp_path)
        with running(quiet=True) as sandbox:
            assert sandbox.stats() == Stats()
