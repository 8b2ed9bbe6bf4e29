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


def test_a_streamed_response_can_be_streamed_after_a_401(way, auth, api):
    api.refuse = 1
    limits = HTTPX[way.library].Limits(max_connections=1)
    with (
        HTTPX[way.library].Client(auth=auth, verify=False, limits=limits) as client,
        client.stream("GET", f"{api.url}/x") as response,
    ):
        assert response.status_code == 200
        assert not response.is_closed
        assert response.read() == b"{}"
        assert [(earlier.status_code, earlier.is_closed) for earlier in response.history] == [(401, True)]


class ApiError(Exception):
    """What a program may raise in place of the library's error."""


def raise_from(error):
    raise ApiError from error


def raise_later(_error):
    raise ApiError  # while the library's error is handled


@pytest.mark.parametrize("loop", ["", "asyncio", "trio"])
@pytest.mark.parametrize("translate", [raise_from, raise_later])
def test_a_hook_may_raise_its_own_error_instead(loop, translate, way, auth, api):
    library = HTTPX[way.library]

    def check(response) -> None:
        try:
            response.raise_for_status()
        except library.HTTPStatusError as error:
            translate(error)

    async def async_check(response) -> None:
        check(response)

    async def by_async_client() -> int:
        async with library.AsyncClient(auth=auth, verify=False, event_hooks={"response": [async_check]}) as client:
            with pytest.raises(ApiError):
                await client.get(f"{api.url}/x")
            return (await client.get(f"{api.url}/x")).status_code

    api.refuse = 1
    if loop:
        assert anyio.run(by_async_client, backend=loop) == 200
    else:
        with library.Client(auth=auth, verify=False, event_hooks={"response": [check]}) as client:
            with pytest.raises(ApiError):
                client.get(f"{api.url}/x")
            assert client.get(f"{api.url}/x").status_code == 200
    assert api.tokens == ["token-1", "token-2"]


@pytest.mark.parametrize("status", [None, 500])
def test_other_errors_leave_the_token_in_use(status, way, auth, api):
    def fail(response) -> None:
        response.status_code = status or 200
        if status:
            response.raise_for_status()
        raise ApiError

    with (
        HTTPX[way.library].Client(auth=auth, verify=False, event_hooks={"response": [fail]}) as client,
        pytest.raises((ApiError, HTTPX[way.library].HTTPStatusError)),
    ):
        client.get(f"{api.url}/x")
    assert auth.provider.get_token().access_token == "token-1"
