"""How code is broken: each mutant is one small change of the text, at one place.

Not changed are: docstrings, annotations, assertions, type-checking blocks, ``__all__``, ``__slots__`` and what is
marked ``pragma: no cover``; what messages say (any text with a space in it, all text of an exception or a log line,
and what a parser's help shows); and ``with`` itself, as a lock that is missing shows by chance only.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from typing import NamedTuple

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.Gt: ast.GtE, ast.Eq: ast.NotEq}
_COMPARISONS |= {ast.Is: ast.IsNot, ast.In: ast.NotIn}
_COMPARISONS |= {new: old for old, new in _COMPARISONS.items()}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Mult: ast.Div, ast.BitOr: ast.BitAnd}
_OPERATORS |= {new: old for old, new in _OPERATORS.items()}
_OPERATORS |= {ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult}
_NAMES = {"min": "max", "any": "all", "lower": "upper", "partition": "rpartition", "startswith": "endswith"}
_NAMES |= {new: old for old, new in _NAMES.items()} | {"fullmatch": "match"}
_LOG = {"debug", "info", "warning", "error", "exception"}
_HELP = {"help", "metavar", "formatter_class"}  # of argparse
_UNSEEN = {"slots"}  # of a dataclass, as is __slots__

_Place = ast.expr | ast.stmt | ast.pattern
_Changes = Iterator[tuple[_Place, str, str]]
"""What is replaced, by what, and how that is called."""


class Mutant(NamedTuple):
    """One change of a file, whose whole text it holds, and the lines that run what is changed."""

    line: int
    lines: tuple[int, ...]
    what: str
    text: bytes


def mutants(source: bytes) -> list[Mutant]:
    """All mutants of a file, in the order of its lines; none that does not compile."""
    found: dict[bytes, Mutant] = {}
    file = _File(source)
    for statement in file.tree.body:
        for node, new, what in file.below(statement, messages=False):
            start, end = file.span(node)
            text = source[:start] + new.encode() + source[end:]
            with contextlib.suppress(SyntaxError, ValueError):
                compile(text, "mutant", "exec")
                told = f"{what}: {' '.join(source[start:end].decode().split())}"
                found.setdefault(text, Mutant(node.lineno, file.shows(node), told, text))
    found.pop(source, None)
    return sorted(found.values())


class _File:
    def __init__(self, source: bytes) -> None:
        self.tree = ast.parse(source)
        self._lines = source.splitlines(keepends=True)
        self._nodes = list(ast.walk(self.tree))

    def span(self, node: _Place) -> tuple[int, int]:
        """Where it stands, in bytes."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        starts = [sum(map(len, self._lines[: line - 1])) for line in (node.lineno, node.end_lineno)]
        return starts[0] + node.col_offset, starts[1] + node.end_col_offset

    def shows(self, node: _Place) -> tuple[int, ...]:
        """Its own line, or where a constant is used; none for all else that is done at import."""
        statements = [other for other in self._nodes if isinstance(other, ast.stmt)]
        around = [other for other in statements if other.lineno <= node.lineno <= (other.end_lineno or 0)]
        if any(isinstance(other, ast.FunctionDef | ast.AsyncFunctionDef) for other in around):
            return (node.lineno,)
        constants = [other for other in around if isinstance(other, ast.Assign | ast.AnnAssign)]
        names = [name for constant in constants for name in ast.walk(constant) if isinstance(name, ast.Name)]
        named = {name.id for name in names if isinstance(name.ctx, ast.Store)}
        uses = [other for other in self._nodes if isinstance(other, ast.Name | ast.Attribute)]
        uses = [use for use in uses if isinstance(use.ctx, ast.Load)]
        return tuple(use.lineno for use in uses if (use.id if isinstance(use, ast.Name) else use.attr) in named)

    def below(self, node: ast.AST, *, messages: bool) -> _Changes:
        """All changes of a node, and of what it consists of."""
        if isinstance(node, ast.stmt | ast.ExceptHandler) and b"pragma: no cover" in self._lines[node.lineno - 1]:
            for statement in getattr(node, "orelse", []):
                yield from self.below(statement, messages=messages)
            return
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        messages = messages or isinstance(node, ast.Raise) or _called(node).endswith(("Error", "Exception"))
        messages = messages or (_called(node) in _LOG)
        yield from (change for change in _changes(node) if not (messages and _is_text(change[0])))
        for child in _children(node):
            if isinstance(child, ast.keyword) and child.arg in _UNSEEN:
                continue
            is_help = isinstance(child, ast.keyword) and child.arg in _HELP
            yield from self.below(child, messages=messages or is_help)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__")]) | ast.Assert() | ast.JoinedStr():
            return  # Python 3.11 does not know where the parts of an f-string are
        case ast.Expr(value=ast.Constant()):
            return  # a docstring
        case ast.Call(func=ast.Name(id="cast" | "TypeVar" | "NewType")):
            yield from node.args[1:]
            return
    apart = {"annotation", "returns", "pattern", "type"}
    for name, value in ast.iter_fields(node):
        if name not in apart:
            below = value if isinstance(value, list) else [value]
            yield from (child for child in below if isinstance(child, ast.AST))


def _changes(node: ast.AST) -> _Changes:  # noqa: C901, PLR0912 -- a table
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield from _negated(test)
        case ast.comprehension(ifs=tests):
            for test in tests:
                yield from _negated(test)
        case ast.match_case(guard=None):
            yield node.pattern, f"{ast.unparse(node.pattern)} if False", "case never taken"
        case ast.match_case(guard=ast.expr() as guard):
            yield from ((guard, new, "guard") for new in ("False", "True"))
        case ast.ExceptHandler(type=ast.expr() as caught):
            kinds = [ast.unparse(kind) for kind in (caught.elts if isinstance(caught, ast.Tuple) else [caught])]
            for kind in kinds:
                rest = "".join(f"{other}, " for other in kinds if other != kind)
                yield caught, f"({rest})", f"{kind} not caught"
        case ast.Expr(value=ast.Call() | ast.Await() | ast.Yield() | ast.YieldFrom()) | ast.AugAssign() | ast.Delete():
            yield node, "pass", "removed"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]) | ast.Raise() | ast.Return(value=None):
            yield node, "pass", "removed"
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield value, "None", "None returned"
        case ast.Break():
            yield node, "continue", "goes on"
        case ast.Continue():
            yield node, "break", "ends"
        case ast.Compare(left=left, ops=ops, comparators=right):
            for at, operator in enumerate(ops):
                new = [*ops[:at], _COMPARISONS[type(operator)](), *ops[at + 1 :]]
                yield node, _text(ast.Compare(left, new, right)), f"now {type(new[at]).__name__}"
        case ast.BoolOp(op=operator, values=values):
            yield node, _text(ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)), "and, or"
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield node, _text(operand), "operator removed"
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            if not _is_text(left) and not _is_text(right):
                swapped = _OPERATORS[type(operator)]
                yield node, _text(ast.BinOp(left, swapped(), right)), f"now {swapped.__name__}"
        case ast.Constant(value=bool() | int() | float() | str() | bytes()) | ast.JoinedStr():
            yield from _of_value(node)
        case ast.Subscript(value=value, slice=ast.Slice(lower=lower, upper=upper, step=step)):
            for bound, part in ((lower, ast.Slice(None, upper, step)), (upper, ast.Slice(lower, None, step))):
                if bound is not None:
                    yield node, _text(ast.Subscript(value, part)), "bound removed"
        case ast.Name(id=name, ctx=ast.Load()) if name in _NAMES:
            yield node, _NAMES[name], f"now {_NAMES[name]}"
        case ast.Call(func=called, args=arguments, keywords=keywords):
            if isinstance(called, ast.Attribute) and called.attr in _NAMES:
                other = ast.Attribute(called.value, _NAMES[called.attr])
                yield node, _text(ast.Call(other, arguments, keywords)), f"now {other.attr}"
            if _called(node) == "suppress":
                for argument in arguments:
                    yield argument, "AssertionError", "not suppressed"
            for keyword in keywords:
                if keyword.arg is not None and keyword.arg not in _HELP | _UNSEEN:
                    others = [other for other in keywords if other is not keyword]
                    yield node, _text(ast.Call(called, arguments, others)), f"without {keyword.arg}"


def _negated(test: ast.expr) -> _Changes:
    if not isinstance(test, ast.Compare) and not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
        yield test, f"(not ({ast.unparse(test)}))", "condition negated"  # those two are turned round anyway


def _of_value(node: ast.Constant | ast.JoinedStr) -> _Changes:
    value = ast.unparse(node) if isinstance(node, ast.JoinedStr) else node.value
    if isinstance(value, bool):
        yield node, str(not value), "turned round"
    elif isinstance(value, int | float):
        yield node, f"({value + 1!r})", "one more"
    elif isinstance(value, bytes) and value and b" " not in value.strip():
        yield node, repr(b"XX" + value), "other bytes"
    elif isinstance(value, str) and value and " " not in value.strip() and "\n" not in value:
        yield node, repr("XX" + value if value[1:] else "XX"), "other text"


def _called(node: ast.AST) -> str:
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return name
    return ""


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(ast.fix_missing_locations(node))})"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))
