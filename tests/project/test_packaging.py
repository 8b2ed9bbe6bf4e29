"""What importing the package loads, and what pyproject.toml and the lock files pin."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import domo_oauth

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = ["aiohttp", "click", "cryptography", "filelock", "httpx2", "keyring", "platformdirs", "redis", "requests"]


def python(*lines):
    command = [sys.executable, "-I", "-c", "; ".join(["import sys", *lines])]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_one_version():
    assert domo_oauth.__version__ == PROJECT["project"]["version"] == version("domo-oauth")


def test_the_public_names_exist():
    assert dir(domo_oauth) == sorted(domo_oauth.__all__)
    assert None not in [getattr(domo_oauth, name) for name in domo_oauth.__all__]
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        domo_oauth.nonsense  # noqa: B018 -- to look is what is tested


@pytest.mark.parametrize(("module", "before"), [("domo_oauth", "sys"), ("domo_oauth.pytest_plugin", "pytest")])
def test_importing_the_package_loads_nothing_else(module, before):
    lines = (f"import {before}", "before = set(sys.modules)", f"import {module}", "print(*set(sys.modules) - before)")
    assert set(python(*lines).split()) <= {"__future__", "domo_oauth", "domo_oauth._version", module}


def test_a_provider_loads_neither_httpx_nor_the_client():
    names = "domo_oauth import ClientCredentials, Scope, Token, TokenProvider, DomoOAuthError"
    loaded = python(f"from {names}", "print(*{name.partition('.')[0] for name in sys.modules})")
    assert {"httpx", "dateutil", "domo_oauth_client"}.isdisjoint(loaded.split())


def test_the_package_can_be_explored_without_any_extra():
    python(
        f"sys.modules.update(dict.fromkeys({EXTRAS}))",
        "import domo_oauth, inspect, pydoc",
        "from domo_oauth import *",
        "assert 'RedisStore' in pydoc.render_doc(domo_oauth)",
        "assert 'FileStore' in dict(inspect.getmembers(domo_oauth))",
    )


def test_the_generator_and_the_formatter_are_pinned_and_the_locks_name_no_index():
    locked = (ROOT / "requirements-dev.txt").read_text()
    for name in ("openapi-python-client", "ruff"):
        (pin,) = [each for each in PROJECT["dependency-groups"]["dev"] if each.startswith(f"{name}==")]
        assert f"{pin} \\\n    --hash=sha256:" in locked
    assert "://" not in locked
    locks = [path for folder in (".", "tools/*", "interop/**") for path in ROOT.glob(f"{folder}/package-lock.json")]
    assert len(locks) > 2
    for lock in locks:
        assert '"resolved"' not in lock.read_text()
