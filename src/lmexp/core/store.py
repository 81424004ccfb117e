"""The store: a directory of published artifacts, each with its record.

    <store>/artifacts/<stage>/<label>-<fingerprint12>/   files and artifact.json
    <store>/runs/<run>/                                  run.json, invocations.jsonl, wandb
    <store>/scratch/<fingerprint>/<attempt>/             what is being computed
    <store>/leases/<fingerprint>/                        who computes it
    <store>/trash/                                       what was replaced
    <store>/cache/                                       can be deleted at any time

An artifact is built in scratch, its record is written last, and one `rename` makes it visible: a
directory below `artifacts/` is complete or it is not there. A rename onto a published artifact
fails, which is the fence against two writers. The label is for people; look-up is by fingerprint.
"""

import contextlib
import dataclasses
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmexp.core.files import FileHasher, fsync_path, read_json, remove_tree, write_json
from lmexp.core.fingerprint import SHORT, digest
from lmexp.errors import ConfigError, LeaseLost, StoreError, VerificationError

RECORD = "artifact.json"
FORMAT = 1
MARKER = "lmexp-store.json"
"""Its presence says that a directory is a store; nothing is deleted in any other."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_BYTES = 1_000_000
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


class Store:
    """Artifacts below one root directory on a POSIX file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hasher = FileHasher(self.cache / "hashes.json")

    @property
    def cache(self) -> Path:
        """Directory of what was looked up or downloaded; it can be deleted at any time."""
        return self.root / "cache"

    @property
    def runs(self) -> Path:
        """Directory of run records."""
        return self.root / "runs"

    def scratch(self, fingerprint: str) -> Path:
        """Directory of the attempts at one artifact."""
        return self.root / "scratch" / fingerprint

    def leases(self, fingerprint: str) -> Path:
        """Directory of the leases of one artifact."""
        return self.root / "leases" / fingerprint

    def prepare(self) -> None:
        """Create the root.

        Errors: `ConfigError` where it cannot be created or written, `StoreError` for a full disk.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "permission denied")
            if not (self.root / MARKER).exists():
                write_json(self.root / MARKER, {"format": FORMAT})
        except OSError as error:
            if error.errno in _FULL:
                raise disk_full(self.root) from None
            raise ConfigError(
                f"the store {self.root} cannot be written ({error.strerror}); give another with store=PATH."
            ) from None

    def require(self) -> None:
        """Raise `ConfigError` where no run has ever made this directory a store."""
        if not (self.root / MARKER).exists():
            raise ConfigError(f"there is no store at {self.root}; give the right one with store=PATH.")

    def find(self, stage: str, fingerprint: str) -> Record | None:
        """Return the artifact with this fingerprint, or None.

        Errors: `VerificationError` where its record is damaged.
        """
        for path in (self.root / "artifacts" / stage).glob(f"*-{fingerprint[:SHORT]}"):
            record = _read_record(path)
            if record is not None and record.fingerprint == fingerprint:
                return record
        return None

    def records(self, stage: str | None = None) -> list[Record]:
        """Return all published artifacts with intact records, of one stage or of all, oldest first."""
        found = []
        for path in (self.root / "artifacts").glob(f"{stage or '*'}/*-*"):
            with contextlib.suppress(VerificationError):
                found.append(_read_record(path))
        return sorted((r for r in found if r is not None), key=lambda r: str(r.data["finished"]))

    def damaged_records(self) -> list[str]:
        """Return one sentence for each artifact whose record cannot be trusted."""
        found = []
        for path in sorted((self.root / "artifacts").glob("*/*-*")):
            try:
                _read_record(path)
            except VerificationError as error:
                found.append(str(error))
        return found

    def publish(self, out: Path, data: dict[str, Any], *, replaces: Record | None = None) -> Record:
        """Hash every file in `out`, write the record and rename the directory into place.

        With `replaces`, that artifact goes to the trash first, unless the new one is identical:
        then the old one stays and `out` is dropped.

        Errors: `LeaseLost` when another process has published the same fingerprint meanwhile.
        """
        files = {}
        for path in sorted(p for p in out.rglob("*") if p.is_file() and p.name != RECORD):
            _let_read(path, like=out)
            fsync_path(path)
            name = path.relative_to(out).as_posix()
            files[name] = {"size": path.stat().st_size, "sha256": self.hasher(path)}
        data = {"format": FORMAT, **data, "files": files}
        name = f"{data['label']}-{data['fingerprint'][:SHORT]}"
        target = self.root / "artifacts" / data["stage"] / name
        new = Record(path=target, data=data)
        same = replaces is not None and replaces.content_hashes() == new.content_hashes()
        if replaces is not None and same and not self.problems(replaces):
            remove_tree(out)
            return replaces
        write_json(out / RECORD, {**data, "record_sha256": digest(data)})
        fsync_path(out)
        target.parent.mkdir(parents=True, exist_ok=True)
        if replaces is not None:
            self.discard(replaces.path)
        try:
            out.rename(target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise LeaseLost(f"{target} was published by another process meanwhile.") from None
            raise
        fsync_path(target.parent)
        return new

    def discard(self, path: Path) -> None:
        """Move an artifact's directory to the trash."""
        target = self.root / "trash" / f"{path.parent.name}-{path.name}-{uuid.uuid4().hex[:8]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)

    def discard_damaged(self, stage: str, fingerprint: str) -> None:
        """Move artifacts of this fingerprint whose records are damaged to the trash."""
        for path in (self.root / "artifacts" / stage).glob(f"*-{fingerprint[:SHORT]}"):
            try:
                _read_record(path)
            except VerificationError:
                self.discard(path)

    def problems(self, record: Record, *, reread: bool = False) -> list[str]:
        """Return one sentence for each file that is not as published.

        A file whose size, times and inode are as they were when it was last hashed is trusted,
        unless `reread` asks for every byte.
        """
        hasher = FileHasher() if reread else self.hasher
        found = []
        for name, entry in record.data["files"].items():
            path = record.path / name
            try:
                size = path.stat().st_size
                if size != entry["size"]:
                    found.append(f"{path} has {size} bytes instead of {entry['size']}")
                elif hasher(path) != entry["sha256"] and hasher.again(path) != entry["sha256"]:
                    found.append(f"{path} has other bytes than were published (sha256 differs)")
            except FileNotFoundError:
                found.append(f"{path} is missing")
            except OSError as error:
                found.append(f"{path} cannot be read ({error.strerror})")
        return found

    def require_intact(self, record: Record, handle_name: str) -> None:
        """Raise `VerificationError`, with the remedy, unless every file is as published."""
        found = self.problems(record)
        if found:
            raise VerificationError(
                f"{'; '.join(found)}. The artifact is damaged: restore the file, or compute it again "
                f"by adding force=[{handle_name}] to the command."
            )

    def empty_trash(self) -> None:
        """Delete everything in the trash."""
        remove_tree(self.root / "trash")


def _read_record(path: Path) -> Record | None:
    """Return the record of an artifact's directory, None where the directory holds none.

    Errors: `VerificationError` for a record that cannot be read or is not as it was written.
    """
    try:
        data = read_json(path / RECORD)
        sealed = isinstance(data, dict) and data.pop("record_sha256", None) == digest(data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        sealed = False
    if not sealed:
        raise VerificationError(
            f"{path / RECORD} is not as it was published. The artifact cannot be trusted: restore the "
            f"file, or compute it again by adding force=[{path.parent.name}] to the command."
        )
    return Record(path=path, data=data)


def _let_read(path: Path, *, like: Path) -> None:
    """Let whoever may read a directory read a file: some libraries write for their own user alone."""
    mode = path.stat().st_mode
    wanted = mode | (like.stat().st_mode & 0o444)
    if wanted != mode:
        path.chmod(wanted)


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
        if error.errno in _FULL or is_full(root):
            raise disk_full(root) from error
        where = error.filename or root
        raise StoreError(f"{where} cannot be used ({error.strerror or error}); see store=PATH.") from error


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
        f"(`lmexp gc` shows what can go) and give the same command again."
    )
