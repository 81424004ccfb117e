"""A published artifact's record, `artifact.json`: what it is, and which files belong to it.

What the record lists is the artifact; another file that lies in its directory is foreign, whoever put
it there, and no reader takes it in. So readers that look for files by a pattern ask `listed_files`.
"""

import contextlib
import dataclasses
import os
from pathlib import Path, PurePosixPath
from typing import Any

from lmexp.core.values.files import sha256_file
from lmexp.core.values.sealed import read_sealed
from lmexp.errors import VerificationError

RECORD = "artifact.json"
VOLATILE = frozenset({"metrics.jsonl"})
"""Files whose bytes differ between identical computations, since they hold times."""


@dataclasses.dataclass(frozen=True)
class Record:
    """A published artifact: its directory and what `artifact.json` says of it."""

    path: Path
    data: dict[str, Any]

    @property
    def stage(self) -> str:
        """Name of the stage that made it."""
        return str(self.data["stage"])

    @property
    def fingerprint(self) -> str:
        """The full fingerprint."""
        return str(self.data["fingerprint"])

    @property
    def name(self) -> str:
        """``<label>-<fingerprint12>``, the directory's name."""
        return self.path.name

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that the stage returned."""
        return dict(self.data["metrics"])

    @property
    def num_bytes(self) -> int:
        """Size of all files."""
        return sum(int(entry["size"]) for entry in self.data["files"].values())

    def content_hashes(self) -> dict[str, str]:
        """Return name to sha256 of the files that an identical computation reproduces."""
        return {n: e["sha256"] for n, e in self.data["files"].items() if n not in VOLATILE}


def read_record(path: Path) -> Record:
    """Return the record of the artifact in directory `path`.

    Errors: `VerificationError` where there is none or it is not as it was written.
    """
    try:
        return Record(path=path, data=read_sealed(path / RECORD))
    except (FileNotFoundError, NotADirectoryError):
        raise VerificationError(f"{path} holds no {RECORD} and is no artifact") from None
    except (OSError, ValueError):
        raise VerificationError(f"{path / RECORD} is not as it was published") from None


def listed_files(path: Path, pattern: str = "*") -> list[Path]:
    """Return the files of the artifact in directory `path` whose names match, in order of their names.

    They are those that the record lists. A directory without a record is not published yet: there the
    files are those that lie in it. `*` stands for anything but a slash.
    Errors: `VerificationError` for a record that is not as it was written.
    """
    is_published = os.path.lexists(path / RECORD)
    names = sorted(read_record(path).data["files"]) if is_published else files_in(path)
    return [path / name for name in names if PurePosixPath(f"/{name}").match(f"/{pattern}")]


def intact_file(path: Path, name: str) -> Path | None:
    """Return a file of the artifact in directory `path`; None where it has none of that name, or is gone.

    Errors: `VerificationError` where the record or the file is not as it was published.
    """
    if not os.path.lexists(path / RECORD):
        return None
    entry = read_record(path).data["files"].get(name)
    if entry is None:
        return None
    with contextlib.suppress(OSError):
        if sha256_file(path / name) == entry["sha256"]:
            return path / name
    raise VerificationError(f"{path / name} is not as it was published; lmexp verify names all that is not.")


def require_published(path: Path) -> None:
    """Raise `VerificationError` where a directory is an artifact's and a file of it is not as published."""
    if os.path.lexists(path / RECORD):
        for name in read_record(path).data["files"]:
            intact_file(path, name)


def files_in(path: Path) -> list[str]:
    """Return the names of all that lies in a directory and is no directory itself, but the record."""
    found = []
    for folder, folders, names in os.walk(path):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found += [Path(folder, name).relative_to(path).as_posix() for name in [*names, *links]]
    return sorted(name for name in found if name != RECORD)
