"""Imports a package partly: some of its modules now, the whole when anything else of it is asked for.

Lightning needs two classes of torchmetrics, and torchmetrics imports all of its metrics with them, and
transformers where that is installed: a quarter of what a process that trains imports. `import_partly`
makes a package's first import run only the named submodules. A name that these do not give makes the
package's own file run then, and after that the package is as if it had been imported at once. The
classes are the same objects on both ways.

What cannot be had so, since the package is laid out otherwise than expected, is imported whole.
"""

import importlib
import logging
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any


def import_partly(package: str, names: Mapping[str, str]) -> None:
    """Let the next import of `package` give `names` alone: of each, the submodule that defines it.

    The submodules are imported in the order of `names`. ``_logger`` and ``__version__`` are there as well.
    A package that was imported before stays as it is.
    """
    if package not in sys.modules:
        sys.meta_path.insert(0, _Finder(package, names))


class _Finder(MetaPathFinder):
    """Finds one package, once."""

    def __init__(self, package: str, names: Mapping[str, str]) -> None:
        self.package = package
        self.names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.package:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.origin, self.names)
        return spec


class _Loader(SourceFileLoader):
    """Runs a package's own file only when it must."""

    def __init__(self, fullname: str, path: str, names: Mapping[str, str]) -> None:
        super().__init__(fullname, path)
        self.names = names

    def exec_module(self, module: ModuleType) -> None:
        """Import the submodules, or the whole where that fails."""
        package = module.__name__
        before = set(vars(module))
        try:
            module.__dict__["__version__"] = version(package)
            module.__dict__["_logger"] = logging.getLogger(package)  # submodules take it from the package
            for name, submodule in self.names.items():
                found = importlib.import_module(f"{package}.{submodule}")
                module.__dict__[name] = getattr(found, name)
        except (ImportError, AttributeError, PackageNotFoundError):
            for name in set(vars(module)) - before:
                del module.__dict__[name]
            for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
                del sys.modules[name]
            super().exec_module(module)
            return
        module.__dict__["__getattr__"] = lambda name: self._rest(module, name)
        module.__dict__["__dir__"] = lambda: sorted(vars(self._completed(module)))

    def _rest(self, module: ModuleType, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # Python asks every module for some of these
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return getattr(self._completed(module), name)

    def _completed(self, module: ModuleType) -> ModuleType:
        for name in ("__getattr__", "__dir__"):
            module.__dict__.pop(name, None)
        super().exec_module(module)
        return module
