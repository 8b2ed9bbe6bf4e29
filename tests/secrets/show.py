"""What people and tools print of errors and of values."""

from __future__ import annotations

import copy
import dataclasses
import json
import linecache
import logging
import pickle
import pprint
import re
import traceback
from base64 import b64encode
from collections.abc import Iterator
from types import FrameType

from _pytest._io.saferepr import saferepr
from rich.pretty import pretty_repr
from rich.traceback import Traceback

OURS = ("domo_oauth", "domo_oauth_client")


def by_traceback(error: BaseException) -> str:
    """With locals, as structlog and loguru do; and without, as logging does."""
    try:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    except AttributeError:  # an object that is half made may have no repr, an error before Python 3.12
        shown = ""
    return shown + logging.Formatter().formatException((type(error), error, error.__traceback__))


def by_rich(error: BaseException) -> str:
    """All values that rich prints, without the source of each frame, whose highlighting takes seconds."""
    trace = Traceback.extract(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=None, locals_max_length=None
    )
    shown = [str(stack.exc_value) for stack in trace.stacks]
    frames = [frame for stack in trace.stacks for frame in stack.frames]
    return "\n".join(shown + [f"{name}={node}" for frame in frames for name, node in (frame.locals or {}).items()])


def by_lookup(error: BaseException) -> str:
    """As cgitb, stackprinter and IPython do: the values of all that the line of a frame names, attributes too."""
    found = []
    for each in _chain(error):
        for frame, line in traceback.walk_tb(each.__traceback__):
            names = re.findall(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*", linecache.getline(frame.f_code.co_filename, line))
            found += [f"{name}={saferepr(_looked_up(frame, name), maxsize=None)}" for name in names]
    return "\n".join(found)


def _looked_up(frame: FrameType, name: str) -> object:
    first, *attributes = name.split(".")
    found = frame.f_locals.get(first, frame.f_globals.get(first))
    for attribute in attributes:
        found = getattr(found, attribute, None)
    return found


TOOLS = (by_traceback, by_rich, by_lookup)


def by_sentry(error: BaseException) -> str:
    import sentry_sdk  # slow to import and to use
    from sentry_sdk.utils import event_from_exception

    event, _ = event_from_exception(error, client_options=sentry_sdk.Client().options)
    return json.dumps(event, default=repr)


def message(error: BaseException) -> str:
    """What is shown without a traceback, and what a pickle of ours holds, also of the errors behind an error."""
    shown = ""
    for each in _chain(error):
        shown += f"{each} {each!r} {each.args!r} {vars(each)!r}\n"
        if type(each).__module__.startswith(OURS):
            shown += repr(pickle.dumps(each))
    return shown


def frames(error: BaseException) -> Iterator[tuple[bool, str]]:
    """The locals of each frame of an error, and of those behind it; and whether the frame is ours."""
    for each in _chain(error):
        for frame, _ in traceback.walk_tb(each.__traceback__):
            shown = [f"{name}={saferepr(it, maxsize=None)}" for name, it in frame.f_locals.items()]
            yield frame.f_globals.get("__name__", "").partition(".")[0] in OURS, "\n".join(shown)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        for each in getattr(error, "exceptions", ()):
            yield from _chain(each)
        error = error.__cause__ or error.__context__


def value(shown: object) -> str:
    """A value as it is printed, dumped and taken apart by those who do not know what it is."""
    found = [repr(shown), f"{shown}", pprint.pformat([shown]), pretty_repr(shown, expand_all=True, max_string=None)]
    # Sentry sends the items of a tuple, not its repr. attrs.asdict() is left out: it is asked for the fields.
    for take in (vars, dict, list, dataclasses.asdict, json.dumps, copy.copy, _through_pickle):
        try:
            found.append(repr(take(shown)))
        except (AttributeError, TypeError, ValueError, pickle.PicklingError) as error:
            found.append(f"{error} {error!r}")
    return "\n".join(found)


def basic(client_id: str, secret: str) -> str:
    """What HTTP Basic authentication sends."""
    return b64encode(f"{client_id}:{secret}".encode()).decode()


def _through_pickle(shown: object) -> object:
    return pickle.loads(pickle.dumps(shown))
