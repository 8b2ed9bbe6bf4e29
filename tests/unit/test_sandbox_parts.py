"""What the sandbox decides, without a server around it."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import math
import shlex
import socket
import time
from dataclasses import asdict, replace
from types import SimpleNamespace

import anyio
import httpx
import jwt
import pytest

from domo_oauth import ConfigurationError
from domo_oauth.cli.parsers import command_parser
from domo_oauth.sandbox import DEMO_CLIENT, Client, Settings, Stats, command, datasets, load_clients, server, tokens
from domo_oauth.sandbox.answers import Answer, _takes_gzip, container_error
from domo_oauth.sandbox.app import create_app
from domo_oauth.sandbox.token_endpoint import authenticate, grant, parameters, unauthorized
from domo_oauth.sandbox.tokens import InvalidTokenError, TokenIssuer

ACME = Client(
    client_id="id-ü", client_secret="s:ü", scopes=("user", "data", "data"), customer="acme", role="Editor", user_id=7
)
CLIENTS = (DEMO_CLIENT, ACME)
GRANT = {"grant_type": "client_credentials"}
FORM = "application/x-www-form-urlencoded"


def basic(text: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(text.encode()).decode()}"


@pytest.fixture(scope="module")
def issuer() -> TokenIssuer:
    return TokenIssuer(3599)


@pytest.mark.parametrize(
    ("authorization", "client"),
    [
        (basic("demo-client:not-a-secret"), DEMO_CLIENT),
        (basic("demo-client:not-a-secret", "BASIC"), DEMO_CLIENT),
        (basic("demo-client:not-a-secret").replace(" ", "   "), DEMO_CLIENT),
        (basic("demo-client:not-a-secret", "Bearer"), None),
        (basic("demo-client:not-a-secret:"), None),
        (basic("demo-client:"), None),
        (basic("demo-client"), None),
        (basic("nobody:not-a-secret"), None),
        ("Basic", None),
        ("", None),
        ("Basic ä", None),
        ("Basic Z", None),
        ("Basic " + basic("demo-client:not-a-secret")[6:] + "!", None),
    ],
)
def test_who_asks(authorization, client):
    assert authenticate(authorization, CLIENTS) is client


def test_the_secret_of_nobody_opens_nothing(monkeypatch):
    from domo_oauth.sandbox import token_endpoint

    nobody = token_endpoint._NOBODY
    assert len(nobody.client_secret) == 64
    assert authenticate(basic(f"nobody:{nobody.client_secret}"), CLIENTS) is None


def test_an_id_and_a_secret_are_utf_8():
    client = replace(ACME, client_id="ü")
    assert authenticate(basic("ü:s:ü"), [client]) is client


@pytest.mark.parametrize(
    ("method", "query", "content_type", "body", "found"),
    [
        ("GET", "a=1&b=%20&c=", "", b"", {"a": "1", "b": " ", "c": ""}),
        ("GET", "a=1&a=2", "", b"", {"a": "1"}),
        ("GET", "", FORM, b"a=1", {}),
        ("POST", "a=1", FORM, b"b=2", {"b": "2"}),
        ("POST", "a=1", f" {FORM.upper()} ; charset=utf-8", b"b=2&b=3", {"b": "2"}),
        ("POST", "a=1", "application/json", b"b=2", {}),
        ("POST", "a=1", "", b"b=2", {}),
        ("POST", "", FORM, b"a=\xff", {"a": "\ufffd"}),
    ],
)
def test_where_the_parameters_are(method, query, content_type, body, found):
    assert parameters(method, query, content_type, body) == found


@pytest.mark.parametrize(
    ("wanted", "scope"),
    [
        (GRANT, "data user"),
        (GRANT | {"scope": ""}, "data user"),
        (GRANT | {"scope": "  "}, "data user"),
        (GRANT | {"scope": "user"}, "user"),
        (GRANT | {"scope": "user data user"}, "data user"),
    ],
)
def test_a_token_is_granted(wanted, scope, issuer):
    answer = grant(ACME, wanted, issuer)
    body = dict(answer.body)
    assert (answer.status, answer.outcome, answer.headers) == (200, "granted", {})
    assert len(body.pop("access_token").split(".")) == 3
    assert len(body.pop("jti")) == 36
    assert body == {
        "token_type": "bearer",
        "expires_in": 3599,
        "scope": scope,
        "customer": "acme",
        "env": "sandbox",
        "role": "Editor",
        "userId": 7,
    }


@pytest.mark.parametrize(
    ("wanted", "outcome", "description"),
    [
        ({}, "invalid_request", "Missing grant type"),
        ({"grant_type": ""}, "invalid_request", "Missing grant type"),
        ({"grant_type": "password"}, "unsupported_grant_type", "Unsupported grant type"),
        (GRANT | {"scope": "audit"}, "invalid_scope", "Invalid scope"),
        (GRANT | {"scope": "data  user"}, "invalid_scope", "Invalid scope"),
        ({"scope": "audit", "grant_type": "password"}, "invalid_scope", "Invalid scope"),
    ],
)
def test_a_token_is_refused(wanted, outcome, description, issuer):
    body = {"error": outcome, "error_description": description}
    body |= {"scope": "data user"} if outcome == "invalid_scope" else {}
    assert grant(ACME, wanted, issuer) == Answer(400, body, {}, outcome)


def test_nobody_learns_what_was_wrong():
    answer = unauthorized()
    body = dict(answer.body)
    assert time.strptime(body.pop("timestamp"), "%Y-%m-%dT%H:%M:%S.%f+0000")
    assert body == {"status": 401, "error": "Unauthorized", "message": "Bad credentials", "path": "/oauth/token"}
    assert (answer.status, answer.outcome) == (401, "invalid_client")
    assert answer.headers == {"WWW-Authenticate": 'Basic realm="oauth2/client"'}


def test_a_container_says_what_the_status_says():
    body = dict(container_error(404, "/nowhere").body)
    assert len(body.pop("timestamp")) == len("2026-03-01T00:00:00.000+0000")
    assert body == {"status": 404, "error": "Not Found", "message": "Not Found", "path": "/nowhere"}


def test_a_token_says_for_whom_and_until_when(issuer):
    before = time.time()
    body = issuer.issue(ACME, ["data"])
    claims = issuer.claims(body["access_token"])
    assert before - 1 < claims["iat"] <= time.time()
    assert claims["iat"] + 3599 <= claims["exp"] <= claims["iat"] + 3600
    assert {name: claims[name] for name in claims if name not in ("iat", "exp")} == {
        "customer": "acme",
        "env": "sandbox",
        "role": "Editor",
        "userId": 7,
        "client_id": "id-ü",
        "scope": ["data"],
        "jti": body["jti"],
    }
    (key,) = issuer.jwks()["keys"]
    header = jwt.get_unverified_header(body["access_token"])
    assert header == {"alg": "RS256", "kid": key["kid"], "typ": "JWT"}
    assert (key["kty"], key["alg"], key["use"], key["e"]) == ("RSA", "RS256", "sig", "AQAB")
    assert len(base64.urlsafe_b64decode(key["n"] + "==")) == 256
    assert "d" not in key


def test_a_token_holds_until_the_second_that_it_ends(issuer, monkeypatch):
    now = 1_772_366_400.25
    monkeypatch.setattr(tokens, "time", SimpleNamespace(time=lambda: now, strftime=time.strftime, gmtime=time.gmtime))
    token = issuer.issue(ACME, ["data"])["access_token"]
    end = math.ceil(now + 3599)
    now = end - 0.001
    assert issuer.claims(token)["exp"] == end
    now = float(end)
    with pytest.raises(InvalidTokenError) as caught:
        issuer.claims(token)
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    assert str(caught.value) == f"An error occurred while attempting to decode the Jwt: Jwt expired at {when}"
    assert TokenIssuer(0).issue(ACME, ["data"])["expires_in"] == 0


@pytest.mark.parametrize("claims", [{"scope": ["data"]}, {"exp": 9e9}])
def test_a_token_without_an_end_or_without_scopes_is_none(claims, issuer):
    token = jwt.encode(claims, issuer._key, "RS256")
    for each in (token, token + "x", "", "a.b.c", jwt.encode({"exp": 9e9, "scope": ["data"]}, "k" * 32, "HS256")):
        with pytest.raises(InvalidTokenError, match=r"^Cannot convert access token to JSON$"):
            issuer.claims(each)


def test_what_is_revoked_is_no_token_any_more():
    issuer = TokenIssuer(60)
    token, keys = issuer.issue(ACME, ["data"])["access_token"], issuer.jwks()
    assert issuer.claims(jwt.encode({"exp": 9e9, "scope": [], "aud": "x", "nbf": 1}, issuer._key, "RS256"))
    issuer.revoke_all()
    assert issuer.jwks()["keys"][0]["kid"] != keys["keys"][0]["kid"]
    with pytest.raises(InvalidTokenError):
        issuer.claims(token)


def listed(issuer, authorization=None, accept="", **query):
    token = issuer.issue(ACME, ["data"])["access_token"]
    return datasets.list_datasets(authorization or f"Bearer {token}", accept, query, issuer)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, [1, 2, 3]),
        ({"offset": "0", "limit": "0"}, []),
        ({"limit": "1"}, [1]),
        ({"offset": "1"}, [2, 3]),
        ({"offset": "1", "limit": "1"}, [2]),
        ({"offset": "9"}, []),
    ],
)
def test_the_datasets(query, ids, issuer):
    answer = listed(issuer, **query)
    assert (answer.status, answer.outcome, answer.headers) == (200, "", {})
    assert [each["id"] for each in answer.body] == [f"00000000-0000-4000-8000-{number:012d}" for number in ids]


def test_a_dataset(issuer):
    assert listed(issuer).body[0] == {
        "id": "00000000-0000-4000-8000-000000000001",
        "name": "Sample: bicycle rentals",
        "description": "Sample data of the sandbox",
        "rows": 1204,
        "columns": 9,
        "owner": {"id": 123456789, "name": "Sample Owner"},
        "createdAt": "2024-01-02T03:04:05Z",
        "updatedAt": "2024-06-07T08:09:10Z",
        "pdpEnabled": False,
    }
    assert [(each["rows"], each["columns"]) for each in listed(issuer).body] == [(1204, 9), (7, 4), (312, 6)]


@pytest.mark.parametrize("query", [{"limit": "x"}, {"offset": "-1"}, {"limit": "-1"}, {"offset": ""}])
def test_a_page_that_is_none(query, issuer):
    answer = listed(issuer, **query)
    assert answer.status == 400
    assert answer.body["message"] == "limit and offset must be whole numbers, 0 or more"
    assert answer.body["path"] == "/v1/datasets"


@pytest.mark.parametrize(
    ("accept", "takes"),
    [
        ("", True),
        ("*/*", True),
        ("application/json", True),
        ("Application/JSON; q=0.5", True),
        ("text/html, application/*", True),
        ("text/html,*/*;q=0.1", True),
        ("text/html", False),
        ("application/xml", False),
        ("application/jsonp", False),
        ("text/*", False),
    ],
)
def test_who_takes_json(accept, takes, issuer):
    answer = listed(issuer, accept=accept)
    assert answer.status == (200 if takes else 406)
    if not takes:
        assert answer.headers == {"Content-Type": "text/html;charset=utf-8"}
        assert answer.to_bytes().startswith(b"<html>\n<head><title>Error 406 Not Acceptable</title></head>\n")


def test_who_may_not_see_them(issuer):
    token = issuer.issue(ACME, ["user"])["access_token"]
    answer = listed(issuer, f"BEARER  {token} ")
    challenge = (
        'Bearer error="insufficient_scope", error_description="Insufficient scope for this resource", scope="data"'
    )
    assert (answer.status, answer.outcome) == (403, "insufficient_scope")
    assert answer.headers == {"WWW-Authenticate": challenge}
    for authorization in ("Basic x", "x"):
        answer = listed(issuer, authorization)
        assert (answer.status, answer.outcome, answer.headers) == (401, "invalid_token", {"WWW-Authenticate": "Bearer"})
    answer = listed(issuer, "bearer garbage")
    body = {"error": "invalid_token", "error_description": "Cannot convert access token to JSON"}
    challenge = 'Bearer error="invalid_token", error_description="Cannot convert access token to JSON"'
    assert answer == Answer(401, body, {"WWW-Authenticate": challenge}, "invalid_token")


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip ; q=0.000, br", False),
        ("gzip;q=0.01", True),
        ("xgzip", False),
    ],
)
def test_who_takes_gzip(accepted, takes):
    assert _takes_gzip(accepted) is takes


def test_a_body_is_json_or_a_page():
    assert Answer(200, {"name": "ü"}).to_bytes() == '{"name": "ü"}'.encode()
    assert Answer(200, "ü").to_bytes() == "ü".encode()
    assert "secret" not in repr(Answer(200, "secret"))


def ask(settings: Settings, *requests: tuple[str, str, dict[str, object]]) -> list[httpx.Response]:
    """The answers of an application to requests one after the other."""

    async def main() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app(settings), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.request(method, path, **more) for method, path, more in requests]

    return anyio.run(main)


AUTH = {"auth": ("demo-client", "not-a-secret")}


def test_all_that_is_counted(caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="domo_oauth.sandbox")
    monkeypatch.setattr(logging.getLogger("domo_oauth.sandbox"), "propagate", True)
    path = "/oauth/token"
    answers = ask(
        Settings(),
        ("GET", path, AUTH | {"params": GRANT}),
        ("GET", path, {"params": GRANT}),
        ("GET", path, AUTH),
        ("GET", path, AUTH | {"params": {"grant_type": "x"}}),
        ("GET", path, AUTH | {"params": GRANT | {"scope": "buzz"}}),
        ("DELETE", path, AUTH),
        ("POST", path, AUTH | {"data": GRANT}),
        ("GET", "/v1/datasets", {}),
        ("GET", "/nowhere", {}),
        ("POST", "/v1/datasets", {}),
        ("GET", "/_sandbox/stats", {}),
        ("POST", "/_sandbox/reset", {}),
    )
    assert [answer.status_code for answer in answers] == [200, 401, 400, 400, 400, 405, 200, 401, 404, 405, 200, 200]
    counts = Stats(
        token_requests=7,
        tokens_issued=2,
        invalid_client=1,
        invalid_request=1,
        unsupported_grant_type=1,
        invalid_scope=1,
        method_not_allowed=1,
        outside_contract=5,
        resource_requests=1,
        invalid_token=1,
    )
    assert answers[-2].json() == asdict(counts)
    assert answers[-1].json() == asdict(Stats())
    assert answers[5].headers["Allow"] == "GET, POST"
    assert answers[9].json()["message"] == "Method Not Allowed"
    assert set(answers[9].headers["Allow"].split(", ")) == {"GET", "HEAD"}
    told = [record.getMessage() for record in caplog.records]
    assert told[:3] == [
        "GET /oauth/token 200 granted",
        (
            "  outside the contract, invalid_client: request.headers.Authorization: expected HTTP Basic credentials "
            "(RFC 7617); found none"
        ),
        "GET /oauth/token 401 invalid_client",
    ]
    assert told[-5:] == [
        "GET /v1/datasets 401 invalid_token",
        "GET /nowhere 404",
        "POST /v1/datasets 405",
        "GET /_sandbox/stats 200",
        "POST /_sandbox/reset 200",
    ]


def test_what_is_around_an_answer():
    (plain,), (packed,) = (
        ask(Settings(), ("GET", "/oauth/token", AUTH | {"params": GRANT, "headers": {"Accept-Encoding": encoding}}))
        for encoding in ("identity", "gzip")
    )
    headers = {
        "cache-control": "no-store",
        "connection": "keep-alive",
        "content-type": "application/json;charset=utf-8",
        "pragma": "no-cache",
        "server": "nginx",
        "strict-transport-security": "max-age=31536000; includeSubDomains",
        "vary": "Accept-Encoding, User-Agent",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "x-xss-protection": "1; mode=block",
    }
    assert dict(plain.headers) == headers
    assert dict(packed.headers) == headers | {"content-encoding": "gzip"}
    assert packed.json()["token_type"] == "bearer"
    assert gzip.decompress(gzip.compress(plain.content)) == plain.content


def test_the_page_and_the_contract():
    page, contract, keys = ask(
        Settings(), ("GET", "/", {}), ("GET", "/_sandbox/contract.yaml", {}), ("GET", "/_sandbox/jwks.json", {})
    )
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert page.headers["Content-Security-Policy"].endswith("; frame-ancestors 'none'")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert contract.text.startswith("openapi: ")
    assert contract.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert [key["use"] for key in keys.json()["keys"]] == ["sig"]


def test_tokens_are_revoked():
    async def main() -> list[int]:
        transport = httpx.ASGITransport(create_app(Settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            token = (await client.get("/oauth/token", params=GRANT, **AUTH)).json()["access_token"]
            statuses = []
            for _ in range(2):
                bearer = {"Authorization": f"Bearer {token}"}
                statuses.append((await client.get("/v1/datasets", headers=bearer)).status_code)
                await client.post("/_sandbox/revoke")
            return statuses

    assert anyio.run(main) == [200, 401]


@pytest.mark.parametrize("checked", [False, True])
def test_an_answer_that_breaks_the_contract(checked, monkeypatch):
    monkeypatch.setattr(TokenIssuer, "issue", lambda *_: {"access_token": "t"})
    refused, granted, method = ask(
        Settings(validate_responses=checked),
        ("GET", "/oauth/token", {}),
        ("GET", "/oauth/token", AUTH | {"params": GRANT}),
        ("PUT", "/oauth/token", AUTH),
    )
    assert (refused.status_code, method.status_code) == (401, 405)
    assert granted.status_code == (500 if checked else 200)
    if checked:
        assert granted.text.startswith("THE SANDBOX BREAKS THE CONTRACT: ")
        assert granted.text.count("; ") >= 1
        assert granted.text.endswith("\n")


def test_a_fault_inside(monkeypatch):
    monkeypatch.setattr(TokenIssuer, "issue", lambda *_: 1 / 0)
    (answer,) = ask(Settings(), ("GET", "/oauth/token", AUTH | {"params": GRANT}))
    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "server_error", "error_description": "Internal Server Error"},
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"clients": ()}, "The sandbox needs at least one client."),
        ({"host": "0.0.0.0"}, "The sandbox listens on loopback only, not on 0.0.0.0: use 127.0.0.1 or ::1."),
        ({"port": -1}, "-1 is not a port: it must be 0 (any that is free) to 65535."),
        ({"port": 65536}, "65536 is not a port: it must be 0 (any that is free) to 65535."),
        (
            {"lifetime": -1},
            "A token cannot live for -1 seconds: it must be 0 to 9223372036854775807, as in the contract.",
        ),
        (
            {"lifetime": 2**63},
            f"A token cannot live for {2**63} seconds: it must be 0 to {2**63 - 1}, as in the contract.",
        ),
        ({"delay": -0.1}, "An answer cannot be -0.1 seconds late: it must be 0 or more."),
        ({"delay": math.inf}, "An answer cannot be inf seconds late: it must be 0 or more."),
        ({"delay": math.nan}, "An answer cannot be nan seconds late: it must be 0 or more."),
    ],
)
def test_a_setting_that_will_not_do(wrong, told):
    with pytest.raises(ConfigurationError) as caught:
        Settings(**wrong)
    assert str(caught.value) == told


def test_settings_at_their_edges_are_handed_over():
    for settings in (
        Settings(clients=CLIENTS, host="::1", port=0, lifetime=0, delay=0.0, validate_responses=True),
        Settings(host="localhost", port=65535, lifetime=2**63 - 1, delay=0.5),
    ):
        assert Settings.from_json(settings.to_json()) == settings
    assert asdict(Settings()) == {
        "clients": (asdict(DEMO_CLIENT),),
        "host": "127.0.0.1",
        "port": 8765,
        "lifetime": 3599,
        "delay": 0.0,
        "validate_responses": False,
    }
    assert asdict(DEMO_CLIENT) == {
        "client_id": "demo-client",
        "client_secret": "not-a-secret",
        "scopes": ("audit", "dashboard", "data", "user"),
        "customer": "sandbox",
        "role": "Admin",
        "user_id": 123456789,
    }


def test_what_the_flags_mean(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(server, "run", lambda settings: (ran.append(settings), 0)[1])

    def run(line: str) -> Settings:
        assert command.run_from_args(command_parser("sandbox").parse_args(line.split())) == 0
        return ran.pop()

    assert run("") == Settings()
    assert run("--host ::1 --port 0 --lifetime 60 --delay 0.5 --validate-responses") == Settings(
        host="::1", port=0, lifetime=60, delay=0.5, validate_responses=True
    )
    assert run("--scope data,user").clients == (replace(DEMO_CLIENT, scopes=("data", "user")),)
    assert run("--customer acme").clients == (replace(DEMO_CLIENT, customer="acme"),)
    file = tmp_path / "clients.toml"
    file.write_text('[[clients]]\nclient_id = "a"\nclient_secret = "b"\nscopes = ["data"]\n')
    assert run(f"--clients {file}").clients == (Client(client_id="a", client_secret="b", scopes=("data",)),)
    for more in ("--scope data", "--customer acme"):
        with pytest.raises(ConfigurationError) as caught:
            run(f"--clients {file} {more}")
        told = "--scope and --customer are for the demo client: with --clients, put them in the file."
        assert str(caught.value) == told


@pytest.fixture
def sandbox_log():
    logger = logging.getLogger("domo_oauth.sandbox")
    before = logger.level, logger.propagate, logger.handlers
    yield logger
    logger.setLevel(before[0])
    logger.propagate, logger.handlers = before[1:]


@pytest.mark.parametrize(
    ("clients", "host", "url", "secret", "known"),
    [
        (
            (DEMO_CLIENT,),
            "127.0.0.1",
            "http://127.0.0.1:{port}",
            " DOMO_CLIENT_SECRET=not-a-secret",
            "demo-client (audit dashboard data user)",
        ),
        ((ACME, DEMO_CLIENT), "127.0.0.1", "http://127.0.0.1:{port}", "", ""),
        ((replace(ACME, client_id="it's mine"),), "::1", "http://[::1]:{port}", "", "it's mine (data user)"),
    ],
)
def test_what_a_sandbox_says_when_it_is_ready(clients, host, url, secret, known, sandbox_log, capsys):
    settings = Settings(clients=clients, host=host, port=0)
    server._log_to_stderr()
    assert (sandbox_log.level, sandbox_log.propagate, len(sandbox_log.handlers)) == (logging.INFO, False, 1)
    with server._listening_socket(settings) as listener:
        port = listener.getsockname()[1]
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert listener.family == (socket.AF_INET6 if ":" in host else socket.AF_INET)
        server._announce(listener, settings)
    said = capsys.readouterr()
    url, client_id = url.format(port=port), shlex.quote(clients[0].client_id)
    assert said.out == f"export DOMO_API_URL={shlex.quote(url)} DOMO_CLIENT_ID={client_id}{secret}\n"
    known = known or "id-ü (data user); demo-client (audit dashboard data user)"
    assert said.err.splitlines() == [
        f"This is a sandbox of Domo's token endpoint. The line above, pasted into a shell, points programs at {url}.",
        f"Clients and their scopes: {known}",
        f"To read about it and to try it: {url}/",
        "GET /oauth/token, GET /v1/datasets; GET /_sandbox/stats, POST /_sandbox/reset, POST /_sandbox/revoke",
        "Ctrl+C stops it.",
    ]


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            server._listening_socket(Settings(port=port))
    assert str(caught.value).startswith(f"Cannot listen on port {port} of 127.0.0.1: Address already in use")
    assert str(caught.value).endswith(". --port 0 takes one that is free.")


TABLE = '[[clients]]\nclient_id = "a"\nclient_secret = "b"\nscopes = ["data"]\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ": no [[clients]] table. Each client is one such table."),
        ("clients = []", ": no [[clients]] table. Each client is one such table."),
        ("clients = [1]", ", [[clients]] table 1: not a table."),
        ("a = 1\nb = 2", ": a, b: no such key; the file holds [[clients]] tables only."),
        (TABLE + TABLE, ", [[clients]] table 2: client_id: another table has the same."),
        (TABLE + "scope = 1", ", [[clients]] table 1: scope: no such key; did you mean scopes?"),
        (
            TABLE + "zzz = 1",
            (
                ", [[clients]] table 1: zzz: no such key; known are client_id, client_secret, scopes, customer, role, "
                "user_id."
            ),
        ),
        (TABLE + "user_id = true", ", [[clients]] table 1: user_id: must be int, not bool."),
        ('[[clients]]\nclient_id = "a"\nscopes = []', ", [[clients]] table 1: client_secret: missing."),
        (
            TABLE.replace('["data"]', '["data", 1]'),
            ', [[clients]] table 1: scopes: must be a list of names, such as ["data", "user"].',
        ),
        (
            TABLE.replace('["data"]', "[]"),
            ", [[clients]] table 1: The client has no scope: a client without any could not use its tokens.",
        ),
    ],
)
def test_a_file_of_clients_that_will_not_do(text, told, tmp_path):
    file = tmp_path / "clients.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_clients(file)
    assert str(caught.value) == f"{file}{told}"


def test_a_file_of_clients(tmp_path):
    file = tmp_path / "clients.toml"
    more = 'customer = "acme"\nrole = "Editor"\nuser_id = 7\n'
    file.write_text(TABLE + more + TABLE.replace('"a"', '"c"'))
    a, c = load_clients(file)
    assert a == Client(client_id="a", client_secret="b", scopes=("data",), customer="acme", role="Editor", user_id=7)
    assert c == Client(client_id="c", client_secret="b", scopes=("data",))


def test_counts_are_counted():
    stats = Stats()
    stats.count("tokens_issued")
    stats.count("tokens_issued")
    assert stats == Stats(tokens_issued=2)
    assert json.loads(json.dumps(asdict(stats)))["tokens_issued"] == 2
