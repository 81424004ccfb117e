"""Compressed files as streams of bytes: bounded memory, a limit on size, and damage told in a sentence.

gzip, bzip2 and xz by the standard library, Zstandard by Arrow, which, unlike some readers, notices a
file that ends too early. Files of several members or frames are read to the end. What comes out may
be counted against a budget, which a file shares with all that is unpacked from what it holds, so that a
small file that unpacks to a huge one stops where it passes it.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from lmexp.errors import DataError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of the compressions that are known."""

BLOCK_BYTES = 2**20

_DAMAGE = (
    EOFError,
    OSError,
    NotImplementedError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)
"""What the readers of compressed files and of archives raise."""


def split_suffix(name: str) -> tuple[str, str]:
    """Return the suffix of a file's name and that of a compression after it, '' for none, in lower case."""
    path = PurePosixPath(name.lower())
    return (path.with_suffix("").suffix, path.suffix) if path.suffix in COMPRESSIONS else (path.suffix, "")


class Budget:
    """The most bytes that may come out of a file, counted over all that is unpacked from it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


def decompressed(stream: Any, compression: str, *, place: str, budget: Budget | None = None) -> BinaryIO:
    """Return what `stream` holds, decompressed by one of `COMPRESSIONS`; '' leaves it as it is.

    `place` names it in messages. What comes out is counted against `budget`.
    Errors, as it is read: `DataError` where the data is damaged, cut short or more than is left of the
    budget.
    """
    return io.BufferedReader(_Checked(_opened(stream, compression), place, budget), BLOCK_BYTES)


def _opened(stream: BinaryIO, compression: str) -> Any:
    if compression == ".gz":
        return gzip.GzipFile(fileobj=stream)
    if compression == ".bz2":
        return bz2.BZ2File(stream)
    if compression == ".xz":
        return lzma.LZMAFile(stream)
    if compression == ".zst":
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")
    return stream


class _Checked(io.RawIOBase):
    """Reads from another stream, counts, and says in one sentence what goes wrong."""

    def __init__(self, inner: Any, place: str, budget: Budget | None) -> None:
        self._inner, self._place, self._budget, self._count = inner, place, budget, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._inner.read(len(buffer))
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the device, not the data
            reason = " ".join(str(error).split()).rstrip(".") or "it ends too early"
            raise DataError(
                f"{self._place} is damaged: {reason} (after {self._count:,} unpacked bytes)."
            ) from None
        self._count += len(data)
        if self._budget is not None:
            self._budget.used += len(data)
            if self._budget.used > self._budget.limit:
                raise DataError(
                    f"{self._place} unpacks to more than {self._budget.limit:,} bytes; if that is expected, "
                    f"raise max_unpacked_bytes of its source."
                )
        buffer[: len(data)] = data
        return len(data)
