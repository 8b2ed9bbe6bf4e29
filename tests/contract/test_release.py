"""The files of a release of the contract."""

import hashlib
import json
import os
import sys
import zipfile

import yaml

from tools import release_spec


def test_it_holds_the_contract_the_overlay_and_the_recordings_and_is_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["release_spec.py", "--out", str(tmp_path)])
    release_spec.main()
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for path in release_spec.RECORDINGS.glob("*.har"):
        os.utime(path)
    release_spec.main()
    assert files == {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    text = release_spec.CONTRACT.read_bytes()
    name = f"domo-oauth-{yaml.safe_load(text)['info']['version']}"
    for line in files.pop(f"{name}.sha256").decode().splitlines():
        digest, file = line.split("  ")
        assert hashlib.sha256(files[file]).hexdigest() == digest
    with zipfile.ZipFile(tmp_path / f"{name}-recordings.zip") as archive:
        packed = {each: archive.read(each) for each in archive.namelist()}
    assert packed == {f"recordings/{path.name}": path.read_bytes() for path in release_spec.RECORDINGS.glob("*.har")}
    assert json.loads(files[f"{name}.json"]) == yaml.safe_load(text)
    assert files[f"{name}.yaml"] == text
    assert files[f"{name}-prism-overlay.yaml"] == release_spec.OVERLAY.read_bytes()
    assert len(files) == 4
