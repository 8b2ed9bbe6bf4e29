"""What a secret looks like in what others make of it: in URLs, JSON, HTML, hex, and base64 of something longer."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["forms"]

_BASE64 = "[A-Za-z0-9+/_-]"
_SHORTEST = 4  # characters of an encoding that say anything about a secret


def forms(secret: str) -> Iterator[str]:
    """Regular expressions, to be used without regard to case, one for each form."""
    from html import escape  # takes its time to import

    content = secret.encode("utf-8", "surrogatepass")  # JSON can name half a character, which is no UTF-8
    plain = {secret, quote(content, safe=""), quote_plus(content), json.dumps(secret)[1:-1], escape(secret)}
    if len(content.hex()) >= _SHORTEST:
        plain.add(content.hex())
    yield from (re.escape(form) for form in sorted(plain, key=len, reverse=True))
    yield from _within_base64(content)


def _within_base64(secret: bytes) -> Iterator[str]:
    """Base64 takes three bytes at a time, so where the secret begins decides how it looks.

    Its first and last characters may hang on the secret's neighbours, too: the pattern takes them along.
    """
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret).decode()
        core = encoded.rstrip("=")[(0, 2, 3)[before] : -1 if encoded.endswith("=") else None]
        if len(core) >= _SHORTEST:
            core = re.escape(core).replace(r"\+", "[+-]").replace("/", "[/_]")
            yield f"{_BASE64}{{0,{min(before, 1)}}}{core}{_BASE64}?=*"
