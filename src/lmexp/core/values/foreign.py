"""Files that somebody else wrote: read whole, or refused in a sentence.

Nothing is assumed of such a file: it may be a link to another's secret, a directory or a device, far too
large, no UTF-8, no JSON, nested deeper than a reader can follow, or name a key twice, of which each reader
believes another one.
"""

import json
import os
import stat
from pathlib import Path
from typing import Any

from lmexp.errors import DataError

MOST_BYTES = 2**28
"""Largest JSON file that is read; the tokenizers of 256,000 tokens take some 40 MB."""


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`. Errors: `DataError` for anything else."""
    refuse_odd_file(path, most_bytes=MOST_BYTES)
    try:
        value = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_object)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8.") from None
    except RecursionError:
        raise DataError(f"{path} is nested too deeply to be read; it is damaged or no such file.") from None
    except ValueError as error:
        raise DataError(f"{path} cannot be read as JSON: {error}; it is damaged, or cut short.") from None
    if not isinstance(value, dict):
        raise DataError(f"{path} must hold a JSON object, holds a {type(value).__name__}.")
    return value


def file_inside(folder: Path, name: str) -> Path | None:
    """Return the path of the file `name` of `folder`, None where there is none.

    A link is followed within the folder, and from a snapshot of Hugging Face's cache to the blobs of the
    same repository. Errors: `DataError` for any other link, for what is no regular file, and for JSON of
    more than `MOST_BYTES`.
    """
    path = folder / name
    if not os.path.lexists(path):
        return None
    root, target = Path(os.path.realpath(folder)), Path(os.path.realpath(path))
    homes = [root]
    if root.parent.name == "snapshots" and root.parents[1].name.startswith("models--"):
        homes.append(root.parents[1] / "blobs")
    if not any(target.is_relative_to(home) for home in homes):
        raise DataError(f"{path} is a link to {target}, out of its folder; put the file itself in its place.")
    refuse_odd_file(path, most_bytes=MOST_BYTES if path.suffix == ".json" else None)
    return path


def refuse_odd_file(path: Path, *, most_bytes: int | None = None) -> None:
    """Raise `DataError` unless `path` is a regular file, of at most `most_bytes`; it is not opened."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if not stat.S_ISREG(found.st_mode):
        kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(found.st_mode), "a device")
        raise DataError(f"{path} is {kind}; a file is expected there.")
    if most_bytes is not None and found.st_size > most_bytes:
        raise DataError(
            f"{path} has {found.st_size:,} bytes; at most {most_bytes:,} are read of such a file."
        )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of `pairs`. Errors: `ValueError` for a key that is there twice."""
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} is there twice")
    return result
