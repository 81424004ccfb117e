"""One invocation of one experiment: plan, execute, record, mirror."""

import dataclasses
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from lmexp.core.graph.compose import Composition
from lmexp.core.graph.foresight import foresee
from lmexp.core.graph.plan import Plan, make_plan
from lmexp.core.provenance.drift import changed_since
from lmexp.core.records.run_writer import RunWriter
from lmexp.core.records.runs import Run, list_runs, run_name
from lmexp.core.running.console import Console, plan_lines
from lmexp.core.running.executor import execute
from lmexp.core.store.disk import store_errors
from lmexp.core.store.record import Record
from lmexp.core.store.store import Store
from lmexp.core.tracking.destination import destination, destination_of
from lmexp.core.tracking.mirror import Mirror
from lmexp.core.values.config import to_dict
from lmexp.errors import Interrupted, LmexpError

AtEnd = Callable[[Run], None]
"""What is done with a run as it ends; it must not fail."""


@dataclasses.dataclass(frozen=True)
class Finished:
    """A run that is done, and one line about where wandb has it."""

    run: Run
    tracking: str


def plan_of(composition: Composition, store: Store) -> Plan:
    """Return the plan of a composed experiment."""
    config = composition.config
    return make_plan(composition.handles, store, force=config.force, only=config.only)


def run_composition(
    composition: Composition,
    *,
    group: str | None = None,
    quiet: bool = False,
    stream: TextIO | None = None,
    at_end: AtEnd = lambda _run: None,
) -> Finished:
    """Run an experiment to its end and return its run.

    Progress is written to `stream`, standard error where none is given, or nowhere.
    `group` is the sweep's name; without one the experiment is its own group. `at_end` is called once
    with the run, done, failed or interrupted, just before its record says so.

    Errors: whatever a stage, the store or an interruption raises, after it was recorded.
    """
    with store_errors(composition.store):
        return _run(composition, group, quiet, stream, at_end)


def _run(
    composition: Composition, group: str | None, quiet: bool, stream: TextIO | None, at_end: AtEnd
) -> Finished:
    store = Store(composition.store)
    store.prepare()
    plan = plan_of(composition, store)
    verdicts = plan.verdicts(store)
    for planned in plan.stages:
        if verdicts[planned.name].action != "reuse":
            planned.handle.stage.check_machine(planned.handle.config)
    foresee(plan, store, {})
    changes = composition.changes()
    name = run_name(composition.experiment, plan)
    tracking = destination(
        composition.config.tracking,
        run=name,
        experiment=composition.experiment,
        group=group or composition.experiment,
        changes=changes,
        taken=_other_ids(store, name),
        is_point=group is not None,
    )
    writer = RunWriter(
        store,
        plan,
        experiment=composition.experiment,
        group=group or composition.experiment,
        config=to_dict(composition.config),
        command=composition.origin.command if composition.origin else None,
        changes=changes,
        tracking=tracking,
    )
    mirror = Mirror(store, writer.run, composition.config.tracking.finish_timeout_s)
    console = None if quiet else Console(plan, stream)
    observer = _Observer(store, writer, mirror, console)
    if console is not None:
        console.header(f"run {writer.name} in {writer.path}")
        if any(v.action != "reuse" for v in verdicts.values()):
            for line in plan_lines(plan, verdicts, composition.left_behind):
                console.header(f"  {line}")
    try:
        execute(plan, store, composition.config.executor, observer)
    except BaseException as error:
        _close_failed(writer, error, at_end)
        mirror.end()
        raise
    writer.close("done", before_the_end=at_end)
    return Finished(writer.run, mirror.finish())


def _other_ids(store: Store, name: str) -> list[str]:
    """Return the ids at wandb that other runs of the store have, where one is asked for by name."""
    if not os.environ.get("WANDB_RUN_ID"):
        return []
    return [str(destination_of(run.data)["id"]) for run in list_runs(store) if run.name != name]


def _close_failed(writer: RunWriter, error: BaseException, at_end: AtEnd) -> None:
    status = "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
    notes = getattr(error, "__notes__", [])
    trace = "" if isinstance(error, LmexpError) else "".join(traceback.format_exception(error))
    try:
        writer.close(status, message=str(error), traceback="".join(notes) or trace, before_the_end=at_end)
    except OSError:  # a full disk is reported by the error itself
        return


class _Observer:
    """Tells the record, the mirror and the console what happens."""

    def __init__(self, store: Store, writer: RunWriter, mirror: Mirror, console: Console | None) -> None:
        self._store = store
        self._writer = writer
        self._mirror = mirror
        self._console = console

    def waiting(self, name: str, who: Mapping[str, Any]) -> None:
        if self._console is not None:
            self._console.waiting(name, who)

    def started(self, name: str, attempt: Path, from_step: int | None) -> None:
        self._writer.started(name, attempt)
        self._mirror.start()
        if self._console is not None:
            self._console.started(name, attempt, from_step)

    def lost(self, message: str) -> None:
        if self._console is not None:
            self._console.header(message)

    def tick(self) -> None:
        if self._console is not None:
            self._console.tick()

    def finished(self, name: str, record: Record, action: str) -> None:
        changed = changed_since(record.data, self._store.code) if action == "reused" else []
        self._writer.finished(name, record, action, changed)
        if self._console is not None:
            self._console.finished(name, record, action, changed)
