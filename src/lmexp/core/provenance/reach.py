"""What of the user's own code a stage reaches: its identity where it states no `version`.

Nothing is run. From the stage's function, its config class and the classes of its inputs, names are
followed to the definitions that they stand for, through the imports of the user's own modules; so a
helper that only one stage calls is part of that stage alone. A name that ends outside the user's code
counts by the import that brings it. What runs when a module is imported (its other top-level
statements, and definitions with decorators, which may register themselves) counts with each module
that is reached. Code that is found by other means, such as `getattr`, `exec` or a data file, is not
seen: such a stage states a version.
"""

import ast
import functools
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lmexp.core.provenance.code import TOP_LEVEL, Source, imports_of, is_stage_decorator, read_source
from lmexp.core.provenance.own import find_own
from lmexp.errors import ConfigError

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.Lambda, ast.ClassDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def reached_code(seeds: Iterable[tuple[str, Path, str]]) -> list[str]:
    """Return one line for each definition that the seeds reach, the seeds among them, sorted.

    A seed is (module name, its file, qualified name). A line is a definition's qualified name and its
    hash, or the import that a name outside the user's code stands for: no line names a file of the
    user's, so that code may move.

    Errors: `ConfigError` for a file that cannot be read.
    """
    walk = _Walk()
    try:
        for module, path, name in seeds:
            walk.module(module, path)
            walk.definition(path, name)
    except RecursionError:
        raise ConfigError(
            "your own code is nested too deeply to be identified by itself; state a version for each stage."
        ) from None
    return sorted(walk.lines)


class _Walk:
    """Follows names from definition to definition."""

    def __init__(self) -> None:
        self.lines: set[str] = set()
        self._modules: dict[Path, str] = {}
        self._seen: set[tuple[Path, str]] = set()

    def module(self, name: str, path: Path) -> None:
        """Take in what runs when a module is imported."""
        if path in self._modules:
            return
        self._modules[path] = name
        source = _source(path)
        for defined, nodes in source.definitions.items():
            if defined == TOP_LEVEL or ("." not in defined and self._may_register(path, nodes)):
                self.definition(path, defined)
        for imported, brought in [*source.imports.values(), *((star, None) for star in source.stars)]:
            self._imported(path, imported, brought)

    def definition(self, path: Path, name: str) -> None:
        """Take in a definition of a file and all that it names; a class with all of its methods."""
        source = _source(path)
        if name not in source.definitions or self._was_here(path, name):
            return
        self.lines.add(f"{name} {source.hashes[name]}")
        for other in source.definitions:
            if other.startswith(f"{name}."):
                self.definition(path, other)
        names = _Names()
        for node in source.definitions[name]:
            names.visit(node)
        for used in sorted(names.found):
            first, _, rest = used.partition(".")
            if first in names.imports:
                self._brought(path, names.imports[first], rest)
            else:
                self._named(path, first, rest)
        for imported, brought in names.imports.values():
            self._imported(path, imported, brought)

    def _named(self, path: Path, first: str, rest: str) -> bool:
        """Go where a name of a file's top level leads; return whether the file has it."""
        source = _source(path)
        if first in source.definitions:
            self.definition(path, first)
        elif first in source.imports:
            if not self._was_here(path, f"import {first}.{rest}"):
                self._brought(path, source.imports[first], rest)
        else:
            return any(self._in_star(path, star, first, rest) for star in source.stars)
        return True

    def _in_star(self, path: Path, star: str, first: str, rest: str) -> bool:
        found = self._find(self._absolute(path, star))
        if found is None or self._was_here(path, f"star {star} {first}.{rest}"):
            return False
        return self._named(found, first, rest)

    def _brought(self, path: Path, target: tuple[str, str | None], rest: str) -> None:
        """Go where an import leads; `rest` are the attributes that are read of what it brings."""
        module, name = self._absolute(path, target[0]), target[1]
        parts = [part for part in (*(name or "").split("."), *rest.split(".")) if part]
        is_own = False
        for end in range(len(parts) + 1):  # a part may be a module's attribute or a module below it
            found = self._find(".".join([module, *parts[:end]]))
            if found is None:
                continue
            is_own = True
            if end == len(parts):
                for defined in _source(found).definitions:
                    self.definition(found, defined)
            elif self._named(found, parts[end], ".".join(parts[end + 1 :])):
                return
        if not is_own:
            self.lines.add(f"import {'.'.join(part for part in target if part)}")

    def _may_register(self, path: Path, nodes: Iterable[ast.stmt]) -> bool:
        """Whether a decorator of the user's own may keep a definition where no name leads."""
        source = _source(path)
        for node in nodes:
            for decorator in getattr(node, "decorator_list", ()):
                names = _Names()
                names.visit(decorator)
                firsts = {name.partition(".")[0] for name in names.found}
                brought = (self._absolute(path, source.imports[n][0]) for n in firsts & source.imports.keys())
                own = firsts & source.definitions.keys() or any(find_own(module) for module in brought)
                if own and not is_stage_decorator(decorator):
                    return True
        return False

    def _imported(self, path: Path, module: str, name: str | None) -> None:
        """Take in what runs when an import statement does, the packages above included."""
        parts = [*self._absolute(path, module).split("."), *([name] if name else [])]
        for end in range(1, len(parts) + 1):
            self._find(".".join(parts[:end]))

    def _absolute(self, path: Path, module: str) -> str:
        """Return the full name of a module that a file imports; nothing where it has no such package."""
        own_name = self._modules[path]
        package = own_name if path.name == "__init__.py" else own_name.rpartition(".")[0]
        if not module.startswith("."):
            return module
        try:
            return importlib.util.resolve_name(module, package) if package else ""
        except ImportError:
            return ""

    def _find(self, module: str) -> Path | None:
        """Return the file of a module of the user's own, having taken in what runs with it."""
        found = find_own(module) if module else None
        if found is not None:
            self.module(module, found)
        return found

    def _was_here(self, path: Path, what: str) -> bool:
        if (path, what) in self._seen:
            return True
        self._seen.add((path, what))
        return False


class _Names(ast.NodeVisitor):
    """Collects the dotted names that a definition takes from outside itself, and its own imports."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.imports: dict[str, tuple[str, str | None]] = {}
        self._bound: list[set[str]] = []

    def visit_Name(self, node: ast.Name) -> None:
        self._use(node.id, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        attributes: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            attributes.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self._use(inner.id, ".".join([inner.id, *attributes]))
        else:
            self.visit(inner)

    def _use(self, name: str, dotted: str) -> None:
        if not any(name in bound for bound in self._bound):
            self.found.add(dotted)

    def visit_Import(self, node: ast.Import) -> None:
        self.imports |= imports_of([node])[0]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.imports |= imports_of([node])[0]

    def visit_FunctionDef(self, node: Any) -> None:
        outside = [d for d in getattr(node, "decorator_list", ()) if not is_stage_decorator(d)]
        arguments = node.args
        listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        listed += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
        outside += [a.annotation for a in listed if a.annotation is not None]
        outside += [d for d in (*arguments.defaults, *arguments.kw_defaults) if d is not None]
        if getattr(node, "returns", None) is not None:
            outside.append(node.returns)
        body = node.body if isinstance(node.body, list) else [node.body]
        self._scope(outside, {a.arg for a in listed} | _bound_in(body), body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815
    visit_Lambda = visit_FunctionDef  # noqa: N815

    def visit_ListComp(self, node: Any) -> None:
        first, *others = node.generators
        targets = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._scope([first.iter], targets, [*first.ifs, *others, *results])

    visit_SetComp = visit_ListComp  # noqa: N815
    visit_DictComp = visit_ListComp  # noqa: N815
    visit_GeneratorExp = visit_ListComp  # noqa: N815

    def _scope(self, outside: Iterable[ast.AST], bound: set[str], inside: Iterable[ast.AST]) -> None:
        for node in outside:
            self.visit(node)
        self._bound.append(bound)
        for node in inside:
            self.visit(node)
        self._bound.pop()


def _bound_in(body: Iterable[ast.AST]) -> set[str]:
    """Return the names that a function's statements give values to, apart from imports and `global` ones."""
    bound: set[str] = set()
    elsewhere: set[str] = set()
    for node in _in_scope(body):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere |= set(node.names)
        elif isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
            bound |= {node.name} if node.name else set()
        elif isinstance(node, ast.MatchMapping) and node.rest:
            bound.add(node.rest)
    return bound - elsewhere


def _in_scope(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in body:
        yield node
        if not isinstance(node, _SCOPES):
            yield from _in_scope(ast.iter_child_nodes(node))


def _source(path: Path) -> Source:
    try:
        stat = path.stat()
        return _parsed(path, stat.st_size, stat.st_mtime_ns)
    except (OSError, SyntaxError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as Python ({error}).") from None


@functools.lru_cache(maxsize=64)
def _parsed(path: Path, _size: int, _modified: int) -> Source:
    return read_source(path)
