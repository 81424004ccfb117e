"""Files on this machine as a source, by path or glob pattern, in any of the known formats.

A document's id is made of what enters the fingerprint, the file's name and its place in the sorted
list, never of the folder it lies in: equal fingerprints therefore mean equal documents wherever
the files are.
"""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from lmexp.core.files import FileHasher
from lmexp.corpus.config import LocalSource
from lmexp.corpus.documents import Document, SourceContext
from lmexp.corpus.formats import read_texts, split_name
from lmexp.corpus.streams import decompressed
from lmexp.errors import DataError, nearest


def content(source: LocalSource, hasher: FileHasher) -> dict[str, str]:
    """Return the sha256 of each file, by ``"<position>:<file name>"``.

    Errors: `DataError` as `local_files`.
    """
    return {f"{i}:{path.name}": hasher(path) for i, path in enumerate(local_files(source))}


def documents(source: LocalSource, context: SourceContext) -> Iterator[Document]:
    """Yield the documents of the files in order.

    Ids are file names (after ``position:`` where two files have one name), followed by ``:line`` for
    JSON Lines and CSV, by ``:row``, from 0, for Parquet, and by ``:piece``, from 0, for a text that
    was cut.
    Errors: `DataError` naming the file and the byte, line or row where it cannot be used.
    """
    files = local_files(source)
    for path, name in zip(files, unique_names([path.name for path in files]), strict=True):
        chosen, compression = split_name(path.name, str(path), source.format)
        metadata = {"source": path.name}
        with path.open("rb") as file:
            texts = read_texts(
                decompressed(file, compression, place=str(path)) if compression else file,
                chosen,
                place=str(path),
                column=source.column,
                max_document_bytes=context.max_document_bytes,
            )
            for suffix, text in texts:
                yield Document(text, f"{name}{suffix}", metadata)


def local_files(source: LocalSource) -> list[Path]:
    """Return the files that a source names, as absolute paths, sorted, each once.

    ``~`` is the home directory and ``**`` any number of folders.
    Errors: `DataError`, beginning with the source's key ``files``, for a pattern that matches no file, a
    directory, or a suffix that is not known.
    """
    files: set[Path] = set()
    for pattern in source.files:
        expanded = os.path.expanduser(pattern)
        if os.path.isdir(expanded):
            raise DataError(f"files names the directory {pattern!r}; give {_star(pattern)!r} instead.")
        names = [expanded] if os.path.isfile(expanded) else glob.glob(expanded, recursive=True)
        matches = [Path(os.path.abspath(name)) for name in names if os.path.isfile(name)]
        if not matches:
            raise DataError(f"files: no file matches {pattern!r}{_nearest_file(expanded)}.")
        files.update(matches)
    for path in sorted(files):
        split_name(path.name, f"files: {path}", source.format)
    return sorted(files)


def unique_names(names: list[str]) -> list[str]:
    """Return the names, each after its ``position:`` where two are equal."""
    return names if len(set(names)) == len(names) else [f"{i}:{name}" for i, name in enumerate(names)]


def _star(directory: str) -> str:
    return os.path.join(directory, "*.txt")


def _nearest_file(pattern: str) -> str:
    """Return a hint with the most similar file name in the pattern's folder, or nothing."""
    folder, name = os.path.split(pattern)
    try:
        names = [entry.name for entry in os.scandir(folder or ".") if entry.is_file()]
    except OSError:
        return "" if glob.has_magic(folder) else f": there is no directory {folder!r}"
    return nearest(name, names)
