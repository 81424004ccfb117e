"""What is kept of the hub between runs, and believed only where it is what was put there.

    <cache>/hub/resolved/<dataset>-<digest>.json    the commit of a revision
    <cache>/hub/prepared/<dataset>-<digest>.json    where the Arrow files of a prepared split lie; sha256
    <cache>/hub/                                    HF_HOME: everything that `datasets` downloads

Each note is sealed and names what it is about; a file is hashed before it is read.
What does not agree is fetched again, never used: a damaged cache costs time. The hub's client names a
downloaded file by its hash (sha256, or git's sha1 of a small one), and half a file is not gone on with.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.core.values.files import sha256_file
from lmexp.core.values.fingerprint import digest
from lmexp.core.values.sealed import read_sealed, write_sealed

_BLOCK_BYTES = 2**20


class HubCache:
    """The part of a store's cache that is the hub's."""

    def __init__(self, cache: Path) -> None:
        self.home = cache / "hub"

    def commit(self, dataset: str, revision: str) -> str | None:
        """Return the commit that a revision was resolved to, where that is known."""
        about = {"dataset": dataset, "revision": revision}
        commit = _noted(self._note("resolved", about), about).get("commit")
        return commit if isinstance(commit, str) and re.fullmatch(r"[0-9a-f]{40}", commit) else None

    def keep_commit(self, dataset: str, revision: str, commit: str) -> None:
        """Remember the commit that a revision stands for."""
        about = {"dataset": dataset, "revision": revision}
        _write_note(self._note("resolved", about), about, {"commit": commit})

    def prepared(self, about: Mapping[str, Any]) -> list[Path] | None:
        """Return the prepared files of what `about` names, where each is as it was kept."""
        entries = _noted(self._note("prepared", about), about).get("files")
        if not isinstance(entries, list):
            return None
        try:
            files = [(self.home / entry["file"], entry["sha256"]) for entry in entries]
            whole = all(sha256_file(path) == expected for path, expected in files)
        except (OSError, KeyError, TypeError):
            return None
        return [path for path, _ in files] if whole else None

    def keep_prepared(self, about: Mapping[str, Any], files: Sequence[Path]) -> None:
        """Remember the files that were prepared for what `about` names."""
        entries = [{"file": os.path.relpath(path, self.home), "sha256": sha256_file(path)} for path in files]
        _write_note(self._note("prepared", about), about, {"files": entries})

    def discard_damaged_downloads(self, dataset: str) -> None:
        """Delete those downloaded files of a dataset that are not what their names say."""
        blobs = self.home / "hub" / f"datasets--{dataset.replace('/', '--')}" / "blobs"
        for path in blobs.glob("*"):
            if not _is_whole(path):
                path.unlink(missing_ok=True)

    def _note(self, kind: str, about: Mapping[str, Any]) -> Path:
        return self.home / kind / f"{about['dataset'].replace('/', '--')}-{digest(about)[:16]}.json"


def _noted(path: Path, about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a note says, nothing where it is missing, altered or about something else."""
    try:
        note = read_sealed(path)
    except (OSError, ValueError):
        return {}
    return note if note.get("about") == about else {}


def _write_note(path: Path, about: Mapping[str, Any], what: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sealed(path, {"about": dict(about), **what})


def _is_whole(path: Path) -> bool:
    if re.fullmatch(r"[0-9a-f]{64}", path.name):
        return sha256_file(path) == path.name
    size = path.stat().st_size
    found = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)  # as git names a file's content
    for block in _blocks(path):
        found.update(block)
    return found.hexdigest() == path.name


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block
