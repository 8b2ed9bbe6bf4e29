"""What each library can do. A mark comes from a row of the benchmark or from a probe; none is set by hand.

A probe is a function that returns whether the library has a feature, and what was seen. It raises
``NotImplementedError`` if the feature does not apply. To add a feature, add a function.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import tempfile
import threading
import time
from base64 import b64encode
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .endpoint import RETRY_AFTER, SIGNATURE
from .rows import ROWS
from .subjects import SECRET, How, Keeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from .endpoint import Endpoint
    from .subjects import Subject

Seen = dict[str, bool | str]
"""``mark``, whether the library does it, and what was ``seen``."""
_SECRETS = {"secret": (SECRET, b64encode(SECRET[:48].encode()).decode()), "token": (SIGNATURE,)}
"""The secret in plain text, and in a header of Basic authentication, whatever precedes it there."""
_CHILD_SECONDS = 5
_HALF_AN_ANSWER = 250
"""Milliseconds. A caller with a stale token that waits less did not wait for the endpoint, which takes 500 ms."""


class Feature(NamedTuple):
    key: str
    what: str
    probe: Callable[[Subject, Endpoint], Seen] | None
    """None if the row of the same name says it."""

    def marks(self, results: dict[str, Any]) -> dict[str, bool | None]:
        """Whether each library does it: None if it does not apply; a library that could not be tried is left out."""
        if self.probe:
            seen = results["features"]["rows"].get(self.key, {}).get("seen", {})
            return {name: found and found["mark"] for name, found in seen.items()}
        numbers, failed = results["figures"].get(self.key, {}), results.get("failed", {})
        limits = {key: most for key, most in ROWS[self.key].limits.items() if key in {"requests", "failed"}}
        limits |= {"longest": _HALF_AN_ANSWER} if self.key == "stale" else {}
        tried = [name for name in results["versions"] if name in numbers or self.key not in failed.get(name, ())]
        return {
            name: all(numbers[name][key] <= most for key, most in limits.items()) if name in numbers else None
            for name in tried
            if numbers
        }


FEATURES: dict[str, Feature] = {
    key: Feature(key, what, None)
    for key, what in {
        "threads": "one request for 64 threads",
        "tasks": "one request for 1,000 asyncio tasks",
        "trio_tasks": "one request for 1,000 trio tasks",
        "mixed": "one request for threads and event loops together",
        "processes": "one request for 8 processes",
        "stale": "a stale token is handed out while the next is fetched, and nobody waits",
        "refused": "64 threads share one refusal",
        "wrong_credentials": "wrong credentials in a loop do not hammer the endpoint",
    }.items()
}


def feature(what: str) -> Callable[[Callable[[Subject, Endpoint], Seen]], Callable[[Subject, Endpoint], Seen]]:
    """Add a feature to the table."""

    def add(probe: Callable[[Subject, Endpoint], Seen]) -> Callable[[Subject, Endpoint], Seen]:
        FEATURES[probe.__name__] = Feature(probe.__name__, what, probe)
        return probe

    return add


@feature("a token that lives for a minute is used more than once")
def short_lived(subject: Subject, endpoint: Endpoint) -> Seen:
    endpoint.answers(lifetime=60)
    get = subject.make(How(endpoint.base_url)).get
    for _ in range(5):
        get()
        time.sleep(0.1)  # for a renewal in the background
    requests = endpoint.requests()
    return _seen(requests == 1, f"requests for 5 calls: {requests}")


@feature("a 503 is retried, once its `Retry-After` is over")
def busy(subject: Subject, endpoint: Endpoint) -> Seen:
    _require(subject.requests_tokens)
    endpoint.answers(busy=1)
    outcome = "a token"
    try:
        subject.make(How(endpoint.base_url)).get()
    except Exception:  # noqa: BLE001 -- each library has its own
        outcome = "an error"
    seen = endpoint.seen()
    when = f", the last after {seen['pause']:.1f} s" if seen["requests"] > 1 else ""
    retried = outcome == "a token" and seen["requests"] > 1 and seen["pause"] >= RETRY_AFTER
    return _seen(retried, f"{outcome}; requests: {seen['requests']}{when}")


@feature("a 401 from the API renews the token, and the request is sent once more")
def renewal(subject: Subject, endpoint: Endpoint) -> Seen:
    send = _sending_tokens(subject, endpoint).sender(f"{endpoint.base_url}/v1/datasets")
    endpoint.answers(outdated=1)
    with suppress(Exception):  # some raise the API's 401
        send()
    seen = endpoint.seen()
    assert seen["bearers"]
    counts = seen["requests"], seen["bearers"]
    return _seen(counts == (1, 2), "requests for a token: {}, calls with one: {}".format(*counts))


@feature("the token goes to no other origin, not even by a redirect")
def origin(subject: Subject, endpoint: Endpoint) -> Seen:
    keeper = _sending_tokens(subject, endpoint)
    ways = {"redirected": f"{endpoint.base_url}/v1/moved", "direct": f"{endpoint.other_origin}/v1/datasets"}
    came, errors = {}, []
    for way, url in ways.items():
        keeper.sender(f"{endpoint.base_url}/v1/datasets")()  # now it has a token
        endpoint.answers()
        send = keeper.sender(url)
        try:
            send()
        except Exception as error:  # noqa: BLE001 -- says nothing about the other way
            errors.append(error)
        strayed = endpoint.seen()["strayed"]
        came[way] = "the token" if "token" in _secrets(strayed) else "no token" if strayed else "nothing"
    leaked = "the token" in came.values()
    if errors and not leaked:
        raise errors[0]
    return _seen(not leaked, "the other origin got: " + "; ".join(f"{way}, {what}" for way, what in came.items()))


@feature("the secret follows no redirect to another origin")
def moved(subject: Subject, endpoint: Endpoint) -> Seen:
    _require(subject.requests_tokens)
    endpoint.answers(moved=True)
    with suppress(Exception):
        subject.make(How(endpoint.base_url)).get()
    seen = endpoint.seen()
    assert "secret" in _secrets(seen["asked"])
    leaked = "secret" in _secrets(seen["strayed"])
    came = "the secret" if leaked else "no secret" if seen["strayed"] else "nothing"
    return _seen(not leaked, f"the other origin got: {came}")


@feature("DEBUG logs and the repr show no secret and no token")
def shown(subject: Subject, endpoint: Endpoint) -> Seen:
    how = How(endpoint.base_url)
    subject.make(how).get()  # makes the loggers
    log, root = StringIO(), logging.getLogger()
    root.addHandler(logging.StreamHandler(log))
    root.setLevel(logging.DEBUG)
    for each in root.manager.loggerDict.values():
        if isinstance(each, logging.Logger):
            each.disabled, each.propagate = False, True
            each.setLevel(logging.NOTSET)

    def make() -> Keeper:
        keeper = subject.make(how)
        logging.getLogger("bench").disabled = False  # for a library that logs to its caller's logger
        return keeper

    keeper = make()
    keeper.get()
    with suppress(NotImplementedError):
        keeper.sender(how.api_url)()
    endpoint.answers(refuses=True)
    with suppress(Exception):
        make().get()
    texts = {"a log": log.getvalue(), "the repr": f"{keeper.it!r} {keeper.it}"}
    leaks = [f"the {what} in {where}" for where, text in texts.items() for what in _secrets(text)]
    lines = len(log.getvalue().splitlines())
    return _seen(not leaks, " and ".join(leaks) or f"neither in {lines} lines nor in the repr")


@feature("a token kept in a file is encrypted")
def sealed(subject: Subject, endpoint: Endpoint) -> Seen:
    if "sealed" in subject.untried:
        raise OSError("It keeps tokens where a benchmark should not.")
    _require(subject.files)
    with tempfile.TemporaryDirectory() as name:
        subject.make(How(endpoint.base_url, "filed", Path(name))).get()
        kept = b"".join(path.read_bytes() for path in Path(name).rglob("*") if path.is_file()).decode("latin-1")
    assert len(kept) > len(SIGNATURE)
    readable = "token" in _secrets(kept)
    return _seen(not readable, f"its files {'show' if readable else 'hide'} the token")


@feature("can be pickled, without the token")
def pickled(subject: Subject, endpoint: Endpoint) -> Seen:
    keeper = subject.make(How(endpoint.base_url, "plain"))
    keeper.get()
    try:
        content = pickle.dumps(keeper.it)
        subject.make(How(endpoint.base_url, it=pickle.loads(content))).get()  # noqa: S301 -- made right here
    except Exception as error:  # noqa: BLE001 -- this is what we look for
        return _seen(mark=False, seen=f"{type(error).__name__}: {str(error)[:100]}")
    leaked = "token" in _secrets(content.decode("latin-1"))
    return _seen(not leaked, f"a pickle {'with' if leaked else 'without'} the token")


@feature("a child forked while a thread fetches gets a token")
def forked(subject: Subject, endpoint: Endpoint) -> Seen:
    _require(hasattr(os, "fork"))
    subject.make(How(endpoint.base_url)).get()  # loads what a process loads once
    get = subject.make(How(endpoint.base_url)).get
    endpoint.answers(1.0)
    thread = threading.Thread(target=get)
    thread.start()
    while thread.is_alive() and not endpoint.requests():
        time.sleep(0.005)
    if not (child := os.fork()):
        signal.alarm(_CHILD_SECONDS)  # ends it, whatever it waits for
        try:
            get()
        except BaseException:  # noqa: BLE001 -- nothing of this may go on in a child
            os._exit(1)
        os._exit(0)
    assert thread.is_alive(), "The answer came before the fork."
    endpoint.answers()
    _, status = os.waitpid(child, 0)
    thread.join()
    code = os.waitstatus_to_exitcode(status)
    return _seen(code == 0, {0: "a token", 1: "an error"}.get(code, f"no token within {_CHILD_SECONDS} s"))


def _seen(mark: bool, seen: str) -> Seen:  # noqa: FBT001 -- the result of a probe
    return {"mark": mark, "seen": seen}


def _require(there: bool) -> None:  # noqa: FBT001
    if not there:
        raise NotImplementedError


def _sending_tokens(subject: Subject, endpoint: Endpoint) -> Keeper:
    """An object that has a token and sends it to the API."""
    keeper = subject.make(How(endpoint.base_url))
    keeper.get()
    keeper.sender(f"{endpoint.base_url}/v1/datasets")()
    assert endpoint.seen()["bearers"]
    return keeper


def _secrets(text: str) -> list[str]:
    """Which secrets a text shows."""
    return [what for what, forms in _SECRETS.items() if any(form in text for form in forms)]
