"""The running Python's standard library as a source: about 11 MB of code and English, on every machine.

Left out are tests, installed packages, the wheels inside ensurepip, and what programs wrote: the code
tables of `encodings` and the build settings of this machine (`_sysconfigdata*`).
"""

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from lmexp.core.values.files import FileHasher
from lmexp.corpus.config import PythonStdlibSource
from lmexp.corpus.documents import Document, SourceContext

_SKIPPED_DIRECTORIES = frozenset(
    ("site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "lib-dynload", "_bundled")
)
_TABLE_MARKS = (b"decoding_table", b"gencodec")
"""What marks a file of `encodings/` as a table that a program wrote."""

_BOM = "\ufeff"


def content(_source: PythonStdlibSource, hasher: FileHasher) -> dict[str, str]:
    """Return one entry, the sha256 over the files' (relative name, sha256) pairs."""
    total = hashlib.sha256()
    for path, name in _named_files():
        total.update(f"{name}\0{hasher(path)}\n".encode())
    return {PythonStdlibSource.KIND: total.hexdigest()}


def documents(_source: PythonStdlibSource, context: SourceContext) -> Iterator[Document]:
    """Yield each file whole, in order of relative path; its id is that path."""
    for path, name in _named_files():
        try:
            text = path.read_bytes().decode().removeprefix(_BOM)
        except UnicodeDecodeError:
            context.dropped["not UTF-8"] += 1
            continue
        yield Document(text, name, {"source": PythonStdlibSource.KIND})


def python_stdlib_files() -> list[Path]:
    """Return the source files, in order of relative path."""
    root = _stdlib_root()
    found: list[tuple[str, ...]] = []
    for folder, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name not in _SKIPPED_DIRECTORIES]
        parts = Path(folder).relative_to(root).parts
        found += [(*parts, name) for name in names if name.endswith(".py")]
    files = [root.joinpath(*parts) for parts in sorted(found)]
    return [path for path in files if not _is_machine_made(path)]


def _named_files() -> list[tuple[Path, str]]:
    root = _stdlib_root()
    return [(path, path.relative_to(root).as_posix()) for path in python_stdlib_files()]


def _stdlib_root() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _is_machine_made(path: Path) -> bool:
    if path.name.startswith("_sysconfigdata"):
        return True
    if path.parent.name != "encodings":
        return False
    data = path.read_bytes()
    return any(mark in data for mark in _TABLE_MARKS)
