"""A certificate for the server of the measurements, and what a client needs to trust it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import certifi
import trustme

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["certificates"]


def certificates(folder: Path) -> Path:
    """Write ``server.pem``, with its key, for localhost.

    Returns:
        A file with the certificate authority among all others that a client loads as a rule, which takes it most of
        its time.
    """
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    trusted = folder / "authorities.pem"
    trusted.write_text(certifi.contents() + authority.cert_pem.bytes().decode(), encoding="ascii")
    return trusted
