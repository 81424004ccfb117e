"""A sweep's page: how its settings stand, a plot for each swept parameter, the curves, a row for each run.

Like a run's page it is one file that needs nothing else, and a pure function of records. It links to
the pages of its runs beside it in the store.
"""

from lmexp.analysis.accuracies import tasks
from lmexp.analysis.drawing.formats import NO_RESULT, duration, measured
from lmexp.analysis.drawing.markup import Html, details, join, table, tag
from lmexp.analysis.page import Tile, document
from lmexp.analysis.standing_section import standing_section
from lmexp.analysis.statistics.bits import sign
from lmexp.analysis.statistics.compared import Compared, compare
from lmexp.analysis.statistics.standing import Standing, standing_of
from lmexp.analysis.sweep_plots import curves_figures, label_of, parameter_figure
from lmexp.core.records.sweeps import Sweep
from lmexp.core.values.redact import redact, redact_words
from lmexp.core.values.spelling import command

_COLUMNS = 4
"""Most metrics that the table of runs shows."""


def sweep_page(sweep: Sweep) -> str:
    """Return the page of a sweep."""
    compared = compare(sweep)
    standing = standing_of(compared)
    planned = sweep.data.get("num_points")
    of = f" of {planned}" if planned and planned != len(compared.runs) else ""
    sections = [
        ("settings", "What can be told apart", standing_section(compared, standing)),
        ("plots", f"{compared.metric} over each parameter", _plots(compared, standing)),
        ("curves", "Curves", _curves(compared, standing)),
        ("points", "Runs", _runs(compared)),
        ("command", "The same sweep again", _command(sweep)),
    ]
    return document(
        title=sweep.name,
        kicker="lmexp sweep",
        status="",
        about=f"{len(compared.runs)}{of} points over {', '.join(compared.swept) or 'nothing that differs'}.",
        tiles=_tiles(compared, standing),
        before=Html(""),
        sections=[s for s in sections if s[2]],
    )


def _tiles(compared: Compared, standing: Standing) -> list[Tile]:
    runs, metric = compared.runs, compared.metric
    done = sum(run.status == "done" for run in runs)
    tiles = [("points done", f"{done} of {len(runs)}", "")]
    if standing.leader is not None and metric is not None and len(standing.settings) > 1:
        leader, name = standing.settings[standing.leader], metric.rpartition("/")[2]
        assert leader.mean is not None, "the leader has a result"
        sure = standing.best is not None
        label = f"best {name}" if sure else f"leading {name}, not told apart"
        tiles.append((label, f"{leader.sign}{measured(leader.mean, None)}", label_of(leader, compared)))
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


def _plots(compared: Compared, standing: Standing) -> Html:
    if compared.metric is None or not compared.swept:
        return Html("")
    keys = compared.parameters or compared.swept
    return tag("div", *(parameter_figure(key, compared, standing) for key in keys), class_="plots")


def _curves(compared: Compared, standing: Standing) -> Html:
    figures = curves_figures(compared, standing)
    return tag("div", *figures, class_="plots") if figures else Html("")


def _runs(compared: Compared) -> Html:
    columns = _columns(compared)
    rows = []
    for i, (run, setting) in enumerate(zip(compared.runs, compared.settings, strict=True)):
        metrics = run.metrics
        cells = [
            f"{sign(metrics, c)}{measured(metrics[c], metrics.get(f'{c}/stderr'))}" if c in metrics else ""
            for c in columns
        ]
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
            )
        )
    first = 2 + len(compared.swept)
    return table(
        ("run", *compared.swept, "status", *columns, "computing"),
        rows,
        caption="Computing is the time that a point's stages took, also where they were reused",
        numeric=range(first, first + len(columns) + 1),
        stacked=True,
    )


def _columns(compared: Compared) -> list[str]:
    """Return the metrics of the table: the headline, then quality, then speed; no more than fit."""
    every = {key: value for run in compared.runs for key, value in run.metrics.items()}
    known = ["perplexity", "loss", "bits_per_byte", "tokens_per_second"]
    if any(key.startswith("tokenizer") for key in compared.swept):
        known.insert(0, "bytes_per_token")
    found = [compared.metric] if compared.metric else []
    found += [key for name in known for key in every if key.rpartition("/")[2] == name]
    found[2:2] = [f"{task.name}/{task.measure}/{n}" for task in tasks(every) for n in sorted(task.acc)]
    found += list(every)[:2] if len(found) <= 1 else []
    return list(dict.fromkeys(found))[:_COLUMNS]


def _command(sweep: Sweep) -> Html:
    line = command(redact_words([str(word) for word in sweep.data.get("command") or []]))
    return tag("pre", tag("code", line), class_="command", tabindex="0") if line else Html("")
