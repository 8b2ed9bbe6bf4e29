"""Inputs and an endpoint for the property tests of each area."""

from __future__ import annotations

import json
from base64 import b64encode

import httpcore
import httpx
from hypothesis import strategies as st

from domo_oauth import ClientCredentials, DomoOAuthError, Token, request_token

CREDENTIALS = ClientCredentials("canary-client-7f3d91", "canary-secret-c0ffee5ec2e7")
SECRETS = (
    CREDENTIALS.client_secret,
    CREDENTIALS.client_id,
    f"{CREDENTIALS.client_id}:{CREDENTIALS.client_secret}",
)
ECHOES = (*SECRETS, *(b64encode(each.encode()).decode() for each in SECRETS))
"""How a server may repeat the credentials."""
API = "https://api.domo.com"

LARGEST = 2**63 - 1
text = st.text(max_size=40)
visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text | st.integers(-LARGEST - 1, LARGEST)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=10)
GRANTED = {
    "access_token": visible,
    "token_type": st.sampled_from(["bearer", "Bearer", "BEARER"]),
    "expires_in": st.integers(0, 10**6) | st.integers(0, LARGEST),
    "scope": text | st.lists(st.sampled_from(["data", "user", "audit"])).map(" ".join),
    "customer": text,
    "role": text,
    "userId": st.integers(-LARGEST - 1, LARGEST),
    "jti": text,
}
REQUIRED = ("access_token", "token_type", "expires_in")
extra = st.dictionaries(
    text.filter(lambda name: name not in GRANTED), st.none() | st.booleans() | st.integers() | text, max_size=3
)
granted = st.fixed_dictionaries(
    {name: GRANTED[name] for name in REQUIRED},
    optional={name: each for name, each in GRANTED.items() if name not in REQUIRED},
)
REFUSED = ("error", "error_description", "message", "statusReason", "timestamp", "toe", "scope", "status", "path")
refused = st.dictionaries(st.sampled_from(REFUSED), values)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def http(status, body=b"", media_type="application/json", *headers):
    lines = [("Content-Type", media_type), *headers, ("Content-Length", str(len(body)))]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 {status} Reason\r\n{head}\r\n".encode("latin-1") + body


class Answers(httpx.HTTPTransport):
    """Reads these bytes from what it takes for a connection."""

    def __init__(self, wire: bytes) -> None:
        super().__init__(verify=False)
        self._pool = httpcore.ConnectionPool(network_backend=httpcore.MockBackend([wire]))


def ask(wire: bytes) -> Token | DomoOAuthError:
    """What a request for a token gets for these bytes. Errors of other types are raised."""
    args = {"transport": Answers(wire)}
    try:
        return request_token(CREDENTIALS, ["data"], base_url="http://127.0.0.1", httpx_args=args)
    except DomoOAuthError as error:
        return error


def shown(error: Exception) -> str:
    return f"{error}{error!r}{vars(error)}"
