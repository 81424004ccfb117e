"""Verification: everything in a store that is not as lmexp wrote it, one sentence each.

Artifacts are read to the last byte. Records, sweeps, pages and what is remembered carry seals. What has
none is what an earlier version wrote: it is compared with the artifacts and counted, and is no problem.
wandb's own recordings and logs are not lmexp's to judge: no verb reads them.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from lmexp.core.records.runs import (
    INVOCATIONS,
    OTHERS,
    PAGE,
    RUN,
    TRACKING,
    Run,
    damaged_invocations,
    list_runs,
    lost_runs,
)
from lmexp.core.records.sweeps import SWEEP, read_sweep_file
from lmexp.core.store.lease import is_held, lease_problems
from lmexp.core.store.record import Record
from lmexp.core.store.root import MARKER, NOTHING
from lmexp.core.store.store import CODE, HASHES, Store
from lmexp.core.values.files import is_leftover, is_memory
from lmexp.core.values.sealed import is_sealed_page, read_sealed

_ROOMS = ("artifacts", "runs", "scratch", "leases", "trash", "cache", "sweeps")
_CACHE_FOLDERS = ("curves", "downloads", "hub")
_RUN_FOLDERS = ("wandb", "wandb-data")
_DASHBOARD = re.compile(r"dashboard(-.*)?\.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verified:
    """What was found."""

    num_artifacts: int
    problems: tuple[str, ...]
    num_unsealed: int
    """Records that an earlier version wrote and that agree with the artifacts."""


def verify_artifacts(store: Store, records: list[Record]) -> Verified:
    """Read every byte of some artifacts."""
    problems = [problem for record in records for problem in store.problems(record, reread=True)]
    return Verified(num_artifacts=len(records), problems=tuple(problems), num_unsealed=0)


def verify_store(store: Store) -> Verified:
    """Read everything."""
    records = store.records()
    found = [*store.damaged_records(), *verify_artifacts(store, records).problems, *lost_runs(store)]
    unsealed = 0
    metrics = {(r.stage, r.fingerprint): r.metrics for r in records}
    for run in list_runs(store):
        found += _run_problems(run, metrics)
        unsealed += run.seal == "not sealed"
    found += [*_strays(store), *_sweep_problems(store), *_cache_problems(store)]
    for path in sorted((store.root / "leases").glob("*/")):
        if not is_held(path):
            found += lease_problems(path)
    return Verified(num_artifacts=len(records), problems=tuple(found), num_unsealed=unsealed)


def _run_problems(run: Run, metrics: dict[tuple[str, str], dict[str, float]]) -> Iterator[str]:
    if run.seal == "rebuilt":
        yield (
            f"{run.path / RUN} is missing or not as lmexp wrote it; what its last invocation noted is used "
            f"instead, and the run's command writes it anew"
        )
    # a sealed record is what the run measured then, also where force has replaced an artifact since
    for name, entry in run.stages.items() if run.seal == "not sealed" else ():
        for key, value in metrics.get((entry["stage"], entry["fingerprint"]), {}).items():
            said = run.metrics.get(f"{name}/{key}")
            if said != value:
                yield f"{run.path / RUN} says {said} for {name}/{key}, and the artifact {value}"
    lines = run.path / INVOCATIONS
    if run.data.get("finished") and lines.is_file() and not lines.stat().st_size:
        yield f"{lines} is empty, although the run has ended; its next invocation begins it anew"
    for number in damaged_invocations(run.path):
        yield f"line {number} of {run.path / INVOCATIONS} is not as lmexp wrote it, and is left out"
    for path in _entries(run.path):
        if path.name in {RUN, INVOCATIONS, *OTHERS}:
            yield from _file_problems(path)
        elif not (path.name in _RUN_FOLDERS and path.is_dir()):
            yield f"{path} is nothing that lmexp wrote"


def _file_problems(path: Path) -> Iterator[str]:
    if not path.is_file():
        yield f"{path} is no file"
    elif path.name == PAGE and not is_sealed_page(path):
        yield f"{path} is not as lmexp wrote it; lmexp report writes it anew"
    elif path.name == TRACKING and not _is_sealed(path):
        yield f"{path} is not as lmexp wrote it, and is not used"


def _strays(store: Store) -> Iterator[str]:
    """Yield what lies in the store and is in none of its rooms."""
    for path in _entries(store.root):
        if path.name in NOTHING:
            continue
        is_room = path.name in _ROOMS and path.is_dir()
        if not is_room and path.name != MARKER and not _DASHBOARD.fullmatch(path.name):
            yield f"{path} is nothing that lmexp wrote"
    for room in ("runs", "sweeps", "leases"):
        for path in _entries(store.root / room):
            if not path.is_dir():
                yield f"{path} is nothing that lmexp wrote"


def _sweep_problems(store: Store) -> Iterator[str]:
    for folder in sorted((store.root / "sweeps").glob("*/")):
        for path in (folder / SWEEP, *_entries(folder / "points")):
            if read_sweep_file(path) is None:
                yield f"{path} is missing or not as lmexp wrote it; the sweep's command writes it anew"
        for path in _entries(folder):
            if path.name == PAGE:
                yield from _file_problems(path)
            elif path.name not in {SWEEP, "points"}:
                yield f"{path} is nothing that lmexp wrote"


def _cache_problems(store: Store) -> Iterator[str]:
    memories = {HASHES: is_memory, CODE: _is_sealed}
    for path in _entries(store.cache):
        if path.name in _CACHE_FOLDERS:
            continue
        if path.name not in memories:
            yield f"{path} is nothing that lmexp wrote"
        elif not memories[path.name](path):
            yield f"{path} is not as lmexp wrote it, and is not used; the next run writes it anew"
    for path in _entries(store.cache / "curves"):
        if not _is_sealed(path):
            yield f"{path} is not as lmexp wrote it, and is not used; lmexp report writes it anew"


def _entries(folder: Path) -> list[Path]:
    """Return what lies in a directory, but for what a writer that was killed has left half-written."""
    return sorted(path for path in folder.glob("*") if not is_leftover(path))


def _is_sealed(path: Path) -> bool:
    try:
        read_sealed(path)
    except (OSError, ValueError):
        return False
    return True
