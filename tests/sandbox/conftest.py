"""A sandbox within the test's process: no socket, and time passes at once."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import httpx
import pytest

from domo_oauth.sandbox import DEMO_CLIENT, Stats
from domo_oauth.sandbox.app import create_app
from domo_oauth.sandbox.settings import Settings

GRANT = {"grant_type": "client_credentials"}


class Sandbox(httpx.Client, httpx.BaseTransport):
    """A client of a sandbox within the process."""

    def __init__(self, **settings: object) -> None:
        self.slept: list[float] = []
        self.app = httpx.ASGITransport(create_app(Settings(**settings), self._sleep), raise_app_exceptions=False)
        auth = (DEMO_CLIENT.client_id, DEMO_CLIENT.client_secret)
        super().__init__(transport=self, base_url="http://127.0.0.1", auth=auth)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def answer() -> httpx.Response:
            response = await self.app.handle_async_request(request)
            raw = b"".join([chunk async for chunk in response.stream])
            return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(raw))

        return anyio.run(answer)

    def token(self, **parameters: str) -> str:
        return self.get("/oauth/token", params=GRANT | parameters).raise_for_status().json()["access_token"]

    def api(self, path: str = "/v1/datasets", authorization: str = "", method: str = "GET", **more) -> httpx.Response:
        headers = {"Authorization": authorization or f"Bearer {self.token()}", **more.pop("headers", {})}
        return self.request(method, path, headers=headers, auth=None, **more)

    def control(self, name: str, **body: object) -> httpx.Response:
        return self.post(f"/_sandbox/{name}", json=body, auth=None)

    def stats(self) -> Stats:
        return Stats(**self.get("/_sandbox/stats").json())


@pytest.fixture(scope="session")
def _sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
def sandbox(_sandbox: Sandbox) -> Sandbox:
    _sandbox.control("reset")
    _sandbox.slept.clear()
    return _sandbox


@pytest.fixture
def serve() -> Callable[..., Sandbox]:
    return Sandbox
