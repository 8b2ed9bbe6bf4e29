"""What only the adapters for httpx and httpx2 do."""

from __future__ import annotations

import anyio
import pytest

from tests.adapters.ways import HTTPX, Way

pytestmark = pytest.mark.parametrize("way", [Way(library) for library in HTTPX], ids=str)


def test_nothing_of_the_first_request_shows_the_second_token(way, auth, api):
    kept = []
    api.refuse = 1
    with HTTPX[way.library].Client(auth=auth, verify=False, event_hooks={"request": [kept.append]}) as client:
        request = client.build_request("POST", f"{api.url}/x", content=b"content", extensions={"mark": 1})
        response = client.send(request)
    (refused,) = response.history
    assert kept == [request, response.request]
    assert refused.request is request is not response.request
    assert request.headers["Authorization"] == "Bearer token-1"
    assert response.request.headers["Authorization"] == "Bearer token-2"
    assert response.request.content == request.content == b"content"
    assert response.request.extensions["mark"] == 1


def test_a_response_can_be_streamed_after_a_401(way, auth, api):
    api.refuse = 1
    limits = HTTPX[way.library].Limits(max_connections=1)
    with (
        HTTPX[way.library].Client(auth=auth, verify=False, limits=limits) as client,
        client.stream("GET", f"{api.url}/x") as response,
    ):
        assert (response.status_code, response.is_closed) == (200, False)
        assert response.read() == b"{}"
        assert [(earlier.status_code, earlier.is_closed) for earlier in response.history] == [(401, True)]


class ApiError(Exception):
    """What a program may raise in place of the library's error."""


def raise_from(error):
    raise ApiError from error


def raise_later(_error):
    raise ApiError  # while the library's error is handled


@pytest.mark.parametrize(
    ("status", "translate", "tokens"),
    [
        (401, raise_from, ["token-1", "token-2"]),
        (401, raise_later, ["token-1", "token-2"]),
        (500, raise_from, ["token-1", "token-1"]),
        (200, raise_from, ["token-1", "token-1"]),
    ],
)
@pytest.mark.parametrize("loop", ["", "asyncio", "trio"])
def test_a_hook_may_raise_its_own_error_for_a_401(loop, status, translate, tokens, way, auth, api):
    library = HTTPX[way.library]

    def check(response) -> None:
        if len(api.seen) == 1:
            response.status_code = status
            try:
                response.raise_for_status()
            except library.HTTPStatusError as error:
                translate(error)
            raise ApiError

    async def async_check(response) -> None:
        check(response)

    async def by_async_client() -> None:
        async with library.AsyncClient(auth=auth, verify=False, event_hooks={"response": [async_check]}) as client:
            with pytest.raises(ApiError):
                await client.get(f"{api.url}/x")
            await client.get(f"{api.url}/x")

    if loop:
        anyio.run(by_async_client, backend=loop)
    else:
        with library.Client(auth=auth, verify=False, event_hooks={"response": [check]}) as client:
            with pytest.raises(ApiError):
                client.get(f"{api.url}/x")
            client.get(f"{api.url}/x")
    assert api.tokens == tokens
