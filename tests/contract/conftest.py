"""The contract's recordings, changed as a test needs them, and `verify` on a HAR file."""

import io
import json
from dataclasses import replace

import pytest

from domo_oauth.contract import read_har, recordings, verify

URL = "https://api.domo.com/oauth/token"
GRANT = "?grant_type=client_credentials"
BASIC = "Basic aWQ6c2VjcmV0"  # id:secret
REMOVED = object()
"""In place of a value: removes the field or the header."""


def pytest_generate_tests(metafunc):
    """Parametrize over the recordings."""
    if "recording" in metafunc.fixturenames:
        metafunc.parametrize("recording", recordings(), ids=lambda path: path.stem)


def recorded(name, *, query=None, fields=None, body=None, headers=None, sent=None, **members):
    """The exchange in the recording of this name, with nothing missing and these changes."""
    (exchange,) = read_har(next(path for path in recordings() if path.stem == name)).exchanges.values()
    if fields is not None:
        body = json.dumps(merged(json.loads(exchange.response_body), fields)).encode()
    changes = {
        "missing": (),
        "url": exchange.url if query is None else URL + query,
        "response_body": exchange.response_body if body is None else body,
        "request_headers": lines(exchange.request_headers, sent or {}),
        "response_headers": lines(exchange.response_headers, headers or {}),
    }
    return replace(exchange, **changes | members)


def page(**changes):
    """The exchange on Domo's documentation page, with these changes."""
    return recorded("recorded-2022-documentation-page", **changes)


def lines(headers, changes):
    kept = [(name, value) for name, value in headers if name not in changes]
    added = [
        (name, value) for name, values in changes.items() for value in ([values] if isinstance(values, str) else values)
    ]
    return (*kept, *added)


def merged(node, patch):
    """The node with these members replaced, however deep, as in a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    members = node | {name: merged(node.get(name, {}), value) for name, value in patch.items()}
    return {name: value for name, value in members.items() if value is not REMOVED}


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
