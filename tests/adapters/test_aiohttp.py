"""What only the adapter for aiohttp does."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext

import aiohttp
import pytest

from domo_oauth import InvalidClientError
from tests.adapters.server import Api
from tests.adapters.ways import Way, by_aiohttp

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("way", [Way("aiohttp", "asyncio")], ids=str)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # aiohttp supports no other


async def test_a_file_that_is_still_being_sent_is_sent_again_as_a_whole(auth, api):
    api.refuse, api.is_hasty = 1, True
    content = bytes(range(256)) * 2**15
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        async with by_aiohttp(auth) as session, session.put(f"{api.url}/x", data=file) as response:
            assert response.status == 200
    assert [seen.body == content for seen in api.seen if seen.token == "token-2"] == [True]


async def test_the_first_response_does_not_show_the_second_token(auth, api):
    kept = []

    async def keep(request, handler):
        kept.append(await handler(request))
        return kept[-1]

    api.refuse = 1
    async with by_aiohttp(auth, more=[keep]) as session, session.get(f"{api.url}/x") as response:
        assert response.status == 200
        assert await response.read() == b"{}"
    sent = [str(answer.request_info.headers["Authorization"]) for answer in kept]
    assert sent == ["Bearer token-1", "Bearer token-2"]
    assert [answer.closed for answer in kept] == [True, True]
    assert kept[0].connection is None, "it was given back"


@pytest.mark.parametrize(("status", "ours", "token"), [(401, 1, "token-2"), (401, 0, "token-1"), (500, 1, "token-1")])
async def test_a_401_that_another_middleware_raises_is_noticed(status, ours, token, auth, api):
    async def fail(request, handler):
        info = request.request_info if ours else request.request_info._replace(headers={})  # of another request
        raise aiohttp.ClientResponseError(info, (), status=status)

    async with by_aiohttp(auth, more=[fail]) as session:
        with pytest.raises(aiohttp.ClientResponseError):
            await session.get(f"{api.url}/x")
    assert auth.provider.get_token().access_token == token


async def test_errors_do_not_show_the_token(auth, api):
    api.refuse = 2
    async with by_aiohttp(auth, raises=True) as session:
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await session.get(f"{api.url}/x")
    assert "'Bearer hidden'" in repr(caught.value)
    assert "token-" not in repr(caught.value)


async def test_a_redirect_from_elsewhere_marks_only_what_it_leads_to(auth, api):
    """Neither the next request of the task, nor the same URL asked for by the caller who does not follow redirects."""
    with Api() as elsewhere:
        elsewhere.redirects = {"/x": f"{api.url}/y"}
        async with by_aiohttp(auth) as session:
            for follow in (True, False):
                async with session.get(f"{elsewhere.url}/x", allow_redirects=follow):
                    pass
                async with session.get(f"{api.url}/y"):
                    pass
    assert api.tokens == [None, "token-1", "token-1"]
    assert elsewhere.tokens == [None, None]


UNFINISHED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 10\r\n\r\n{}"
"""A response whose rest does not come, so that its connection does not become free by itself."""


@pytest.mark.parametrize("most", [1, 2])
async def test_a_refused_response_without_end_is_released(most, way, grants, api, wire):
    """Whether there is another token or not."""
    server, grants.most = wire(UNFINISHED, "hang"), most
    async with by_aiohttp(way.auth(grants.provider(server.url))) as session:
        with pytest.raises(InvalidClientError) if most == 1 else nullcontext():
            async with session.get(f"{server.url}/x") as response:
                assert response.status == 401
        assert len(server.requests) == most
        async with session.get(f"{api.url}/x", middlewares=()) as response:
            assert response.status == 200
