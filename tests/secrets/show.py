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
from collections.abc import Iterator
from types import FrameType

import sentry_sdk
import stack_data
from _pytest._io.saferepr import saferepr
from rich.pretty import pretty_repr
from rich.traceback import Traceback
from sentry_sdk.serializer import serialize
from sentry_sdk.utils import event_from_exception

SENTRY = sentry_sdk.Client().options
OURS = ("domo_oauth", "domo_oauth_client")


def by_traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    except AttributeError:  # of the repr of something that is half made; from Python 3.12 on that is no error
        return ""


def by_rich(error: BaseException) -> str:
    """All values that rich prints. To print them it highlights the source of each frame, which takes seconds."""
    trace = Traceback.extract(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=None, locals_max_length=None
    )
    shown = [str(stack.exc_value) for stack in trace.stacks]
    shown += [
        f"{name}={node}"
        for stack in trace.stacks
        for frame in stack.frames
        for name, node in (frame.locals or {}).items()
    ]
    return "\n".join(shown)


def by_sentry(error: BaseException) -> str:
    event, _ = event_from_exception(error, client_options=SENTRY)
    return json.dumps(event, default=repr)


def by_lookup(error: BaseException) -> str:
    """As cgitb, stackprinter and others do: the values of all that the line of a frame names, attributes too."""
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


def by_stack_data(error: BaseException) -> str:
    """As IPython and others do: the values of all expressions in a function, attributes and items too."""
    return "\n".join(
        f"{variable.name}={saferepr(variable.value, maxsize=None)}"
        for each in _chain(error)
        if each.__traceback__
        for frame in stack_data.FrameInfo.stack_data(each.__traceback__)
        if isinstance(frame, stack_data.FrameInfo)
        for variable in (frame.variables if _is_ours(frame.frame) else frame.variables_in_executing_piece)
    )


def by_log(error: BaseException) -> str:
    return logging.Formatter().formatException((type(error), error, error.__traceback__))


TOOLS = (by_traceback, by_rich, by_sentry, by_lookup, by_stack_data, by_log)


def message(error: BaseException) -> str:
    """What is said without a traceback, and what a pickle of ours holds, of all errors behind an error, too."""
    said = ""
    for each in _chain(error):
        said += f"{each} {each!r} {each.args!r} {vars(each)!r}\n"
        if type(each).__module__.startswith(OURS):
            said += repr(pickle.dumps(each))
    return said


def frames(error: BaseException) -> Iterator[tuple[bool, str]]:
    """The locals of each frame of an error, and of those behind it; and whether the frame is ours."""
    for each in _chain(error):
        for frame, _ in traceback.walk_tb(each.__traceback__):
            yield _is_ours(frame), _locals(frame)


def _is_ours(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] in OURS


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _chain(each)
        error = error.__cause__ or error.__context__


def _locals(frame: FrameType) -> str:
    return "\n".join(f"{name}={saferepr(value, maxsize=None)}" for name, value in frame.f_locals.items())


def value(shown: object) -> str:
    """A value as it is printed, dumped and taken apart by those who do not know what it is."""
    return "\n".join(_ways_to_show(shown))


def _ways_to_show(shown: object) -> Iterator[str]:
    yield from (repr(shown), str(shown), f"{shown}", pprint.pformat(shown), repr([shown]), repr({"nested": shown}))
    yield pretty_repr(shown, expand_all=True, max_string=None)
    yield repr(serialize({"vars": {"value": shown}}))  # Sentry sends the items of a tuple, not its repr
    yield logging.makeLogRecord({"msg": "%s %r", "args": (shown, shown)}).getMessage()
    take_apart = (vars, dict, list, dataclasses.asdict, json.dumps)  # attrs.asdict is asked for the fields
    for take in take_apart:
        try:
            yield repr(take(shown))
        except (AttributeError, TypeError, ValueError) as error:
            yield f"{error} {error!r}"
    for make in (copy.copy, lambda it: pickle.loads(pickle.dumps(it))):
        try:
            yield repr(make(shown))
        except (TypeError, pickle.PicklingError, AttributeError) as error:
            yield f"{error} {error!r}"
