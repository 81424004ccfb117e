"""How lmexp was started, so that the commands that it prints can be given in the same way.

The installed script is ``lmexp``, wherever a tool manager has put it; ``python -m lmexp`` is the same, and
``python -m lmexp.run`` is ``lmexp run``. Records hold the neutral form, without anybody's paths; a terminal
gets the words that its user has typed. From a notebook or another program, it is ``python -m lmexp.run``.
"""

import importlib.metadata
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from lmexp.core.provenance.own import PACKAGE
from lmexp.core.values.settings import absolute_store, default_store
from lmexp.core.values.spelling import command, override


def run_words(*, typed: bool = False) -> list[str]:
    """Return the words that start a run; with `typed`, as this process's own user began them."""
    program = _program()
    if program == "script":
        return [_script() if typed else "lmexp", "run"]
    python = _python() if typed else "python"
    return [python, "-m", "lmexp", "run"] if program == "__main__" else [python, "-m", "lmexp.run"]


def verb(name: str, *words: str, store: Path | None = None) -> str:
    """Return the command of a verb as a line to paste; with its store, unless that is the default one."""
    program = _program()
    own = [_script()] if program == "script" else [_python(), "-m", "lmexp"]
    begin = ["lmexp"] if program is None or _script_is_beside() else own
    elsewhere = store is not None and store != absolute_store(default_store())
    named = [override("store", str(store))] if elsewhere else []
    return command([*begin, name, *words, *named])


def install(package: str) -> str:
    """Return the command that adds an optional package to the environment that lmexp is installed in."""
    needed = next((spec for spec in _optional() if re.match(rf"{re.escape(package)}\b", spec)), package)
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        return command(["pipx", "inject", "lmexp", needed])
    if (prefix / "uv-receipt.toml").exists():
        return command(["uv", "pip", "install", "--python", sys.executable, needed])
    return command(["pip", "install", needed])


def version() -> str:
    """Return the version of the installed lmexp."""
    return importlib.metadata.version("lmexp")


def _optional() -> Sequence[str]:
    """Return what the extras of lmexp ask for, without the extras' names."""
    try:
        needed = importlib.metadata.requires("lmexp") or []
    except importlib.metadata.PackageNotFoundError:  # a folder on the path, not installed
        return []
    return [spec.partition(";")[0].strip() for spec in needed if "extra ==" in spec]


def _program() -> str | None:
    """Return `script`, `__main__` or `run` for what this process was started as; None for another program."""
    path = Path(sys.argv[0] if sys.argv else "")
    if path.name in ("lmexp", "lmexp.exe"):
        return "script"
    if path.stem in ("__main__", "run", "cli") and path.parent.resolve() == PACKAGE:
        return "run" if path.stem == "run" else "__main__"
    return None


def _script() -> str:
    """Return how the script was named: by its name alone where the shell finds the same one by it."""
    return "lmexp" if shutil.which("lmexp") == sys.argv[0] else sys.argv[0]


def _script_is_beside() -> bool:
    """Whether the name ``lmexp`` is this environment's script to the shell."""
    found = shutil.which("lmexp")
    return found is not None and Path(found).parent == Path(sys.executable).parent


def _python() -> str:
    """Return the word by which the user's shell has found Python."""
    first = sys.orig_argv[0] if sys.orig_argv else "python"
    return first if shutil.which(first) else "python"
