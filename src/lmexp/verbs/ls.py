"""The runs and artifacts of a store: of each run one figure, and what tells it from its neighbours."""

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmexp.core.values.terminal import printable
from lmexp.verbs.words import no_more, print_json, split_store

if TYPE_CHECKING:
    from lmexp.core.records.runs import Run

_COLUMNS = 80


def ls(arguments: argparse.Namespace) -> int:
    """the runs and artifacts of a store"""
    from lmexp.analysis.drawing.formats import size
    from lmexp.core.records.runs import list_runs

    words, store = split_store(arguments.words)
    no_more(words)
    listed = list_runs(store)
    runs = [
        {
            "run": run.name,
            "experiment": run.data["experiment"],
            "status": run.status,
            "started": run.data["started"],
            "figure": figure,
            "differs": differs,
        }
        for run, figure, differs in zip(listed, _figures(listed), differing(listed), strict=True)
    ]
    artifacts = [
        {
            "stage": r.stage,
            "name": r.name,
            "fingerprint": r.fingerprint,
            "path": r.path.relative_to(store.root).as_posix(),
            "bytes": r.num_bytes,
            "finished": r.data["finished"],
        }
        for r in store.records()
    ]
    if arguments.json:
        print_json({"store": str(store.root), "runs": runs, "artifacts": artifacts})
        return 0
    print("\n".join(_run_lines(runs)) if runs else "no runs")
    print()
    for item in artifacts:
        print(printable(f"{size(item['bytes']):>9}  {_when(item['finished'])}  {item['path']}"))
    return 0


def differing(runs: "Sequence[Run]") -> list[dict[str, Any]]:
    """Return, for each run, the keys that it changes of its experiment or that tell it from other runs."""
    from lmexp.core.values.settings import ENGINE_KEYS

    first: dict[str, dict[str, Any]] = {}
    varied: dict[str, set[str]] = {}
    flat = []
    for run in runs:
        experiment, config = run.data["experiment"], run.data["config"]
        own = dict(_leaves({key: value for key, value in config.items() if key not in ENGINE_KEYS}))
        other = first.setdefault(experiment, own)
        keys = {key for key in own.keys() | other.keys() if own.get(key) != other.get(key)}
        varied.setdefault(experiment, set()).update(keys)
        flat.append(own)
    shown = [varied[run.data["experiment"]] | {*(run.data.get("changes") or {})} for run in runs]
    return [{key: own[key] for key in own if key in keys} for own, keys in zip(flat, shown, strict=True)]


def _leaves(values: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found += _leaves(value, f"{path}{key}.")
        else:
            found.append((f"{path}{key}", value))
    return found


def _figures(runs: "Sequence[Run]") -> list[dict[str, Any] | None]:
    """Return the headline metric of each run by name and value; runs of one experiment have the same one."""
    from lmexp.analysis.statistics.bits import is_bound
    from lmexp.analysis.statistics.compared import headline_metric

    of: dict[str, list[Mapping[str, float]]] = {}
    for run in runs:
        of.setdefault(run.data["experiment"], []).append(run.metrics)
    names = {experiment: headline_metric(metrics) for experiment, metrics in of.items()}
    found: list[dict[str, Any] | None] = []
    for run in runs:
        name = names[run.data["experiment"]]
        value = None if name is None else run.metrics.get(name)
        bound = {"is_bound": True} if is_bound(run.metrics, str(name)) else {}
        found.append(None if value is None else {"metric": name, "value": value, **bound})
    return found


def _run_lines(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each run and, indented, what differs, none of them wider than a terminal may be."""
    from lmexp.core.graph.plan import spelled

    width = max(len(run["run"]) for run in runs)
    lines = []
    for run in runs:
        about = f"{run['status']:11}  {_when(run['started'])}  {_figure_text(run['figure'])}"
        name = f"{run['run']:{width}}"
        lines += (
            [f"{name}  {about}"] if len(name) + 2 + len(about) <= _COLUMNS else [run["run"], f"    {about}"]
        )
        changes = " ".join(f"{key}={spelled(value)}" for key, value in run["differs"].items())
        lines += textwrap.wrap(
            changes, _COLUMNS, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
        )
    return [printable(line.rstrip()) for line in lines]


def _figure_text(figure: Mapping[str, Any] | None) -> str:
    from lmexp.analysis.drawing.formats import short

    if figure is None:
        return ""
    head, _, last = str(figure["metric"]).rpartition("/")
    name = f"{head.rpartition('/')[2]}/{last}" if last.isdigit() else last
    at_most = "<= " if figure.get("is_bound") else ""
    return f"{name.replace('bits_per_byte', 'bits per byte')} {at_most}{short(figure['value'])}"


def _when(moment: str) -> str:
    """Return a time of a record to the minute."""
    return moment[:16].replace("T", " ")
