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
import errno
import functools
import os
import shutil
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmexp.core.provenance.drift import CodeReader
from lmexp.core.store.record import RECORD, Record, files_in, read_record
from lmexp.core.store.root import is_store, make_store, require_store
from lmexp.core.values.files import FileHasher, fsync_path, remove_tree
from lmexp.core.values.fingerprint import SHORT
from lmexp.core.values.sealed import write_sealed
from lmexp.errors import LeaseLost, StageError, StoreError, VerificationError

FORMAT = 1
"""Of a record."""
CODE = "code.json"
HASHES = "hashes.json"
"""In the cache: the hashes of files outside of the store, remembered."""


class Store:
    """Artifacts below one root directory on a POSIX file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @functools.cached_property
    def hasher(self) -> FileHasher:
        """Hashes files, and remembers in the cache what they were; in no directory that is no store."""
        return FileHasher(self.cache / HASHES if is_store(self.root) else None)

    @property
    def cache(self) -> Path:
        """Directory of what was looked up or downloaded; it can be deleted at any time."""
        return self.root / "cache"

    @functools.cached_property
    def code(self) -> CodeReader:
        """What the Python files of lmexp and of the user hold now; it remembers as the hasher does."""
        return CodeReader(self.cache / CODE if is_store(self.root) else None)

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
        """Create the root, or check it.

        Errors: `ConfigError` where it cannot be created or written or is something else; `StoreError`
        for a full disk.
        """
        make_store(self.root)

    def require(self) -> None:
        """Raise `ConfigError` where no run has ever made this directory a store."""
        require_store(self.root)

    def find(self, stage: str, fingerprint: str, name: str | None = None) -> Record | None:
        """Return the artifact with this fingerprint, or None; `name` is what the user calls its stage.

        Errors: `VerificationError`, with the remedy, where its directory is there and its record is not,
        or is not as it was published: a name that is taken is not an artifact that is published.
        """
        for path in self._places(stage, fingerprint):
            try:
                record = _record_at(path)
            except VerificationError as error:
                raise VerificationError(
                    f"{error}. The artifact cannot be trusted: restore the file, or compute it again by "
                    f"adding force=[{name or stage}] to the command."
                ) from None
            if record.fingerprint == fingerprint:
                return record
        return None

    def records(self, stage: str | None = None) -> list[Record]:
        """Return all published artifacts with intact records, of one stage or of all, oldest first."""
        return self.records_where(lambda _stage, _name: True, stage=stage)

    def records_where(self, wanted: Callable[[str, str], bool], *, stage: str | None = None) -> list[Record]:
        """Return the intact records of the artifacts whose stage and name are wanted, oldest first.

        No other record is read. A name ends with the first characters of its artifact's fingerprint.
        """
        found, _ = self._read_all(stage, wanted)
        return sorted(found, key=lambda r: str(r.data["finished"]))

    def newest_records(self, stage: str, count: int) -> list[Record]:
        """Return the intact records among the newest `count` artifacts of a stage, newest first."""
        folder = self.root / "artifacts" / stage
        places = list(os.scandir(folder)) if folder.is_dir() else []
        newest = sorted(places, key=_modified, reverse=True)[:count]
        found = []
        for entry in newest:
            with contextlib.suppress(VerificationError):
                found.append(_record_at(Path(entry.path)))
        return sorted(found, key=lambda r: str(r.data["finished"]), reverse=True)

    def damaged_records(self) -> list[str]:
        """Return one sentence for all that lies among the artifacts and is none that can be trusted."""
        _, damaged = self._read_all(None, lambda _stage, _name: True)
        folder = self.root / "artifacts"
        strays = [p for p in folder.glob("*") if not p.is_dir() or p.is_symlink()]
        return sorted([*damaged, *(f"{path} is no stage's directory of artifacts" for path in strays)])

    def _read_all(
        self, stage: str | None, wanted: Callable[[str, str], bool]
    ) -> tuple[list[Record], list[str]]:
        found, damaged = [], []
        folder = self.root / "artifacts"
        stages = [stage] if stage is not None else sorted(os.listdir(folder)) if folder.is_dir() else []
        for stage_name in stages:
            for name in self.names(stage_name):
                if not wanted(stage_name, name):
                    continue
                try:
                    found.append(_record_at(folder / stage_name / name))
                except VerificationError as error:
                    damaged.append(str(error))
        return found, damaged

    def _places(self, stage: str, fingerprint: str) -> list[Path]:
        """Return what lies where an artifact of this fingerprint is published, whatever it is."""
        return [self.root / "artifacts" / stage / name for name in self.names(stage, fingerprint[:SHORT])]

    def names(self, stage: str, short: str = "") -> list[str]:
        """Return the names, in order, of what lies among a stage's artifacts; no record is read.

        With `short`, those alone that end as an artifact with this beginning of a fingerprint does.
        """
        try:
            names = os.listdir(self.root / "artifacts" / stage)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if name.endswith(f"-{short}")) if short else sorted(names)

    def publish(
        self,
        out: Path,
        data: dict[str, Any],
        *,
        replaces: Record | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Record:
        """Hash every file in `out`, write the record and rename the directory into place.

        With `replaces`, that artifact goes to the trash first, unless the new one is identical:
        then the old one stays and `out` is dropped. `check` is called when all is ready and nothing
        published has been touched; what it raises keeps things so.

        Errors: `LeaseLost` when another process has published the same fingerprint meanwhile;
        `StageError` for what is no file; `StoreError` where another artifact has the name.
        """
        _own_files(out)
        files = {}
        for name in files_in(out):
            path = out / name
            _let_read(path, like=out)
            fsync_path(path)
            files[name] = {"size": path.stat().st_size, "sha256": self.hasher.again(path)}
        data = {"format": FORMAT, **data, "files": files}
        target = self.root / "artifacts" / data["stage"] / f"{data['label']}-{data['fingerprint'][:SHORT]}"
        new = Record(path=target, data=data)
        same = replaces is not None and replaces.content_hashes() == new.content_hashes()
        if replaces is not None and same and not self.problems(replaces):
            remove_tree(out)
            return replaces
        write_sealed(out / RECORD, data)
        fsync_path(out)
        target.parent.mkdir(parents=True, exist_ok=True)
        check()
        if replaces is not None:
            self.discard(replaces.path)
        elif self.find(data["stage"], data["fingerprint"]) is not None:
            raise LeaseLost(f"{target} was published by another process meanwhile.")
        try:
            out.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            if self.find(data["stage"], data["fingerprint"]) is not None:
                raise LeaseLost(f"{target} was published by another process meanwhile.") from None
            raise StoreError(f"{target} is taken by something else; move it out of the store.") from None
        fsync_path(target.parent)
        return new

    def discard(self, path: Path) -> None:
        """Move an artifact's directory, or what lies in the place of lmexp's own, to the trash."""
        target = self.trash_for(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)

    def trash_for(self, path: Path) -> Path:
        """Return a new name in the trash for something of the store."""
        return self.root / "trash" / f"{path.parent.name}-{path.name}-{uuid.uuid4().hex[:8]}"

    def discard_damaged(self, stage: str, fingerprint: str) -> None:
        """Move what lies where an artifact of this fingerprint belongs, and is none, to the trash."""
        for path in self._places(stage, fingerprint):
            try:
                _record_at(path)
            except VerificationError:
                self.discard(path)

    def problems(self, record: Record, *, reread: bool = False) -> list[str]:
        """Return one sentence for each file that is not as published, or was not published at all.

        A file whose size, times and inode are as they were when it was last hashed is trusted,
        unless `reread` asks for every byte.
        """
        hasher = FileHasher() if reread else self.hasher
        found = []
        for name, entry in record.data["files"].items():
            path = record.path / name
            try:
                now = path.stat()
                if not stat.S_ISREG(now.st_mode):
                    found.append(f"{path} is no file any more")
                elif now.st_size != entry["size"]:
                    found.append(f"{path} has {now.st_size} bytes instead of {entry['size']}")
                elif hasher(path) != entry["sha256"] and hasher.again(path) != entry["sha256"]:
                    found.append(f"{path} has other bytes than were published (sha256 differs)")
            except FileNotFoundError:
                found.append(f"{path} is missing")
            except OSError as error:
                found.append(f"{path} cannot be read ({error.strerror})")
        foreign = (name for name in files_in(record.path) if name not in record.data["files"])
        return [*found, *(f"{record.path / name} was not published with it" for name in foreign)]

    def require_intact(self, record: Record, handle_name: str) -> None:
        """Raise `VerificationError`, with the remedy, unless the files are those that were published."""
        found = self.problems(record)
        if found:
            raise VerificationError(
                f"{'; '.join(found)}. The artifact is damaged: restore what was published, or compute it "
                f"again by adding force=[{handle_name}] to the command."
            )


def _record_at(path: Path) -> Record:
    """Return the record of the artifact published at `path`. Errors: `VerificationError`."""
    record = read_record(path)
    if record.stage != path.parent.name or not path.name.endswith(f"-{record.fingerprint[:SHORT]}"):
        raise VerificationError(f"{path} holds the record of another artifact, {record.fingerprint[:SHORT]}")
    return record


def _modified(entry: "os.DirEntry[str]") -> int:
    """Return when an artifact's directory was last changed; the beginning of time for one that is gone."""
    try:
        return entry.stat().st_mtime_ns
    except OSError:
        return 0


def _own_files(out: Path) -> None:
    """Put in place of each link a copy of the file that it stands for: an artifact is whole by itself.

    Errors: `StageError` for a link to anything else, and for what is no file.
    """
    for name in files_in(out):
        path = out / name
        if not path.is_file():
            raise StageError(f"the stage left {name!r}, which is no file; let it write files.")
        if path.is_symlink():
            source = path.resolve()
            path.unlink()
            shutil.copyfile(source, path)


def _let_read(path: Path, *, like: Path) -> None:
    """Let whoever may read a directory read a file: some libraries write for their own user alone."""
    mode = path.stat().st_mode
    wanted = mode | (like.stat().st_mode & 0o444)
    if wanted != mode:
        path.chmod(wanted)
