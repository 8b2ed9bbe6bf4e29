"""`make docs` refuses what would be wrong on the site."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE = '''"""A module."""
import attrs

@attrs.frozen
class Value:
    """A value.

    Attributes:
        known: Described.
    """

    known: int
    {field}

    def method(self) -> None:
        {docstring}
'''
CLASS = "```{eval-rst}\n.. autoclass:: domo_oauth_example.Value\n```"


def build(folder, page, field="", docstring='"""Described."""'):
    """Build a site of one page, with the configuration of ours."""
    (folder / "docs").mkdir()
    (folder / "docs/index.md").write_text(f"# Title\n\n{page}\n", encoding="utf-8")
    (folder / "domo_oauth_example.py").write_text(MODULE.format(field=field, docstring=docstring), encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--builder", "dummy"]
    return subprocess.run(
        [*command, "-c", ROOT / "docs", folder, folder / "out"],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_page_without_mistakes_is_built(tmp_path):
    ended = build(tmp_path, f"[Here](#title)\n\n{CLASS}")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "module", "complaint"),
    [
        ("[There](missing.md)", {}, "'missing.md'"),
        ("[There](#missing)", {}, "'missing'"),
        ("```{nonsense}\n```", {}, "Unknown directive type: 'nonsense'"),
        (CLASS, {"field": "unknown: int"}, "domo_oauth_example.Value.unknown has no docstring"),
        (CLASS, {"docstring": "pass"}, "Value.method has no docstring"),
        (CLASS, {"docstring": '"""An `open literal."""'}, "Inline interpreted text"),
    ],
)
def test_a_mistake_fails_the_build(tmp_path, page, module, complaint):
    ended = build(tmp_path, page, **module)
    assert ended.returncode != 0
    assert complaint in ended.stderr
