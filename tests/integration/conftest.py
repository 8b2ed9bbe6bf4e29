from __future__ import annotations

import json
import ssl

import pytest
import trustme


@pytest.fixture
def tls_server(wire, tmp_path):
    """A token endpoint with a certificate of an authority that no system knows."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    body = json.dumps(
        {"access_token": "t", "token_type": "bearer", "expires_in": 3599, "customer": "acmecompany"}
    ).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    server = wire(head.encode() + body)
    server.tls = context
    server.authority = str(tmp_path / "authority.pem")
    authority.cert_pem.write_to_path(server.authority)
    return server
