"""No message repeats a secret, however a server wrote it.

Each test has the server send a text, and looks at the `description` of the error.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
import time
from urllib.parse import quote

import httpx
import pytest

from domo_oauth import ClientCredentials, TokenRequestError, request_token

SECRET = "a/b+c-canary-secret-9f8e7d"
URL = "https://api.domo.com/a/path/of/2026"


def shown(text: str, secret: str = SECRET, client_id: str = "canary-id-1b2c3d") -> str | None:
    """What the error shows of a text of the server's."""

    def endpoint(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, content=json.dumps({"message": text}), headers={"Content-Type": "application/json"})

    credentials = ClientCredentials(client_id, secret)
    with pytest.raises(TokenRequestError) as caught:
        request_token(credentials, "data", base_url=URL, httpx_args={"transport": httpx.MockTransport(endpoint)})
    return caught.value.description


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("a b/c", "a%20b%2Fc"),
        ("a b/c", "a%20b/c"),
        ("a b/c", "a+b%2Fc"),
        ("a/b", r"a\/b"),
        ("a&", "a&amp;"),
        ('a"b', r"a\"b"),
        ('a"b', r"a\\\"b"),
        ("ab", "6162"),
        ("abc", "YWJj"),
        ("~a>", "fmE+"),
        ("~a>", "fmE-"),
        ("a?b?", "YT9iPw=="),
        ("a??", "YT8/"),
        ("a??", "YT8_"),
        ("abc", "ABC"),
    ],
)
def test_usual_encodings_are_hidden(secret, text):
    assert shown(f"sorry {text}, please", secret) == f"sorry [{len(text)} characters hidden], please"


@pytest.mark.parametrize("after", range(3))
@pytest.mark.parametrize("before", range(3))
def test_base64_of_a_secret_and_its_neighbours_shows_only_the_neighbours(before, after):
    text = base64.b64encode(b"x" * before + b"abcd" + b"y" * after).decode()
    rest = text[(before + 4) * 8 // 6 + 1 :].lstrip("=")  # one character depends on the secret and what is next to it
    assert shown(text, "abcd") == f"{text[:before]}[{len(text) - before - len(rest)} characters hidden]{rest}"


def test_encodings_too_short_to_tell_anything_are_shown():
    assert shown("sorry 61 YQ==", "a") == "sorry 61 YQ=="
    assert shown("sorry abc", client_id="abc") == "sorry abc"
    assert shown("sorry abcd", client_id="abcd") == "sorry [4 characters hidden]"


def test_half_a_character_breaks_nothing():
    assert shown("\udc80 and no more") == "and no more"


UNLISTED = {
    "URL": "".join(f"%{byte:02x}" for byte in SECRET.encode()),
    "URL twice": quote(quote(SECRET, safe=""), safe=""),
    "escaped for JSON": "".join(f"\\u{ord(character):04x}" for character in SECRET),
    "numbers for HTML": "".join(f"&#{ord(character)};" for character in SECRET),
    "base32": base64.b32encode(SECRET.encode()).decode(),
    "base64 of more": base64.b64encode(f"xy:{SECRET}:".encode()).decode(),
    "base64 twice": base64.b64encode(base64.b64encode(SECRET.encode())).decode(),
    "quoted-printable": codecs.encode(SECRET.encode(), "quopri").decode(),
    "backwards": SECRET[::-1],
    "within a URL": f"https://elsewhere.test/?secret={SECRET[::-1]}",
    "behind the URL": f"{URL}{base64.b32encode(SECRET.encode()).decode()}",
}


@pytest.mark.parametrize("name", UNLISTED)
def test_other_encodings_are_hidden_too(name):
    text = shown(f"no client for {UNLISTED[name]}")
    assert re.fullmatch(r'no client for "?\[[0-9]+ characters hidden\]"?', text), text


@pytest.mark.parametrize(
    "text",
    [
        "Bad credentials",
        "Full authentication is required to access this resource, see RFC 6749",
        "java.lang.IllegalArgumentException: unsupported_grant_type",
        "Error 503 at 14:23:03.891",
        f"GET {URL}/oauth/token",
        f"GET {URL}/oauth/token?try=123456789",
    ],
)
def test_ordinary_text_is_shown(text):
    assert shown(text) == text


@pytest.mark.parametrize("run", ["0" * 16, "a" * 15 + "%", "&" + "a" * 15, "a" * 8 + "\\" + "a" * 7])
def test_16_characters_that_may_be_an_encoding_are_hidden(run):
    assert shown(f"x {run} y") == "x [16 characters hidden] y"
    assert shown(f"x {run[1:]} y") == f"x {run[1:]} y"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("d" * 300, "d" * 300),
        ("d" * 301, "d" * 300 + "…"),
        (" " * 4093 + "end", "end"),
        (" " * 4094 + "end", "…"),
    ],
    ids=["300", "301", "4096", "4097"],
)
def test_300_characters_are_shown_and_4096_are_read(text, seen):
    assert shown(text) == seen


@pytest.mark.parametrize("length", range(4096 - len(SECRET) - 2, 4097, 3))
def test_half_a_secret_is_not_shown_at_the_end(length):
    text = shown("\0" * length + SECRET + " and more" * 1000)
    assert not [start for start in range(len(SECRET) - 4) if SECRET[start : start + 4] in text]
    assert text.endswith("…")


def test_a_megabyte_of_text_costs_milliseconds():
    texts = ["x" * 999_000, "x1" * 450_000, "x1 " * 300_000, SECRET * 35_000, "%" * 999_000, "\\" * 400_000]
    began = time.process_time()
    for text in texts:
        shown(text)
    assert (time.process_time() - began) / len(texts) < 0.3  # some 20 ms; generous, as a machine may be slow


def test_a_message_is_one_line_without_control_characters():
    assert shown("a\x1b[31m\r\n\tb\u202e\u200b\x00c") == "a [31m b c"
