"""What `make release` refuses, and what it tags."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from tools import release

pytestmark = pytest.mark.slow
FILES = ["pyproject.toml", "CHANGELOG.md", "src/domo_oauth/_version.py"]
FILES += ["openapi/domo-oauth.yaml", "openapi/CHANGELOG.md"]
CONTRACT = release.contract_version()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A repository in which version 1.2.0 is ready."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(release.ROOT / name, tmp_path / name)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "somebody@example.com")
        monkeypatch.setenv(f"GIT_{role}_DATE", "2026-12-01T12:00:00Z")
    change(tmp_path, "pyproject.toml", r'^version = ".*"', 'version = "1.2.0"')
    change(tmp_path, "src/domo_oauth/_version.py", r'= ".*"$', '= "1.2.0"')
    change(tmp_path, "CHANGELOG.md", r"^## \[Unreleased\]", "## [Unreleased]\n\n## [1.2.0] - 2026-12-01")
    release.git("init", "--quiet")
    commit()
    return tmp_path


def change(tree, name, pattern, by):
    text, number = re.subn(pattern, by, (tree / name).read_text(), count=1, flags=re.MULTILINE)
    assert number == 1
    (tree / name).write_text(text)


def commit():
    release.git("add", "--all")
    release.git("commit", "--quiet", "--message", "Prepare")


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["release.py", *arguments])
    release.main()


def test_a_release_is_tagged_with_the_contract_once(tree, monkeypatch, capfd):
    run(monkeypatch, "1.2.0")
    assert release.git("tag") == ""
    run(monkeypatch, "1.2.0", "--tag")
    assert release.git("tag").split() == [f"contract-v{CONTRACT}", "v1.2.0"]
    assert capfd.readouterr().out.splitlines() == [
        "Tagged v1.2.0. Publish it: git push origin v1.2.0",
        f"Tagged contract-v{CONTRACT}. Publish it: git push origin contract-v{CONTRACT}",
    ]
    run(monkeypatch, "1.2.0")  # as in the workflow, where the tag is there already
    assert capfd.readouterr().out.startswith("v1.2.0 exists already, and has these files.\n")


def test_the_notes_are_the_section_of_the_changelog(tree, monkeypatch, capfd):
    run(monkeypatch, "1.2.0", "--notes")
    notes = capfd.readouterr().out
    assert "\n### Added\n" in f"\n{notes}"
    assert "[Unreleased]" not in notes


@pytest.mark.parametrize(
    ("name", "pattern", "by", "message"),
    [
        ("pyproject.toml", r"1\.2\.0", "1.3.0", r"pyproject.toml has version 1\.3\.0, not 1\.2\.0"),
        ("src/domo_oauth/_version.py", r"1\.2\.0", "1.3.0", r"_version\.py does not have version 1\.2\.0"),
        ("CHANGELOG.md", r"^## \[1\.2\.0\].*", "", r"CHANGELOG\.md lacks a section `## \[1\.2\.0\] - YYYY"),
        ("CHANGELOG.md", r" - 2026-12-01", "", r"CHANGELOG\.md lacks a section"),
        ("CHANGELOG.md", r" - 2026-12-01", " - 1 Dec 2026", r"CHANGELOG\.md lacks a section"),
        (
            "CHANGELOG.md",
            r" - 2026-12-01",
            " - 2026-11-29",
            r"CHANGELOG\.md dates \[1\.2\.0\] 2026-11-29, .* 2026-12-01",
        ),
        (
            "CHANGELOG.md",
            r" - 2026-12-01",
            " - 2026-12-03",
            r"CHANGELOG\.md dates \[1\.2\.0\] 2026-12-03, .* 2026-12-01",
        ),
        (
            "CHANGELOG.md",
            r" - 2026-12-01",
            " - 2026-13-01",
            r"CHANGELOG\.md dates \[1\.2\.0\] 2026-13-01, .* 2026-12-01",
        ),
        ("CHANGELOG.md", r"^## \[1\.2\.0\]", "- More.\n\n## [1.2.0]", r"entries under \[Unreleased\]: move"),
        ("openapi/CHANGELOG.md", rf"^## \[{CONTRACT}\].*", "", rf"openapi/CHANGELOG\.md lacks .* `## \[{CONTRACT}\]"),
        ("openapi/CHANGELOG.md", rf"^## \[{CONTRACT}\].*", f"## [{CONTRACT}] - 2027-01-01", "cannot be: this commit"),
    ],
)
def test_what_does_not_agree_is_refused(tree, monkeypatch, name, pattern, by, message):
    change(tree, name, pattern, by)
    commit()
    with pytest.raises(SystemExit, match=message):
        run(monkeypatch, "1.2.0", "--tag")
    assert release.git("tag") == ""


def test_a_tree_with_changes_is_refused(tree, monkeypatch):
    (tree / "new.txt").touch()
    with pytest.raises(SystemExit, match=r"not clean: commit or remove\n\?\? new\.txt"):
        run(monkeypatch, "1.2.0")


@pytest.mark.parametrize(
    ("tag", "name"), [("v1.2.0", "openapi/CHANGELOG.md"), (f"contract-v{CONTRACT}", "openapi/domo-oauth.yaml")]
)
def test_what_was_released_cannot_change(tree, monkeypatch, tag, name):
    release.git("tag", tag)
    with (tree / name).open("a") as file:
        file.write("\n# more\n")
    commit()
    with pytest.raises(SystemExit, match=f"{tag} exists, and {name} has changed since: raise the version"):
        run(monkeypatch, "1.2.0", "--tag")


@pytest.mark.parametrize("version", ["", "v1.2.0", "1.2"])
def test_make_release_needs_a_version(version):
    ended = subprocess.run([sys.executable, release.__file__, version], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"release: VERSION must be such as 1.2.0 or 1.2.0rc1, not {version!r}.\n"
