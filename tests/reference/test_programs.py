"""What users run, against the reference servers: wrapper, generated client, command, and clients in other languages."""

import json
import os
import subprocess
import sys
import threading
from http.server import ThreadingHTTPServer

import httpx
import pytest

from domo_oauth import ClientCredentials, DomoAuth, Scope, TokenProvider, errors, request_token
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
from domo_oauth_client.models import AccessTokenResponse, TokenError
from interop import reference, run

KNOWN = reference.credentials()
WRONG = ClientCredentials("two-scopes", "wrong-secret")
SSO = [server.name for server in reference.SERVERS if server.name.startswith("sso")]
SAS = "sas-1.5"
IN_ENGLISH = [  # server, credentials, scopes, error, a part of its message
    *(
        (server, who, None, errors.InvalidClientError, "does not accept the client id")
        for server in [*SSO, SAS]
        for who in (WRONG, ClientCredentials("nobody", "wrong-secret"))
    ),
    *(
        (server, reference.credentials("other-grant"), None, errors.InvalidClientError, "client credentials grant")
        for server in [*SSO, SAS]
    ),
    *(
        (server, KNOWN, ["data", "account"], errors.InvalidScopeError, "Requested: account data.")
        for server in [*SSO, SAS]
    ),
    *((server, KNOWN, ["account"], errors.InvalidScopeError, "The client has: data user.") for server in SSO),
    *((server, reference.credentials("no-scopes"), None, errors.InvalidScopeError, "has no scopes") for server in SSO),
    *(
        (server, reference.credentials("denied"), None, errors.TokenRequestError, "refuses this client")
        for server in [*SSO, SAS]
    ),
    *((server, reference.credentials("fault"), None, errors.ServerError, "The fault is Domo's") for server in SSO),
    *(
        (server, KNOWN, [Scope.custom("x" * 20_000)], errors.TokenRequestError, "request is too large")
        for server in [*SSO, SAS]
    ),
]


@pytest.mark.parametrize("server", [*SSO, SAS])
def test_the_wrapper_reads_a_token(urls, server):
    token = request_token(KNOWN, scopes=["user", "data"], base_url=urls[server])
    assert (token.token_type.lower(), token.scopes) == ("bearer", {"data", "user"})
    assert 3500 < token.expires_in < 3600
    assert (token.customer, token.role, token.user_id) == (
        ("acmecompany", "Admin", 964382593) if server in SSO else (None, None, None)
    )


@pytest.mark.parametrize(("server", "who", "scopes", "kind", "message"), IN_ENGLISH)
def test_the_wrapper_explains_each_refusal(urls, server, who, scopes, kind, message):
    with pytest.raises(errors.TokenRequestError) as caught:
        request_token(who, scopes=scopes, base_url=urls[server])
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert who.client_secret not in str(caught.value)
    assert "Unauthorized: Unauthorized." not in str(caught.value)


@pytest.mark.parametrize(
    ("server", "message"), [(reference.MAIN, "405 Method Not Allowed"), (reference.SERVERS[-1], "It is a redirect")]
)
def test_a_server_that_takes_post_only(server, message):
    with reference.running(server, methods="POST") as url, pytest.raises(errors.UnexpectedResponseError, match=message):
        request_token(KNOWN, base_url=url)
    with pytest.raises(errors.TransportError):  # it has stopped
        request_token(KNOWN, base_url=url)


def test_the_api_takes_the_token_and_refuses_others(url):
    provider = TokenProvider(KNOWN, scopes=["data"], base_url=url)
    with httpx.Client(base_url=url, auth=DomoAuth(provider), trust_env=False) as domo:
        assert domo.get("/v1/datasets").json() == [{"name": "Opportunities"}]
        refused = domo.get("/v1/datasets", auth=DomoAuth(TokenProvider(KNOWN, scopes=["user"], base_url=url)))
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    assert provider.stats().requests == 1


@pytest.mark.parametrize("server", [*SSO, SAS])
def test_the_generated_client_reads_a_token_and_each_error(urls, server):
    for client_id, secret, status in [
        ("two-scopes", KNOWN.client_secret, 200),
        ("two-scopes", "wrong", 401),
        ("other-grant", reference.credentials("other-grant").client_secret, 401 if server in SSO else 400),
        ("denied", reference.credentials("denied").client_secret, 403),
    ]:
        with AuthenticatedClient(urls[server], username=client_id, password=secret) as client:
            response = get_access_token.sync_detailed(client=client, grant_type="client_credentials", scope="data")
        assert response.status_code == status
        expected = AccessTokenResponse if status == 200 else TokenError
        assert isinstance(response.parsed, expected) or (server, status) == (SAS, 403)  # whose body is empty


def command(url, *arguments, secret=KNOWN.client_secret):
    variables = {"DOMO_API_URL": url, "DOMO_CLIENT_ID": KNOWN.client_id, "DOMO_CLIENT_SECRET": secret}
    return subprocess.run(
        [sys.executable, "-m", "domo_oauth", *arguments],
        env=os.environ | variables | {"NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_command_prints_a_token_and_explains_a_refusal(url):
    printed = command(url, "token", "--no-store", "--scope", "data", "--format", "json")
    assert (printed.returncode, json.loads(printed.stdout)["customer"]) == (0, "acmecompany")
    refused = command(url, "token", "--no-store", secret="wrong")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "does not accept the client id" in refused.stderr


def test_doctor_finds_nothing_and_finds_a_wrong_secret(url):
    assert (found := command(url, "doctor")).returncode == 0, found.stdout + found.stderr
    refused = command(url, "doctor", secret="wrong")
    assert (refused.returncode, "does not accept the client id" in refused.stdout) == (1, True)


@pytest.mark.parametrize("server", [*SSO, SAS])
def test_record_writes_what_verify_accepts(urls, server, tmp_path):
    recorded = command(urls[server], "record", "--out", str(tmp_path))
    assert recorded.returncode == 0, recorded.stderr
    files = sorted(map(str, tmp_path.glob("*.har")))
    assert len(files) == 4
    assert KNOWN.client_secret not in "".join(path.read_text() for path in tmp_path.iterdir())
    verified = command(urls[server], "verify", *files)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize("folder", ["go", "typescript"])
def test_a_client_in_another_language(url, folder):
    work, steps = run.CACHE / folder, run.sections(folder)
    stamp = work / ".stamp"
    if not stamp.exists() or stamp.read_text(encoding="ascii") != run.fingerprint(folder):
        run.prepare(folder)
        for name in ("generate", "build"):
            if name in steps:
                run.step(name, steps[name], work, run.BUILD_SECONDS)
    with ThreadingHTTPServer(("127.0.0.1", 0), run.Player) as player:
        threading.Thread(target=player.serve_forever, daemon=True).start()
        recordings = f"http://127.0.0.1:{player.server_port}"
        variables = {
            "DOMO_API_URL": url,
            "DOMO_CLIENT_ID": KNOWN.client_id,
            "DOMO_CLIENT_SECRET": KNOWN.client_secret,
            "DOMO_ERROR_URL": f"{recordings}/derived-401-full-authentication-required",
            "DOMO_HTML_URL": f"{recordings}/html",
        }
        lines = run.step("run", steps["run"], work, run.PROGRAM_SECONDS, variables).splitlines()
        player.shutdown()
    expected = (run.HERE / "expected.txt").read_text(encoding="utf-8").splitlines()
    token = "token: customer acmecompany, role Admin, scopes data user"
    assert lines == [token, "datasets: status 200, 1 of them", *expected[run.TOKEN_LINES :]]
