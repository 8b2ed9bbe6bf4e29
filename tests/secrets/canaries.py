"""The secrets of these tests, the search for them, and the list of the places that may hold one.

A secret is found as it stands, and as URLs, HTML, JSON, hexadecimal digits and base64 write it, backwards too. Twelve
characters of it are enough, as tools that print things cut them short.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote, quote_plus

# With characters that the forms below write in ways of their own.
CLIENT_ID = "Hq7w+Zr9/xLc3v~Kp5"
CLIENT_SECRET = "s8Vd+Wm5/xY&uPLq2=nDv6#hJ4eTgB"
ACCESS_TOKEN = "tK8GhZ-4wXe_2LpQ9.sVb7Yc3Mf6RaJn5.Ud1Eo0iWk"

BOTH = ("client id", "client secret")
ALLOWED = {
    "output of token": (("token",), "printing it is the purpose of the command"),
    "environment of exec's command": (("token",), "passing it on is the purpose of the command"),
    "environment": ((*BOTH, "key"), "the user put them there"),
    "command line with --client-id": (("client id",), "the user put it there; the secret is in a file"),
    "keyring": (BOTH, "`domo-oauth login` keeps them there"),
    "file of the secret": (("client secret",), "the user put it there, and only the user can read it"),
    "names of the sandbox's clients": (("client id",), "the sandbox is for tests; it never shows the secret"),
    "frames of an HTTP client that calls the API": (("token",), "they are the client's own; SECURITY.md says so"),
}
"""The places that may hold a secret, which one, and the reason. No other place may."""

PIECE = 12
"""Characters of a secret, in any form, that are a leak."""
AROUND = 100
"""Characters before and after a leak that show where it is."""


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
    for before in range(3):  # base64 takes three bytes at a time, so its look depends on where the secret begins
        for name, encode in ("base64", b64encode), ("base64url", urlsafe_b64encode):
            encoded = encode(bytes(before) + secret.encode()).decode().rstrip("=")
            found[f"{name} {before}"] = encoded[(0, 2, 3)[before] : -1]  # without what its neighbours influence
    return found


class Evidence:
    """Everything that was printed and written, by place."""

    def __init__(self) -> None:
        self._contents: dict[str, list[bytes]] = defaultdict(list)
        self._pieces: dict[bytes, tuple[str, str]] = {}
        for name, secret in ("client id", CLIENT_ID), ("client secret", CLIENT_SECRET), ("token", ACCESS_TOKEN):
            self.look_for(name, secret)
        # What joins the two in base64 is in neither; as the client id comes first, this finds the rest: the secret.
        self.look_for("client secret", f":{CLIENT_SECRET}")

    def look_for(self, name: str, secret: str) -> None:
        """Look for another secret, too."""
        for form, text in forms(secret).items():
            content = text.encode()
            for start in range(len(content) - PIECE + 1):
                self._pieces.setdefault(content[start : start + PIECE], (name, form))

    def add(self, place: str, *contents: object) -> None:
        """Keep what a place holds: bytes as they are, anything else as text."""
        for content in contents:
            kept = content if isinstance(content, bytes) else str(content).encode(errors="backslashreplace")
            self._contents[place].append(kept)

    def add_files(self, folder: Path) -> None:
        """Keep the names and contents of all files in a folder, however deep."""
        for path in sorted(folder.rglob("*")):
            self.add("file name", path)
            if path.is_file():
                self.add("file", path.read_bytes())

    def text(self, place: str) -> str:
        """What a place holds."""
        return b"\n".join(self._contents[place]).decode(errors="replace")

    def leaks(self) -> list[str]:
        """Each secret in each place that may not hold it."""
        return [
            f"{place}: {name} ({form}): {around}"
            for (place, name, form), around in self._found().items()
            if name not in ALLOWED.get(place, ((), ""))[0]
        ]

    def allowed(self) -> set[tuple[str, str]]:
        """The places that may hold a secret, and do."""
        return {(place, name) for place, name, _ in self._found() if name in ALLOWED.get(place, ((), ""))[0]}

    def _found(self) -> dict[tuple[str, str, str], str]:
        found = {}
        for place, contents in list(self._contents.items()):  # a handler of logs may add to it
            content = b"\n".join(contents)
            for start in range(len(content) - PIECE + 1):
                name, form = self._pieces.get(content[start : start + PIECE], ("", ""))
                if name and (place, name, form) not in found:
                    found[place, name, form] = content[max(0, start - AROUND) : start + AROUND].decode(errors="replace")
        return found
