"""Files on this machine as a source, by path or glob pattern, in any of the known formats.

A document's id is made of what enters the fingerprint, the file's name and its place in the sorted
list, never of the folder it lies in: equal fingerprints therefore mean equal documents wherever
the files are.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lmexp.core.values.files import FileHasher
from lmexp.core.values.spelling import command, override
from lmexp.corpus.config import FORMATS, LocalSource
from lmexp.corpus.documents import Document, SourceContext
from lmexp.corpus.formats.formats import known_format, read_texts, split_name
from lmexp.corpus.formats.rows import BadRows
from lmexp.corpus.formats.streams import decompressed
from lmexp.corpus.patterns import each_once, file_name, matching_files, nothing_matches, pattern_of, shown
from lmexp.errors import ConfigError, DataError


def content(source: LocalSource, hasher: FileHasher) -> dict[str, str]:
    """Return the sha256 of each file, by ``"<position>:<file name>"``.

    Errors: `DataError` as `local_files`, and for a file that cannot be read.
    """
    return {f"{i}:{file_name(path)}": _hashed(path, hasher) for i, path in enumerate(local_files(source))}


def _hashed(path: Path, hasher: FileHasher) -> str:
    try:
        return hasher(path)
    except OSError as error:
        raise DataError(f"{shown(path)} cannot be read ({error.strerror}).") from None


def documents(source: LocalSource, context: SourceContext) -> Iterator[Document]:
    """Yield the documents of the files in order.

    Ids are file names (after ``position:`` where two files have one name), followed by ``:line`` for
    JSON Lines, CSV and lines or paragraphs of text, by ``:row`` or ``:item``, from 0, for Parquet and for
    an array of JSON, and by ``:piece``, from 0, for a text that was cut.
    Errors: `DataError` naming the file and the byte, line or row where it cannot be used.
    """
    files = local_files(source)
    for path, name in zip(files, unique_names([file_name(path) for path in files]), strict=True):
        if not is_known(path, source, context.bad):
            continue
        metadata = {"source": file_name(path)}
        for suffix, text in file_texts(path, source, context):
            yield Document(text, f"{name}{suffix}", metadata)


def file_texts(path: Path, source: LocalSource, context: SourceContext) -> Iterator[tuple[str, str]]:
    """Yield (suffix of the id, text) for each document of one file."""
    chosen, compression = split_name(path.name, shown(path), source.format)
    place = shown(path)
    with path.open("rb") as file:
        yield from read_texts(
            decompressed(file, compression, place=place) if compression else file,
            chosen,
            place=place,
            column=source.column,
            units=context.units,
            bad=context.bad,
        )


def local_files(source: LocalSource, key: str = "files") -> list[Path]:
    """Return the files that a source names, as absolute paths, sorted, each once.

    `key` is how messages call its key `files`.
    Errors: `DataError` for a pattern that matches no file, and for a directory.
    """
    files: list[Path] = []
    for pattern in source.files:
        expanded = os.path.expanduser(pattern)
        if os.path.isdir(expanded):
            instead = pattern_of(pattern if os.path.isdir(pattern) else expanded, [f".{f}" for f in FORMATS])
            raise DataError(
                f"{key} names the directory {shown(pattern)!r}; give {_words(key, instead)} instead."
            )
        matches = matching_files(pattern)
        if not matches:
            raise DataError(f"{key}: no file matches {shown(pattern)!r}{nothing_matches(pattern)}.")
        files += matches
    return each_once(files)


def is_known(path: Path, source: LocalSource, bad: BadRows, key: str = "files") -> bool:
    """Whether a file's format is known; where it is not, `bad` is told."""
    return known_format(path.name, f"{key}: {shown(path)}", source.format, bad) is not None


def check_names(source: LocalSource, key: str, *, drop: bool) -> None:
    """Raise `DataError` for files that a source names and that cannot be found, or, unless `drop`, read."""
    for path in local_files(source, key):
        is_known(path, source, BadRows(Counter(), drop=drop), key)


def _words(key: str, pattern: str) -> str:
    """Return the override that gives a key one pattern; where none can, the pattern."""
    try:
        return command([override(key, [pattern])])
    except ConfigError:
        return repr(shown(pattern))


def unique_names(names: list[str]) -> list[str]:
    """Return the names, each after its ``position:`` where two are equal."""
    return names if len(set(names)) == len(names) else [f"{i}:{name}" for i, name in enumerate(names)]
