"""The compiler's cache: private while a training compiles, in the store's cache once its files are whole.

Inductor writes a library where it will look for it, so a compiler that is killed leaves half a file that
the next run would load. Therefore each process compiles in a directory of its own, below the attempt's,
which begins with a second name for every file that earlier trainings of the same kind left in

    <store>/cache/compiled/<key>/       kernels of one kind of training
    <store>/cache/compiled/headers/     C++ headers, compiled once for all of them (156 MB)

When the first steps are over the files that came to be get their names there, each at once and whole. Two
runs at the same time do the same work twice and disturb each other in nothing; what a killed one leaves goes
with its attempt. Inductor finds an entry by its content, hence the key only keeps apart what is never shared,
and a key too coarse or too fine costs time and nothing else.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from lmexp.core.values.config import to_dict
from lmexp.training.config import PretrainConfig

_VARIABLES = {"TORCHINDUCTOR_CACHE_DIR": "kernels", "TRITON_CACHE_DIR": "kernels/triton"}
"""What tells inductor and triton where to write, and the folder of each below the private directory."""

_HEADERS = "headers"


class CompileCache:
    """What one process compiles into, between `seed` and `publish`."""

    def __init__(self, config: PretrainConfig, *, device: str, cache: Path, private: Path) -> None:
        """`cache` is the store's, `private` a directory of this process alone on the same disk."""
        folder = cache / "compiled"
        self._shared = {"kernels": folder / cache_key(config, device=device), _HEADERS: folder / _HEADERS}
        self._private = private

    def seed(self) -> None:
        """Begin the private directory with what earlier trainings compiled."""
        shutil.rmtree(self._private, ignore_errors=True)
        for name, shared in self._shared.items():
            (self._private / name).mkdir(parents=True)
            _give_names(shared, self._private / name)

    def publish(self) -> None:
        """Add what was compiled to the store's cache; nothing may be compiling. A full disk is no error."""
        with contextlib.suppress(OSError):
            for name, shared in self._shared.items():
                _give_names(self._private / name, shared)

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Have inductor and triton write into the private directory."""
        from torch._inductor import codecache  # it takes long to import, and an eager training never does

        before = {name: os.environ.get(name) for name in _VARIABLES}
        headers = codecache._HEADER_DIR, codecache._HEADER_LOCK_DIR
        os.environ.update({name: str(self._private / folder) for name, folder in _VARIABLES.items()})
        # Inductor keeps headers below the system's temporary directory, whatever its own variable says.
        codecache._HEADER_DIR = str(self._private / _HEADERS)
        codecache._HEADER_LOCK_DIR = str(self._private / _HEADERS / "locks")
        codecache._precompile_header.cache_clear()
        try:
            yield
        finally:
            codecache._HEADER_DIR, codecache._HEADER_LOCK_DIR = headers
            codecache._precompile_header.cache_clear()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def cache_key(config: PretrainConfig, *, device: str) -> str:
    """Return the name under which trainings share what they compiled."""
    parts = {
        "torch": importlib.metadata.version("torch"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "precision": config.trainer.precision,
        "model": [type(config.model).__name__, to_dict(config.model)],
        "micro_batch_size": config.resolved_micro_batch_size,
        "document_masking": config.document_masking,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _give_names(source: Path, target: Path) -> None:
    """Give each file below `source` its name below `target`, where that is free."""
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if name != "locks"]  # a process locks its own alone
        here = target / Path(folder).relative_to(source)
        here.mkdir(parents=True, exist_ok=True)
        for name in names:
            file = Path(folder, name)
            if not (here / name).exists():
                _link_or_copy(file, here / name)


def _link_or_copy(source: Path, target: Path) -> None:
    """Let `target` appear whole, with the content of `source`; keep it where it appeared meanwhile."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # a disk without links
        temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex}.tmp")
        shutil.copy2(source, temporary)
        os.replace(temporary, target)
