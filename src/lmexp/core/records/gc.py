"""Garbage collection: mark from runs, sweep the rest; nothing goes without `delete`.

Kept are the artifacts of every named run (of all runs where none is named), of every run that goes on
at this moment, and whatever a process computes now. Everything else can be computed again, as long as
the files outside the store that some artifacts were made from are still there. Where the record of a run
is lost nobody knows what it needs, and nothing is garbage until it is known.

Only what has a name that lmexp gives goes, and only from a store. Downloads in the cache are swept only
on demand, since they may be slow or gone at their origin, and never while a run goes on.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lmexp.core.records.runs import find_run, list_runs, lost_runs
from lmexp.core.store.disk import directory_bytes
from lmexp.core.store.lease import collect, is_held
from lmexp.core.store.record import Record
from lmexp.core.store.store import Store
from lmexp.core.values.files import remove_tree
from lmexp.errors import ConfigError, StoreError

_SCRATCH = re.compile(r"[0-9a-f]{64}|replay-[0-9a-f]{8}")
_TRASH = re.compile(r".+-[0-9a-f]{8}")
_DOWNLOADS = ("downloads", "curves", "hub/*")
_KEPT_DOWNLOADS = frozenset({"resolved"})
"""Which commit a revision stood for: nothing else says it once the revision has moved on."""


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
    _require_known(store)
    marked = _marked(store, keep)
    found = [
        Garbage(record.path, record.num_bytes, _reason(record), record.fingerprint)
        for record in store.records()
        if record.fingerprint not in marked
    ]
    for path in _named(store.root / "scratch", _SCRATCH):
        if path.name not in marked and not is_held(store.leases(path.name)):
            size = directory_bytes(path)
            found.append(Garbage(path, size, "an attempt that nobody continues", path.name))
    if downloads:
        busy = [r.name for r in list_runs(store) if r.status == "running"]
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
    _require_known(store)
    deleted = []
    for item in garbage:
        if item.fingerprint is not None and (
            item.fingerprint in _marked(store, keep) or is_held(store.leases(item.fingerprint))
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


def _require_known(store: Store) -> None:
    """Raise where it cannot be known what is needed."""
    store.require()
    lost = lost_runs(store)
    if lost:
        raise StoreError(f"it is not known what can go: {lost[0]}")
    if not store.runs.is_dir() and store.records():
        raise StoreError(
            f"it is not known what can go: {store.runs} is gone; restore it, or make an empty directory of "
            f"that name if none of its runs is wanted."
        )


def _named(folder: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    """Yield what lies in a directory of the store and has a name that lmexp gives."""
    return (path for path in sorted(folder.glob("*")) if pattern.fullmatch(path.name))


def _marked(store: Store, keep: Sequence[str]) -> set[str]:
    """Return the fingerprints of the named runs, or of all, and of the runs that go on now."""
    named = {find_run(store, name).name for name in keep}
    runs = [r for r in list_runs(store) if not keep or r.name in named or r.status == "running"]
    return {fingerprint for run in runs for fingerprint in run.fingerprints}


def _reason(record: Record) -> str:
    """Return why an artifact can go, and what that asks of whoever wants it again."""
    outside = ", and it was made from files outside the store" if record.data["content"] else ""
    return f"no kept run uses it{outside}"
