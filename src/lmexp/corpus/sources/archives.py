"""Archives (zip, and tar plain or compressed) read in place: no member is ever written under its name.

An archive is refused as a whole where a member could only be meant to leave its folder: an absolute
path, a `..`, a link, a device. What its members unpack to is counted against a budget while it is
read, whatever sizes the archive states, and so are a tar's own headers. Who unpacks a member further
counts against the same budget.
"""

import errno
import fnmatch
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lmexp.corpus.formats.streams import Budget, decompressed
from lmexp.errors import DataError

_SUFFIXES = {
    ".zip": ("zip", ""),
    ".tar": ("tar", ""),
    ".tar.gz": ("tar", ".gz"),
    ".tgz": ("tar", ".gz"),
    ".tar.bz2": ("tar", ".bz2"),
    ".tbz2": ("tar", ".bz2"),
    ".tar.xz": ("tar", ".xz"),
    ".txz": ("tar", ".xz"),
    ".tar.zst": ("tar", ".zst"),
    ".tzst": ("tar", ".zst"),
}
_MAX_HEADER_BYTES = 2**20


def is_archive(name: str) -> bool:
    """Whether a file of this name is read as an archive."""
    return name.lower().endswith(tuple(_SUFFIXES))


def members(
    path: Path, name: str, patterns: tuple[str, ...], *, budget: Budget, place: str = ""
) -> Iterator[tuple[str, BinaryIO]]:
    """Yield (name, stream) of the regular files in an archive, in its order; read each before the next.

    `name` is the archive's own, whose suffix says its kind; messages call it `place`, or else by its
    name. Of several `patterns` one must match a member, `*` also across slashes; without any, all
    members are meant. What is unpacked is counted against `budget`.
    Errors: `DataError`, one sentence, for an unsafe, damaged or encrypted archive and a spent budget.
    """
    kind, compression = next(value for suffix, value in _SUFFIXES.items() if name.lower().endswith(suffix))
    seen: set[str] = set()
    place = place or name
    found = (
        _zip_members(path, place, budget) if kind == "zip" else _tar_members(path, place, compression, budget)
    )
    for member, stream in found:
        if patterns and not any(fnmatch.fnmatchcase(member, pattern) for pattern in patterns):
            continue
        if member in seen:
            raise DataError(f"{place} holds two members named {member!r}; it must name each once.")
        seen.add(member)
        yield member, stream


def _zip_members(path: Path, name: str, budget: Budget) -> Iterator[tuple[str, BinaryIO]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                _refuse_outside(info.filename, name)
                mode = info.external_attr >> 16
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _not_a_file(info.filename, name, "a link" if stat.S_ISLNK(mode) else "a device")
            for info in archive.infolist():
                if info.is_dir():
                    continue
                if info.flag_bits & 1:
                    raise DataError(f"{name} is encrypted at {info.filename!r}; give it unencrypted.")
                with archive.open(info) as member:
                    yield info.filename, decompressed(member, "", place=name, budget=budget)
    except (zipfile.BadZipFile, zlib.error, struct.error, ValueError, RuntimeError, EOFError) as error:
        raise _damaged(name, error) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # the device, not a position that the archive itself states
            raise
        raise _damaged(name, error) from None


def _tar_members(path: Path, name: str, compression: str, budget: Budget) -> Iterator[tuple[str, BinaryIO]]:
    with path.open("rb") as file:
        stream = decompressed(file, compression, place=name, budget=budget if compression else None)
        try:
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member, encoding="utf-8") as archive:
                for info in archive:
                    archive.members = []  # type: ignore[attr-defined]  # tarfile would remember every header
                    _refuse_outside(info.name, name)
                    if info.issym() or info.islnk():
                        raise _not_a_file(info.name, name, "a link")
                    if info.issparse():
                        raise _not_a_file(info.name, name, "a sparse file")
                    if info.isdir():
                        continue
                    if not info.isreg():
                        raise _not_a_file(info.name, name, "a device")
                    member = archive.extractfile(info)
                    assert member is not None, "regular files have content"
                    yield info.name, decompressed(member, "", place=name)
        except (tarfile.TarError, EOFError) as error:
            raise _damaged(name, error) from None


class _Member(tarfile.TarInfo):
    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Read what follows a header: the hook that tarfile's own documentation names for subclasses."""
        headers = (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
        )
        if self.type in headers and self.size > _MAX_HEADER_BYTES:  # tarfile would hold it in memory
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]


def _refuse_outside(member: str, name: str) -> None:
    parts = re.split(r"[/\\]", member)
    if not parts[0] or ".." in parts or re.match(r"[A-Za-z]:", member):
        raise DataError(f"{name} is refused: its member {member!r} lies outside its folder.")


def _not_a_file(member: str, name: str, what: str) -> DataError:
    return DataError(f"{name} is refused: its member {member!r} is {what}.")


def _damaged(name: str, error: Exception) -> DataError:
    return DataError(f"{name} cannot be read as an archive: {str(error).rstrip('.') or 'it ends too early'}.")
