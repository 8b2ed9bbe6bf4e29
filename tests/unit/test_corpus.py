"""Inputs that once showed a fault, and those that fuzzing begins with: each is tried again, in each run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[1] / "corpus"
INPUTS = sorted(path.relative_to(CORPUS).as_posix() for path in CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", INPUTS)
def test_what_was_found_once_is_found_no_more(path):
    TARGETS[path.partition("/")[0]]((CORPUS / path).read_bytes())


def test_each_target_has_inputs_and_each_input_a_target():
    assert {path.partition("/")[0] for path in INPUTS} == set(TARGETS)
