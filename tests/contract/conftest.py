"""Shared by the tests of the contract."""

import copy
import io
import json
from dataclasses import replace

import pytest

from domo_oauth.contract import read_har, recordings, verify

BASIC = {"name": "Authorization", "value": "Basic aWQ6c2VjcmV0"}  # id:secret


def pytest_generate_tests(metafunc):
    """Parametrize over the recordings."""
    if "recording" in metafunc.fixturenames:
        metafunc.parametrize("recording", recordings(), ids=lambda path: path.stem)


def the(name):
    """The exchange in the recording of this name, with nothing missing."""
    (exchange,) = read_har(next(path for path in recordings() if path.stem == name)).exchanges.values()
    return replace(exchange, missing=())


@pytest.fixture
def page():
    """The exchange on Domo's documentation page."""
    return the("recorded-2022-documentation-page")


@pytest.fixture
def entry():
    """The same as an entry of a browser's HAR file, with credentials."""
    (path,) = [path for path in recordings() if path.stem == "recorded-2022-documentation-page"]
    entry = json.loads(path.read_text(encoding="utf-8"))["log"]["entries"][0]
    entry["request"]["headers"] = [{"name": "Accept", "value": "application/json"}, copy.copy(BASIC)]
    return entry


@pytest.fixture
def verified(tmp_path):
    """Verify a HAR file of these entries: the exit status and the lines, without the name of the file."""

    def run(*entries, strict=False, **log):
        path = tmp_path / "browser.har"
        path.write_text(json.dumps({"log": {"version": "1.2", "entries": entries, **log}}), encoding="utf-8")
        out = io.StringIO()
        status = verify([path], strict=strict, out=out)
        return status, [line.removeprefix(f"{path}: ") for line in out.getvalue().splitlines()]

    return run
