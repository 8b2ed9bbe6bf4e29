"""Exceptions that a signal handler raises: the time limits of task queues, or of ``signal.alarm``.

They come in the middle of whatever the main thread does. Python's own, KeyboardInterrupt, is no Exception, so that
nobody takes it for an error of what was interrupted; these may well be one, even a TimeoutError. Whoever catches all
errors lets them through first, or a request is sent again, and others are told of a limit that is not theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import causes

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["Interrupt", "is_interrupt", "let_through"]

_CO_VARARGS = 0x04  # as in inspect, which takes long to import


class Interrupt(BaseException):
    """Carries such an exception to whoever called this package."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        error.__cause__ = error.__context__ = None  # these have frames, too, which may hold a secret
        self.error = error.with_traceback(None)


def let_through(error: BaseException) -> None:
    """Raise what a signal handler raised, if this error is it, or came of it; to be called where it is caught.

    Raises:
        Interrupt: It is.
    """
    interrupt = _raised_by_a_handler(error)
    if interrupt is not None:
        raise Interrupt(interrupt)


def is_interrupt(error: BaseException) -> bool:
    """Whether a signal handler raised this error, or what it came of; to be called where it is caught."""
    return _raised_by_a_handler(error) is not None


def _raised_by_a_handler(error: BaseException) -> BaseException | None:
    import threading  # which takes longer to import than a token from a store takes to read

    if threading.current_thread() is not threading.main_thread():
        return None  # signal handlers run there only
    above: list[FrameType] | None = None
    for behind in causes(error):
        frames = _frames(behind)
        if above is not None and (not frames or frames[0] not in above):
            return None  # it was caught elsewhere: whoever called is handling it, and it is none of this call's
        if any(_is_of_a_handler(frame) for frame in frames):
            return behind
        above = frames
    return None


def _frames(error: BaseException) -> list[FrameType]:
    """Where it was caught, and from there down to where it was raised."""
    frames: list[FrameType] = []
    traceback = error.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return frames


def _is_of_a_handler(frame: FrameType) -> bool:
    """Whether it was called as Python calls a signal handler: with a number, and the frame that was interrupted."""
    from itertools import pairwise
    from types import FrameType

    code, values = frame.f_code, frame.f_locals
    given = [values.get(name) for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & _CO_VARARGS:
        given += values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ())
    return any(
        isinstance(number, int) and isinstance(interrupted, FrameType) for number, interrupted in pairwise(given)
    )
