"""What a secret looks like in what others make of it."""

from __future__ import annotations

import re

import pytest

from domo_oauth.forms import forms


def without(secret: str, text: str) -> str:
    return re.sub("|".join(forms(secret)), "*", text, flags=re.IGNORECASE)


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("a b/c", "a%20b%2Fc"),
        ("a b/c", "a+b%2Fc"),
        ("a&", "a&amp;"),
        ('a"b', r"a\"b"),
        ("ab", "6162"),
        ("abc", "YWJj"),
        ("~a>", "fmE+"),
        ("~a>", "fmE-"),
        ("a?b?", "YT9iPw=="),
        ("a??", "YT8/"),
        ("a??", "YT8_"),
    ],
)
def test_no_form_of_it_is_left(secret, text):
    assert without(secret, f"say {text}, please") == "say *, please"


def test_what_is_too_short_to_say_anything_is_left():
    assert without("a", "61 YQ==") == "61 YQ=="


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_base64_of_something_longer_leaves_no_part_of_it(before):
    from base64 import b64encode

    text = b64encode(f"{before}:canary-secret:".encode()).decode()
    assert len(without("canary-secret", text)) <= len(b64encode(f"{before}:".encode())) + 5
