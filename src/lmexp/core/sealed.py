"""Sealed JSON: a record that shows whether it is still what lmexp wrote.

A sealed object holds, under `record_sha256`, the digest of all its other keys. The seal is no secret:
it finds what a disk, an editor or a hand has changed, not who forges it on purpose. An object without
a seal is of an earlier version, or is not a record; its reader decides what it may be trusted with.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmexp.core.files import append_line, read_json, read_lines, write_json
from lmexp.core.fingerprint import digest

SEAL = "record_sha256"


class BrokenSeal(ValueError):
    """What was read is not what was sealed."""


def sealed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data with its seal."""
    return {**data, SEAL: digest(data)}


def unsealed(value: Any) -> dict[str, Any]:
    """Return what was sealed, without the seal.

    Errors: `BrokenSeal` for anything that is no object, has no seal or another one.
    """
    if isinstance(value, dict):
        data = {key: item for key, item in value.items() if key != SEAL}
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            if value.get(SEAL) == digest(data):
                return data
    raise BrokenSeal("the seal does not fit")


def has_seal(value: Any) -> bool:
    """Whether an object says that it is sealed, rightly or not."""
    return isinstance(value, dict) and SEAL in value


def write_sealed(path: Path, data: Mapping[str, Any]) -> None:
    """Replace `path` by the sealed data, atomically and durably."""
    write_json(path, sealed(data))


def read_sealed(path: Path) -> dict[str, Any]:
    """Return what `write_sealed` wrote. Errors: `OSError`; `ValueError` where it is not that any more."""
    return unsealed(read_json(path))


def append_sealed(path: Path, data: Mapping[str, Any]) -> None:
    """Append the sealed data as one JSON line."""
    append_line(path, sealed(data))


def read_sealed_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what `append_sealed` wrote, leaving out each line that is not that any more."""
    for line in read_lines(path):
        with contextlib.suppress(BrokenSeal):
            yield unsealed(line)
