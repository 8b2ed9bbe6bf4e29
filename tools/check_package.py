"""Build sdist and wheel, check what is in them, and install the wheel into an empty environment."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

NOT_SET_UP = 2  # exit status
ROOT = Path(__file__).resolve().parent.parent
# What comes along with the three that the project names: h11, idna and so on are httpx's.
EXPECTED = {
    *("domo-oauth", "attrs", "httpx", "python-dateutil"),
    *("anyio", "certifi", "h11", "httpcore", "idna", "six", "sniffio", "typing-extensions", "tzdata"),
}
# The asset of the sandbox's page, and its licences.
ELEMENTS = ("LICENSE", "styles.min.css", "web-components.min.js", "web-components.min.js.LICENSE.txt")
IN_WHEEL = {
    "domo_oauth/__init__.py",
    "domo_oauth/py.typed",
    "domo_oauth/openapi/domo-oauth.yaml",
    *(f"domo_oauth/sandbox/elements/{name}" for name in ELEMENTS),
    "domo_oauth_client/__init__.py",
    "domo_oauth_client/py.typed",
}
IN_SDIST = {
    *(f"src/domo_oauth/sandbox/elements/{name}" for name in ELEMENTS),
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "Makefile",
    "requirements-dev.txt",
    "generator-config.yaml",
    "openapi/domo-oauth.yaml",
}


def run(*command: str | Path) -> str:
    print("$", " ".join(Path(command[0]).name if part is command[0] else str(part) for part in command), flush=True)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def require(wanted: set[str], there: set[str], what: str) -> None:
    if missing := wanted - there:
        sys.exit(f"{what} lacks {', '.join(sorted(missing))}")


def main() -> None:
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    python = Path(sys.executable)
    run(python, "-m", "build", "--no-isolation", "--outdir", "dist")
    (wheel,) = (ROOT / "dist").glob("*.whl")
    (sdist,) = (ROOT / "dist").glob("*.tar.gz")
    run(python, "-m", "twine", "check", "--strict", wheel, sdist)
    run(python.with_name("check-wheel-contents"), "--toplevel", "domo_oauth,domo_oauth_client", wheel)

    recordings = {f"domo_oauth/openapi/recordings/{path.name}" for path in (ROOT / "openapi/recordings").glob("*.har")}
    require(IN_WHEEL | recordings, set(zipfile.ZipFile(wheel).namelist()), wheel.name)
    with tarfile.open(sdist) as archive:
        require(IN_SDIST, {name.partition("/")[2] for name in archive.getnames()}, sdist.name)

    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", folder)
        fresh = Path(folder) / python.parent.name / python.name
        run(fresh, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
        listed = json.loads(run(fresh, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"))
        came = {package["name"].lower().replace("_", "-") for package in listed} - {"pip", "setuptools"}
        if unexpected := came - EXPECTED:
            sys.exit(f"The wheel brings along {', '.join(sorted(unexpected))}")
        run(fresh, "-I", "-W", "error", "-c", "import domo_oauth.request, domo_oauth_client.api.oauth.get_access_token")
        command = fresh.with_name("domo-oauth")
        recording = ROOT / "openapi/recordings/recorded-2022-documentation-page.har"
        if run(command, "spec") != (ROOT / "openapi/domo-oauth.yaml").read_text(encoding="utf-8"):
            sys.exit("domo-oauth spec prints another document than openapi/domo-oauth.yaml")
        for needs_extra in (["spec", "--json"], ["verify", recording], ["sandbox", "--port", "0"]):
            ended = subprocess.run([command, *needs_extra], check=False, capture_output=True, text=True)
            helped = "pip install 'domo-oauth[" in ended.stderr and "Traceback" not in ended.stderr
            if ended.returncode != NOT_SET_UP or not helped:
                sys.exit(f"domo-oauth {needs_extra[0]} does not say which extra it needs: {ended.stderr}")
    print(f"{wheel.name} and {sdist.name} are in dist/, and the wheel works where nothing else is installed.")


if __name__ == "__main__":
    main()
