"""The overlays: each action still finds in the contract what it is for."""

import json
import re
from pathlib import Path

import pytest
import yaml

from domo_oauth.contract import contract

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "openapi" / "overlays"
STEP = r"\.(\w+)|\['([^']+)'\]"  # of a path that leads to one place


ACTIONS = [
    pytest.param(action, id=f"{path.stem}-{number}")
    for path in sorted(FOLDER.iterdir())
    for number, action in enumerate(yaml.safe_load(path.read_text(encoding="utf-8"))["actions"])
]


def find(target):
    assert re.fullmatch(rf"\$({STEP})+", target), target
    found = contract()
    for plain, quoted in re.findall(STEP, target):
        found = found[plain or quoted]
    return found


def test_there_are_some():
    assert ACTIONS


@pytest.mark.parametrize("action", ACTIONS)
def test_what_it_takes_away_is_there(action):
    assert set(action) == {"target", "description", "remove"}
    assert action["remove"] is True
    assert find(action["target"])


def test_the_lock_of_prism_names_no_registry():
    packages = json.loads((ROOT / "tools" / "prism-cli" / "package-lock.json").read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert all("integrity" in package and "resolved" not in package for package in installed.values())
