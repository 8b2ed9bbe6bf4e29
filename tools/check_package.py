"""Build sdist, wheel and SBOM, check them, and try the wheel in an environment with nothing else.

The bill of materials, a CycloneDX file, lists what the wheel and all its extras bring, as installed by this check.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools import page

NOT_SET_UP = 2
"""Exit status of domo-oauth."""
ROOT = Path(__file__).resolve().parent.parent
EXPECTED = {
    *("domo-oauth", "attrs", "httpx", "python-dateutil"),
    *("anyio", "certifi", "h11", "httpcore", "idna", "six", "typing-extensions", "tzdata"),
}
"""What the wheel installs: its dependencies, and theirs."""
ALONE = """
import domo_oauth.request, domo_oauth_client.api.oauth.get_access_token
from domo_oauth.contract import contract_text, recordings
print(len(recordings()), contract_text())
"""
FIRST_MINUTE = """
import os, pathlib, subprocess, sys, urllib.request
from domo_oauth import DomoAuth
from domo_oauth.sandbox import running
import httpx

with running(quiet=True) as sandbox:
    os.environ.update(sandbox.env, DOMO_STORE="none")
    auth = DomoAuth.from_env(scopes=["data"])
    with httpx.Client(base_url=f"{auth.base_url}/v1", auth=auth) as domo:
        datasets = domo.get("/datasets").raise_for_status().json()
    command = pathlib.Path(sys.executable).with_name("domo-oauth")
    token = subprocess.run([command, "token"], check=True, capture_output=True, text=True).stdout
    with urllib.request.urlopen(f"{sandbox.url}/") as page:
        print(len(datasets) > 0, token.count("."), len(page.read()) > 1_000_000)
"""
"""What the README begins with, the command, and the sandbox's page with its assets."""


def run(*command: str | Path) -> str:
    print("$", " ".join(map(str, command)), flush=True)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def write_sbom(python: Path, sbom: Path) -> None:
    """List what an environment has, and what the wheel contains for the sandbox's page."""
    options = ["--pyproject", "pyproject.toml", "--output-reproducible", "--validate", "--output-file", str(sbom)]
    # In an environment of its own: with what it needs installed, jsonschema takes two seconds to import.
    cyclonedx = ["tool", "run", "--quiet", "--from", "cyclonedx-bom==7.5.0", "cyclonedx-py"]
    run(Path(sys.executable).with_name("uv"), *cyclonedx, "environment", *options, python)
    bill = json.loads(sbom.read_text(encoding="utf-8"))
    elements: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"@stoplight/elements@{page.VERSION}",
        "purl": f"pkg:npm/%40stoplight/elements@{page.VERSION}",
        "group": "@stoplight",
        "name": "elements",
        "version": page.VERSION,
        "hashes": [{"alg": "SHA-512", "content": base64.b64decode(page.SHA512).hex()}],
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    bill["components"].append(elements)
    (root,) = [each for each in bill["dependencies"] if each["ref"] == "root-component"]
    root["dependsOn"].append(elements["bom-ref"])
    sbom.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    python = Path(sys.executable)
    run(python, "-m", "build", "--no-isolation", "--outdir", "dist")  # the wheel from the sdist
    (wheel,), (sdist,) = (ROOT / "dist").glob("*.whl"), (ROOT / "dist").glob("*.tar.gz")
    sbom = sdist.with_name(sdist.name.replace(".tar.gz", ".cdx.json"))
    run(python, "-m", "twine", "check", "--strict", wheel, sdist)
    run(python.with_name("check-wheel-contents"), wheel)  # see pyproject.toml

    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", folder)
        fresh = Path(folder) / python.parent.name / python.name
        pip: list[str | Path] = [fresh, "-m", "pip", "--disable-pip-version-check"]
        run(*pip, "install", "--quiet", wheel)
        listed = json.loads(run(*pip, "list", "--format", "json"))
        came = {package["name"].lower().replace("_", "-") for package in listed} - {"pip", "setuptools"}
        if unexpected := came - EXPECTED:
            sys.exit(f"The wheel also installs {', '.join(sorted(unexpected))}")
        recordings = len([*(ROOT / "openapi/recordings").glob("*.har")])
        document = (ROOT / "openapi/domo-oauth.yaml").read_text(encoding="utf-8")
        if run(fresh, "-I", "-W", "error", "-c", ALONE) != f"{recordings} {document}\n":
            sys.exit("The wheel lacks the contract or a recording")
        command = [str(fresh.with_name("domo-oauth")), "spec", "--json"]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        if ended.returncode != NOT_SET_UP or "pip install 'domo-oauth[" not in ended.stderr:
            sys.exit(f"domo-oauth does not say which extra it needs: {ended.stderr}")

        run(python.with_name("uv"), "pip", "install", "--quiet", "--python", fresh, f"{wheel}[all]")
        if run(fresh, "-I", "-W", "error", "-c", FIRST_MINUTE) != "True 2 True\n":
            sys.exit("The wheel does not pass the first minute: a call with httpx, a token, the sandbox's page")
        run(*pip, "uninstall", "--quiet", "--yes", "setuptools", "pip")  # not brought by the wheel
        write_sbom(fresh, sbom)
    print(f"{wheel.name}, {sdist.name} and {sbom.name} are in dist/.")


if __name__ == "__main__":
    main()
