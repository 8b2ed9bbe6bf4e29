"""Exceptions that a signal handler raises: the time limits of task queues, or of ``signal.alarm``.

They come in the middle of whatever the main thread does. Python's own, KeyboardInterrupt, is no Exception, so that
nobody takes it for an error of what was interrupted; these may well be one, even a TimeoutError. Whoever catches all
errors lets them through first, or a request is sent again, and others are told of a limit that is not theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType, FrameType

__all__ = ["Interrupt", "is_interrupt", "let_through"]


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
    import signal  # these take longer to import than a token from a store takes to read
    import threading

    if threading.current_thread() is not threading.main_thread():
        return None  # signal handlers run there only
    codes = {code for number in signal.valid_signals() if (code := _code_of(signal.getsignal(number))) is not None}
    behind, frames = error, _frames(error)
    while not any(frame.f_code in codes for frame in frames):
        cause = behind.__cause__ or behind.__context__
        if cause is None:
            return None
        above, frames = frames, _frames(cause)
        if not frames or frames[0] not in above:
            return None  # it was caught elsewhere: whoever called is handling it, and it is none of this call's
        behind = cause
    return behind


def _frames(error: BaseException) -> list[FrameType]:
    """Where it was caught, and from there down to where it was raised."""
    frames: list[FrameType] = []
    traceback = error.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return frames


def _code_of(handler: object) -> CodeType | None:
    import functools
    from types import FunctionType, MethodType

    while isinstance(handler, functools.partial | MethodType):
        handler = handler.func if isinstance(handler, functools.partial) else handler.__func__
    of_what: type = type(handler)
    called: list[object] = [handler, *(vars(kind).get("__call__") for kind in of_what.__mro__)]
    return next((each.__code__ for each in called if isinstance(each, FunctionType)), None)
