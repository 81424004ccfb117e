"""A user's own kinds of configurations: the Python files that `extensions=[FILE.py]` or `--with FILE` name.

Such a file is imported before the configuration is built, in the process that plans and in each that runs a
stage, and calls `register` of a union (`core.values.one_of`). The code that it consists of, its own
definitions and what they reach in the user's other files, is identity of the stages whose configuration
holds a kind of its: of those the code may decide the result. Stages after them have it by their inputs, and
all others keep their identity.

A record names the kinds and the file's name for a person. No path of a store is ever imported: an artifact
of a kind that nobody has given is refused.
"""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.core.graph.loading import load_file
from lmexp.core.graph.stage import USER_MODULE_PREFIX
from lmexp.core.provenance.code import read_source
from lmexp.core.provenance.reach import reached_code
from lmexp.core.store.record import Record
from lmexp.core.values.config import Config
from lmexp.core.values.registered import active_files, registrations, set_active
from lmexp.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Extended:
    """The kinds of one extension in a stage's configuration."""

    file: Path
    kinds: Mapping[str, str]
    """The place in the configuration, with the key that chooses there, to the kind."""
    code: tuple[str, ...]
    """One line for each definition, see `core.provenance.reach`."""


def activate(files: Iterable[str | Path]) -> None:
    """Let these extensions, imported unless they are, and no others have their kinds in the unions.

    Relative paths begin in the current directory. Errors: `ConfigError`, one sentence, for a file that is
    not there, is no Python or fails, for two of one name, and for what `OneOf.register` refuses.
    """
    paths: dict[str, Path] = {}
    for given in files:
        path = Path(os.path.abspath(Path(given).expanduser()))
        if path.suffix != ".py":
            raise ConfigError(
                f"the extension {given} is no Python file; give the path of one that ends in .py."
            )
        if not path.is_file():
            raise ConfigError(f"the extension {given} is not there; there is no file {path}.")
        other = paths.setdefault(path.stem, path)
        if other != path:
            raise ConfigError(f"the extensions {other} and {path} have the same name; rename one of them.")
    set_active([])  # what a file does not register any more is gone
    set_active(list(paths.values()))
    try:
        for path in paths.values():
            load_file(path)
            for made in registrations(path):
                made.one_of.restore(made.name, made.cls, path)
    except BaseException:
        set_active([])
        raise


def activate_given(values: Mapping[str, Any]) -> None:
    """Activate what plain values of a configuration name.

    Errors: `ConfigError` for a text in place of a list; what else is no list of texts its builder refuses.
    """
    given = values.get("extensions")
    if isinstance(given, str):
        raise ConfigError(f"extensions must be a list of files, was {given!r}; write extensions=[{given}].")
    is_list = isinstance(given, Sequence)
    activate([path for path in given if isinstance(path, str)] if is_list and given else [])


def refuse_name_of_extension(pipeline: Path) -> None:
    """Raise `ConfigError` where an extension that is active is another file of a pipeline's name."""
    for path in active_files():
        if path.stem == pipeline.stem and path.resolve() != pipeline.resolve():
            raise ConfigError(
                f"the extension {path} has the name of the pipeline {pipeline}; rename one of them."
            )


def signature() -> tuple[tuple[str, int, int], ...]:
    """Return what changes when an extension that is active does."""
    stats = [(path, path.stat()) for path in active_files()]
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in stats)


def extended(config: Config) -> list[Extended]:
    """Return the extensions whose kinds a configuration holds, in order of their files' names.

    Errors: `ConfigError` for a file that cannot be read any more.
    """
    found: dict[Path, dict[str, str]] = {}
    for place, kind, file in _kinds(config, ""):
        found.setdefault(file, {})[place] = kind
    return [Extended(file, found[file], code_of(file)) for file in sorted(found, key=lambda path: path.name)]


def code_of(file: Path) -> tuple[str, ...]:
    """Return what stands for an extension: all that it defines, and what that reaches of the user's own."""
    module = f"{USER_MODULE_PREFIX}{file.stem}"
    try:
        names = list(read_source(file).definitions)
    except (OSError, SyntaxError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as Python ({error}).") from None
    return tuple(reached_code((module, file, name) for name in names))


def extensions_record(found: Sequence[Extended]) -> list[dict[str, Any]]:
    """Return what a record says of the extensions of its stage: no path, since nothing is imported by it."""
    return [{"file": one.file.name, "kinds": dict(one.kinds), "code": list(one.code)} for one in found]


def changed_extensions(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the definitions in which two records of extensions differ."""
    lines = [{line for entry in record for line in entry["code"]} for record in (before, now)]
    changed = (
        line if line.startswith("import ") else line.rpartition(" ")[0] for line in lines[0] ^ lines[1]
    )
    return sorted(set(changed))


def require_extensions(record: Record) -> None:
    """Raise `ConfigError` for an artifact of a kind that none of the active extensions has registered."""
    known = {(made.one_of.key, made.name) for file in active_files() for made in registrations(file)}
    for entry in record.data.get("extensions", ()):
        for place, kind in entry["kinds"].items():
            key = place.rpartition(".")[2]
            if (key, kind) not in known:
                raise ConfigError(
                    f"{record.stage}/{record.name} is of the {key} {kind!r}, which a file {entry['file']} "
                    f"defined; lmexp runs no code because a store names it, so give it with --with FILE."
                )


def _kinds(config: Config, path: str) -> Iterable[tuple[str, str, Path]]:
    """Yield (place, kind, file) of each kind of an extension in a configuration, at any depth."""
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value, place = getattr(config, field.name), f"{path}{field.name}"
        one_of, each_of = field.metadata.get("one_of"), field.metadata.get("each_of")
        union = one_of or each_of
        entries = {place: value}
        if each_of is not None:
            entries = {f"{place}.{name}": entry for name, entry in value.items()}
        for where, entry in entries.items():
            if not isinstance(entry, Config):
                continue
            if union is not None and (file := union.extension_of(entry)) is not None:
                yield f"{where}.{union.key}", union.kind_of(entry), file
            yield from _kinds(entry, f"{where}.")
