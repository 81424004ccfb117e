"""Garbage collection: mark from runs, sweep the rest; nothing goes without `delete`.

Kept are the artifacts of every named run (of all runs where none is named), of every run that goes on
at this moment, and whatever a process computes now. Everything else can be computed again, as long as
the files outside the store that some artifacts were made from are still there.

Downloads in the cache are swept only on demand, since they may be slow or gone at their origin, and
never while a run goes on.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from lmexp.core.disk import directory_bytes
from lmexp.core.files import remove_tree
from lmexp.core.lease import is_held
from lmexp.core.record import Record
from lmexp.core.runs import find_run, list_runs
from lmexp.core.store import Store
from lmexp.errors import ConfigError


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

    Errors: `ConfigError` for a name that is no run, or for downloads while a run goes on.
    """
    marked = _marked(store, keep)
    found = [
        Garbage(record.path, record.num_bytes, _reason(record), record.fingerprint)
        for record in store.records()
        if record.fingerprint not in marked
    ]
    for path in sorted((store.root / "scratch").glob("*")):
        if path.name in marked:  # a kept run goes on from there
            continue
        if re.fullmatch(r"[0-9a-f]{64}|replay-[0-9a-f]{8}", path.name) and not is_held(
            store.leases(path.name)
        ):
            size = directory_bytes(path)
            found.append(Garbage(path, size, "an attempt that nobody continues", path.name))
    if downloads:
        busy = [r.name for r in list_runs(store) if r.status == "running"]
        if busy:
            raise ConfigError(f"{busy[0]} goes on and may need its downloads; wait until it has ended.")
        found += [
            Garbage(path, directory_bytes(path), "can be downloaded again")
            for path in sorted([*store.cache.glob("*/"), *store.cache.glob("hub/*/")])
            if path.name not in {"hub", "resolved"}  # which commit a revision stood for
        ]
    trash = store.root / "trash"
    if trash.exists():
        found.append(Garbage(trash, directory_bytes(trash), "was replaced"))
    return found


def sweep(store: Store, garbage: Sequence[Garbage], keep: Sequence[str] = ()) -> list[Garbage]:
    """Delete the garbage and return what was deleted: all but what a run has come to need since it was found.

    `keep` is what it was found with. An artifact leaves by one rename first, so that no reader ever
    sees half of one.
    """
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
    remove_tree(store.root / "trash")
    return deleted


def _marked(store: Store, keep: Sequence[str]) -> set[str]:
    """Return the fingerprints of the named runs, or of all, and of the runs that go on now."""
    named = {find_run(store, name).name for name in keep}
    runs = [r for r in list_runs(store) if not keep or r.name in named or r.status == "running"]
    return {fingerprint for run in runs for fingerprint in run.fingerprints}


def _reason(record: Record) -> str:
    """Return why an artifact can go, and what that asks of whoever wants it again."""
    outside = ", and it was made from files outside the store" if record.data["content"] else ""
    return f"no kept run uses it{outside}"
