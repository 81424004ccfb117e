"""Imports the files that register stages: shipped modules by name, a user's by path."""

import importlib
import sys
import traceback
import typing
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from lmexp.core.graph.stage import USER_MODULE_PREFIX
from lmexp.core.provenance.own import add_folders, folders_of, shipped
from lmexp.core.values.registered import loading
from lmexp.core.values.settings import RunConfig
from lmexp.errors import ConfigError, LmexpError


def load_provider(provider: Mapping[str, Any]) -> None:
    """Import the module or the user's file that registers a stage."""
    add_folders(provider["folders"])
    if "file" in provider:
        load_file(Path(provider["file"]))
    else:
        importlib.import_module(provider["module"])


def load_file(path: Path) -> ModuleType:
    """Import a user's Python file under a name of its own; again only if it has changed.

    It may import modules of its own folder, see `core.own`. What it registers counts as its own.

    Errors: `ConfigError` with the file, the line and the reason where it cannot be imported.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise ConfigError(f"the file {path} cannot be read ({error.strerror}).") from None
    name, version = f"{USER_MODULE_PREFIX}{path.stem}", (str(path), state.st_mtime_ns, state.st_size)
    module = sys.modules.get(name)
    if module is not None and getattr(module, "lmexp_version", None) == version:
        return module
    if path.parent.resolve() != shipped("pipelines").resolve():
        add_folders(folders_of(path))
    module = ModuleType(name)
    module.__file__ = str(path)
    module.__dict__["lmexp_version"] = version
    sys.modules[name] = module
    try:
        with loading(path):
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102 - the user's own
    except LmexpError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        line = _line_in(path, error)
        where = ""
        if isinstance(error, ModuleNotFoundError):
            where = f"; it is neither installed nor in {' or '.join(folders_of(path))}"
        raise ConfigError(f"{path}{line}: {type(error).__name__}: {error}{where}") from error
    return module


def config_class(pipeline: Path) -> type[RunConfig]:
    """Return the class that a pipeline's `config` parameter is annotated with."""
    module = load_file(pipeline)
    function = getattr(module, "pipeline", None)
    hint = typing.get_type_hints(function).get("config") if callable(function) else None
    if not (isinstance(hint, type) and issubclass(hint, RunConfig)):
        raise ConfigError(f"{pipeline} must define pipeline(config: C), where C derives from RunConfig.")
    return hint


def _line_in(path: Path, error: Exception) -> str:
    """Return ``:<line>`` of a file where an error came from, as far as it is known."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f":{lines[-1]}" if lines else ""
