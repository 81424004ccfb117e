"""A tokenizer as a folder: a tokenizer.json, or what a tokenizer of a user's own file has saved.

Beside the latter a small file names its kind, and the file that defined it for a person to find: nothing is
imported by it.
"""

from pathlib import Path

from lmexp.core.values.files import write_json
from lmexp.core.values.foreign import read_object
from lmexp.errors import DataError
from lmexp.tokenizer.config import TOKENIZERS
from lmexp.tokenizer.library import FILE, LibraryTokenizer
from lmexp.tokenizer.tokenizer import Tokenizer

OWN_FILE = "tokenizer_own.json"


def load_tokenizer(path: Path) -> Tokenizer:
    """Read the tokenizer in directory `path`.

    Errors: `DataError` where there is none, and for one of a kind that no active file defines.
    """
    return _read_own(path) if is_own(path) else LibraryTokenizer.read(path)


def is_tokenizer(path: Path) -> bool:
    """Return whether directory `path` holds a tokenizer."""
    return (path / FILE).is_file() or is_own(path)


def is_own(path: Path) -> bool:
    """Return whether directory `path` holds a tokenizer of a user's own file."""
    return (path / OWN_FILE).exists()


def write_own(path: Path, kind: str) -> None:
    """Name the kind of the tokenizer that is saved in directory `path`."""
    file = TOKENIZERS.file_of(kind)
    write_json(path / OWN_FILE, {"kind": kind, **({} if file is None else {"file": file.name})})


def _read_own(path: Path) -> Tokenizer:
    values = read_object(path / OWN_FILE)
    kind, file = values.get("kind"), values.get("file")
    if not isinstance(kind, str) or kind not in TOKENIZERS.kinds:
        raise DataError(
            f"{path / OWN_FILE} is of the kind {kind!r}, which a file {file} defined; lmexp runs no code "
            f"because a tokenizer names it, so give it: --with FILE to a verb, extensions=[FILE] to a run."
        )
    found: Tokenizer = TOKENIZERS.kinds[kind].read(path)
    return found
