"""The files of a release of the contract."""

import hashlib
import json
import os
import sys
import zipfile

import pytest
import yaml

from tools import release_spec


@pytest.fixture
def release(tmp_path, monkeypatch):
    def release(folder):
        monkeypatch.setattr(sys, "argv", ["release_spec.py", "--out", str(tmp_path / folder)])
        release_spec.main()
        return {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}

    return release


def test_it_holds_the_contract_the_overlay_and_the_recordings(release, tmp_path):
    files = release("dist")
    text = release_spec.CONTRACT.read_bytes()
    name = f"domo-oauth-{yaml.safe_load(text)['info']['version']}"
    assert files.pop(f"{name}.yaml") == text
    assert json.loads(files.pop(f"{name}.json")) == yaml.safe_load(text)
    assert files.pop(f"{name}-prism-overlay.yaml") == release_spec.OVERLAY.read_bytes()
    with zipfile.ZipFile(tmp_path / "dist" / f"{name}-recordings.zip") as archive:
        packed = {each: archive.read(each) for each in archive.namelist()}
    assert packed == {f"recordings/{path.name}": path.read_bytes() for path in release_spec.RECORDINGS.glob("*.har")}
    assert set(files) == {f"{name}-recordings.zip", f"{name}.sha256"}
    for line in files[f"{name}.sha256"].decode().splitlines():
        digest, file = line.split("  ")
        assert hashlib.sha256((tmp_path / "dist" / file).read_bytes()).hexdigest() == digest


def test_it_is_the_same_each_time(release):
    first = release("first")
    for path in release_spec.RECORDINGS.glob("*.har"):
        os.utime(path)
    assert release("second") == first
