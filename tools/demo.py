"""The tour of `make demo`: what a newcomer would type, and what happens.

It runs everything as it shows it, on the embedded sandbox. `make demo LIVE=1` asks Domo, with credentials from the
environment.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import textwrap
from contextlib import nullcontext
from itertools import count
from pathlib import Path

import httpx

from domo_oauth import ClientCredentials, DomoOAuthError
from domo_oauth.base_url import resolve_base_url
from domo_oauth.sandbox import Sandbox, running

CALL = """\
auth = DomoAuth.from_env(scopes=["data"])
domo = httpx.Client(base_url=f"{auth.base_url}/v1", auth=auth)
print([dataset["name"] for dataset in domo.get("/datasets", params={"limit": 2}).raise_for_status().json()])
"""
REVOKED = """\
sandbox.revoke_tokens()
print(domo.get("/datasets"), "after", sandbox.stats().token_requests, "requests for a token")
"""
SECOND_PROCESS = """\
from domo_oauth import TokenProvider
provider = TokenProvider.from_env()
print(provider.get_token().customer, provider.stats())
"""
GENERATED = """\
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.oauth import get_access_token
username, password = os.environ["DOMO_CLIENT_ID"], os.environ["DOMO_CLIENT_SECRET"]
with AuthenticatedClient(auth.base_url, username=username, password=password) as client:
    print(get_access_token.sync_detailed(client=client, grant_type="client_credentials", scope="data").parsed)
"""
REFUSED = 'request_token(ClientCredentials(os.environ["DOMO_CLIENT_ID"], "wrong"))'
MISSPELT = 'request_token(ClientCredentials.from_env(), scopes="dat")'

steps = count(1)


def step(title: str) -> None:
    print(f"\n{next(steps)}. {title}", flush=True)


def python(code: str, names: dict[str, object], *, fails: bool = False) -> None:
    """Show some Python and run it."""
    print(textwrap.indent(code.rstrip(), "   > "), flush=True)
    try:
        exec(code, names)  # noqa: S102 -- what is shown is what runs
    except DomoOAuthError as error:
        if not fails:
            raise
        print(textwrap.fill(f"{type(error).__name__}: {error}", 110))


def shell(command: str, folder: str) -> None:
    """Show a command and run it in this folder."""
    print(f"   $ {command}", flush=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "DOMO_STORE": "./tokens"}
    subprocess.run(["sh", "-c", command], cwd=folder, env=env, check=True)  # noqa: S607 -- the system's shell


def tour(sandbox: Sandbox | None, folder: str) -> None:
    names: dict[str, object] = {"sandbox": sandbox, "httpx": httpx, "os": os}
    step("The contract: one OpenAPI document, from which every language gets a client")
    shell("domo-oauth spec | head -4", folder)
    step("Call Domo's API: DomoAuth gives any httpx client a valid token")
    python("import httpx\nfrom domo_oauth import DomoAuth\n" + CALL, names)
    if sandbox is not None:
        step("Revoke the token: the call is retried with a new one")
        python(REVOKED, names)

    step("In a shell: the first command requests a token, the others find it in the store")
    print("   $ export DOMO_STORE=./tokens")
    shell("domo-oauth whoami", folder)
    shell("domo-oauth token | cut -c 1-40", folder)
    step("Any other process finds it there, too: no request")
    (Path(folder) / "second.py").write_text(SECOND_PROCESS, encoding="utf-8")
    print(textwrap.indent(SECOND_PROCESS.rstrip(), "   > "))
    shell("python second.py", folder)

    step("The generated client works on its own")
    python(GENERATED, names)
    step("Errors say what happened and what to do")
    python("from domo_oauth import ClientCredentials, request_token\n" + REFUSED, names, fails=True)
    python(MISSPELT, names, fails=True)
    step("Record these responses, without secrets, and check them against the contract")
    shell("domo-oauth record --out recordings >record.log && domo-oauth verify recordings/*.har", folder)


def main(*, live: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, nullcontext() if live else running(quiet=True) as sandbox:
        logging.getLogger("domo_oauth").addHandler(logging.NullHandler())  # the errors are shown
        os.environ.pop("DOMO_STORE", None)
        if sandbox is not None:
            os.environ.update(sandbox.env | {"no_proxy": "127.0.0.1"})
            print(f"A server that behaves like Domo's token endpoint runs at {sandbox.url}.")
        else:
            print(f"Asking {resolve_base_url()} as {ClientCredentials.from_env()}.")
        tour(sandbox, folder)
    print("\nNext: README.md shows how to use this in your program; `make test` runs the tests.")


if __name__ == "__main__":
    try:
        main(live="--live" in sys.argv[1:])
    except DomoOAuthError as error:
        sys.exit(f"\ndemo: {error}")
    except (httpx.HTTPError, subprocess.CalledProcessError) as error:
        sys.exit(f"\ndemo: {type(error).__name__}: {error}")
