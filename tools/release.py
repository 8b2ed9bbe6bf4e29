"""Say what keeps VERSION from being released, or tag it: what `make release` runs before and after everything else."""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S607 -- the user's
    return done.stdout.strip()


def contract_version() -> str:
    return str(yaml.safe_load((ROOT / "openapi/domo-oauth.yaml").read_bytes())["info"]["version"])


def section(changelog: str, heading: str) -> str | None:
    """What a changelog says below a heading of the second level; None if there is no such heading."""
    text = (ROOT / changelog).read_text(encoding="utf-8")
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else None


def tagged(tag: str, *paths: str) -> bool:
    """Whether a tag is there; it must then have the same files as the working tree, in `paths` or everywhere."""
    if not git("tag", "--list", tag):
        return False
    if changed := git("diff", "--name-only", tag, "--", *paths):
        sys.exit(f"release: {tag} exists, and {changed.splitlines()[0]} has changed since: raise the version.")
    return True


def problems(version: str) -> list[str]:
    """What keeps a version from being released, each with what to do."""
    found = []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if project != version:
        found.append(f"pyproject.toml has version {project}, not {version}.")
    if f'__version__ = "{version}"\n' not in (ROOT / "src/domo_oauth/_version.py").read_text(encoding="utf-8"):
        found.append(f"src/domo_oauth/_version.py does not have version {version}.")
    dated = r" - \d{4}-\d\d-\d\d"
    if not section("CHANGELOG.md", rf"\[{re.escape(version)}\]{dated}"):
        found.append(f"CHANGELOG.md lacks a section `## [{version}] - YYYY-MM-DD`, or it is empty.")
    if section("CHANGELOG.md", r"\[Unreleased\]"):
        found.append(f"CHANGELOG.md has entries under [Unreleased]: move them to [{version}].")
    contract = contract_version()
    if not section("openapi/CHANGELOG.md", rf"\[{re.escape(contract)}\]{dated}"):
        found.append(f"openapi/CHANGELOG.md lacks a section `## [{contract}] - YYYY-MM-DD`, or it is empty.")
    if changed := git("status", "--porcelain"):
        found.append(f"The working tree is not clean: commit or remove\n{changed}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="such as 1.2.0")
    parser.add_argument("--notes", action="store_true", help="print the version's section of CHANGELOG.md")
    parser.add_argument("--tag", action="store_true", help="tag the commit, and the contract if its version is new")
    arguments = parser.parse_args()
    if found := problems(arguments.version):
        sys.exit("\n".join(f"release: {each}" for each in found))
    tags = {
        f"v{arguments.version}": (f"domo-oauth {arguments.version}", []),
        f"contract-v{contract_version()}": (f"Contract {contract_version()}", ["openapi/domo-oauth.yaml"]),
    }
    new = {tag: message for tag, (message, paths) in tags.items() if not tagged(tag, *paths)}
    if arguments.notes:
        print(section("CHANGELOG.md", rf"\[{re.escape(arguments.version)}\].*?"))
    for tag, message in new.items() if arguments.tag else ():
        git("tag", "--annotate", tag, "--message", message)
        print(f"Tagged {tag}. Publish it: git push origin {tag}")


if __name__ == "__main__":
    main()
