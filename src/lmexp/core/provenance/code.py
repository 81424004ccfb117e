"""What a Python file does, as one hash for each of its functions: an edit can be named.

A file is taken apart into its top level's definitions:

    name            a function, those inside it included
    Class           a class without its methods: bases, attributes, the methods' names
    Class.method    a method
    NAME            an assignment
    (top level)     all other statements together

Each is hashed by its syntax tree: comments, docstrings, white space and type-checking imports do not
count, and neither do the decorator `@stage(...)` and the fields of a configuration, whose values are
identity by themselves. Of imports counts what they bring under the names that a definition uses, not
the module that it lies in, so that a function that moves changes nobody who calls it. The form is
lmexp's own, not `ast.dump`, whose text differs between versions of Python; to change it is to say of all
recorded code that it was edited, and to compute the users' stages without a version again.
"""

import ast
import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

TOP_LEVEL = "(top level)"
_HASH = 12
_SKIPPED_FIELDS = frozenset({"ctx", "kind", "type_comment", "decorator_list"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

Imports = Mapping[str, tuple[str, str | None]]
"""Name as it is used to (module, name in it); None where the module itself is meant. Relative modules
begin with their dots."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A file, taken apart."""

    definitions: Mapping[str, Sequence[ast.stmt]]
    """By qualified name, in order; several where a name is defined more than once."""
    imports: Imports
    """Of the top level."""
    stars: tuple[str, ...]
    """Modules of which everything is imported."""
    every_import: frozenset[tuple[str, str | None]]
    """Also those inside functions."""

    @functools.cached_property
    def hashes(self) -> dict[str, str]:
        """Qualified name to 12 hexadecimal characters."""
        return {name: _hash(nodes, self.imports) for name, nodes in self.definitions.items()}


def read_source(path: Path) -> Source:
    """Take the file at `path` apart.

    Errors: `OSError` where it cannot be read, `SyntaxError` or `ValueError` where it is no Python.
    """
    tree = ast.parse(path.read_bytes())
    imports, stars = imports_of(tree.body)
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return Source(
        definitions=_definitions(tree.body),
        imports=imports,
        stars=stars,
        every_import=frozenset((module, name) for node in statements for _, module, name in _entries(node)),
    )


def imports_of(body: Sequence[ast.stmt]) -> tuple[dict[str, tuple[str, str | None]], tuple[str, ...]]:
    """Return what the import statements of some statements bring, and the modules of ``import *``."""
    imports: dict[str, tuple[str, str | None]] = {}
    stars = []
    for node in _run_now(body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for used, module, name in _entries(node):
                if name == "*":
                    stars.append(module)
                else:
                    imports[used] = (module, name)
    return imports, tuple(stars)


def is_stage_decorator(node: ast.expr) -> bool:
    """Whether a decorator is ``@stage(...)``, which says how a function is run and not what it does."""
    called = node.func if isinstance(node, ast.Call) else node
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) == "stage"


def _entries(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str, str | None]]:
    """Yield (name as it is used, module, name in it)."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, "." * node.level + (node.module or ""), alias.name
        else:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, alias.name if alias.asname else top, None


def _run_now(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield every node that runs with its statements: not what is inside functions."""
    for node in body:
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.Lambda)):
            yield from _run_now(ast.iter_child_nodes(node))


def _definitions(body: Sequence[ast.stmt]) -> dict[str, list[ast.stmt]]:
    found: dict[str, list[ast.stmt]] = {}
    for node in body:
        if isinstance(node, _FUNCTIONS):
            found.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.ClassDef):
            found.setdefault(node.name, []).append(node)
            for part in node.body:
                if isinstance(part, _FUNCTIONS):
                    found.setdefault(f"{node.name}.{part.name}", []).append(part)
        elif (name := _assigned(node)) is not None:
            found.setdefault(name, []).append(node)
        elif not _is_idle(node):
            found.setdefault(TOP_LEVEL, []).append(node)
    return found


def _assigned(node: ast.stmt) -> str | None:
    """Return the one name that a statement gives a value to."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    single = isinstance(node, ast.Assign | ast.AnnAssign) and len(targets) == 1
    return targets[0].id if single and isinstance(targets[0], ast.Name) else None


def _is_idle(node: Any) -> bool:
    """Whether a statement does nothing of its own: a docstring, an import, a block for type checkers."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Pass):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING" and not node.orelse


def _is_field(node: Any) -> bool:
    """Whether a statement declares a configuration's field."""
    called = node.value if isinstance(node, ast.AnnAssign) else None
    return isinstance(called, ast.Call) and _last_name(called.func) == "option"


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _hash(nodes: Sequence[ast.stmt], imports: Imports) -> str:
    parts: list[str] = []
    names: set[str] = set()
    for node in nodes:
        _form(_without_methods(node) if isinstance(node, ast.ClassDef) else node, parts, names)
    local = {
        used: name or module
        for node in nodes
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
        for used, module, name in _entries(inner)
    }
    brought = {used: name or module for used, (module, name) in imports.items()} | local
    for used in sorted(names & brought.keys()):
        parts.append(f"{used}={brought[used]};")
    return hashlib.sha256("".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]


def _form(node: Any, parts: list[str], names: set[str]) -> None:
    """Append the text that stands for a tree, and collect the names in it."""
    if isinstance(node, ast.AST):
        if isinstance(node, ast.Name):
            names.add(node.id)
        parts.append(f"{type(node).__name__}(")
        for field in node._fields:
            value = getattr(node, field, None)
            if value is not None and value != [] and field not in _SKIPPED_FIELDS:
                parts.append(f"{field}=")
                _form(value, parts, names)
        decorators = [d for d in getattr(node, "decorator_list", ()) if not is_stage_decorator(d)]
        if decorators:
            _form(decorators, parts, names)
        parts.append(")")
    elif isinstance(node, list):
        parts.append("[")
        for item in node:
            if not _is_idle(item):
                _form(item, parts, names)
        parts.append("]")
    else:
        parts.append(f"{node!r},")


def _without_methods(node: ast.ClassDef) -> ast.ClassDef:
    """Return a class with the names of its methods for the methods, and without a configuration's fields."""
    body: list[Any] = [p.name if isinstance(p, _FUNCTIONS) else p for p in node.body if not _is_field(p)]
    return ast.ClassDef(node.name, node.bases, node.keywords, body, node.decorator_list)
