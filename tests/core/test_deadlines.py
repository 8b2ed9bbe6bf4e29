"""Nobody waits longer than asked, every fetch ends, and time in which the process was frozen does not count."""

from __future__ import annotations

import gc
import re
import sys
import threading
import time as real_time
import types
from contextlib import contextmanager
from functools import partial

import anyio
import httpx
import pytest

from domo_oauth import Clock, FileStore, ServerError, TokenProvider, TransportError
from domo_oauth.flight import Flight
from tests.fakes import GET, HOUR, PATIENCE, REQUEST, Endpoint, ask, in_threads, refused, unavailable

# Callers


@pytest.fixture(params=[*GET, *REQUEST])
def call(request, credentials, endpoint, time):
    """Asks in each way, in real time."""
    args = {"transport": endpoint}
    if request.param in GET:
        provider = TokenProvider(credentials, httpx_args=args, clock=Clock(start=time.start))
        return partial(ask, request.param, provider)
    return partial(ask, request.param, credentials, httpx_args=args)


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_a_late_caller_gets_an_error_in_time_that_says_why(call, endpoint, timeout):
    endpoint.open.clear()
    began = real_time.monotonic()
    with pytest.raises(TransportError) as caught:
        call(timeout=timeout)
    assert timeout <= real_time.monotonic() - began < timeout + 5
    why = "the request has not begun|the credentials source has not returned|GET [^ ]+ has had no response"
    assert re.match(rf"No token within {timeout:g} s: ({why})\. The request goes on", str(caught.value))
    assert caught.value.retryable
    endpoint.wait_until_asked()  # even if the caller did not wait at all


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("load", r"the store FileStore\(.*\) has not responded"),
        ("lock", "another process holds the store's lock, or the store has not responded"),
    ],
)
def test_a_late_caller_learns_that_the_store_is_slow(make, time, monkeypatch, tmp_path, step, why):
    reached, responds, use = threading.Event(), threading.Event(), getattr(FileStore, step)

    def slow(store, name):
        reached.set()
        assert responds.wait(PATIENCE)
        return use(store, name)

    monkeypatch.setattr(FileStore, step, slow)
    provider = make(store=FileStore(tmp_path / "store"), clock=Clock(start=time.start))
    with pytest.raises(TransportError):
        provider.get_token(0)
    assert reached.wait(PATIENCE)
    with pytest.raises(TransportError, match=rf"^No token within 0 s: {why}\. The request goes on"):
        provider.get_token(0)
    responds.set()
    assert provider.get_token().access_token == "canary-token-1"


def test_a_late_caller_does_not_end_the_fetch(make, endpoint, time, get):
    provider = make(clock=Clock(start=time.start))
    endpoint.open.clear()
    with pytest.raises(TransportError):
        get(provider, 0)
    endpoint.wait_until_asked()
    with pytest.raises(TransportError, match=r"0 s: GET https://api\.domo\.com/oauth/token has had no response"):
        get(provider, 0)
    endpoint.open.set()
    assert get(provider).access_token == "canary-token-1"
    assert (endpoint.requests, provider.stats().failures) == (1, 0)


def test_the_error_of_a_late_caller_says_how_the_last_attempt_failed(provider, endpoint, time):
    endpoint.answers = [unavailable()]
    time.on_wait = lambda seconds: (endpoint.asked.acquire(timeout=PATIENCE), time.advance(seconds))
    endpoint.always = lambda: endpoint.open.clear() or (endpoint.open.wait(PATIENCE) and endpoint.token(2))
    with pytest.raises(TransportError, match=r"had no response; the attempt before failed: GET .* returned 503"):
        provider.get_token(2)


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_late_caller_gets_a_spent_token_if_there_is_one(make, endpoint, time, get, timeout):
    clock = Clock(lambda: time.now + real_time.monotonic(), lambda: time.now + real_time.time(), start=time.start)
    provider = make(clock=clock)
    first = get(provider)
    endpoint.open.clear()
    time.advance(HOUR - 20)
    assert get(provider, timeout) is first


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 60), (3.5, 3.5)])
def test_callers_wait_in_slices_of_a_second_60_seconds_by_default(provider, endpoint, time, timeout, seconds):
    endpoint.open.clear()
    slices = []
    time.on_wait = lambda wait: (slices.append(wait), time.advance(wait))
    with pytest.raises(TransportError, match=f"No token within {seconds:g} s"):
        provider.get_token(timeout)
    assert max(slices) == 1.0
    assert sum(slices) == pytest.approx(seconds)


def test_callers_that_gave_up_leave_nothing_behind(provider, endpoint, time):
    endpoint.open.clear()
    for _ in range(100):
        with pytest.raises(TransportError):
            provider.get_token(0)
    endpoint.wait_until_asked()
    gc.collect()
    assert len(time.inboxes) == 0
    assert endpoint.requests == 1


@pytest.mark.parametrize("backend", [None, "asyncio", "trio"])
def test_a_waiting_caller_is_woken_as_soon_as_the_fetch_ends(backend):
    waits, began = threading.Event(), real_time.monotonic()
    flight = Flight(lambda _: waits.wait(PATIENCE), Clock())
    budget = types.SimpleNamespace(slice=lambda: waits.set() or PATIENCE)
    assert anyio.run(flight.arrive, budget, backend=backend) if backend else flight.wait(budget)
    assert real_time.monotonic() - began < PATIENCE


# Fetches


def test_a_fetch_starts_no_attempt_after_60_seconds(provider, endpoint, time):
    endpoint.always = lambda: httpx.Response(503, headers={"Retry-After": "25"}, json={})
    with pytest.raises(ServerError):
        provider.get_token()
    assert time.slept == [25, 25]


def test_each_read_gets_the_time_that_is_left(make, time, wire):
    """No read times out, and yet the response never ends."""

    def drip():
        while True:
            time.advance(9)
            yield b"x"

    server = wire(b"HTTP/1.1 200 OK\r\nX: ", more=drip)
    with pytest.raises(TransportError, match=r"no complete response in time .*within 60 s"):
        make(base_url=server.url, httpx_args={"timeout": 20}).get_token()
    assert len(server.requests) == 1


def test_at_most_two_fetches_if_the_endpoint_never_responds(provider, endpoint, time, get):
    get(provider)
    provider.reset()
    endpoint.wait_until_asked()
    endpoint.open.clear()
    for number in range(10):
        with pytest.raises(TransportError):
            get(provider, 0)
        if number < 2:
            endpoint.wait_until_asked()
        time.advance(61)
    endpoint.open.set()
    time.settle()
    assert endpoint.requests == 3


def test_a_crowd_that_leaves_a_fetch_behind_starts_one_more(make, time):
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(10):
            endpoint = Endpoint()
            provider = make(httpx_args={"transport": endpoint})
            endpoint.open.clear()
            for callers in (1, 32):
                in_threads(callers, partial(provider.get_token, 0))
                endpoint.wait_until_asked()
                time.advance(61)
            in_threads(32, partial(provider.get_token, 0))
            endpoint.open.set()
            time.settle()
            assert endpoint.requests == 2
    finally:
        sys.setswitchinterval(before)


@contextmanager
def left_behind(provider, endpoint, time, answer=None):
    """Within the block, the first fetch is under way and too old to wait for; after the block, it has ended."""
    gate, send = threading.Event(), endpoint.handle_request

    def first(_request: httpx.Request) -> httpx.Response:
        endpoint.handle_request = send
        endpoint.requests += 1
        endpoint.asked.release()
        assert gate.wait(PATIENCE)
        return answer or endpoint.token(1)

    endpoint.handle_request = first
    with pytest.raises(TransportError):
        provider.get_token(0)
    endpoint.wait_until_asked()
    time.advance(61)
    yield
    gate.set()
    time.settle()


@pytest.mark.parametrize(("lifetime", "kept"), [(HOUR, 2), (600, 1)])
def test_a_fetch_that_was_left_behind_replaces_only_a_token_that_ends_sooner(provider, endpoint, time, lifetime, kept):
    with left_behind(provider, endpoint, time):
        endpoint.lifetime = lifetime
        assert provider.get_token().access_token == "canary-token-2"
        endpoint.lifetime = HOUR
    assert provider.get_token().access_token == f"canary-token-{kept}"
    assert endpoint.requests == 2


def test_all_callers_wait_for_the_fetch_that_follows_one_that_was_left_behind(provider, endpoint, time):
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        time.advance(seconds)
        endpoint.open.set()
        time.threads[1].join(PATIENCE)

    with left_behind(provider, endpoint, time):
        endpoint.open.clear()
        with pytest.raises(TransportError):
            provider.get_token(0)
        time.on_wait = wait
        assert provider.get_token().access_token == "canary-token-2"
        assert len(waits) == 1


def test_the_error_of_a_fetch_that_was_left_behind_does_not_count(provider, endpoint, time):
    with left_behind(provider, endpoint, time, refused()):
        second = provider.get_token()
    assert provider.get_token() is second
    provider.invalidate(second)
    assert provider.get_token().access_token == "canary-token-3"  # without a pause


# A frozen process


@pytest.mark.parametrize("frozen", [3.0, 3600.0])
def test_time_in_which_a_waiting_process_was_frozen_does_not_count(provider, endpoint, time, frozen):
    endpoint.open.clear()
    slices = []

    def freeze(seconds: float) -> None:
        slices.append(seconds)
        time.advance(frozen)
        if len(slices) == 2:
            endpoint.open.set()
            time.settle()

    time.on_wait = freeze
    assert provider.get_token(2.6).access_token == "canary-token-1"
    assert slices == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("frozen", [22.0, 3600.0])
def test_a_process_that_was_frozen_within_a_fetch_asks_again(provider, endpoint, time, get, frozen):
    def lose_the_connection() -> httpx.Response | BaseException:
        if endpoint.requests > 1:
            return endpoint.token(endpoint.requests)
        time.advance(frozen)
        return httpx.ReadError("Connection reset by peer")

    endpoint.always = lose_the_connection
    assert get(provider).access_token == "canary-token-2"
    assert provider.stats().failures == 0
