"""Sweep records: which runs one multirun has led to.

    <store>/sweeps/<group>/sweep.json            the command, and how many points it has
    <store>/sweeps/<group>/points/<index>.json   one point: its place, its overrides, its run, how it ended

A run belongs to the sweeps that have reached it, whatever else it is part of. Each point is a file of its
own, so that several processes may work on one sweep, and what became of it is read from there. All of
them are sealed.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmexp.core.records.runs import Run, list_runs
from lmexp.core.store.store import Store
from lmexp.core.values.files import read_json
from lmexp.core.values.redact import redact_words
from lmexp.core.values.sealed import has_seal, unsealed, write_sealed
from lmexp.errors import ConfigError, StoreError, nearest

SWEEP = "sweep.json"


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


def note_sweep(store: Store, group: str, *, command: Sequence[str], num_points: int) -> None:
    """Write what the sweep is."""
    path = store.root / "sweeps" / group
    (path / "points").mkdir(parents=True, exist_ok=True)
    write_sealed(path / SWEEP, {"command": redact_words(command), "num_points": num_points})


def note_point(
    store: Store, group: str, *, index: int, overrides: Sequence[str], run: str | None, exit_code: int | None
) -> None:
    """Write which run the point with this index (from 0) has led to, and how it ended.

    `run` is None where it came to none, `exit_code` None while it is not known. A later note replaces an
    earlier one, and keeps its run if it names none itself.
    """
    path = store.root / "sweeps" / group / "points" / f"{index:06d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if run is None:
        run = (read_sweep_file(path) or {}).get("run")
    words = redact_words(overrides)
    write_sealed(path, {"index": index, "overrides": words, "run": run, "exit_code": exit_code})


def exit_code_of(store: Store, group: str) -> int:
    """Return the exit code of a sweep: the greatest of its points', a point without one being a failure."""
    path = store.root / "sweeps" / group
    sweep = read_sweep_file(path / SWEEP)
    if sweep is None:
        return 1
    count = int(sweep["num_points"] or 0)
    points = [read_sweep_file(path / "points" / f"{index:06d}.json") or {} for index in range(count)]
    codes = [point.get("exit_code") for point in points]
    return max((1 if code is None else int(code) for code in codes), default=0)


def find_sweep(store: Store, group: str) -> Sweep:
    """Return the sweep with this name. Errors: `ConfigError` with the nearest name."""
    names = sweep_names(store)
    if group not in names:
        raise ConfigError(f"the store {store.root} has no sweep {group!r}{nearest(group, names)}.")
    path = store.root / "sweeps" / group
    data = read_sweep_file(path / SWEEP)
    if data is None:
        raise StoreError(
            f"{path / SWEEP} is not as lmexp wrote it; restore it, or give the sweep's command again, which "
            f"reuses all that is published and writes it anew."
        )
    found = (read_sweep_file(p) for p in path.glob("points/*.json"))
    listed = sorted((p for p in found if p is not None), key=lambda p: (p["index"], str(p["run"])))
    runs = {run.name: run for run in list_runs(store)}
    first = {p["run"]: p for p in reversed(listed) if p["run"] in runs}  # equal points have led to one run
    points = tuple(
        Point(overrides=tuple(p["overrides"]), run=runs[p["run"]]) for p in listed if first.get(p["run"]) is p
    )
    return Sweep(path=path, data=data, points=points)


def read_sweep_file(path: Path) -> dict[str, Any] | None:
    """Return what `sweep.json`, or the file of a point, says; None where it is not as lmexp wrote it.

    What an earlier version wrote has no seal, and is read where its form is right.
    """
    try:
        value = read_json(path)
        return unsealed(value) if has_seal(value) or not _FORM[path.name == SWEEP](value) else dict(value)
    except (OSError, ValueError):
        return None


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_sweep(value: Any) -> bool:
    count = value.get("num_points") if isinstance(value, dict) else ""
    return (count is None or type(count) is int) and _is_texts(value.get("command"))


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("run"), str | None)
        and type(value.get("index")) is int
        and type(value.get("exit_code", 0)) in (int, type(None))
        and _is_texts(value.get("overrides"))
    )


_FORM = {True: _is_sweep, False: _is_point}


def sweep_names(store: Store) -> list[str]:
    """Return the names of all sweeps of a store, in order of the alphabet."""
    return sorted(path.parent.name for path in store.root.glob(f"sweeps/*/{SWEEP}"))
