"""What each library can do. A mark comes from a row of the benchmark or from a probe; none is set by hand.

A probe is a row whose function returns whether the library has a feature, and what was seen. To add a feature, add a
function.
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
from typing import TYPE_CHECKING

from .endpoint import RETRY_AFTER, SIGNATURE
from .rows import row
from .subjects import SECRET, How, Keeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from .endpoint import Endpoint
    from .subjects import Subject

    Probe = Callable[[Subject, Endpoint], "Seen"]
Seen = dict[str, bool | str]
_SECRETS = {"secret": (SECRET, b64encode(SECRET[:48].encode()).decode()), "token": (SIGNATURE,)}
"""The secret in plain text, and in a header of Basic authentication, whatever precedes it there."""
_CHILD_SECONDS = 5


FEATURES = {
    "threads": "one request for 64 threads",
    "tasks": "one request for 1,000 asyncio tasks",
    "trio_tasks": "one request for 1,000 trio tasks",
    "mixed": "one request for threads and event loops together",
    "processes": "one request for 8 processes",
    "stale": "a stale token is handed out while the next is fetched, and nobody waits",
    "refused": "64 threads share one refusal",
    "wrong_credentials": "wrong credentials in a loop do not hammer the endpoint",
}
"""What each library can do, by the key of the row that says so."""


def probe(what: str) -> Callable[[Probe], Probe]:
    """Add a feature, and a row that says whether a library has it."""

    def add(measure: Probe) -> Probe:
        FEATURES[measure.__name__] = what
        return row(what, kind="probe", alone=True, once=True)(measure)

    return add


@probe("a token that lives for a minute is used more than once")
def short_lived(subject: Subject, endpoint: Endpoint) -> Seen:
    endpoint.answers(lifetime=60)
    get = subject.make(How(endpoint.base_url)).get
    for _ in range(5):
        get()
        time.sleep(0.1)  # for a renewal in the background
    requests = endpoint.requests()
    return _seen(requests == 1, f"requests for 5 calls: {requests}")


@probe("a 503 is retried, once its `Retry-After` is over")
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


@probe("a 401 from the API renews the token, and the request is sent once more")
def renewal(subject: Subject, endpoint: Endpoint) -> Seen:
    send = _sending_tokens(subject, endpoint).sender(f"{endpoint.base_url}/v1/datasets")
    endpoint.answers(outdated=1)
    with suppress(Exception):  # some raise the API's 401
        send()
    seen = endpoint.seen()
    assert seen["bearers"]
    counts = seen["requests"], seen["bearers"]
    return _seen(counts == (1, 2), "requests for a token: {}, calls with one: {}".format(*counts))


@probe("the token goes to no other origin, not even by a redirect")
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


@probe("the secret follows no redirect to another origin")
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


@probe("DEBUG logs and the repr show no secret and no token")
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


@probe("a token kept in a file is encrypted")
def sealed(subject: Subject, endpoint: Endpoint) -> Seen:
    if subject.files is None:
        raise OSError("It keeps tokens where a benchmark should not.")
    _require(subject.files)
    with tempfile.TemporaryDirectory() as name:
        subject.make(How(endpoint.base_url, "filed", Path(name))).get()
        kept = b"".join(path.read_bytes() for path in Path(name).rglob("*") if path.is_file()).decode("latin-1")
    assert len(kept) > len(SIGNATURE)
    readable = "token" in _secrets(kept)
    return _seen(not readable, f"its files {'show' if readable else 'hide'} the token")


@probe("can be pickled, without the token")
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


@probe("a child forked while a thread fetches gets a token")
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
