"""Keep secrets out of text that somebody else wrote: a server, a proxy, a library.

A list of encodings is never complete. So besides the credentials in their usual encodings, every long run of
characters that could be an encoded secret is hidden.
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

_LONGEST_SHOWN = 300  # characters of untrusted text in a message
_LONGEST_READ = 4096  # characters that are searched; a megabyte would take seconds
_SUSPICIOUS = re.compile(r"(?<!\S)(?=\S*[\d%&\\])\S{16,}")  # not ordinary words and punctuation
_HIDDEN = "\0"  # stands for each hidden character, until they are counted
_SHORTEST = 4  # characters; shorter encodings say nothing about a secret


def clean(text: str, credentials: ClientCredentials, shown: tuple[str, ...]) -> str:
    """Return untrusted text as one short line without secrets.

    Args:
        text: What somebody else wrote.
        credentials: What must not be in it.
        shown: What may be in it, although it is long and has digits, such as the URL of the request.
    """
    line = one_line(text[:_LONGEST_READ])
    if len(text) > _LONGEST_READ:
        line = re.sub(r"\S+$", "", line)  # half a secret would not be found
    client_id, secret = credentials.client_id, credentials.client_secret
    for value in (f"{client_id}:{secret}", secret, client_id):
        if len(value) >= _SHORTEST or value == secret:
            line = re.sub("|".join(encoded_forms(value)), _hidden, line, flags=re.IGNORECASE)
    known = re.compile("|".join(map(re.escape, shown)))
    line = _SUSPICIOUS.sub(lambda run: _hidden(run) if _SUSPICIOUS.search(known.sub("", run[0])) else run[0], line)
    line = re.sub(f"{_HIDDEN}+", lambda run: f"[{len(run[0])} characters hidden]", line)
    return f"{line[:_LONGEST_SHOWN]}…" if len(text) > _LONGEST_READ or len(line) > _LONGEST_SHOWN else line


def one_line(text: str) -> str:
    """Return the text on one line, without invisible characters, some of which a terminal obeys."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def encoded_forms(secret: str) -> Iterator[str]:
    """Yield regular expressions for a secret and its usual encodings, to be used with `re.IGNORECASE`."""
    from html import escape  # slow to import

    content = secret.encode()
    in_json = json.dumps(secret)[1:-1]
    plain = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), escape(secret), in_json}
    plain.add(json.dumps(in_json)[1:-1])
    plain |= {form.replace("/", "\\/") for form in plain}
    if len(content.hex()) >= _SHORTEST:
        plain.add(content.hex())
    yield from (re.escape(form) for form in sorted(plain, key=len, reverse=True))
    # Base64 takes three bytes at a time, so it depends on where the secret begins. The first and last characters of the
    # encoding may depend on what is next to the secret, too: the pattern includes them.
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + content).decode()
        core = encoded.rstrip("=")[(0, 2, 3)[before] : -1 if encoded.endswith("=") else None]
        if len(core) >= _SHORTEST:
            core = re.escape(core).replace(r"\+", "[+-]").replace("/", "[/_]")
            yield f"[A-Za-z0-9+/_-]{{0,{min(before, 1)}}}{core}[A-Za-z0-9+/_-]?=*"


def _hidden(run: re.Match[str]) -> str:
    return _HIDDEN * len(run[0])
