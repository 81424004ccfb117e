"""Garbage collection: mark from runs, sweep the rest; nothing goes without `delete`.

Kept are the artifacts of every named run (of all runs where none is named), of every run that goes on
at this moment, and whatever a process computes now. Everything else can be computed again, as long as
the files outside the store that some artifacts were made from are still there. Where the record of a run
is lost nobody knows what it needs, and nothing is garbage until it is known.

Only what has a name that lmexp gives goes, and only from a store. Downloads in the cache are swept only
on demand, since they may be slow or gone at their origin, and never while a run goes on.
"""

import contextlib
import dataclasses
import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lmexp.core.records.runs import RUN, Run, find_run, read_all
from lmexp.core.store.disk import directory_bytes
from lmexp.core.store.lease import collect, is_held
from lmexp.core.store.record import Record
from lmexp.core.store.store import Store
from lmexp.core.values.files import remove_tree
from lmexp.core.values.fingerprint import SHORT
from lmexp.errors import ConfigError, StoreError

_SCRATCH = re.compile(r"[0-9a-f]{64}|replay-[0-9a-f]{8}")
_TRASH = re.compile(r".+-[0-9a-f]{8}")
_DOWNLOADS = ("downloads", "curves", "hub/*")
_KEPT_DOWNLOADS = frozenset({"resolved"})
"""Which commit a revision stood for: nothing else says it once the revision has moved on."""
_BETWEEN = 4
"""A sweep looks at the runs again when four times as long has passed as the last look took, which is some
hundredths of a second for a thousand runs: to look before each deletion would be quadratic."""


@dataclasses.dataclass(frozen=True)
class Garbage:
    """A directory that no kept run needs."""

    path: Path
    num_bytes: int
    reason: str
    fingerprint: str | None = None
    """Of the artifact, or of what an attempt was to become; None where no run can come to need it."""


def find_garbage(store: Store, keep: Sequence[str] = (), *, downloads: bool = False) -> list[Garbage]:
    """Return what a sweep would delete, with `downloads` also what the cache holds of them.

    Errors: `ConfigError` for no store, a name that is no run, or for downloads while a run goes on;
    `StoreError` where the record of a run, or of all, is lost.
    """
    runs = _Runs(store)
    marked = runs.marked(keep)
    shorts = {fingerprint[:SHORT] for fingerprint in marked}
    found = [
        Garbage(record.path, record.num_bytes, _reason(record), record.fingerprint)
        for record in store.records_where(lambda _stage, name: name[-SHORT:] not in shorts)
    ]
    for path in _named(store.root / "scratch", _SCRATCH):
        if path.name not in marked and not is_held(store.leases(path.name)):
            size = directory_bytes(path)
            found.append(Garbage(path, size, "an attempt that nobody continues", path.name))
    if downloads:
        busy = [r.name for r in runs.now() if r.status == "running"]
        if busy:
            raise ConfigError(f"{busy[0]} goes on and may need its downloads; wait until it has ended.")
        found += [
            Garbage(path, directory_bytes(path), "can be downloaded again")
            for pattern in _DOWNLOADS
            for path in sorted(store.cache.glob(f"{pattern}/"))
            if path.name not in _KEPT_DOWNLOADS
        ]
    trash = _named(store.root / "trash", _TRASH)
    return [*found, *(Garbage(path, directory_bytes(path), "was replaced") for path in trash)]


def sweep(store: Store, garbage: Sequence[Garbage], keep: Sequence[str] = ()) -> list[Garbage]:
    """Delete the garbage and return what was deleted: all but what a run has come to need since it was found.

    `keep` is what it was found with. An artifact leaves by one rename first, so that no reader ever
    sees half of one.
    Errors: as `find_garbage`.
    """
    runs = _Runs(store)
    deleted = []
    marked: set[str] = set()
    took = ended = -math.inf
    for item in garbage:
        if time.monotonic() - ended > _BETWEEN * took:
            began = time.monotonic()
            marked = runs.marked(keep)
            ended = time.monotonic()
            took = ended - began
        if item.fingerprint is not None and (
            item.fingerprint in marked or is_held(store.leases(item.fingerprint))
        ):
            continue
        if item.path.is_relative_to(store.root / "artifacts"):
            store.discard(item.path)
        else:
            remove_tree(item.path)
        deleted.append(item)
    for path in (store.root / "leases").glob("*/"):  # of no size, and of no use without an attempt
        if not store.scratch(path.name).exists():
            collect(path, store.trash_for(path))
    for path in _named(store.root / "trash", _TRASH):
        remove_tree(path)
    return deleted


class _Runs:
    """The runs of a store as they are at each look, of which only what has changed is read again.

    A run's record is replaced by a rename, so that another state of it is another file.
    Errors: `ConfigError` for no store; `StoreError` where it cannot be known what is needed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, tuple[tuple[int, int, int], Run]] = {}
        store.require()
        lost = self._look()
        if lost:
            raise StoreError(f"it is not known what can go: {lost[0]}")
        if not store.runs.is_dir() and store.records():
            raise StoreError(
                f"it is not known what can go: {store.runs} is gone; restore it, or make an empty directory "
                f"of that name if none of its runs is wanted."
            )

    def now(self) -> list[Run]:
        """Return all runs whose records can be read or rebuilt."""
        self._look()
        return [run for _, run in self._seen.values()]

    def marked(self, keep: Sequence[str]) -> set[str]:
        """Return the fingerprints of the named runs, or of all, and of the runs that go on now."""
        named = {find_run(self._store, name).name for name in keep}
        runs = [r for r in self.now() if not keep or r.name in named or r.status == "running"]
        return {fingerprint for run in runs for fingerprint in run.fingerprints}

    def _look(self) -> list[str]:
        """Read what has changed; return a sentence for each run whose record is lost."""
        states: dict[str, tuple[int, int, int]] = {}
        folders = list(os.scandir(self._store.runs)) if self._store.runs.is_dir() else []
        for entry in folders:
            with contextlib.suppress(OSError):  # without a record it is read each time
                stat = os.stat(os.path.join(entry.path, RUN))
                states[entry.name] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        kept = {name: seen for name, seen in self._seen.items() if name in states and states[name] == seen[0]}
        changed = [Path(entry.path) for entry in folders if entry.name not in kept and entry.is_dir()]
        found, lost = read_all(self._store, sorted(changed))
        self._seen = kept | {run.name: (states.get(run.name, (0, 0, 0)), run) for run in found}
        return list(lost.values())


def _named(folder: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    """Yield what lies in a directory of the store and has a name that lmexp gives."""
    return (path for path in sorted(folder.glob("*")) if pattern.fullmatch(path.name))


def _reason(record: Record) -> str:
    """Return why an artifact can go, and what that asks of whoever wants it again."""
    outside = ", and it was made from files outside the store" if record.data["content"] else ""
    return f"no kept run uses it{outside}"
