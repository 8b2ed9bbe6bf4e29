"""The search finds what it looks for: a leak of each kind, in each form, planted where the other tests look."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from base64 import b64encode

import pytest

from tests.secrets import show
from tests.secrets.canaries import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, PIECE, Evidence, forms


def found(*contents: object) -> set[str]:
    """What is found in a place that may not hold a secret."""
    evidence = Evidence()
    evidence.add("here", *contents)
    return {leak.split(" (")[0] for leak in evidence.leaks()}


@pytest.mark.parametrize("form", forms(CLIENT_SECRET))
def test_each_form_is_found(form):
    assert "here: client secret" in found(f"before {forms(CLIENT_SECRET)[form]} after")


@pytest.mark.parametrize("before", range(3))
def test_a_pair_within_base64_is_found(before):
    pair = b64encode(f"{'x' * before}{CLIENT_ID}:{CLIENT_SECRET}".encode())
    assert found(pair) == {"here: client id", "here: client secret"}


def test_a_part_is_found_and_less_is_not():
    assert found(ACCESS_TOKEN[5 : 5 + PIECE]) == {"here: token"}
    assert found(ACCESS_TOKEN[5 : 4 + PIECE], "plain text", b"\xff\x00", {"a": 1}, CLIENT_ID[:4]) == set()


class Shows:
    def __init__(self) -> None:
        self.token = ACCESS_TOKEN


def fail(token: str) -> None:
    raise ValueError(len(token))


def fail_at_a_line_that_names_it(shows: Shows) -> None:
    raise ValueError(len(shows.token))


def fail_with_it() -> None:
    exec(f"raise ValueError({ACCESS_TOKEN!r})")


@pytest.mark.parametrize(
    ("tool", "plant"),
    [
        (show.by_traceback, lambda: fail(ACCESS_TOKEN)),
        (show.by_rich, lambda: fail(ACCESS_TOKEN)),
        (show.by_lookup, lambda: fail_at_a_line_that_names_it(Shows())),
        (show.message, fail_with_it),
        (lambda error: list(show.frames(error)), lambda: fail(ACCESS_TOKEN)),
    ],
)
def test_a_secret_planted_in_an_error_is_found(tool, plant):
    with pytest.raises(ValueError, match=r".") as caught:
        plant()
    assert "here: token" in found(tool(caught.value))
    assert found(show.value(Shows())) == {"here: token"}


def test_secrets_planted_in_logs_and_files_are_found(evidence, tmp_path):
    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = 0.0
        asyncio.get_running_loop().call_soon(print, ACCESS_TOKEN)
        await asyncio.sleep(0)

    logging.getLogger("planted").debug("hidden", extra={"planted": CLIENT_ID})
    asyncio.run(main(), debug=True)
    with tempfile.NamedTemporaryFile(delete=False, prefix=ACCESS_TOKEN) as file:
        file.write(CLIENT_SECRET.encode())
    evidence.add_files(tmp_path)
    leaks = {leak.split(" (")[0] for leak in evidence.leaks()}
    assert leaks == {"log: client id", "log: token", "file: client secret", "file name: token"}
