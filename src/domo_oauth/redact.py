"""Keep secrets out of text that somebody else wrote: a server, a proxy, a library.

A list of encodings is never complete. So besides the credentials in their usual encodings, every long run of
characters that could be an encoded secret is hidden, whatever it is.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .credentials import ClientCredentials

__all__ = ["clean", "encoded_forms", "one_line"]

_LONGEST_SHOWN = 300
"""Characters of foreign text that go into a message."""
_LONGEST_READ = 4096
"""Characters of foreign text that are looked at; a megabyte would take seconds."""
_SUSPICIOUS = re.compile(r"(?<!\S)(?=\S*[\d%&\\])\S{16,}")
"""Words and ordinary punctuation are shown; what may be an encoding of a secret is not."""
_HIDDEN = "\0"
"""Stands for each hidden character, until their number is told."""
_BASE64 = "[A-Za-z0-9+/_-]"
_SHORTEST = 4
"""Characters of an encoding that say anything about a secret."""


def clean(text: str, credentials: ClientCredentials, shown: tuple[str, ...] = ()) -> str:
    """Foreign text that is fit for a message: one short line without secrets.

    Args:
        text: What somebody else wrote.
        credentials: What must not be in it.
        shown: Text that may be long and have digits in it all the same, such as the URL of the request.
    """
    cut = len(text) > _LONGEST_READ
    line = one_line(text[:_LONGEST_READ])
    if cut:
        line = re.sub(r"\S+$", "", line)  # half a secret would not be found
    client_id, secret = credentials.client_id, credentials.client_secret
    for value in (f"{client_id}:{secret}", secret, client_id):
        if value == client_id and len(value) < _SHORTEST:
            continue
        line = re.sub("|".join(encoded_forms(value)), _hidden, line, flags=re.IGNORECASE)
    known = re.compile("|".join(map(re.escape, shown)) or "(?!)")
    line = _SUSPICIOUS.sub(lambda run: _hidden(run) if _SUSPICIOUS.search(known.sub("", run[0])) else run[0], line)
    line = re.sub(f"{_HIDDEN}+", lambda run: f"[{len(run[0])} characters hidden]", line)
    return f"{line[:_LONGEST_SHOWN]}…" if cut or len(line) > _LONGEST_SHOWN else line


def one_line(text: str) -> str:
    """The text on one line, without invisible characters, some of which a terminal obeys."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def encoded_forms(secret: str) -> Iterator[str]:
    """Regular expressions for a secret and its usual encodings; to be used without regard to case."""
    from html import escape  # slow to import

    content = secret.encode("utf-8", "surrogatepass")  # JSON can name half a character, which is not UTF-8
    plain = {secret, quote(content), quote(content, safe=""), quote_plus(content), json.dumps(secret)[1:-1]}
    plain |= {json.dumps(json.dumps(secret)[1:-1])[1:-1], escape(secret)}
    plain |= {form.replace("/", "\\/") for form in plain}
    if len(content.hex()) >= _SHORTEST:
        plain.add(content.hex())
    yield from (re.escape(form) for form in sorted(plain, key=len, reverse=True))
    yield from _within_base64(content)


def _within_base64(secret: bytes) -> Iterator[str]:
    """Base64 takes three bytes at a time, so where the secret begins decides how it looks.

    Its first and last characters may depend on what is next to the secret: the pattern takes them along.
    """
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret).decode()
        core = encoded.rstrip("=")[(0, 2, 3)[before] : -1 if encoded.endswith("=") else None]
        if len(core) >= _SHORTEST:
            core = re.escape(core).replace(r"\+", "[+-]").replace("/", "[/_]")
            yield f"{_BASE64}{{0,{min(before, 1)}}}{core}{_BASE64}?=*"


def _hidden(run: re.Match[str]) -> str:
    return _HIDDEN * len(run[0])
