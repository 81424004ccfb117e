"""Run records: what one experiment configuration has led to.

    <store>/runs/<run>/run.json            the state after the latest invocation
    <store>/runs/<run>/invocations.jsonl   one line for each invocation, append-only

A run's name is its experiment's name and a hash of its stages' fingerprints: the same experiment is
the same run, whenever and wherever it is started. Re-issuing a run is resuming it.

Both files are sealed. A `run.json` that is lost, or is not what lmexp wrote, is rebuilt from the newest
line of the other, which holds all that it said when that invocation ended; a run of which neither can be
read is lost: it is named, and never taken for one that needs nothing. What an earlier version wrote has
no seal and is read as it is, where its form is right.
"""

import dataclasses
import datetime
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from lmexp.core.graph.plan import Plan
from lmexp.core.records.run_form import is_unsealed_invocation, is_unsealed_run
from lmexp.core.store.lease import known_dead
from lmexp.core.store.record import RECORD
from lmexp.core.store.store import Store
from lmexp.core.values.files import parse_json, read_json
from lmexp.core.values.fingerprint import digest
from lmexp.core.values.sealed import BrokenSeal, has_seal, unsealed
from lmexp.errors import ConfigError, StoreError, nearest

RUN = "run.json"
INVOCATIONS = "invocations.jsonl"
PAGE = "report.html"
TRACKING = "tracking.json"
MIRROR_LOG = "wandb.log"
OTHERS = (PAGE, TRACKING, MIRROR_LOG)
"""The other files of a run's directory: its page, and what became of its mirror."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's directory and what `run.json` says of it."""

    path: Path
    data: dict[str, Any]
    seal: Literal["sealed", "not sealed", "rebuilt"] = "sealed"
    """Rebuilt: its `run.json` is lost or damaged, and this is what its newest invocation noted."""

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

    @property
    def lost_artifact(self) -> str | None:
        """The first artifact that it has led to and that is no longer in the store, by its path there."""
        artifacts = (str(entry["artifact"]) for entry in self.stages.values())
        return next((a for a in artifacts if not (self.path.parents[1] / a / RECORD).is_file()), None)

    def artifact(self, name: str) -> Path:
        """Return the directory of a stage's artifact, by handle name."""
        if name not in self.stages:
            raise ConfigError(f"run {self.name} has no stage {name!r}{nearest(name, self.stages)}.")
        return self.path.parents[1] / str(self.stages[name]["artifact"])


def run_name(experiment: str, plan: Plan) -> str:
    """Return ``<experiment>-<hash8>``, the same for the same content."""
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", experiment)
    return f"{name}-{digest({s.name: s.fingerprint for s in plan.stages})[:8]}"


def find_run(store: Store, name: str) -> Run:
    """Return the run with this name, a unique prefix of it, or the `last` one.

    Errors: `ConfigError` for no run, several runs or an unknown name, with the nearest one; `StoreError`
    for one whose record is lost, also where that may be the last.
    """
    begin = [] if name == "last" else [path for path in _folders(store) if path.name.startswith(name)]
    runs, lost = read_all(store, [path for path in begin if path.name == name] or begin)
    if len(runs) == 1 and not lost:  # no record of another run was needed
        return runs[0]
    runs, lost = read_all(store)
    if name == "last" and runs:
        last = max(runs, key=lambda r: str(r.data["started"]))
        for folder, reason in lost.items():
            if _touched(folder) > _touched(last.path):
                raise StoreError(reason)
        return last
    for folder, reason in lost.items():
        if name in {folder.name, "last"}:
            raise StoreError(reason)
    if not runs:
        raise ConfigError(f"the store {store.root} holds no runs yet.")
    matches = [r for r in runs if r.name == name] or [r for r in runs if r.name.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    names = [r.name for r in runs]
    if not matches:
        hint = nearest(name, names) or nearest(name, {"last", *(str(r.data["experiment"]) for r in runs)})
        raise ConfigError(f"the store {store.root} has no run {name!r}{hint}.")
    raise ConfigError(
        f"{name!r} begins the names of {len(matches)} runs: {', '.join(r.name for r in matches)}."
    )


def list_runs(store: Store) -> list[Run]:
    """Return all runs of a store whose records can be read or rebuilt, oldest first."""
    return read_all(store)[0]


def lost_runs(store: Store) -> list[str]:
    """Return one sentence, with the remedy, for each run whose record is lost."""
    return list(read_all(store)[1].values())


def read_all(store: Store, folders: Sequence[Path] | None = None) -> tuple[list[Run], dict[Path, str]]:
    """Return the runs in some directories, or in all, oldest first; and a sentence for each that is lost."""
    runs, lost = [], {}
    for folder in _folders(store) if folders is None else folders:
        try:
            runs.append(read_run(folder))
        except StoreError as error:
            lost[folder] = str(error)
    return sorted(runs, key=lambda r: str(r.data["started"])), lost


def _folders(store: Store) -> list[Path]:
    return sorted(path for path in store.runs.glob("*") if path.is_dir())


def read_run(folder: Path) -> Run:
    """Return the run in a directory. Errors: `StoreError`, with the remedy, where its record is lost."""
    path = folder / RUN
    try:
        value = read_json(path)
    except FileNotFoundError:
        why = "is missing"
    except (OSError, ValueError):
        why = "cannot be read"
    else:
        try:
            data = unsealed(value)
            if data["run"] == folder.name:
                return Run(path=folder, data=data)
        except BrokenSeal:
            if not has_seal(value) and is_unsealed_run(value) and value["run"] == folder.name:
                return Run(path=folder, data=value, seal="not sealed")
        why = "is not as lmexp wrote it"
    for line in reversed(read_invocations(folder)):
        data = line.get("record")
        if isinstance(data, dict) and data.get("run") == folder.name and "format" in data:
            return Run(path=folder, data=data, seal="rebuilt")
    raise StoreError(
        f"{path} {why} and nothing is left to rebuild it from; restore it, or give the run's command again, "
        f"which reuses all that is published and writes it anew, or delete {folder} if the run can go."
    )


def read_invocations(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's `invocations.jsonl` that are as lmexp wrote them, oldest first."""
    return [line for line in _invocations(folder) if line is not None]


def damaged_invocations(folder: Path) -> list[int]:
    """Return the numbers, from 1, of the lines that are not as lmexp wrote them."""
    return [number for number, line in enumerate(_invocations(folder), 1) if line is None]


def _invocations(folder: Path) -> Iterator[dict[str, Any] | None]:
    try:
        lines = (folder / INVOCATIONS).read_bytes().splitlines(keepends=True)
    except OSError:
        return
    for line in lines:
        if line == b"\n":  # two that ended at once have each begun a line of their own
            continue
        try:
            value = parse_json(line.decode())
            if line.endswith(b"\n") and not has_seal(value) and is_unsealed_invocation(value):
                yield value
            else:
                yield unsealed(value if line.endswith(b"\n") else None)
        except ValueError:
            yield None


def _touched(folder: Path) -> float:
    """Return when a run's record, or else its directory, was last changed."""
    path = folder / RUN
    return (path if path.exists() else folder).stat().st_mtime


def now() -> str:
    """Return the time in UTC, to the millisecond, in ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
