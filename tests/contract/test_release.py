"""The files of a release of the contract."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "release_spec.py"
CONTRACT = ROOT / "openapi" / "domo-oauth.yaml"


def release(out: Path, **env: str) -> dict[str, bytes]:
    subprocess.run([sys.executable, SCRIPT, "--out", out], env=os.environ | env, check=True, stdout=subprocess.DEVNULL)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_it_holds_the_contract_the_overlay_and_the_recordings(tmp_path):
    files = release(tmp_path / "dist")
    contract = yaml.safe_load(CONTRACT.read_text())
    name = f"domo-oauth-{contract['info']['version']}"
    overlay = f"{name}-prism-overlay.yaml"
    assert set(files) == {f"{name}.yaml", f"{name}.json", overlay, f"{name}-recordings.zip", f"{name}.sha256"}
    assert files[f"{name}.yaml"] == CONTRACT.read_bytes()
    assert json.loads(files[f"{name}.json"]) == contract
    assert files[overlay] == (ROOT / "openapi" / "overlays" / "prism.yaml").read_bytes()
    with zipfile.ZipFile(tmp_path / "dist" / f"{name}-recordings.zip") as archive:
        packed = {Path(each).name: archive.read(each) for each in archive.namelist()}
    assert packed == {path.name: path.read_bytes() for path in (ROOT / "openapi" / "recordings").glob("*.har")}
    sums = dict(reversed(line.split("  ")) for line in files.pop(f"{name}.sha256").decode().splitlines())
    assert sums == {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}


def test_it_is_the_same_each_time(tmp_path):
    first = release(tmp_path / "first", PYTHONHASHSEED="1", TZ="UTC")
    assert release(tmp_path / "second", PYTHONHASHSEED="2", TZ="Asia/Tokyo") == first
