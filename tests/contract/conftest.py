"""What the contract's tests share."""

import json
from pathlib import Path

import pytest

from domo_oauth.contract import Exchange, contract, read_har, recordings


def pytest_generate_tests(metafunc):
    """Every recording, and every example of the contract, to each test that asks for one."""
    if "recording" in metafunc.fixturenames:
        metafunc.parametrize("recording", recordings(), ids=lambda path: path.stem)
    if "example" in metafunc.fixturenames:
        metafunc.parametrize("example", contract()["components"]["examples"].items(), ids=lambda item: item[0])


@pytest.fixture
def page() -> Exchange:
    """The exchange on Domo's documentation page."""
    return the("recorded-2022-documentation-page")


@pytest.fixture
def write_har(tmp_path):
    """Write a HAR with these exchanges in the form of a browser's, and give its path."""

    def write(*exchanges: Exchange, **log: object) -> Path:
        entries = [
            {
                "request": {"method": exchange.method, "url": exchange.url, "headers": pairs(exchange.request_headers)},
                "response": {
                    "status": exchange.status,
                    "headers": pairs(exchange.response_headers),
                    "content": {"text": (exchange.response_body or b"").decode(), "size": -1},
                },
            }
            for exchange in exchanges
        ]
        path = tmp_path / "browser.har"
        path.write_text(json.dumps({"log": {"version": "1.2", "entries": entries, **log}}), encoding="utf-8")
        return path

    return write


@pytest.fixture(name="the")
def _the():
    return the


def the(name: str) -> Exchange:
    """The one exchange of the recording of this name."""
    (exchange,) = read_har(next(path for path in recordings() if path.stem == name)).exchanges
    return exchange


def pairs(headers):
    return [{"name": name, "value": value} for name, value in headers]
