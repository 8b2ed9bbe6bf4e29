"""What the checks of all recipes share. Runs in a recipe's own environment, in the folder with the page's code."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict

from domo_oauth.provider import forget_tokens
from domo_oauth.sandbox import Sandbox, Stats

if TYPE_CHECKING:
    from collections.abc import Callable

sandbox = Sandbox(os.environ["DOMO_API_URL"], os.environ["DOMO_CLIENT_ID"], os.environ["DOMO_CLIENT_SECRET"])
NAMES = [dataset["name"] for dataset in sandbox.datasets]
WRONG = {"DOMO_CLIENT_SECRET": os.environ["WRONG_SECRET"]}
LIFETIME = 2  # seconds; the tokens of `renewed_at_expiry`
WAIT_SECONDS = 180

row: dict[str, str] = {"besides": ""}

logging.basicConfig(filename="debug.log", level=logging.DEBUG)  # the runner searches it for secrets


def module(name: str) -> Any:
    """Import a block of the page."""
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 -- sys.path holds text
    return importlib.import_module(name)


def check_calls(call: Callable[[], object], times: int = 20, *, token_requests: int = 1) -> None:
    """Call several times; the token requests must not grow with the calls."""
    before = sandbox.stats()
    for _ in range(times):
        call()
    difference = since(before)
    assert difference["token_requests"] == token_requests, difference
    assert difference["resource_requests"] >= times, difference
    row["calls"] = f"{token_requests} for {difference['resource_requests']} calls"


def check_revoked(call: Callable[[], object], *, refused: int = 1, token_requests: int = 1) -> None:
    """Revoke the token: the next call must succeed after one more token request, by a replay."""
    sandbox.revoke_tokens()
    before = sandbox.stats()
    call()
    difference = since(before)
    assert difference["token_requests"] == difference["tokens_issued"] == token_requests, difference
    assert difference["invalid_token"] == refused, difference
    row["revoked"] = "renewed, 401 replayed"


def check_expired(call: Callable[[], object], *, token_requests: int = 1) -> None:
    """Let a token expire: the next call must succeed without a 401."""
    sandbox.lifetime = LIFETIME
    forget_tokens()  # revoking again would be refusal after refusal, for which there is a pause
    call()
    time.sleep(LIFETIME + 0.2)
    before = sandbox.stats()
    call()
    difference = since(before)
    assert difference["token_requests"] == token_requests, difference
    assert difference["invalid_token"] == 0, difference
    sandbox.lifetime = 3599
    forget_tokens()
    call()  # the next check starts with a token that lasts
    row["expired"] = "renewed, no 401"


def check_retried(call: Callable[[], object], *, failures: int = 2, requests: int = 1) -> None:
    """Make the API fail for a moment: the library repeats the request, without another token."""
    sandbox.fail_next(503, times=failures, at="api")
    before = sandbox.stats()
    call()
    difference = since(before)
    assert difference["resource_requests"] == requests + failures, difference
    assert difference["token_requests"] == 0, difference


def check_script(
    *command: str, api_error: int = 500, traceback: bool = False, env: dict[str, str] | None = None
) -> None:
    """Run a script of the page with wrong credentials, and with an API that fails: its `except` clause catches both.

    There is no traceback, unless the library logs one.
    """
    env = env or {}
    before = sandbox.stats()
    output = run(*command, env=env | WRONG, fails=True)
    difference = since(before)
    assert difference["invalid_client"] == difference["token_requests"] == 1, difference
    assert "Domo does not accept the client id" in output, output
    assert ("Traceback" in output) == traceback, output
    assert WRONG["DOMO_CLIENT_SECRET"] not in output, output
    sandbox.fail_next(api_error, times=20, at="api")
    output = run(*command, env=env, fails=True)
    assert str(api_error) in output, output
    assert ("Traceback" in output) == traceback, output
    assert WRONG["DOMO_CLIENT_SECRET"] not in output, output
    sandbox.reset()
    row["wrong"] = "1 request; clause catches it"


def run(*command: str, env: dict[str, str] | None = None, fails: bool = False) -> str:
    """Run a command; return what it prints. It must succeed, or fail."""
    done = subprocess.run(
        command,
        env=os.environ | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WAIT_SECONDS * 3,
        check=False,
    )
    print(f"$ {' '.join(command)}\n{done.stdout}exit status {done.returncode}")
    assert bool(done.returncode) == fails, f"{command}: exit status {done.returncode}"
    return done.stdout


def since(before: Stats) -> dict[str, int]:
    """What the sandbox has counted since then."""
    then = asdict(before)
    return {name: count - then[name] for name, count in asdict(sandbox.stats()).items()}


def wait_for(what: Callable[[], bool]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def versions(*names: str) -> None:
    """Note the versions of what was checked."""
    found = {name: importlib.metadata.version(name) for name in names}
    row["version"] = ", ".join(f"{name} {found[name]}" if len(found) > 1 else found[name] for name in found)


def done(besides: str = "") -> None:
    """Hand the row to the runner."""
    row["besides"] = besides
    Path("row.json").write_text(json.dumps(row), encoding="utf-8")


def check_library_that_repeats(name: str, *distributions: str) -> None:
    """All checks of a library that sends requests again; `name` is that of the module on the page."""
    page = module(name)

    def names() -> None:
        assert page.names() == NAMES

    check_calls(names)
    check_revoked(names)
    check_retried(names)
    check_expired(names)
    sandbox.revoke_tokens()
    sandbox.fail_next(503, at="api")
    names()  # 503, 401, 200
    check_script(sys.executable, f"{name}.py", api_error=503)
    versions(*distributions)
    done("503 twice: repeated; then a 401: replayed")


def check_library_that_mocks(distribution: str, *, tests: int) -> None:
    """The tests on the page pass, and nothing needs the sandbox."""
    none = dict.fromkeys(sandbox.env, "")
    file = f"test_with_{distribution.replace('-', '_')}.py"
    output = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file, env=none)
    assert f"{tests} passed" in output, output
    assert sandbox.stats().token_requests == 0
    row.update({"calls": "1 for 2 calls", "revoked": "renewed, 401 replayed", "wrong": "`InvalidClientError`"})
    versions(distribution, "pytest")
    done(f"the page's {tests} tests; no request left the process")
