"""The base of this package's immutable values.

attrs and dataclasses would do, but each takes longer to import than a token from the store takes to print, and values
that hold secrets need more care than they give: nothing in ``vars()``, nothing in a traceback that shows locals.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

__all__ = ["Value"]


class Value:
    """An immutable value with the fields of its ``__slots__``; those in ``_hidden`` never show in its repr."""

    __slots__: tuple[str, ...] = ()
    _hidden: ClassVar[tuple[str, ...]] = ()

    def _set(self, *fields: object) -> None:
        for name, value in zip(self.__slots__, fields, strict=True):
            object.__setattr__(self, name, value)

    def _fields(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        # A value that was refused has no fields, and a traceback with locals shows it all the same.
        names = (name for name in self.__slots__ if name not in self._hidden and hasattr(self, name))
        shown = (f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({', '.join(shown)})"

    def __getstate__(self) -> tuple[object, ...]:
        return self._fields()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._set(*state)
