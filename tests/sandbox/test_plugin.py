"""The fixture ``domo_sandbox``, partly in test runs of their own as a user would start them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest

from domo_oauth import ClientCredentials, FileStore, TokenProvider, request_token
from tests.fakes import until

from .test_process import listens


@pytest.fixture
def run(tmp_path):
    def run(text: str) -> str:
        (tmp_path / "test_theirs.py").write_text(textwrap.dedent(text))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout

    return run


@pytest.mark.parametrize("times", [1, 2])
def test_each_test_gets_the_variables_an_empty_store_and_counts_from_zero(domo_sandbox, times):
    assert {name: os.environ[name] for name in domo_sandbox.env} == domo_sandbox.env
    assert domo_sandbox.client_secret not in repr(domo_sandbox)
    with TokenProvider.from_env(store=FileStore()) as provider:
        provider.get_token()
    for _ in range(times):
        request_token(ClientCredentials.from_env())
    assert domo_sandbox.stats().tokens_issued == 1 + times
    assert str(FileStore().path) == os.environ["DOMO_STORE"]


@pytest.fixture
def without_filelock(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "filelock" else find(name))


@pytest.mark.usefixtures("without_filelock")
def test_without_the_extra_file_there_is_no_store(domo_sandbox):
    assert os.environ["DOMO_STORE"] == "none"
    assert TokenProvider.from_env().get_token().customer == "sandbox"


@pytest.mark.slow
def test_a_run_of_a_user(run, tmp_path, monkeypatch):
    caches = tmp_path / "caches"
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches))
    monkeypatch.setenv("DOMO_STORE", "redis://127.0.0.1:1")
    printed = run("""
        import os, pathlib, subprocess, sys
        import httpx
        from domo_oauth import FileStore, TokenProvider

        def test_a_command_shares_the_store(domo_sandbox):
            with TokenProvider.from_env(store=FileStore()) as provider:
                token = provider.get_token().access_token
            command = [sys.executable, "-m", "domo_oauth", "token"]
            ended = subprocess.run(command, capture_output=True, text=True)
            assert (ended.stdout, ended.stderr) == (token + "\\n", "")
            assert domo_sandbox.stats().tokens_issued == 1

        def test_the_store_of_the_developer_is_left_alone():
            assert os.environ["DOMO_STORE"] == "redis://127.0.0.1:1"

        def test_that_fails(domo_sandbox):
            pathlib.Path("url").write_text(domo_sandbox.url)
            httpx.get(f"{domo_sandbox.url}/oauth/token", timeout=60).raise_for_status()
    """)
    assert "1 failed, 2 passed" in printed
    assert "GET /oauth/token 401 invalid_client" in printed  # the server's log comes with the failure
    assert not caches.exists()
    until(lambda: not listens((tmp_path / "url").read_text()))


@pytest.mark.slow
def test_a_missing_extra_is_named_in_one_line(run):
    printed = run("""
        import sys
        sys.modules["jwt"] = None

        def test_theirs(domo_sandbox):
            pass
    """)
    assert "domo_sandbox: The sandbox needs jwt" in printed
    assert "pip install 'domo-oauth[sandbox]'" in printed
    assert "Traceback" not in printed
