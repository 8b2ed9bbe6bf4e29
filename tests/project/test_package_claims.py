"""SECURITY.md claims what a test shows."""

from __future__ import annotations

import re

import pytest

from tests.project.test_packaging import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
CLAIMS = re.findall(r"^- \*\*(.*?)\*\*(.*?)(?=^- \*\*|^$)", TEXT, re.MULTILINE | re.DOTALL)
TESTS = re.compile(r"`([\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize(("path", "name"), TESTS.findall(TEXT))
def test_each_test_named_in_security_md_exists(path, name):
    assert re.search(rf"^(    )?(async )?def {name}\(", (ROOT / "tests" / path).read_text(), re.MULTILINE)


@pytest.mark.parametrize(("claim", "text"), CLAIMS)
def test_each_claim_of_security_md_names_a_test(claim, text):
    assert TESTS.search(text), claim


def test_the_folders_named_in_security_md_exist():
    cells = re.findall(r"^\|[^|]*\|[^|]*\|([^|]*)\|[^|]*\|$", TEXT, re.MULTILINE)
    folders = re.findall(r"`(\w+)`", "".join(cells))
    assert len(CLAIMS) > 10
    assert len(folders) > 10
    assert [each for each in folders if not (ROOT / "tests" / each).is_dir()] == []
