"""No message repeats a secret, however a server wrote it."""

from __future__ import annotations

import base64
import codecs
import json
import re
import time
from urllib.parse import quote

import pytest

from domo_oauth import ClientCredentials
from domo_oauth.redact import clean, encoded_forms, one_line

CLIENT_ID = "canary-id-1b2c3d"
SECRET = "a/b+c-canary-secret-9f8e7d"
URL = "https://api.domo.com/a/path/of/2026?x=%20"


def cleaned(text: str, *shown: str, secret: str = SECRET) -> str:
    return clean(text, ClientCredentials(CLIENT_ID, secret), shown)


def without(secret: str, text: str) -> str:
    return re.sub("|".join(encoded_forms(secret)), "*", text, flags=re.IGNORECASE)


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
        ("\udc80ab", "\udc80ab"),
    ],
)
def test_usual_encodings_are_found(secret, text):
    assert without(secret, f"say {text}, please") == "say *, please"


def test_encodings_too_short_to_say_anything_are_left():
    assert without("a", "61 YQ==") == "61 YQ=="


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_base64_of_more_than_the_secret_is_found(before):
    text = base64.b64encode(f"{before}:canary-secret:".encode()).decode()
    assert len(without("canary-secret", text)) <= len(base64.b64encode(f"{before}:".encode())) + 5


UNLISTED = {
    "percent-encoded with the slash kept": quote(SECRET),
    "percent-encoded twice": quote(quote(SECRET, safe=""), safe=""),
    "every byte percent-encoded": "".join(f"%{byte:02x}" for byte in SECRET.encode()),
    "JSON in JSON": json.dumps(json.dumps(SECRET)).replace("/", "\\/"),
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps(SECRET).replace("/", "\\/"))),
    "escaped for JSON, every character": "".join(f"\\u{ord(character):04x}" for character in SECRET),
    "escaped for C": "".join(f"\\x{byte:02x}" for byte in SECRET.encode()),
    "numbers for HTML": "".join(f"&#{ord(character)};" for character in SECRET),
    "hex of UTF-16": SECRET.encode("utf-16-le").hex(),
    "hex with colons": SECRET.encode().hex(":"),
    "base32": base64.b32encode(SECRET.encode()).decode(),
    "base85": base64.b85encode(SECRET.encode()).decode(),
    "base64 of UTF-16": base64.b64encode(SECRET.encode("utf-16-le")).decode(),
    "base64 twice": base64.b64encode(base64.b64encode(SECRET.encode())).decode(),
    "quoted-printable": codecs.encode(SECRET.encode(), "quopri").decode(),
    "ROT13": codecs.encode(SECRET, "rot13"),
    "backwards": SECRET[::-1],
    "within a URL": f"https://elsewhere.test/?secret={SECRET[::-1]}",
}


@pytest.mark.parametrize("name", UNLISTED)
def test_encodings_that_nobody_listed_are_hidden_too(name):
    text = cleaned(f"no client for {UNLISTED[name]}")
    assert re.fullmatch(r'no client for "?\[[0-9]+ characters hidden\]"?', text), text


def test_the_length_of_a_hidden_part_is_told():
    assert cleaned(f"it is {SECRET}, or {'1' * 40} at least") == (
        "it is [26 characters hidden], or [40 characters hidden] at least"
    )
    assert cleaned(f"{'1' * 16}{SECRET} or {SECRET}{SECRET}") == "[42 characters hidden] or [52 characters hidden]"


@pytest.mark.parametrize(
    "text",
    [
        "Bad credentials",
        "Full authentication is required to access this resource, see RFC 6749",
        "java.lang.IllegalArgumentException: unsupported_grant_type",
        "Error 503 at 14:23:03.891",
        "request 123456789012345",
    ],
)
def test_ordinary_text_is_shown(text):
    assert cleaned(text) == text


@pytest.mark.parametrize("run", ["0" * 16, "a" * 15 + "%", "&" + "a" * 15, "a" * 8 + "\\" + "a" * 7])
def test_a_run_of_16_characters_that_may_be_an_encoding_is_hidden(run):
    assert cleaned(f"x {run} y") == "x [16 characters hidden] y"
    assert cleaned(f"x {run[1:]} y") == f"x {run[1:]} y"


@pytest.mark.parametrize("shown", [URL, "manage_2_data_sets_and_more", "O6Q67O9N7H-U3ALR-NVA7L"])
def test_what_is_known_to_be_harmless_is_shown(shown):
    assert cleaned(f"for {shown}: no", shown) == f"for {shown}: no"
    assert cleaned(f"for {shown}: no") == f"for [{len(shown) + 1} characters hidden] no"


@pytest.mark.parametrize("around", ["{0}{1}", "{1}{0}", "{2}{0}{3}"])
def test_nothing_hides_behind_what_is_harmless(around):
    encoded = UNLISTED["base32"]
    text = cleaned(around.format(URL, encoded, encoded[:9], encoded[9:]), URL)
    assert text == f"[{len(URL) + len(encoded)} characters hidden]"


@pytest.mark.parametrize("shown", [SECRET, f"https://api.domo.com/{SECRET}"])
def test_the_secret_itself_is_hidden_even_there(shown):
    assert SECRET not in cleaned(f"see {shown}", shown)


@pytest.mark.parametrize(("given", "shown"), [("d" * 300, "d" * 300), ("d" * 301, "d" * 300 + "…")])
def test_a_text_has_300_characters_at_most(given, shown):
    assert cleaned(given) == shown


@pytest.mark.parametrize("length", range(4096 - len(SECRET) - 2, 4097))
def test_half_a_secret_is_not_shown_at_the_end(length):
    text = cleaned("\0" * length + SECRET + " and more" * 1000)
    assert not [start for start in range(len(SECRET) - 4) if SECRET[start : start + 4] in text]
    assert text.endswith("…")


def test_a_megabyte_of_text_costs_milliseconds():
    texts = ["x" * 1_000_000, "x1" * 500_000, "x1 " * 300_000, SECRET * 40_000, "%" * 1_000_000, "\\" * 1_000_000]
    began = time.process_time()
    for text in texts:
        cleaned(text, URL, "data")
    assert (time.process_time() - began) / len(texts) < 0.1  # some 5 ms; generous, as a machine may be slow


def test_a_message_is_one_line_without_what_a_terminal_obeys():
    assert one_line("a\x1b[31m\r\n\tb\u202e\u200b\x00c") == "a [31m b c"
