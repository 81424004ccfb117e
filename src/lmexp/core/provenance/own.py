"""Which code is the user's own, and where it is found.

A user's pipeline file may import modules that lie in its own folder or, where that is called
`pipelines`, beside that folder: both are put at the end of Python's search path when the file is
loaded, in the parent and in each child, whatever the current directory is. What Python finds outside
its own library, the installed packages and lmexp is the user's own.
"""

import importlib.machinery
import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
"""The directory of lmexp's own modules."""
_NOT_OWN = tuple(
    f"{folder}/"
    for folder in (
        PACKAGE,
        site.getusersitepackages(),
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
    )
)
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_folders: dict[str, None] = {}


def shipped(name: str) -> Path:
    """Return the directory of the shipped `conf` or `pipelines`, in a wheel or a checkout."""
    inside = PACKAGE / f"_{name}"
    return inside if inside.is_dir() else PACKAGE.parents[1] / name


def add_folders(folders: Iterable[str]) -> None:
    """Let modules in these folders be imported after everything that is installed."""
    for folder in folders:
        _folders[folder] = None
        if folder not in sys.path:
            sys.path.append(folder)


def folders_of(pipeline: Path) -> list[str]:
    """Return the folders whose modules a pipeline file may import."""
    folder = pipeline.absolute().parent
    return [str(folder), *([str(folder.parent)] if folder.name == "pipelines" else [])]


def folders() -> list[str]:
    """Return all folders that were added, in order."""
    return list(_folders)


def is_own(file: str | None) -> bool:
    """Whether a module's file is a Python file of the user's own."""
    if file is None or not file.endswith(".py") or not os.path.isabs(file):
        return False  # libraries make modules up, with files that are not there
    return not file.startswith(_NOT_OWN) and _INSTALLED.isdisjoint(Path(file).parts)


def find_own(module: str) -> Path | None:
    """Return the file of one of the user's own modules, by its name, without importing anything.

    None for a module that is not the user's own, a package without a file, and no module at all.
    """
    path: list[str] | None = None
    spec = None
    parts = module.split(".")
    if parts[0] in sys.builtin_module_names or parts[0] == "lmexp":
        return None
    for end in range(1, len(parts) + 1):
        spec = importlib.machinery.PathFinder.find_spec(".".join(parts[:end]), path)
        if spec is None or (end < len(parts) and spec.submodule_search_locations is None):
            return None
        path = list(spec.submodule_search_locations or ())
    assert spec is not None, "a name has a part"
    return Path(spec.origin) if spec.origin is not None and is_own(spec.origin) else None
