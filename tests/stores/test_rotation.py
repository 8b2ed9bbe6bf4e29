"""A secret is replaced while threads, tasks and processes that share a store use it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests.adapters.server import Domo
from tests.fakes import PATIENCE, until
from tests.stores.redis_server import NO_REDIS, SERVERS, RedisServer

pytestmark = pytest.mark.slow
LIFETIME = 3  # seconds
USERS = """
import asyncio, functools, sys, threading
import httpx
from domo_oauth import ClientCredentials, DomoAuth, TokenProvider
from domo_oauth.stores import open_store

file, where = sys.argv[1:]
source = functools.partial(ClientCredentials.from_file, file)
auth = DomoAuth(TokenProvider(source, store=open_store(where)))
calls, ended = [], threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()

def thread():
    with httpx.Client(auth=auth, base_url=auth.base_url) as api:
        while not calls or not ended.wait(0.02):
            calls.append(api.get("/v1").status_code)

async def task(api):
    while not ended.is_set():
        calls.append((await api.get("/v1")).status_code)
        await asyncio.sleep(0.02)

async def tasks():
    async with httpx.AsyncClient(auth=auth, base_url=auth.base_url) as api:
        await asyncio.gather(*[task(api) for _ in range(4)])

threads = [threading.Thread(target=thread) for _ in range(4)]
for each in threads:
    each.start()
asyncio.run(tasks())
for each in threads:
    each.join()
print(len(calls), sorted(set(calls)))
"""


@pytest.fixture(params=["files", "Redis"])
def where(request, tmp_path):
    if request.param == "files":
        yield str(tmp_path / "store")
    elif not SERVERS:
        pytest.skip(NO_REDIS)
    else:
        with RedisServer(tmp_path) as redis:
            yield f"{redis.url}?socket_connect_timeout={PATIENCE}&socket_timeout={PATIENCE}"


@pytest.mark.parametrize("first", ["at the source", "at Domo"])
def test_a_secret_replaced_under_load_fails_no_call(where, tmp_path, monkeypatch, first):
    file = tmp_path / "domo.json"

    def write(secret: str) -> None:
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps({"client_id": "canary-id", "client_secret": secret}))
        temporary.replace(file)

    write("canary-old")
    with Domo(LIFETIME) as domo:
        monkeypatch.setenv("DOMO_API_URL", domo.url)
        command = [sys.executable, "-c", USERS, str(file), where]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        processes = [subprocess.Popen(command, **pipes, text=True) for _ in range(3)]
        began = time.monotonic()
        until(lambda: domo.granted)
        if first == "at the source":
            write("canary-new")
        else:  # so that one fetch has read the old secret, and is refused
            domo.on_refusal = lambda: write("canary-new")
        domo.secret = "canary-new"
        for granted in (2, 3, 4):
            until(lambda granted=granted: domo.granted >= granted)
        told = [process.communicate(timeout=PATIENCE)[0] for process in processes]
        lasted = time.monotonic() - began
    assert [line.partition(" ")[2] for line in told] == ["[200]\n"] * 3
    assert domo.refused == (first == "at Domo")
    # One for each lifetime, less its last fifth, and one more for the new secret.
    assert domo.granted <= lasted / (0.7 * LIFETIME) + 2
