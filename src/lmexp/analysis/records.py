"""What one run left behind, read for its page: nothing is computed here and nothing is written.

A record may be absent: the run has failed, or its artifact was collected as garbage since. Then what
`run.json` says of the stage is all there is, and the page says so.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.analysis.thin import Point
from lmexp.core.files import read_json, read_lines
from lmexp.core.runs import Run

_NOT_CURVES = frozenset({"step", "time", "tokens_seen"})


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
    curves: Mapping[str, Sequence[Point]]
    """Points (step, value) by name."""

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

    @property
    def metrics(self) -> dict[str, float]:
        """All numbers, as ``<handle>/<metric>``."""
        return {k: v for k, v in self.run.metrics.items() if isinstance(v, int | float)}


def read_run(run: Run) -> RunRecords:
    """Read everything that the page of a run shows."""
    root = run.path.parents[1]
    stages = []
    for name, entry in run.stages.items():
        path = root / str(entry["artifact"])
        stages.append(
            StageRecord(
                name=name,
                stage=str(entry["stage"]),
                action=str(entry["action"]),
                path=path,
                artifact=str(entry["artifact"]),
                seconds=entry.get("seconds"),
                world_size=entry.get("world_size"),
                record=_record(path / "artifact.json"),
                curves=read_curves(path / "metrics.jsonl"),
            )
        )
    stages += _unended(run, root)
    return RunRecords(
        run=run,
        stages=tuple(stages),
        invocations=tuple(read_lines(run.path / "invocations.jsonl")),
        samples={
            s.name: list(read_lines(s.path / "samples.jsonl"))
            for s in stages
            if s.stage == "samples" and s.path is not None
        },
    )


def read_curves(path: Path) -> dict[str, list[Point]]:
    """Return each numeric key of a curve's points over their `step`; a key may lack at some steps."""
    curves: dict[str, list[Point]] = {}
    for line in read_lines(path):
        step = line.get("step")
        if not isinstance(step, int | float):
            continue
        for key, value in line.items():
            if type(value) in (int, float) and key not in _NOT_CURVES:  # a bool is no number here
                curves.setdefault(key, []).append((step, value))
    return curves


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


def _record(path: Path) -> Mapping[str, Any]:
    try:
        data = read_json(path)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
