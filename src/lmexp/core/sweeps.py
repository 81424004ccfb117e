"""Sweep records: which runs one multirun has led to.

    <store>/sweeps/<group>/sweep.json            the command, and how many points it has
    <store>/sweeps/<group>/points/<run>.json     one point: its place, its overrides

A run belongs to the sweeps that have reached it, whatever else it is part of. Each point is a file of its
own, so that several processes may work on one sweep.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmexp.core.files import read_json, write_json
from lmexp.core.redact import redact_words
from lmexp.core.runs import Run, list_runs
from lmexp.core.store import Store
from lmexp.errors import ConfigError, nearest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a sweep: its overrides, in the order of the command, and its run."""

    overrides: tuple[str, ...]
    run: Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep's directory, what `sweep.json` says of it, and the points that were reached, in order."""

    path: Path
    data: dict[str, Any]
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """The sweep's name, which is its runs' group."""
        return self.path.name


def note_sweep(store: Store, group: str, *, command: Sequence[str], num_points: int | None) -> Path:
    """Write what the sweep is; `num_points` is None where its sweeper chooses them as it goes."""
    path = store.root / "sweeps" / group
    (path / "points").mkdir(parents=True, exist_ok=True)
    write_json(path / "sweep.json", {"command": redact_words(command), "num_points": num_points})
    return path


def note_point(store: Store, group: str, run: str, *, index: int, overrides: Sequence[str]) -> None:
    """Write that a run is the point with this index (from 0)."""
    points = store.root / "sweeps" / group / "points"
    points.mkdir(parents=True, exist_ok=True)
    write_json(points / f"{run}.json", {"run": run, "index": index, "overrides": redact_words(overrides)})


def find_sweep(store: Store, group: str) -> Sweep:
    """Return the sweep with this name. Errors: `ConfigError` with the nearest name."""
    names = sweep_names(store)
    if group not in names:
        raise ConfigError(f"the store {store.root} has no sweep {group!r}{nearest(group, names)}.")
    path = store.root / "sweeps" / group
    listed = sorted((read_json(p) for p in path.glob("points/*.json")), key=lambda p: (p["index"], p["run"]))
    runs = {run.name: run for run in list_runs(store)}
    points = tuple(
        Point(overrides=tuple(p["overrides"]), run=runs[p["run"]]) for p in listed if p["run"] in runs
    )
    return Sweep(path=path, data=read_json(path / "sweep.json"), points=points)


def sweep_names(store: Store) -> list[str]:
    """Return the names of all sweeps of a store, in order of the alphabet."""
    return sorted(path.parent.name for path in store.root.glob("sweeps/*/sweep.json"))
