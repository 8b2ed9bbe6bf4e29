"""`domo-oauth proxy`, the local gateway that adds the token: many callers at once, and changes under load."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from domo_oauth.proxy import REPEATABLE_BODY
from tests.adapters.server import Domo
from tests.fakes import PATIENCE, until
from tests.proxy.conftest import command, end, peak

pytestmark = pytest.mark.slow
AT_ONCE = 1000
CALLERS = 8


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc: Linux")
def test_a_thousand_requests_at_once_need_one_token_and_little_memory(env, api):
    with command("--port", "0") as (process, variables):
        before = peak(process.pid)
        statuses = Counter(asyncio.run(all_at_once(variables["DOMO_PROXY_URL"], variables["DOMO_PROXY_KEY"])))
        grown = peak(process.pid) - before
        end(process)
    assert statuses == {b"HTTP/1.1 200 OK": AT_ONCE}
    assert Counter(request.path for request in api.seen if not request.token) == {
        "/oauth/token?grant_type=client_credentials": 1
    }
    assert grown < AT_ONCE * REPEATABLE_BODY


async def all_at_once(url: str, key: str) -> list[bytes]:
    """Open all connections, then send all requests. Returns the status lines."""
    parsed = httpx.URL(url)
    request = (
        f"GET /v1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n".encode()
    )
    connections = [await asyncio.open_connection(parsed.host, parsed.port) for _ in range(AT_ONCE)]
    for _, writer in connections:
        writer.write(request)
    answers = await asyncio.wait_for(asyncio.gather(*[reader.read() for reader, _ in connections]), 5 * PATIENCE)
    for _, writer in connections:
        writer.close()
    return [each.partition(b"\r\n")[0] for each in answers]


class Restarting(Domo):
    def stop(self) -> None:
        self.__exit__()

    def start(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self.__enter__()


class Load:
    """Callers that send one request after another, and what they get."""

    def __init__(self, call: Callable[[], int]) -> None:
        self._call, self._stopped = call, threading.Event()
        self.outages = 0
        """Odd while the API is down."""
        self.calls = 0
        self.failed = Counter[int]()
        """Statuses other than 200, except of calls during an outage."""
        self.during_outages = Counter[int]()

    def run(self) -> None:
        while not self._stopped.is_set():
            before = self.outages
            status = self._call()
            self.calls += 1
            undisturbed = before == self.outages and before % 2 == 0
            if not undisturbed:
                self.during_outages[status] += 1
            elif status != 200:
                self.failed[status] += 1

    def stop(self) -> None:
        self._stopped.set()

    def wait(self) -> None:
        """Wait for some more calls."""
        enough = self.calls + 10 * CALLERS
        until(lambda: self.calls > enough)


def test_a_revoked_token_a_new_secret_and_a_restart_of_the_api_fail_no_other_call(monkeypatch, tmp_path):
    file = tmp_path / "secret"
    file.write_text("canary-old")
    file.chmod(0o600)
    with Restarting() as domo, ThreadPoolExecutor(CALLERS) as threads:
        for name, value in {"API_URL": domo.url, "CLIENT_ID": "canary-id", "CLIENT_SECRET_FILE": str(file)}.items():
            monkeypatch.setenv(f"DOMO_{name}", value)
        with command("--port", "0") as (process, variables):
            headers = {"Authorization": f"Bearer {variables['DOMO_PROXY_KEY']}"}
            client = httpx.Client(base_url=variables["DOMO_PROXY_URL"], headers=headers, timeout=PATIENCE)
            load = Load(lambda: client.get("/v1").status_code)
            callers = [threads.submit(load.run) for _ in range(CALLERS)]
            try:
                load.wait()
                domo.valid.clear()  # revoked
                load.wait()
                assert domo.granted == 2
                time.sleep(1.1)  # until a refusal counts at once again
                file.write_text("canary-new")
                domo.secret = "canary-new"
                domo.valid.clear()
                load.wait()
                assert domo.granted == 3
                load.outages += 1
                domo.stop()
                until(lambda: load.during_outages[502] > CALLERS)
                domo.start()
                load.wait()
                load.outages += 1
                load.wait()
            finally:
                load.stop()
            for caller in callers:
                caller.result(PATIENCE)
            client.close()
            end(process)
    assert load.failed == {}
    assert load.during_outages.keys() == {200, 502}
    assert domo.granted == 3
