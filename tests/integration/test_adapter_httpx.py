"""What only the adapters for httpx and httpx2 do. What all adapters do is in ``test_adapters.py``."""

from __future__ import annotations

import tempfile

import anyio
import pytest

from domo_oauth import ConfigurationError

from .adapters import HTTPX, Grants, Way, serving

pytestmark = pytest.mark.parametrize("library", HTTPX)


@pytest.fixture
def api():
    with serving() as server:
        yield server


@pytest.fixture
def auth(library, api):
    return Way(library).auth(Grants().provider(api.url))


def test_nothing_of_the_first_request_shows_the_second_token(library, auth, api):
    kept = []
    hooks = {"request": [kept.append]}
    api.refuse = 1
    with HTTPX[library].Client(auth=auth, trust_env=False, event_hooks=hooks) as client:
        request = client.build_request("POST", f"{api.url}/x", content=b"content", extensions={"mark": 1})
        response = client.send(request)
    (refused,) = response.history
    assert kept == [request, response.request]
    assert refused.request is request is not response.request
    assert request.headers["Authorization"] == "Bearer token-1"
    assert response.request.headers["Authorization"] == "Bearer token-2"
    assert response.request.content == request.content == b"content"
    assert response.request.extensions["mark"] == 1


def test_an_open_file_is_not_sent_again(library, auth, api):
    api.refuse = 1
    with tempfile.TemporaryFile() as file:
        file.write(b"content")
        file.seek(0)
        assert Way(library).send(auth, "PUT", f"{api.url}/x", lambda: {"content": file}) == 401
    assert [request.body for request in api.seen] == [b"content"]


def test_a_streamed_response_can_be_streamed_after_a_401(library, auth, api):
    api.refuse = 1
    limits = HTTPX[library].Limits(max_connections=1)
    with (
        HTTPX[library].Client(auth=auth, trust_env=False, limits=limits) as client,
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
def test_a_hook_may_raise_its_own_error_instead(library, loop, translate, auth, api):
    def check(response) -> None:
        try:
            response.raise_for_status()
        except HTTPX[library].HTTPStatusError as error:
            translate(error)

    async def async_check(response) -> None:
        check(response)

    async def by_async_client() -> int:
        hooks = {"response": [async_check]}
        async with HTTPX[library].AsyncClient(auth=auth, trust_env=False, event_hooks=hooks) as client:
            with pytest.raises(ApiError):
                await client.get(f"{api.url}/x")
            return (await client.get(f"{api.url}/x")).status_code

    api.refuse = 1
    if loop:
        assert anyio.run(by_async_client, backend=loop) == 200
    else:
        with HTTPX[library].Client(auth=auth, trust_env=False, event_hooks={"response": [check]}) as client:
            with pytest.raises(ApiError):
                client.get(f"{api.url}/x")
            assert client.get(f"{api.url}/x").status_code == 200
    assert api.tokens == ["token-1", "token-2"]


@pytest.mark.parametrize("status", [None, 500])
def test_other_errors_leave_the_token_in_use(library, status, auth, api):
    def fail(response) -> None:
        response.status_code = status or 200
        if status:
            response.raise_for_status()
        raise ApiError

    with (
        HTTPX[library].Client(auth=auth, trust_env=False, event_hooks={"response": [fail]}) as client,
        pytest.raises((ApiError, HTTPX[library].HTTPStatusError)),
    ):
        client.get(f"{api.url}/x")
    assert auth.provider.get_token().access_token == "token-1"


@pytest.mark.parametrize("url", ["http://localhost", "http://127.0.0.1:80", "http://[::1]"])
def test_port_80_is_refused_as_httpx_keeps_the_token_on_the_way_to_https(library, url):
    """The reason: if this fails, the library has changed, and the adapter can be simpler."""

    def answer(request):
        seen.append(request.headers.get("Authorization"))
        away = request.url.scheme == "http"
        return HTTPX[library].Response(307 if away else 200, headers={"Location": "https://localhost"} if away else {})

    seen: list[str | None] = []
    transport = HTTPX[library].MockTransport(answer)
    with HTTPX[library].Client(transport=transport, follow_redirects=True) as client:
        client.get("http://localhost", headers={"Authorization": "Bearer x"})
    assert seen == ["Bearer x"] * 2
    with pytest.raises(ConfigurationError, match="Use a base URL with another port"):
        Way(library).auth(Grants().provider(url))
