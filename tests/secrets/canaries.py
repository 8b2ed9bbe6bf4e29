"""The secrets of these tests, the search for them, and the list of the places that may hold one.

A secret is found as it stands, and as URLs, HTML, JSON, hexadecimal digits and base64 write it, backwards too, and not
only as a whole: twelve characters of it are enough, as tools that print things cut them short.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

# With characters that the forms below write in ways of their own.
CLIENT_ID = "Hq7w+Zr9/xLc3v~Kp5"
CLIENT_SECRET = "s8Vd+Wm5/xY&uPLq2=nDv6#hJ4eTgB"
ACCESS_TOKEN = "tK8GhZ-4wXe_2LpQ9.sVb7Yc3Mf6RaJn5.Ud1Eo0iWk"

SECRETS = {"client id": CLIENT_ID, "client secret": CLIENT_SECRET, "token": ACCESS_TOKEN}

ALLOWED = {
    ("output of token", "token"): "it is what the command is for",
    ("environment of exec's command", "token"): "it is what the command is for",
    ("pickle", "client id"): "a provider that was given credentials takes them along to a worker; README says so",
    ("pickle", "client secret"): "likewise",
    ("environment", "client id"): "whoever started the command put it there",
    ("environment", "client secret"): "likewise",
    ("command line with --client-id", "client id"): "whoever passes it shows it; the secret is in a file",
    ("keyring", "client id"): "it is where `domo-oauth login` keeps it",
    ("keyring", "client secret"): "likewise",
    ("names of the sandbox's clients", "client id"): "it is for tests, and says whom it knows; never the secret",
    ("frames of an HTTP client that calls the API", "token"): "they are the client's own; SECURITY.md says so",
    ("fields of the generated client", "client id"): "whoever unpacks them by attrs.asdict asks for them",
    ("fields of the generated client", "client secret"): "likewise",
    ("log of an answer's header fields", "client id"): "httpcore logs those; SECURITY.md says so",
    ("log of an answer's header fields", "client secret"): "likewise",
}
"""The places that may hold a secret, each with the reason. All else may not."""

PIECE = 12
"""Characters of a secret, in any form, that are a leak."""
AROUND = 100
"""Characters before and after a leak that tell whose it is."""


def forms(secret: str) -> dict[str, str]:
    """A secret in all forms that are looked for."""
    found = {
        "plain": secret,
        "reversed": secret[::-1],
        "URL": quote(secret, safe=""),
        "form": quote_plus(secret),
        "HTML": html.escape(secret),
        "JSON": json.dumps(secret)[1:-1],
        "hex": secret.encode().hex(),
        "HEX": secret.encode().hex().upper(),
    }
    for before in range(3):  # base64 takes three bytes at a time, so where the secret begins decides how it looks
        for name, encode in ("base64", b64encode), ("base64url", urlsafe_b64encode):
            encoded = encode(bytes(before) + secret.encode()).decode().rstrip("=")
            # What its neighbours have a part in says nothing.
            found[f"{name} {before}"] = encoded[(0, 2, 3)[before] : -1]
    return found


class Canaries:
    """Finds secrets in bytes."""

    def __init__(self) -> None:
        self._pieces: dict[bytes, tuple[str, str]] = {}
        for name, secret in SECRETS.items():
            self.add(name, secret)
        # What joins the two in base64 is in neither; as the client id comes first, this finds what is left: the secret.
        self.add("client secret", f":{CLIENT_SECRET}")

    def add(self, name: str, secret: str) -> None:
        """Look for another secret, too."""
        for form, text in forms(secret).items():
            content = text.encode()
            for start in range(len(content) - PIECE + 1):
                self._pieces.setdefault(content[start : start + PIECE], (name, form))

    def found(self, content: bytes) -> dict[tuple[str, str], str]:
        """The names of the secrets in it, and the forms that they have there; and what stands around each first."""
        found: dict[tuple[str, str], str] = {}
        for start in range(len(content) - PIECE + 1):
            piece = self._pieces.get(content[start : start + PIECE])
            if piece is not None and piece not in found:
                found[piece] = content[max(0, start - AROUND) : start + AROUND].decode(errors="replace")
        return found


class Evidence:
    """All that was said and written, by the place where that was."""

    def __init__(self) -> None:
        self.canaries = Canaries()
        self._contents: dict[str, list[bytes]] = defaultdict(list)

    def add(self, place: str, *contents: object) -> None:
        """Keep what a place holds: bytes as they are, anything else as text."""
        for content in contents:
            kept = content if isinstance(content, bytes) else str(content).encode(errors="backslashreplace")
            self._contents[place].append(kept)

    def add_files(self, folder: Path, place: str = "file") -> None:
        """Keep the names and contents of all files in a folder, however deep."""
        for path in sorted(folder.rglob("*")):
            self.add(f"{place} name", path)
            if path.is_file():
                self.add(place, path.read_bytes())

    def text(self, place: str) -> str:
        """What a place holds."""
        return b"\n".join(self._contents[place]).decode(errors="replace")

    def leaks(self) -> list[str]:
        """Each secret in each place that may not hold it."""
        return [f"{place}: {name} ({form}): {around}" for place, name, form, around in self._found(allowed=False)]

    def allowed(self) -> set[tuple[str, str]]:
        """The places that may hold a secret, and do."""
        return {(place, name) for place, name, _, _ in self._found(allowed=True)}

    def _found(self, *, allowed: bool) -> Iterator[tuple[str, str, str, str]]:
        for place, contents in self._contents.items():
            for (name, form), around in self.canaries.found(b"\n".join(contents)).items():
                if ((place, name) in ALLOWED) == allowed:
                    yield place, name, form, around
