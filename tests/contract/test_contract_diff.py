"""oasdiff on changes of the contract, in a repository made for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import contract_diff

ROOT = Path(__file__).parents[2]
CONTRACT = (ROOT / "openapi" / "domo-oauth.yaml").read_text(encoding="utf-8")

needs_oasdiff = pytest.mark.skipif(
    not (contract_diff.TOOLS / "oasdiff").exists(), reason="needs oasdiff: with Go installed, make contract-diff"
)


def changed(*changes: tuple[str, str]) -> str:
    contract = CONTRACT
    for old, new in changes:
        assert old in contract
        contract = contract.replace(old, new, 1)
    return contract


OPTIONAL = ("        - expires_in\n", "")
NEW_MAJOR = ("  version: 1.", "  version: 2.")
NEW_FIELD = ("        userId:\n", "        instance:\n          type: string\n        userId:\n")


@pytest.fixture
def diff(tmp_path):
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    path = tmp_path / "openapi" / "domo-oauth.yaml"
    path.parent.mkdir()
    path.write_text(CONTRACT, encoding="utf-8")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "Release")

    def diff(contract: str, *arguments: str, tag: str = "") -> tuple[int, str]:
        if tag:
            git("tag", tag)
        path.write_text(contract, encoding="utf-8")
        command = [sys.executable, ROOT / "tools" / "contract_diff.py", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return diff


@needs_oasdiff
def test_a_breaking_change_fails_and_is_told(diff):
    status, told = diff(changed(OPTIONAL), tag="contract-v1.0.0")
    assert status == 1
    assert "From contract-v1.0.0 to the working tree" in told
    assert "`expires_in` became optional" in told
    assert "raise the major number" in told


@needs_oasdiff
def test_with_a_new_major_number_it_is_told_only(diff):
    status, told = diff(changed(OPTIONAL, NEW_MAJOR), "HEAD")
    assert status == 0
    assert "`expires_in` became optional" in told


@needs_oasdiff
def test_an_addition_is_told(diff):
    status, told = diff(changed(NEW_FIELD), "HEAD")
    assert status == 0
    assert "instance" in told


def test_without_a_release_there_is_nothing_to_compare_with_and_no_go_needed(diff, monkeypatch, tmp_path, capsys):
    assert diff(CONTRACT) == (
        0,
        "contract-diff: nothing to compare with, as no release is tagged here (contract-v*); name a BASE\n",
    )
    built = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["contract_diff.py"])
    monkeypatch.setattr(contract_diff, "oasdiff", lambda: built.append("oasdiff"))
    monkeypatch.delenv("CI", raising=False)
    assert (contract_diff.main(), built) == (0, [])
    monkeypatch.setenv("CI", "true")  # where its tests may not be skipped
    assert (contract_diff.main(), built) == (0, ["oasdiff"])


def test_a_base_that_is_none(diff):
    status, told = diff(CONTRACT, "nonsense")
    assert status == 2
    assert "no openapi/domo-oauth.yaml at nonsense" in told


def test_without_go(diff, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(contract_diff, "TOOLS", tmp_path)
    monkeypatch.setattr(contract_diff.shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["contract_diff.py", "HEAD"])
    assert contract_diff.main() == contract_diff.NOT_SET_UP
    assert "oasdiff needs Go" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["git", "a repository"])
def test_without_git(monkeypatch, tmp_path, capsys, missing):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["contract_diff.py"])
    if missing == "git":
        monkeypatch.setenv("PATH", str(tmp_path))
    assert contract_diff.main() == contract_diff.NOT_SET_UP
    assert capsys.readouterr().err.endswith("install it, and use a clone\n")
