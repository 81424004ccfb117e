"""Drift: which of the code that made an artifact has been edited since.

Each record lists the functions of the modules that its stage loaded, of lmexp's and of the user's own,
by file, each with a hash (see `core.code`). A reused artifact is compared with the files as they are
now. A function counts by its name and hash wherever it lies, so that one that has moved has not changed.
Drift is shown and changes nothing. Not seen: code that was edited between two segments of one
computation, and edits of what is in no Python file.

    "code": {"python": "3.11", "files": {"lmexp/packing/rows.py": {"bos_aligned": "7ed2ff047e28"}}}

A file that was edited while the stage ran has null for its functions: nobody knows which were loaded.
"""

import contextlib
import functools
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.core.provenance.code import read_source
from lmexp.core.provenance.own import PACKAGE, folders
from lmexp.core.values.files import is_utf8
from lmexp.core.values.sealed import read_sealed, write_sealed

_NAMED = 3
"""Functions that are named before the rest is counted."""

Functions = Mapping[str, str]


class CodeReader:
    """The functions of Python files, remembered by size and time of modification in one JSON file."""

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        if memory is not None:
            try:
                self._known = read_sealed(memory)
            except (OSError, ValueError):  # gone or damaged: it is written anew
                self._changed = memory.exists()

    def functions(self, path: Path) -> Functions | None:
        """Return qualified name to hash of a file's definitions; None for a file that cannot be read."""
        entry = self._entry(path)
        return None if entry is None else entry[2]

    def imports(self, path: Path) -> list[list[Any]]:
        """Return [module, name in it or null] of every import of a file; relative ones keep their dots."""
        entry = self._entry(path)
        return [] if entry is None else entry[3]

    def _entry(self, path: Path) -> list[Any] | None:
        key = os.path.abspath(path)
        try:
            stat = path.stat()
            known = self._known.get(key)
            if known is None or known[:2] != [stat.st_size, stat.st_mtime_ns]:
                known = [stat.st_size, stat.st_mtime_ns, *_summary(path, stat.st_size, stat.st_mtime_ns)]
                if is_utf8(key):
                    self._known[key] = known
                    self._changed = True
            return known
        except (OSError, ValueError, SyntaxError, RecursionError):
            return None

    def save(self) -> None:
        """Write what was learnt; losing it costs only time."""
        if self._memory is None or not self._changed:
            return
        with contextlib.suppress(OSError):
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            files = {path: entry for path, entry in self._known.items() if os.path.exists(path)}
            write_sealed(self._memory, files)
            self._changed = False


@functools.lru_cache(maxsize=1024)
def _summary(path: Path, _size: int, _modified: int) -> tuple[dict[str, str], list[list[str | None]]]:
    """Return a file's functions and imports, once in this process."""
    source = read_source(path)
    return dict(source.hashes), sorted((list(entry) for entry in source.every_import), key=str)


def code_record(
    stage_module: str, modules: Mapping[str, Mapping[str, str]], started: float, reader: CodeReader
) -> dict[str, Any]:
    """Return what a record says of the code that made it.

    `stage_module` is where the stage is defined. `modules` has the files, by module name, that the
    stage's process had imported: `provided` before the stage was called, `loaded` at its end. Of the
    former only those count that the stage's own module imports, directly or not: a package imports more
    than one stage needs. `started`, in seconds since 1970, is when the process began.
    """
    loaded = modules["loaded"]
    used = set(_imported_by(stage_module, loaded, reader))
    files: dict[str, Functions | None] = {}
    for name, file in sorted(loaded.items()):
        if name in used or name not in modules["provided"]:
            path = Path(file)
            functions = reader.functions(path)
            if functions is None or path.stat().st_mtime > started:
                files[_key(path)] = None
            elif functions:
                files[_key(path)] = dict(functions)
    return {"python": _python(), "files": files}


def changed_since(record: Mapping[str, Any], reader: CodeReader) -> list[str]:
    """Return a few words for each recorded function that is another one now, the likeliest cause first.

    Nothing for a record that knows no code. The user's own code, where it is identity, is left out.
    """
    code = record.get("code")
    if not code:
        return []
    if code["python"] != _python():
        return [f"Python {code['python']}, under which functions cannot be compared"]
    changed = []
    for key, functions in code["files"].items():
        if "own_code" in record and not key.startswith("lmexp/"):
            continue  # what the stage reaches of it is identity
        if functions is None:
            changed.append((key, "(edited while it ran)"))
            continue
        now = reader.functions(_path(key)) or {}
        changed += [(key, name) for name, value in functions.items() if now.get(name) != value]
    if not changed:
        return []
    everywhere = {item for path in _all_files(code) for item in (reader.functions(path) or {}).items()}
    kept = [
        (key, name) for key, name in changed if (name, (code["files"][key] or {}).get(name)) not in everywhere
    ]
    return [f"{key.removeprefix('lmexp/')} {name}" for key, name in sorted(kept, key=_likelihood)]


def changed_code(record: Mapping[str, Any], code: Sequence[str]) -> list[str]:
    """Return a few words for each definition that is identity and is another one in a record."""
    before = record["own_code"]
    gone = [line for line in before if line not in code] or [line for line in code if line not in before]
    found: dict[str, None] = {}
    for line in gone:
        name, _, value = line.rpartition(" ")
        files = (record.get("code") or {"files": {}})["files"].items()
        file = next((f"{key} " for key, functions in files if (functions or {}).get(name) == value), "")
        found[f"{file}{name if name != 'import' else line}"] = None
    return list(found)


def named(changed: Sequence[str]) -> str:
    """Return three of the changes and the number of the others."""
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    return f"{', '.join(changed[:_NAMED])}{more}"


def _likelihood(change: tuple[str, str]) -> tuple[int, str, str]:
    """Order the user's own code first and the engine last."""
    key, name = change
    return (2 if key.startswith("lmexp/core/") else 1 if key.startswith("lmexp/") else 0), key, name


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _key(path: Path) -> str:
    """Return the path under which a file's functions are recorded."""
    if path.is_relative_to(PACKAGE):
        return f"lmexp/{path.relative_to(PACKAGE).as_posix()}"
    for folder in reversed(folders()):  # the outer one comes last, and no two files have the same path in it
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return str(path)


def _path(key: str) -> Path:
    """Return where a recorded file is now, or would be."""
    if key.startswith("lmexp/"):
        return PACKAGE / key.removeprefix("lmexp/")
    places = [Path(folder) / key for folder in reversed(folders())]
    return next((place for place in places if place.is_file()), Path("/", key))


def _all_files(code: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the files in which a function may lie that has moved: lmexp's, and what a pipeline has loaded."""
    yield from sorted(PACKAGE.rglob("*.py"))
    for folder in folders():
        yield from sorted(Path(folder).glob("*.py"))
    yield from (_path(key) for key in code["files"] if not key.startswith("lmexp/"))


def _imported_by(module: str, loaded: Mapping[str, str], reader: CodeReader) -> Iterator[str]:
    """Yield the loaded modules that a module imports, directly or not, and itself.

    A package counts by the modules that are named, not by all that its own file imports.
    """
    waiting, seen = [module], {module}
    while waiting:
        name = waiting.pop()
        if name not in loaded:
            continue
        yield name
        file = loaded[name]
        if _is_package(file):
            continue
        for imported, brought in reader.imports(Path(file)):
            for found in _modules_of(_absolute(imported, name, file), brought, loaded, reader):
                if found not in seen:
                    seen.add(found)
                    waiting.append(found)


def _modules_of(
    base: str, brought: str | None, loaded: Mapping[str, str], reader: CodeReader
) -> Iterator[str]:
    """Yield the modules that ``from base import brought`` stands for."""
    if f"{base}.{brought}" in loaded:
        yield f"{base}.{brought}"
    file = loaded.get(base, "")
    origins = []
    if _is_package(file):
        imports = ((_absolute(inner, base, file), name) for inner, name in reader.imports(Path(file)))
        origins = [origin for origin, name in imports if name == brought and origin != base]
    if not origins:
        yield base
    for origin in origins:
        yield from _modules_of(origin, brought, loaded, reader)


def _is_package(file: str) -> bool:
    """Whether a file is that of one of lmexp's packages."""
    return file.endswith("__init__.py") and Path(file).is_relative_to(PACKAGE)


def _absolute(imported: str, module: str, file: str) -> str:
    """Return the full name of a module that a module imports."""
    level = len(imported) - len(imported.lstrip("."))
    if not level:
        return imported
    package = module.split(".") if file.endswith("__init__.py") else module.split(".")[:-1]
    return ".".join([*package[: len(package) - level + 1], *filter(None, [imported[level:]])])
