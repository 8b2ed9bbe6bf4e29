"""The fixture ``domo_sandbox``, in test runs of their own as a user would start them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from .test_sandbox import listens, until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path):
    def run(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_theirs.py").write_text(textwrap.dedent(text))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_each_test_gets_the_variables_and_counts_from_zero(run):
    result = run("""
        import os
        import pytest
        from domo_oauth import request_token, ClientCredentials

        urls = set()

        @pytest.mark.parametrize("times", [1, 2])
        def test_theirs(domo_sandbox, times):
            assert {name: os.environ[name] for name in domo_sandbox.env} == domo_sandbox.env
            for _ in range(times):
                request_token(ClientCredentials.from_env())
            assert domo_sandbox.stats().tokens_issued == times
            assert domo_sandbox.client_secret == os.environ["DOMO_CLIENT_SECRET"]
            assert domo_sandbox.client_secret not in repr(domo_sandbox)
            urls.add(domo_sandbox.url)

        def test_another_without_it():
            assert len(urls) == 1
            assert not [name for name in os.environ if name.startswith("DOMO_")]
    """)
    assert "3 passed" in result.stdout, result.stdout


def test_each_test_starts_with_an_empty_store_which_is_not_the_developers(run, tmp_path: Path, monkeypatch):
    caches = tmp_path / "caches"
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches))
    monkeypatch.setenv("DOMO_STORE", "redis://127.0.0.1:1")
    result = run("""
        import os
        import pathlib
        import subprocess
        import sys
        import pytest
        from domo_oauth import FileStore, TokenProvider

        COMMAND = str(pathlib.Path(sys.executable).with_name("domo-oauth"))

        @pytest.mark.parametrize("number", [1, 2])
        def test_theirs(domo_sandbox, tmp_path, number):
            assert not list(tmp_path.iterdir())
            with TokenProvider.from_env(store=FileStore()) as provider:
                token = provider.get_token().access_token
            assert domo_sandbox.stats().tokens_issued == 1
            ended = subprocess.run([COMMAND, "token"], capture_output=True, text=True)
            assert (ended.stdout, ended.stderr) == (token + "\\n", "")
            assert domo_sandbox.stats().tokens_issued == 1

        def test_another_without_it():
            assert os.environ["DOMO_STORE"] == "redis://127.0.0.1:1"
            assert str(FileStore().path) == os.path.join(os.environ["XDG_CACHE_HOME"], "domo-oauth")
    """)
    assert "3 passed" in result.stdout, result.stdout
    assert not caches.exists()


def test_a_revoked_token_is_refused(run):
    result = run("""
        import httpx
        from domo_oauth import request_token, ClientCredentials

        def test_theirs(domo_sandbox):
            token = request_token(ClientCredentials.from_env())
            headers = {"Authorization": f"Bearer {token.access_token}"}
            assert httpx.get(f"{domo_sandbox.url}/v1/datasets", headers=headers).status_code == 200
            domo_sandbox.revoke_tokens()
            assert httpx.get(f"{domo_sandbox.url}/v1/datasets", headers=headers).status_code == 401
    """)
    assert "1 passed" in result.stdout, result.stdout


def test_a_session_within_a_session_has_a_server_of_its_own(run, tmp_path: Path):
    inner = tmp_path / "inner.py"
    inner.write_text("def test_theirs(domo_sandbox):\n    print('URL', domo_sandbox.url)\n")
    result = run(f"""
        import subprocess, sys

        def test_theirs(domo_sandbox):
            command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", {str(inner)!r}]
            printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            assert "1 passed" in printed
            assert "URL http://127.0.0.1:" in printed
            assert domo_sandbox.url not in printed
            assert domo_sandbox.stats().token_requests == 0
    """)
    assert "1 passed" in result.stdout, result.stdout


@pytest.mark.parametrize("end", ["assert False", "os._exit(9)", "pytest.exit('enough')"])
def test_no_server_is_left_behind_however_the_session_ends(run, tmp_path: Path, end: str):
    result = run(f"""
        import os, pathlib, pytest

        def test_theirs(domo_sandbox):
            pathlib.Path("url").write_text(domo_sandbox.url)
            {end}
    """)
    assert result.returncode != 0
    until(lambda: not listens((tmp_path / "url").read_text()))


def test_the_log_of_the_server_comes_with_a_test_that_failed(run):
    result = run("""
        import httpx

        def test_theirs(domo_sandbox):
            httpx.get(f"{domo_sandbox.url}/oauth/token").raise_for_status()
    """)
    assert "GET /oauth/token 401 invalid_client" in result.stdout


def test_a_missing_extra_is_named_in_one_line(run):
    result = run("""
        import sys
        sys.modules["jwt"] = None

        def test_theirs(domo_sandbox):
            pass
    """)
    assert "domo_sandbox: The sandbox needs jwt" in result.stdout
    assert "pip install 'domo-oauth[sandbox]'" in result.stdout
    assert "Traceback" not in result.stdout


def test_it_is_listed_with_its_purpose(run):
    result = run("", "--fixtures")
    assert "domo_sandbox -- " in result.stdout
    assert "A local server that behaves like Domo's token endpoint" in result.stdout


def test_loading_the_plugin_loads_nothing_else():
    program = """
        import sys, pytest
        before = set(sys.modules)
        import domo_oauth.pytest_plugin
        print(*sorted(set(sys.modules) - before))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert loaded.split() == ["domo_oauth", "domo_oauth._version", "domo_oauth.pytest_plugin"]
