"""What a library does where a figure says nothing: each probe looks once, and tells what it saw.

A probe that ends with an exception has seen nothing. A library that has no such thing, or leaves it to the caller,
raises ``NotImplementedError``.
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
from typing import TYPE_CHECKING, Any

from .endpoint import RETRY_AFTER, SIGNATURE
from .subjects import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from .endpoint import Endpoint
    from .subjects import Subject

Seen = dict[str, bool | str]
"""``mark``, whether the library does it, and ``seen``, what that was told by."""

_SLOW_ANSWER, _CHILD_SECONDS = 1.0, 5  # s
_SHORT_LIFETIME, _CALLS, _BETWEEN_CALLS = 60, 5, 0.1
# As it stands, and as it is in the header of Basic authentication, whatever comes before it there.
_SECRETS = {"secret": (SECRET, b64encode(SECRET[:48].encode()).decode()), "token": (SIGNATURE,)}


def origin(subject: Subject, endpoint: Endpoint) -> Seen:
    """Send to the API, which redirects to another origin, and to that one straight."""
    endpoint.answers()
    it = _with_token(subject)
    ways = {"redirected": f"{endpoint.base_url}/v1/moved"}
    if subject.sends_anywhere:
        ways["straight"] = f"{endpoint.other_origin}/v1/datasets"
    came, errors = {}, []
    for way, url in ways.items():
        _send_a_token(subject, endpoint, it)
        endpoint.answers()
        send = subject.sender(it, url)
        try:
            send()
        except Exception as error:  # noqa: BLE001 -- says nothing of the other way
            errors.append(error)
        strayed = endpoint.told()["strayed"]
        came[way] = "the token" if "token" in _secrets(strayed) else "no token" if strayed else "nothing"
    leaked = "the token" in came.values()
    if errors and not leaked:
        raise errors[0]
    return _seen(not leaked, "the other origin got: " + "; ".join(f"{way}, {what}" for way, what in came.items()))


def renewal(subject: Subject, endpoint: Endpoint) -> Seen:
    """Send to an API that takes the token at hand no more."""
    endpoint.answers()
    it = _with_token(subject)
    _send_a_token(subject, endpoint, it)
    send = subject.sender(it)
    endpoint.answers(outdated=1)
    with suppress(Exception):  # some raise what the API answers
        send()
    told = endpoint.told()
    assert told["bearers"]
    return _seen(
        (told["requests"], told["bearers"]) == (1, 2),
        f"requests for a token: {told['requests']}, calls with one: {told['bearers']}",
    )


def moved(subject: Subject, endpoint: Endpoint) -> Seen:
    """Redirect the request for a token to another origin."""
    _leave_it(unless=subject.sends_the_request)
    endpoint.answers(moved=True)
    with suppress(Exception):
        subject.getter(subject.new())()
    told = endpoint.told()
    assert "secret" in _secrets(told["asked"])
    found = "secret" in _secrets(told["strayed"])
    came = "the secret" if found else "no secret" if told["strayed"] else "nothing"
    return _seen(not found, f"the other origin got: {came}")


def forked(subject: Subject, endpoint: Endpoint) -> Seen:
    """Fork while another thread asks for a token, and let the child ask."""
    _leave_it(unless=hasattr(os, "fork"))
    endpoint.answers()
    _with_token(subject)  # loads what a process loads once
    get = subject.getter(subject.new())
    endpoint.answers(_SLOW_ANSWER)
    asking = threading.Thread(target=get)
    asking.start()
    while asking.is_alive() and not endpoint.requests():
        time.sleep(0.005)
    child = os.fork()
    if not child:
        _ask_and_exit(get)
    in_time = asking.is_alive()
    endpoint.answers()
    _, status = os.waitpid(child, 0)
    asking.join()
    if not in_time:
        raise TimeoutError("The answer was there before the fork.")
    code = os.waitstatus_to_exitcode(status)
    return _seen(code == 0, {0: "a token", 1: "an error"}.get(code, f"no token within {_CHILD_SECONDS} s"))


def _ask_and_exit(get: Callable[[], object]) -> None:
    signal.alarm(_CHILD_SECONDS)  # ends it, whatever it waits for
    try:
        get()
    except BaseException:  # noqa: BLE001 -- nothing of this may go on in a child
        os._exit(1)
    os._exit(0)


def pickled(subject: Subject, endpoint: Endpoint) -> Seen:
    """Pickle what keeps a token, and ask what comes of it for one."""
    endpoint.answers()
    it = subject.plain()
    subject.getter(it)()
    try:
        content = pickle.dumps(it)
        subject.getter(pickle.loads(content))()  # noqa: S301 -- its own
    except Exception as error:  # noqa: BLE001 -- this is what is looked for
        return _seen(mark=False, seen=f"{type(error).__name__}: {str(error)[:100]}")
    found = "token" in _secrets(content.decode("latin-1"))
    return _seen(not found, "a pickle with the token" if found else "a pickle without the token")


def shown(subject: Subject, endpoint: Endpoint) -> Seen:
    """Log all there is, while tokens are fetched, used and refused; and take the repr of what keeps them."""
    endpoint.answers()
    _with_token(subject)  # makes the loggers
    log = StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for each in root.manager.loggerDict.values():
        if isinstance(each, logging.Logger):
            each.disabled, each.propagate = False, True
            each.setLevel(logging.NOTSET)
    try:
        it = subject.new()
        get = subject.getter(it)
        logging.getLogger("bench").disabled = False  # where the library logs to a logger of the caller's
        get()
        with suppress(NotImplementedError):
            subject.sender(it)()
        endpoint.answers(refuses=True)
        refused = subject.getter(subject.new())
        logging.getLogger("bench").disabled = False
        with suppress(Exception):
            refused()
    finally:
        root.removeHandler(handler)
        root.setLevel(logging.WARNING)
    leaks = [
        f"the {what} in {where}"
        for where, text in (("a log", log.getvalue()), ("the repr", f"{it!r} {it}"))
        for what in _secrets(text)
    ]
    return _seen(
        not leaks, " and ".join(leaks) or f"neither in {len(log.getvalue().splitlines())} lines nor in the repr"
    )


def busy(subject: Subject, endpoint: Endpoint) -> Seen:
    """Answer the first request for a token with 503, and say when to come back."""
    _leave_it(unless=subject.sends_the_request)
    endpoint.answers(busy=1)
    outcome = "a token"
    try:
        subject.getter(subject.new())()
    except Exception:  # noqa: BLE001 -- each library has its own
        outcome = "an error"
    told = endpoint.told()
    again = told["requests"] > 1
    when = f", the last after {told['pause']:.1f} s" if again else ""
    return _seen(
        again and outcome == "a token" and told["pause"] >= RETRY_AFTER,
        f"{outcome}; requests: {told['requests']}{when}",
    )


def short_lived(subject: Subject, endpoint: Endpoint) -> Seen:
    """Grant tokens for a minute, and ask a few times within a second."""
    endpoint.answers(lifetime=_SHORT_LIFETIME)
    get = subject.getter(subject.new())
    for _ in range(_CALLS):
        get()
        time.sleep(_BETWEEN_CALLS)  # for one that fetches in the background
    requests = endpoint.requests()
    return _seen(requests == 1, f"requests for {_CALLS} calls: {requests}")


def sealed(subject: Subject, endpoint: Endpoint) -> Seen:
    """Read the files that a token is kept in."""
    endpoint.answers()
    with tempfile.TemporaryDirectory() as name:
        subject.getter(subject.filed(Path(name)))()
        contents = [path.read_bytes() for path in Path(name).rglob("*") if path.is_file()]
    kept = b"".join(contents).decode("latin-1")
    assert len(kept) > len(SIGNATURE)
    found = "token" in _secrets(kept)
    return _seen(not found, f"the token is {'' if found else 'not '}to be read in its files")


# The last one changes what some libraries have one of per process.
PROBES = (origin, renewal, moved, forked, pickled, shown, busy, short_lived, sealed)


def _seen(mark: bool, seen: str) -> Seen:  # noqa: FBT001 -- what all of this is about
    return {"mark": mark, "seen": seen}


def _leave_it(*, unless: bool) -> None:
    if not unless:
        raise NotImplementedError


def _with_token(subject: Subject) -> Any:
    it = subject.new()
    subject.getter(it)()
    return it


def _send_a_token(subject: Subject, endpoint: Endpoint, it: Any) -> None:
    """See that what is looked at does send tokens where they belong."""
    endpoint.answers()
    subject.sender(it)()
    assert endpoint.told()["bearers"]


def _secrets(text: str) -> list[str]:
    """What a text shows."""
    return [what for what, forms in _SECRETS.items() if any(form in text for form in forms)]
