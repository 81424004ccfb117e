"""Run records: what one experiment configuration has led to.

    <store>/runs/<run>/run.json            the state after the latest invocation
    <store>/runs/<run>/invocations.jsonl   one line for each invocation, append-only

A run's name is its experiment's name and a hash of its stages' fingerprints: the same experiment is
the same run, whenever and wherever it is started. Re-issuing a run is resuming it.
"""

import dataclasses
import datetime
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.core.files import append_line, read_json, read_lines, write_json
from lmexp.core.fingerprint import digest
from lmexp.core.lease import known_dead, this_process
from lmexp.core.plan import Plan
from lmexp.core.record import Record
from lmexp.core.redact import redact_values, redact_words
from lmexp.core.store import Store
from lmexp.errors import ConfigError, StoreError, nearest


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's directory and what `run.json` says of it."""

    path: Path
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.data["run"])

    @property
    def status(self) -> str:
        """`running`, `done`, `failed`, `interrupted`; `killed` where a running one's process is gone."""
        status = str(self.data["status"])
        return "killed" if status == "running" and known_dead(self.data["process"]) else status

    @property
    def metrics(self) -> dict[str, float]:
        """Flat numbers, by ``<stage>/<metric>``."""
        return dict(self.data["metrics"])

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """By handle name: stage, artifact, fingerprint, action, seconds, world_size."""
        return dict(self.data["stages"])

    @property
    def fingerprints(self) -> set[str]:
        """Of all artifacts that the run has or plans to have."""
        return {*self.data["planned"].values(), *(e["fingerprint"] for e in self.stages.values())}

    def artifact(self, name: str) -> Path:
        """Return the directory of a stage's artifact, by handle name."""
        if name not in self.stages:
            raise ConfigError(f"run {self.name} has no stage {name!r}{nearest(name, self.stages)}.")
        return self.path.parents[1] / str(self.stages[name]["artifact"])


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
    ) -> None:
        self.name = run_name(experiment, plan)
        self.path = store.runs / self.name
        self.path.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._started = now()
        before = self._before()
        if before is not None:
            self._note_killed(before)
        self._data: dict[str, Any] = {
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
        write_json(self.path / "run.json", self._data)

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

    def _before(self) -> Run | None:
        """Return the run as the invocation before this one left it; None where there is none."""
        try:
            return _read_run(self.path / "run.json")
        except (FileNotFoundError, StoreError):
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
        lines = self.path / "invocations.jsonl"
        if before.status == "killed" and before.data["started"] not in {
            x["started"] for x in read_lines(lines)
        }:
            append_line(lines, _invocation(before.data, "killed"))

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
        append_line(self.path / "invocations.jsonl", line)
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
    }


def run_name(experiment: str, plan: Plan) -> str:
    """Return ``<experiment>-<hash8>``, the same for the same content."""
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", experiment)
    return f"{name}-{digest({s.name: s.fingerprint for s in plan.stages})[:8]}"


def find_run(store: Store, name: str) -> Run:
    """Return the run with this name, a unique prefix of it, or the `last` one.

    Errors: `ConfigError` for no run, several runs or an unknown name, with the nearest one.
    """
    runs = list_runs(store)
    if not runs:
        raise ConfigError(f"the store {store.root} holds no runs yet.")
    if name == "last":
        return max(runs, key=lambda r: str(r.data["started"]))
    matches = [r for r in runs if r.name == name] or [r for r in runs if r.name.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    names = [r.name for r in runs]
    if not matches:
        raise ConfigError(f"the store {store.root} has no run {name!r}{nearest(name, names)}.")
    raise ConfigError(
        f"{name!r} begins the names of {len(matches)} runs: {', '.join(r.name for r in matches)}."
    )


def list_runs(store: Store) -> list[Run]:
    """Return all runs of a store, oldest first."""
    runs = [_read_run(path) for path in store.runs.glob("*/run.json")]
    return sorted(runs, key=lambda r: str(r.data["started"]))


def _read_run(path: Path) -> Run:
    try:
        data = read_json(path)
        if isinstance(data, dict) and {"run", "status", "started", "stages", "planned", "process"} <= set(
            data
        ):
            return Run(path=path.parent, data=data)
    except ValueError:
        pass
    raise StoreError(
        f"{path} is not a run's record; restore it, or delete it and give the run's command again."
    )


def now() -> str:
    """Return the time in UTC, to the millisecond, in ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
