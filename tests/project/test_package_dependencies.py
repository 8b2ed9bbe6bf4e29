"""Every dependency in the repository is locked where its tool can do so, and a robot looks for newer versions."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

import pytest
import yaml

from tests.project.test_packaging import ROOT

ECOSYSTEMS = {
    "go.mod": "gomod",
    "package.json": "npm",
    "Cargo.toml": "cargo",
    "pom.xml": "maven",
    "pyproject.toml": "pip",
    "requirements*.txt": "pip",
    ".github/workflows/*.yml": "github-actions",
}


def files(*patterns):
    """The files of the repository that fit a pattern."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs git and a clone")
    return [path for path in map(PurePosixPath, listed.stdout.splitlines()) if any(map(path.match, patterns))]


def test_a_robot_looks_for_newer_versions_of_everything():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    watched = {each["package-ecosystem"]: each.get("directories") or [each["directory"]] for each in updates}
    for pattern, ecosystem in ECOSYSTEMS.items():
        for path in files(pattern):
            folder = "/" if ecosystem == "github-actions" else f"/{path.parent}".removesuffix("/.")
            globs = [glob.replace("/**/", "/") for glob in watched.get(ecosystem, [])]
            assert any(fnmatchcase(folder or "/", glob) for glob in globs), f"{path}: not in .github/dependabot.yml"


def test_actions_are_pinned_to_commits():
    used = [line for path in files(".github/workflows/*.yml") for line in (ROOT / path).read_text().splitlines()]
    used = [line.partition("uses: ")[2] for line in used if "uses: " in line]
    assert len(used) > 5
    ours = {"$/.github/workflows/ci.yml"}
    assert [
        each for each in used if each not in ours and not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", each)
    ] == []


def test_locks_have_hashes():
    for path in files("requirements*.txt"):
        pins = re.findall(r"^\S+==(?:.*\\\n)*.*", (ROOT / path).read_text(), re.MULTILINE)
        assert pins, path
        assert [pin for pin in pins if "--hash=sha256:" not in pin] == [], path
    for path in files("package.json"):
        lock = json.loads((ROOT / path.with_name("package-lock.json")).read_text())["packages"]
        assert [name for name, each in lock.items() if name and "integrity" not in each] == [], path
    for path in files("go.mod"):
        assert (ROOT / path.with_name("go.sum")).exists() or "require" not in (ROOT / path).read_text(), path


def test_without_a_lock_versions_are_exact():
    """Cargo's lock would name a registry, and Maven has none: what they name directly is pinned, without a hash."""
    for path in files("Cargo.toml"):
        for name, wanted in tomllib.loads((ROOT / path).read_text())["dependencies"].items():
            assert (wanted if isinstance(wanted, str) else wanted["version"]).startswith("="), f"{path}: {name}"
    for path in files("pom.xml"):
        text = (ROOT / path).read_text()
        versions = re.findall(r"<version>(.*?)</version>", text)
        assert [each for each in versions if not re.fullmatch(r"\$\{[\w.-]+\}|\d[\w.-]*", each)] == [], path
        assert "SNAPSHOT" not in text, path
