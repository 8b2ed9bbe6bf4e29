"""Stoplight Prism serves the contract with the overlay, and real clients read its responses."""

from __future__ import annotations

import asyncio
import copy
import re
import subprocess
import sys
import threading

import aiohttp
import pytest
import yaml

from domo_oauth.contract import contract
from tools import prism

from .conftest import BASIC

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (prism.PRISM.exists() and prism.REDOCLY.exists()), reason="no Prism here: make prism"),
]
EXAMPLES = [
    pytest.param(status, name, contract()["components"]["examples"][each["$ref"].rpartition("/")[2]]["value"], id=name)
    for status, response in contract()["paths"]["/oauth/token"]["get"]["responses"].items()
    for name, each in response["content"]["application/json"]["examples"].items()
]


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    """The URL of Prism, started as `make prism` starts it."""
    script = prism.ROOT / "tools" / "prism.py"
    command = [sys.executable, script, "--port", "0", "--out", tmp_path_factory.mktemp("prism")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8") as process:
        output = ""
        while not (url := re.search(r"listening on (http://127\.0\.0\.1:\d+)", output)):
            line = process.stdout.readline()
            assert line, output
            output += line
        rest = threading.Thread(target=process.stdout.read)  # Prism logs every request, and a full pipe stops it
        rest.start()
        yield url[1]
        process.terminate()
        rest.join()


def test_the_overlay_removes_two_headers_and_nothing_else(tmp_path):
    prism.apply_overlay(tmp_path / "domo-oauth.yaml")
    expected = copy.deepcopy(contract())
    for name in ("Content-Encoding", "Transfer-Encoding"):
        del expected["paths"]["/oauth/token"]["get"]["responses"]["200"]["headers"][name]
    assert yaml.safe_load((tmp_path / "domo-oauth.yaml").read_text(encoding="utf-8")) == expected


@pytest.mark.parametrize(("status", "name", "value"), EXAMPLES)
def test_a_strict_client_reads_every_example(mock, status, name, value):
    headers = {"Authorization": BASIC, "Prefer": f"code={status}, example={name}"}

    async def ask():
        async with (
            aiohttp.ClientSession(mock, headers=headers) as session,
            session.get("/oauth/token", params={"grant_type": "client_credentials"}) as response,
        ):
            return response.status, await response.json()

    assert asyncio.run(ask()) == (int(status), value)
