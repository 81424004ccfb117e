"""What one run left behind, read for its page: nothing is computed here and nothing is written.

A record may be absent: the run has failed, or its artifact was collected as garbage since. Then what
`run.json` says of the stage is all there is, and the page says so.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.analysis.audits import audits_of
from lmexp.analysis.statistics.curve import Curve, curves_of, read_curves
from lmexp.core.records.runs import Run, read_invocations
from lmexp.core.store.record import RECORD, intact_file, read_record
from lmexp.core.values.files import read_lines


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageRecord:
    """One stage of a run."""

    name: str
    """The handle's name."""
    stage: str
    """The stage's registered name."""
    action: str
    """ran, resumed, reused, or the run's own status for a stage that did not end."""
    path: Path | None
    """The artifact's directory; None where the stage did not end."""
    artifact: str
    seconds: float | None
    world_size: int | None
    record: Mapping[str, Any]
    """`artifact.json`; empty where it is not there."""
    curves: Mapping[str, Curve]
    """By the name that the stage gave each."""

    def own(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return those of a run's metrics that this stage returned, by the stage's own names."""
        head = f"{self.name}/"
        return {key.removeprefix(head): value for key, value in metrics.items() if key.startswith(head)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecords:
    """All that a run's page is made from."""

    run: Run
    stages: tuple[StageRecord, ...]
    invocations: tuple[Mapping[str, Any], ...]
    samples: Mapping[str, Sequence[Mapping[str, Any]]]
    """Rows of each stage of samples, by handle name."""
    audits: Mapping[str, Sequence[Mapping[str, Any]]]
    """Rows of each audit, by handle name."""

    @property
    def metrics(self) -> dict[str, float]:
        """All numbers, as ``<handle>/<metric>``."""
        return {k: v for k, v in self.run.metrics.items() if isinstance(v, int | float)}


def read_run(run: Run) -> RunRecords:
    """Read everything that the page of a run shows.

    Errors: `VerificationError` for an artifact that is there and is not as it was published.
    """
    root = run.path.parents[1]
    stages = []
    for name, entry in run.stages.items():
        path = root / str(entry["artifact"])
        record = read_record(path).data if os.path.lexists(path / RECORD) else {}
        stages.append(
            StageRecord(
                name=name,
                stage=str(entry["stage"]),
                action=str(entry["action"]),
                path=path,
                artifact=str(entry["artifact"]),
                seconds=entry.get("seconds"),
                world_size=entry.get("world_size"),
                record=record,
                curves=curves_of(path, root / "cache"),
            )
        )
    stages += _unended(run, root)
    return RunRecords(
        run=run,
        stages=tuple(stages),
        invocations=tuple(read_invocations(run.path)),
        audits=dict(audits_of(run)),
        samples={
            s.name: [] if rows is None else list(read_lines(rows))
            for s in stages
            if s.stage == "samples" and s.path is not None
            for rows in [intact_file(s.path, "samples.jsonl")]
        },
    )


def _unended(run: Run, root: Path) -> list[StageRecord]:
    """Return the stages that the run planned and has not: the one that was being computed has a curve."""
    current = run.data.get("current") or {}
    found = []
    for name in run.data["planned"]:
        if name in run.stages:
            continue
        at_work = current.get("name") == name
        found.append(
            StageRecord(
                name=name,
                stage=name,
                action=run.status if at_work else "not reached",
                path=None,
                artifact="",
                seconds=None,
                world_size=None,
                record={},
                curves=read_curves(root / str(current["metrics_file"])) if at_work else {},
            )
        )
    return found
