"""Replay: compute a published artifact again, from its record alone, and say where it differs.

The stage is found by its registered name, its config and the identities of its inputs come from the
record, and the result goes to scratch: the published artifact is never touched.
"""

import dataclasses
import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from lmexp.core.graph.extensions import (
    changed_extensions,
    extended,
    extensions_record,
    require_extensions,
)
from lmexp.core.graph.stage import registered_stage
from lmexp.core.provenance.drift import changed_since
from lmexp.core.running.difference import first_difference
from lmexp.core.running.launch import run_child
from lmexp.core.store.lease import Waiter
from lmexp.core.store.record import VOLATILE, Record, files_in
from lmexp.core.store.store import Store
from lmexp.core.values.config import build
from lmexp.core.values.files import remove_tree, sha256_file
from lmexp.core.values.registered import active_files
from lmexp.core.values.variables import child_environment
from lmexp.errors import ConfigError, StageError, StoreError


@dataclasses.dataclass(frozen=True)
class Replayed:
    """The outcome of one replay."""

    record: Record
    differing: Mapping[str, str]
    """Files whose bytes differ, are missing or are new, each with the first place and by how much."""
    changed: Sequence[str]
    """What of the code that made the artifact has been edited since."""


def replay(record: Record, store: Store) -> Replayed:
    """Compute the artifact again where it was computed and compare every file.

    Errors: `ConfigError` for a stage that is not registered, `StoreError` for a missing input,
    `StageError` when the stage fails.
    """
    try:
        stage = registered_stage(record.stage)
    except ConfigError as error:
        sentence = str(error).rstrip(".")
        raise ConfigError(
            f"{sentence}; lmexp runs no code because a store names it, so give the file that defines the "
            f"stage with --pipeline FILE."
        ) from None
    require_extensions(record)
    inputs = {}
    for key, entry in record.data["inputs"].items():
        found = store.find(entry["stage"], entry["fingerprint"])
        if found is None:
            raise StoreError(f"{record.name} needs {entry['path']}, which is no longer in the store.")
        store.require_intact(found, key)
        require_extensions(found)
        inputs[key] = {"path": str(found.path)}
    attempt = store.root / "scratch" / f"replay-{uuid.uuid4().hex[:8]}"
    lease = Waiter(store.leases(attempt.name), stale_after_s=30.0).try_acquire()
    assert lease is not None, "the name is new"
    (attempt / "out").mkdir(parents=True)
    (attempt / "work" / "checkpoints").mkdir(parents=True)
    segment = record.data["segments"][-1]
    extensions = extensions_record(extended(build(stage.config_class, segment["config"])))
    spec = {
        "stage": stage.name,
        "provider": stage.provider,
        "code": stage.code(),
        "extensions": [str(path) for path in active_files()],
        "extensions_code": extensions,
        "attempt": str(attempt),
        "cache": str(store.cache),
        "config": segment["config"],
        "content": record.data["content"],
        "inputs": inputs,
        "world_size": segment["world_size"],
    }
    try:
        outcome = run_child(
            spec, environment=_variables(segment), can_stop=False, grace_s=0.0, tick=lambda: "go"
        )
        if outcome.status != "complete":
            raise StageError(f"the replay of {record.name} failed: {outcome.message}")
        out = attempt / "out"
        new = {name: sha256_file(out / name) for name in files_in(out)}
        old = record.content_hashes()
        names = [n for n in sorted({*old, *new} - VOLATILE) if old.get(n) != new.get(n)]
        differing = {name: first_difference(record.path / name, out / name) for name in names}
    finally:
        remove_tree(attempt)
        lease.release()
    changed = changed_extensions(record.data.get("extensions", ()), extensions)
    return Replayed(record, differing, [*changed, *changed_since(record.data, store.code)])


def _variables(segment: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a segment's process: kernels were chosen as its record says."""
    return child_environment(
        os.environ,
        threads=segment["threads"],
        own=segment.get("own_variables", ()),
        kernels=segment.get("variables"),
    )
