"""What can be known of a stage before it runs: whether the numbers of its inputs let it succeed.

A stage may register `check_inputs`. It is called before the first stage runs, and again after each, with
the configuration of every stage above it and the metrics of those that are published by then. So what an
earlier stage already shows is said at once, and not after the stages between have run.
"""

from collections.abc import Mapping

from lmexp.core.graph.plan import Plan, PlannedStage
from lmexp.core.graph.stage import Upstream
from lmexp.core.store.record import Record
from lmexp.core.store.store import Store
from lmexp.errors import VerificationError


def foresee(plan: Plan, store: Store, records: Mapping[str, Record]) -> None:
    """Let every stage that is not in `records`, by handle name, nor published look at what stands above it.

    Errors: whatever a stage's `check_inputs` raises, a `UserError`.
    """
    for planned in plan.stages:
        check = planned.handle.stage.check_inputs
        if check is None or planned.name in records:
            continue
        if not planned.force and _published(planned, store, records) is not None:
            continue
        names = _above(plan, planned)
        above = {one.handle.stage.name: one for one in plan.stages if one.name in names}
        known = {stage: _published(one, store, records) for stage, one in above.items()}
        check(
            planned.handle.config,
            {
                stage: Upstream(
                    config=one.handle.config, metrics=found.metrics if (found := known[stage]) else None
                )
                for stage, one in above.items()
            },
        )


def _above(plan: Plan, planned: PlannedStage) -> set[str]:
    """Return the names of all handles that a stage needs, directly or not."""
    found: set[str] = set()
    waiting = list(planned.inputs.values())
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += plan.by_name[name].inputs.values()
    return found


def _published(planned: PlannedStage, store: Store, records: Mapping[str, Record]) -> Record | None:
    if planned.name in records:
        return records[planned.name]
    try:
        return None if planned.force else store.find(planned.handle.stage.name, planned.fingerprint)
    except VerificationError:  # reported where it is used
        return None
