"""Finds the places of a Python file where a small edit of equal length makes it wrong.

Each task of `lmexp.evals.config.PYTHON_TASKS` has one function here that lists the edits of a parsed
file. An edit replaces the characters [start, end) by one of `alternatives`, each as long as what
it replaces. Which edits count is a rule of the file alone, never of any model:

- identifier: a name that is read in a function's body and that occurs before, in the same function
  and in the visible context. Alternatives are other names of the same length that are in scope and
  occur in the visible context, those of the same function if there are any, or else the module's;
- operator: a binary, comparison or augmenting operator, and the others of its class;
- bracket: the closing bracket of a pair that is not empty, and the other two kinds. What closes a
  pair was decided where it was opened; what opens one is mostly decided by the token before it;
- argument: two adjacent positional arguments on one line, swapped, unless the function is one
  that does not care about the order.
"""

import ast
import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lmexp.evals.tasks.python_files import ParsedFile, Token

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp

_OPERATOR_CLASSES = (
    ("+", "-", "*", "/"),
    ("//", "**", "<<", ">>"),
    ("&", "|", "^"),
    ("+=", "-=", "*=", "/="),
    ("|=", "&=", "^="),
    ("==", "!=", "<=", ">="),
    ("<", ">"),
    ("is", "in"),
)
_SYMBOLS: dict[type[ast.AST], str] = {
    **dict(zip((ast.Add, ast.Sub, ast.Mult, ast.Div), ("+", "-", "*", "/"), strict=True)),
    **dict(zip((ast.FloorDiv, ast.Pow, ast.LShift, ast.RShift), ("//", "**", "<<", ">>"), strict=True)),
    **dict(zip((ast.BitAnd, ast.BitOr, ast.BitXor), ("&", "|", "^"), strict=True)),
    **dict(zip((ast.Eq, ast.NotEq, ast.LtE, ast.GtE), ("==", "!=", "<=", ">="), strict=True)),
    **dict(zip((ast.Lt, ast.Gt, ast.Is, ast.In), ("<", ">", "is", "in"), strict=True)),
}
_UNORDERED_CALLS = frozenset(("max", "min", "print", "zip", "gcd", "hypot", "isclose"))
_IMPLICIT_NAMES = frozenset(("self", "cls", "_"))


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters [start, end) of a file by one of `alternatives` of equal length."""

    start: int
    end: int
    alternatives: tuple[str, ...]


def identifier_edits(file: ParsedFile) -> Iterator[Edit]:
    """Yield the names that could be swapped for another one in scope."""
    module = _bound_names(file.tree.body)
    waiting: list[tuple[ast.AST, _Scope | None]] = [(file.tree, None)]
    while waiting:
        node, scope = waiting.pop()
        if isinstance(node, _Function):  # defaults, annotations and decorators are left out
            names = _parameters(node) | _bound_names(node.body) | (scope.names if scope else set())
            inner = _Scope(file.span(node)[0], names - _IMPLICIT_NAMES)
            waiting += [(child, inner) for child in node.body]
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and scope is not None:
            edit = _identifier(file, node, scope, module)
            if edit is not None:
                yield edit
        if not isinstance(node, ast.Lambda | _Comprehension | ast.JoinedStr):  # scopes of their own
            waiting += [(child, scope) for child in ast.iter_child_nodes(node)]


def operator_edits(file: ParsedFile) -> Iterator[Edit]:
    """Yield the operators that could be swapped for another one of their class."""
    for node in _walk(file.tree):
        if isinstance(node, ast.BinOp):
            yield from _operator(file, node.left, type(node.op), node.right)
        elif isinstance(node, ast.AugAssign):
            yield from _operator(file, node.target, type(node.op), node.value, suffix="=")
        elif isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for left, operator, right in zip(operands, node.ops, node.comparators, strict=False):
                yield from _operator(file, left, type(operator), right)


def bracket_edits(file: ParsedFile) -> Iterator[Edit]:
    """Yield the closing brackets of pairs that are not empty."""
    stack: list[Token] = []
    for token in file.tokens:
        if token.text in ("(", "[", "{"):
            stack.append(token)
        elif token.text in (")", "]", "}"):
            opening = stack.pop()
            if file.lines.text[opening.end : token.start].strip():
                others = tuple(kind for kind in ")]}" if kind != token.text)
                yield Edit(token.start, token.end, others)


def argument_edits(file: ParsedFile) -> Iterator[Edit]:
    """Yield the pairs of adjacent positional arguments that could be swapped."""
    for node in _walk(file.tree):
        if not isinstance(node, ast.Call) or _called_name(node.func) in _UNORDERED_CALLS:
            continue
        for left, right in zip(node.args, node.args[1:], strict=False):
            if isinstance(left, ast.Starred) or isinstance(right, ast.Starred):
                continue
            (start, middle), (after, end) = file.span(left), file.span(right)
            one, between, two = (
                file.lines.text[start:middle],
                file.lines.text[middle:after],
                file.lines.text[after:end],
            )
            if one != two and between.strip() == "," and "\n" not in file.lines.text[start:end]:
                yield Edit(start, end, (two + between + one,))


EDITS: dict[str, Callable[[ParsedFile], Iterator[Edit]]] = {
    "python_identifier": identifier_edits,
    "python_operator": operator_edits,
    "python_bracket": bracket_edits,
    "python_argument": argument_edits,
}
"""The edits of each task."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """A function: where it starts, and the names bound in it and in the functions around it."""

    start: int
    names: set[str]


def _identifier(file: ParsedFile, node: ast.Name, scope: _Scope, module: set[str]) -> Edit | None:
    name = node.id
    visible = scope.names | (module - _IMPLICIT_NAMES)
    if name not in visible:
        return None
    start, end = file.span(node)
    line_start = file.lines.start_of(start)
    context_start = file.lines.context_start(line_start)
    function_start = max(scope.start, context_start)
    if not file.occurs(name, function_start, line_start):
        return None
    similar = sorted(other for other in visible if len(other) == len(name) and other != name)
    near = [n for n in similar if n in scope.names and file.occurs(n, function_start, line_start)]
    others = near or [n for n in similar if file.occurs(n, context_start, line_start)]
    return Edit(start, end, tuple(others)) if others else None


def _parameters(node: _Function) -> set[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return {argument.arg for argument in every}


def _bound_names(body: list[ast.stmt]) -> set[str]:
    """Return the names that statements bind in their own scope."""
    names: set[str] = set()
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        if isinstance(node, _Function | ast.ClassDef):
            names.add(node.name)
        elif not isinstance(node, ast.Lambda | _Comprehension):
            waiting += ast.iter_child_nodes(node)
    return names


def _operator(
    file: ParsedFile, left: ast.expr, kind: type[ast.AST], right: ast.expr, suffix: str = ""
) -> Iterator[Edit]:
    symbol = _SYMBOLS.get(kind, "") + suffix
    others = [tuple(s for s in group if s != symbol) for group in _OPERATOR_CLASSES if symbol in group]
    if not others:
        return
    begin, end = file.span(left)[1], file.span(right)[0]
    for i in range(bisect.bisect_left(file.token_starts, begin), len(file.tokens)):
        token = file.tokens[i]
        if token.start >= end:
            return
        if token.text == symbol:
            yield Edit(token.start, token.end, others[0])
            return


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node outside f-strings, where older Pythons give no usable positions."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if not isinstance(current, ast.JoinedStr):
            yield current
            waiting += ast.iter_child_nodes(current)


def _called_name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
