"""Say what keeps VERSION from being released, or tag it: what `make release` runs before and after everything else."""

import argparse
import re
import subprocess
import sys
import tomllib
from datetime import date, timedelta
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
DAY = timedelta(days=1)
"""A changelog's date may differ by this from the commit's, which may be of another time zone."""


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S607 -- the user's
    return done.stdout.strip()


def contract_version() -> str:
    return str(yaml.safe_load((ROOT / "openapi/domo-oauth.yaml").read_bytes())["info"]["version"])


def section(changelog: str, version: str) -> tuple[str, str]:
    """The date and the text of a version's section in a changelog, empty if there is none."""
    text = (ROOT / changelog).read_text(encoding="utf-8")
    heading = rf"^## \[{re.escape(version)}\](?: - (\d{{4}}-\d\d-\d\d))?\n"
    found = re.search(rf"{heading}(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return (found[1] or "", found[2].strip()) if found else ("", "")


def changelog_problem(changelog: str, version: str, first: date, last: date) -> str | None:
    day, text = section(changelog, version)
    if not day or not text:
        return f"{changelog} lacks a section `## [{version}] - YYYY-MM-DD`, or it is empty."
    try:
        possible = first <= date.fromisoformat(day) <= last
    except ValueError:
        possible = False
    if possible:
        return None
    return f"{changelog} dates [{version}] {day}, which cannot be: this commit was made on {last - DAY}."


def tagged(tag: str, *paths: str) -> bool:
    """Whether a tag is there; it must then have the same files as the working tree, in `paths` or everywhere."""
    if not git("tag", "--list", tag):
        return False
    if changed := git("diff", "--name-only", tag, "--", *paths):
        sys.exit(f"release: {tag} exists, and {changed.splitlines()[0]} has changed since: raise the version.")
    return True


def problems(version: str) -> list[str]:
    """What keeps a version from being released, each with what to do."""
    if not VERSION.fullmatch(version):
        return [f"VERSION must be such as 1.2.0 or 1.2.0rc1, not {version!r}."]
    found = []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if project != version:
        found.append(f"pyproject.toml has version {project}, not {version}.")
    if f'__version__ = "{version}"\n' not in (ROOT / "src/domo_oauth/_version.py").read_text(encoding="utf-8"):
        found.append(f"src/domo_oauth/_version.py does not have version {version}.")
    made = date.fromisoformat(git("log", "-1", "--format=%cs"))
    contract = changelog_problem("openapi/CHANGELOG.md", contract_version(), date.min, made + DAY)  # may be older
    found += filter(None, [changelog_problem("CHANGELOG.md", version, made - DAY, made + DAY), contract])
    if section("CHANGELOG.md", "Unreleased")[1]:
        found.append(f"CHANGELOG.md has entries under [Unreleased]: move them to [{version}].")
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
    old = {tag for tag, (_, paths) in tags.items() if tagged(tag, *paths)}
    if arguments.notes:
        print(section("CHANGELOG.md", arguments.version)[1])
        return
    for tag, (message, _) in tags.items():
        if tag in old:
            print(f"{tag} exists already, and has these files.")
        elif arguments.tag:
            git("tag", "--annotate", tag, "--message", message)
            print(f"Tagged {tag}. Publish it: git push origin {tag}")


if __name__ == "__main__":
    main()
