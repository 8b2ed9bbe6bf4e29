"""Any file of clients is read or refused in words."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from domo_oauth import ConfigurationError
from domo_oauth.sandbox import load_clients
from tests.properties import as_json, text

CLIENT = b'[[clients]]\nclient_id = "id"\nclient_secret = "secret"\nscopes = ["data"]\ncustomer = "acme"\nuser_id = '


@given(st.binary() | text.map(str.encode) | st.binary(max_size=40).map(CLIENT.__add__) | st.integers().map(as_json))
@example(CLIENT + b"7\n")
@example(b"a=" + b"[" * 3000)
@example(b"a=" + b"1" * 5000)
def test_any_file_of_clients(tmp_path, data):
    (tmp_path / "clients.toml").write_bytes(data)
    with suppress(ConfigurationError):
        assert load_clients(tmp_path / "clients.toml")
