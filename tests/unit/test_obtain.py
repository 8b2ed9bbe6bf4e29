"""Which token the command prints: the one in the store, or the next one of Domo's."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from domo_oauth import ClientCredentials, ServerError, Token, cli
from domo_oauth.cli import obtain
from domo_oauth.stores.sealing import Entry, Refusal, SealedStore

WHO = ClientCredentials("canary-client", "canary-secret")
UNAVAILABLE = ServerError("unavailable", status=503, retryable=True)
BODY = b'{"access_token": "new", "token_type": "bearer", "expires_in": 3599}'
NEW = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
# After a longer Retry-After than a fetch may take there is no other attempt.
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"
NOT_ASKED = "Domo has just refused another process, so it is not asked again yet:"
REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


class Memory:
    """A store in this process."""

    path = "/the/store"

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.free = threading.Event()
        self.free.set()

    def load(self, name):
        return self.kept.get(name)

    def save(self, name, sealed, ttl):
        self.kept[name] = sealed

    @contextmanager
    def lock(self, name):
        yield self.free.wait(10)


@pytest.fixture
def store(monkeypatch):
    store = Memory()
    monkeypatch.setattr(obtain, "open_store", lambda: store)
    return store


@pytest.fixture
def domo(wire, monkeypatch):
    """Start a server that always gives the same answer."""

    def start(answer: bytes):
        server = wire(answer)
        monkeypatch.setenv("DOMO_API_URL", server.url)
        monkeypatch.setenv("DOMO_CLIENT_ID", WHO.client_id)
        monkeypatch.setenv("DOMO_CLIENT_SECRET", WHO.client_secret)
        return server

    return start


def leave(store: Memory, url: str, left: float, lifetime: int = 3600, refusal: Refusal | None = None) -> None:
    """Put a token into the store that is good for so many seconds more."""
    now = time.time()
    old = Token("old", expires_in=lifetime, expires_at=datetime.fromtimestamp(now + left, UTC))
    SealedStore(store, WHO, None, url).save(Entry(old, now + left, refusal), now)


@pytest.mark.parametrize(
    ("lifetime", "left", "options", "printed"),
    [
        (3600, 305, [], "old"),
        (3600, 299, [], "new"),
        (600, 125, [], "old"),
        (600, 119, [], "new"),
        (3600, 605, ["--min-lifetime", "600"], "old"),
        (3600, 599, ["--min-lifetime", "600"], "new"),
        (3600, 100, ["--min-lifetime", "50"], "old"),
        (3600, 3600, ["--no-store"], "new"),
    ],
)
def test_a_stored_token_is_printed_if_it_lasts_long_enough(lifetime, left, options, printed, store, domo, capsys):
    server = domo(NEW)
    leave(store, server.url, left, lifetime)
    assert cli.main(["token", *options]) == 0
    assert capsys.readouterr() == (f"{printed}\n", "")
    assert len(server.requests) == (printed == "new")


def test_a_new_token_is_stored(store, domo, capsys):
    server = domo(NEW)
    assert cli.main(["whoami", "--json"]) == cli.main(["whoami", "--json"]) == 0
    first, _, second = capsys.readouterr().out.partition("}\n")
    assert json.loads(first + "}")["token_from"] == "Domo"
    second = json.loads(second)
    assert second["token_from"] == "the store /the/store"
    assert 3590 <= second["expires_in"] <= 3599
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "left", "options", "status"),
    [
        (BUSY, 65, [], 0),
        (BUSY, 59, [], 4),
        (BUSY, 100, ["--min-lifetime", "200"], 4),
        (REFUSED, 200, [], 3),
    ],
)
def test_a_stored_token_is_used_once_more_if_domo_is_busy(answer, left, options, status, store, domo, capsys):
    server = domo(answer)
    leave(store, server.url, left)
    assert cli.main(["token", *options]) == status
    said = capsys.readouterr()
    assert said.out == ("" if status else "old\n")
    assert said.err.startswith("domo-oauth: The stored token is used once more, as no other can be had. GET") is not (
        status
    )
    assert len(server.requests) == 1


@pytest.mark.parametrize(("left", "status"), [(65, 0), (59, 4)])
def test_a_refusal_of_another_process_counts(left, status, store, domo, capsys):
    server = domo(NEW)
    leave(store, server.url, left, refusal=Refusal(UNAVAILABLE, 2.0, time.time() + 30))
    assert cli.main(["token"]) == status
    assert capsys.readouterr() == (
        ("", f"domo-oauth: {NOT_ASKED}\ndomo-oauth: unavailable\n")
        if status
        else ("old\n", "domo-oauth: The stored token is used once more, as no other can be had. unavailable\n")
    )
    assert server.requests == []


def test_a_stored_token_is_used_if_another_process_takes_long(store, domo, capsys, monkeypatch):
    server = domo(NEW)
    leave(store, server.url, 100)
    store.free.clear()
    monkeypatch.setattr(obtain, "_PATIENCE", 0.2)
    assert cli.main(["token"]) == 0
    out, err = capsys.readouterr()
    assert out == "old\n"
    assert "No token within 0.2 s: another process holds the lock of the store" in err
    leave(store, server.url, 3600)  # so that the fetch in the background ends at once
    store.free.set()
    assert server.requests == []


def test_a_token_that_lasts_less_than_wanted(store, domo, capsys):
    server = domo(NEW)
    for requests in (1, 2):
        assert cli.main(["token", "--min-lifetime", "7200.5"]) == 0
        said = capsys.readouterr()
        assert said.out == "new\n"
        assert said.err.startswith("domo-oauth: This token is good for 359")
        assert said.err.endswith(
            " s, and --min-lifetime asks for 7200.5: Domo granted it for 3599 s. Ask for less, or each call makes a "
            "request for a token.\n"
        )
        assert len(server.requests) == requests
