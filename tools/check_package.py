"""Build sdist and wheel, check them, and try the wheel in an environment with nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

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


def run(*command: str | Path) -> str:
    print("$", " ".join(map(str, command)), flush=True)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def main() -> None:
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    python = Path(sys.executable)
    run(python, "-m", "build", "--no-isolation", "--outdir", "dist")  # the wheel from the sdist
    (wheel,), (sdist,) = (ROOT / "dist").glob("*.whl"), (ROOT / "dist").glob("*.tar.gz")
    run(python, "-m", "twine", "check", "--strict", wheel, sdist)
    run(python.with_name("check-wheel-contents"), wheel)  # see pyproject.toml

    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", folder)
        fresh = Path(folder) / python.parent.name / python.name
        run(fresh, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
        listed = json.loads(run(fresh, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"))
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
    print(f"{wheel.name} and {sdist.name} are in dist/.")


if __name__ == "__main__":
    main()
