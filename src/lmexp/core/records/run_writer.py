"""Keeps a run's record true while it goes on, and says at its end how it went."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.core.graph.plan import Plan
from lmexp.core.records.runs import (
    INVOCATIONS,
    OTHERS,
    RUN,
    Run,
    damaged_invocations,
    now,
    read_invocations,
    read_run,
    run_name,
)
from lmexp.core.store.lease import this_process
from lmexp.core.store.record import Record
from lmexp.core.store.store import Store
from lmexp.core.values.redact import redact_values, redact_words
from lmexp.core.values.sealed import append_sealed, write_sealed
from lmexp.errors import StoreError

FORMAT = 2
"""Of `run.json`; the first had no seal, and did not say its format."""
_WRITING_S = 0.2
"""Longer than a line of another process is seen by half."""


class RunWriter:
    """Keeps `run.json` true while a run goes on and appends its invocation at the end."""

    def __init__(
        self,
        store: Store,
        plan: Plan,
        *,
        experiment: str,
        group: str,
        config: Mapping[str, Any],
        command: Sequence[str] | None = None,
        changes: Mapping[str, Any] | None = None,
        tracking: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = run_name(experiment, plan)
        self.path = store.runs / self.name
        self.path.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._started = now()
        self._clear_the_way()
        before = self._before()
        if before is not None:
            self._note_killed(before)
        self._data: dict[str, Any] = {
            "format": FORMAT,
            "run": self.name,
            "recording": self._recording(before, plan),
            "experiment": experiment,
            "group": group,
            "status": "running",
            "started": self._started,
            "finished": None,
            "argv": redact_words(sys.argv),
            "command": None if command is None else redact_words(command),
            "process": this_process(),
            "config": dict(config),
            "changes": redact_values(changes),
            "tracking": None if tracking is None else dict(tracking),
            "planned": {stage.name: stage.fingerprint for stage in plan.stages},
            "stages": {},
            "current": None,
            "metrics": {},
        }
        self.save()

    @property
    def run(self) -> Run:
        """The run as it stands."""
        return Run(path=self.path, data=self._data)

    def save(self) -> None:
        """Write `run.json`."""
        write_sealed(self.path / RUN, self._data)

    def started(self, name: str, attempt: Path) -> None:
        """Note that a stage computes now, and where its curve grows."""
        relative = (attempt / "metrics.jsonl").relative_to(self._store.root)
        self._data["current"] = {"name": name, "metrics_file": relative.as_posix()}
        self.save()

    def finished(self, name: str, record: Record, action: str, changed: Sequence[str] = ()) -> None:
        """Note a stage's artifact, what of its code has changed since, and merge its metrics."""
        self._data["current"] = None
        self._data["stages"][name] = {
            "stage": record.stage,
            "artifact": record.path.relative_to(self._store.root).as_posix(),
            "fingerprint": record.fingerprint,
            "action": action,
            "seconds": record.data["seconds"],
            "world_size": record.data["world_size"],
            **({"changed": list(changed)} if changed else {}),
        }
        self._data["metrics"] |= {f"{name}/{key}": value for key, value in record.metrics.items()}
        self.save()

    def _clear_the_way(self) -> None:
        """Move to the trash what lies where a file of the run belongs, and drop lines that say nothing."""
        for name in (RUN, INVOCATIONS, *OTHERS):
            path = self.path / name
            if path.exists() and not path.is_file():
                self._store.discard(path)
        lines = self.path / INVOCATIONS
        if damaged_invocations(self.path):
            time.sleep(_WRITING_S)  # unless another invocation is just ending
        if damaged_invocations(self.path):
            good = read_invocations(self.path)
            self._store.discard(lines)
            for line in good:
                append_sealed(lines, line)

    def _before(self) -> Run | None:
        """Return the run as the invocation before this one left it; None where there is none."""
        try:
            return read_run(self.path)
        except StoreError:
            return None

    def _recording(self, before: Run | None, plan: Plan) -> int:
        """Return which of its recordings at wandb this is: a curve that is computed anew begins another."""
        if before is None:
            return 1
        forced = {stage.name for stage in plan.stages if stage.force}
        artifacts = {name: self._store.root / entry["artifact"] for name, entry in before.stages.items()}
        anew = any(
            not path.is_dir() or (name in forced and (path / "metrics.jsonl").exists())
            for name, path in artifacts.items()
        )
        return int(before.data.get("recording", 1)) + anew

    def _note_killed(self, before: Run) -> None:
        """Append the line that an invocation which was killed could not write itself."""
        noted = {line["started"] for line in read_invocations(self.path)}
        if before.status == "killed" and before.data["started"] not in noted:
            append_sealed(self.path / INVOCATIONS, _invocation(before.data, "killed"))

    def close(
        self,
        status: str,
        *,
        message: str = "",
        traceback: str = "",
        before_the_end: Callable[[Run], None] = lambda _run: None,
    ) -> None:
        """Append this invocation and write the final state; the stage that failed stays the current one.

        `before_the_end` is called with the run as it will stand, before `run.json` says that it has
        ended: who waits for that finds what was made of it.
        """
        self._data |= {"status": status, "finished": now()}
        if message:
            self._data["message"] = message
        line = {**_invocation(self._data, status), "message": message, "traceback": traceback}
        append_sealed(self.path / INVOCATIONS, line)
        before_the_end(self.run)
        self.save()


def _invocation(data: Mapping[str, Any], outcome: str) -> dict[str, Any]:
    return {
        "argv": data["argv"],
        "started": data["started"],
        "finished": data["finished"],
        "host": data["process"]["host"],
        "outcome": outcome,
        "stages": {name: entry["action"] for name, entry in data["stages"].items()},
        "message": "",
        "traceback": "",
        "record": dict(data),
    }
