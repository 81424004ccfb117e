"""Tokenizers of a user's own file, which no tokenizer.json describes.

A small file beside what such a tokenizer saves names its kind, and the file that defined it for a person to
find: nothing is imported by it.
"""

from pathlib import Path

from lmexp.core.values.files import write_json
from lmexp.core.values.foreign import read_object
from lmexp.errors import DataError
from lmexp.tokenizer.config import TOKENIZERS
from lmexp.tokenizer.tokenizer import Tokenizer

FILE = "tokenizer_own.json"


def is_own(path: Path) -> bool:
    """Return whether directory `path` holds a tokenizer of a user's own file."""
    return (path / FILE).exists()


def write_own(path: Path, kind: str) -> None:
    """Name the kind of the tokenizer that is saved in directory `path`."""
    file = TOKENIZERS.file_of(kind)
    write_json(path / FILE, {"kind": kind, **({} if file is None else {"file": file.name})})


def read(path: Path) -> Tokenizer:
    """Return the tokenizer in directory `path`.

    Errors: `DataError` for a kind that no active file defines.
    """
    values = read_object(path / FILE)
    kind, file = values.get("kind"), values.get("file")
    if not isinstance(kind, str) or kind not in TOKENIZERS.kinds:
        raise DataError(
            f"{path / FILE} is of the kind {kind!r}, which a file {file} defined; lmexp runs no code because "
            f"a tokenizer names it, so give it: --with FILE to a verb, extensions=[FILE] to a run."
        )
    found: Tokenizer = TOKENIZERS.kinds[kind].read(path)
    return found
