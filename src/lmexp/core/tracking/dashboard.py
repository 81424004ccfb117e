"""A workspace for wandb's web page, written from the records of a store.

`outline` reads what there is to show (swept parameters, curves, tables) and is a pure function of the
records; `definition` turns it into the JSON of a workspace with wandb-workspaces, the extra `dashboard`,
which is imported here alone. The same records give the same JSON: panels are named by their place.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmexp.core.graph.plan import differences
from lmexp.core.provenance.calling import install
from lmexp.core.records.runs import Run
from lmexp.core.records.tables import tables_of
from lmexp.core.store.record import intact_file
from lmexp.core.store.store import Store
from lmexp.core.tracking.destination import destination_of
from lmexp.core.tracking.uploader import default_entity
from lmexp.core.values.files import read_lines
from lmexp.core.values.fingerprint import digest
from lmexp.core.values.settings import ENGINE_KEYS
from lmexp.errors import ConfigError, LmexpError, nearest

_MAX_RUNS = 100
"""Runs that a panel draws; wandb's own choice of 10 would hide points of a sweep."""


@dataclasses.dataclass(frozen=True)
class Outline:
    """What a workspace shows."""

    name: str
    project: str
    entity: str | None
    group: str | None
    """Only runs of this sweep or experiment; None means all of the project."""
    metric: str
    """The result that sorts the runs and ends the parallel coordinates."""
    parameters: list[str]
    """Dotted keys whose values differ between runs of one group."""
    curves: dict[str, list[list[str]]]
    """Of each stage with a curve, the metrics of each panel: those that end in the same word share one."""
    tables: list[str]


def outline(store: Store, runs: Sequence[Run], *, metric: str, group: str | None = None) -> Outline:
    """Read what the runs of the newest run's project, or one group of it, have to show.

    Errors: `ConfigError` for no runs, an unknown group, or a metric that no run has.
    """
    groups = list(dict.fromkeys(str(run.data["group"]) for run in runs))
    if group is not None and group not in groups:
        raise ConfigError(f"the store {store.root} has no group {group!r}{nearest(group, groups)}.")
    chosen = [run for run in runs if group in (None, run.data["group"])]
    if not chosen:
        raise ConfigError(f"the store {store.root} holds no runs yet.")
    tracking = destination_of(chosen[-1].data)
    place = (tracking["entity"], tracking["project"])
    chosen = [run for run in chosen if _place(run) == place]
    metrics = list(dict.fromkeys(key for run in chosen for key in run.metrics))
    if metric not in metrics:
        raise ConfigError(f"no run has the metric {metric!r}{nearest(metric, metrics)}; give metric=NAME.")
    tables = dict.fromkeys(name for run in chosen for name in _tables(run, store))
    return Outline(
        name=f"lmexp: {group or 'all runs'}",
        project=tracking["project"],
        entity=tracking["entity"],
        group=tracking["group"] if group is not None else None,
        metric=metric,
        parameters=_swept(chosen),
        curves=_curves(chosen),
        tables=list(tables),
    )


def _place(run: Run) -> tuple[str | None, str]:
    tracking = destination_of(run.data)
    return tracking["entity"], tracking["project"]


def _tables(run: Run, store: Store) -> Iterator[str]:
    if run.lost_artifact is None:
        yield from (table.name for table in tables_of(run.data, store.root))


def _swept(runs: Sequence[Run]) -> list[str]:
    first: dict[str, Run] = {}
    found: dict[str, None] = {}
    for run in runs:
        other = first.setdefault(run.data["group"], run)
        for key, before, after in differences(other.data["config"], run.data["config"]):
            plain = not isinstance(before, list | dict) and not isinstance(after, list | dict)
            if plain and key.partition(".")[0] not in ENGINE_KEYS:
                found[key] = None
    return list(found)


def _curves(runs: Sequence[Run]) -> dict[str, list[list[str]]]:
    """Return the metrics of each stage's curve in the newest run that has it, those alike together."""
    found: dict[str, list[list[str]]] = {}
    for run in reversed(runs):
        for name in run.stages:
            if name in found:
                continue
            curve = intact_file(run.artifact(name), "metrics.jsonl")
            keys = dict.fromkeys(key for point in (read_lines(curve) if curve else ()) for key in point)
            panels: dict[str, list[str]] = {}
            for key in keys:
                if key not in ("step", "time"):
                    panels.setdefault(key.rpartition("/")[2], []).append(f"{name}/{key}")
            if panels:
                found[name] = list(panels.values())
    return found


def definition(
    shown: Outline, earlier: Mapping[str, Any] | None = None, *, save: bool = False
) -> dict[str, Any]:
    """Return the workspace as JSON; with `save`, after it was written to the wandb server.

    `earlier` is the definition that was saved before: the same view is then written again.
    Errors: `ConfigError` where wandb-workspaces is not installed, `LmexpError` where saving failed.
    """
    try:
        from wandb_workspaces.workspaces import Workspace, WorkspaceSettings
    except ImportError:
        raise ConfigError(
            f"lmexp dashboard needs wandb-workspaces; install it with: {install('wandb-workspaces')}"
        ) from None

    workspace = Workspace(
        entity=shown.entity or "",
        project=shown.project,
        name=shown.name,
        sections=list(_sections(shown)),
        settings=WorkspaceSettings(max_runs=_MAX_RUNS),
        runset_settings=_runset(shown),
    )
    if isinstance(earlier, dict) and earlier.get("project") == shown.project:
        workspace._internal_name = str(earlier.get("name", ""))
        workspace._internal_id = str(earlier.get("id", ""))
    if save:
        _save(workspace)
    view = workspace._to_model()
    spec = view.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    place = {"entity": view.entity, "project": view.project, "display_name": view.display_name}
    return {**place, "name": view.name, "id": view.id, "spec": spec}


def _save(workspace: Any) -> None:
    try:
        workspace.entity = workspace.entity or default_entity()
        workspace.save()
    except Exception as error:  # whatever wandb raises for a server that refuses or is gone
        raise LmexpError(f"the workspace was not saved: {str(error).partition(chr(10))[0]}") from None


def _sections(shown: Outline) -> Iterator[Any]:
    from wandb_workspaces.reports import v2 as reports
    from wandb_workspaces.workspaces import Section

    result = reports.SummaryMetric(shown.metric)
    panels = [reports.BarPlot(title=shown.metric, metrics=[shown.metric])]
    if shown.parameters:
        names = [reports.Config(key) for key in shown.parameters]
        columns = [reports.ParallelCoordinatesPlotColumn(metric=name) for name in [*names, result]]
        panels = [
            reports.ParallelCoordinatesPlot(title="swept parameters", columns=columns),
            *(reports.ScatterPlot(title=name.name, x=name, y=result) for name in names),
            *panels,
        ]
    yield _named(Section("results", panels=[*panels, reports.RunComparer(diff_only="split")], is_open=True))
    for stage, metrics in shown.curves.items():
        lines = [reports.LinePlot(title=keys[0], x=f"{stage}/step", y=keys) for keys in metrics]
        yield _named(Section(f"{stage}: curves", panels=lines, is_open=True))
    tables = [reports.WeavePanelSummaryTable(table_name=f"tables/{name}") for name in shown.tables]
    report = reports.MediaBrowser(title="report", media_keys=["report"], num_columns=1)
    yield _named(Section("tables and report", panels=[report, *tables]))


def _named(section: Any) -> Any:
    """Name the panels by their place: wandb-workspaces draws names at random."""
    for position, panel in enumerate(section.panels):
        panel._id = digest([section.name, position])[:12]
    return section


def _groups(parameters: Sequence[str]) -> list[Any]:
    """Return what runs are grouped by so that those of one setting, which differ in a seed alone, are one."""
    from wandb_workspaces import expr

    seeds = [key for key in parameters if key.rpartition(".")[2] == "seed"]
    if not seeds:
        return []
    return [expr.Config(key) for key in parameters if key not in seeds] or [expr.Metric("Group")]


def _runset(shown: Outline) -> Any:
    from wandb_workspaces import expr
    from wandb_workspaces.workspaces import RunsetSettings

    columns = []
    for key in shown.parameters:
        head, dot, rest = key.partition(".")
        columns.append(f"config:{head}.value{dot}{rest}")
    return RunsetSettings(
        filters=expr.And(expr.Metric("Group") == shown.group) if shown.group is not None else "",
        groupby=_groups(shown.parameters),
        order=[expr.Ordering(expr.Summary(shown.metric), ascending=True)],
        pinned_columns=["run:displayName", "run:state", *columns, f"summary:{shown.metric}"],
    )
