"""What a store's disk holds and refuses, in one sentence."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from lmexp.core.provenance.calling import verb
from lmexp.errors import StoreError

FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_BYTES = 1_000_000


def directory_bytes(path: Path) -> int:
    """Return the size of all files below `path`."""
    return sum(_sizes(path))


def _sizes(path: Path) -> Iterator[int]:
    for child in path.rglob("*"):
        with contextlib.suppress(OSError):
            if child.is_file() and not child.is_symlink():
                yield child.stat().st_size


@contextlib.contextmanager
def store_errors(root: Path) -> Iterator[None]:
    """Turn what the file system refuses into one sentence.

    Errors: `StoreError` for a full disk, or naming the path and the reason.
    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error) or is_full(root):
            raise disk_full(root) from error
        where = error.filename or root
        raise StoreError(f"{where} cannot be used ({error.strerror or error}); see store=PATH.") from error


def is_disk_full(error: BaseException) -> bool:
    """Whether an exception, of Python or of a native library, means that a disk is full."""
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    text = str(error)
    return "No space left on device" in text or "os error 28" in text or "Errno 28" in text


def is_full(root: Path) -> bool:
    """Whether the store's disk has hardly a byte left."""
    try:
        return shutil.disk_usage(root).free < _FULL_BYTES
    except OSError:
        return False


def disk_full(root: Path) -> StoreError:
    """Return the error that says so, with the remedy."""
    return StoreError(
        f"the disk of the store {root} is full; nothing published was harmed: free some space "
        f"({verb('gc', store=root)} shows what can go) and give the same command again."
    )
