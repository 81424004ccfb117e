"""What a run would do, stage by stage, and why: pure functions of handles and the store.

Every stage is in one of four states. *reuse*: its artifact is published. *wait*: another process
computes it now. *resume*: an earlier attempt left a checkpoint. *run*: none of these; the reason is
the difference, field by field, from the nearest artifact of the same stage.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lmexp.core.graph.extensions import Extended, changed_extensions, extended, extensions_record
from lmexp.core.graph.stage import Handle
from lmexp.core.provenance.drift import changed_code, changed_since, named
from lmexp.core.store.attempt import newest_checkpoint
from lmexp.core.store.lease import holder, is_held
from lmexp.core.store.record import Record
from lmexp.core.store.store import Store
from lmexp.core.values.config import completed
from lmexp.core.values.fingerprint import fingerprint
from lmexp.errors import ConfigError, VerificationError, nearest

Action = Literal["reuse", "run", "resume", "wait"]
ABSENT = "(none)"
"""The value of a key that a mapping lacks, where it is compared with another."""
_LONGEST = 60
"""Characters of a value in a reason."""
_FOLLOWS = "follows"
_FIELDS = 3
"""Differing fields in a reason."""
_COMPARED = 64
"""Artifacts among which the nearest is looked for: reading the records of a large store takes seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """One handle of the pipeline with its fingerprint and what the store holds of it."""

    name: str
    handle: Handle
    fingerprint: str
    content: Mapping[str, str]
    code: Sequence[str] | None
    """What stands for the user's own code; None where the stage states a version."""
    extensions: Sequence[Extended]
    """The user's files whose kinds its configuration holds: their code is identity."""
    inputs: Mapping[str, str]
    """Input name to the name of the handle that provides it."""
    input_fingerprints: Mapping[str, str]
    force: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What would happen to one planned stage, and the reason in one line."""

    action: Action
    reason: str
    record: Record | None
    changed: Sequence[str] = ()
    """What of the code that made a reused artifact has been edited since."""

    @property
    def is_own_reason(self) -> bool:
        """Whether a stage runs for a reason of its own, and not since one before it does."""
        return self.action == "run" and not self.reason.startswith(_FOLLOWS)


class Plan:
    """The stages of a pipeline in an order in which they can run."""

    def __init__(self, stages: Sequence[PlannedStage]) -> None:
        self.stages = tuple(stages)
        self.by_name = {s.name: s for s in stages}

    def verdicts(self, store: Store) -> dict[str, Verdict]:
        """Return what would happen to each stage, by handle name, in order."""
        result: dict[str, Verdict] = {}
        for planned in self.stages:
            result[planned.name] = _verdict(planned, store, result)
        if store.root.exists():  # a plan alone leaves nothing behind
            store.code.save()
        return result


def make_plan(
    handles: Mapping[str, Handle],
    store: Store,
    *,
    force: Sequence[str] = (),
    only: Sequence[str] = (),
) -> Plan:
    """Order the handles of a pipeline, with all that they need, and compute their fingerprints.

    `force` and `only` name handles. Files that configs point at are hashed here (and remembered).

    Errors: `ConfigError` for a name in `force` or `only` that is no handle; `DataError` from a
    stage whose external files cannot be read.
    """
    for option, chosen in (("force", force), ("only", only)):
        for name in chosen:
            if name not in handles:
                raise ConfigError(
                    f"{option} names {name!r}, which is no stage of this pipeline "
                    f"({', '.join(handles)}){nearest(name, handles)}."
                )
    names = {id(handle): name for name, handle in handles.items()}
    planned: dict[str, PlannedStage] = {}

    def visit(handle: Handle) -> PlannedStage:
        name = names.setdefault(id(handle), handle.stage.name)
        if name in planned:
            if planned[name].handle is not handle:
                raise ConfigError(f"two stages of the pipeline are named {name!r}; return them by two names.")
            return planned[name]
        inputs = {key: visit(value) for key, value in handle.inputs.items()}
        content = handle.stage.content(handle.config, store.hasher) if handle.stage.content else {}
        code, extensions = handle.stage.code(), extended(handle.config)
        fingerprints = {key: value.fingerprint for key, value in inputs.items()}
        planned[name] = PlannedStage(
            name=name,
            handle=handle,
            fingerprint=fingerprint(
                stage=handle.stage.name,
                version=handle.stage.version,
                config=handle.identity(),
                content=content,
                inputs=fingerprints,
                code=code,
                extensions=sorted({line for one in extensions for line in one.code}),
            ),
            content=content,
            code=code,
            extensions=extensions,
            inputs={key: value.name for key, value in inputs.items()},
            input_fingerprints=fingerprints,
            force=name in force,
        )
        return planned[name]

    for name, handle in handles.items():
        if not only or name in only:
            visit(handle)
    if store.root.exists():  # a plan alone leaves nothing behind
        store.hasher.save()
    return Plan(list(planned.values()))


def _verdict(planned: PlannedStage, store: Store, before: Mapping[str, Verdict]) -> Verdict:
    try:
        record = store.find(planned.handle.stage.name, planned.fingerprint)
    except VerificationError:
        if not planned.force:
            raise
        record = None
    if record is not None and not planned.force:
        changed = changed_since(record.data, store.code)
        since = f"; changed since: {named(changed)}" if changed else ""
        reason = f"published as {record.name}{since}"
        return Verdict(action="reuse", reason=reason, record=record, changed=changed)
    if is_held(store.leases(planned.fingerprint)):
        who = holder(store.leases(planned.fingerprint)) or {}
        reason = f"process {who.get('pid')} on {who.get('host')} computes it"
        return Verdict(action="wait", reason=reason, record=None)
    checkpoint = newest_checkpoint(store.scratch(planned.fingerprint))
    if checkpoint is not None:
        return Verdict(action="resume", reason=f"continues from {_step_of(checkpoint)}", record=None)
    if planned.force:
        return Verdict(action="run", reason="force names it", record=record)
    return Verdict(action="run", reason=_why_run(planned, store, before), record=None)


def _step_of(checkpoint: Path) -> str:
    return f"step {int(checkpoint.stem.partition('-')[2])}"


def _why_run(planned: PlannedStage, store: Store, before: Mapping[str, Verdict]) -> str:
    """Return what differs from the nearest of the newest artifacts; inputs only where nothing else does."""
    records = store.newest_records(planned.handle.stage.name, _COMPARED)
    compared = [(own_differences(r, planned), _other_inputs(r, planned), r) for r in records]
    if not compared:
        return "new"
    fields, inputs, record = min(compared, key=lambda found: len(found[0]) + len(found[1]))
    if fields:
        more = f"; {len(fields) - _FIELDS} more" if len(fields) > _FIELDS else ""
        return f"{'; '.join(fields[:_FIELDS])}{more} (nearest: {record.name})"
    running = [source for key, source in planned.inputs.items() if before[source].action != "reuse"]
    if running:
        return f"{_FOLLOWS} {', '.join(dict.fromkeys(running))}"
    return f"new with this {' and '.join(inputs)}" if inputs else f"{record.name} is of no use"


def _other_inputs(record: Record, planned: PlannedStage) -> list[str]:
    """Return the inputs for which an artifact had others."""
    before = record.data["inputs"]
    return [k for k, v in planned.input_fingerprints.items() if before.get(k, {}).get("fingerprint") != v]


def own_differences(record: Record, planned: PlannedStage) -> list[str]:
    """Return the differences, inputs apart, that explain why an artifact is not the planned one."""
    cls, data = type(planned.handle.config), record.data
    found = [
        f"{planned.name}.{key} {spelled(old)} -> {spelled(new)}"
        for key, old, new in differences(
            completed(cls, data["identity"]), completed(cls, planned.handle.identity())
        )
    ]
    before, now = data["version"], planned.handle.stage.version
    if before != now:
        words = ["the code as it is" if version is None else f"{version}" for version in (before, now)]
        found.append(f"stage version {words[0]} -> {words[1]}")
    elif planned.code is not None and data["own_code"] != list(planned.code):
        found.append(f"its code changed: {named(changed_code(data, planned.code))}")
    names = changed_extensions(data.get("extensions", ()), extensions_record(planned.extensions))
    if names:
        found.append(f"the code of its extensions changed: {named(names)}")
    if data["content"] != dict(planned.content):
        changed = [key for key, _, _ in differences(data["content"], dict(planned.content))]
        found.append(
            f"content of {', '.join(changed[:3])}{' and others' if len(changed) > 3 else ''} differs"
        )
    return found


def spelled(value: Any) -> str:
    """Return a value of a configuration as an override would spell it, a long one shortened."""
    if isinstance(value, str):
        return value if value not in ("", "null", "true", "false") else repr(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[tuple[str, Any, Any]]:
    """Return (dotted key, old, new) for each leaf in which two nested mappings differ, or that one lacks."""
    found: list[tuple[str, Any, Any]] = []
    for key in [*old, *(k for k in new if k not in old)]:
        a, b = old.get(key, ABSENT), new.get(key, ABSENT)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{path}{key}.")
        elif a != b:
            found.append((f"{path}{key}", a, b))
    return found
