"""Generate `generated/domo_oauth_client` from the contract: `make sdk`.

The package is built in a temporary folder and replaces the old one as a whole, so no stale file stays and a failure
changes nothing. Without `--force`, nothing is done if neither its inputs nor the package changed since the last run.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution, version
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "openapi" / "domo-oauth.yaml"
CONFIG = ROOT / "generator-config.yaml"
TEMPLATES = ROOT / "generator-templates"
STOCK = Path(str(distribution("openapi-python-client").locate_file("openapi_python_client/templates")))
PACKAGE = ROOT / "generated" / "domo_oauth_client"
CACHE = ROOT / ".cache"  # ignored by git; on the file system of PACKAGE, so that it can be renamed
STAMP = CACHE / "sdk.sha256"
TOOLS = ("openapi-python-client==", "ruff==")


def pinned_tools() -> list[str]:
    """Return the pins in pyproject.toml; exit unless these versions are installed. Others write other bytes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = [pin for pin in project["dependency-groups"]["dev"] if str(pin).startswith(TOOLS)]
    for pin in pins:
        name, _, wanted = pin.partition("==")
        if version(name) != wanted:
            sys.exit(f"make_sdk: {name} {version(name)} is installed, pyproject.toml pins {wanted}")
    return pins


def fingerprint(tools: list[str]) -> str:
    """Return one digest of the inputs and of the package."""
    digest = hashlib.sha256(" ".join(tools).encode())
    for path in (CONTRACT, CONFIG, Path(__file__).resolve(), *files(TEMPLATES), *files(PACKAGE)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder in a fixed order, without caches of Python."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def check_security() -> None:
    """Exit unless the contract uses HTTP Basic, which generator-templates/client.py.jinja implements."""
    contract = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    schemes = contract.get("components", {}).get("securitySchemes", {})
    used = [schemes.get(name, {}) for requirement in contract.get("security", []) for name in requirement]
    if not used or any((scheme.get("type"), scheme.get("scheme")) != ("http", "basic") for scheme in used):
        sys.exit("make_sdk: the templates implement HTTP Basic only; `security` in the contract says otherwise")


def generate(target: Path) -> None:
    """Run the generator; exit with its message if it fails or warns."""
    check_security()
    templates = target.with_name("templates")
    shutil.copytree(TEMPLATES, templates)
    shutil.copytree(STOCK, templates / "stock")  # our templates include the stock ones and change them
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"]
    command += ["--path", str(CONTRACT), "--config", str(CONFIG), "--custom-template-path", str(templates)]
    # The generator runs the first ruff on PATH.
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    run = subprocess.run(
        [*command, "--output-path", str(target)], env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        sys.exit(f"{run.stdout}{run.stderr}\nmake_sdk: the generator failed; {PACKAGE.relative_to(ROOT)} is unchanged")
    (target / "py.typed").touch()


def replace(new: Path, old: Path) -> None:
    """Move PACKAGE to `old` and the new package to its place; move the old one back if that fails."""
    PACKAGE.parent.mkdir(exist_ok=True)
    if PACKAGE.exists():
        PACKAGE.rename(old)
    try:
        new.rename(PACKAGE)
    except OSError:
        if old.exists():
            old.rename(PACKAGE)
        raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--force", action="store_true", help="run even if nothing changed")
    force = parser.parse_args().force
    tools = pinned_tools()
    if not force and STAMP.exists() and STAMP.read_text(encoding="ascii") == fingerprint(tools):
        print("make_sdk: nothing changed")
        return
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sdk-", dir=CACHE) as folder:
        generate(Path(folder) / "new")
        replace(Path(folder) / "new", Path(folder) / "old")
    STAMP.write_text(fingerprint(tools), encoding="ascii")
    print(f"make_sdk: wrote {PACKAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
