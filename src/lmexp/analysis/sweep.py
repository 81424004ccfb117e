"""A sweep's page: one row for each point, one plot for each swept parameter.

Like a run's page it is one file that needs nothing else, and a pure function of records. It links to
the pages of its runs beside it in the store.
"""

import math
import statistics

from lmexp.analysis.accuracies import tasks
from lmexp.analysis.compared import Compared, compare, is_seed
from lmexp.analysis.formats import NO_RESULT, duration, measured, number
from lmexp.analysis.markup import Html, details, join, table, tag
from lmexp.analysis.page import Tile, document
from lmexp.analysis.sweep_plots import parameter_figure
from lmexp.core.redact import redact, redact_words
from lmexp.core.spelling import command
from lmexp.core.sweeps import Sweep

_COLUMNS = 6
"""Most metrics that the table of points shows."""


def sweep_page(sweep: Sweep) -> str:
    """Return the page of a sweep."""
    compared = compare(sweep)
    planned = sweep.data.get("num_points")
    of = f" of {planned}" if planned and planned != len(compared.runs) else ""
    metric = compared.metric
    sections = [
        ("plots", f"{metric} over each parameter", _plots(compared)),
        ("points", "Points", _points(compared)),
        ("seeds", "Over seeds", _over_seeds(compared)),
        ("command", "The same sweep again", _command(sweep)),
    ]
    return document(
        title=sweep.name,
        kicker="lmexp sweep",
        status="",
        about=f"{len(compared.runs)}{of} points over {', '.join(compared.swept) or 'nothing that differs'}.",
        tiles=_tiles(compared),
        before=Html(""),
        sections=[s for s in sections if s[2]],
    )


def _tiles(compared: Compared) -> list[Tile]:
    runs, metric, best = compared.runs, compared.metric, compared.best
    done = sum(run.status == "done" for run in runs)
    tiles = [("points done", f"{done} of {len(runs)}", "")]
    value = None if best is None else compared.values[best]
    if best is not None and metric is not None and value is not None:
        chosen = ", ".join(f"{key}={compared.settings[best].get(key, '')}" for key in compared.swept)
        error = runs[best].metrics.get(f"{metric}/stderr")
        tiles.append((f"best {metric.rpartition('/')[2]}", measured(value, error), chosen))
    artifacts = {e["artifact"]: e["seconds"] or 0.0 for run in runs for e in run.stages.values()}
    if artifacts:
        tiles.append(
            (
                "computing",
                duration(sum(artifacts.values())),
                f"{len(artifacts)} artifact{'' if len(artifacts) == 1 else 's'}",
            )
        )
    return tiles


def _plots(compared: Compared) -> Html:
    if compared.metric is None or not compared.swept:
        return Html("")
    return tag("div", *(parameter_figure(key, compared) for key in compared.swept), class_="plots")


def _points(compared: Compared) -> Html:
    columns = _columns(compared)
    rows = []
    for i, (run, setting) in enumerate(zip(compared.runs, compared.settings, strict=True)):
        metrics = run.metrics
        cells = [measured(metrics[c], metrics.get(f"{c}/stderr")) if c in metrics else "" for c in columns]
        if compared.metric is not None and compared.values[i] is None:
            cells[columns.index(compared.metric)] = NO_RESULT
        said = redact(str(run.data.get("message", ""))) if run.status != "done" else ""
        why = details("why", tag("div", said, class_="long")) if said else ""
        rows.append(
            (
                tag("a", run.name, href=f"../../runs/{run.name}/report.html"),
                *(setting.get(key, "") for key in compared.swept),
                join([tag("span", run.status, class_=f"action {run.status}"), why]),
                *cells,
                duration(sum(e["seconds"] or 0.0 for e in run.stages.values())),
                "best" if i == compared.best else "",
            )
        )
    first = 2 + len(compared.swept)
    return table(
        ("run", *compared.swept, "status", *columns, "computing", "remark"),
        rows,
        caption="Computing is the time that a point's stages took, also where they were reused",
        numeric=range(first, first + len(columns) + 1),
        marked=() if compared.best is None else (compared.best,),
    )


def _columns(compared: Compared) -> list[str]:
    """Return the metrics of the table: the headline, then quality, then speed; no more than fit."""
    every = {key: value for run in compared.runs for key, value in run.metrics.items()}
    known = ("bits_per_byte", "perplexity", "loss", "tokens_per_second")
    found = [compared.metric] if compared.metric else []
    found += [key for key in every if key.rpartition("/")[2] in known]
    found += [f"{task.name}/{task.measure}/{n}" for task in tasks(every) for n in sorted(task.acc)]
    found += list(every)[:2] if len(found) <= 1 else []
    return list(dict.fromkeys(found))[:_COLUMNS]


def _over_seeds(compared: Compared) -> Html:
    """Return mean and spread of each setting, where seeds were swept."""
    if compared.metric is None or not any(is_seed(key) for key in compared.swept):
        return Html("")
    groups: dict[tuple[str, ...], list[float]] = {}
    for setting, value in zip(compared.settings, compared.values, strict=True):
        if value is not None and math.isfinite(value):
            groups.setdefault(tuple(setting.get(k, "") for k in compared.parameters), []).append(value)
    rows = [
        (
            *(setting or ("all points",)),
            len(found),
            number(statistics.fmean(found)),
            number(statistics.stdev(found)) if len(found) > 1 else "",
            f"{number(min(found))} to {number(max(found))}",
        )
        for setting, found in groups.items()
    ]
    headers = (*(compared.parameters or ("",)), "seeds", "mean", "standard deviation", "range")
    first = len(headers) - 4
    return table(headers, rows, caption=compared.metric, numeric=range(first, first + 3))


def _command(sweep: Sweep) -> Html:
    line = command(redact_words([str(word) for word in sweep.data.get("command") or []]))
    return tag("pre", tag("code", line), class_="command", tabindex="0") if line else Html("")
