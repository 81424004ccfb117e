"""Local text (.txt) and JSON Lines (.jsonl) files as a source.

A document's id is made of what enters the fingerprint, the file's name and its place in the sorted
list, never of the folder it lies in: equal fingerprints therefore mean equal documents wherever
the files are. A text file is read whole, a JSON Lines file line by line.
"""

import glob
import json
import os
from collections.abc import Iterator
from pathlib import Path

from lmexp.core.files import FileHasher
from lmexp.corpus.config import LocalSource
from lmexp.corpus.documents import Document, SourceContext, cut_blocks
from lmexp.errors import DataError, nearest

_SUFFIXES = (".txt", ".jsonl")
_BOM = "\ufeff"


def content(source: LocalSource, hasher: FileHasher) -> dict[str, str]:
    """Return the sha256 of each file, by ``"<position>:<file name>"``."""
    return {f"{i}:{path.name}": hasher(path) for i, path in enumerate(local_files(source.files))}


def documents(source: LocalSource, context: SourceContext) -> Iterator[Document]:
    """Yield the documents of the files in order.

    Ids are file names (after ``position:`` where two files have one name), followed by ``:line``
    for JSON Lines and by ``:piece``, from 0, for a text file that was cut.
    Errors: `DataError` naming the file and the byte or line where it cannot be used.
    """
    files = local_files(source.files)
    for path, name in zip(files, _names(files), strict=True):
        for suffix, text in _texts(path, source.column, context.max_document_bytes):
            yield Document(text, f"{name}{suffix}", {"source": path.name})


def local_files(patterns: tuple[str, ...]) -> list[Path]:
    """Return the files that paths and glob patterns name, as absolute paths, sorted, each once.

    ``~`` is the home directory and ``**`` any number of folders.
    Errors: `DataError` for a pattern that matches no file, a directory, or a suffix that is
    neither .txt nor .jsonl.
    """
    files: set[Path] = set()
    for pattern in patterns:
        expanded = os.path.expanduser(pattern)
        if os.path.isdir(expanded):
            raise DataError(f"corpus.files names the directory {pattern!r}; give {_star(pattern)!r} instead.")
        names = [expanded] if os.path.isfile(expanded) else glob.glob(expanded, recursive=True)
        matches = [Path(os.path.abspath(name)) for name in names if os.path.isfile(name)]
        if not matches:
            raise DataError(f"corpus.files: no file matches {pattern!r}{_nearest_file(expanded)}.")
        files.update(matches)
    for path in sorted(files):
        if path.suffix.lower() not in _SUFFIXES:
            raise DataError(
                f"corpus.files: {path} ends in {path.suffix or 'no suffix'!r}; "
                f"known are {' and '.join(_SUFFIXES)}."
            )
    return sorted(files)


def _texts(path: Path, column: str, max_document_bytes: int | None) -> Iterator[tuple[str, str]]:
    """Yield (what follows the file's name in the id, text)."""
    if path.suffix.lower() == ".jsonl":
        yield from _json_lines(path, column)
        return
    data = path.read_bytes()
    try:
        text = data.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error.start) from None
    if max_document_bytes is None or len(data) <= max_document_bytes:
        yield "", text
        return
    for i, piece in enumerate(cut_blocks([text.encode()], max_document_bytes)):
        yield f":{i}", piece.decode()


def _json_lines(path: Path, column: str) -> Iterator[tuple[str, str]]:
    offset = 0
    with path.open("rb") as file:
        for number, data in enumerate(file, start=1):
            try:
                line = data.decode().strip().removeprefix(_BOM)
            except UnicodeDecodeError as error:
                raise _not_utf8(path, offset + error.start) from None
            offset += len(data)
            if line:
                yield f":{number}", _text_of_line(line, column, f"{path}, line {number}")


def _text_of_line(line: str, column: str, place: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise DataError(f"{place} is not JSON: {reason}.") from None
    if not isinstance(row, dict):
        raise DataError(f"{place} must be a JSON object with the key {column!r}, was {_kind(row)}.")
    if column not in row:
        keys = ", ".join(map(repr, row)) or "none"
        raise DataError(
            f"{place} has no key {column!r}{nearest(column, row)}; its keys are: {keys}. "
            f"Set corpus.text_column to the key that holds the text."
        )
    text = row[column]
    if not isinstance(text, str):
        raise DataError(f"{place}: {column!r} must be text, was {_kind(text)}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place}: {column!r} holds half of a surrogate pair at character {error.start}, "
            f"which is not text; write the whole pair or remove it."
        ) from None
    return text


def _names(files: list[Path]) -> list[str]:
    """Return a unique name of each file that does not depend on where the files lie."""
    names = [path.name for path in files]
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


def _not_utf8(path: Path, offset: int) -> DataError:
    return DataError(f"{path} is not UTF-8 at byte {offset}; convert it, for example with iconv.")


def _kind(value: object) -> str:
    words = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "null" if value is None else words.get(type(value), "text")
