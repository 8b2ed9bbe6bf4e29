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


def test_one_version():
    assert domo_oauth.__version__ == PROJECT["project"]["version"] == version("domo-oauth")


def test_the_public_names_are_there():
    assert dir(domo_oauth) == sorted(domo_oauth.__all__)
    for name in domo_oauth.__all__:
        assert getattr(domo_oauth, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        domo_oauth.nonsense  # noqa: B018 -- to look is what is tested


def test_importing_the_package_loads_nothing_else():
    loaded = "import sys; before = set(sys.modules); import domo_oauth; print(*sorted(set(sys.modules) - before))"
    shown = subprocess.run([sys.executable, "-I", "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert set(shown.split()) <= {"__future__", "domo_oauth", "domo_oauth._version"}


def test_values_errors_and_a_provider_load_neither_httpx_nor_the_client():
    loaded = (
        "import sys; from domo_oauth import ClientCredentials, Scope, Token, TokenProvider, DomoOAuthError;"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'httpx', 'dateutil', 'domo_oauth_client'})"
    )
    shown = subprocess.run([sys.executable, "-I", "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert shown.split() == []


EXTRAS = ["aiohttp", "cryptography", "filelock", "httpx2", "keyring", "platformdirs", "redis", "requests"]


@pytest.mark.parametrize(
    "line",
    [
        "import pydoc; assert 'RedisStore' in pydoc.render_doc(domo_oauth)",
        "from domo_oauth import *; RedisStore",
        "assert hasattr(domo_oauth, 'RedisStore')",
        "import inspect; assert 'FileStore' in dict(inspect.getmembers(domo_oauth))",
    ],
)
def test_the_package_can_be_explored_without_any_extra(line):
    without = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS}))"
    program = f"{without}; import domo_oauth; {line}"
    subprocess.run([sys.executable, "-I", "-c", program], check=True)


def test_a_good_answer_does_not_load_dateutil(wire):
    body = b'{"access_token":"t","token_type":"bearer","expires_in":1}'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    code = (
        "import sys; from domo_oauth import *;"
        f"request_token(ClientCredentials('i', 's'), base_url={wire(head.encode() + body).url!r});"
        "print('dateutil' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "False\n"


def test_the_generator_and_the_formatter_are_pinned_exactly():
    dev = PROJECT["dependency-groups"]["dev"]
    locked = (ROOT / "requirements-dev.txt").read_text()
    for name in ("openapi-python-client", "ruff"):
        (pin,) = [each for each in dev if each.startswith(name)]
        assert pin.startswith(f"{name}==")
        assert f"{pin} \\\n    --hash=sha256:" in locked


def test_the_lock_names_no_index():
    locked = (ROOT / "requirements-dev.txt").read_text()
    assert "://" not in locked
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()
