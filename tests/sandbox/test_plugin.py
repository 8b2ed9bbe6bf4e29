"""The fixture ``domo_sandbox``, mostly in test runs of their own as a user would start them."""

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


def test_another_test_gets_none_of_it():
    assert not [name for name in os.environ if name.startswith("DOMO_")]
    assert str(FileStore().path) == f"{os.environ['XDG_CACHE_HOME']}/domo-oauth"


@pytest.mark.slow
def test_a_run_of_a_user(run, tmp_path, monkeypatch):
    caches = tmp_path / "caches"
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches))
    monkeypatch.setenv("DOMO_STORE", "redis://127.0.0.1:1")
    (tmp_path / "inner.py").write_text("def test_theirs(domo_sandbox):\n    print('URL', domo_sandbox.url)\n")
    result = run("""
        import os, pathlib, subprocess, sys
        import httpx
        import pytest
        from domo_oauth import FileStore, TokenProvider

        COMMAND = str(pathlib.Path(sys.executable).with_name("domo-oauth"))

        @pytest.mark.parametrize("number", [1, 2])
        def test_a_command_shares_the_store(domo_sandbox, tmp_path, number):
            assert not list(tmp_path.iterdir())
            with TokenProvider.from_env(store=FileStore()) as provider:
                token = provider.get_token().access_token
            ended = subprocess.run([COMMAND, "token"], capture_output=True, text=True)
            assert (ended.stdout, ended.stderr) == (token + "\\n", "")
            assert domo_sandbox.stats().tokens_issued == 1

        def test_the_store_of_the_developer_is_left_alone():
            assert os.environ["DOMO_STORE"] == "redis://127.0.0.1:1"

        def test_a_run_within_a_run_has_a_server_of_its_own(domo_sandbox):
            command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "inner.py"]
            printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            assert "1 passed" in printed
            assert "URL http://127.0.0.1:" in printed
            assert domo_sandbox.url not in printed
            assert domo_sandbox.stats().token_requests == 0

        def test_that_fails(domo_sandbox):
            pathlib.Path("url").write_text(domo_sandbox.url)
            httpx.get(f"{domo_sandbox.url}/oauth/token").raise_for_status()
    """)
    assert "4 passed" in result.stdout, result.stdout
    assert "1 failed" in result.stdout
    assert "GET /oauth/token 401 invalid_client" in result.stdout  # the server's log comes with the failure
    assert not caches.exists()
    until(lambda: not listens((tmp_path / "url").read_text()))


@pytest.mark.slow
@pytest.mark.parametrize("end", ["os._exit(9)", "pytest.exit('enough')"])
def test_no_server_is_left_behind_however_the_run_ends(run, tmp_path, end):
    result = run(f"""
        import os, pathlib, pytest

        def test_theirs(domo_sandbox):
            pathlib.Path("url").write_text(domo_sandbox.url)
            {end}
    """)
    assert result.returncode != 0
    until(lambda: not listens((tmp_path / "url").read_text()))


@pytest.mark.slow
def test_a_missing_extra_is_named_in_one_line_and_the_fixture_is_listed(run):
    result = run("""
        import sys
        sys.modules["jwt"] = None

        def test_theirs(domo_sandbox):
            pass
    """)
    assert "domo_sandbox: The sandbox needs jwt" in result.stdout
    assert "pip install 'domo-oauth[sandbox]'" in result.stdout
    assert "Traceback" not in result.stdout
    listed = run("", "--fixtures").stdout
    assert "domo_sandbox -- " in listed
    assert "A local server that behaves like Domo's token endpoint." in listed


@pytest.mark.slow
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
