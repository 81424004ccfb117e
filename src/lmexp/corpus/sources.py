"""Where text comes from: the running Python's standard library, or local files.

Listing files, hashing them for the fingerprint and streaming documents from them use the standard
library alone, because the planner calls the first two on every run.

A document's id is made of what enters the fingerprint, the file's name and its place in the sorted
list, never of the folder it lies in: equal fingerprints therefore mean equal documents wherever
the files are. A text file is read whole, a JSON Lines file line by line.
"""

import glob
import hashlib
import json
import os
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from lmexp.corpus.config import CorpusConfig
from lmexp.corpus.documents import Document, cut_text
from lmexp.errors import DataError, nearest

STDLIB = "python_stdlib"
"""Name of the standard library as a source, in fingerprints, metadata and cards."""

_SUFFIXES = (".txt", ".jsonl")
_SKIPPED_DIRECTORIES = frozenset(
    ("site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "lib-dynload", "_bundled")
)
_TABLE_MARKS = (b"decoding_table", b"gencodec")
"""What marks a file of `encodings/` as a table that a program wrote."""

_BOM = "\ufeff"


def python_stdlib_files() -> list[Path]:
    """Return the source files of the running Python's standard library, in order of relative path.

    Left out are tests, installed packages, the wheels inside ensurepip, and what programs wrote:
    the code tables of `encodings` and the build settings of this machine (`_sysconfigdata*`).
    """
    root = _stdlib_root()
    found: list[tuple[str, ...]] = []
    for folder, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name not in _SKIPPED_DIRECTORIES]
        parts = Path(folder).relative_to(root).parts
        found += [(*parts, name) for name in names if name.endswith(".py")]
    files = [root.joinpath(*parts) for parts in sorted(found)]
    return [path for path in files if not _is_machine_made(path)]


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


def corpus_files(config: CorpusConfig) -> list[Path]:
    """Return the files that `config` names, in the order in which they are read."""
    return local_files(config.files) if config.files else python_stdlib_files()


def content_hashes(config: CorpusConfig, hash_file: Callable[[Path], str]) -> dict[str, str]:
    """Return what stands for the content of the source files in the corpus's fingerprint.

    Local files give one entry each, ``"<position>:<file name>"`` to the file's sha256. The
    standard library gives one entry, the sha256 over its (relative name, sha256) pairs.
    """
    files = corpus_files(config)
    if config.files:
        return {f"{i}:{path.name}": hash_file(path) for i, path in enumerate(files)}
    total = hashlib.sha256()
    for path, name in zip(files, _names(config, files), strict=True):
        total.update(f"{name}\0{hash_file(path)}\n".encode())
    return {STDLIB: total.hexdigest()}


def read_documents(
    config: CorpusConfig, files: list[Path], dropped: Counter[str] | None = None
) -> Iterator[Document]:
    """Yield the documents of `files` in order; what is left out is counted by reason in `dropped`.

    Ids are file names (relative to the library for the standard library; after ``position:`` where
    two files have one name), followed by ``:line`` for JSON Lines and by ``:piece``, from 0, for a
    text file that was cut.
    Errors: `DataError` naming the file and the byte or line where it cannot be used.
    """
    counts: Counter[str] = Counter() if dropped is None else dropped
    for path, name in zip(files, _names(config, files), strict=True):
        source = path.name if config.files else STDLIB
        for suffix, text in _texts(config, path, counts):
            if text.isspace() or not text:
                counts["only whitespace"] += 1
            else:
                yield Document(text, f"{name}{suffix}", {"source": source})


def _texts(config: CorpusConfig, path: Path, counts: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield (what follows the file's name in the id, text)."""
    if config.files and path.suffix.lower() == ".jsonl":
        yield from _json_lines(path, config.text_column)
        return
    data = path.read_bytes()
    try:
        text = data.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        if config.files:
            raise _not_utf8(path, error.start) from None
        counts["not UTF-8"] += 1
        return
    if not config.files or config.max_document_bytes is None or len(data) <= config.max_document_bytes:
        yield "", text
        return
    for i, piece in enumerate(cut_text(text, config.max_document_bytes)):
        yield f":{i}", piece


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


def _names(config: CorpusConfig, files: list[Path]) -> list[str]:
    """Return a unique name of each file that does not depend on where the files lie."""
    if not config.files:
        root = _stdlib_root()
        return [path.relative_to(root).as_posix() for path in files]
    names = [path.name for path in files]
    return names if len(set(names)) == len(names) else [f"{i}:{name}" for i, name in enumerate(names)]


def _stdlib_root() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _is_machine_made(path: Path) -> bool:
    if path.name.startswith("_sysconfigdata"):
        return True
    if path.parent.name != "encodings":
        return False
    data = path.read_bytes()
    return any(mark in data for mark in _TABLE_MARKS)


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
