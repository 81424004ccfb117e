"""Sealed JSON: a record that shows whether it is still what lmexp wrote.

A sealed object holds, under `record_sha256`, the digest of all its other keys. The seal is no secret:
it finds what a disk, an editor or a hand has changed, not who forges it on purpose. An object without
a seal is of an earlier version, or is not a record; its reader decides what it may be trusted with.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmexp.core.values.files import append_line, parse_json, read_json, write_json, write_text
from lmexp.core.values.fingerprint import digest_of_json

SEAL = "record_sha256"


class BrokenSeal(ValueError):
    """What was read is not what was sealed."""


def sealed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data, as JSON gives it back, with its seal.

    Errors: `ValueError` for a number that is not finite.
    """
    plain = parse_json(json.dumps(data, allow_nan=False))
    return {**plain, SEAL: digest_of_json(plain)}


def unsealed(value: Any) -> dict[str, Any]:
    """Return what was sealed, without the seal.

    Errors: `BrokenSeal` for anything that is no object, has no seal or another one.
    """
    if isinstance(value, dict):
        data = {key: item for key, item in value.items() if key != SEAL}
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            if value.get(SEAL) == digest_of_json(data):
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


def write_sealed_page(path: Path, page: str) -> None:
    """Replace `path` by a page of HTML whose last line, a comment, is its seal."""
    write_text(path, f"{page}\n<!-- {SEAL} {hashlib.sha256(page.encode()).hexdigest()} -->\n")


def is_sealed_page(path: Path) -> bool:
    """Whether a page is as `write_sealed_page` wrote it."""
    try:
        text = path.read_bytes().decode()  # as bytes, since line ends are part of what was sealed
    except (OSError, ValueError):
        return False
    page, _, seal = text.rpartition(f"\n<!-- {SEAL} ")
    return seal == f"{hashlib.sha256(page.encode()).hexdigest()} -->\n"
